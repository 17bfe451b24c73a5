"""Labels by rules, from the meta-action timeline, ego's path and obstacle tracks: no model, no network.

A cause is only written where it is observed; where none is, the record says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from coc_labeling.agents.base import Agent
from coc_labeling.scene import LEAD_RANGE_M, Bend, Lead, facts_until_keyframe, find_bend, find_lane_change, find_stop
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
from driving_clips.ego_motion import TICK_SEC
from meta_action.names import LATERAL, LONGITUDINAL

CLOSE_SEC = 3.0  # a lead within this time gap keeps ego from driving faster
CLOSE_M = 15.0  # or within this distance, at low speed
CLOSING_MPS = 0.5
URGENT_SEC = 12.0  # ego would reach the lead within this time
CURVE_AHEAD_SEC = 4.0
CURVE_MAX_RADIUS_M = 150.0  # wider curves are no reason to slow down
STOPS_SOON_SEC = 2.5
CHANGE_MPS, CHANGE_SOON_SEC = 1.0, 3.0  # a change of speed by so much, so soon, is no keeping of the speed
MOVING_OFF_MPS = 0.5
TURN_SOON_SEC = 3.0
UPCOMING_TICKS = 10  # a keyframe may be set up to this much before its meta-action

_VERBS = {
    "gentle_deceleration": "Decelerate gently",
    "strong_deceleration": "Decelerate strongly",
    "gentle_acceleration": "Accelerate gently",
    "strong_acceleration": "Accelerate strongly",
    "maintain_speed": "Keep the speed",
}


@dataclass(frozen=True)
class Facts:
    """What the rules decide on."""

    action: str
    steering: str
    speed_mps: float
    lead: Lead | None
    bend: Bend | None
    lane_change: tuple[Side, float] | None
    stops_in_sec: float | None
    tracks_known: bool

    @property
    def relevant_lead(self) -> Lead | None:
        """The lead, where it is near enough, or approached fast enough, to shape what ego does."""
        if self.lead is None:
            return None
        near = self.lead.distance_m <= max(CLOSE_SEC * self.speed_mps, CLOSE_M)
        urgent = self.lead.closing_mps > CLOSING_MPS and self.lead.distance_m / self.lead.closing_mps <= URGENT_SEC
        return self.lead if near or urgent else None

    @property
    def relevant_bend(self) -> Bend | None:
        """The curve or turn, where it comes soon and is tight enough to slow down for."""
        bend = self.bend
        soon = bend is not None and bend.radius_m <= CURVE_MAX_RADIUS_M and bend.starts_in_sec <= CURVE_AHEAD_SEC
        return bend if soon else None

    @property
    def is_stopping(self) -> bool:
        """Whether ego stands, or what it does now ends in standing."""
        if self.action == "stop":
            return True
        if self.stops_in_sec is None:
            return False
        return "deceleration" in self.action or (
            self.action == "maintain_speed" and 0.0 < self.stops_in_sec <= STOPS_SOON_SEC
        )


def gather(window: Window) -> Facts:
    """Collect the facts of a window."""
    lane_change = find_lane_change(window)
    return Facts(
        action=_real_action(window, _current_action(window, LONGITUDINAL)),
        steering=_current_action(window, LATERAL),
        speed_mps=float(window.ego.speed[window.row]),
        lead=facts_until_keyframe(window).lead_at(window.keyframe.frame),
        # A path that comes back to its heading a lane further is no curve, though it bends on the way.
        bend=None if lane_change else find_bend(window),
        lane_change=lane_change,
        stops_in_sec=find_stop(window),
        tracks_known=window.obstacles is not None,
    )


def _current_action(window: Window, axis: str) -> str:
    """Return the meta-action that starts at or soon after the keyframe, else the one that holds there."""
    frame = window.keyframe.frame
    own = [span for span in window.timeline.spans if span.axis == axis]
    starting = [span for span in own if frame <= span.start <= frame + UPCOMING_TICKS]
    holding = [span for span in own if span.start <= frame < span.end]
    chosen = min(starting, key=lambda span: span.start, default=None) or (holding[0] if holding else None)
    return chosen.name if chosen else ""


def _real_action(window: Window, action: str) -> str:
    """Return what ``maintain_speed`` really is where the speed soon changes: short spans are named after their mean."""
    if action != "maintain_speed":
        return action
    soon = min(window.row + round(CHANGE_SOON_SEC / TICK_SEC), window.last_row)
    change = float(window.ego.speed[soon] - window.ego.speed[window.row])
    if change >= CHANGE_MPS:
        return "gentle_acceleration"
    return "gentle_deceleration" if change <= -CHANGE_MPS else action


class RulesAgent(Agent):
    """The embedded agent behind ``model_name=rules``."""

    name = "RulesAgent"
    model = "rules"

    def label(self, window: Window) -> CoCLabel:
        """Return decisions, their observed causes, a trace and the sentence; an abstention for driving backwards."""
        facts = gather(window)
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


class _Draft:
    """Writes the two channels of one label and collects the components they cite."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.components: list[Component] = []

    def longitudinal(self) -> tuple[Longitudinal, str]:
        """Return the decision on speed and its part of the sentence."""
        facts, lead, bend = self.facts, self.facts.relevant_lead, self.facts.relevant_bend
        approached = lead if lead and lead.closing_mps > -CLOSING_MPS else None
        if facts.is_stopping:
            verb = "Remain stopped" if facts.stops_in_sec == 0.0 else "Decelerate to a stop"
            if approached:
                return self._follow(approached, f"{verb} behind {_lead_text(approached)}")
            return _speed(LongitudinalDecision.STOP), verb
        verb = "Move off" if facts.speed_mps < MOVING_OFF_MPS else _VERBS[facts.action]
        if "deceleration" in facts.action:
            if approached:
                return self._follow(approached, f"{verb} to keep distance to {_lead_text(approached)}")
            if bend:
                adapted = _speed(LongitudinalDecision.ADAPT_SPEED, self._bend(bend))
                return adapted, f"{verb} for the {bend.side} {_kind(bend)}{_ahead(bend)}"
            return _speed(LongitudinalDecision.ADAPT_SPEED), verb
        if "acceleration" in facts.action:
            if lead and lead.closing_mps < -CLOSING_MPS:
                return self._follow(lead, f"{verb} to keep up with {_lead_text(lead)}")
            return _speed(LongitudinalDecision.TRACK_SPEED), f"{verb} to resume speed"
        if lead:
            return self._follow(lead, f"{verb} behind {_lead_text(lead)}")
        return _speed(LongitudinalDecision.TRACK_SPEED), verb

    def lateral(self) -> tuple[Lateral | None, str]:
        """Return the decision on the lane, if the keyframe is about one, and its part of the sentence."""
        facts, bend = self.facts, self.facts.bend
        if facts.lane_change is not None and "steer" in facts.steering:
            side, _ = facts.lane_change
            return _lane(LateralDecision.CHANGE_LANE, side), f"change lane to the {side}"
        if bend is not None and bend.is_turn and _turns_now(facts.steering, bend):
            under_way = bend.starts_in_sec < 0.0
            text = f"complete the {bend.side} turn" if under_way else f"turn {bend.side}"
            return _lane(LateralDecision.TURN, bend.side), text
        if bend is not None and not bend.is_turn and _steers_into(facts.steering, bend):
            return _lane(LateralDecision.KEEP_LANE, None, self._bend(bend)), f"follow the {bend.side} curve"
        if facts.steering == "go_straight":
            return _lane(LateralDecision.KEEP_LANE), ""
        if facts.steering:
            towards = "left" if facts.steering.endswith("left") else "right"
            return _lane(LateralDecision.KEEP_LANE), f"steer slightly {towards}"
        return None, ""

    def _follow(self, lead: Lead, text: str) -> tuple[Longitudinal, str]:
        cause = self._cite(
            Component(
                id=self._next_id(),
                category=Category.CRITICAL_OBJECT,
                relation=Relation.LEAD,
                description=_lead_text(lead).removeprefix("the "),
                track_id=lead.track_id,
            )
        )
        return _speed(LongitudinalDecision.FOLLOW_LEAD, cause), text

    def _bend(self, bend: Bend) -> str:
        for known in self.components:
            if known.category is Category.LANE:
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


def _lead_text(lead: Lead) -> str:
    """Return the lead in words, with the numbers that make it one."""
    state = "stopped lead vehicle" if lead.is_stopped else "lead vehicle"
    text = f"the {state} {lead.distance_m:.0f} m ahead"
    if lead.is_stopped or abs(lead.closing_mps) < CLOSING_MPS:
        return text
    return f"{text}, {abs(lead.closing_mps):.1f} m/s {'slower' if lead.closing_mps > 0 else 'faster'} than ego"


def _turns_now(steering: str, bend: Bend) -> bool:
    """Whether the turn is what ego does next, and not something else before it."""
    straight = steering in ("", "go_straight")
    return _steers_into(steering, bend) or (straight and bend.starts_in_sec <= TURN_SOON_SEC)


def _ahead(bend: Bend) -> str:
    return " ahead" if bend.starts_in_sec > 0.0 else ""


def _kind(bend: Bend) -> str:
    return "turn" if bend.is_turn else "curve"


def _trace(facts: Facts, components: Sequence[Component], longitudinal: Longitudinal) -> str:
    """Return what was observed up to the keyframe, in full sentences."""
    parts = ["Ego stands." if facts.stops_in_sec == 0.0 else f"Ego drives {facts.speed_mps:.1f} m/s."]
    parts += [f"Observed: {component.description}." for component in components]
    if longitudinal.cause_ids == (UNOBSERVED,):
        parts.append(f"No cause of what ego does with its speed was observed; {_what_else(facts)}.")
    return " ".join(parts)


def _what_else(facts: Facts) -> str:
    """Return what was looked for and found, where none of it explains what ego does."""
    if not facts.tracks_known:
        return "there are no obstacle tracks to look at"
    if facts.lead is not None:
        return f"{_lead_text(facts.lead)} does not explain what ego does"
    return f"no vehicle is tracked in ego's path within {LEAD_RANGE_M:.0f} m"
