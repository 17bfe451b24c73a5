"""The Physical AI dataset through its own kit, ``physical_ai_av``: only what the kit documents is used.

What the kit gives is checked before it is used, for it may change: another form is an error that says what was
expected.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alpamayo_r1.scenes import EgoPath, Scene, SceneShape, in_frame_of
from driving_clips.errors import ClipFailedError, ClipRejectedError, DatasetError
from driving_clips.geometry import Floats, quat_of_matrix

EGO_MOTION = "egomotion"


def open_kit() -> Any:
    """Return a new interface of the kit, with the kit's own settings; raises DatasetError where it is missing."""
    try:
        from physical_ai_av import PhysicalAIAVDatasetInterface
    except ImportError as error:
        raise DatasetError(
            "avdi=None reads through the dataset's kit, which is not installed: pip install 'coc-toolkit[pai]'. "
            "For a folder on disk give its path, avdi='/path/to/pai'."
        ) from error
    return PhysicalAIAVDatasetInterface()


@dataclass(frozen=True)
class KitReader:
    """Reads moments through the kit.

    Attributes:
        kit: its interface object: ``get_clip_feature(clip_id, feature, maybe_stream=...)``.
        cameras: which cameras, sorted by index.
        shape: how much of a moment is read.
        maybe_stream: whether the kit may fetch what is not on disk.
    """

    kit: Any
    cameras: tuple[str, ...]
    shape: SceneShape
    maybe_stream: bool

    def __post_init__(self) -> None:
        if not callable(getattr(self.kit, "get_clip_feature", None)):
            raise DatasetError(
                "avdi: expected the dataset's folder, or an interface object of physical_ai_av with "
                f"get_clip_feature, found {type(self.kit).__name__}."
            )

    def read(self, clip_id: str, t0_us: int) -> Scene:
        """Return a moment of a clip.

        Raises:
            ClipError: the kit cannot give it, or gives values that cannot be used; the message names clip and value.
        """
        path = self._path(clip_id, t0_us)
        wanted = t0_us + self.shape.frame_offsets_us
        shown = [self._frames(clip_id, camera, wanted) for camera in self.cameras]
        frames, times = zip(*shown, strict=True)
        return Scene(clip_id, t0_us, self.cameras, tuple(frames), np.stack(times), path)

    def _feature(self, clip_id: str, feature: str) -> Any:
        try:
            return self.kit.get_clip_feature(clip_id, feature, maybe_stream=self.maybe_stream)
        except Exception as error:  # the kit, and what it fetches with, may raise anything
            raise ClipFailedError(
                "kit", f"{clip_id}: {feature}: the dataset's kit says {type(error).__name__}: {error}"
            ) from error

    def _path(self, clip_id: str, t0_us: int) -> EgoPath:
        shape, motion = self.shape, self._feature(clip_id, EGO_MOTION)
        first, last = _covered(motion, t0_us, shape)
        if not first <= t0_us <= last:
            said = f"{clip_id}: t0_us={t0_us} is outside its ego motion, which covers {first} to {last} us."
            raise ClipRejectedError("outside_clip", said)
        if t0_us - shape.history_us < first:
            raise ClipRejectedError(
                "history_too_short",
                f"{clip_id}: t0_us={t0_us} has {(t0_us - first) / 1e6:.3f} s of ego motion before it, and "
                f"{shape.history_us / 1e6:.3f} s are needed. Choose t0_us from {first + shape.history_us} on.",
            )
        steps = min(shape.future_steps, (last - t0_us) // shape.step_us)
        offsets = np.arange(1 - shape.history_steps, steps + 1, dtype=np.int64) * shape.step_us
        local, rot = in_frame_of(*_poses(motion, t0_us + offsets, clip_id), shape.history_steps - 1)
        now = shape.history_steps
        return EgoPath(local[:now], rot[:now], local[now:], rot[now:])

    def _frames(
        self, clip_id: str, camera: str, wanted_us: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        video = self._feature(clip_id, camera)
        try:
            frames, taken_us = video.decode_images_from_timestamps(wanted_us)
        except Exception as error:  # as above
            said = f"{clip_id}: {camera}: the dataset's kit says {type(error).__name__}: {error}"
            raise ClipFailedError("kit", said) from error
        shown, times = np.asarray(frames), np.asarray(taken_us)
        if shown.ndim != 4 or shown.shape[3] != 3 or shown.dtype != np.uint8 or shown.shape[0] != len(wanted_us):
            raise ClipFailedError(
                "kit",
                f"{clip_id}: {camera}: expected ({len(wanted_us)}, height, width, 3) uint8 from the dataset's kit, "
                f"found {shown.shape} of {shown.dtype}.",
            )
        far = np.abs(times.astype(np.int64) - wanted_us) > self.shape.step_us // 2
        if far.any():
            said = f"{clip_id}: {camera} has no frame within {self.shape.step_us // 2} us of {wanted_us[far][0]} us."
            raise ClipRejectedError("no_frame", said)
        return np.ascontiguousarray(shown.transpose(0, 3, 1, 2)), times.astype(np.int64)


def _covered(motion: Any, t0_us: int, shape: SceneShape) -> tuple[int, int]:
    """Return the times that the kit's ego motion covers, in us; what is wanted, where it does not say it."""
    said = getattr(motion, "time_range", None)
    if said is None:
        return t0_us - shape.history_us, t0_us + shape.future_steps * shape.step_us
    return int(said[0]), int(said[1])


def _poses(motion: Any, t_us: NDArray[np.int64], clip_id: str) -> tuple[Floats, Floats]:
    """Return positions (N, 3) in m and rotations (N, 4), scalar last, at times in us."""
    try:
        pose = motion(t_us).pose
        xyz = np.asarray(pose.translation, np.float64)
        quat = quat_of_matrix(np.asarray(pose.rotation.as_matrix(), np.float64))
    except Exception as error:  # as above
        said = f"{clip_id}: the dataset kit's ego motion at {t_us[0]} to {t_us[-1]} us: {type(error).__name__}: {error}"
        raise ClipFailedError("kit", said) from error
    bad = ~(np.isfinite(xyz).all(axis=-1) & np.isfinite(quat).all(axis=-1))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ClipFailedError("not_finite", f"{clip_id}: ego motion at {t_us[row]} us is {xyz[row].tolist()}.")
    return xyz, quat
