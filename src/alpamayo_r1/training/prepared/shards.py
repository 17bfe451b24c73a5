"""Prepared scenes on disk: files of Arrow, a record batch for each scene, written as a whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.training.examples import TrainingExample
from alpamayo_r1.training.prepared import pictures
from alpamayo_r1.training.prepared.moments import Moment
from driving_clips import files

ENDING = ".arrow"
PREFIX = "scenes-"
INDEX = "index.arrow"

_TEXTS = [
    ("clip_id", pa.string()),
    ("t0_us", pa.int64()),
    ("cot", pa.string()),
    ("meta_action", pa.string()),
    ("split", pa.string()),
    ("drive", pa.string()),
]
_SIZES = [("frames", pa.int32()), ("height", pa.int32()), ("width", pa.int32())]
PATHS = {"history_xyz": (3,), "history_rot": (3, 3), "future_xyz": (3,), "future_rot": (3, 3)}  # of one pose
SCENES = pa.schema(
    [
        *_TEXTS,
        *_SIZES,
        ("pictures", pa.list_(pa.binary())),
        *((name, pa.list_(pa.float32())) for name in PATHS),
    ]
)
TOLD = [name for name, _ in (*_TEXTS, *_SIZES)]
INDEX_SCHEMA = pa.schema([*_TEXTS, *_SIZES, ("shard", pa.string()), ("row", pa.int32())])


class ShardWriter:
    """Writes the scenes of one shard."""

    def __init__(self, writer: pa.ipc.RecordBatchFileWriter) -> None:
        self._writer = writer

    def add(self, example: TrainingExample, moment: Moment) -> None:
        """Add a scene, its frames of the size that they are to have."""
        frames = moment.frames
        row: dict[str, Any] = {
            "clip_id": example.clip_id,
            "t0_us": example.t0_us,
            "cot": example.cot,
            "meta_action": example.meta_action,
            "split": example.split,
            "drive": example.drive,
            "frames": len(frames),
            "height": frames.shape[2],
            "width": frames.shape[3],
            "pictures": [pictures.to_bytes(frame) for frame in frames],
            **{name: getattr(moment.path, name).astype(np.float32).ravel() for name in PATHS},
        }
        self._writer.write_batch(pa.RecordBatch.from_pylist([row], SCENES))


@contextmanager
def written(path: str) -> Iterator[ShardWriter]:
    """Yield the writer of a shard, which has its name when the block ends without an error."""
    with (
        files.atomic_path(path) as temporary,
        pa.OSFile(temporary, "wb") as sink,
        pa.ipc.new_file(sink, SCENES) as writer,
    ):
        yield ShardWriter(writer)


def opened(path: str, schema: pa.Schema) -> pa.ipc.RecordBatchFileReader:
    """Return the reader of a file, mapped into memory; raises AlpamayoError where it has another schema, or is damaged.

    It is closed when nothing refers to it any more.
    """
    try:
        reader = pa.ipc.open_file(pa.memory_map(path))
        if not reader.schema.equals(schema):
            raise pa.ArrowInvalid("it has other columns")
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error
    return reader


def _damaged(path: str, error: Exception) -> AlpamayoError:
    said = f"{path}: expected a file of prepared scenes ({error}). Delete it and {INDEX}, and prepare again."
    return AlpamayoError(said)


def shard_names(folder: str) -> list[str]:
    """Return the names of a folder's shards."""
    return sorted(name for name in files.list_names(folder, ENDING) if name.startswith(PREFIX))


def rows_of(folder: str, name: str) -> pa.RecordBatch:
    """Return what the index has of a shard; raises AlpamayoError for a damaged one."""
    reader = opened(files.join(folder, name), SCENES)
    try:
        told = [reader.get_batch(row).select(TOLD).to_pylist()[0] for row in range(reader.num_record_batches)]
    except (pa.ArrowException, ValueError) as error:
        raise _damaged(files.join(folder, name), error) from error
    return pa.RecordBatch.from_pylist(
        [{**own, "shard": name, "row": row} for row, own in enumerate(told)], INDEX_SCHEMA
    )


def write_index(folder: str, about: bytes) -> None:
    """Write the index of a folder's scenes, sorted by clip and moment; ``about`` is kept with it.

    Raises:
        AlpamayoError: a damaged shard.
    """
    rows = [rows_of(folder, name) for name in shard_names(folder)]
    table = pa.Table.from_batches(rows, INDEX_SCHEMA).sort_by([("clip_id", "ascending"), ("t0_us", "ascending")])
    schema = INDEX_SCHEMA.with_metadata({"about": about})
    with (
        files.atomic_path(files.join(folder, INDEX)) as temporary,
        pa.OSFile(temporary, "wb") as sink,
        pa.ipc.new_file(sink, schema) as writer,
    ):
        writer.write_batch(table.combine_chunks().to_batches()[0].replace_schema_metadata(schema.metadata))
