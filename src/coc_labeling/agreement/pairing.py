"""Which label of one side is about the same moment as which of the other."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coc_labeling.agreement.decided import Decided, State
from driving_clips.ego_motion import TICK_US

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Pairing:
    """Pairs of labels, sorted by the rows of side A.

    Attributes:
        a, b: (P,) rows of either side; none occurs twice.
        apart_us: (P,) how much later side B's keyframe is, us.
        unpaired_a, unpaired_b: how many moments have no partner, by state.
        clips_a, clips_b: how many clips only this side has.
        states: (4, 4) pairs by the states of both, side A's first.
    """

    a: Rows
    b: Rows
    apart_us: NDArray[np.int64]
    unpaired_a: dict[State, int]
    unpaired_b: dict[State, int]
    clips_a: int
    clips_b: int
    states: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.a)


def pair_labels(a: Decided, b: Decided, tolerance_ticks: int = 0) -> Pairing:
    """Pair the labels of two sides by clip and keyframe.

    Each label has at most one partner. Nearest pairs come first; of equally near ones the earlier of side A, then of
    side B.

    Args:
        a: side A.
        b: side B.
        tolerance_ticks: how far keyframes may be apart, in ticks of 0.1 s; at 0 they must be equal to the microsecond.
    """
    number = {clip_id: n for n, clip_id in enumerate(a.clips)}
    renumbered = np.array([number.setdefault(clip_id, len(number)) for clip_id in b.clips], dtype=np.int64)
    clip_b = renumbered[b.clip] if len(b) else np.zeros(0, np.int64)
    rows_a, rows_b = _near(a.clip, a.t_us, clip_b, b.t_us, tolerance_ticks * TICK_US)
    rows_a, rows_b = _one_each(rows_a, rows_b, np.abs(b.t_us[rows_b] - a.t_us[rows_a]), a.t_us, b.t_us)
    states = np.zeros((len(State), len(State)), np.int64)
    np.add.at(states, (a.state[rows_a], b.state[rows_b]), 1)
    return Pairing(
        rows_a,
        rows_b,
        b.t_us[rows_b] - a.t_us[rows_a],
        _left(a, rows_a),
        _left(b, rows_b),
        len(np.setdiff1d(a.clip, clip_b)),
        len(np.setdiff1d(clip_b, a.clip)),
        states,
    )


def _near(clip_a: Rows, t_a: Rows, clip_b: Rows, t_b: Rows, reach_us: int) -> tuple[Rows, Rows]:
    """Return all pairs of rows of one clip that are at most ``reach_us`` apart."""
    first = min(t_a.min(initial=0), t_b.min(initial=0))
    length = max(t_a.max(initial=0), t_b.max(initial=0)) - first + 2 * reach_us + 1  # more than reach between clips
    key_a, key_b = clip_a * length + (t_a - first), clip_b * length + (t_b - first)
    order = np.argsort(key_b, kind="stable")
    low = np.searchsorted(key_b[order], key_a - reach_us, "left")
    count = np.searchsorted(key_b[order], key_a + reach_us, "right") - low
    rows_a = np.repeat(np.arange(len(key_a)), count)
    within = np.arange(len(rows_a)) - np.repeat(np.cumsum(count) - count, count)
    return rows_a, order[np.repeat(low, count) + within]


def _one_each(rows_a: Rows, rows_b: Rows, apart: Rows, t_a: Rows, t_b: Rows) -> tuple[Rows, Rows]:
    """Keep the nearest pairs, so that no row occurs twice."""
    order = np.lexsort((t_b[rows_b], t_a[rows_a], apart))
    taken_a, taken_b, kept = set[int](), set[int](), []
    for pair, row_a, row_b in zip(order.tolist(), rows_a[order].tolist(), rows_b[order].tolist(), strict=True):
        if row_a not in taken_a and row_b not in taken_b:
            taken_a.add(row_a)
            taken_b.add(row_b)
            kept.append(pair)
    chosen = np.sort(np.array(kept, np.int64))
    return rows_a[chosen], rows_b[chosen]


def _left(side: Decided, paired: Rows) -> dict[State, int]:
    alone = np.ones(len(side), bool)
    alone[paired] = False
    counts = np.bincount(side.state[alone], minlength=len(State))
    return {state: int(counts[state]) for state in State}
