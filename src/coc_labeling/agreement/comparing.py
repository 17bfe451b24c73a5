"""Two sides compared: paired, measured, and shown by examples."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coc_labeling.agreement.causes import Overlap, by_kind, by_track, overlap
from coc_labeling.agreement.decided import (
    DECISIONS,
    DIRECTIONS,
    LATERAL_WITH_DIRECTION,
    AgreementSide,
    Channel,
    Decided,
    State,
)
from coc_labeling.agreement.examples import Example, find_examples
from coc_labeling.agreement.pairing import Pairing, pair_labels
from coc_labeling.agreement.resampling import RESAMPLES
from coc_labeling.agreement.statistics import Agreement, agreement
from coc_labeling.errors import CocLabelingError

LATERAL_DIRECTED, DIRECTION = "lateral with direction", "direction"
ALL_DECISIONS, SAME_DECISION = "both decide", "both decide the same"
KINDS, TRACKS = "category and relation", "track id"
_SHOWN_MOMENTS = 2


@dataclass(frozen=True)
class CompareOptions:
    """How two sides are compared.

    Attributes:
        tolerance_ticks: how far keyframes may be apart, in ticks of 0.1 s.
        resamples: of the bootstrap.
        seed: of the bootstrap and of the examples.
        examples: at most so many disagreements are shown.
    """

    tolerance_ticks: int = 0
    resamples: int = RESAMPLES
    seed: int = 0
    examples: int = 6


@dataclass(frozen=True)
class Comparison:
    """What came of comparing two sides.

    Attributes:
        side_a, side_b: the sides.
        a, b: what they decided.
        pairing: which labels are about the same moment.
        compared: (C,) numbers of the pairs in which both sides have decisions.
        agreements: by question: longitudinal, lateral, lateral with direction, and direction, the last over pairs in
            which both sides name one.
        causes: overlap by channel, by which pairs count, and by what the causes are compared.
        examples: some disagreements.
        notices: what could not be used.
        options: how it was done.
    """

    side_a: AgreementSide
    side_b: AgreementSide
    a: Decided
    b: Decided
    pairing: Pairing
    compared: NDArray[np.int64]
    agreements: dict[str, Agreement]
    causes: dict[Channel, dict[str, dict[str, Overlap]]]
    examples: tuple[Example, ...]
    notices: tuple[str, ...]
    options: CompareOptions


def compare(side_a: AgreementSide, side_b: AgreementSide, options: CompareOptions | None = None) -> Comparison:
    """Compare what two sides decided at the same moments.

    Raises:
        CocLabelingError: a side has no labels, they have no moments in common, or none where both decided.
    """
    options = options or CompareOptions()
    (a, notices_a), (b, notices_b) = side_a.decided(), side_b.decided()
    pairing = pair_labels(a, b, options.tolerance_ticks)
    if not len(pairing):
        raise CocLabelingError(_nothing_in_common(side_a, side_b, a, b, options.tolerance_ticks))
    decided = (a.state[pairing.a] == State.DECIDED) & (b.state[pairing.b] == State.DECIDED)
    compared = np.flatnonzero(decided)
    if not len(compared):
        raise CocLabelingError(_nothing_decided(side_a, side_b, pairing))
    return Comparison(
        side_a,
        side_b,
        a,
        b,
        pairing,
        compared,
        _agreements(a, b, pairing, compared, options),
        {channel: _overlaps(channel, a, b, pairing, compared, options) for channel in Channel},
        find_examples(side_a, side_b, a, b, pairing, compared, options.examples, options.seed),
        (*notices_a, *notices_b),
        options,
    )


def _agreements(
    a: Decided, b: Decided, pairing: Pairing, compared: NDArray[np.int64], options: CompareOptions
) -> dict[str, Agreement]:
    rows_a, rows_b = pairing.a[compared], pairing.b[compared]
    clips = a.clip[rows_a]

    def asked(
        own: NDArray[np.integer], other: NDArray[np.integer], names: Sequence[str], counted: NDArray[np.bool_]
    ) -> Agreement:
        return agreement(own[counted], other[counted], clips[counted], names, options.resamples, options.seed)

    everywhere = np.ones(len(compared), bool)
    directed = a.lateral_with_direction()[rows_a], b.lateral_with_direction()[rows_b]
    left_or_right = a.direction[rows_a], b.direction[rows_b]
    both_named = (left_or_right[0] > 0) & (left_or_right[1] > 0)
    return {
        **{
            str(channel): asked(
                a.decision[channel][rows_a], b.decision[channel][rows_b], DECISIONS[channel], everywhere
            )
            for channel in Channel
        },
        LATERAL_DIRECTED: asked(*directed, LATERAL_WITH_DIRECTION, everywhere),
        DIRECTION: asked(*left_or_right, DIRECTIONS, both_named),
    }


def _overlaps(
    channel: Channel, a: Decided, b: Decided, pairing: Pairing, compared: NDArray[np.int64], options: CompareOptions
) -> dict[str, dict[str, Overlap]]:
    rows_a, rows_b = pairing.a[compared], pairing.b[compared]
    own, other = a.decision[channel][rows_a], b.decision[channel][rows_b]
    same = own == other
    if channel is Channel.LATERAL:
        same &= a.direction[rows_a] == b.direction[rows_b]
    both = (own > 0) & (other > 0)
    found = {}
    for name, counted in ((ALL_DECISIONS, both), (SAME_DECISION, both & same)):
        chosen_a, chosen_b = rows_a[counted], rows_b[counted]
        sides, clips = (a.causes[channel], b.causes[channel], chosen_a, chosen_b), a.clip[chosen_a]
        found[name] = {
            KINDS: overlap(by_kind(*sides), clips, options.resamples, options.seed, both_sides=False),
            TRACKS: overlap(by_track(*sides), clips, options.resamples, options.seed, both_sides=True),
        }
    return found


def _nothing_in_common(side_a: AgreementSide, side_b: AgreementSide, a: Decided, b: Decided, tolerance: int) -> str:
    shared = len(set(a.clips) & set(b.clips))
    counts = f"{side_a.name} has {len(a):,} moments, {side_b.name} {len(b):,}"
    if not shared:
        return f"no clip in common: {counts}, such as {_moments(a)} and {_moments(b)}. Name two runs on the same clips."
    within = f"{tolerance} ticks of 0.1 s" if tolerance else "the microsecond"
    return (
        f"no moment in common: {counts}, of {shared:,} clips that both have, but no keyframes equal to {within}. "
        f"Allow more with --tolerance, in ticks of 0.1 s; the nearest {_nearest(a, b)}."
    )


def _moments(side: Decided) -> str:
    shown = [side.moment(row) for row in range(min(_SHOWN_MOMENTS, len(side)))]
    return ", ".join(f"{clip_id} at {t_us} us" for clip_id, t_us in shown)


def _nearest(a: Decided, b: Decided) -> str:
    shared = sorted(set(a.clips) & set(b.clips))[0]
    own, other = (side.t_us[side.clip == side.clips.index(shared)] for side in (a, b))
    apart = np.abs(own[:, None] - other[None, :])
    first, second = np.unravel_index(int(apart.argmin()), apart.shape)
    return f"of clip {shared}, for one, are {own[first]} us and {other[second]} us"


def _nothing_decided(side_a: AgreementSide, side_b: AgreementSide, pairing: Pairing) -> str:
    states = [
        f"{count:,} pairs: {State(own).title} in {side_a.name}, {State(other).title} in {side_b.name}"
        for (own, other), count in np.ndenumerate(pairing.states)
        if count
    ]
    return (
        f"nothing to compare: of {len(pairing):,} pairs none has decisions on both sides ({'; '.join(states)}). "
        "Labels that are a sentence alone have no decisions."
    )
