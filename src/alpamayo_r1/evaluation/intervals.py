"""Means over scenes with 95 % bootstrap intervals from clips drawn with replacement.

Scenes of one clip resemble each other, so whole clips are drawn; see ``coc_labeling.agreement.resampling``.
"""

import numpy as np
from numpy.typing import NDArray

from coc_labeling.agreement.resampling import FEW_CLIPS, RESAMPLES, Measured
from driving_clips.geometry import Floats

_AT_ONCE = 2_000_000  # weights of clips held at a time
_MOST_UNDEFINED = 0.05


def means(values: Floats, clips: NDArray[np.integer], resamples: int = RESAMPLES, seed: int = 0) -> list[Measured]:
    """Return the mean of each column over the scenes that have it, with its percentile interval.

    Args:
        values: (S, M), NaN where a scene does not have a measure.
        clips: (S,) the clip of each scene.
        resamples: how often clips are drawn.
        seed: of drawing. Clips are drawn by their numbers, so that the order of scenes makes no difference.
    """
    if not len(values):
        return [Measured(None, None, None, "no scenes", 0, 0)] * values.shape[1]
    _, clip = np.unique(clips, return_inverse=True)
    there = ~np.isnan(values)
    total, count = (_sums(part, clip) for part in (np.where(there, values, 0.0), there.astype(np.float64)))
    drawn = _drawn(total, count, resamples, seed)
    mean = _ratio(total.sum(axis=0), count.sum(axis=0))
    n, own = there.sum(axis=0), (count > 0).sum(axis=0)
    return [
        _measured(float(mean[column]), drawn[:, column], int(n[column]), int(own[column]))
        for column in range(values.shape[1])
    ]


def _sums(values: Floats, clip: NDArray[np.integer]) -> Floats:
    sums = np.zeros((int(clip.max()) + 1, values.shape[1]))
    np.add.at(sums, clip, values)
    return sums


def _drawn(total: Floats, count: Floats, resamples: int, seed: int) -> Floats:
    """Return the means (R, M) of resamples of clips, from their sums and counts (C, M)."""
    clips = len(total)
    random, even = np.random.default_rng(seed), np.full(clips, 1 / clips)
    block = max(1, _AT_ONCE // clips)
    found = []
    for first in range(0, resamples, block):
        times = random.multinomial(clips, even, size=min(block, resamples - first)).astype(np.float64)
        found.append(_ratio(times @ total, times @ count))
    return np.concatenate(found)


def _ratio(total: Floats, count: Floats) -> Floats:
    ratio: Floats = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return ratio


def _measured(value: float, drawn: Floats, n: int, clips: int) -> Measured:
    if not n:
        return Measured(None, None, None, "no scene has it", 0, 0)
    if clips < 2:
        return Measured(value, None, None, "no interval: all scenes are from one clip", n, clips)
    defined = drawn[~np.isnan(drawn)]
    if len(defined) < (1 - _MOST_UNDEFINED) * len(drawn):
        return Measured(value, None, None, "no interval: too few clips have it", n, clips)
    low, high = (float(end) for end in np.quantile(defined, [0.025, 0.975]))
    if low == high:
        return Measured(value, None, None, "no interval: all resamples give the same value", n, clips)
    few = f"{clips} clips are few: the interval is too narrow" if clips < FEW_CLIPS else ""
    return Measured(value, low, high, few, n, clips)
