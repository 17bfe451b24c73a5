"""Whether a sentence fits the trajectory that was predicted with it: its claims against the predicted motion.

The checks are those that labels are compared with recorded drives by; here the drive is the history and the prediction.
What a sentence says of others (lights, lead vehicles) cannot be told from a trajectory and does not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from alpamayo_r1.evaluation.motions import window_of
from alpamayo_r1.evaluation.sentences import MOST_CHARS, read
from coc_labeling.checks.base import Case, Check, Finding, Verdict
from coc_labeling.checks.claims import claims_of
from coc_labeling.checks.driven import driven_facts
from coc_labeling.checks.lateral import DirectionCheck, LaneCheck, TurnCheck
from coc_labeling.checks.motion import SpeedCheck, StopCheck
from coc_labeling.checks.refused import RefusedCheck
from coc_labeling.checks.unmentioned import UnmentionedCheck
from coc_labeling.checks.unseen import BendCheck
from coc_labeling.reading import Reading
from coc_labeling.scene.facts import scene_facts
from coc_labeling.schema import CoCLabel
from driving_clips.geometry import Floats

CLEAR = 0.5  # of a finding's severity: from here on, it alone makes a claim more likely wrong than right
CLAIM_CHECKS: tuple[Check, ...] = tuple(
    check() for check in (StopCheck, SpeedCheck, DirectionCheck, TurnCheck, LaneCheck, BendCheck, RefusedCheck)
)
_UNMENTIONED = UnmentionedCheck()


class Fit(StrEnum):
    """How a sentence and its trajectory fit."""

    CONSISTENT = "consistent"  # a claim is borne out, and none is clearly contradicted
    CONTRADICTED = "contradicted"  # a claim is clearly contradicted
    UNCLEAR = "unclear"  # the trajectory tells nothing of what is claimed, or nothing about motion is claimed
    UNREADABLE = "unreadable"  # empty, damaged, or without a decision or cause that could be read


@dataclass(frozen=True)
class Judged:
    """One sample: its sentence against its trajectory.

    Attributes:
        fit: in a word.
        findings: what the checks found about claims.
        unmentioned: what the trajectory notably does sideways and the sentence does not say, in words.
        reading: of the sentence.
    """

    fit: Fit
    findings: tuple[Finding, ...]
    unmentioned: tuple[str, ...]
    reading: Reading

    @property
    def severity(self) -> float:
        """How grave the gravest contradiction is, 0 to 1."""
        return max((one.severity for one in self.findings if one.verdict is Verdict.CONTRADICTED), default=0.0)

    @property
    def contradictions(self) -> list[str]:
        """What contradicts it, in words, the gravest first."""
        against = [one for one in self.findings if one.verdict is Verdict.CONTRADICTED]
        return list(dict.fromkeys(one.reason for one in sorted(against, key=lambda one: -one.severity)))


def judge(sentence: str, history_xy: Floats, xy: Floats, yaw: Floats) -> Judged:
    """Compare a sentence with a trajectory.

    Args:
        sentence: as the model wrote it; not trusted.
        history_xy: (H, 2) m in ego's frame at t0, the last at t0.
        xy: (T, 2) m, what was predicted.
        yaw: (T,) rad.
    """
    reading = read(sentence)
    if reading.garbled or not (reading.decisions or reading.causes):
        return Judged(Fit.UNREADABLE, (), (), reading)
    window = window_of("", history_xy, xy, yaw)
    label = CoCLabel(effect_on_ego_behavior=sentence[:MOST_CHARS])
    case = Case(label, reading, claims_of(label, reading), driven_facts(window), scene_facts(window.ego, None))
    findings = _found(case)
    left_out = tuple(one.reason for one in _UNMENTIONED.find(case, findings) if one.severity >= CLEAR)
    return Judged(_fit(findings), findings, left_out, reading)


def _found(case: Case) -> tuple[Finding, ...]:
    findings: list[Finding] = []
    for check in CLAIM_CHECKS:
        findings += list(check.find(case, tuple(findings)))
    return tuple(findings)


def _fit(findings: Sequence[Finding]) -> Fit:
    against = [one.severity for one in findings if one.verdict is Verdict.CONTRADICTED]
    if max(against, default=0.0) >= CLEAR:
        return Fit.CONTRADICTED
    if not against and any(one.verdict is Verdict.SUPPORTED for one in findings):
        return Fit.CONSISTENT
    return Fit.UNCLEAR
