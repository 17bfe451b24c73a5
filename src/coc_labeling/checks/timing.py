"""Whether the decision is taken at the keyframe, and not long before or after it."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from coc_labeling.checks.base import EGO, Case, Check, Finding
from coc_labeling.checks.claims import DecisionClaim
from coc_labeling.checks.driven import STANDING_MPS, SpeedCourse
from coc_labeling.checks.lateral import CHANGES, STRAIGHT_RAD, TURN_RAD
from coc_labeling.checks.motion import NONE_MPS, NOTABLE_MPS, claims_stop
from coc_labeling.reading.reading import Motion
from coc_labeling.schema import LateralDecision, Side

LATE_SEC = 4.0
NOTABLY_MPS = 1.0
BEFORE_TICKS = 40
OVER_SEC = 1.0  # a lane change whose middle was so long before the keyframe is another decision's
STOOD_TICKS = 10  # who has been standing for longer at the keyframe does not come to a stop there
_WAITS = re.compile(r"\b(?:wait|hold|remain|standing|stationary|stay stopped|stays stopped)")


class TimingCheck(Check):
    """What ego does first begins around the keyframe: not over by then, and not over 4 s later."""

    name = "timing"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for what is said to come first on speed, and for what comes first on the lane."""
        for claims in (case.claims.on_speed, case.claims.on_lane):
            first = [claim for claim in claims if claim.part == 0]
            found = [finding for claim in first for finding in self._of(claim, case)]
            yield from found[:1]

    def _of(self, claim: DecisionClaim, case: Case) -> Iterator[Finding]:
        course = case.driven.course
        whole = course is not None and course.t_sec[-1] >= LATE_SEC
        if claim.is_lateral:
            yield from self._on_lane(claim, case)
        elif course is not None and (claims_stop(claim) or claim.motion is Motion.DECELERATE):
            if claim.motion is Motion.STOP and _stands_all_along(course):
                yield from self._stands(claim, case)
            elif abs(course.start_mps) >= STANDING_MPS:
                slowed = float(abs(course.before_mps).max()) - abs(course.start_mps)
                over = whole and slowed >= NOTABLY_MPS and course.fall_mps(LATE_SEC) < NONE_MPS
                yield from self._begins(claim, course.falls_in_sec(NOTABLE_MPS), over=over, verb="braking")
        elif course is not None and claim.motion is Motion.ACCELERATE:
            gained = abs(course.start_mps) - float(abs(course.before_mps).min())
            over = whole and gained >= NOTABLY_MPS and course.rise_mps(LATE_SEC) < NONE_MPS
            yield from self._begins(claim, course.rises_in_sec(NOTABLE_MPS), over=over, verb="accelerating")

    def _on_lane(self, claim: DecisionClaim, case: Case) -> Iterator[Finding]:
        driven, path = case.driven, case.driven.sideways
        if claim.decision is LateralDecision.TURN and driven.window is not None and driven.turned_rad is not None:
            over = driven.complete and max(driven.turned_rad) < STRAIGHT_RAD and _turned_before(case) >= TURN_RAD
            yield from self._begins(claim, driven.steers_in_sec(claim.direction), over=over, verb="turning")
        elif claim.decision in CHANGES and path is not None:
            sides = (Side.LEFT, Side.RIGHT) if claim.direction is None else (claim.direction,)
            moves = [move for move in path.changes if move.side in sides]
            ahead = [move for move in moves if move.starts_in_sec + move.ends_in_sec > -2 * OVER_SEC]
            if moves:
                first = (ahead or moves)[0]
                yield from self._begins(claim, first.starts_in_sec, over=not ahead, verb="changing lanes")

    def _stands(self, claim: DecisionClaim, case: Case) -> Iterator[Finding]:
        """A stop, where ego has been standing for a while: right only with words of waiting."""
        waits = any(other.motion is Motion.STAND for other in case.claims.on_speed if other.part == 0)
        if not waits and not _WAITS.search((case.label.effect_on_ego_behavior or "")[:2000].lower()):
            reason = f"it says that ego comes to a stop, but ego has been standing for over {STOOD_TICKS / 10:.0f} s"
            yield self.contradicted(claim.text, reason, 0.3, EGO, stood_sec=STOOD_TICKS / 10)

    def _begins(self, claim: DecisionClaim, starts: float | None, *, over: bool, verb: str) -> Iterator[Finding]:
        if over:
            yield self.contradicted(claim.text, f"ego's {verb} is over at the keyframe", 0.25, EGO)
        elif starts is not None and starts > LATE_SEC:
            reason = f"ego's {verb} begins only {starts:.1f} s after the keyframe"
            yield self.contradicted(claim.text, reason, 0.35, EGO, starts_in_sec=starts)
        elif starts is not None:
            yield self.supported(
                claim.text, f"ego's {verb} begins {starts:+.1f} s from the keyframe", EGO, starts_in_sec=starts
            )


def _stands_all_along(course: SpeedCourse) -> bool:
    """Say whether ego has been standing for a while at the keyframe, and does not move off soon."""
    stood = len(course.before_mps) > STOOD_TICKS and np.abs(course.before_mps[-STOOD_TICKS - 1 :]).max() < STANDING_MPS
    return bool(stood) and course.rise_mps(LATE_SEC) < NOTABLE_MPS


def _turned_before(case: Case) -> float:
    """Return by how much ego's heading changed over the seconds before the keyframe, in rad."""
    window = case.driven.window
    if window is None:
        return 0.0
    heading = np.unwrap(window.ego.heading[max(window.row - BEFORE_TICKS, 0) : window.row + 1])
    return float(abs(heading[-1] - heading[0]))
