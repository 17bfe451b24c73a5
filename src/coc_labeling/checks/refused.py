"""What a sentence says that ego does not do, against what ego does."""

from collections.abc import Iterator, Sequence

from coc_labeling.checks.base import EGO, TIMELINE, Case, Check, Finding
from coc_labeling.checks.claims import DecisionClaim
from coc_labeling.checks.driven import LANE_CHANGES, sides_of
from coc_labeling.checks.lateral import CHANGES, KEPT_M, STRAIGHT_RAD, TURN_SOON_SEC, clear_change
from coc_labeling.checks.motion import CLEAR_MPS, STANDING_MOTIONS, STOPS_SEC
from coc_labeling.schema import LateralDecision, Side
from coc_labeling.schema import LongitudinalDecision as Speed


class RefusedCheck(Check):
    """What ego is said not to do, it does not do: a stop, a lane change, a turn."""

    name = "refused"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for each of these that the sentence says ego does not do, as what comes first."""
        done = {claim.decision for claim in case.claims.decisions}
        for claim in case.claims.refused:
            if claim.part > 0 or (claim.decision is not None and claim.decision in done):
                continue
            if claim.motion in STANDING_MOTIONS or (claim.motion is None and claim.decision is Speed.STOP):
                yield self._stop(claim, case)
            elif claim.decision in CHANGES:
                yield self._lane_change(claim, case)
            elif claim.decision is LateralDecision.TURN:
                yield self._turn(claim, case)

    def _stop(self, claim: DecisionClaim, case: Case) -> Finding:
        driven = case.driven
        stands = driven.course.stands_in_sec() if driven.course is not None else None
        if stands is not None and stands <= STOPS_SEC:
            reason = f"it says that ego does not stop, but ego stands {stands:.1f} s after the keyframe"
            return self.contradicted(claim.text, reason, 0.5, EGO, stands_in_sec=stands)
        if driven.complete and driven.slowest_mps >= CLEAR_MPS:
            text = f"ego does not stop, it is never slower than {driven.slowest_mps:.1f} m/s"
            return self.supported(claim.text, text, EGO, slowest_mps=driven.slowest_mps)
        return self.not_observable(claim.text, "ego may stop later or not", EGO, slowest_mps=driven.slowest_mps)

    def _lane_change(self, claim: DecisionClaim, case: Case) -> Finding:
        driven, path = case.driven, case.driven.sideways
        sides = set(Side) if claim.direction is None else {claim.direction}
        if {str(side) for side in sides} & sides_of(driven.soon(*LANE_CHANGES)):
            reason = "it says that ego does not change lanes, but the lane axis has a lane change"
            return self.contradicted(claim.text, reason, 0.6, TIMELINE)
        if (change := clear_change(driven)) is not None and change.side in sides:
            reason = f"it says that ego keeps its lane, but ego moves {change.moved_m:.1f} m to the {change.side}"
            return self.contradicted(claim.text, reason, 0.5, EGO, moved_m=change.moved_m)
        if path is not None and path.furthest_m is not None and path.furthest_m < KEPT_M:
            text = f"ego stays within {path.furthest_m:.1f} m of its line"
            return self.supported(claim.text, text, EGO, furthest_m=path.furthest_m)
        return self.not_observable(claim.text, "ego's path does not tell whether it keeps its lane", EGO)

    def _turn(self, claim: DecisionClaim, case: Case) -> Finding:
        bend, turned = case.driven.bend, case.driven.turned_rad
        to_side = bend is not None and claim.direction in (None, bend.side)
        if bend is not None and to_side and bend.is_turn and bend.starts_in_sec <= TURN_SOON_SEC:
            reason = f"it says that ego does not turn, but ego turns to the {bend.side}"
            return self.contradicted(claim.text, reason, 0.5, EGO, bend_rad=bend.turn_rad)
        if turned is not None and case.driven.whole and max(turned) < STRAIGHT_RAD:
            return self.supported(claim.text, "ego drives straight on", EGO, furthest_rad=max(turned))
        return self.not_observable(claim.text, "ego's path does not tell", EGO)
