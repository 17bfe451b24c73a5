"""One moment of the Physical AI dataset as tensors, from a local folder or through the dataset's own kit."""

from collections.abc import Sequence
from functools import lru_cache
from numbers import Integral, Real
from os import PathLike, fspath
from typing import Any

import numpy as np

from alpamayo_r1 import extras
from alpamayo_r1.aiav_kit import KitReader, open_kit
from alpamayo_r1.scenes import DEFAULT_T0_US, MODEL_CAMERAS, EgoPath, Scene, SceneReader, SceneShape, sorted_cameras
from driving_clips.datasets.pai import PaiDataset
from driving_clips.errors import DatasetError


def load_physical_aiavdataset(
    clip_id: str,
    t0_us: int = DEFAULT_T0_US,
    avdi: Any = None,
    maybe_stream: bool = True,
    num_history_steps: int = 16,
    num_future_steps: int = 64,
    time_step: float = 0.1,
    camera_features: Sequence[str] | None = None,
    num_frames: int = 4,
) -> dict[str, Any]:
    """Return one moment of a clip, as the model and its users' scripts take it.

    Args:
        clip_id: the clip.
        t0_us: the moment, us on the clip clock.
        avdi: a folder with the dataset (a path, read as it is, nothing is downloaded); or the interface object of the
            dataset's kit ``physical_ai_av``; None for a new one of the kit, with the kit's own settings.
        maybe_stream: whether the kit may fetch what is not on disk; without meaning for a folder.
        num_history_steps: poses up to t0.
        num_future_steps: poses after it.
        time_step: between poses and between frames, in s.
        camera_features: names of cameras, None for cross left, front wide, cross right and front tele.
        num_frames: of each camera, the last one at t0.

    Returns:
        ``image_frames`` (cameras, frames, 3, H, W) uint8, cameras sorted by index; ``camera_indices`` (cameras,)
        int64; ``ego_history_xyz`` (1, 1, history, 3) float32 m and ``ego_history_rot`` (1, 1, history, 3, 3) in the
        ego frame at t0 (x forward, y left); ``ego_future_xyz`` and ``ego_future_rot`` likewise, None where the clip
        ends before them; ``relative_timestamps`` (cameras, frames) float32 s after t0, so never much above zero;
        ``absolute_timestamps`` (cameras, frames) int64 us on the clip clock; ``t0_us`` and ``clip_id`` as given.

    Raises:
        ClipError: no such clip or moment, too little history, a missing camera or frame; the message names them.
        DatasetError: no such folder or kit, unusable arguments, or torch is missing.

    Example:
        >>> data = load_physical_aiavdataset("0a0b...", avdi="/data/pai")  # doctest: +SKIP
        >>> data["image_frames"].shape  # doctest: +SKIP
        torch.Size([4, 4, 3, 1080, 1920])
    """
    shape = SceneShape(num_history_steps, num_future_steps, time_step, num_frames)
    cameras = sorted_cameras(MODEL_CAMERAS if camera_features is None else camera_features)
    reader: SceneReader | KitReader
    if isinstance(avdi, str | PathLike):
        reader = _folder_reader(fspath(avdi), cameras, shape)
    else:
        reader = KitReader(open_kit() if avdi is None else avdi, cameras, shape, maybe_stream=maybe_stream)
    return scene_tensors(reader.read(clip_id, _whole(t0_us, clip_id)), shape)


def _whole(t0_us: Any, clip_id: str) -> int:
    """Return the moment as a number of Python; raises DatasetError for what is no whole number."""
    known = isinstance(t0_us, Integral) or (isinstance(t0_us, Real) and float(t0_us).is_integer())
    if not known:
        raise DatasetError(f"{clip_id}: t0_us={t0_us!r}: expected whole microseconds on the clip clock.")
    return int(t0_us)


def scene_tensors(scene: Scene, shape: SceneShape) -> dict[str, Any]:
    """Return a scene as ``load_physical_aiavdataset`` does.

    Raises:
        ClipRejectedError: cameras with frames of different sizes.
    """
    torch = extras.torch()
    taken_us = scene.frame_times_us
    return {
        "image_frames": torch.from_numpy(scene.stacked_frames()),
        "camera_indices": torch.from_numpy(scene.camera_indices),
        **path_tensors(scene.path, shape),
        "relative_timestamps": torch.from_numpy(((taken_us - scene.t0_us) / 1e6).astype(np.float32)),
        "absolute_timestamps": torch.from_numpy(taken_us),
        "t0_us": scene.t0_us,
        "clip_id": scene.clip_id,
    }


def path_tensors(path: EgoPath, shape: SceneShape) -> dict[str, Any]:
    """Return a path as float32 tensors (1, 1, T, 3) and (1, 1, T, 3, 3); a future that is not whole as None."""
    torch = extras.torch()
    whole = len(path.future_xyz) == shape.future_steps
    arrays = {
        "ego_history_xyz": path.history_xyz,
        "ego_history_rot": path.history_rot,
        "ego_future_xyz": path.future_xyz if whole else None,
        "ego_future_rot": path.future_rot if whole else None,
    }
    return {
        name: None if values is None else torch.from_numpy(values.astype(np.float32))[None, None]
        for name, values in arrays.items()
    }


@lru_cache(maxsize=4)
def _folder_reader(data_dir: str, cameras: tuple[str, ...], shape: SceneShape) -> SceneReader:
    """Return what reads a folder, listed once in a process."""
    return SceneReader(PaiDataset(data_dir), cameras, shape)
