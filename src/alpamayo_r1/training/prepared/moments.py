"""What is seen and driven at an example's moment: from a dataset, or from the export that the example stands in."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.scenes import EgoPath, SceneReader, SceneShape
from alpamayo_r1.training.examples import TrainingExample
from alpamayo_r1.training.label_files import RowPlace
from alpamayo_r1.training.prepared import pictures
from driving_clips import files
from driving_clips.datasets.base import Dataset, Source, is_legal_id, recording_of
from driving_clips.errors import ClipFailedError, ClipRejectedError
from driving_clips.geometry import Floats, rotate

_PICTURES = "images"  # the folder of an export's pictures
_UNIT = 1e-2  # how far a rotation's quaternion may be from length 1


class Moment(NamedTuple):
    """Frames (N, 3, H, W) uint8 of one size, in the model's order, and the path with its whole future."""

    frames: NDArray[np.uint8]
    path: EgoPath


class Moments(Protocol):
    """Reads moments of examples that it has been told where to find."""

    def tell(self, places: Mapping[Any, Any]) -> None:
        """Say where; what was told before is forgotten."""

    def read(self, example: TrainingExample) -> Moment:
        """Return the moment of an example; raises ClipError where it cannot be learnt from."""


@dataclass(frozen=True)
class _ToldReader(SceneReader):
    """A reader that is told where recordings are: to find them takes long where there are many."""

    told: dict[str, Source] = field(default_factory=dict)

    @property
    def sources(self) -> dict[str, Source]:
        return self.told


class DatasetMoments:
    """Reads moments of a dataset's clips; only of those whose sources it is told."""

    def __init__(
        self,
        dataset: Dataset,
        cameras: tuple[str, ...],
        shape: SceneShape,
        video_dir: str | None,
    ) -> None:
        self._reader = _ToldReader(dataset, cameras, shape, video_dir)

    def tell(self, places: Mapping[str, Source]) -> None:
        """Say where recordings are, by their ids; what was told before is forgotten."""
        self._reader.told.clear()
        self._reader.told.update(places)

    def read(self, example: TrainingExample) -> Moment:
        """Return the moment of an example.

        Raises:
            ClipError: no such clip or moment, a future that is not recorded to its end, or no frame of a camera.
            DatasetError: no video can be read at all.
        """
        reader, clip_id, t0_us = self._reader, example.clip_id, example.t0_us
        if source_of(reader.told, reader.dataset, clip_id) is None:
            raise ClipRejectedError("no_clip", f"{clip_id}: no clip of this id in {reader.dataset.data_dir}.")
        future = len(reader.path(clip_id, t0_us).future_xyz)
        if future < reader.shape.future_steps:
            step = reader.shape.step_sec
            raise ClipRejectedError(
                "future_too_short",
                f"{clip_id}: t0_us={t0_us} has {future * step:.1f} s of ego motion without a hole after it, and "
                f"{reader.shape.future_steps * step:.1f} s are needed.",
            )
        scene = reader.read(clip_id, t0_us)
        frames = scene.stacked_frames()
        return Moment(frames.reshape(-1, *frames.shape[2:]), scene.path)


def source_of(sources: Mapping[str, Source], dataset: Dataset, clip_id: str) -> Source | None:
    """Return where a clip's ego motion lies, None where it is not among ``sources``."""
    found = sources.get(clip_id)
    return sources.get(recording_of(clip_id)) if found is None and dataset.cuts_recordings else found


@dataclass(frozen=True)
class ExportMoments:
    """Reads moments of an ``sft-chat`` export, whose rows have pictures and poses.

    Attributes:
        places: where the row of each (clip_id, t0_us) stands.
        shape: how many poses are expected.
    """

    places: dict[tuple[str, int], RowPlace]
    shape: SceneShape

    def tell(self, places: Mapping[tuple[str, int], RowPlace]) -> None:
        """Say where rows stand; what was told before is forgotten."""
        self.places.clear()
        self.places.update(places)

    def read(self, example: TrainingExample) -> Moment:
        """Return the moment of an example; raises ClipError where its row lacks something, or it cannot be read."""
        place = self.places[example.clip_id, example.t0_us]
        item = f"{example.clip_id}/{example.t0_us}"
        try:
            row = json.loads(_line(place))
            history = _poses(row, "ego_history", self.shape.history_steps, item)
            future = _poses(row, "ego_future", self.shape.future_steps, item)
            names = row.get("images")
        except (OSError, ValueError, AttributeError) as error:
            raise ClipFailedError("changed", f"{item}: {place.path} has changed ({error}).") from error
        root = files.parent(files.parent(place.path))
        return Moment(_shown(root, names, item), EgoPath(*history, *future))


def _line(place: RowPlace) -> bytes:
    with Path(place.path).open("rb") as file:
        file.seek(place.offset)
        return file.read(place.size)


def _poses(row: Mapping[str, Any], name: str, steps: int, item: str) -> tuple[Floats, Floats]:
    """Return positions (steps, 3) and rotations (steps, 3, 3) of a row."""
    try:
        xyz, quat = (np.asarray(row.get(f"{name}_{part}"), np.float64) for part in ("xyz", "quat"))
    except (TypeError, ValueError):
        xyz = quat = np.empty(0)
    if xyz.shape != (steps, 3) or quat.shape != (steps, 4) or not (np.isfinite(xyz).all() and np.isfinite(quat).all()):
        raise ClipRejectedError(
            "no_path",
            f"{item}: expected {steps} poses in {name}_xyz and {name}_quat, found shapes {xyz.shape} and {quat.shape}. "
            "Export with the components traj_history and traj_future.",
        )
    length = np.linalg.norm(quat, axis=1, keepdims=True)
    if (np.abs(length - 1) > _UNIT).any():
        raise ClipRejectedError("no_path", f"{item}: {name}_quat holds quaternions that are no rotations.")
    axes = [rotate(quat / length, np.broadcast_to(axis, xyz.shape)) for axis in np.eye(3)]
    return xyz, np.stack(axes, axis=-1)


def _shown(root: str, names: Any, item: str) -> NDArray[np.uint8]:
    """Return the pictures of a row as frames (N, 3, H, W)."""
    if not isinstance(names, list) or not names:
        raise ClipRejectedError("no_frame", f"{item}: expected pictures in images. Export with the component image.")
    frames = [_picture(root, name, item) for name in names]
    if len({frame.shape for frame in frames}) > 1:
        said = ", ".join(f"{name} {f.shape[2]} x {f.shape[1]}" for name, f in zip(names, frames, strict=True))
        raise ClipRejectedError("camera_sizes", f"{item}: pictures must have one size, found {said}.")
    return np.stack(frames)


def _picture(root: str, name: Any, item: str) -> NDArray[np.uint8]:
    parts = name.split("/") if isinstance(name, str) else []
    if len(parts) != 3 or parts[0] != _PICTURES or not all(map(is_legal_id, parts)):
        said = f"expected {_PICTURES}/<clip>/<picture>.jpg, found {str(name)[:80]!r}"
        raise ClipRejectedError("no_frame", f"{item}: images: {said}.")
    try:
        return pictures.of_bytes(files.read_bytes(files.join(root, name)), "JPEG")
    except (OSError, AlpamayoError) as error:
        raise ClipFailedError("unreadable_picture", f"{item}: {name}: {error}. Export the labels again.") from error
