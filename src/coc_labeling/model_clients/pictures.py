"""Pictures as they leave: JPEG or PNG without what cameras write beside the pixels (place, time, serial numbers)."""

import base64
import io
import re
from pathlib import Path

import numpy as np

from coc_labeling.errors import CocLabelingError

JPEG_QUALITY = 90

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
# Between the scans of a JPEG, FF 00 is a byte of data, FF D0..D7 are restarts and FF FF is filling.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_JPEG_END, _JPEG_SCAN, _JPEG_COMMENT = 0xD9, 0xDA, 0xFE
_JPEG_APPS_KEPT = frozenset({0xE0, 0xEE})  # JFIF and Adobe: how to read the colours
_PNG_KEPT = frozenset({b"tRNS", b"sRGB", b"gAMA"})  # besides the critical ones, whose names start upper-case


def data_uri(content: str | Path | bytes | np.ndarray) -> str:
    """Return a picture as a base64 data URI.

    Args:
        content: path, bytes of a JPEG or PNG, array (height, width[, 3], uint8, RGB), or a data URI, which passes.

    Raises:
        CocLabelingError: no such picture.
    """
    if isinstance(content, str) and content.startswith("data:image/"):
        return content
    if isinstance(content, np.ndarray):
        data, name = _jpeg_of(content), "an array"
    elif isinstance(content, bytes):
        data, name = content, "bytes"
    elif isinstance(content, str | Path):
        data, name = _read(content), str(content)
    else:
        raise CocLabelingError(f"an image is a path, bytes or an array, not {type(content).__name__}")
    if data.startswith(_JPEG):
        return "data:image/jpeg;base64," + base64.b64encode(_plain_jpeg(data)).decode("ascii")
    if data.startswith(_PNG):
        return "data:image/png;base64," + base64.b64encode(_plain_png(data)).decode("ascii")
    raise CocLabelingError(f"{name}: neither a JPEG nor a PNG (starts with {data[:8]!r}); convert it first")


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        shown = str(path) if len(str(path)) < 200 else str(path)[:200] + "..."
        raise CocLabelingError(f"{shown}: cannot read the image: {error.__class__.__name__}") from error


def _jpeg_of(array: np.ndarray) -> bytes:
    if array.dtype != np.uint8 or array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
        raise CocLabelingError(
            f"an image array is uint8 of shape (height, width, 3) or (height, width), not {array.dtype} {array.shape}"
        )
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _plain_jpeg(data: bytes) -> bytes:
    """Drop the segments of applications and comments, and whatever follows the picture (previews, short videos)."""
    kept, position = [data[:2]], 2
    while (found := _MARKER.search(data, position)) is not None:
        kept.append(data[position : found.start()])
        marker = data[found.start() + 1]
        if marker == _JPEG_END:
            kept.append(data[found.start() : found.end()])
            return b"".join(kept)
        end = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
        is_beside = (0xE0 <= marker <= 0xEF and marker not in _JPEG_APPS_KEPT) or marker == _JPEG_COMMENT
        if not is_beside:
            kept.append(data[found.start() : end])
        position = end
    return b"".join([*kept, data[position:]])


def _plain_png(data: bytes) -> bytes:
    kept, position = [data[:8]], 8
    while position + 12 <= len(data):
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        if kind[:1].isupper() or kind in _PNG_KEPT:
            kept.append(data[position:end])
        if kind == b"IEND":
            break
        position = end
    return b"".join(kept)
