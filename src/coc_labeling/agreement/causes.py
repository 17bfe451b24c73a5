"""How far the causes of two sides' decisions overlap, by kind (category and relation) and by track id.

The Jaccard index of two sets (Jaccard 1912) is the size of their intersection over that of their union; it is the mean
over pairs that is given, with the share of pairs whose sets are equal. Two empty sets have no index, so by kind only
pairs count where at least one side names a cause; where both say ``unobserved`` is counted apart. By track id only
pairs count where both sides name a track: a labeller that sees no tracks is not wrong.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coc_labeling.agreement.decided import NO_TRACK, Causes
from coc_labeling.agreement.pairing import Rows
from coc_labeling.agreement.resampling import Counts, Measured, resample

NONE_NAMED = "no pair in which a cause is named"
NO_TRACKS = "no pair in which both sides name the track of a cause"


@dataclass(frozen=True)
class Overlap:
    """Overlap of one kind of name over pairs.

    Attributes:
        jaccard: the mean index.
        exact: the share of pairs with equal sets.
        neither: pairs in which neither side names any; they have no index.
        only_a, only_b: pairs in which one side alone names any.
    """

    jaccard: Measured
    exact: Measured
    neither: int
    only_a: int
    only_b: int

    def as_dict(self) -> dict[str, Any]:
        """Return it for files."""
        return {
            "mean_jaccard": self.jaccard.as_dict(),
            "exact_sets": self.exact.as_dict(),
            "pairs_named_by_neither": self.neither,
            "pairs_named_by_a_only": self.only_a,
            "pairs_named_by_b_only": self.only_b,
        }


@dataclass(frozen=True)
class Sizes:
    """Sizes of the sets of P pairs: of side A's, of side B's and of what they share."""

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    shared: NDArray[np.int64]


def by_kind(a: Causes, b: Causes, rows_a: Rows, rows_b: Rows) -> Sizes:
    """Return the sizes of the sets of kinds of causes of pairs."""
    return _sizes(a.start, a.kind.astype(np.int64), b.start, b.kind.astype(np.int64), rows_a, rows_b)


def by_track(a: Causes, b: Causes, rows_a: Rows, rows_b: Rows) -> Sizes:
    """Return the sizes of the sets of track ids of causes of pairs."""
    _, both = np.unique(np.concatenate([[NO_TRACK], a.track, b.track]), return_inverse=True)
    none, both = both[0], both[1:]
    numbers = np.where(both == none, -1, both)
    return _sizes(a.start, numbers[: len(a.track)], b.start, numbers[len(a.track) :], rows_a, rows_b)


def overlap(sizes: Sizes, clips: NDArray[np.integer], resamples: int, seed: int, *, both_sides: bool) -> Overlap:
    """Return the overlap of the sets of pairs.

    Args:
        sizes: of the sets.
        clips: (P,) the clip of each pair.
        resamples: of the bootstrap.
        seed: of the bootstrap.
        both_sides: count only pairs in which both sides name any, instead of at least one.
    """
    named_a, named_b = sizes.a > 0, sizes.b > 0
    counted = named_a & named_b if both_sides else named_a | named_b
    union = (sizes.a + sizes.b - sizes.shared)[counted]
    values, kinds = np.unique(sizes.shared[counted] / union, return_inverse=True)
    found = resample(kinds, clips[counted], len(values), resamples, seed)
    reason = NO_TRACKS if both_sides else NONE_NAMED

    def mean_of(values: Counts) -> Measured:
        return found.measure(lambda counts: counts @ values / np.maximum(counts.sum(axis=-1), 1), reason)

    jaccard, exact = mean_of(values), mean_of((values == 1.0).astype(float))
    if not found.clips:
        jaccard = exact = Measured(None, None, None, reason, 0, 0)
    return Overlap(
        jaccard,
        exact,
        int(np.sum(~named_a & ~named_b)),
        int(np.sum(named_a & ~named_b)),
        int(np.sum(~named_a & named_b)),
    )


def _sizes(
    start_a: Rows, names_a: NDArray[np.int64], start_b: Rows, names_b: NDArray[np.int64], rows_a: Rows, rows_b: Rows
) -> Sizes:
    """Return the sizes of sets of names, negative ones being none."""
    width = int(max(names_a.max(initial=0), names_b.max(initial=0))) + 1
    own, other = _members(start_a, names_a, rows_a, width), _members(start_b, names_b, rows_b, width)
    shared = np.intersect1d(own, other, assume_unique=True)
    return Sizes(*(np.bincount(members // width, minlength=len(rows_a)) for members in (own, other, shared)))


def _members(start: Rows, names: NDArray[np.int64], rows: Rows, width: int) -> NDArray[np.int64]:
    """Return the members of the sets of pairs, each once, as pair times width plus name."""
    count = start[rows + 1] - start[rows]
    pair = np.repeat(np.arange(len(rows)), count)
    place = np.repeat(start[rows], count) + np.arange(len(pair)) - np.repeat(np.cumsum(count) - count, count)
    own = names[place]
    return np.unique((pair * width + own)[own >= 0])
