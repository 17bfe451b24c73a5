"""Videos and frames of windows, cut at exact times; never a frame from after the keyframe in what is of the history.

Reviewers sit where the drives lie, so that nothing leaves by showing them frames. Where a run names a redactor
(``egress.redactor``) it is applied all the same: who set it up did not want faces and plates to be looked at, and pages
of a review are easily photographed.
"""

import functools
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coc_labeling.footage import find_redactor
from coc_labeling.review.material.errors import MaterialError, told
from coc_labeling.review.material.parts import Part
from coc_labeling.review.material.sources import Sources
from driving_clips.datasets.base import CLIP_US, VideoLocation, is_legal_id
from driving_clips.video.encoding import Timed, encode_h264
from driving_clips.video.pictures import ImageSettings, Redact, Rgb, redacted_frame
from driving_clips.video.reading import VideoReader
from driving_clips.video.timestamps import nearest

MAX_SIDE = 960  # pixels
KEYFRAME_EVERY = 10  # frames: a jump decodes a third of a second at most
IMAGES = ImageSettings(quality=85, max_side=MAX_SIDE)


@dataclass(frozen=True)
class ClipVideo:
    """What is known of a clip's video before any of it is decoded.

    Attributes:
        location: where it lies.
        t_us: (N,) times of its frames on the clip clock up to the clip's end, increasing.
        notices: what a user should know of it as a whole.
        times_hold: whether its times are those of its timestamps file, or it has none.
    """

    location: VideoLocation
    t_us: NDArray[np.int64]
    notices: tuple[str, ...]
    times_hold: bool

    def indices(self, part: Part) -> NDArray[np.intp]:
        """Return the frames of a part.

        Raises:
            MaterialError: none lies in it; or what was seen until when cannot be told.
        """
        if not self.times_hold and not part.future:
            raise MaterialError(
                f"The timestamps file of the video of {self.location.camera} cannot be used, so that nobody knows "
                "which frames had been seen at the keyframe. Repair the file, or remove it."
            )
        found = np.flatnonzero(part.holds(self.t_us))
        if not len(found):
            raise MaterialError(f"The video of {self.location.camera} has no frame in this part of the clip.")
        return found

    def sampled(self, part: Part, offsets_us: NDArray[np.int64], tolerance_us: int) -> dict[int, int]:
        """Return the frame's index of each sampled time that has one within the tolerance, by the time's number.

        Frames of times up to the keyframe lie up to it, those of later times after it. Later times have none in a
        history.

        Args:
            part: what may be shown.
            offsets_us: (M,) the sampled times relative to the keyframe, increasing.
            tolerance_us: how far a frame may be from its time.

        Raises:
            MaterialError: as in ``indices``.
        """
        self.indices(part)
        known = int(np.searchsorted(self.t_us, part.t0_us, side="right"))
        times = part.t0_us + offsets_us
        past = int(np.searchsorted(times, part.t0_us, side="right"))
        found = list(nearest(self.t_us[:known], times[:past], tolerance_us))
        if part.future:
            later = nearest(self.t_us[known:], times[past:], tolerance_us)
            found += [index + known if index >= 0 else -1 for index in later]
        return {number: int(index) for number, index in enumerate(found) if index >= 0}


class Videos:
    """Opens the videos of a run's clips."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._finding, self._redacting = threading.Lock(), threading.Lock()

    def open(self, clip_id: str) -> ClipVideo:
        """Return what is known of a clip's video; raises MaterialError."""
        if not is_legal_id(clip_id):
            raise MaterialError(f"{clip_id[:80]!r} cannot be a clip's name (letters, digits, '.', '_' and '-').")
        camera, finder = self._sources.camera, self._sources.finder
        if finder is None:
            raise MaterialError(self._sources.problem)
        _need_libraries()
        with told(f"{clip_id}: video of {camera}"):
            with self._finding:
                location = finder.find(clip_id, camera)
            if location is None:
                raise MaterialError(
                    f"No video of {camera} was found for clip {clip_id}. Start coc review with --video_dir where "
                    "videos are, or with another --camera."
                )
            with VideoReader(location) as video:
                # What comes later in a recording is the next clip's, whose history may still have to be judged.
                t_us = video.t_us[video.t_us <= CLIP_US]
                return ClipVideo(location, t_us, tuple(video.notices), not video.refused_times)

    def encode(self, clip: ClipVideo, part: Part, path: str) -> None:
        """Write the frames of a part as a video that browsers play, at their true times, the first at 0.

        Raises:
            MaterialError: it cannot be made.
        """
        indices, redact = clip.indices(part), self._redactor()
        with told(f"video of {clip.location.camera}"), VideoReader(clip.location) as video:
            frames, binary = _shown(video, indices, redact), self._sources.ffmpeg_bin
            fps = _rate(clip.t_us[indices])
            encode_h264(frames, path, fps, binary, max_side=MAX_SIDE, keyframe_every=KEYFRAME_EVERY)

    def pictures(self, clip: ClipVideo, indices: set[int]) -> dict[int, bytes]:
        """Return frames as JPEG by index, decoded in one pass; raises MaterialError."""
        redact = self._redactor()
        with told(f"frames of {clip.location.camera}"), VideoReader(clip.location) as video:
            return {picture.index: picture.jpeg for picture in video.pictures(indices, IMAGES, redact)}

    def settings(self) -> list[Any]:
        """Return all that decides how a video looks, for the name of a file that is kept."""
        return [MAX_SIDE, KEYFRAME_EVERY, self._sources.redactor, self._sources.ffmpeg_bin]

    def _redactor(self) -> Redact | None:
        name = self._sources.redactor
        if name is None:
            return None
        with told("frames are shown only as the run's redactor leaves them"):
            redact = find_redactor(name)

        @functools.wraps(redact)
        def one_at_a_time(picture: Rgb, camera: str, t_us: int) -> Rgb:
            with self._redacting:  # it was written for processes of one thread
                changed: Rgb = redact(picture, camera, t_us)
            return changed

        return one_at_a_time


def _shown(video: VideoReader, indices: NDArray[np.intp], redact: Redact | None) -> Iterator[Timed]:
    """Yield (us since the first frame, frame), redacted where that is asked for, and upright."""
    first_us, camera = int(video.t_us[indices[0]]), video.location.camera
    for index, frame in video.frames(indices.tolist()):
        t_us = int(video.t_us[index])
        change = redact or (_unchanged if round(frame.rotation) % 360 else None)
        shown = redacted_frame(frame, change, camera, t_us) if change else frame
        yield t_us - first_us, shown


def _rate(t_us: NDArray[np.int64]) -> float:
    """Return frames a second, of these frames alone: the video's own rate would tell of what comes after a history."""
    return (len(t_us) - 1) * 1e6 / float(t_us[-1] - t_us[0]) if len(t_us) > 1 else 1.0


def _unchanged(picture: Rgb, _camera: str, _t_us: int) -> Rgb:
    return picture


def _need_libraries() -> None:
    with told("Showing videos"):
        import av  # noqa: F401
        import PIL  # noqa: F401
