"""What ``coc check`` writes: a row per label in ``checks.parquet``, and a JSON file beside each record."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batch_runs.shards import WHOLE, Shard
from coc_labeling.checks import CHECKS_VERSION
from coc_labeling.checks.base import Finding, Verdict
from coc_labeling.checks.checking import CheckedLabel
from coc_labeling.errors import CocLabelingError
from driving_clips import files

CHECKS_TABLE = "checks.parquet"
CHECK_SUMMARY = "check_summary.json"
ROWS_PER_GROUP = 5000
_FINDING = pa.struct(
    [
        ("check", pa.string()),
        ("verdict", pa.string()),
        ("about", pa.string()),
        ("reason", pa.string()),
        ("numbers", pa.map_(pa.string(), pa.float64())),
        ("severity", pa.float64()),
        ("not_independent", pa.bool_()),
    ]
)
CHECKS_SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("event_start_timestamp", pa.int64()),
        ("risk", pa.float64()),
        ("status", pa.string()),
        ("reasons", pa.list_(pa.string())),
        ("supported", pa.int32()),
        ("contradicted", pa.int32()),
        ("not_observable", pa.int32()),
        ("findings", pa.list_(_FINDING)),
        ("track_problems", pa.list_(pa.string())),
        ("file_size", pa.int64()),
        ("file_mtime_ns", pa.int64()),
        ("checks_version", pa.int16()),
        ("raw_risk", pa.float64()),
    ]
)
KEY = ("clip_id", "event_start_timestamp")


def as_row(
    clip_id: str, t_us: int, checked: CheckedLabel, track_problems: Iterable[str], stamp: files.FileStamp | None
) -> dict[str, Any]:
    """Return a label's row of ``checks.parquet``; the stamp is that of the record it was made from."""
    return {
        "clip_id": clip_id,
        "event_start_timestamp": t_us,
        "risk": round(checked.risk.value, 4),
        "status": str(checked.risk.status),
        "reasons": list(checked.risk.reasons),
        **{str(verdict): checked.count(verdict) for verdict in Verdict},
        "findings": [_finding(finding, checked) for finding in checked.findings],
        "track_problems": list(track_problems),
        "file_size": stamp.size if stamp is not None else None,
        "file_mtime_ns": stamp.mtime_ns if stamp is not None else None,
        "checks_version": CHECKS_VERSION,
        "raw_risk": round(checked.risk.value if checked.risk.raw is None else checked.risk.raw, 4),
    }


def _finding(finding: Finding, checked: CheckedLabel) -> dict[str, Any]:
    return {
        "check": finding.check,
        "verdict": str(finding.verdict),
        "about": finding.about[:300],
        "reason": finding.reason[:1000],
        "numbers": _numbers(finding.numbers),
        "severity": finding.severity,
        "not_independent": finding.shares_facts(checked.told),
    }


def _numbers(numbers: Mapping[str, float]) -> dict[str, float]:
    """Return finite numbers, rounded: JSON has no others."""
    return {name: round(float(value), 4) for name, value in numbers.items() if math.isfinite(value)}


def checks_path(run_dir: str, clip_id: str, t_us: int) -> str:
    """Return the path of a label's JSON file."""
    return f"{run_dir}/{clip_id}/checks_{t_us}.json"


def to_json(row: Mapping[str, Any]) -> str:
    """Return a row as the content of its JSON file."""
    return json.dumps(row, indent=1, ensure_ascii=False) + "\n"


def write_json(run_dir: str, row: Mapping[str, Any]) -> None:
    """Write a row's JSON file; raises OSError where that is not possible."""
    path = checks_path(run_dir, row["clip_id"], row["event_start_timestamp"])
    files.make_parents(path)
    files.write_atomic(path, to_json(row))


def table_path(run_dir: str, name: str, shard: Shard = WHOLE) -> str:
    """Return the path of the table or the summary; a shard's carry its number."""
    stem, ending = name.rsplit(".", 1)
    return files.join(run_dir, f"{stem}{shard.suffix}.{ending}")


def with_precision(figures: dict[str, Any]) -> dict[str, Any]:
    """Return a check's counts with the share supported of what independent facts judge; None where they judge none."""
    alone = figures["independent"]
    judged = alone[Verdict.SUPPORTED] + alone[Verdict.CONTRADICTED]
    return {**figures, "precision": round(alone[Verdict.SUPPORTED] / judged, 4) if judged else None}


class ChecksWriter:
    """Writes rows as they come, in row groups: no more than one of them is held."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._held: list[pa.RecordBatch] = []
        self._rows = 0

    def add(self, rows: pa.RecordBatch) -> None:
        """Add rows."""
        self._held.append(rows)
        self._rows += rows.num_rows
        if self._rows >= ROWS_PER_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        if self._rows:
            self._writer.write_table(pa.Table.from_batches(self._held, CHECKS_SCHEMA))
        self._held, self._rows = [], 0


@contextmanager
def checks_writer(path: str) -> Iterator[ChecksWriter]:
    """Yield a writer; the table takes the place of an earlier one when the block ends without an error."""
    with files.atomic_path(path) as temporary, pq.ParquetWriter(temporary, CHECKS_SCHEMA) as parquet:
        writer = ChecksWriter(parquet)
        yield writer
        writer.flush()


def remove_whole(run_dir: str) -> None:
    """Delete the whole run's table and summary: a shard that has been checked after them tells more."""
    for name in (CHECKS_TABLE, CHECK_SUMMARY):
        files.remove(table_path(run_dir, name))


def load_checks(run_dir: str) -> pa.Table:
    """Return the checks of a run's labels, its shards' included where they are not merged yet.

    Raises:
        CocLabelingError: its labels have not been checked, or a table is damaged.
    """
    return pa.concat_tables([read_checks(files.join(run_dir, name)) for name in table_names(run_dir)])


def table_names(run_dir: str) -> list[str]:
    """Return the names of a run's table, or of its shards' where they are not merged; raises CocLabelingError."""
    names = sorted(n for n in files.list_names(run_dir, ".parquet") if n.startswith("checks."))
    if not names:
        raise CocLabelingError(f"{run_dir}: no {CHECKS_TABLE} in it. Run coc check {run_dir} first.")
    return [CHECKS_TABLE] if CHECKS_TABLE in names else names


def read_checks(path: str) -> pa.Table:
    """Return one table of checks; raises CocLabelingError where it is damaged or another table."""
    with _explained(path):
        return _as_checks(pq.read_table(path, partitioning=None))


def read_checks_by_group(path: str) -> Iterator[pa.Table]:
    """Yield the rows of one table of checks, some thousands at once; raises CocLabelingError as ``read_checks``."""
    with _explained(path), pq.ParquetFile(path) as parquet:
        for batch in parquet.iter_batches(ROWS_PER_GROUP):
            yield _as_checks(pa.Table.from_batches([batch]))


def _as_checks(table: pa.Table) -> pa.Table:
    if "raw_risk" not in table.column_names:  # of an earlier version, which did not calibrate
        table = table.append_column("raw_risk", table.column("risk"))
    return table.select(CHECKS_SCHEMA.names).cast(CHECKS_SCHEMA)


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise CocLabelingError(f"{path}: expected a table of checks ({error}). Run coc check again.") from error


def histogram(tenths: Mapping[int, int]) -> dict[str, int]:
    """Return counts by tenth of the risk, as the summary has them."""
    return {f"{k / 10:.1f}-{(k + 1) / 10:.1f}": tenths.get(k, 0) for k in range(10)}
