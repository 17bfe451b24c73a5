"""The part of a clip that is shown: up to the keyframe, or all of the window."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from coc_labeling.review.phases import Extent


@dataclass(frozen=True)
class Part:
    """A part of a clip, microseconds on the clip clock.

    Attributes:
        t0_us: the keyframe.
        first_us: where it begins; not before the clip does.
        last_us: where it ends, inclusive; the keyframe itself in the history.
    """

    t0_us: int
    first_us: int
    last_us: int

    @classmethod
    def of(cls, t0_us: int, extent: Extent, *, future: bool) -> Self:
        """Return the whole window of a keyframe, or its history.

        Example:
            >>> Part.of(5_000_000, Extent(2_000_000, 6_000_000), future=False)
            Part(t0_us=5000000, first_us=3000000, last_us=5000000)
        """
        return cls(t0_us, max(0, t0_us - extent.history_us), t0_us + (extent.future_us if future else 0))

    @property
    def future(self) -> bool:
        """Whether it reaches beyond the keyframe."""
        return self.last_us > self.t0_us

    def holds(self, t_us: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say of times (N,) in us whether they lie in it."""
        inside: NDArray[np.bool_] = (t_us >= self.first_us) & (t_us <= self.last_us)
        return inside
