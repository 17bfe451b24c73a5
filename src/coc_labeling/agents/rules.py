"""Labels by rules, from the meta-action timeline, ego's path and the scene's facts: no model, no network.

A cause is only written where it is observed; where none is, the record says so.
"""

from coc_labeling.agents.base import Agent
from coc_labeling.agents.reasons import Reason
from coc_labeling.agents.situation import Situation, situation
from coc_labeling.scene import LEAD_RANGE_M, Bend, Kind, Lead, Role, TrafficLines, scene_facts, traffic_lines
from coc_labeling.scene.following import DECELERATION_MPS2, avoid_mps2
from coc_labeling.schema import (
    UNOBSERVED,
    Category,
    CoCLabel,
    Component,
    Lateral,
    LateralDecision,
    Longitudinal,
    LongitudinalDecision,
    Relation,
    Side,
    abstain,
)
from coc_labeling.windows import Window
from driving_clips.obstacles import VEHICLE_CLASSES, ObstacleTracks

CLOSING_MPS = 0.5
MOVING_OFF_MPS = 0.5
TURN_SOON_SEC = 3.0
CURVE_AHEAD_SEC = 4.0
CURVE_MAX_RADIUS_M = 150.0  # wider curves are no reason to slow down
PRESSES_MPS2 = 0.3  # a lead that draws away and calls for so much is still too near
HOLDS_MPS2 = 0.25  # who calls for less deceleration does not explain one
# A lead that calls for so much sets ego's speed: at equal speeds one at a time gap of 3.3 s; beyond about 3 s a vehicle
# counts as free in traffic engineering (follower threshold of the Highway Capacity Manual 2000).
FOLLOWED_MPS2 = 0.2
JOINED_MPS2 = 0.08  # who changes lanes heeds whom it comes in behind sooner
CREEPS_MPS = 5.0  # who is so slow and slows on for nothing else lets those go who are on its way
MOVES_OFF_BEHIND_MPS2 = 0.6
WAITS_BEHIND_M = 14.0  # from where ego stands to a lead that stands
LEAD_STOPS_MPS2 = 2.0  # how a lead that drives is thought to brake
WAITS_FOR_M = 26.0  # from where ego stands to where somebody crosses

_VERBS = {
    "gentle_deceleration": "Decelerate gently",
    "strong_deceleration": "Decelerate strongly",
    "gentle_acceleration": "Accelerate gently",
    "strong_acceleration": "Accelerate strongly",
    "maintain_speed": "Keep the speed",
}
_NAMES = {
    "heavy_truck": "truck",
    "bus": "bus",
    "trolley_bus": "bus",
    "train_or_tram_car": "tram",
    "person": "pedestrian",
}
_NAMES |= {"stroller": "pedestrian", "rider": "rider", "protruding_object": "object", "animal": "animal"}


class RulesAgent(Agent):
    """The embedded agent behind ``model_name=rules``."""

    name = "RulesAgent"
    model = "rules"

    def __init__(self) -> None:
        self._last: tuple[ObstacleTracks | None, TrafficLines | None] | None = None

    def label(self, window: Window) -> CoCLabel:
        """Return decisions, their observed causes, a trace and the sentence; an abstention for driving backwards."""
        facts = situation(window, self._lines_of(window))
        if facts.action == "reverse" or facts.steering.startswith("reverse"):
            return abstain("no_decision", "ego drives backwards, for which taxonomy 1 has no decision")
        if not facts.action:
            return abstain("no_meta_action", f"no longitudinal meta-action at frame {window.keyframe.frame}")
        draft = _Draft(facts)
        longitudinal, first = draft.longitudinal()
        lateral, second = draft.lateral()
        sentence = f"{first} and {second}" if second else first
        if _no_cause(longitudinal, lateral):
            sentence += "; no cause was observed"
        return CoCLabel(
            longitudinal=longitudinal,
            lateral=lateral,
            components=tuple(draft.components),
            trace=_trace(facts, draft.components, longitudinal),
            effect_on_ego_behavior=f"{sentence}.",
        )

    def _lines_of(self, window: Window) -> TrafficLines | None:
        """Return the lines of others in a window's clip; found once for the windows of a clip that come in a row."""
        if self._last is None or self._last[0] is not window.obstacles:
            scene = scene_facts(window.ego, window.obstacles, window.driving_side)
            self._last = window.obstacles, traffic_lines(scene)
        return self._last[1]


class _Draft:
    """Writes the two channels of one label and collects the components they cite."""

    def __init__(self, facts: Situation) -> None:
        self.facts = facts
        self.components: list[Component] = []

    def longitudinal(self) -> tuple[Longitudinal, str]:
        """Return the decision on speed and its part of the sentence."""
        facts = self.facts
        if facts.waits or facts.action == "stop":
            return self._waiting()
        if facts.slows:
            return self._slowing()
        verb = "Move off" if facts.speed_mps < MOVING_OFF_MPS else _VERBS[facts.action]
        lead = next((one for one in facts.reasons if one.lead and avoid_mps2(one.lead) <= DECELERATION_MPS2), None)
        speeds_up = "acceleration" in facts.action
        least = JOINED_MPS2 if facts.move is not None and facts.move.is_lane_change else FOLLOWED_MPS2
        if facts.speed_mps < MOVING_OFF_MPS:
            least = MOVES_OFF_BEHIND_MPS2
        if lead is not None and lead.needed_mps2 >= least:
            return self._follow(lead, verb)
        return _speed(LongitudinalDecision.TRACK_SPEED), f"{verb} to resume speed" if speeds_up else verb

    def _waiting(self) -> tuple[Longitudinal, str]:
        verb = "Remain stopped" if self.facts.stops_in_sec == 0.0 else "Decelerate to a stop"
        for reason in self.facts.reasons:
            near = reason.role is not None and reason.role.nearest_m < self.facts.stop_distance_m + WAITS_FOR_M
            if reason.role is not None and near:
                return self._give_way(reason.role, verb)
            if reason.lead is not None and self._stops_for(reason.lead):
                return self._follow(reason, verb)
        if self.facts.walker is not None:
            return self._give_way(self.facts.walker, verb)
        return _speed(LongitudinalDecision.STOP), verb

    def _stops_for(self, lead: Lead) -> bool:
        """Whether ego comes to stand not far behind where the lead will, or stands there."""
        if lead.closing_mps < -CLOSING_MPS and not lead.is_stopped:
            return False  # it draws away, while ego comes to stand
        stands_at = lead.distance_m + max(lead.speed_mps, 0.0) ** 2 / (2 * LEAD_STOPS_MPS2)
        return stands_at - self.facts.stop_distance_m < WAITS_BEHIND_M

    def _slowing(self) -> tuple[Longitudinal, str]:
        facts = self.facts
        if facts.is_stopping:
            return self._waiting()
        verb = _VERBS.get(facts.action, "Decelerate gently")
        holding = [reason for reason in facts.reasons if reason.needed_mps2 >= HOLDS_MPS2]
        for reason in holding:
            if reason.role is not None:
                return self._give_way(reason.role, verb)
            if reason.lead is not None and (
                reason.lead.closing_mps > -CLOSING_MPS or reason.needed_mps2 >= PRESSES_MPS2
            ):
                return self._follow(reason, verb)
            if reason.bend is not None:
                return self._adapt(reason.bend, verb)
        reach_m = facts.stop_distance_m + WAITS_FOR_M
        on_its_way = [r.role for r in facts.reasons if r.role is not None and r.role.nearest_m < reach_m]
        if on_its_way and facts.speed_mps < CREEPS_MPS:
            return self._give_way(min(on_its_way, key=lambda role: role.nearest_m), verb)
        if facts.squeezes_past is not None:
            return self._pass(facts.squeezes_past, verb)
        bend = facts.bend
        if bend and bend.radius_m <= CURVE_MAX_RADIUS_M and bend.starts_in_sec <= CURVE_AHEAD_SEC:
            return self._adapt(bend, verb)
        if facts.turn is not None and facts.turn.starts_in_sec > 0.0:
            return self._adapt(facts.turn, verb)
        further = next((one.bend for one in facts.reasons if one.bend is not None and one.needed_mps2 > 0.0), None)
        if further is not None:  # nothing else calls for less speed, and the bend ahead does
            return self._adapt(further, verb)
        if facts.gap_side is not None:
            return self._search_gap(facts.gap_side, verb)
        return _speed(LongitudinalDecision.ADAPT_SPEED), verb

    def lateral(self) -> tuple[Lateral | None, str]:
        """Return the decision on the lane, if the keyframe is about one, and its part of the sentence."""
        facts, bend, move = self.facts, self.facts.bend, self.facts.move
        if move is not None and move.is_lane_change and move.from_ramp:
            return _lane(LateralDecision.MERGE, move.side), f"merge to the {move.side}"
        if move is not None and move.is_lane_change:
            return _lane(LateralDecision.CHANGE_LANE, move.side), f"change lane to the {move.side}"
        if bend is not None and bend.is_turn and _turns_now(facts.steering, bend):
            under_way = bend.starts_in_sec < 0.0
            text = f"complete the {bend.side} turn" if under_way else f"turn {bend.side}"
            return _lane(LateralDecision.TURN, bend.side), text
        if move is not None and facts.passed is not None:
            cause, name = self._user(facts.passed)
            return _lane(LateralDecision.NUDGE_IN_LANE, move.side, cause), f"nudge {move.side} to keep clear of {name}"
        if bend is not None and not bend.is_turn and _steers_into(facts.steering, bend):
            return _lane(LateralDecision.KEEP_LANE, None, self._bend(bend)), f"follow the {bend.side} curve"
        if facts.steering == "go_straight":
            return _lane(LateralDecision.KEEP_LANE), ""
        if facts.steering:
            towards = "left" if facts.steering.endswith("left") else "right"
            return _lane(LateralDecision.KEEP_LANE), f"steer slightly {towards}"
        return None, ""

    def _follow(self, reason: Reason, verb: str) -> tuple[Longitudinal, str]:
        lead, cut_in = reason.lead, reason.cut_in
        assert lead is not None
        text = _lead_text(lead) if cut_in is None else _cut_in_text(lead, cut_in)
        cause = self._cite(
            Component(
                id=self._next_id(),
                category=Category.CRITICAL_OBJECT,
                relation=Relation.LEAD if cut_in is None else Relation.CUT_IN,
                side=None if cut_in is None else cut_in.side,
                description=text.removeprefix("the "),
                track_id=lead.track_id,
            )
        )
        return _speed(LongitudinalDecision.FOLLOW_LEAD, cause), f"{verb}{_why_follow(self.facts, lead)} {text}"

    def _give_way(self, role: Role, verb: str) -> tuple[Longitudinal, str]:
        cause, name = self._user(role)
        return _speed(LongitudinalDecision.YIELD, cause), f"{verb} to yield to {name}"

    def _pass(self, role: Role, verb: str) -> tuple[Longitudinal, str]:
        cause, name = self._user(role)
        return _speed(LongitudinalDecision.ADAPT_SPEED, cause), f"{verb} to pass {name}"

    def _adapt(self, bend: Bend, verb: str) -> tuple[Longitudinal, str]:
        adapted = _speed(LongitudinalDecision.ADAPT_SPEED, self._bend(bend))
        return adapted, f"{verb} for the {bend.side} {_kind(bend)}{_ahead(bend)}"

    def _search_gap(self, side: Side, verb: str) -> tuple[Longitudinal, str]:
        component = Component(
            id=self._next_id(), category=Category.LANE, side=side, description=f"occupied lane on the {side}"
        )
        gap = _speed(LongitudinalDecision.SEARCH_GAP, self._cite(component))
        return gap, f"{verb} to find a gap in the lane on the {side}"

    def _user(self, role: Role) -> tuple[str, str]:
        """Cite a road user in a role; return its id and its name with the article."""
        for known in self.components:
            if known.track_id == role.track_id:
                return known.id, f"the {known.description}"
        relation, text = _role_text(role)
        component = Component(
            id=self._next_id(),
            category=Category.CRITICAL_OBJECT,
            relation=relation,
            side=role.side,
            description=text,
            track_id=role.track_id,
        )
        return self._cite(component), f"the {text}"

    def _bend(self, bend: Bend) -> str:
        for known in self.components:
            if known.category is Category.LANE and known.description.startswith(f"{bend.side} {_kind(bend)}"):
                return known.id
        text = f"{bend.side} {_kind(bend)}, radius {bend.radius_m:.0f} m"
        return self._cite(Component(id=self._next_id(), category=Category.LANE, side=bend.side, description=text))

    def _next_id(self) -> str:
        return f"c{len(self.components) + 1}"

    def _cite(self, component: Component) -> str:
        self.components.append(component)
        return component.id


def _speed(decision: LongitudinalDecision, *causes: str) -> Longitudinal:
    return Longitudinal(decision=decision, cause_ids=causes or (UNOBSERVED,))


def _lane(decision: LateralDecision, direction: Side | None = None, *causes: str) -> Lateral:
    return Lateral(decision=decision, direction=direction, cause_ids=causes or (UNOBSERVED,))


def _no_cause(*channels: Longitudinal | Lateral | None) -> bool:
    """Whether no decision has an observed cause."""
    return all(channel is None or channel.cause_ids == (UNOBSERVED,) for channel in channels)


def _steers_into(steering: str, bend: Bend) -> bool:
    return steering.endswith(str(bend.side)) and "steer" in steering


def _turns_now(steering: str, bend: Bend) -> bool:
    """Whether the turn is what ego does next, and not something else before it."""
    straight = steering in ("", "go_straight")
    return _steers_into(steering, bend) or (straight and bend.starts_in_sec <= TURN_SOON_SEC)


def _lead_text(lead: Lead) -> str:
    """Return the lead in words, with the numbers that make it one."""
    name = "rider" if lead.label_class == "rider" else "vehicle"
    state = f"stopped lead {name}" if lead.is_stopped else f"lead {name}"
    text = f"the {state} {lead.distance_m:.0f} m ahead"
    if lead.is_stopped or abs(lead.closing_mps) < CLOSING_MPS:
        return text
    return f"{text}, {abs(lead.closing_mps):.1f} m/s {'slower' if lead.closing_mps > 0 else 'faster'} than ego"


def _cut_in_text(lead: Lead, cut_in: Role) -> str:
    name = _NAMES.get(lead.label_class, "vehicle")
    return f"the {name} that cut in from the {cut_in.side} {lead.distance_m:.0f} m ahead"


def _why_follow(facts: Situation, lead: Lead) -> str:
    """Return the words between what ego does and whom it follows."""
    if facts.is_stopping or facts.waits or "acceleration" not in facts.action + "acceleration" * facts.slows:
        return " behind"
    if "deceleration" in facts.action:
        return " to keep distance to"
    return " to keep up with" if lead.closing_mps < -CLOSING_MPS else " behind"


def _role_text(role: Role) -> tuple[Relation, str]:
    """Return how a road user stands to ego, and its words without an article."""
    name = _NAMES.get(role.label_class, "vehicle")
    if role.kind in (Kind.CROSSING, Kind.ENTERING):
        return Relation.CROSSING, f"{name} crossing from the {role.side}"
    if role.kind is Kind.ONCOMING:
        return Relation.ONCOMING, f"oncoming {name}"
    if role.kind is Kind.ADJACENT:
        return Relation.ADJACENT, f"{name} on the {role.side}"
    where = "in the path" if role.side is None else f"on the {role.side}"
    state = "parked" if role.label_class in VEHICLE_CLASSES else "standing"
    return Relation.PARKED, f"{state} {name} {where}"


def _ahead(bend: Bend) -> str:
    return " ahead" if bend.starts_in_sec > 0.0 else ""


def _kind(bend: Bend) -> str:
    return "turn" if bend.is_turn else "curve"


def _trace(facts: Situation, components: list[Component], longitudinal: Longitudinal) -> str:
    """Return what was observed up to the keyframe, in full sentences."""
    parts = ["Ego stands." if facts.stops_in_sec == 0.0 else f"Ego drives {facts.speed_mps:.1f} m/s."]
    parts += [f"Observed: {component.description}." for component in components]
    if longitudinal.cause_ids == (UNOBSERVED,):
        parts.append(f"No cause of what ego does with its speed was observed; {_what_else(facts)}.")
    return " ".join(parts)


def _what_else(facts: Situation) -> str:
    """Return what was looked for and found, where none of it explains what ego does."""
    if not facts.tracks_known:
        return "there are no obstacle tracks to look at"
    if facts.lead is not None:
        return f"{_lead_text(facts.lead)} does not explain what ego does"
    return f"no vehicle is tracked in ego's path within {LEAD_RANGE_M:.0f} m"
