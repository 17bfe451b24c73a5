"""Rows of ``labels.parquet`` as the records' files say now: a row counts while its file is the one it was made from."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from coc_labeling.errors import RecordError
from coc_labeling.results import KEY, ExperimentFolder, as_row, read_record
from driving_clips import files

STAMP = ("file_size", "file_mtime_ns")


def stamp_of(row: Mapping[str, Any]) -> files.FileStamp | None:
    """Return the stamp of the file that a row was made from; None where the row does not say it."""
    return None if row["file_size"] is None else files.FileStamp(row["file_size"], row["file_mtime_ns"])


def own_stamp(row: Mapping[str, Any], run_dir: str) -> files.FileStamp | None:
    """Return the stamp that a row's record has now; where its file is gone, that of the row."""
    return files.stamp_or_none(_path(row, run_dir)) or stamp_of(row)


def current_row(row: Mapping[str, Any], run_dir: str) -> dict[str, Any]:
    """Return a row of ``labels.parquet`` as its record says now.

    That is the row itself while its file is unchanged, or is gone. It is made anew from a file that has been changed
    or copied since, and where a table of an older version does not hold the label.

    Args:
        row: some columns of a row, among them those of ``KEY`` and ``STAMP``.
        run_dir: the experiment's folder.

    Raises:
        RecordError: the file is another one now, and no record of this moment; the message begins with its path.
    """
    path = _path(row, run_dir)
    stamp = files.stamp_or_none(path)
    if stamp is None or (stamp == stamp_of(row) and row.get("label", "") is not None):
        return dict(row)
    return as_row(read_record(path, (row["clip_id"], row["event_start_timestamp"])), stamp)


def bring_up_to_date(labels: pa.Table, run_dir: str, most: int) -> tuple[pa.Table, int]:
    """Return a table of labels as their records say now, and how many rows are left as they were.

    Those are all that have changed where they are more than ``most``, else those whose files hold no record of their
    moment. The stamps of all rows are what the files have now.

    Args:
        labels: some columns of ``labels.parquet``, among them those of ``KEY`` and ``STAMP``.
        run_dir: the experiment's folder.
        most: how many files are opened at most.
    """
    known = [_numbers(labels, name) for name in STAMP]
    now = stamps_now(labels, run_dir)
    changed = np.flatnonzero((known[0] != now[0]) | (known[1] != now[1]))
    rows = _made_anew(labels, changed, run_dir) if len(changed) <= most else {}
    if rows:
        kept = np.setdiff1d(np.arange(len(labels)), list(rows))
        parts = [labels.take(pa.array(kept)), pa.Table.from_pylist(list(rows.values()), labels.schema)]
        order = np.argsort(np.concatenate([kept, list(rows)]))
        labels = pa.concat_tables(parts).take(pa.array(order))
    for name, values in zip(STAMP, now, strict=True):
        column = pa.array(values, pa.int64(), mask=values < 0)
        labels = labels.set_column(labels.column_names.index(name), labels.schema.field(name), column)
    return labels, len(changed) - len(rows)


def stamps_now(labels: pa.Table, run_dir: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return size and time (N,) that the records of a table have now; those of the table where a file is gone.

    -1 where the table does not know them either.
    """
    sizes, times = (_numbers(labels, name) for name in STAMP)
    folder = ExperimentFolder(run_dir)
    for row, moment in enumerate(zip(*(labels.column(name).to_pylist() for name in KEY), strict=True)):
        stamp = files.stamp_or_none(folder.record_path(*moment))
        if stamp is not None:
            sizes[row], times[row] = stamp.size, stamp.mtime_ns
    return sizes, times


def _made_anew(labels: pa.Table, changed: NDArray[np.intp], run_dir: str) -> dict[int, dict[str, Any]]:
    """Return the rows of records that have changed, by their number, as far as they can be read."""
    rows = {}
    for number, row in zip(changed.tolist(), labels.take(pa.array(changed)).to_pylist(), strict=True):
        try:
            rows[number] = current_row(row, run_dir)
        except RecordError:
            continue  # it stays as it was, and is counted
    return rows


def _numbers(labels: pa.Table, name: str) -> NDArray[np.int64]:
    return np.array(pc.fill_null(labels.column(name), -1).to_numpy())


def _path(row: Mapping[str, Any], run_dir: str) -> str:
    return ExperimentFolder(run_dir).record_path(row["clip_id"], row["event_start_timestamp"])
