"""Percentile bootstrap intervals from clips drawn with replacement.

Labels of one clip resemble each other, so whole clips are drawn (the cluster bootstrap: Davison and Hinkley, Bootstrap
Methods and their Application, 1997, section 3.8). Whatever is measured here depends on how often each of a few kinds
of pair occurs, so that only those counts are drawn; clips with the same content are exchangeable and drawn together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2_000
FEW_CLIPS = 20  # percentile intervals from fewer are too narrow
_MOST_UNDEFINED = 0.05  # share of resamples without a value; with more, the rest is no fair picture

Counts = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """A number with its 95 % interval, or why there is none.

    Attributes:
        value: None where it is undefined.
        low, high: ends of the interval, None where there is none.
        reason: why a value or an interval is missing, or what to beware of; empty where nothing is to be said.
        n: how many pairs it is of.
        clips: how many clips they are from.
    """

    value: float | None
    low: float | None
    high: float | None
    reason: str
    n: int
    clips: int

    def as_dict(self) -> dict[str, Any]:
        """Return it for files."""
        rounded = {name: None if x is None else round(x, 6) for name, x in zip(_ENDS, self._ends, strict=True)}
        return {**rounded, "n": self.n, "clips": self.clips, "reason": self.reason or None}

    @property
    def _ends(self) -> tuple[float | None, ...]:
        return self.value, self.low, self.high


_ENDS = ("value", "ci95_low", "ci95_high")


@dataclass(frozen=True)
class Resampled:
    """How often each kind of pair occurs: as it is, and in every resample.

    Attributes:
        counts: (K,).
        drawn: (R, K).
        clips: how many clips there are.
    """

    counts: Counts
    drawn: Counts
    clips: int

    def measure(self, statistic: Callable[[Counts], Counts], undefined: str) -> Measured:
        """Return a statistic with its percentile interval.

        Args:
            statistic: from counts (..., K) to values (...), NaN where it is undefined.
            undefined: what is said where the value is.
        """
        n, value = int(self.counts.sum()), float(statistic(self.counts))
        if n == 0:
            return Measured(None, None, None, "no pairs", 0, 0)
        if np.isnan(value):
            return Measured(None, None, None, undefined, n, self.clips)
        if self.clips < 2:
            return Measured(value, None, None, "no interval: all pairs are from one clip", n, self.clips)
        values = statistic(self.drawn)
        defined = values[~np.isnan(values)]
        if len(defined) < (1 - _MOST_UNDEFINED) * len(values):
            share = f"{1 - len(defined) / len(values):.0%} of the resamples have no value"
            return Measured(value, None, None, f"no interval: {share} ({undefined})", n, self.clips)
        low, high = np.quantile(defined, [0.025, 0.975])
        if low == high:
            return Measured(value, None, None, "no interval: all resamples give the same value", n, self.clips)
        few = f"{self.clips} clips are few: the interval is too narrow" if self.clips < FEW_CLIPS else ""
        return Measured(value, float(low), float(high), few, n, self.clips)


def resample(kinds: NDArray[np.integer], clips: NDArray[np.integer], size: int, resamples: int, seed: int) -> Resampled:
    """Count kinds of pairs, and count them again in clips drawn with replacement.

    Args:
        kinds: (P,) the kind of each pair, from 0 to ``size`` - 1.
        clips: (P,) the clip of each pair.
        size: how many kinds there are.
        resamples: how often the clips are drawn.
        seed: of drawing; the same numbers whatever the order of the pairs.
    """
    counts = np.bincount(kinds, minlength=size).astype(float)
    drawn = np.zeros((resamples, size))
    if not len(kinds):
        return Resampled(counts, drawn, 0)
    contents, how_many = _contents(kinds, clips)
    row, column = np.nonzero(contents >= 0)
    kind = contents[row, column]
    random, total = np.random.default_rng(seed), int(how_many.sum())
    for number in range(resamples):
        times = random.multinomial(total, how_many / total)
        drawn[number] = np.bincount(kind, weights=times[row], minlength=size)
    return Resampled(counts, drawn, total)


def _contents(kinds: NDArray[np.integer], clips: NDArray[np.integer]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the different contents of clips, a row of kinds each, filled up with -1; and how many clips have each."""
    order = np.lexsort((kinds, clips))
    _, start, length = np.unique(clips[order], return_index=True, return_counts=True)
    rows = np.full((len(start), length.max()), -1, np.int32)
    place = np.arange(len(order)) - np.repeat(start, length)
    rows[np.repeat(np.arange(len(start)), length), place] = kinds[order]
    return np.unique(rows, axis=0, return_counts=True)
