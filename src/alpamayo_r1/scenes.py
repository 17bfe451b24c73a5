"""What the model sees of one moment: frames, the history that was driven, and the future where it is recorded.

Any dataset of ``driving_clips`` gives it. Only numpy is needed here.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driving_clips.datasets.base import Dataset, Source, recording_of
from driving_clips.ego_motion import MAX_HOLE_US, TICK_US, EgoSamples
from driving_clips.errors import ClipError, ClipRejectedError, DatasetError
from driving_clips.geometry import Floats, multiply, rotate
from driving_clips.video.locating import VideoFinder
from driving_clips.video.pictures import to_rgb
from driving_clips.video.reading import VideoReader

# The rig of the Physical AI dataset: the order in which the model was shown its cameras.
CAMERA_INDICES = {
    "camera_cross_left_120fov": 0,
    "camera_front_wide_120fov": 1,
    "camera_cross_right_120fov": 2,
    "camera_rear_left_70fov": 3,
    "camera_rear_tele_30fov": 4,
    "camera_rear_right_70fov": 5,
    "camera_front_tele_30fov": 6,
}
UNKNOWN_CAMERA = -1  # the index of a camera of another rig
MODEL_CAMERAS = tuple(name for name, index in CAMERA_INDICES.items() if index in (0, 1, 2, 6))
DEFAULT_T0_US = 5_100_000


@dataclass(frozen=True)
class SceneShape:
    """How much of a moment is read.

    Attributes:
        history_steps: poses up to t0, which is the last of them.
        future_steps: poses after t0.
        step_sec: between poses, and between frames, in s.
        frames: of each camera, the last one at t0.

    Example:
        >>> SceneShape().history_us
        1500000
    """

    history_steps: int = 16
    future_steps: int = 64
    step_sec: float = 0.1
    frames: int = 4

    def __post_init__(self) -> None:
        least = {"history_steps": 1, "future_steps": 0, "frames": 1}
        for name, low in least.items():
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < low:
                raise DatasetError(f"{name}={value!r}: expected a whole number of at least {low}.")
        step: Any = self.step_sec
        if not isinstance(step, Real) or not 0.001 <= float(step) <= 10.0:
            raise DatasetError(f"step_sec={step!r}: expected s between poses, from 0.001 to 10.")

    @property
    def step_us(self) -> int:
        """The step in microseconds."""
        return round(self.step_sec * 1e6)

    @property
    def history_us(self) -> int:
        """How far the history reaches back, in microseconds."""
        return (self.history_steps - 1) * self.step_us

    @property
    def frame_offsets_us(self) -> NDArray[np.int64]:
        """When frames are taken relative to t0, (frames,) in microseconds."""
        offsets: NDArray[np.int64] = (np.arange(self.frames, dtype=np.int64) - self.frames + 1) * self.step_us
        return offsets


@dataclass(frozen=True)
class EgoPath:
    """Ego's history and future in the ego frame at t0: x forward, y left, z up, the pose at t0 at the origin.

    Attributes:
        history_xyz: (H, 3) m, the last one zero.
        history_rot: (H, 3, 3), the last one the identity.
        future_xyz: (F, 3) m, as far as the clip reaches; of length 0 where it ends at t0.
        future_rot: (F, 3, 3).
    """

    history_xyz: Floats
    history_rot: Floats
    future_xyz: Floats
    future_rot: Floats


@dataclass(frozen=True)
class Scene:
    """One moment of a clip.

    Attributes:
        clip_id: the clip.
        t0_us: the moment, us on the clip clock.
        cameras: their names, sorted by index.
        frames: of each camera (frames, 3, H, W) uint8 RGB, oldest first.
        frame_times_us: (cameras, frames) int64, when they were taken, us on the clip clock.
        path: what ego drove around t0.
        notes: what was odd with the videos.
    """

    clip_id: str
    t0_us: int
    cameras: tuple[str, ...]
    frames: tuple[NDArray[np.uint8], ...]
    frame_times_us: NDArray[np.int64]
    path: EgoPath
    notes: tuple[str, ...] = ()

    @property
    def camera_indices(self) -> NDArray[np.int64]:
        """The cameras' places in the rig (cameras,)."""
        return np.array([CAMERA_INDICES.get(name, UNKNOWN_CAMERA) for name in self.cameras], np.int64)

    @property
    def frame_size(self) -> tuple[int, int]:
        """Height and width of all frames in pixels; raises ClipRejectedError where cameras differ."""
        sizes = {camera: frames.shape[2:] for camera, frames in zip(self.cameras, self.frames, strict=True)}
        if len(set(sizes.values())) > 1:
            said = ", ".join(f"{camera} {width} x {height}" for camera, (height, width) in sizes.items())
            raise ClipRejectedError(
                "camera_sizes", f"{self.clip_id}: frames of all cameras must have one size, found {said}."
            )
        height, width = sizes[self.cameras[0]]
        return height, width

    def stacked_frames(self) -> NDArray[np.uint8]:
        """Return all frames as (cameras, frames, 3, H, W) uint8; raises ClipRejectedError where sizes differ."""
        height, width = self.frame_size
        return np.stack(self.frames).reshape(len(self.cameras), -1, 3, height, width)


def sorted_cameras(cameras: Sequence[str]) -> tuple[str, ...]:
    """Return cameras as the model is shown them: by index, those of another rig after them in their own order.

    Raises:
        DatasetError: none, one twice, or a text instead of a list.

    Example:
        >>> sorted_cameras(["camera_front_tele_30fov", "roof", "camera_front_wide_120fov"])
        ('camera_front_wide_120fov', 'camera_front_tele_30fov', 'roof')
    """
    if isinstance(cameras, str):
        raise DatasetError(f"cameras {cameras!r}: expected a list of names, found one text.")
    if not cameras or len(set(cameras)) < len(cameras):
        raise DatasetError(f"cameras {', '.join(cameras) or 'none'}: expected at least one, each once.")
    return tuple(sorted(cameras, key=lambda name: CAMERA_INDICES.get(name, len(CAMERA_INDICES))))


def ego_path(samples: EgoSamples, t0_us: int, shape: SceneShape, clip_id: str) -> EgoPath:
    """Return what ego drove around a moment.

    Positions are interpolated linearly and rotations along the shorter arc, as everywhere in this project.

    Args:
        samples: of the whole clip, on its clock.
        t0_us: the moment.
        shape: how much is wanted.
        clip_id: for messages.

    Raises:
        ClipRejectedError: no usable sample, t0 outside the clip, a history that is too short, or a hole in it.
    """
    try:
        known = samples.cleaned()
    except ClipRejectedError as error:
        raise ClipRejectedError(error.reason, f"{clip_id}: {error}") from error
    first, last = int(known.t_us[0]), int(known.t_us[-1])
    if len(known.t_us) < 2 or not first <= t0_us <= last:
        raise ClipRejectedError(
            "outside_clip",
            f"{clip_id}: t0_us={t0_us} is outside its ego motion, which covers {first} to {last} us "
            f"({len(known.t_us)} samples).",
        )
    if t0_us - shape.history_us < first:
        raise ClipRejectedError(
            "history_too_short",
            f"{clip_id}: t0_us={t0_us} has {(t0_us - first) / 1e6:.3f} s of ego motion before it, and "
            f"{shape.history_us / 1e6:.3f} s are needed ({shape.history_steps} poses). Choose t0_us from "
            f"{first + shape.history_us} on.",
        )
    steps = min(shape.future_steps, (last - t0_us) // shape.step_us)
    steps = _refuse_holes(known.t_us, t0_us, shape, steps, clip_id)
    offsets = np.arange(1 - shape.history_steps, steps + 1, dtype=np.int64) * shape.step_us
    xyz, rot = in_frame_of(*known.poses_at(t0_us + offsets), shape.history_steps - 1)
    now = shape.history_steps
    return EgoPath(xyz[:now], rot[:now], xyz[now:], rot[now:])


def in_frame_of(xyz: Floats, quat: Floats, row: int) -> tuple[Floats, Floats]:
    """Return poses as seen from one of them.

    Args:
        xyz: (N, 3) m in any frame with z up.
        quat: (N, 4) scalar-last, vehicle into that frame.
        row: of the pose that becomes origin and axes.

    Returns:
        Positions (N, 3) in m and rotations (N, 3, 3).
    """
    inverse = np.broadcast_to(quat[row] * [-1.0, -1.0, -1.0, 1.0], quat.shape)
    local = rotate(inverse, xyz - xyz[row])
    turned = multiply(inverse, quat)
    columns = [rotate(turned, np.broadcast_to(axis, xyz.shape)) for axis in np.eye(3)]
    return local, np.stack(columns, axis=-1)


def _refuse_holes(t_us: NDArray[np.int64], t0_us: int, shape: SceneShape, steps: int, clip_id: str) -> int:
    """Return how many future steps there are before the first hole; raises ClipRejectedError for one in the history."""
    holes = np.flatnonzero(np.diff(t_us) > MAX_HOLE_US)
    for hole in holes.tolist():
        start, end = int(t_us[hole]), int(t_us[hole + 1])
        if start < t0_us and end > t0_us - shape.history_us:
            raise ClipRejectedError(
                "hole",
                f"{clip_id}: no ego motion for {(end - start) / 1e6:.2f} s after {start} us, within the history of "
                f"t0_us={t0_us}; holes of up to {MAX_HOLE_US / 1e6} s are interpolated.",
            )
        if start >= t0_us:
            return min(steps, (start - t0_us) // shape.step_us)
    return steps


@dataclass(frozen=True)
class SceneReader:
    """Reads moments of a dataset's clips. Several threads may share one.

    Attributes:
        dataset: the dataset.
        cameras: which cameras, sorted by index.
        shape: how much of a moment is read.
        video_dir: a folder of videos that comes before the dataset's own, or None.

    Example:
        >>> reader = SceneReader(open_dataset("pai", "/data/pai"))  # doctest: +SKIP
        >>> reader.read("0a0b...", 5_100_000).path.history_xyz.shape  # doctest: +SKIP
        (16, 3)
    """

    dataset: Dataset
    cameras: tuple[str, ...] = MODEL_CAMERAS
    shape: SceneShape = field(default_factory=SceneShape)
    video_dir: str | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    _last: dict[str, dict[str, EgoSamples | ClipError]] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def sources(self) -> dict[str, Source]:
        """The recordings by id, in the dataset's order; raises DatasetError where there are none."""
        return {source.recording_id: source for group in self.dataset.discover().groups for source in group.sources}

    @cached_property
    def _finder(self) -> VideoFinder:
        return VideoFinder(self.dataset, self.video_dir)

    def read(self, clip_id: str, t0_us: int) -> Scene:
        """Return a moment of a clip.

        Raises:
            ClipError: no such clip, no such moment in it, or no frame of a camera; the message names them.
            DatasetError: no video can be read at all.
        """
        path = self.path(clip_id, t0_us)
        frames, times = [], []
        notes: list[str] = []
        for camera in self.cameras:
            shown, taken_us, said = self._frames(clip_id, camera, t0_us)
            frames.append(shown)
            times.append(taken_us)
            notes += said
        return Scene(clip_id, t0_us, self.cameras, tuple(frames), np.stack(times), path, tuple(notes))

    def path(self, clip_id: str, t0_us: int) -> EgoPath:
        """Return what ego drove around a moment; raises ClipError as ``read``."""
        return ego_path(self.samples(clip_id), t0_us, self.shape, clip_id)

    def samples(self, clip_id: str) -> EgoSamples:
        """Return a clip's ego motion as recorded; raises ClipError where it cannot be read."""
        source = self._source(clip_id)
        found = self.clips_of(source).get(clip_id)
        if found is None:
            raise ClipRejectedError("no_clip", f"{clip_id}: {source} holds no clip of this id.")
        if isinstance(found, ClipError):
            raise found
        return found

    def clips_of(self, source: Source) -> dict[str, EgoSamples | ClipError]:
        """Return a recording's clips by id; raises ClipError where it cannot be read."""
        with self._lock:  # a recording's clips come one after another
            if source.recording_id not in self._last:
                clips = dict(self.dataset.clips_of(source))
                self._last.clear()
                self._last[source.recording_id] = clips
            return self._last[source.recording_id]

    def moments(self, clip_id: str, every_us: int) -> Iterator[int]:
        """Yield, in us, the moments of a clip with a whole history, one each ``every_us``, from the first tick on."""
        known = self.samples(clip_id).cleaned()
        first = -(-(max(0, int(known.t_us[0])) + self.shape.history_us) // TICK_US) * TICK_US
        yield from range(first, int(known.t_us[-1]) + 1, every_us)

    def _source(self, clip_id: str) -> Source:
        names: Iterable[str] = (clip_id, recording_of(clip_id)) if self.dataset.cuts_recordings else (clip_id,)
        source = next((self.sources[name] for name in names if name in self.sources), None)
        if source is None:
            raise ClipRejectedError(
                "no_clip",
                f"{clip_id}: no clip of this id among the {len(self.sources)} recordings in {self.dataset.data_dir}.",
            )
        return source

    def _frames(
        self, clip_id: str, camera: str, t0_us: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]:
        """Return a camera's frames (frames, 3, H, W), when each was taken, and what was odd with the video."""
        location = self._finder.find(clip_id, camera)
        if location is None:
            raise ClipRejectedError("no_camera", f"{clip_id}: no video of {camera} was found for this clip.")
        wanted = t0_us + self.shape.frame_offsets_us
        with VideoReader(location) as video:
            indices = video.nearest(wanted, self.shape.step_us // 2)
            if (missing := wanted[indices < 0]).size:
                raise ClipRejectedError(
                    "no_frame",
                    f"{clip_id}: {camera} has no frame within {self.shape.step_us // 2} us of {missing[0]} us "
                    f"(t0_us={t0_us}); its video covers {video.t_us[0]} to {video.t_us[-1]} us.",
                )
            decoded = {index: to_rgb(frame) for index, frame in video.frames(indices)}
            shown = np.stack([decoded[index].transpose(2, 0, 1) for index in indices.tolist()])
            return shown, video.t_us[indices], tuple(video.notices)
