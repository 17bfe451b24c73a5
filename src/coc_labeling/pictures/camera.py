"""A camera's pictures at given moments, found by the frames' timestamps."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from coc_labeling.pictures.ink import pillow
from driving_clips.video.pictures import to_rgb
from driving_clips.video.reading import VideoReader

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from PIL.Image import Image

NEAR_US = 100_000  # a frame stands for a moment within this time of it


def pictures_at(video: VideoReader, t_us: NDArray[np.int64]) -> "Iterator[Image | None]":
    """Yield for each moment (F,), us on the clip clock and increasing, the nearest frame's picture at full size.

    None where no frame was taken near it. Each frame is decoded once.

    Raises:
        ClipFailedError: a frame that cannot be decoded.
    """
    wanted = video.nearest(t_us, NEAR_US)
    frames = frames_in_order(video, wanted[wanted >= 0])
    shown, picture = -1, None
    for index in wanted.tolist():
        if index >= 0 and index != shown:
            shown, frame = next(frames)
            picture = pillow().Image.fromarray(to_rgb(frame))
        yield picture if index >= 0 else None


def frames_in_order(video: VideoReader, indices: NDArray[np.int64]) -> "Iterator[tuple[int, VideoFrame]]":
    """Yield (index, frame) in the order of time, each frame once; a damaged one, which is read later, is waited for.

    Raises:
        ClipFailedError: a frame that cannot be decoded.
    """
    ordered = np.unique(indices).tolist()
    frames, waiting = video.frames(ordered), dict[int, "VideoFrame"]()
    for index in ordered:
        while index not in waiting:
            number, frame = next(frames)
            waiting[number] = frame
        yield index, waiting.pop(index)
