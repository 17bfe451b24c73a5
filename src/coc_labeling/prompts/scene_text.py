"""What a model is told of other road users, where it is told: what their tracks showed up to the keyframe."""

from coc_labeling.scene import Kind, Lead, Role, facts_until_keyframe
from coc_labeling.windows import Window

SCENE_HEADING = "# Road users near ego's path"
MOST = 8  # of the roles at the keyframe, the nearest
CLOSING_MPS = 0.5
_WORDS = {
    Kind.CUT_IN: "cutting in from the {side}",
    Kind.CUT_OUT: "leaving ego's path to the {side}",
    Kind.CROSSING: "crossing ego's path from the {side}",
    Kind.ENTERING: "entering ego's path from the {side}",
    Kind.ONCOMING: "oncoming on the {side}",
    Kind.ADJACENT: "moving along on the {side}",
    Kind.BESIDE: "standing beside ego's path on the {side}",
    Kind.IN_PATH: "standing in ego's path",
    Kind.QUEUE: "the nearest of a queue in ego's path",
}
_NAMES = {
    "automobile": "car",
    "heavy_truck": "truck",
    "train_or_tram_car": "tram",
    "trolley_bus": "bus",
    "other_vehicle": "vehicle",
    "person": "pedestrian",
    "protruding_object": "object",
}


def scene_text(window: Window) -> str:
    """Return what was known of others at the keyframe, a line each; no box after it is used.

    Distances are along ego's driven path to the near end. What is not tracked is said to be unknown, not absent.
    """
    return "\n".join([SCENE_HEADING, *_lines(window)])


def _lines(window: Window) -> list[str]:
    scene, tick = facts_until_keyframe(window), window.keyframe.frame
    if not scene.has_tracks:
        return ["Not available: there are no tracks of road users here that can be relied on."]
    if not scene.observed_at(tick):
        return ["Not available: no road user was measured around this moment."]
    lead = scene.lead_at(tick)
    roles = [role for role in scene.during(tick, tick) if role.kind is not Kind.LEAD]
    roles.sort(key=lambda role: abs(role.nearest_m))
    lines = [_lead(lead)] if lead is not None else []
    lines += [_role(role) for role in roles[:MOST]]
    return lines or [f"None is tracked within {scene.range_m:.0f} m; signs and lights are not tracked at all."]


def _name(label_class: str) -> str:
    return _NAMES.get(label_class, label_class.replace("_", " "))


def _lead(lead: Lead) -> str:
    text = f"- {_name(lead.label_class)} in ego's path {lead.distance_m:.0f} m ahead"
    if lead.is_stopped:
        return f"{text}, standing"
    if abs(lead.closing_mps) >= CLOSING_MPS:
        text += f", {abs(lead.closing_mps):.1f} m/s {'slower' if lead.closing_mps > 0 else 'faster'} than ego"
    return f"{text}, braking" if lead.is_braking else text


def _role(role: Role) -> str:
    where = "ahead" if role.nearest_m >= 0 else "behind"
    text = _WORDS[role.kind].format(side=role.side)
    return f"- {_name(role.label_class)} {text}, {abs(role.nearest_m):.0f} m {where}"
