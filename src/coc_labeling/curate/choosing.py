"""Which moments are kept: without faults, thinned by scene, and within the budget a fair share of each decision."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from coc_labeling.curate.rules import KEEP_RATES, Scene
from coc_labeling.errors import CocLabelingError


class Fate(StrEnum):
    """What became of a moment."""

    KEPT = "kept"
    UNREADABLE = "unreadable"
    MASKED = "masked"
    THINNED = "thinned"
    OVER_BUDGET = "over_budget"


class Candidate(NamedTuple):
    """A moment to choose from.

    Attributes:
        clip_id, frame: which one it is; the frame is of 0.1 s.
        decision: the meta-action that stands for its decision.
        condition: where and when it was recorded.
        scene: None where its clip could not be read.
        faulty: whether its data cannot be trusted.
    """

    clip_id: str
    frame: int
    decision: str
    condition: tuple[str, ...]
    scene: Scene | None
    faulty: bool


@dataclass(frozen=True)
class Choice:
    """How to choose.

    Attributes:
        keep_rates: the share of each scene that is kept before the budget.
        budget: most moments; None for no limit.
        seed: another one chooses others.
    """

    keep_rates: Mapping[Scene, float] = field(default_factory=lambda: KEEP_RATES)
    budget: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.budget is not None and self.budget < 1:
            raise CocLabelingError(f"--budget {self.budget}: expected at least 1 label.")


def choose(candidates: Sequence[Candidate], choice: Choice) -> list[Fate]:
    """Return the fate of each candidate.

    Each is judged by a number that only its own identity and the seed give, so what is kept depends neither on the
    order nor, before the budget, on the other candidates.
    """
    fates = [_before_budget(candidate, choice) for candidate in candidates]
    kept = [row for row, fate in enumerate(fates) if fate is Fate.KEPT]
    if choice.budget is None or len(kept) <= choice.budget:
        return fates
    within = set(_within_budget(candidates, kept, choice.budget, choice.seed))
    for row in kept:
        if row not in within:
            fates[row] = Fate.OVER_BUDGET
    return fates


def _before_budget(candidate: Candidate, choice: Choice) -> Fate:
    if candidate.scene is None:
        return Fate.UNREADABLE
    if candidate.faulty:
        return Fate.MASKED
    kept = _uniform("keep", choice.seed, candidate) < choice.keep_rates[candidate.scene]
    return Fate.KEPT if kept else Fate.THINNED


def _within_budget(candidates: Sequence[Candidate], rows: Sequence[int], budget: int, seed: int) -> list[int]:
    """Share the budget out evenly among decisions, and within each among conditions; chance chooses the rest."""
    strata: dict[str, dict[tuple[str, ...], list[int]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        strata[candidates[row].decision][candidates[row].condition].append(row)
    decisions = sorted(strata)
    sizes = [sum(map(len, strata[name].values())) for name in decisions]
    chosen: list[int] = []
    for name, share in zip(decisions, fair_shares(sizes, budget), strict=True):
        groups = [own for _, own in sorted(strata[name].items())]
        for own, part in zip(groups, fair_shares([len(group) for group in groups], share), strict=True):
            chosen += sorted(own, key=lambda row: _uniform("budget", seed, candidates[row]))[:part]
    return chosen


def fair_shares(sizes: Sequence[int], budget: int) -> list[int]:
    """Share a budget out so that the smallest share is as large as can be: small groups whole, the others evenly.

    What cannot be divided goes to the largest groups, of equal ones to the first.

    Example:
        >>> fair_shares([2, 10, 100], 20)
        [2, 9, 9]
    """
    shares = [0] * len(sizes)
    left = min(budget, sum(sizes))
    open_groups = sorted(range(len(sizes)), key=lambda i: (sizes[i], -i))
    while open_groups:
        i = open_groups[0]
        shares[i] = min(sizes[i], left // len(open_groups))
        left -= shares[i]
        open_groups.pop(0)
    return shares


def _uniform(purpose: str, seed: int, candidate: Candidate) -> float:
    """Return a number in [0, 1) that is always the same for a moment, and as good as random over moments."""
    text = f"{purpose}:{seed}:{candidate.clip_id}:{candidate.frame}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest()) / 2**48
