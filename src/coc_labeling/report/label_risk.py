"""What the checks say of one label, where its run has been checked: read from the file beside its record."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coc_labeling.checks.results import checks_path
from coc_labeling.checks.risk import Status
from coc_labeling.up_to_date import own_stamp, stamp_of
from driving_clips import files


@dataclass(frozen=True)
class LabelRisk:
    """The risk of a label.

    Attributes:
        value: 0 to 1.
        status: in a word, a ``Status``.
        reasons: what speaks against it, the worst first.
    """

    value: float
    status: str
    reasons: tuple[str, ...]

    @property
    def text(self) -> str:
        """The risk in words.

        Example:
            >>> LabelRisk(0.75, "high", ()).text
            'risk 0.75, high'
        """
        return f"risk {self.value:.2f}, {self.status}"


def read_risk(run_dir: str, row: Mapping[str, Any]) -> LabelRisk | None:
    """Return the risk of a label by its row of ``labels.parquet``.

    None where it has not been checked, has changed since, has nothing to be wrong (an abstention), or its file is
    damaged.
    """
    path = checks_path(run_dir, row["clip_id"], row["event_start_timestamp"])
    try:
        checked = json.loads(files.read_text(path))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(checked, dict) or is_outdated(checked, row, run_dir):
        return None
    value, status, reasons = checked.get("risk"), checked.get("status"), checked.get("reasons")
    if status not in [*map(str, Status)] or status == Status.ABSTAINED or not isinstance(reasons, list):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        return None
    return LabelRisk(float(value), str(status), tuple(map(str, reasons)))


def is_outdated(checked: Mapping[str, Any], row: Mapping[str, Any], run_dir: str) -> bool:
    """Say whether a record has changed since it was checked: its file has not the stamp that it had then.

    A stamp that is not known tells nothing.
    """
    if checked.get("file_size") is None or checked.get("file_mtime_ns") is None:
        return False
    now = own_stamp(row, run_dir)
    return now is not None and now != stamp_of(checked)
