"""Correct labels, written from the simulator's truth and not by the rules agent."""

import random
from collections.abc import Sequence
from typing import Any

from coc_labeling.planting import WORDINGS, compose
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
)

SLOWS_MPS = -0.5  # over 3 s: who changes by less does not slow down
_SIDED = "{} on the {}"
# How a cause is called, by what the truth calls it: any of these.
_NAMES = {
    "lead vehicle": ("lead vehicle", "vehicle ahead", "car in front"),
    "slower lead vehicle": ("slower lead vehicle", "slower vehicle ahead"),
    "vehicle on the new lane": ("lead vehicle", "vehicle ahead on the new lane"),
    "vehicle that cut in": ("vehicle cutting in", "vehicle that cuts in"),
    "parked car": ("parked car", "parked vehicle"),
    "pedestrian": ("pedestrian at the crossing", "crossing pedestrian"),
    "vehicle with right of way": ("vehicle that has priority", "vehicle that goes first"),
    "crossing vehicle": ("crossing vehicle", "vehicle crossing ahead"),
    "oncoming vehicle": ("oncoming vehicle", "oncoming traffic"),
    "bicycle": ("cyclist", "bicycle"),
    "red": ("red traffic light", "red light"),
    "yellow": ("yellow traffic light", "yellow light"),
    "the lane that ego must change to": ("lane change ahead",),
    "lane that ends": ("end of the lane",),
    "the on-ramp ends": ("end of the on-ramp",),
    "gives way while turning": ("crossing traffic lanes of the turn",),
}


def correct_label(truth: dict[str, Any], rng: random.Random, change_mps: float) -> CoCLabel:
    """Return the label of a moment whose truth is clear, in one of several wordings.

    Of the decisions that are right in other words it says one that its speed shows, which changes by ``change_mps``
    over the next seconds: nobody slows down for a curve who does not get slower.
    """
    components: list[Component] = []
    decision = _shown(truth, change_mps)
    causes = [] if decision is LongitudinalDecision.TRACK_SPEED else truth["causes"][:1]
    longitudinal = Longitudinal(decision=decision, cause_ids=_cite(causes, components, rng))
    lateral = Lateral(
        decision=LateralDecision(truth["lateral"]),
        direction=Side(truth["direction"]) if truth["direction"] else None,
        cause_ids=_cite(truth["lateral_causes"][:1], components, rng),
    )
    sentence = compose(longitudinal, lateral, components, rng.randrange(WORDINGS))
    return CoCLabel(
        longitudinal=longitudinal, lateral=lateral, components=tuple(components), effect_on_ego_behavior=sentence
    )


def _shown(truth: dict[str, Any], change_mps: float) -> LongitudinalDecision:
    """Return the truth's decision, or the other one that is accepted where the speed does not show the first."""
    accepted = [LongitudinalDecision(name) for name in truth["accepted"]]
    decision = LongitudinalDecision(truth["longitudinal"])
    if decision is LongitudinalDecision.STOP and not (truth["stops"] or truth["stands"]):
        decision = LongitudinalDecision.ADAPT_SPEED if LongitudinalDecision.ADAPT_SPEED in accepted else decision
    if decision is LongitudinalDecision.ADAPT_SPEED and change_mps > SLOWS_MPS:
        decision = LongitudinalDecision.TRACK_SPEED if LongitudinalDecision.TRACK_SPEED in accepted else decision
    return decision


def _cite(causes: Sequence[dict[str, Any]], components: list[Component], rng: random.Random) -> tuple[str, ...]:
    """Add causes to the components and return their ids, or that none was observed.

    A road user that was not in sight at the keyframe is no cause that a label may name.
    """
    ids = []
    for cause in causes:
        if cause["track_id"] and not cause["shown"]:
            continue
        known = next((c for c in components if c.track_id and c.track_id == cause["track_id"]), None)
        if known is None:
            known = component(cause, f"c{len(components) + 1}", rng)
            components.append(known)
        ids.append(known.id)
    return tuple(ids) or (UNOBSERVED,)


def component(cause: dict[str, Any], number: str, rng: random.Random) -> Component:
    """Return a cause of the truth as a component, called by one of its names."""
    name = rng.choice(_NAMES.get(cause["what"], (cause["what"],)))
    if cause["side"] and cause["what"] in ("curve", "turn"):
        name = f"{cause['side']} {name}"
    elif cause["side"] and cause["side"] not in name:
        name = f"{name} from the {cause['side']}" if "cut" in name else _SIDED.format(name, cause["side"])
    return Component(
        id=number,
        category=Category(cause["category"]),
        relation=Relation(cause["relation"]) if cause["relation"] else None,
        side=Side(cause["side"]) if cause["side"] else None,
        description=name,
        track_id=cause["track_id"],
    )
