"""Known errors, planted into correct labels: what a check or a judging model finds of them is what it is worth.

A planted label differs from the correct one by exactly one error, in its structure and in its sentence alike. An error
is only planted where it is one for certain, as far as what is known of the scene tells.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

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


class Error(StrEnum):
    """The kinds of errors that can be planted."""

    FLIPPED_DIRECTION = "flipped_direction"  # left for right in the decision on the lane
    WRONG_MANOEUVRE = "wrong_manoeuvre"  # another decision on the lane than the one taken
    PHANTOM_LEAD = "phantom_lead"  # a lead vehicle that is not there
    WRONG_SIDE = "wrong_side"  # a true cause on the wrong side
    STOP_WHILE_MOVING = "stop_while_moving"  # a standstill claimed of an ego that drives on
    MISSED_LANE_CHANGE = "missed_lane_change"  # a lane change told as keeping the lane
    FUTURE_CAUSE = "future_cause"  # a cause that came up only after the keyframe


KINDS = tuple(Error)
_OTHER_SIDE = {Side.LEFT: Side.RIGHT, Side.RIGHT: Side.LEFT}


@dataclass(frozen=True)
class Known:
    """What must be known of a moment to be sure that a planted error is one.

    Attributes:
        stands: ego stands at the keyframe, or comes to stand within the window.
        has_lead: some vehicle is in or near ego's path ahead.
        changes_lane: the side of a lane change under way or beginning, None where there is none.
        turns: the side of a turn or bend under way or beginning, None where ego's heading stays.
        later: what came to matter only after the keyframe, None where nothing did.
        path_known: whether ego's path within the window is known; else the two fields on lanes say nothing.
    """

    stands: bool
    has_lead: bool
    changes_lane: Side | None = None
    turns: Side | None = None
    later: Component | None = None
    path_known: bool = True


def plant(label: CoCLabel, error: Error, known: Known) -> CoCLabel | None:
    """Return the label with one error of a kind, or None where it cannot be planted or would not be one for certain.

    Example:
        >>> turn = Lateral(decision="turn", direction="left", cause_ids=("unobserved",))
        >>> label = CoCLabel(lateral=turn, effect_on_ego_behavior="Turn left.")
        >>> plant(label, Error.FLIPPED_DIRECTION, Known(stands=False, has_lead=False)).effect_on_ego_behavior
        'Turn right.'
    """
    if label.abstention is not None:
        return None
    return _PLANTERS[error](label, known)


def _flipped_direction(label: CoCLabel, _known: Known) -> CoCLabel | None:
    lateral = label.lateral
    if lateral is None or lateral.direction is None:
        return None
    flipped = lateral.model_copy(update={"direction": _OTHER_SIDE[lateral.direction]})
    # The route or the bend is the manoeuvre itself in other words: it is told to the same wrong side.
    components = tuple(
        _to_other_side(c) if c.category in (Category.ROUTING_INTENT, Category.LANE) else c for c in label.components
    )
    return _changed(label, lateral=flipped, components=components)


def _wrong_manoeuvre(label: CoCLabel, known: Known) -> CoCLabel | None:
    """Tell a turn as a lane change, and the other way round; a turn where ego keeps its lane and heading."""
    lateral = label.lateral
    if lateral is None or not known.path_known:
        return None
    if lateral.decision is LateralDecision.TURN and known.changes_lane is None:
        told = LateralDecision.CHANGE_LANE, lateral.direction
    elif lateral.decision in _CHANGES and known.turns is None:
        told = LateralDecision.TURN, lateral.direction or known.changes_lane
    elif lateral.decision is LateralDecision.KEEP_LANE and not (known.stands or known.turns or known.changes_lane):
        told = LateralDecision.TURN, Side.LEFT if len(label.effect_on_ego_behavior or "") % 2 else Side.RIGHT
    else:
        return None
    decision, side = told
    if side is None:
        return None
    wrong = Lateral(decision=decision, direction=side, cause_ids=lateral.cause_ids)
    return _changed(label, lateral=wrong)


def _phantom_lead(label: CoCLabel, known: Known) -> CoCLabel | None:
    """Have ego slow down, or keep its distance, for a vehicle that is not there."""
    if known.has_lead or label.longitudinal is None or _cites(label, Category.CRITICAL_OBJECT):
        return None
    phantom = _component(label, Category.CRITICAL_OBJECT, Relation.LEAD, "lead vehicle")
    follow = Longitudinal(decision=LongitudinalDecision.FOLLOW_LEAD, cause_ids=(phantom.id,))
    return _changed(label, longitudinal=follow, components=(*_kept(label), phantom))


def _wrong_side(label: CoCLabel, _known: Known) -> CoCLabel | None:
    cited = _cited_ids(label)
    wrong = next((c for c in label.components if c.id in cited and c.side is not None and _is_beside(c, label)), None)
    if wrong is None or wrong.side is None:
        return None
    components = tuple(_to_other_side(c) if c.id == wrong.id else c for c in label.components)
    return _changed(label, components=components)


def _is_beside(component: Component, label: CoCLabel) -> bool:
    """Whether a component's side is its own, and not that of ego's turn told once more."""
    return component.category is Category.CRITICAL_OBJECT or label.lateral is None or label.lateral.direction is None


def _to_other_side(component: Component) -> Component:
    side = _OTHER_SIDE[component.side] if component.side else None
    return component.model_copy(update={"side": side, "description": _mirrored(component.description)})


def _stop_while_moving(label: CoCLabel, known: Known) -> CoCLabel | None:
    if known.stands or label.longitudinal is None or label.longitudinal.decision is LongitudinalDecision.STOP:
        return None
    stop = Longitudinal(decision=LongitudinalDecision.STOP, cause_ids=label.longitudinal.cause_ids)
    return _changed(label, longitudinal=stop)


def _missed_lane_change(label: CoCLabel, known: Known) -> CoCLabel | None:
    lateral = label.lateral
    if known.changes_lane is None or lateral is None or lateral.decision not in _CHANGES:
        return None
    speed = label.longitudinal.cause_ids if label.longitudinal else ()
    dropped = set(lateral.cause_ids) - set(speed)
    components = tuple(component for component in label.components if component.id not in dropped)
    missed = Lateral(decision=LateralDecision.KEEP_LANE, cause_ids=(UNOBSERVED,))
    return _changed(label, lateral=missed, components=components)


def _future_cause(label: CoCLabel, known: Known) -> CoCLabel | None:
    """Cite what came up only after the keyframe as the cause of what ego does with its speed."""
    if known.later is None or label.longitudinal is None:
        return None
    if any(known.later.track_id is not None and c.track_id == known.later.track_id for c in label.components):
        return None
    later = known.later.model_copy(update={"id": _next_id(label)})
    decision = label.longitudinal.decision
    if decision in _FITTING:  # what is done for a road user goes with the road user
        crosses = later.relation in (Relation.CROSSING, Relation.ONCOMING)
        decision = LongitudinalDecision.YIELD if crosses else LongitudinalDecision.FOLLOW_LEAD
    caused = Longitudinal(decision=decision, cause_ids=(later.id,))
    return _changed(label, longitudinal=caused, components=(*_kept(label), later))


_FITTING = frozenset({LongitudinalDecision.TRACK_SPEED, LongitudinalDecision.FOLLOW_LEAD, LongitudinalDecision.YIELD})
_CHANGES = frozenset(
    {LateralDecision.CHANGE_LANE, LateralDecision.MERGE, LateralDecision.SPLIT, LateralDecision.NUDGE_OUT_OF_LANE}
)
_PLANTERS: dict[Error, Callable[[CoCLabel, Known], CoCLabel | None]] = {
    Error.FLIPPED_DIRECTION: _flipped_direction,
    Error.WRONG_MANOEUVRE: _wrong_manoeuvre,
    Error.PHANTOM_LEAD: _phantom_lead,
    Error.WRONG_SIDE: _wrong_side,
    Error.STOP_WHILE_MOVING: _stop_while_moving,
    Error.MISSED_LANE_CHANGE: _missed_lane_change,
    Error.FUTURE_CAUSE: _future_cause,
}


def compose(
    longitudinal: Longitudinal | None, lateral: Lateral | None, components: Sequence[Component], wording: int
) -> str:
    """Return the sentence of a label, written from its structure in one of ``WORDINGS`` ways.

    Example:
        >>> stop = Longitudinal(decision="stop", cause_ids=("c1",))
        >>> light = Component(id="c1", category="traffic_light", description="red light")
        >>> compose(stop, None, [light], 1)
        'Come to a stop because of the red light.'
    """
    causes = {component.id: _noun(component.description) for component in components}
    clauses = []
    if longitudinal is not None:
        clauses.append(_speed_clause(longitudinal, causes, wording))
    if lateral is not None:
        clauses.append(_lane_clause(lateral, causes, wording, alone=longitudinal is None))
    text = " and ".join(clause for clause in clauses if clause)
    return f"{text[:1].upper()}{text[1:]}."


def _composed(label: CoCLabel, wording: int) -> str:
    return compose(label.longitudinal, label.lateral, label.components, wording)


def _speed_clause(speed: Longitudinal, causes: dict[str, str], wording: int) -> str:
    plain, caused = _SPEED_WORDS[speed.decision][wording % WORDINGS]
    why = _joined(causes[cause] for cause in speed.cause_ids if cause in causes)
    return caused.format(why) if why else plain


def _lane_clause(lane: Lateral, causes: dict[str, str], wording: int, *, alone: bool) -> str:
    if lane.decision is LateralDecision.KEEP_LANE and wording % 2 == 0 and not alone:
        return ""
    words = _LANE_WORDS[lane.decision][wording % 2]
    text = words.format(f" to the {lane.direction}" if lane.direction else "", f" {lane.direction or ''}".rstrip())
    why = _joined(causes[cause] for cause in lane.cause_ids if cause in causes)
    return f"{text} because of {why}" if why else text


def _joined(texts: Iterable[str]) -> str:
    return " and ".join(texts)


def _noun(description: str) -> str:
    text = description.strip().rstrip(".")
    return text if re.match(r"(?:a|an|the)\s", text, re.IGNORECASE) else f"the {text}"


# Per decision: without a cause, and with one.
_Words = tuple[tuple[str, str], ...]
_SPEED_WORDS: dict[LongitudinalDecision, _Words] = {
    LongitudinalDecision.TRACK_SPEED: (
        ("keep the set speed", "keep the set speed because of {}"),
        ("resume the wanted speed", "resume the wanted speed because of {}"),
        ("drive on at the set speed", "drive on at the set speed because of {}"),
        ("go on at the wanted speed", "go on at the wanted speed because of {}"),
    ),
    LongitudinalDecision.FOLLOW_LEAD: (
        ("keep distance", "keep distance to {}"),
        ("keep a safe gap ahead", "adapt the speed to keep a safe gap to {}"),
        ("follow the traffic ahead", "follow {} at a safe distance"),
        ("match the speed ahead", "match the speed of {}"),
    ),
    LongitudinalDecision.ADAPT_SPEED: (
        ("slow down", "slow down for {}"),
        ("reduce the speed", "reduce the speed because of {}"),
        ("adapt the speed", "adapt the speed to {}"),
        ("ease off", "ease off for {}"),
    ),
    LongitudinalDecision.SEARCH_GAP: (
        ("look for a gap", "look for a gap because of {}"),
        ("adjust the speed to find a gap", "adjust the speed to find a gap for {}"),
        ("search for a gap", "search for a gap for {}"),
        ("wait for a gap", "wait for a gap for {}"),
    ),
    LongitudinalDecision.OVERTAKE: (
        ("accelerate to pass", "accelerate to pass {}"),
        ("overtake", "overtake {}"),
        ("speed up to overtake", "speed up to overtake {}"),
        ("pass", "pass {}"),
    ),
    LongitudinalDecision.YIELD: (
        ("yield", "yield to {}"),
        ("give way", "give way to {}"),
        ("slow down and yield", "slow down and yield to {}"),
        ("let others pass first", "let {} pass first"),
    ),
    LongitudinalDecision.STOP: (
        ("stop", "stop for {}"),
        ("come to a stop", "come to a stop because of {}"),
        ("brake to a standstill", "brake to a standstill for {}"),
        ("stop and wait", "stop and wait for {}"),
    ),
}
WORDINGS = 4
# Per decision in two ways; the first place is the direction as " to the left", the second as " left".
_LANE_WORDS: dict[LateralDecision, tuple[str, str]] = {
    LateralDecision.KEEP_LANE: ("keep the lane", "stay in the lane"),
    LateralDecision.MERGE: ("merge{0}", "merge into the lane{0}"),
    LateralDecision.SPLIT: ("split off{0}", "take the exit{0}"),
    LateralDecision.NUDGE_OUT_OF_LANE: ("move partly out of the lane{0}", "nudge{0} out of the lane"),
    LateralDecision.NUDGE_IN_LANE: ("nudge{0} within the lane", "shift{0} within the lane"),
    LateralDecision.CHANGE_LANE: ("change lane{0}", "make a lane change{0}"),
    LateralDecision.PULL_OVER: ("pull over{0}", "pull over{0}"),
    LateralDecision.TURN: ("turn{1}", "make a turn{0}"),
    LateralDecision.ABORT_MANOEUVRE: ("abort the manoeuvre", "give up the manoeuvre"),
}


def _changed(label: CoCLabel, **changes: object) -> CoCLabel | None:
    """Return the label with parts of its structure changed and its sentence retold; None where that says the same."""
    changed = label.model_copy(update=changes)
    sentence = _retold(label, changed)
    if sentence == label.effect_on_ego_behavior:
        return None
    values = {name: value for name, value in changed if name != "effect_on_ego_behavior"}
    return CoCLabel(**values | {"effect_on_ego_behavior": sentence, "trace": None})


def _retold(label: CoCLabel, changed: CoCLabel) -> str:
    """Return the changed label's sentence in the wording of the original one, where that is one of ours.

    A foreign sentence is kept but for its one "left" or "right" where only a side was changed; else it is written anew.
    """
    sentence = label.effect_on_ego_behavior or ""
    for wording in range(WORDINGS):
        if _composed(label, wording) == sentence:
            return _composed(changed, wording)
    if _same_but_sides(label, changed) and len(_SIDE_WORDS.findall(sentence[:MAX_SENTENCE])) == 1:
        return _mirrored(sentence)
    return _composed(changed, 0)


def _same_but_sides(label: CoCLabel, changed: CoCLabel) -> bool:
    decisions = [(each.longitudinal, each.lateral and each.lateral.decision) for each in (label, changed)]
    return decisions[0] == decisions[1] and _cited_ids(label) == _cited_ids(changed)


MAX_SENTENCE = 2000  # characters of a sentence that are looked at
_SIDE_WORDS = re.compile(r"\b(?:left|right)\b(?! of way\b| away\b)", re.IGNORECASE)  # "right of way" is no side
_MIRRORED_WORDS = {"left": "right", "right": "left", "Left": "Right", "Right": "Left", "LEFT": "RIGHT", "RIGHT": "LEFT"}


def _mirrored(text: str) -> str:
    """Return the text with left and right exchanged."""
    return _SIDE_WORDS.sub(lambda word: _MIRRORED_WORDS.get(word[0], word[0]), text)


def _cited_ids(label: CoCLabel) -> frozenset[str]:
    channels = (label.longitudinal, label.lateral)
    return frozenset(cause for channel in channels if channel for cause in channel.cause_ids) - {UNOBSERVED}


def _cites(label: CoCLabel, category: Category) -> bool:
    cited = label.longitudinal.cause_ids if label.longitudinal else ()
    return any(component.category is category for component in label.components if component.id in cited)


def _kept(label: CoCLabel) -> tuple[Component, ...]:
    """Return the components without those that only the decision on speed cites, which gets another cause."""
    speed = set(label.longitudinal.cause_ids) if label.longitudinal else set()
    lane = set(label.lateral.cause_ids) if label.lateral else set()
    return tuple(component for component in label.components if component.id not in speed - lane)


def _next_id(label: CoCLabel) -> str:
    numbers = [int(component.id[1:]) for component in label.components]
    return f"c{max(numbers, default=0) + 1}"


def _component(label: CoCLabel, category: Category, relation: Relation, description: str) -> Component:
    return Component(id=_next_id(label), category=category, relation=relation, description=description)
