"""The risk of every label of a run in 33 bytes each, found by clip and keyframe."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from coc_labeling.checks.results import CHECKS_TABLE
from coc_labeling.checks.risk import Status
from coc_labeling.errors import CocLabelingError
from driving_clips import files
from driving_clips.datasets.loose import stable_hash

ROWS_AT_ONCE = 4000
_STATUSES = tuple(map(str, Status))
_COLUMNS = ("clip_id", "event_start_timestamp", "risk", "status", "file_size", "file_mtime_ns")
_ENTRY = np.dtype([("key", "u8"), ("risk", "f8"), ("size", "i8"), ("mtime", "i8"), ("status", "i1")])


@dataclass(frozen=True)
class LabelCheck:
    """What the checks say of a label: risk from 0 to 1, and a ``Status``."""

    risk: float
    status: str


class CheckIndex:
    """The checks of a run."""

    def __init__(self, entries: NDArray[Any]) -> None:
        self._entries = np.sort(entries, order="key")
        self._keys = self._entries["key"].copy()

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, row: dict[str, Any]) -> LabelCheck | None:
        """Return what the checks say of a row of ``labels.parquet``; None where they did not see it as it is now."""
        key = np.uint64(_key(row["clip_id"], row["event_start_timestamp"]))
        place = int(np.searchsorted(self._keys, key))
        if place == len(self._keys) or self._keys[place] != key:
            return None
        _, risk, size, mtime, status = self._entries[place].item()
        stamps = (row["file_size"], row["file_mtime_ns"])
        if None not in stamps and size >= 0 and stamps != (size, mtime):
            return None
        return LabelCheck(risk, _STATUSES[status])


def open_checks(run_dir: str) -> CheckIndex | None:
    """Return the checks of a run, its shards' included where they are not merged yet; None where there are none.

    Raises:
        CocLabelingError: a table is damaged, or another table.
    """
    names = sorted(name for name in files.list_names(run_dir, ".parquet") if name.startswith("checks."))
    if not names:
        return None
    whole = [CHECKS_TABLE] if CHECKS_TABLE in names else names
    return CheckIndex(np.concatenate([_entries(files.join(run_dir, name)) for name in whole]))


def _entries(path: str) -> NDArray[Any]:
    try:
        with pq.ParquetFile(path, pre_buffer=False) as table:
            entries = np.empty(table.metadata.num_rows, _ENTRY)
            first = 0
            for batch in table.iter_batches(ROWS_AT_ONCE, columns=list(_COLUMNS)):
                own = entries[first : first + batch.num_rows]
                for number, row in enumerate(batch.to_pylist()):
                    own[number] = _entry(row)
                first += batch.num_rows
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        raise CocLabelingError(f"{path}: expected a table of checks ({error}). Run coc check again.") from error
    return entries


def _entry(row: dict[str, Any]) -> tuple[int, float, int, int, int]:
    size, mtime = (-1 if row[name] is None else row[name] for name in ("file_size", "file_mtime_ns"))
    key = _key(row["clip_id"], row["event_start_timestamp"])
    return key, row["risk"], size, mtime, _STATUSES.index(row["status"])


def _key(clip_id: str, t_us: int) -> int:
    return stable_hash(f"{clip_id}\0{t_us}")
