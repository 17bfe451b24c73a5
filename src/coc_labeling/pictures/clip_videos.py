"""One video for each clip: drawn and encoded here. Runs in worker processes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from coc_labeling.pictures.camera import pictures_at
from coc_labeling.pictures.layout import Layout
from coc_labeling.pictures.renderer import ClipRenderer
from coc_labeling.pictures.story import ClipStory
from coc_labeling.pictures.story_files import StoryFiles
from driving_clips.video.encoding import Timed, encode_h264
from driving_clips.video.locating import DEFAULT_CAMERA, VideoFinder
from driving_clips.video.opening import pyav
from driving_clips.video.reading import VideoReader

if TYPE_CHECKING:
    from PIL.Image import Image

CAMERA, SCHEMATIC = "camera", "schematic"
_BT709, _LIMITED_RANGE, _FULL_RANGE = 1, 1, 2  # ISO/IEC 23091-2, and ffmpeg's numbers of ranges


@dataclass(frozen=True)
class ClipVideos(StoryFiles):
    """Writes ``<folder>/<clip_id>.mp4``.

    Attributes:
        finder: knows where videos lie.
        fps: pictures a second.
        height: of the pictures, in pixels.
    """

    ending = ".mp4"

    finder: VideoFinder
    fps: float
    height: int

    def write(self, story: ClipStory, path: str, notices: list[str]) -> str:
        """Write a clip's video; returns whether a camera or the scene from above is in it."""
        t_us = story.times_us(self.fps)
        renderer = ClipRenderer(story, t_us, Layout(self.height))
        location = self.finder.find(story.clip_id, DEFAULT_CAMERA)
        if location is None:
            encode_h264(_timed(renderer.draw_all(None), t_us), path, self.fps)
            return SCHEMATIC
        with VideoReader(location) as video:
            notices += video.notices
            encode_h264(_timed(renderer.draw_all(pictures_at(video, t_us)), t_us), path, self.fps)
        return CAMERA


def _timed(images: "Iterable[Image]", t_us: NDArray[np.int64]) -> Iterator[Timed]:
    """Yield pictures as video frames in the colours of high definition, which players expect of this size."""
    av = pyav()
    for image, since_us in zip(images, (t_us - t_us[0]).tolist(), strict=True):
        frame = av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24").reformat(
            format="yuv420p",
            src_color_range=_FULL_RANGE,
            dst_colorspace=_BT709,
            dst_color_range=_LIMITED_RANGE,
            threads=1,
        )
        frame.colorspace = frame.color_primaries = frame.color_trc = _BT709
        yield since_us, frame
