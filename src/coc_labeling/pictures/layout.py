"""Where things lie in a picture: drawn up for 1280 x 720, and scaled as a whole to other heights."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

WIDTH, HEIGHT = 1280.0, 720.0


class Box(NamedTuple):
    """A rectangle in whole pixels, right and bottom exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """From left to right."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """From top to bottom."""
        return self.bottom - self.top


@dataclass(frozen=True)
class Layout:
    """The panels of a picture of ``height`` pixels.

    Example:
        >>> Layout().width, Layout(360).scene
        (1280, Box(left=8, top=22, right=392, bottom=238))
    """

    height: int = int(HEIGHT)

    @property
    def scale(self) -> float:
        """Pixels for each one of the drawing."""
        return self.height / HEIGHT

    @property
    def width(self) -> int:
        """Of the picture, even as video needs it."""
        return round(WIDTH * self.scale / 2) * 2

    def px(self, length: float) -> int:
        """Return a length of the drawing in whole pixels."""
        return round(length * self.scale)

    def box(self, left: float, top: float, right: float, bottom: float) -> Box:
        """Return a rectangle of the drawing in whole pixels."""
        return Box(*(self.px(value) for value in (left, top, right, bottom)))

    @cached_property
    def header(self) -> Box:
        """Clip and time."""
        return self.box(16, 8, 1264, 38)

    @cached_property
    def scene(self) -> Box:
        """The camera's picture, or the scene from above: 16 to 9."""
        return self.box(16, 44, 784, 476)

    @cached_property
    def now(self) -> Box:
        """The meta-actions of the moment, a row each."""
        return self.box(800, 44, 1264, 164)

    @cached_property
    def label(self) -> Box:
        """What the label of the moment says."""
        return self.box(800, 176, 1264, 476)

    @cached_property
    def marks(self) -> Box:
        """Numbers of the keyframes, over the curves."""
        return self.box(104, 482, 1160, 504)

    @cached_property
    def speed(self) -> Box:
        """The curve of speed."""
        return self.box(104, 506, 1160, 560)

    @cached_property
    def heading(self) -> Box:
        """The curve of heading."""
        return self.box(104, 568, 1160, 622)

    def lane(self, number: int) -> Box:
        """Return the strip of one axis of meta-actions, counted from the top."""
        top = 630 + 20 * number
        return self.box(104, top, 1160, top + 18)

    @cached_property
    def time_axis(self) -> Box:
        """The seconds below the strips."""
        return self.box(104, 690, 1160, 712)
