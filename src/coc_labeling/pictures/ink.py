"""Pillow as this package uses it: smooth shapes, DejaVu's letters, and texts that keep to their room."""

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

from batch_runs.terminal import harmless
from driving_clips import files
from driving_clips.errors import DatasetError
from driving_clips.geometry import Floats

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

# Shapes are drawn this many times as large, then reduced, for Pillow draws hard edges: what is drawn for each moment,
# and what is drawn once.
QUICK, FINE = 2, 4
LONGEST_TEXT = 4000  # characters of a text that are looked at; far more than fit into a picture
_ELLIPSIS, _FAR = "…", 30_000.0


def pillow() -> Any:
    """Return the module ``PIL`` with what is drawn with; raises DatasetError where it is not installed."""
    try:
        import PIL.Image
        import PIL.ImageDraw
        import PIL.ImageFont
    except ImportError as error:
        raise DatasetError("drawing pictures needs Pillow: pip install 'coc-toolkit[vlm]'") from error
    return PIL


@cache
def font(size_px: int, *, bold: bool = False) -> "FreeTypeFont":
    """Return a font of a size in pixels: DejaVu Sans, which matplotlib brings along."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = files.join(mpl.get_data_path(), "fonts", "ttf", name)
    module = pillow().ImageFont
    loaded: FreeTypeFont = module.truetype(path, max(size_px, 1), layout_engine=module.Layout.BASIC)
    return loaded


def blank(width: int, height: int, colour: str) -> "Image":
    """Return a picture of one colour."""
    image: Image = pillow().Image.new("RGB", (width, height), colour)
    return image


def pen(image: "Image") -> Any:
    """Return what draws on a picture, antialiased letters included."""
    return pillow().ImageDraw.Draw(image)


class Sketch:
    """A picture of shapes with smooth edges; coordinates in pixels, x right and y down."""

    def __init__(self, width: int, height: int, colour: str, over: int = FINE) -> None:
        self._over = over
        self._image = blank(width * over, height * over, colour)
        self._pen = pen(self._image)

    def line(self, points: Floats, colour: str, width: float = 1.0) -> None:
        """Draw a line through points (N, 2)."""
        if len(points) > 1:
            self._pen.line(self._flat(points), colour, max(1, round(width * self._over)), joint="curve")

    def lines(self, ends: Floats, colour: str, width: float = 1.0) -> None:
        """Draw separate lines (N, 2, 2)."""
        for pair in np.asarray(ends):
            self.line(pair, colour, width)

    def polygon(self, points: Floats, face: str, edge: str | None = None, width: float = 1.0) -> None:
        """Draw a filled polygon (N, 2)."""
        if len(points) > 2:
            self._pen.polygon(self._flat(points), face, edge, max(1, round(width * self._over)) if edge else 0)

    def disc(self, x: float, y: float, radius: float, face: str, edge: str | None = None, width: float = 1.0) -> None:
        """Draw a filled circle."""
        box = [round(value * self._over) for value in (x - radius, y - radius, x + radius, y + radius)]
        self._pen.ellipse(box, face, edge, max(1, round(width * self._over)))

    def card(
        self, corners: tuple[float, float, float, float], face: str, edge: str | None = None, radius: float = 0.0
    ) -> None:
        """Draw a rectangle (left, top, right, bottom) with round corners; its edge is a pixel wide."""
        over = self._over
        left, top, right, bottom = (round(value * over) for value in corners)
        self._pen.rounded_rectangle(
            [left, top, max(left, right - 1), max(top, bottom - 1)], round(radius * over), face, edge, over
        )

    def finished(self) -> "Image":
        """Return the picture at its own size."""
        return self._image.reduce(self._over)

    def _flat(self, points: Floats) -> list[tuple[float, float]]:
        # Bounded, for what lies far outside costs Pillow as much as what is seen.
        scaled = np.clip(np.asarray(points, float) * self._over, -_FAR, _FAR)
        return [(x, y) for x, y in scaled.tolist()]


def clean(text: str) -> str:
    """Return a text on one line, without what letters cannot show, and no longer than can be of use."""
    return " ".join(harmless(text[:LONGEST_TEXT].encode(errors="replace").decode()).split())


def elided(text: str, letters: "FreeTypeFont", width: float) -> str:
    """Return a text that is cut to a width in pixels, with an ellipsis where something is left out."""
    if letters.getlength(text) <= width:
        return text
    low, high = 0, len(text)  # the longest beginning that fits
    while low < high:
        middle = (low + high + 1) // 2
        fits = letters.getlength(text[:middle].rstrip() + _ELLIPSIS) <= width
        low, high = (middle, high) if fits else (low, middle - 1)
    return text[:low].rstrip() + _ELLIPSIS


def wrapped(text: str, letters: "FreeTypeFont", width: float, most: int) -> list[str]:
    """Return a text as lines of a width in pixels, at most so many; the last one is cut where more would follow."""
    if most < 1:
        return []
    lines: list[str] = []
    for piece in _pieces(clean(text).split(), letters, width):
        joined = f"{lines[-1]} {piece}" if lines else piece
        if lines and letters.getlength(joined) <= width:
            lines[-1] = joined
        elif len(lines) == most:
            lines[-1] = elided(f"{joined}{_ELLIPSIS}", letters, width)
            break
        else:
            lines.append(piece)
    return lines


def _pieces(words: Iterable[str], letters: "FreeTypeFont", width: float) -> Iterable[str]:
    """Yield words, those wider than a line in pieces that fit."""
    for word in words:
        rest = word
        while letters.getlength(rest) > width and len(rest) > 1:
            count = max(1, len(elided(rest, letters, width)) - 1)
            yield rest[:count]
            rest = rest[count:]
        yield rest
