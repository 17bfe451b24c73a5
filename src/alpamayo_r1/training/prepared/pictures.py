"""Frames of the model's size as lossless pictures: WebP, which is a third smaller than PNG and read in less time."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alpamayo_r1 import extras
from alpamayo_r1.errors import AlpamayoError
from driving_clips.errors import DatasetError

Frame = NDArray[np.uint8]  # (3, height, width)

# Of lossless WebP: more effort makes files 5 % smaller and takes five times as long.
_EFFORT: dict[str, Any] = {"lossless": True, "quality": 25, "method": 0}


def pillow() -> Any:
    """Return the module ``PIL.Image``; raises DatasetError with the command that installs it."""
    try:
        from PIL import Image
    except ImportError as error:
        raise DatasetError("prepared pictures need Pillow: pip install 'coc-toolkit[model]'") from error
    return Image


def resized(frames: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return frames (N, 3, H, W) as (N, 3, height, width), resized as the image processor of inference does it.

    Raises:
        DatasetError: the extra ``model`` is not installed, and they are not of that size yet.
    """
    if frames.shape[2:] == (height, width):
        return frames
    torch = extras.torch()
    from torchvision.transforms.v2.functional import InterpolationMode, resize

    made = resize(torch.from_numpy(frames), [height, width], interpolation=InterpolationMode.BICUBIC, antialias=True)
    resized: NDArray[np.uint8] = made.numpy()
    return resized


def to_bytes(frame: Frame) -> bytes:
    """Return a frame as a file's content."""
    sink = io.BytesIO()
    pillow().fromarray(np.ascontiguousarray(frame.transpose(1, 2, 0))).save(sink, "WEBP", **_EFFORT)
    return sink.getvalue()


def of_bytes(content: bytes, form: str = "WEBP") -> Frame:
    """Return the frame of a file's content.

    Raises:
        AlpamayoError: it is no picture of that form, or a damaged one.
    """
    images = pillow()
    try:
        with images.open(io.BytesIO(content), formats=[form]) as picture:
            return np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    except (OSError, ValueError, SyntaxError, images.DecompressionBombError) as error:
        raise AlpamayoError(f"expected a {form} picture ({error})") from error
