"""Reading columns of parquet and CSV bytes, with errors that name the file and the column."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from driving_clips.errors import ClipFailedError
from driving_clips.geometry import Floats


def open_parquet(content: bytes, origin: object) -> pq.ParquetFile:
    """Open parquet bytes; raises ClipFailedError naming ``origin`` where they are none."""
    try:
        return pq.ParquetFile(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        raise ClipFailedError(
            "corrupt_parquet",
            f"{origin}: expected a parquet file, found {len(content)} bytes that are not parquet ({_short(error)}).",
        ) from error


def read_parquet(file: pq.ParquetFile, columns: Sequence[str], origin: object) -> pa.Table:
    """Read some columns; raises ClipFailedError naming ``origin`` where a page is damaged."""
    try:
        return file.read(columns=list(columns), use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise ClipFailedError("corrupt_parquet", f"{origin}: damaged parquet file ({_short(error)}).") from error


def read_csv(content: bytes, origin: object) -> pa.Table:
    """Read CSV bytes with a header row; raises ClipFailedError naming ``origin``."""
    options = pyarrow.csv.ReadOptions(use_threads=False)
    try:
        return pyarrow.csv.read_csv(pa.BufferReader(content), read_options=options)
    except pa.ArrowException as error:
        raise ClipFailedError("corrupt_csv", f"{origin}: expected a CSV file ({_short(error)}).") from error


def floats(table: pa.Table, name: str, origin: object) -> Floats:
    """Return a column as float64, nulls as NaN; raises ClipFailedError where it holds no numbers."""
    column = _only(table, name, origin)
    try:
        values: Floats = column.to_numpy().astype(np.float64)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise wrong_schema(origin, f"numbers in column {name}", f"type {column.type}") from error
    return values


def floats_2d(table: pa.Table, names: Sequence[str], origin: object) -> Floats:
    """Return columns side by side as (N, len(names)) float64; each lies contiguous, which makes checks cheap."""
    stacked = np.empty((len(names), table.num_rows))
    for i, name in enumerate(names):
        stacked[i] = floats(table, name, origin)
    return stacked.T


def timed_rows(table: pa.Table, name: str) -> pa.Table:
    """Return the rows that have a time: those whose timestamp is missing or NaN cannot be placed."""
    column = table.column(name)
    if pa.types.is_floating(column.type):
        return table.filter(pc.is_finite(column).combine_chunks())
    return table.filter(pc.is_valid(column).combine_chunks()) if column.null_count else table


def microseconds(table: pa.Table, name: str, origin: object) -> NDArray[np.int64]:
    """Return a column of timestamps as int64; raises ClipFailedError for nulls, text and fractions."""
    column = _only(table, name, origin)
    if pa.types.is_integer(column.type) and not column.null_count:
        whole: NDArray[np.int64] = column.to_numpy().astype(np.int64)
        return whole
    values = floats(table, name, origin)
    if not np.isfinite(values).all() or (values != np.round(values)).any() or (np.abs(values) > 2**62).any():
        raise wrong_schema(origin, f"whole microseconds in column {name}", "nulls, fractions or values out of range")
    return values.astype(np.int64)


def texts(table: pa.Table, name: str, origin: object) -> NDArray[np.str_]:
    """Return a column as text; raises ClipFailedError where it holds lists or the like."""
    column = _only(table, name, origin)
    try:
        return column.cast(pa.string()).fill_null("").to_numpy(zero_copy_only=False).astype(np.str_)  # type: ignore[no-any-return]
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise wrong_schema(origin, f"text or numbers in column {name}", f"type {column.type}") from error


def _only(table: pa.Table, name: str, origin: object) -> pa.ChunkedArray:
    try:
        return table.column(name)
    except KeyError as error:
        found = f"{table.column_names.count(name)} of that name"
        raise wrong_schema(origin, f"one column {name}", found) from error


def wrong_schema(origin: object, expected: str, found: str) -> ClipFailedError:
    """Return the error of a file whose columns are not the expected ones."""
    return ClipFailedError("wrong_schema", f"{origin}: expected {expected}, found {found}.")


def _short(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:160]
