"""A dataset folder that the ``datasets`` library opens: parquet files with pictures that decode as such."""

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from coc_labeling.export.base import Exporter
from coc_labeling.export.columns import IMAGE, OF_FRAMES, OF_LABELS, TEXTS
from coc_labeling.export.content import Content, Images, Need
from coc_labeling.export.folder import ExportFolder
from coc_labeling.export.rows import ExportRow, as_dict
from coc_labeling.export.scenes import Frame
from driving_clips import files

# Rows with pictures are written in small groups, so that few are held in memory, here and by readers.
GROUP_ROWS, GROUP_BYTES = 1000, 16_000_000
FILE_ROWS, FILE_BYTES = 100_000, 500_000_000


def schema_of(images: Images) -> pa.Schema:
    """Return the schema of a file, with what tells the ``datasets`` library which columns are pictures."""
    columns = list(OF_LABELS)
    if images is not Images.NONE:
        columns += [("images", TEXTS if images is Images.PATHS else pa.list_(IMAGE)), *OF_FRAMES]
    schema = pa.schema(columns)
    features = {field.name: _feature(field.type) for field in schema}
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def _feature(kind: pa.DataType) -> Any:
    """Return a type as the ``datasets`` library writes it; lists in the form that its older versions know, too."""
    if kind == IMAGE:
        return {"_type": "Image"}
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    if pa.types.is_list(kind):
        inner = _feature(kind.value_type)
        return {"feature": inner, "_type": "Sequence"} if "_type" in inner else [inner]
    name = {pa.float64(): "float64"}.get(kind, str(kind))
    return {"dtype": name, "_type": "Value"}


class HuggingFace(Exporter):
    """``data/<split>-00000-of-0000N.parquet``, with pictures as bytes, or as the paths of files, or without."""

    name = "hf"
    images = (Images.BYTES, Images.PATHS, Images.NONE)

    def __init__(self, folder: ExportFolder, content: Content) -> None:
        super().__init__(folder, content)
        self._splits: dict[str, _SplitWriter] = {}

    @classmethod
    def needs(cls, content: Content) -> frozenset[Need]:
        """Return that frames are needed, if pictures are wanted."""
        return frozenset() if content.images is Images.NONE else frozenset({Need.FRAMES})

    @classmethod
    def pictures_in(cls, content: Content) -> str:
        """Return the folder of the pictures: they are needed in files only while their bytes are copied."""
        return ".images" if content.images is Images.BYTES else "images"

    def add(self, row: ExportRow) -> None:
        """Add a label to its split."""
        if row.split not in self._splits:
            self._splits[row.split] = _SplitWriter(self.folder, row.split, self.content.images)
        self._splits[row.split].add(row)

    def finish(self, splits: Sequence[str]) -> None:
        """Write what is held, and name the files by how many there are."""
        for split in self._splits.values():
            split.end_file()
            split.name_files()

    def close(self) -> None:
        """Close all files."""
        for split in self._splits.values():
            split.close()

    def data_files(self) -> dict[str, str]:
        """Return the pattern of each split's files."""
        return {split: f"data/{split}-*.parquet" for split in self._splits}


class _SplitWriter:
    """Writes the files of a split one after the other."""

    def __init__(self, folder: ExportFolder, split: str, images: Images) -> None:
        self._folder, self._split, self._images = folder, split, images
        self._schema = schema_of(images)
        self._names: list[str] = []
        self._writer: pq.ParquetWriter | None = None
        self._held: list[dict[str, Any]] = []
        self._held_bytes = self._file_rows = self._file_bytes = 0

    def add(self, row: ExportRow) -> None:
        """Hold a row; write when enough are held."""
        values = as_dict(row)
        if self._images is not Images.NONE:
            values |= self._of_frames(row.scene.frames)
        self._held.append(values)
        if len(self._held) >= GROUP_ROWS or self._held_bytes >= GROUP_BYTES:
            self._write()
        if self._file_rows >= FILE_ROWS or self._file_bytes >= FILE_BYTES:
            self.end_file()

    def end_file(self) -> None:
        """Write what is held, and close the file."""
        self._write()
        self.close()
        self._writer, self._file_rows, self._file_bytes = None, 0, 0

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()

    def name_files(self) -> None:
        """Say in each file's name how many there are."""
        for number, name in enumerate(self._names):
            self._folder.rename(name, f"data/{self._split}-{number:05d}-of-{len(self._names):05d}.parquet")

    def _of_frames(self, frames: tuple[Frame, ...]) -> dict[str, Any]:
        pictures: list[Any] = [frame.path for frame in frames]
        if self._images is Images.BYTES:
            content = [files.read_bytes(files.join(self._folder.path, frame.path)) for frame in frames]
            self._held_bytes += sum(map(len, content))
            names = [frame.path.partition("/")[2] for frame in frames]
            pictures = [{"bytes": own, "path": name} for own, name in zip(content, names, strict=True)]
        return {
            "images": pictures,
            "cameras": [frame.camera for frame in frames],
            "frame_times_us": [frame.t_us for frame in frames],
        }

    def _write(self) -> None:
        if not self._held:
            return
        if self._writer is None:
            self._names.append(f"data/{self._split}-{len(self._names):05d}.parquet")
            self._writer = pq.ParquetWriter(self._folder.create(self._names[-1]), self._schema)
        self._writer.write_table(pa.Table.from_pylist(self._held, self._schema))
        self._file_rows += len(self._held)
        self._file_bytes += self._held_bytes
        self._held, self._held_bytes = [], 0
