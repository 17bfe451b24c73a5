"""The pictures that ``coc infer`` drew of scenes: found beside the predictions, and made fit for a page.

Nothing of them is trusted: one that does not lie in the folder of its predictions, is large, or is neither PNG nor JPEG
is left out, and what a page shows is drawn anew from its pixels.
"""

import base64
import io
import stat
from pathlib import Path

from alpamayo_r1.evaluation.measuring import SceneResult
from coc_labeling.pictures.ink import pillow
from driving_clips import files

FOLDER = "pictures"
MOST_BYTES = 8_000_000
MOST_PIXELS = 16_000_000
WIDTH_PX, JPEG_QUALITY = 900, 80


def picture_path(result: SceneResult) -> str | None:
    """Return ``pictures/<clip>/<t0>.png`` beside a scene's predictions; None without a plain file there.

    A link that leads out of the predictions' folder counts as none, and so does a file of more than ``MOST_BYTES``.
    """
    root = Path(files.parent(result.line.path))
    path = root / FOLDER / result.clip_id / f"{result.t0_us}.png"
    try:
        if not path.resolve().is_relative_to(root.resolve()):
            return None
        found = path.stat()
    except (OSError, RuntimeError):  # no such file, or links in a circle
        return None
    return str(path) if stat.S_ISREG(found.st_mode) and found.st_size <= MOST_BYTES else None


def picture_uri(result: SceneResult) -> str | None:
    """Return a scene's picture as a JPEG of at most ``WIDTH_PX`` in a data URI; None without one that can be shown."""
    path = picture_path(result)
    if path is None:
        return None
    with Path(path).open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    return None if len(content) > MOST_BYTES else _redrawn(content)


def _redrawn(content: bytes) -> str | None:
    """Return the pixels of a PNG or JPEG as a JPEG without anything else that the file held."""
    pil = pillow()
    try:
        with pil.Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
            if image.width * image.height > MOST_PIXELS:
                return None
            small = image.convert("RGB")
    except (OSError, SyntaxError, ValueError, pil.Image.DecompressionBombError):  # Pillow's words for "damaged"
        return None
    small.thumbnail((WIDTH_PX, WIDTH_PX))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
