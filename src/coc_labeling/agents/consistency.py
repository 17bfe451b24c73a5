"""Does a label contradict what ego measurably did? The checks of motion and lane, as reasons for a repair."""

import numpy as np

from coc_labeling.checks import driven
from coc_labeling.checks.base import Case, Check, Verdict
from coc_labeling.checks.claims import claims_of
from coc_labeling.checks.lateral import DirectionCheck, LaneCheck, TurnCheck
from coc_labeling.checks.motion import SpeedCheck, StopCheck
from coc_labeling.checks.unmentioned import UnmentionedCheck
from coc_labeling.reading import read_sentence
from coc_labeling.scene.facts import SceneFacts
from coc_labeling.schema import CoCLabel, Side
from coc_labeling.windows import Window
from driving_clips.ego_motion import EgoMotion

_CHECKS: tuple[Check, ...] = (
    DirectionCheck(),
    TurnCheck(),
    StopCheck(),
    SpeedCheck(),
    UnmentionedCheck(),
    LaneCheck(),
)
_NO_EGO = EgoMotion(0, np.zeros((0, 3)), np.zeros((0, 4)), np.zeros((0, 3)))
# Labels are compared with ego's motion alone: what others do is nothing that a labeller of motion could repair.
_UNSEEN = SceneFacts(_NO_EGO, 0, Side.RIGHT, np.zeros(0), False, 0.0, (), (), (), None)


class DrivenFacts(driven.DrivenFacts):
    """What ego did from the keyframe to the window's end, and what of a label contradicts it."""

    def contradictions(self, label: CoCLabel) -> list[str]:
        """Return, in words, where a label contradicts what ego did; empty where nothing does."""
        return contradictions(label, self)


def driven_facts(window: Window) -> DrivenFacts:
    """Return what ego did from the keyframe on, by its meta-actions and speed: small enough to wait with a request."""
    facts = driven.driven_facts(window)
    return DrivenFacts(facts.start_tick, facts.spans, facts.slowest_mps, facts.fastest_mps, facts.complete)


def contradictions(label: CoCLabel, facts: driven.DrivenFacts) -> list[str]:
    """Return, in words, where a label contradicts what ego did; empty where nothing does."""
    sentence = label.effect_on_ego_behavior
    if label.abstention is not None or sentence is None:
        return []
    reading = read_sentence(sentence)
    case = Case(label, reading, claims_of(label, reading), facts, _UNSEEN)
    findings = (finding for check in _CHECKS for finding in check.find(case, ()))
    return list(dict.fromkeys(f.reason for f in findings if f.verdict is Verdict.CONTRADICTED))
