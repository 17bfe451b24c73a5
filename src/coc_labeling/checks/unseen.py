"""Causes that are no road users: bends against ego's path; lights, signs, works and weather, which no track shows."""

import re
from collections.abc import Iterator, Sequence

from coc_labeling.checks.base import EGO, Case, Check, Finding
from coc_labeling.checks.claims import CauseClaim
from coc_labeling.checks.driven import DrivenFacts
from coc_labeling.checks.lateral import STEERED_RAD, STRAIGHT_RAD, other_side
from coc_labeling.schema import Category, Side

BEND_RAD = 0.1  # of the heading up to the clip's end: a bend that a person would tell
SWING_SHARE = 0.5
SAME_SHARE = 1.1  # a bend that is not clearly wider than the one before it is not the one that a label means
STRAIGHT_ON_RAD, STRAIGHT_ON_M = 0.04, 120.0
_BEND = re.compile(r"\b(?:curve[ds]?|curving|curvature|bends?|bending|(?<!on-)(?<!on )ramp|roundabout|turn)\b")
_WHY = {
    Category.TRAFFIC_LIGHT: "no track shows a traffic light",
    Category.TRAFFIC_CONTROL: "no track shows signs and markings",
    Category.ROAD_EVENT: "no track shows works, bumps and debris",
    Category.ROUTING_INTENT: "the route is not known",
    Category.ODD_CONSTRAINT: "no track shows weather and light",
    Category.LANE: "there is no map of lanes",
}


class BendCheck(Check):
    """A curve that is named is one, to that side."""

    name = "bend"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for each curve or turn of the road that is named as a cause."""
        turned = case.driven.later_turned_rad
        for cause in case.claims.causes:
            if is_bend(cause) and turned is not None:
                yield self._of(cause, turned, case).of_cause(cause)

    def _of(self, cause: CauseClaim, turned: tuple[float, float, float], case: Case) -> Finding:
        left, right, driven_m = turned
        numbers = {"turned_left_rad": left, "turned_right_rad": right}
        own, other = (left, right) if cause.side is Side.LEFT else (right, left)
        if cause.side is None:
            own, other = max(left, right), 0.0
        bend = case.driven.bend
        if cause.side is not None and _bends_first(other_side(cause.side), case.driven) and own < SAME_SHARE * other:
            reason = (
                f"it says that the road bends to the {cause.side}, but ego's path first bends the other way, no less"
            )
            return self.contradicted(cause.text, reason, 0.55, EGO, **numbers)
        swings = cause.side is not None and own < SWING_SHARE * other  # out to one side before a turn to the other
        if (own >= BEND_RAD and not swings) or (bend is not None and cause.side in (None, bend.side)):
            return self.supported(cause.text, f"ego's path bends by {max(own, other):.2f} rad", EGO, **numbers)
        if cause.side is not None and other >= STEERED_RAD and (own < STRAIGHT_RAD or swings):
            reason = f"it says that the road bends to the {cause.side}, but ego's path bends the other way only"
            return self.contradicted(cause.text, reason, 0.7, EGO, **numbers)
        if max(left, right) < STRAIGHT_ON_RAD and driven_m >= STRAIGHT_ON_M:
            reason = f"it names a bend of the road, but ego's path runs straight on for {driven_m:.0f} m"
            return self.contradicted(cause.text, reason, 0.35, EGO, **numbers)
        return self.not_observable(cause.text, "ego's path within the window does not tell", EGO, **numbers)


def _bends_first(side: Side, driven: DrivenFacts) -> bool:
    """Say whether ego's path bends to a side before it does so to the other one."""
    own, other = (driven.steers_in_sec(one, STEERED_RAD) for one in (side, other_side(side)))
    return own is not None and (other is None or own < other)


def is_bend(cause: CauseClaim) -> bool:
    """Say whether a cause is a bend of the road."""
    return cause.category is Category.LANE and _BEND.search(cause.text[:300].lower()) is not None


class UnseenCheck(Check):
    """Causes that neither ego motion nor tracks can show are said to be so."""

    name = "unseen"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for each such cause."""
        for cause in case.claims.causes:
            if cause.category in _WHY and not (is_bend(cause) and case.driven.turned_rad is not None):
                yield self.not_observable(cause.text, _WHY[cause.category])
