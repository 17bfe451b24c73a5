"""Checking the labels of one clip: facts are found once, then each label is compared with them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from coc_labeling.checks import all_checks
from coc_labeling.checks.base import SAID_ONCE, Case, Check, Finding, TextCounts
from coc_labeling.checks.claims import claims_of
from coc_labeling.checks.driven import driven_facts
from coc_labeling.checks.risk import Risk, risk_of
from coc_labeling.keyframes import Keyframe
from coc_labeling.reading import read_sentence
from coc_labeling.reading.reading import Reading
from coc_labeling.scene.facts import SceneFacts
from coc_labeling.scene.traffic import TrafficLines, traffic_lines
from coc_labeling.schema import CoCLabel, FactSource
from coc_labeling.windows import make_window
from driving_clips.ego_motion import EgoMotion
from driving_clips.obstacles import ObstacleTracks
from meta_action.timeline import Timeline


@dataclass(frozen=True)
class LabelToCheck:
    """One label, with what is known of how it was made.

    Attributes:
        t_us: the keyframe on the clip clock.
        label: as it is in the record.
        told: the measured facts that the labeller was told.
        unlisted: components that the first of two stages did not list; None where there was one stage only.
        by_rules: whether rules wrote the sentence.
        texts: how often the run says the same.
    """

    t_us: int
    label: CoCLabel
    told: frozenset[FactSource] = frozenset()
    unlisted: frozenset[str] | None = None
    by_rules: bool = False
    texts: TextCounts = SAID_ONCE


@dataclass(frozen=True)
class CheckedLabel:
    """What came of checking one label; ``told`` tells which findings are no independent evidence."""

    risk: Risk
    findings: tuple[Finding, ...]
    told: frozenset[FactSource] = frozenset()

    def count(self, verdict: str) -> int:
        """Return how many findings have a verdict."""
        return sum(finding.verdict == verdict for finding in self.findings)


@dataclass(frozen=True)
class ClipToCheck:
    """What labels of a clip are compared with.

    Attributes:
        clip_id: the clip.
        ego: its ego motion.
        timeline: its meta-actions.
        obstacles: its tracks; None where the dataset has none.
        scene: what others are to ego.
        history_sec, future_sec: the window around each keyframe.
    """

    clip_id: str
    ego: EgoMotion
    timeline: Timeline
    obstacles: ObstacleTracks | None
    scene: SceneFacts
    history_sec: float
    future_sec: float

    @cached_property
    def lines(self) -> TrafficLines | None:
        """The lines of others along ego's path; None where nobody drives along it."""
        return traffic_lines(self.scene)


class Checker:
    """Checks labels with all checks, or those handed in."""

    def __init__(self, checks: Sequence[Check] | None = None) -> None:
        self._checks = tuple(all_checks() if checks is None else checks)

    def check(self, clip: ClipToCheck, own: LabelToCheck) -> CheckedLabel:
        """Return what all checks find about a label, and its risk.

        Raises:
            ClipRejectedError: ego motion does not cover the keyframe.
        """
        return self.check_case(case_of(clip, own))

    def check_case(self, case: Case) -> CheckedLabel:
        """Return what all checks find about a case, and its risk."""
        findings: list[Finding] = []
        for check in self._checks:
            findings += list(check.find(case, tuple(findings)))
        return CheckedLabel(risk_of(case.label, findings), tuple(findings), case.told)


def case_of(clip: ClipToCheck, own: LabelToCheck) -> Case:
    """Return what one label is checked with; raises ClipRejectedError where ego motion does not cover the keyframe."""
    window = make_window(
        Keyframe(clip.clip_id, own.t_us), clip.ego, clip.timeline, clip.obstacles, clip.history_sec, clip.future_sec
    )
    sentence = own.label.effect_on_ego_behavior
    reading = Reading() if sentence is None else read_sentence(sentence)
    return Case(
        own.label,
        reading,
        claims_of(own.label, reading),
        driven_facts(window, clip.lines),
        clip.scene,
        own.told,
        own.unlisted,
        own.by_rules,
        own.texts,
    )


def independent(checked: CheckedLabel) -> Iterator[Finding]:
    """Yield the findings that do not rest on facts that the labeller was told."""
    return (finding for finding in checked.findings if not finding.shares_facts(checked.told))
