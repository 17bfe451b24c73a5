"""Frames of windows: found, decoded once per clip, encoded once, and shared by all windows that show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coc_labeling.conversation import CameraFrames, Shot
from coc_labeling.model_clients.vlm_wrappers.common import encode_image
from coc_labeling.segment_videos import SegmentVideos
from coc_labeling.windows import Sampling
from driving_clips import files, registry
from driving_clips.errors import ClipError, ClipFailedError, ClipRejectedError, DatasetError
from driving_clips.video.locating import VideoFinder
from driving_clips.video.pictures import ImageSettings
from driving_clips.video.reading import VideoReader
from driving_clips.video.timestamps import nearest

REDACTORS = "coc_labeling.redactors"


@dataclass(frozen=True)
class Footage:
    """Brings the frames of a clip's windows.

    Attributes:
        finder: where videos lie.
        cameras: which cameras, in the order they are shown.
        sampling: when around a keyframe.
        images: how pictures are encoded.
        redactor: name of a function that changes frames before they leave, or None.
        segments: writes the windows as videos, or None.
        parted: frames for times up to the keyframe lie up to it, those for later times after it; else the nearest
            frame to the keyframe may lie a little after it.
    """

    finder: VideoFinder
    cameras: tuple[str, ...]
    sampling: Sampling
    images: ImageSettings
    redactor: str | None = None
    segments: SegmentVideos | None = None
    parted: bool = False

    def of_clip(self, clip_id: str, t0s_us: Sequence[int]) -> list[tuple[CameraFrames, ...] | ClipError]:
        """Return, for each keyframe of a clip, its frames by camera, or why they cannot be read."""
        by_camera = [self._of_camera(clip_id, camera, t0s_us) for camera in self.cameras]
        windows: list[tuple[CameraFrames, ...] | ClipError] = []
        for row in zip(*by_camera, strict=True):
            error = next((frames for frames in row if isinstance(frames, ClipError)), None)
            windows.append(error or tuple(frames for frames in row if isinstance(frames, CameraFrames)))
        return windows

    def _of_camera(self, clip_id: str, camera: str, t0s_us: Sequence[int]) -> list[CameraFrames | ClipError]:
        asked = len(self.sampling.offsets_us)
        location = self.finder.find(clip_id, camera)
        if location is None:
            note = f"No video of {camera} was found for this clip."
            return [CameraFrames(camera, (), asked, (note,))] * len(t0s_us)
        try:
            with VideoReader(location) as video:
                return self._decode(video, clip_id, t0s_us)
        except ClipError as error:
            return [error] * len(t0s_us)

    def _decode(self, video: VideoReader, clip_id: str, t0s_us: Sequence[int]) -> list[CameraFrames | ClipError]:
        camera = video.location.camera
        if self.parted and video.refused_times:  # the fault may lie after the keyframe, and must not be felt before it
            need = "What was seen until when needs times that hold: repair them, or remove the file."
            raise ClipFailedError("bad_frame_times", f"{video.notices[0]} {need}")
        wanted = [self._indices(video, t0) for t0 in t0s_us]
        try:
            together = self._shots(video, {index for own in wanted for index in own})
            taken: list[dict[int, Shot] | ClipError] = [together] * len(wanted)
        except ClipError:  # some frame is damaged: only the windows that show it are lost
            taken = [self._shots_or_error(video, set(own)) for own in wanted]
        frames: list[CameraFrames | ClipError] = []
        for t0, own, found in zip(t0s_us, wanted, taken, strict=True):
            if isinstance(found, ClipError):
                frames.append(found)
                continue
            shots = [found[i] for i in own]
            notes = list(video.notices)
            if self.segments is not None and shots:
                problem = self.segments.write(video, clip_id, t0, shots, self._redact())
                notes += [problem] if problem else []
            missing = len(self.sampling.offsets_us) - len(shots)
            frames.append(CameraFrames(camera, tuple(shots), missing, tuple(notes)))
        return frames

    def _indices(self, video: VideoReader, t0_us: int) -> list[int]:
        """Return the frames nearest to the sampled times, each once, oldest first."""
        times = np.array([t0_us + offset for offset in self.sampling.offsets_us], dtype=np.int64)
        tolerance = round(self.sampling.interval_sec * 5e5)
        if not self.parted:
            return _each_once(nearest(video.t_us, times, tolerance))
        known = int(np.searchsorted(video.t_us, t0_us, side="right"))
        past = nearest(video.t_us[:known], times[times <= t0_us], tolerance)
        future = nearest(video.t_us[known:], times[times > t0_us], tolerance)
        return [*_each_once(past), *(known + index for index in _each_once(future))]

    def _shots_or_error(self, video: VideoReader, indices: set[int]) -> dict[int, Shot] | ClipError:
        try:
            return self._shots(video, indices)
        except ClipError as error:
            return error

    def _shots(self, video: VideoReader, indices: set[int]) -> dict[int, Shot]:
        name = files.base_name(video.location.member or video.location.path)
        pictures = video.pictures(sorted(indices), self.images, self._redact())
        return {p.index: Shot(name, p.index, p.t_us, encode_image(p.jpeg)) for p in pictures}

    def _redact(self) -> Any:
        return None if self.redactor is None else find_redactor(self.redactor)

    def shots_of(self, clip_id: str, file: str, indices: set[int]) -> dict[int, Shot]:
        """Return frames by the name of their video and their places there.

        Raises:
            ClipError: no such video or frame.
        """
        for camera in self.cameras:
            location = self.finder.find(clip_id, camera)
            if location is not None and files.base_name(location.member or location.path) == file:
                with VideoReader(location) as video:
                    if max(indices) >= len(video.t_us):
                        detail = f"{location}: {len(video.t_us)} frames, but frame {max(indices)} was shown."
                        raise ClipFailedError("changed_video", detail)
                    return self._shots(video, indices)
        raise ClipRejectedError("no_video", f"{clip_id}: no video {file} among the cameras {', '.join(self.cameras)}.")


def _each_once(found: NDArray[np.int64]) -> list[int]:
    return sorted({int(index) for index in found if index >= 0})


def find_redactor(name: str) -> Any:
    """Return the function that changes frames; raises DatasetError listing the known ones."""
    try:
        return registry.look_up("redactor", name, {}, REDACTORS)
    except KeyError as error:
        raise DatasetError(f"egress.redactor: {error.args[0]}") from error
