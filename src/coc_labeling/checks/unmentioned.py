"""What ego notably does sideways and a label does not say."""

from collections.abc import Iterator, Sequence

from coc_labeling.checks.base import EGO, TIMELINE, Case, Check, Finding
from coc_labeling.checks.driven import LANE_CHANGES, SHIFTS, sides_of
from coc_labeling.checks.lateral import (
    CHANGES,
    OVER,
    STRAIGHT_RAD,
    TURN_RAD,
    TURN_SOON_SEC,
    clear_change,
    sources_of,
    steers,
)
from coc_labeling.scene.side_moves import SideMove
from coc_labeling.schema import Category, LateralDecision, Side
from coc_labeling.schema import LongitudinalDecision as Speed


class UnmentionedCheck(Check):
    """What ego notably does sideways is mentioned."""

    name = "unmentioned"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for each lane change, nudge or turn around the keyframe that goes unsaid."""
        driven = case.driven
        if not case.claims.decisions:
            return  # a sentence that was not understood may mention anything
        changes, shifts = (list(dict.fromkeys(driven.soon(*names))) for names in (LANE_CHANGES, SHIFTS))
        if changes and not _mentioned(case, sides_of(changes), nudges=False):
            for name in changes:
                reason = f"ego makes a {name.replace('_', ' ')}, which it does not mention"
                yield self.contradicted(name.replace("_", " "), reason, 0.75, TIMELINE)
        # Ego also shifts to settle after a lane change, or back after a nudge: the side of any of them will do.
        if shifts and not _mentioned(case, sides_of([*changes, *shifts]), nudges=True):
            for name in shifts:
                side = name.rpartition("_")[2]
                reason = f"ego nudges to the {side}, which it does not mention"
                yield self.contradicted(f"nudge {side}", reason, 0.4, TIMELINE)
        if not changes and (change := clear_change(driven)) is not None:
            yield from self._change_of_path(change, case)
        yield from self._turn(case)

    def _change_of_path(self, change: SideMove, case: Case) -> Iterator[Finding]:
        side = frozenset({str(change.side)})
        if any(claim.decision in CHANGES for claim in case.claims.decisions):
            return  # to the other side: the direction is wrong, and that is told elsewhere
        vague = _mentioned(case, side, nudges=True) or _curve_claimed(case)
        reason = f"ego makes a {change.side} lane change, which it does not mention"
        numbers = {"moved_m": change.moved_m, "starts_in_sec": change.starts_in_sec}
        severity = 0.35 if vague else 0.75
        yield self.contradicted(f"{change.side} lane change", reason, severity, sources_of(case.driven), **numbers)

    def _turn(self, case: Case) -> Iterator[Finding]:
        bend, turned = case.driven.bend, case.driven.turned_rad
        if bend is None or turned is None or not bend.is_turn or not -0.5 <= bend.starts_in_sec <= TURN_SOON_SEC:
            return
        own, other = turned if bend.side is Side.LEFT else turned[::-1]
        said = any(c.direction is not None or c.decision is LateralDecision.TURN for c in case.claims.on_lane)
        if own < TURN_RAD or other >= STRAIGHT_RAD or said or _curve_claimed(case):
            return
        reason = f"ego turns to the {bend.side}, which it does not mention"
        numbers = {"bend_rad": bend.turn_rad, "radius_m": bend.radius_m, "starts_in_sec": bend.starts_in_sec}
        yield self.contradicted(f"{bend.side} turn", reason, 0.4, EGO, **numbers)


def _mentioned(case: Case, sides: frozenset[str], *, nudges: bool) -> bool:
    """Say whether a lane change, or any moving over, to one of the sides is claimed, or without a side."""
    for claim in case.claims.decisions:
        decision = claim.decision
        over = decision in CHANGES or (nudges and (decision in OVER or steers(claim)))
        if over and (claim.direction is None or str(claim.direction) in sides):
            return True
        if nudges and decision is Speed.OVERTAKE and not claim.structured and claim.direction is not None:
            return True
    return False


def _curve_claimed(case: Case) -> bool:
    """Say whether the label speaks of a bend of the road, or of a route or a turn, in whatever words."""
    if any(cause.category in (Category.LANE, Category.ROUTING_INTENT) for cause in case.claims.causes):
        return True
    text = f"{case.label.effect_on_ego_behavior or ''} {case.label.trace or ''}".lower()
    return any(word in text for word in ("turn", "curve", "bend", "ramp", "roundabout", "junction", "intersection"))
