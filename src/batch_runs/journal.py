"""Rows of a run as they are finished, safe against being killed at any moment.

An Arrow stream that is only ever appended to. A torn end is left out on reading; a new process appends to a new
file. Once the rows stand in the run's tables the journal is cleared.
"""

from collections.abc import Sequence

import pyarrow as pa

from driving_clips import files

_ENDING = ".arrows"


class Journal:
    """The journal in one folder."""

    def __init__(self, folder: str, schema: pa.Schema, key: Sequence[str]) -> None:
        """``key`` names the columns that identify a row: the last row of a key is the one that counts."""
        self._folder = folder
        self._schema = schema
        self._key = list(key)
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None
        self._sink: pa.OSFile | None = None

    def append(self, batch: pa.RecordBatch) -> None:
        """Add rows; they are with the operating system when this returns."""
        if self._writer is None or self._sink is None:
            taken = [_number(name) for name in self._parts()]
            self._sink = pa.OSFile(f"{self._folder}/{max(taken, default=0) + 1}{_ENDING}", "wb")
            self._writer = pa.ipc.new_stream(self._sink, self._schema)
        self._writer.write_batch(batch)
        self._sink.flush()

    def read(self) -> pa.Table:
        """Return the rows that count, in the order they were added."""
        self.close()
        batches: list[pa.RecordBatch] = []
        for name in self._parts():
            batches += _whole_batches(f"{self._folder}/{name}", self._schema)
        table = pa.Table.from_batches(batches, self._schema)
        keys = zip(*(table.column(name).to_pylist() for name in self._key), strict=True)
        last = {key: row for row, key in enumerate(keys)}
        return table.take(pa.array(sorted(last.values()), pa.int64()))

    def is_empty(self) -> bool:
        """Say whether nothing is left of an earlier run."""
        return not self._parts()

    def clear(self) -> None:
        """Delete the journal."""
        self.close()
        for name in self._parts():
            files.remove(f"{self._folder}/{name}")

    def close(self) -> None:
        """Close the file; appending opens a new one."""
        writer, sink = self._writer, self._sink
        self._writer = self._sink = None
        if writer is not None and sink is not None:
            writer.close()
            sink.close()

    def _parts(self) -> list[str]:
        return sorted(files.list_names(self._folder, _ENDING), key=_number)


def _number(name: str) -> int:
    return int(name.removesuffix(_ENDING))


def _whole_batches(path: str, schema: pa.Schema) -> list[pa.RecordBatch]:
    batches: list[pa.RecordBatch] = []
    try:
        with pa.OSFile(path) as file, pa.ipc.open_stream(file) as reader:
            if reader.schema.equals(schema):  # else of another version: what it holds is found again from the files
                batches.extend(reader)
    except (pa.ArrowException, OSError):
        return batches  # the end of what a killed run could still write
    return batches
