"""Prepared scenes, read from their folder."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.training.prepared import pictures, shards
from alpamayo_r1.training.prepared.folder import PreparedFolder
from alpamayo_r1.training.prepared.frame_size import FrameSize
from driving_clips import files

_OPEN_SHARDS = 16  # of a process


@dataclass(frozen=True)
class About:
    """What is known of a prepared scene without its pictures.

    Attributes:
        clip_id: the clip.
        t0_us: the moment, us on the clip clock.
        cot: the reasoning to learn.
        meta_action: the meta-actions in words, or None.
        split: what the export says it is for, or None.
        drive: what must not be torn between training and validation: the drive, or the clip where that is unknown.
        frames: how many.
        height, width: of each in pixels, a multiple of a token's side.
    """

    clip_id: str
    t0_us: int
    cot: str
    meta_action: str | None
    split: str | None
    drive: str
    frames: int
    height: int
    width: int


@dataclass(frozen=True)
class PreparedScene:
    """A moment to learn from.

    Attributes:
        clip_id, t0_us, cot, meta_action, split, drive: see ``About``.
        frames: (N, 3, h, w) uint8 RGB, camera by camera, oldest first, of the size that the image processor gives.
        history_xyz: (16, 3) float32 m, in ego's frame at t0: x forward, y left, z up.
        history_rot: (16, 3, 3) float32.
        future_xyz: (64, 3) float32 m.
        future_rot: (64, 3, 3) float32.
    """

    clip_id: str
    t0_us: int
    cot: str
    meta_action: str | None
    split: str | None
    drive: str
    frames: NDArray[np.uint8]
    history_xyz: NDArray[np.float32]
    history_rot: NDArray[np.float32]
    future_xyz: NDArray[np.float32]
    future_rot: NDArray[np.float32]


class PreparedSet:
    """Scenes in a folder, sorted by clip and moment; it can be pickled, and is opened again quickly.

    Example:
        >>> scenes = PreparedSet.open("prepared")  # doctest: +SKIP
        >>> scenes[0].frames.shape  # doctest: +SKIP
        (16, 3, 320, 576)
    """

    def __init__(self, folder: str, settings: Mapping[str, Any], index: pa.RecordBatch) -> None:
        self.folder = folder
        self.settings = dict(settings)  # labels (a digest), dataset, cameras, shape, size
        self._index = index
        self._open: OrderedDict[str, pa.ipc.RecordBatchFileReader] = OrderedDict()

    @classmethod
    def open(cls, folder: str) -> "PreparedSet":
        """Open a folder that ``prepare`` has completed; raises AlpamayoError where it has not."""
        path = files.join(folder, shards.INDEX)
        if not files.exists(path):
            raise AlpamayoError(f"{folder}: expected prepared scenes with {shards.INDEX}, found none. Prepare them.")
        index = shards.opened(path, shards.INDEX_SCHEMA).get_batch(0)
        return cls(folder, PreparedFolder(folder).settings(), index)

    def __reduce__(self) -> tuple[Any, ...]:
        return PreparedSet.open, (self.folder,)

    @property
    def size(self) -> FrameSize:
        """How large frames were made."""
        return FrameSize(**self.settings["size"])

    def __len__(self) -> int:
        return int(self._index.num_rows)

    def __getitem__(self, index: int) -> PreparedScene:
        """Return a scene.

        Raises:
            IndexError: there is no such scene.
            AlpamayoError: its shard is gone or damaged; the message names it.
        """
        about = self.about(index)
        name = self._index.column("shard")[index].as_py()
        row = self._reader(name).get_batch(self._index.column("row")[index].as_py())
        try:
            frames = [pictures.of_bytes(content.as_py()) for content in row.column("pictures")[0]]
        except AlpamayoError as error:
            said = f"{self.folder}/{name}: {about.clip_id}/{about.t0_us}: {error}"
            raise AlpamayoError(f"{said}. Delete the file and {shards.INDEX}, and prepare again.") from error
        paths = {
            key: row.column(key)[0].values.to_numpy().reshape(-1, *shape).copy() for key, shape in shards.PATHS.items()
        }
        known = (about.clip_id, about.t0_us, about.cot, about.meta_action, about.split, about.drive)
        return PreparedScene(*known, np.stack(frames), **paths)

    def about(self, index: int) -> About:
        """Return what is known of a scene without decoding its pictures; raises IndexError as ``[index]``."""
        if not 0 <= index < len(self):
            raise IndexError(f"{self.folder}: scene {index} of {len(self)}")
        return About(*(self._index.column(name)[index].as_py() for name in shards.TOLD))

    def column(self, name: str) -> list[Any]:
        """Return a field of ``About`` of all scenes, in their order."""
        values: list[Any] = self._index.column(name).to_pylist()
        return values

    def _reader(self, name: str) -> pa.ipc.RecordBatchFileReader:
        if name not in self._open:
            self._open[name] = shards.opened(files.join(self.folder, name), shards.SCENES)
            if len(self._open) > _OPEN_SHARDS:
                self._open.popitem(last=False)
        self._open.move_to_end(name)
        return self._open[name]
