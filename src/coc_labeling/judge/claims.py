"""What a label claims, as it is told to a judge: no more than a stage may know.

A label is text that a model or a person wrote. It is handed on as JSON, cut to a bounded length, and no instruction.
"""

import json
from typing import Any

from coc_labeling.judge.stages import Channels, Stage, channels_of
from coc_labeling.reading import Reading, SaidCause, read_sentence
from coc_labeling.schema import UNOBSERVED, CoCLabel, Component

MAX_CLAIM_CHARS = 1_000  # of one text; labels of models are shorter
MAX_FACTORS = 16


def factors(label: CoCLabel) -> tuple[str, ...]:
    """Return the factors that a label cites, in words: its cited components, else the causes that its sentence names.

    Neither decisions nor whole sentences are in it. A structured label that cites nothing has none.
    """
    if label.longitudinal is not None or label.lateral is not None or label.components:
        return tuple(_component(component) for component in cited(label))[:MAX_FACTORS]
    return tuple(_said(cause) for cause in _reading(label).causes)[:MAX_FACTORS]


def cited(label: CoCLabel) -> list[Component]:
    """Return the components that the decisions of a label cite, in the label's order."""
    causes = {cause for channel in (label.longitudinal, label.lateral) if channel for cause in channel.cause_ids}
    return [component for component in label.components if component.id in causes]


def channels(label: CoCLabel) -> Channels:
    """Return the channels that a label decides about; of a sentence alone, those that it can be read to tell of."""
    if label.longitudinal is not None or label.lateral is not None:
        return channels_of(label)
    said = _reading(label)
    found = {"longitudinal": said.longitudinal, "lateral": said.lateral}
    return frozenset(name for name, decision in found.items() if decision is not None)


def claim_text(label: CoCLabel, stage: Stage) -> str:
    """Return what a stage is told of a label: of the first stage the factors alone."""
    if stage is Stage.EVIDENCE:
        return "\n".join(["# Factors", *(json.dumps(factor, ensure_ascii=False) for factor in factors(label))])
    told = _behaviour(label) if stage is Stage.BEHAVIOUR else _chain(label)
    return f"# Label\n{json.dumps(told, ensure_ascii=False, indent=1)}"


def _behaviour(label: CoCLabel) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if label.longitudinal is not None:
        told["longitudinal"] = str(label.longitudinal.decision)
    if label.lateral is not None:
        told["lateral"] = _lateral(label)
    return told | {"sentence": _short(label.effect_on_ego_behavior or "")}


def _chain(label: CoCLabel) -> dict[str, Any]:
    names = {component.id: _component(component) for component in label.components}
    told: dict[str, Any] = {}
    for name, decision, channel in (
        ("longitudinal", label.longitudinal and str(label.longitudinal.decision), label.longitudinal),
        ("lateral", label.lateral and _lateral(label), label.lateral),
    ):
        if channel is not None:
            causes = [names.get(cause, UNOBSERVED) for cause in channel.cause_ids]
            told[name] = {"decision": decision, "causes": causes}
    if label.trace:
        told["trace"] = _short(label.trace)
    return told | {"sentence": _short(label.effect_on_ego_behavior or "")}


def _lateral(label: CoCLabel) -> str:
    assert label.lateral is not None
    side = label.lateral.direction
    return f"{label.lateral.decision}, {side}" if side else str(label.lateral.decision)


def _component(component: Component) -> str:
    kinds = (component.category, component.relation, component.side)
    return _with_kinds(component.description, *kinds)


def _said(cause: SaidCause) -> str:
    absent = "said to be absent" if cause.negated else None
    return _with_kinds(cause.text, cause.category, cause.relation, cause.side, cause.colour, absent)


def _with_kinds(text: str, *kinds: str | None) -> str:
    return f"{_short(text)} ({', '.join(str(kind) for kind in kinds if kind is not None)})"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_CLAIM_CHARS else f"{text[:MAX_CLAIM_CHARS]} ..."


def _reading(label: CoCLabel) -> Reading:
    return read_sentence(label.effect_on_ego_behavior or "")
