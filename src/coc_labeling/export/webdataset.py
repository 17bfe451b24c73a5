"""Tar shards for streaming: of each label its pictures and a JSON file, one after the other."""

import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from coc_labeling.export.base import Exporter
from coc_labeling.export.columns import IMAGE, OF_FRAMES, OF_LABELS, Column
from coc_labeling.export.content import Content, Images, Need
from coc_labeling.export.folder import ExportFolder
from coc_labeling.export.rows import ExportRow, as_dict
from driving_clips import files

SHARD_ROWS, SHARD_BYTES = 10_000, 1_000_000_000


@dataclass
class _Shard:
    """The shard of a split that is being written."""

    tar: tarfile.TarFile
    rows: int = 0
    size: int = 0

    @property
    def is_full(self) -> bool:
        """Whether the next label begins another one."""
        return self.rows >= SHARD_ROWS or self.size >= SHARD_BYTES

    def add(self, name: str, content: bytes) -> None:
        """Add a file that always has the same bytes."""
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        self.tar.addfile(entry, io.BytesIO(content))
        self.size += len(content)


class WebDataset(Exporter):
    """``data/<split>-00000.tar``: ``<key>.json`` and ``<key>.<n>.jpg`` of each label, its pictures in their order.

    The key is ``<clip_id>_<keyframe in us>``, with ``%2E`` for a dot, which would end it.
    """

    name = "webdataset"
    images = (Images.BYTES, Images.NONE)

    def __init__(self, folder: ExportFolder, content: Content) -> None:
        super().__init__(folder, content)
        self._shards: dict[str, list[_Shard]] = {}
        self._most_pictures = 0

    @classmethod
    def needs(cls, content: Content) -> frozenset[Need]:
        """Return that frames are needed, if pictures are wanted."""
        return frozenset() if content.images is Images.NONE else frozenset({Need.FRAMES})

    @classmethod
    def pictures_in(cls, content: Content) -> str:
        """Return the folder of the pictures: they are needed in files only while they are copied."""
        return ".images"

    def add(self, row: ExportRow) -> None:
        """Add a label and its pictures to the shard of its split."""
        shard = self._shard(row.split)
        key = f"{row.clip_id.replace('.', '%2E')}_{row.event_start_timestamp}"
        frames = row.scene.frames
        self._most_pictures = max(self._most_pictures, len(frames))
        told = as_dict(row) | {
            "cameras": [one.camera for one in frames],
            "frame_times_us": [one.t_us for one in frames],
        }
        for number, frame in enumerate(frames):
            shard.add(f"{key}.{_picture(number)}", files.read_bytes(files.join(self.folder.path, frame.path)))
        shard.add(f"{key}.json", json.dumps(told, ensure_ascii=False).encode())
        shard.rows += 1

    def close(self) -> None:
        """Close all shards."""
        for shards in self._shards.values():
            shards[-1].tar.close()

    def data_files(self) -> dict[str, str]:
        """Return the pattern of each split's shards."""
        return {split: f"data/{split}-*.tar" for split in self._shards}

    def columns(self) -> Sequence[Column]:
        """Return what a label has by the endings of its files; some labels have fewer pictures than others."""
        pictures = [(_picture(number), IMAGE) for number in range(self._most_pictures)]
        told = pa.struct([*OF_LABELS, *OF_FRAMES])
        return [*pictures, ("json", told), ("__key__", pa.string()), ("__url__", pa.string())]

    def _shard(self, split: str) -> _Shard:
        shards: list[_Shard] = self._shards.setdefault(split, [])
        if not shards or shards[-1].is_full:
            if shards:
                shards[-1].tar.close()
            path = self.folder.create(f"data/{split}-{len(shards):05d}.tar")
            shards.append(_Shard(tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)))  # noqa: SIM115
        return shards[-1]


def _picture(number: int) -> str:
    return f"{number:03d}.jpg"
