"""Decoded frames as JPEG pictures: right colours, bounded size, no metadata, the same bytes every time."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from driving_clips.errors import ClipFailedError, DatasetError
from driving_clips.video.opening import pyav

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from PIL.Image import Image

Rgb = NDArray[np.uint8]  # (height, width, 3)
Redact = Callable[[Rgb, str, int], Rgb]  # of a picture, its camera and its time in us on the clip clock

_BT709, _BT601, _BT2020 = 1, 5, 9  # as the scaler numbers them
_MATRICES = {1: _BT709, 4: 4, 5: _BT601, 6: _BT601, 7: 7, 9: _BT2020, 10: _BT2020}  # from ISO/IEC 23091-2 numbers
_LIMITED_RANGE, _FULL_RANGE = 1, 2
_HD_WIDTH, _HD_HEIGHT = 1280, 720  # video of this size that says nothing of its colours has those of BT.709
_PLANAR_8_BIT = ("yuv420p", "yuvj420p")


@dataclass(frozen=True)
class ImageSettings:
    """How frames become pictures; none is ever enlarged.

    Attributes:
        quality: of the JPEG, 1 to 95.
        max_side: the longer side in pixels at most, or None.
        max_pixels: width times height at most, or None.
    """

    quality: int = 85
    max_side: int | None = 1280
    max_pixels: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 95:
            raise DatasetError(f"image quality must be from 1 to 95, found {self.quality}.")
        for name, value in (("max_side", self.max_side), ("max_pixels", self.max_pixels)):
            if value is not None and value < 1:
                raise DatasetError(f"image {name} must be at least 1, found {value}.")

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        """Return (width, height) in pixels of the picture of a frame of this size.

        Example:
            >>> ImageSettings().size_of(1920, 1080)
            (1280, 720)
        """
        scale = 1.0
        if self.max_side is not None:
            scale = min(scale, self.max_side / max(width, height))
        if self.max_pixels is not None:
            scale = min(scale, sqrt(self.max_pixels / (width * height)))
        scaled = max(1, round(width * scale)), max(1, round(height * scale))
        if self.max_pixels is not None and scaled[0] * scaled[1] > self.max_pixels:  # rounded up
            scaled = max(1, int(width * scale)), max(1, int(height * scale))
        return scaled


@dataclass(frozen=True)
class Picture:
    """One frame as JPEG.

    Attributes:
        index: the frame's index in its video, in display order.
        t_us: when it was taken, us on the clip clock.
        jpeg: the file's bytes.
        width: in pixels.
        height: in pixels.
    """

    index: int
    t_us: int
    jpeg: bytes
    width: int
    height: int


def to_picture(
    frame: "VideoFrame", index: int, t_us: int, settings: ImageSettings, redact: Redact | None = None, camera: str = ""
) -> Picture:
    """Encode a decoded frame, turned upright; ``redact`` sees it at full size before anything leaves this function.

    Raises:
        ClipFailedError: ``redact`` failed, or returned something that is no picture.
    """
    if redact is None:
        image = _upright(frame, _rgb_image(frame, *settings.size_of(frame.width, frame.height)))
    else:
        image = _image_of_pixels(_redacted(frame, redact, camera, t_us))
        size = settings.size_of(*image.size)
        image = image if size == image.size else _resized(image, *size)
    sink = io.BytesIO()
    image.save(sink, "JPEG", quality=settings.quality, subsampling="4:2:0")
    return Picture(index, t_us, sink.getvalue(), *image.size)


def to_rgb(frame: "VideoFrame") -> Rgb:
    """Return a decoded frame as RGB at full size, upright."""
    return np.array(_upright(frame, _rgb_image(frame, frame.width, frame.height)))


def redacted_frame(frame: "VideoFrame", redact: Redact, camera: str, t_us: int) -> "VideoFrame":
    """Return a decoded frame as ``redact`` leaves it: upright, 8-bit 4:2:0, in the source's colours.

    Raises:
        ClipFailedError: ``redact`` failed, or returned something that is no picture.
    """
    pixels = pyav().VideoFrame.from_ndarray(_redacted(frame, redact, camera, t_us), format="rgb24")
    changed: VideoFrame = pixels.reformat(
        format="yuv420p",
        src_color_range=_FULL_RANGE,
        dst_colorspace=_matrix(frame),
        dst_color_range=_LIMITED_RANGE,
        threads=1,
    )
    changed.color_primaries, changed.color_trc = frame.color_primaries, frame.color_trc
    return changed


def redactor_name(redact: Redact) -> str:
    """Return what a redactor is called where it was written.

    Example:
        >>> redactor_name(to_rgb)
        'driving_clips.video.pictures.to_rgb'
    """
    named = redact if hasattr(redact, "__qualname__") else type(redact)
    return f"{named.__module__}.{named.__qualname__}"


def _redacted(frame: "VideoFrame", redact: Redact, camera: str, t_us: int) -> Rgb:
    """Return a frame as a redactor leaves it. What that does wrong costs the clip, as other code's faults do."""
    picture = to_rgb(frame)
    try:
        rgb = np.asarray(redact(picture, camera, t_us))
    except Exception as error:  # a user's code may raise anything
        detail = f"{redactor_name(redact)}: {type(error).__name__}: {error}"
        raise ClipFailedError("redaction", detail) from error
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or not rgb.size:
        raise ClipFailedError(
            "redaction",
            f"{redactor_name(redact)}: the redaction of {camera} must return an array (height, width, 3) of uint8, "
            f"found {rgb.shape} of {rgb.dtype}.",
        )
    return np.ascontiguousarray(rgb)


def _image_of_pixels(rgb: Rgb) -> "Image":
    from PIL import Image

    return Image.fromarray(rgb)


def _rgb_image(frame: "VideoFrame", width: int, height: int) -> "Image":
    """Scale a frame and convert its colours to full-range RGB."""
    # Both at once would take four times as long: the scaler has fast ways for scaling planes, and for converting
    # without scaling, but none for the two together.
    matrix = _matrix(frame)
    if (width, height) != (frame.width, frame.height) and frame.format.name in _PLANAR_8_BIT:
        frame = frame.reformat(width, height, interpolation="BICUBIC", threads=1)
    rgb = frame.reformat(
        width,
        height,
        "rgb24",
        src_colorspace=matrix,
        dst_colorspace=matrix,
        dst_color_range=_FULL_RANGE,
        interpolation="BICUBIC",
        threads=1,
    )
    return _image_of(rgb)


def _image_of(rgb: "VideoFrame") -> "Image":
    from PIL import Image

    plane = rgb.planes[0]
    pixels = np.frombuffer(memoryview(plane), np.uint8)
    return Image.frombuffer("RGB", (rgb.width, rgb.height), pixels, "raw", "RGB", plane.line_size, 1)


def _matrix(frame: "VideoFrame") -> int:
    """Return the matrix that a frame's colours were made with, in the scaler's numbers."""
    unsaid = _BT709 if frame.width >= _HD_WIDTH or frame.height >= _HD_HEIGHT else _BT601
    return _MATRICES.get(int(frame.colorspace), unsaid)


def _resized(image: "Image", width: int, height: int) -> "Image":
    from PIL import Image

    return image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)


def _upright(frame: "VideoFrame", image: "Image") -> "Image":
    """Turn a picture by the quarter turns that the video asks its player for."""
    from PIL import Image

    turns = {
        90: Image.Transpose.ROTATE_90,
        180: Image.Transpose.ROTATE_180,
        270: Image.Transpose.ROTATE_270,
    }
    turn = turns.get(round(frame.rotation) % 360)
    return image if turn is None else image.transpose(turn)
