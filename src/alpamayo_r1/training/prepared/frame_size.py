"""The size that the model's image processor gives a frame."""

import math
from dataclasses import asdict, dataclass

from alpamayo_r1.errors import AlpamayoError

_MOST_OBLONG = 200  # Qwen-VL's image processors refuse what is longer


@dataclass(frozen=True)
class FrameSize:
    """How large frames become: whole tokens of ``patch_size * merge_size`` pixels a side, within limits.

    Attributes:
        min_pixels, max_pixels: of a frame; the defaults are the released model's.
        patch_size: pixels a side that become one patch.
        merge_size: patches a side that become one token.

    Raises:
        AlpamayoError: limits that exclude each other, or nothing to count by.

    Example:
        >>> FrameSize().of(1080, 1920)
        (320, 576)
    """

    min_pixels: int = 163_840
    max_pixels: int = 196_608
    patch_size: int = 16
    merge_size: int = 2

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise AlpamayoError(f"{name}={value!r}: expected a whole number from 1.")
        if self.min_pixels > self.max_pixels:
            raise AlpamayoError(f"min_pixels={self.min_pixels}: expected at most max_pixels={self.max_pixels}.")

    @property
    def token_side(self) -> int:
        """Pixels a side that become one token."""
        return self.patch_size * self.merge_size

    def of(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width in pixels of what becomes of a frame.

        The aspect ratio is kept as far as whole tokens let it: rounded, or, where that is outside the limits, scaled
        into them and rounded towards them. This is how Qwen-VL's image processors do it.

        Raises:
            AlpamayoError: a frame without pixels, or over 200 times as long as it is wide.
        """
        if min(height, width) < 1 or max(height, width) > _MOST_OBLONG * min(height, width):
            raise AlpamayoError(
                f"frame of {width} x {height}: expected one at most {_MOST_OBLONG} times as long as wide."
            )
        side = self.token_side
        rows, columns = round(height / side), round(width / side)
        if rows * columns * side**2 > self.max_pixels:
            shrink = math.sqrt(height * width / self.max_pixels)
            rows, columns = (max(1, math.floor(length / shrink / side)) for length in (height, width))
        elif rows * columns * side**2 < self.min_pixels:
            grow = math.sqrt(self.min_pixels / (height * width))
            rows, columns = (math.ceil(length * grow / side) for length in (height, width))
        return rows * side, columns * side
