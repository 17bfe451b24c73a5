"""Labels by rules, from the meta-action timeline, ego's path and obstacle tracks: no model, no network.

A cause is only written where it is observed; where none is, the record says so.
"""

from dataclasses import dataclass

from coc_labeling.agents.base import Agent
from coc_labeling.scene import LEAD_RANGE_M, Bend, Lead, find_bend, find_lane_change, find_lead, find_stop
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
from meta_action.names import LATERAL, LONGITUDINAL

CLOSE_SEC = 3.0  # a lead within this time gap keeps ego from driving faster
CLOSE_M = 15.0  # or within this distance, at low speed
CLOSING_MPS = 0.5
URGENT_SEC = 12.0  # ego would reach the lead within this time
CURVE_AHEAD_SEC = 4.0
CURVE_MAX_RADIUS_M = 150.0  # wider curves are no reason to slow down
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
    def lead_matters(self) -> bool:
        """Whether the lead is near enough, or approached fast enough, to shape what ego does."""
        if self.lead is None:
            return False
        near = self.lead.distance_m <= max(CLOSE_SEC * self.speed_mps, CLOSE_M)
        urgent = self.lead.closing_mps > CLOSING_MPS and self.lead.distance_m / self.lead.closing_mps <= URGENT_SEC
        return near or urgent

    @property
    def curve_matters(self) -> bool:
        """Whether a curve or turn comes soon and is tight enough to slow down for."""
        bend = self.bend
        return bend is not None and bend.radius_m <= CURVE_MAX_RADIUS_M and bend.starts_in_sec <= CURVE_AHEAD_SEC


def gather(window: Window) -> Facts:
    """Collect the facts of a window."""
    lane_change = find_lane_change(window)
    return Facts(
        action=_current_action(window, LONGITUDINAL),
        steering=_current_action(window, LATERAL),
        speed_mps=float(window.ego.speed[window.row]),
        lead=find_lead(window),
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
        if draft.no_cause_for_all(longitudinal, lateral):
            sentence += "; no cause was observed"
        return CoCLabel(
            longitudinal=longitudinal,
            lateral=lateral,
            components=tuple(draft.components),
            trace=_trace(facts, window, draft, longitudinal),
            effect_on_ego_behavior=f"{sentence}.",
        )


class _Draft:
    """Writes the two channels of one label and collects the components they cite."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.components: list[Component] = []

    def longitudinal(self) -> tuple[Longitudinal, str]:
        """Return the decision on speed and its part of the sentence."""
        facts = self.facts
        if facts.action == "stop" or (facts.stops_in_sec is not None and "deceleration" in facts.action):
            return self._stop()
        verb = "Move off" if facts.stops_in_sec == 0.0 else _VERBS[facts.action]
        if "deceleration" in facts.action:
            if facts.lead_matters and facts.lead is not None and facts.lead.closing_mps > -CLOSING_MPS:
                return self._follow(f"{verb} to keep distance to {_lead_text(facts.lead)}")
            if facts.curve_matters and facts.bend is not None:
                cause = self._curve(facts.bend)
                return _speed(LongitudinalDecision.ADAPT_SPEED, cause), f"{verb} for {_bend_text(facts.bend)}"
            return _speed(LongitudinalDecision.ADAPT_SPEED), verb
        speeds_up = "acceleration" in facts.action
        if facts.lead_matters and facts.lead is not None and not speeds_up:
            return self._follow(f"{verb} behind {_lead_text(facts.lead)}")
        if facts.lead_matters and facts.lead is not None and facts.lead.closing_mps < -CLOSING_MPS:
            return self._follow(f"{verb} to keep up with {_lead_text(facts.lead)}")
        return _speed(LongitudinalDecision.TRACK_SPEED), f"{verb} to resume speed" if speeds_up else verb

    def lateral(self) -> tuple[Lateral | None, str]:
        """Return the decision on the lane, if the keyframe is about one, and its part of the sentence."""
        facts = self.facts
        if facts.lane_change is not None and facts.steering.startswith(("steer", "sharp_steer")):
            side, _ = facts.lane_change
            decision = Lateral(decision=LateralDecision.CHANGE_LANE, direction=side, cause_ids=(UNOBSERVED,))
            return decision, f"change lane to the {side}"
        if facts.bend is not None and facts.bend.is_turn:
            decision = Lateral(decision=LateralDecision.TURN, direction=facts.bend.side, cause_ids=(UNOBSERVED,))
            return decision, f"turn {facts.bend.side}"
        if facts.bend is not None and _steers_into(facts.steering, facts.bend):
            cause = self._curve(facts.bend)
            kept = Lateral(decision=LateralDecision.KEEP_LANE, cause_ids=(cause,))
            return kept, f"follow the {facts.bend.side} curve"
        if facts.steering == "go_straight":
            return Lateral(decision=LateralDecision.KEEP_LANE, cause_ids=(UNOBSERVED,)), ""
        if facts.steering:
            towards = "left" if facts.steering.endswith("left") else "right"
            return Lateral(decision=LateralDecision.KEEP_LANE, cause_ids=(UNOBSERVED,)), f"steer slightly {towards}"
        return None, ""

    def no_cause_for_all(self, *channels: Longitudinal | Lateral | None) -> bool:
        """Whether no decision has an observed cause."""
        return all(channel is None or channel.cause_ids == (UNOBSERVED,) for channel in channels)

    def _stop(self) -> tuple[Longitudinal, str]:
        facts = self.facts
        standing = facts.stops_in_sec == 0.0
        verb = "Remain stopped" if standing else "Decelerate to a stop"
        if facts.lead_matters and facts.lead is not None and facts.lead.closing_mps > -CLOSING_MPS:
            return self._follow(f"{verb} behind {_lead_text(facts.lead)}")
        return _speed(LongitudinalDecision.STOP), verb

    def _follow(self, text: str) -> tuple[Longitudinal, str]:
        lead = self.facts.lead
        assert lead is not None
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

    def _curve(self, bend: Bend) -> str:
        for known in self.components:
            if known.category is Category.LANE:
                return known.id
        description = f"{bend.side} curve, radius {bend.radius_m:.0f} m"
        return self._cite(
            Component(id=self._next_id(), category=Category.LANE, side=bend.side, description=description)
        )

    def _next_id(self) -> str:
        return f"c{len(self.components) + 1}"

    def _cite(self, component: Component) -> str:
        self.components.append(component)
        return component.id


def _speed(decision: LongitudinalDecision, *causes: str) -> Longitudinal:
    return Longitudinal(decision=decision, cause_ids=causes or (UNOBSERVED,))


def _steers_into(steering: str, bend: Bend) -> bool:
    return steering.endswith(str(bend.side)) and "steer" in steering


def _lead_text(lead: Lead) -> str:
    """Return the lead in words, with the numbers that make it one."""
    state = "stopped lead vehicle" if lead.is_stopped else "lead vehicle"
    text = f"the {state} {lead.distance_m:.0f} m ahead"
    if lead.is_stopped or abs(lead.closing_mps) < CLOSING_MPS:
        return text
    return f"{text}, {abs(lead.closing_mps):.1f} m/s {'slower' if lead.closing_mps > 0 else 'faster'} than ego"


def _bend_text(bend: Bend) -> str:
    return f"the {bend.side} turn ahead" if bend.is_turn else f"the {bend.side} curve ahead"


def _trace(facts: Facts, window: Window, draft: _Draft, longitudinal: Longitudinal) -> str:
    """Return what was observed and what ego then does, in full sentences."""
    parts = [f"Ego drives {facts.speed_mps:.1f} m/s." if facts.stops_in_sec != 0.0 else "Ego stands."]
    parts += [f"Observed: {component.description}." for component in draft.components]
    if longitudinal.cause_ids == (UNOBSERVED,):
        parts.append(f"No cause of what ego does with its speed was observed; {_what_else(facts)}.")
    end = float(window.ego.speed[window.last_row])
    seconds = (window.last_row - window.row) / 10
    parts.append(f"Within {seconds:.1f} s ego's speed goes from {facts.speed_mps:.1f} to {end:.1f} m/s.")
    return " ".join(parts)


def _what_else(facts: Facts) -> str:
    """Return what was looked for and found, where none of it explains what ego does."""
    if not facts.tracks_known:
        return "there are no obstacle tracks to look at"
    if facts.lead is not None:
        return f"{_lead_text(facts.lead)} does not explain what ego does"
    return f"no vehicle is tracked in ego's path within {LEAD_RANGE_M:.0f} m"
