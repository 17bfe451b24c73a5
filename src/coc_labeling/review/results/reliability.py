"""How far people who judge the same label, without knowing of each other, agree.

Asked are three questions:

- *verdict*: is the label accepted as it is, or not (edited, rejected or unsure)?
- *longitudinal*, *lateral*: which decision does it have in the end, with its direction on the lane? Over pairs in which
  both left a label, as it is or edited; who rejects or is unsure says of no decision that it is right.

Both see the same label before they decide. So kappa of the decisions says how far they correct it alike; of two who had
labelled the moment on their own it would be lower. Per decision it is that of "this one, or any other", as
``coc agree`` has it (``Agreement.categories``).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from coc_labeling.agreement.decided import DECISIONS, LATERAL_WITH_DIRECTION, NONE, Channel
from coc_labeling.agreement.statistics import Agreement, agreement
from coc_labeling.review.batches.planning import Kind
from coc_labeling.review.judgements import Verdict
from coc_labeling.review.results.outcomes import Outcome, Review

RESAMPLES, SEED = 500, 0  # enough for a page; the same reviews give the same numbers
ACCEPTED, NOT_ACCEPTED = "accept", "not accept"
_NAMES: tuple[Sequence[str], ...] = (
    (ACCEPTED, NOT_ACCEPTED),
    DECISIONS[Channel.LONGITUDINAL],
    LATERAL_WITH_DIRECTION,
)
_SPEEDS = {name: number for number, name in enumerate(DECISIONS[Channel.LONGITUDINAL])}
_LANES = {name: number for number, name in enumerate(LATERAL_WITH_DIRECTION)}
_NO_LABEL = -1

Numbers = NDArray[np.int64]
Said = tuple[int, int, int]  # numbers of the answers to the three questions


@dataclass(frozen=True)
class Reliability:
    """How two who judged the same labels agree; side A is the first review, or the reviewer whom it is of."""

    verdict: Agreement
    longitudinal: Agreement
    lateral: Agreement


@dataclass(frozen=True)
class Pairs:
    """Labels that two people judged: who, what they said as (P, 3) numbers, and the clip of each."""

    a: Sequence[str]
    b: Sequence[str]
    said_a: Numbers
    said_b: Numbers
    clips: Numbers

    def of(self, reviewer: str) -> "Pairs":
        """Return the pairs of one reviewer, as side A."""
        is_a, is_b = (np.array([name == reviewer for name in names], bool) for names in (self.a, self.b))
        chosen = np.flatnonzero(is_a | is_b).tolist()
        own = np.where(is_a[:, None], self.said_a, self.said_b)[chosen]
        other = np.where(is_a[:, None], self.said_b, self.said_a)[chosen]
        others = [self.b[pair] if is_a[pair] else self.a[pair] for pair in chosen]
        return Pairs([reviewer] * len(chosen), others, own, other, self.clips[chosen])

    def reliability(self) -> Reliability:
        """Return how the two sides agree."""

        def asked(question: int) -> Agreement:
            own, other = self.said_a[:, question], self.said_b[:, question]
            counted = (own != _NO_LABEL) & (other != _NO_LABEL)
            clips = np.unique(self.clips[counted], return_inverse=True)[1].astype(np.int64)
            return _agreement(question, *(numbers.tobytes() for numbers in (own[counted], other[counted], clips)))

        return Reliability(*map(asked, range(len(_NAMES))))


@lru_cache(maxsize=1024)  # most steps of a review add nothing to most pairs of people, and drawing takes time
def _agreement(question: int, own: bytes, other: bytes, clips: bytes) -> Agreement:
    said_a, said_b, of_clip = (np.frombuffer(text, np.int64) for text in (own, other, clips))
    return agreement(said_a, said_b, of_clip, _NAMES[question], RESAMPLES, SEED)


def pairs_of(outcomes: Iterable[Outcome], kind: Kind) -> Pairs:
    """Return the labels whose first review was repeated, blind, by a second review or an audit."""
    names: tuple[list[str], list[str]] = [], []
    said: tuple[list[Said], list[Said]] = [], []
    clips: list[int] = []
    numbers: dict[str, int] = {}
    for outcome in outcomes:
        reviews = {review.kind: review for review in outcome.reviews}
        if Kind.FIRST not in reviews or kind not in reviews:
            continue
        for side, review in enumerate((reviews[Kind.FIRST], reviews[kind])):
            names[side].append(review.reviewer)
            said[side].append(_said(outcome, review))
        clips.append(numbers.setdefault(outcome.clip_id, len(numbers)))
    said_a, said_b = (np.array(one, np.int64).reshape(-1, 3) for one in said)
    return Pairs(*names, said_a, said_b, np.array(clips, np.int64))


def _said(outcome: Outcome, review: Review) -> Said:
    not_accepted = int(review.judgement.verdict is not Verdict.ACCEPT)
    decisions = outcome.decisions_by(review)
    if decisions is None:
        return not_accepted, _NO_LABEL, _NO_LABEL
    speed, lane, side = decisions
    return not_accepted, _SPEEDS[speed or NONE], _LANES[f"{lane or NONE} {side}" if side else lane or NONE]
