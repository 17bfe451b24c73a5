"""Claims on the lane against ego's path and its meta-actions: sides, turns and lane changes."""

import math
from collections.abc import Iterator, Sequence

from coc_labeling.checks.base import EGO, PATH, TIMELINE, TRACKS, Case, Check, Finding, Verdict
from coc_labeling.checks.claims import DecisionClaim
from coc_labeling.checks.driven import LANE_CHANGES, SHIFTS, DrivenFacts, sides_of
from coc_labeling.checks.placing import passing_side, roles_around
from coc_labeling.reading.reading import Motion
from coc_labeling.scene.roles import Kind
from coc_labeling.scene.side_moves import SideMove
from coc_labeling.schema import FactSource, LateralDecision, Relation, Side

OVER = frozenset(
    {
        LateralDecision.CHANGE_LANE,
        LateralDecision.MERGE,
        LateralDecision.SPLIT,
        LateralDecision.NUDGE_IN_LANE,
        LateralDecision.NUDGE_OUT_OF_LANE,
        LateralDecision.PULL_OVER,
    }
)
NUDGES = frozenset({LateralDecision.NUDGE_IN_LANE, LateralDecision.NUDGE_OUT_OF_LANE})
CHANGES = frozenset({LateralDecision.CHANGE_LANE, LateralDecision.MERGE, LateralDecision.SPLIT})

TURN_RAD = math.radians(35.0)  # a turn changes the heading by more
STEERED_RAD = math.radians(12.0)  # so much is steering to a side
STRAIGHT_RAD = math.radians(8.0)  # and less than this none
WIDE_RADIUS_M = 150.0  # no turn at a junction is so wide
LATER_M = 25.0  # who drives straight on for so long after the keyframe does not turn there
MOVES_M = 10.0  # who drives a shorter way cannot have turned yet
NUDGED_M, NOT_NUDGED_M = 0.3, 0.15
BACK_SHARE = 0.4  # of a nudge: so much to the other side is coming back from it
OTHER_M = 0.5  # so far to the other side only is a contradiction
PASSES_TICKS, PASSES_M = (0, 50), 2.0
KEPT_M = 1.0  # who stays so near to its line keeps its lane
SLOW_MPS = 1.0  # slower paths wind for all kinds of reasons
CHANGE_SOON_SEC, ENDS_SEC = 2.0, 0.6  # a lane change that is mostly over at the keyframe is another decision's
TURN_LATER_SEC = 5.0
TURN_SOON_SEC = 1.5


def other_side(side: Side) -> Side:
    """Return left for right and right for left."""
    return Side.RIGHT if side is Side.LEFT else Side.LEFT


class DirectionCheck(Check):
    """A side that is claimed is the one that ego goes to."""

    name = "direction"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for each side, in their order; one that is contradicted anyhow is told once."""
        for side in Side:
            own = [c for c in case.claims.on_lane if c.direction is side and c.decision is not _ABORT]
            found = [self._of(claim, side, case.driven) for claim in own]
            worst = [finding for finding in found if finding.verdict is Verdict.CONTRADICTED] or found
            yield from worst[:1]

    def _of(self, claim: DecisionClaim, side: Side, driven: DrivenFacts) -> Finding:
        over = claim.decision in OVER
        numbers = _path_numbers(driven)
        by_path = _side_by_path(claim, side, driven)
        if by_path is None and (driven.moving_over() if over else driven.steering()) == {str(other_side(side))}:
            by_path = False if over or driven.whole else None  # what the clip cuts may still go to the side said
        if by_path is None and over and str(side) in sides_of(driven.soon(*LANE_CHANGES, *SHIFTS)):
            by_path = True
        if by_path is None:
            return self.not_observable(claim.text, "ego's path does not tell the side", PATH, **numbers)
        if by_path:
            return self.supported(claim.text, f"ego goes to the {side}", PATH, **numbers)
        verb = "moves over" if over and _moves_over(driven) else "steers"
        reason = f"it says {side}, but ego {verb} only to the {other_side(side)} in this window"
        return self.contradicted(claim.text, reason, 0.9, PATH, **numbers)


_ABORT = LateralDecision.ABORT_MANOEUVRE


def _moves_over(driven: DrivenFacts) -> bool:
    seen = driven.sideways is not None and bool(driven.sideways.changes)
    return seen or bool(driven.soon(*LANE_CHANGES, *SHIFTS))


def _path_numbers(driven: DrivenFacts) -> dict[str, float]:
    numbers: dict[str, float] = {}
    if driven.turned_rad is not None:
        numbers |= dict(zip(("turned_left_rad", "turned_right_rad"), driven.turned_rad, strict=True))
    if driven.sideways is not None:
        numbers |= {f"moved_{side}_m": driven.sideways.to(side) for side in Side}
    return numbers


def _side_by_path(claim: DecisionClaim, side: Side, driven: DrivenFacts) -> bool | None:
    """Say whether the path goes to a side rather than to the other; None where it does not tell."""
    if claim.decision in OVER:
        return _over_by_path(claim, side, driven)
    if driven.turned_rad is None:
        return None
    left, right = driven.turned_rad
    own, other = (left, right) if side is Side.LEFT else (right, left)
    if claim.decision is not LateralDecision.TURN:
        # Steering may be slight, and what follows may go to the other side.
        own_in, other_in = driven.steers_in_sec(side), driven.steers_in_sec(other_side(side))
        if own_in is not None and (other_in is None or own_in <= other_in):
            return True
        steered = own_in is not None or str(side) in driven.steering()
        return False if other >= STEERED_RAD and not steered and driven.whole else None
    if own >= STEERED_RAD:
        return True
    # Ego may swing out before it turns, and where the clip ends before only a turn to the other side tells.
    return False if other >= (STEERED_RAD if driven.whole else TURN_RAD) and own < STRAIGHT_RAD else None


def _over_by_path(claim: DecisionClaim, side: Side, driven: DrivenFacts) -> bool | None:
    path = driven.sideways
    if path is None or driven.soon(*LANE_CHANGES, *SHIFTS):
        return None  # the lane axis tells, or nothing does
    if side in {move.side for move in path.changes}:
        return True
    if path.changes:
        return False
    if claim.decision in CHANGES or path.changes:
        return None
    first = path.nudges[0] if path.nudges else None
    if first is None or first.moved_m < NUDGED_M:
        return None
    if len(path.nudges) == 2 and path.nudges[1].moved_m > BACK_SHARE * first.moved_m:
        return None  # there and back: the keyframe may be that of either
    if first.side is side:
        return True
    return False if first.moved_m >= OTHER_M and first.ends_in_sec > 0.5 else None


class TurnCheck(Check):
    """A turn that is claimed is one: ego's heading changes by more than 35 degrees, and not in a wide curve."""

    name = "turn"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield one finding for all turns of a label."""
        turns = [claim for claim in case.claims.on_lane if claim.decision is LateralDecision.TURN]
        if not turns:
            return
        slows = any(claim.motion in (Motion.DECELERATE, Motion.STAND) for claim in case.claims.on_speed)
        if case.driven.window is None and slows and not turns[0].structured:
            yield self.not_observable(turns[0].text, "the turn may come after what is known", TIMELINE)
        else:
            yield self._of(turns[0], case.driven)

    def _of(self, claim: DecisionClaim, driven: DrivenFacts) -> Finding:
        numbers = _path_numbers(driven)
        turned = _turned(claim.direction, driven)
        bend = driven.bend
        if bend is not None:
            numbers |= {"radius_m": bend.radius_m, "bend_rad": bend.turn_rad}
        wide = bend is not None and bend.radius_m > WIDE_RADIUS_M
        if turned is None:
            return self._by_spans(claim, driven)
        whole = max(turned, bend.turn_rad if bend is not None and claim.direction in (None, bend.side) else 0.0)
        if whole >= TURN_RAD and not wide:
            return self.supported(
                claim.text, f"ego's heading changes by {math.degrees(whole):.0f} degrees", EGO, **numbers
            )
        furthest = max(driven.turned_rad or (0.0, 0.0))
        later = driven.later_turned_rad
        if driven.whole and driven.driven_m >= MOVES_M and furthest < STEERED_RAD:
            reason = "it says that ego turns, but ego drives straight on throughout"
            return self.contradicted(claim.text, reason, 0.8, EGO, **numbers)
        if later is not None and later[2] >= LATER_M and max(later[:2]) < STEERED_RAD:
            reason = f"it says that ego turns, but ego drives straight on for the next {later[2]:.0f} m"
            return self.contradicted(claim.text, reason, 0.6, EGO, **numbers)
        if later is not None and _to(claim.direction, later) < STRAIGHT_RAD and max(later[:2]) >= TURN_RAD:
            reason = "it says that ego turns, but the next turn of ego is to the other side"
            return self.contradicted(claim.text, reason, 0.7, EGO, **numbers)
        if driven.whole and wide and bend is not None and claim.direction in (None, bend.side):
            reason = f"it says that ego turns, but ego follows a curve of radius {bend.radius_m:.0f} m"
            return self.contradicted(claim.text, reason, 0.4, EGO, **numbers)
        text = f"ego's heading changes by {math.degrees(furthest):.0f} degrees within the window"
        return self.not_observable(claim.text, text, EGO, **numbers)

    def _by_spans(self, claim: DecisionClaim, driven: DrivenFacts) -> Finding:
        sideways = driven.steering() or driven.moving_over()
        straight = any(span.name == "go_straight" for span in driven.spans)
        if claim.part == 0 and driven.complete and not sideways and straight:
            reason = "it says that ego turns, but ego drives straight on throughout"
            return self.contradicted(claim.text, reason, 0.8, TIMELINE)
        return self.not_observable(claim.text, "the meta-actions do not tell", TIMELINE)


def _to(side: Side | None, turned: tuple[float, ...]) -> float:
    """Return how far a heading goes to a side, or to any."""
    return max(turned[:2]) if side is None else turned[0] if side is Side.LEFT else turned[1]


def _turned(side: Side | None, driven: DrivenFacts) -> float | None:
    if driven.turned_rad is None:
        return None
    left, right = driven.turned_rad
    return max(left, right) if side is None else left if side is Side.LEFT else right


class LaneCheck(Check):
    """Lane changes and nudges that are claimed are there, and a lane that is said to be kept is kept."""

    name = "lane"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for each decision about the lane, each kind once."""
        seen = set[LateralDecision]()
        for claim in case.claims.on_lane:
            decision = LateralDecision(str(claim.decision))
            if decision in seen:
                continue
            seen.add(decision)
            if decision is LateralDecision.KEEP_LANE:
                yield from self._keeps(claim, case)
            elif decision in CHANGES:
                yield self._changes(claim, case)
            elif decision in NUDGES:
                yield self._nudges(claim, case)

    def _keeps(self, claim: DecisionClaim, case: Case) -> Iterator[Finding]:
        driven, path = case.driven, case.driven.sideways
        sources, numbers = sources_of(driven), _path_numbers(driven)
        if changes := driven.soon(*LANE_CHANGES):
            if claim.structured:
                reason = f"it says that ego keeps its lane, but ego makes a {changes[0].replace('_', ' ')}"
                yield self.contradicted(claim.text, reason, 0.8, TIMELINE)
        elif (change := clear_change(driven)) is not None:
            if claim.structured:
                vague = any(steers(other) and other.direction is change.side for other in case.claims.on_lane)
                reason = f"it says that ego keeps its lane, but ego makes a {change.side} lane change"
                yield self.contradicted(claim.text, reason, 0.2 if vague else 0.5, sources, **numbers)
        elif path is not None and path.furthest_m is not None and path.furthest_m < KEPT_M:
            yield self.supported(
                claim.text, f"ego stays within {path.furthest_m:.1f} m of its line", sources, **numbers
            )
        else:
            yield self.not_observable(claim.text, "without a map a path that bends does not tell", sources)

    def _changes(self, claim: DecisionClaim, case: Case) -> Finding:
        driven, path, bend = case.driven, case.driven.sideways, case.driven.bend
        sources, numbers = sources_of(driven), _path_numbers(driven)
        sides = set(Side) if claim.direction is None else {claim.direction}
        if claim.direction is not None and _passed_cause(case) is claim.direction:
            reason = f"it says that ego changes lanes to the {claim.direction}, but passes what it names on that side"
            return self.contradicted(claim.text, reason, 0.6, TRACKS)
        if {str(side) for side in sides} & sides_of(driven.soon(*LANE_CHANGES)):
            return self.supported(claim.text, "the lane axis has a lane change", TIMELINE, **numbers)
        for move in path.changes if path is not None else ():
            if move.side in sides:
                text = f"ego moves {move.moved_m:.1f} m to the {move.side}"
                return self.supported(claim.text, text, sources, **numbers)
        turns = any(other.decision is LateralDecision.TURN for other in case.claims.on_lane)
        soon = bend is not None and bend.is_turn and -1.0 <= bend.starts_in_sec <= TURN_LATER_SEC
        if soon and bend is not None and not turns and claim.decision is LateralDecision.CHANGE_LANE:
            reason = f"it says that ego changes lanes, but ego turns to the {bend.side}"
            return self.contradicted(claim.text, reason, 0.6, EGO, **numbers, bend_rad=bend.turn_rad)
        if path is None or path.furthest_m is None or not driven.whole or driven.soon(*SHIFTS):
            return self.not_observable(claim.text, "ego's path does not tell a change of lanes", sources, **numbers)
        if path.furthest_m < KEPT_M:
            reason = f"it says that ego changes lanes, but ego stays within {path.furthest_m:.1f} m of its line"
            severity = 0.8 if claim.decision is LateralDecision.CHANGE_LANE else 0.25
            return self.contradicted(claim.text, reason, severity, sources, **numbers)
        return self.not_observable(claim.text, f"ego moves {path.furthest_m:.1f} m sideways", sources, **numbers)

    def _nudges(self, claim: DecisionClaim, case: Case) -> Finding:
        driven = case.driven
        if claim.direction is not None and claim.direction in _sides_of_causes(case):
            reason = f"it says that ego moves over to the {claim.direction} for something that is on that side"
            return self.contradicted(claim.text, reason, 0.6)
        if claim.direction is not None and _passed(case) == {claim.direction}:
            reason = f"it says that ego moves over to the {claim.direction}, but what ego passes stands on that side"
            return self.contradicted(claim.text, reason, 0.6, TRACKS)
        path, sources, numbers = driven.sideways, sources_of(driven), _path_numbers(driven)
        sides = list(Side) if claim.direction is None else [claim.direction]
        if {str(side) for side in sides} & sides_of(driven.soon(*SHIFTS, *LANE_CHANGES)):
            return self.supported(claim.text, "the lane axis has a shift", TIMELINE, **numbers)
        if path is None:
            return self.not_observable(claim.text, "ego drives too short a way to tell", sources, **numbers)
        moved = max(path.to(side) for side in sides)
        if moved >= NUDGED_M:
            return self.supported(claim.text, f"ego moves {moved:.1f} m to that side", sources, **numbers)
        if driven.whole and path.furthest_m is not None and path.furthest_m < NOT_NUDGED_M:
            reason = f"it says that ego moves over, but ego stays within {path.furthest_m:.2f} m of its line"
            return self.contradicted(claim.text, reason, 0.35, sources, **numbers)
        return self.not_observable(claim.text, "ego's path does not tell a nudge", sources, **numbers)


def _passed_cause(case: Case) -> Side | None:
    """Return on which side ego passes the standing road user that a label moves over for; None where it is not told."""
    cited = set(case.label.lateral.cause_ids) if case.label.lateral is not None else set()
    named = (c.track_id for c in case.label.components if c.id in cited and c.relation is Relation.PARKED)
    return next((side for name in named if name and (side := passing_side(name, case)) is not None), None)


def _sides_of_causes(case: Case) -> set[Side]:
    """Return the sides on which a label puts what stands or drives beside ego and moves it over."""
    lateral = case.label.lateral
    cited = set(lateral.cause_ids) if lateral is not None else set()
    beside = (Relation.PARKED, Relation.ADJACENT)
    causes = [c for c in case.label.components if c.id in cited and c.relation in beside and c.side is not None]
    return {c.side for c in causes if c.side is not None}


def _passed(case: Case) -> set[Side]:
    """Return the sides on which somebody stands near ego's path whom ego passes soon."""
    if not case.scene.has_tracks:
        return set()
    near = roles_around(case, (Kind.BESIDE, Kind.IN_PATH), PASSES_TICKS)
    sides = {passing_side(role.track_id, case) for role in near if role.clearance_m <= PASSES_M}
    return {side for side in sides if side is not None}


def sources_of(driven: DrivenFacts) -> frozenset[FactSource]:
    """Return the facts that tell how ego moves sideways."""
    return EGO if driven.lines is None else EGO | TRACKS


def clear_change(driven: DrivenFacts) -> SideMove | None:
    """Return a lane change that lies ahead of the keyframe for its greater part, and begins soon."""
    path = driven.sideways
    if path is None or driven.course is None or abs(driven.course.start_mps) < SLOW_MPS:
        return None
    soon = (move for move in path.changes if move.starts_in_sec <= CHANGE_SOON_SEC)
    ahead = (m for m in soon if m.ends_in_sec > ENDS_SEC and m.starts_in_sec + m.ends_in_sec > -ENDS_SEC)
    return next(ahead, None)


def steers(claim: DecisionClaim) -> bool:
    """Say whether a claim has a side without being a turn."""
    return claim.direction is not None and claim.decision is not LateralDecision.TURN
