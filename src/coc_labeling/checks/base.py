"""What a check is: something that compares one thing a label claims with what is known, and says what it found."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import ClassVar

from coc_labeling.checks.claims import CauseClaim, Claims
from coc_labeling.checks.driven import DrivenFacts
from coc_labeling.reading.reading import Reading
from coc_labeling.scene.facts import SceneFacts
from coc_labeling.scene.roles import Lead
from coc_labeling.schema import CoCLabel, FactSource

LEADS_KNOWN_TICKS = (-5, 30)  # from the keyframe: when leads are looked for at most
_OF_EGO = frozenset({FactSource.EGO_MOTION, FactSource.TIMELINE})


class Verdict(StrEnum):
    """What the facts say of a claim."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    NOT_OBSERVABLE = "not_observable"


@dataclass(frozen=True)
class Finding:
    """What one check found about one claim.

    Attributes:
        check: the check's name.
        verdict: what the facts say.
        about: the claim, in a few words.
        reason: why, in words for people.
        numbers: what was compared, the unit at the end of each name (``slowest_mps``).
        sources: the measured facts that were used; none for findings about the text alone.
        severity: how likely the label is wrong by this alone, 0 to 1; counts where it is contradicted.
        cause: the number of the cause that it is about; None where it is about none.
        sums_up: it only sums up what others found, and weighs nothing itself.
    """

    check: str
    verdict: Verdict
    about: str
    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    sources: frozenset[FactSource] = frozenset()
    severity: float = 0.0
    cause: int | None = None
    sums_up: bool = False

    def shares_facts(self, told: frozenset[FactSource]) -> bool:
        """Say whether any fact that decides it had been told to the labeller, so that agreeing with it proves little.

        Meta-actions are made of ego's motion: whoever was told the one knows the other.
        """
        return bool(self.sources & (told | _OF_EGO if told & _OF_EGO else told))

    def of_cause(self, cause: CauseClaim) -> "Finding":
        """Return the finding as one about a cause."""
        return replace(self, cause=cause.number)


@dataclass(frozen=True)
class TextCounts:
    """How often a label's sentence occurs in its run.

    Attributes:
        same: labels that say it word for word, of this clip and others; itself included.
        clips: different clips among them.
        templates: different clips with the sentence when numbers are left out.
        total_clips: clips with labels in the run.
        in_clip: labels of its own clip that say it word for word; itself included.
        clip_labels: labels of its own clip that have a sentence.
    """

    same: int = 1
    clips: int = 1
    templates: int = 1
    total_clips: int = 1
    in_clip: int = 1
    clip_labels: int = 1


SAID_ONCE = TextCounts()


@dataclass(frozen=True)
class Case:
    """All that one label is checked with.

    Attributes:
        label: as it is in the record.
        reading: what its sentence says; empty for an abstention.
        claims: what label and sentence claim, in one form.
        driven: what ego did around the keyframe.
        scene: what others were to ego.
        told: the measured facts that the labeller was told.
        unlisted: components that the first of two stages did not list; None where there was one stage only.
        by_rules: whether rules wrote the sentence: theirs repeat by design.
        texts: how often the run says the same.
    """

    label: CoCLabel
    reading: Reading
    claims: Claims
    driven: DrivenFacts
    scene: SceneFacts
    told: frozenset[FactSource] = frozenset()
    unlisted: frozenset[str] | None = None
    by_rules: bool = False
    texts: TextCounts = SAID_ONCE

    @property
    def t0(self) -> int:
        """The keyframe's tick on the clip clock."""
        return self.driven.start_tick

    @cached_property
    def leads(self) -> dict[int, Lead]:
        """The leads around the keyframe, by tick from it; ticks without one are left out."""
        first, last = LEADS_KNOWN_TICKS
        found = ((tick, self.scene.lead_at(self.t0 + tick)) for tick in range(first, last + 1))
        return {tick: lead for tick, lead in found if lead is not None}


class Check(ABC):
    """One check. It has no state: one object serves all labels of a process."""

    name: ClassVar[str]

    @abstractmethod
    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield what it finds about a label; nothing where the label claims nothing that concerns it.

        ``earlier`` are the findings of the checks before it, for those that draw conclusions.
        """

    def supported(self, about: str, reason: str, sources: frozenset[FactSource], **numbers: float) -> Finding:
        """Return that facts agree with a claim."""
        return Finding(self.name, Verdict.SUPPORTED, about, reason, numbers, sources)

    def contradicted(
        self, about: str, reason: str, severity: float, sources: frozenset[FactSource] = frozenset(), **numbers: float
    ) -> Finding:
        """Return that facts speak against a claim."""
        return Finding(self.name, Verdict.CONTRADICTED, about, reason, numbers, sources, severity)

    def not_observable(
        self, about: str, reason: str, sources: frozenset[FactSource] = frozenset(), **numbers: float
    ) -> Finding:
        """Return that facts do not tell, and why."""
        return Finding(self.name, Verdict.NOT_OBSERVABLE, about, reason, numbers, sources)


EGO = frozenset({FactSource.EGO_MOTION})
TIMELINE = frozenset({FactSource.TIMELINE})
PATH = frozenset({FactSource.EGO_MOTION, FactSource.TIMELINE})
TRACKS = frozenset({FactSource.TRACKS})
