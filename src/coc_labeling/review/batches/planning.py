"""Which labels are reviewed when, and by whom: batches by risk, with a uniform random part in each.

The random stratum is drawn first, without looking at anything: one permutation of all labels is dealt to the batches,
so each label is equally likely to be in the random part of each batch, and the random parts of any batches are a simple
random sample of all labels. What is left goes to the batches by falling risk.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from coc_labeling.checks.risk import UNOBSERVED_RISK
from coc_labeling.review.errors import ReviewError
from coc_labeling.review.phases import Extent
from driving_clips.datasets.loose import stable_hash


class Kind(StrEnum):
    """Why a task is in the queue. Reviewers are not told."""

    FIRST = "first"
    SECOND = "second"  # the same label, blind, to another reviewer
    AUDIT = "audit"  # the same label, to an auditor
    PLANTED_GOOD = "planted_good"  # a label known to be right
    PLANTED_BAD = "planted_bad"  # one known to be wrong


class Stratum(StrEnum):
    """How a label came to its first review."""

    RISK = "risk"
    RANDOM = "random"


@dataclass(frozen=True)
class QueueSettings:
    """How the queue is made.

    Attributes:
        batch_size: labels of a batch that are reviewed for the first time.
        random_share: of them, drawn uniformly from all; at least one in each batch.
        second_share: of all labels, given blind to a second reviewer in a later batch.
        audit_share: of all labels, given to an auditor.
        planted_share: labels with a known answer, added to a batch, relative to its size.
        blank_share: of tasks, whose components are listed from nothing.
        seed: of all that is drawn.
    """

    batch_size: int = 50
    random_share: float = 0.1
    second_share: float = 0.1
    audit_share: float = 0.05
    planted_share: float = 0.04
    blank_share: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise ReviewError for shares beyond 0 to 1, and for batches without a label."""
        if self.batch_size < 1:
            raise ReviewError(f"batch_size={self.batch_size}: expected 1 or more.")
        for name in ("random_share", "second_share", "audit_share", "planted_share", "blank_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ReviewError(f"{name}={getattr(self, name)}: expected a share from 0 to 1.")
        if not self.random_share:
            raise ReviewError("random_share=0: without a random part nothing can be said of labels not reviewed.")


class Candidate(NamedTuple):
    """A label that waits for its place: its number, clip, keyframe (us), hash, risk (None where not checked)."""

    id: int
    clip_id: str
    t_us: int
    label_hash: str
    risk: float | None = None


class Planted(NamedTuple):
    """A label with a known answer: its number, clip, keyframe (us), and whether it is right."""

    id: int
    clip_id: str
    t_us: int
    good: bool


class Given(NamedTuple):
    """A window that somebody has been given before, by its clip and keyframe (us)."""

    reviewer: str
    clip_id: str
    t_us: int


@dataclass
class PlannedTask:
    """A task; ``repeats`` is the task that a second review or an audit is of."""

    reviewer: str
    label: int
    clip_id: str
    t_us: int
    kind: Kind
    order: int  # within its batch
    blank: bool
    stratum: Stratum | None = None
    inclusion_probability: float | None = None
    repeats: "PlannedTask | None" = None
    id: int = 0  # given by who stores it, in order


@dataclass
class PlannedBatch:
    """A batch of one reviewer."""

    reviewer: str
    room: int = 0  # for labels by risk, that is still free
    tasks: list[PlannedTask] = field(default_factory=list)

    @property
    def random_tasks(self) -> int:
        """How many of its tasks are of the random stratum."""
        return sum(task.stratum is Stratum.RANDOM for task in self.tasks)


@dataclass(frozen=True)
class Team:
    """Who reviews, and who re-checks."""

    reviewers: tuple[str, ...]
    auditors: tuple[str, ...] = ()


def plan(
    labels: Iterable[Candidate],
    planted: Sequence[Planted],
    team: Team,
    settings: QueueSettings,
    extent: Extent,
    given: Iterable[Given] = (),
) -> list[PlannedBatch]:
    """Return batches in the order in which they are worked on; the same for the same labels, people and settings.

    The batches go round the reviewers. Of labels whose windows overlap, each goes to somebody else as far as there are
    others, since who has seen one cannot judge the history of the next. Nobody gets a planted label whose window
    overlaps another one of theirs: they would see that the two labels differ.

    Args:
        labels: what is to be reviewed.
        planted: labels with a known answer that nobody has been given yet.
        team: who reviews.
        settings: how the queue is made.
        extent: of a window.
        given: windows of these clips that people have been given before.

    Raises:
        ReviewError: there is no reviewer, or a second review or an audit is asked for and nobody is there to do it.
    """
    _refuse_team(team, settings)
    return _Planner(team, settings, extent, given).plan(labels, planted)


def _refuse_team(team: Team, settings: QueueSettings) -> None:
    if not team.reviewers:
        raise ReviewError("no reviewer: add one before the queue is made.")
    if settings.second_share and len(team.reviewers) < 2:
        raise ReviewError(
            f"second_share={settings.second_share}: a second review needs two reviewers, there is "
            f"{team.reviewers[0]}. Add another one, or set it to 0."
        )
    if settings.audit_share and not team.auditors:
        raise ReviewError(f"audit_share={settings.audit_share}: nobody is an auditor. Add one, or set it to 0.")


class _Planner:
    def __init__(self, team: Team, settings: QueueSettings, extent: Extent, given: Iterable[Given]) -> None:
        self._team, self._settings, self._extent = team, settings, extent
        self._windows: dict[tuple[str, str], list[int]] = defaultdict(list)  # reviewer, clip: keyframes
        for window in given:
            self._windows[window.reviewer, window.clip_id].append(window.t_us)
        self._auditors = itertools.cycle(team.auditors)

    def plan(self, labels: Iterable[Candidate], planted: Sequence[Planted]) -> list[PlannedBatch]:
        """Return the batches of labels, round after round of the reviewers, those of the highest risk first."""
        drawn, by_risk, sizes = strata(labels, self._settings)
        population = sum(map(sum, sizes))
        batches: list[PlannedBatch] = []
        of_firsts: list[PlannedBatch] = []
        due: list[PlannedTask] = []  # for a second review
        reviewers = self._team.reviewers
        for start in range(0, len(sizes), len(reviewers)):
            of_round = sizes[start : start + len(reviewers)]
            fresh = [PlannedBatch(name, room) for name, (_, room) in zip(reviewers, of_round, strict=False)]
            for batch, (count, _) in zip(fresh, of_round, strict=True):
                for label in itertools.islice(drawn, count):
                    self._first(batch, label, Stratum.RANDOM, count / population)
            due = self._give_seconds(fresh, due)
            for label in itertools.islice(by_risk, sum(room for _, room in of_round)):
                self._first(self._best(fresh, label), label, Stratum.RISK, None)
            firsts = [task for batch in fresh for task in batch.tasks if task.kind is Kind.FIRST]
            due += [task for task in firsts if self._is_due(task, Kind.SECOND, self._settings.second_share)]
            batches += fresh + self._audits(firsts)
            of_firsts += fresh
        last = [PlannedBatch(name) for name in reviewers]
        self._give_seconds(last, due)
        batches += [batch for batch in last if batch.tasks]
        self._plant(of_firsts, [sum(size) for size in sizes], planted)
        for batch in batches:
            batch.tasks.sort(key=lambda task: task.order)
        return batches

    def _first(self, batch: PlannedBatch, label: Candidate, stratum: Stratum, probability: float | None) -> None:
        mark = f"{label.label_hash}/{Kind.FIRST}"
        task = self._add(batch, label.id, label.clip_id, label.t_us, Kind.FIRST, mark)
        task.stratum, task.inclusion_probability = stratum, probability

    def _again(self, batch: PlannedBatch, first: PlannedTask, kind: Kind) -> None:
        task = self._add(batch, first.label, first.clip_id, first.t_us, kind, f"{first.order}/{kind}")
        task.repeats = first

    def _add(self, batch: PlannedBatch, label: int, clip_id: str, t_us: int, kind: Kind, mark: str) -> PlannedTask:
        key = f"{self._settings.seed}/{clip_id}/{t_us}/{mark}"
        blank = _is_drawn(f"{key}/blank", self._settings.blank_share)
        task = PlannedTask(batch.reviewer, label, clip_id, t_us, kind, stable_hash(key), blank)
        batch.tasks.append(task)
        self._windows[batch.reviewer, clip_id].append(t_us)
        return task

    def _is_due(self, task: PlannedTask, kind: Kind, share: float) -> bool:
        return _is_drawn(f"{self._settings.seed}/{task.order}/{kind}", share)

    def _best(self, batches: list[PlannedBatch], label: Candidate) -> PlannedBatch:
        """Take a place in the batch, of those with room, whose reviewer knows least of the window; return it."""
        free = [batch for batch in batches if batch.room]
        best = min(free, key=lambda one: (self._overlaps(one.reviewer, label.clip_id, label.t_us), -one.room))
        best.room -= 1
        return best

    def _overlaps(self, reviewer: str, clip_id: str, t_us: int) -> int:
        own = self._windows.get((reviewer, clip_id), ())
        return sum(abs(one - t_us) < self._extent.length_us for one in own)

    def _give_seconds(self, batches: list[PlannedBatch], due: list[PlannedTask]) -> list[PlannedTask]:
        """Give labels to somebody else than the first time; return those for which nobody has a batch now."""
        left = []
        for first in due:
            others = [batch for batch in batches if batch.reviewer != first.reviewer]
            if not others:
                left.append(first)
                continue
            best = min(
                others,
                key=lambda one: (self._overlaps(one.reviewer, first.clip_id, first.t_us), len(one.tasks)),
            )
            self._again(best, first, Kind.SECOND)
        return left

    def _audits(self, firsts: list[PlannedTask]) -> list[PlannedBatch]:
        """Return the batch in which an auditor, by turns, re-checks some of a round's labels."""
        chosen = [task for task in firsts if self._is_due(task, Kind.AUDIT, self._settings.audit_share)]
        if not chosen:
            return []
        batch = PlannedBatch(next(self._auditors))
        for task in chosen:
            self._again(batch, task, Kind.AUDIT)
        return [batch]

    def _plant(self, batches: list[PlannedBatch], sizes: list[int], planted: Sequence[Planted]) -> None:
        """Add labels with a known answer in turn, when all that a reviewer gets otherwise is known."""
        seed, share = self._settings.seed, self._settings.planted_share
        ordered = sorted(planted, key=lambda one: stable_hash(f"{seed}/{one.clip_id}/{one.t_us}"))
        turns = itertools.cycle(ordered)
        for number, (batch, size) in enumerate(zip(batches, sizes, strict=True)):
            wanted = math.floor((number + 1) * share * size) - math.floor(number * share * size)
            fitting = (
                one
                for one in itertools.islice(turns, len(ordered))
                if not self._overlaps(batch.reviewer, one.clip_id, one.t_us)
            )
            for one in itertools.islice(fitting, wanted):
                kind = Kind.PLANTED_GOOD if one.good else Kind.PLANTED_BAD
                self._add(batch, one.id, one.clip_id, one.t_us, kind, f"{one.id}/{batch.reviewer}")


def strata(
    labels: Iterable[Candidate], settings: QueueSettings
) -> tuple[Iterator[Candidate], Iterator[Candidate], list[tuple[int, int]]]:
    """Return the labels drawn at random, the others by falling risk, and how many of each go to each batch."""
    ordered = sorted(labels, key=lambda label: label[1:4])
    order = np.random.default_rng(settings.seed).permutation(len(ordered))
    shuffled = [ordered[number] for number in order]
    sizes = []
    for start in range(0, len(shuffled), settings.batch_size):
        size = min(settings.batch_size, len(shuffled) - start)
        count = math.ceil(round(size * settings.random_share, 9))  # 0.1 of 50 is 5, whatever floats say
        sizes.append((count, size - count))
    drawn = sum(count for count, _ in sizes)
    by_risk = sorted(shuffled[drawn:], key=_by_falling_risk)  # stable: equal risks stay shuffled
    return iter(shuffled[:drawn]), iter(by_risk), sizes


def _by_falling_risk(label: Candidate) -> float:
    return -(UNOBSERVED_RISK if label.risk is None else label.risk)


def _is_drawn(key: str, share: float) -> bool:
    return stable_hash(key) < share * 2**64
