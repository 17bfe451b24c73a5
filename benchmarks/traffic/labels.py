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


def correct_label(truth: dict[str, Any], rng: random.Random) -> CoCLabel:
    """Return the label of a moment whose truth is clear, in one of several wordings."""
    components: list[Component] = []
    longitudinal = Longitudinal(
        decision=LongitudinalDecision(truth["longitudinal"]),
        cause_ids=_cite(truth["causes"][:1], components, rng),
    )
    lateral = Lateral(
        decision=LateralDecision(truth["lateral"]),
        direction=Side(truth["direction"]) if truth["direction"] else None,
        cause_ids=_cite(truth["lateral_causes"][:1], components, rng),
    )
    sentence = compose(longitudinal, lateral, components, rng.randrange(WORDINGS))
    return CoCLabel(
        longitudinal=longitudinal, lateral=lateral, components=tuple(components), effect_on_ego_behavior=sentence
    )


def _cite(causes: Sequence[dict[str, Any]], components: list[Component], rng: random.Random) -> tuple[str, ...]:
    """Add causes to the components and return their ids, or that none was observed."""
    ids = []
    for cause in causes:
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
