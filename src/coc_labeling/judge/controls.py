"""Controls: labels with a planted error, which a judge that means something scores lower than the same without it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from coc_labeling.checks.watching import SURE_RANGE_M
from coc_labeling.judge.stages import Stage
from coc_labeling.planting import WORDINGS, Error, Known, compose, plant
from coc_labeling.scene import (
    Kind,
    Role,
    SceneFacts,
    find_bend,
    find_sideways,
    find_stop,
    scene_facts,
    traffic_lines,
)
from coc_labeling.schema import Category, CoCLabel, Component, Relation
from coc_labeling.windows import Window
from driving_clips.ego_motion import TICK_SEC

# The stages that can see an error: the first knows no decision and no future, the second no cause.
NOTICED_IN: Mapping[Error, frozenset[Stage]] = {
    Error.FLIPPED_DIRECTION: frozenset({Stage.BEHAVIOUR, Stage.CAUSE}),
    Error.WRONG_MANOEUVRE: frozenset({Stage.BEHAVIOUR, Stage.CAUSE}),
    Error.STOP_WHILE_MOVING: frozenset({Stage.BEHAVIOUR, Stage.CAUSE}),
    Error.MISSED_LANE_CHANGE: frozenset({Stage.BEHAVIOUR, Stage.CAUSE}),
    Error.PHANTOM_LEAD: frozenset({Stage.EVIDENCE, Stage.CAUSE}),
    Error.WRONG_SIDE: frozenset({Stage.EVIDENCE, Stage.CAUSE}),
    Error.FUTURE_CAUSE: frozenset({Stage.EVIDENCE, Stage.CAUSE}),
}
_AHEAD = (Kind.LEAD, Kind.IN_PATH, Kind.QUEUE)
_RELATIONS = {Kind.CUT_IN: Relation.CUT_IN, Kind.CROSSING: Relation.CROSSING, Kind.ONCOMING: Relation.ONCOMING}


class Telling(StrEnum):
    """Which telling of a label is judged."""

    LABEL = "label"  # as it is
    TWIN = "twin"  # the same, retold as the planted one is
    PLANTED = "planted"  # with an error


@dataclass(frozen=True)
class Control:
    """A label with an error, and its twin without: they differ in nothing else, neither in wording nor in length.

    A judge that dislikes the wording of planted errors, or that they have no trace, would seem to find them; beside the
    twin it does not.
    """

    error: Error
    planted: CoCLabel
    twin: CoCLabel

    def told(self, telling: Telling) -> CoCLabel:
        """Return one of the two."""
        return self.planted if telling is Telling.PLANTED else self.twin


def control_of(label: CoCLabel, known: Known, turn: int, stage: Stage) -> Control | None:
    """Return the label with the first error that fits it and that a stage can see; None where none does.

    Args:
        label: as it is.
        known: what is known of its window.
        turn: which error is tried first, so that labels get different ones.
        stage: what is judged.
    """
    errors = [error for error in Error if stage in NOTICED_IN[error]]
    for number in range(len(errors)):
        error = errors[(turn + number) % len(errors)]
        planted = plant(label, error, known)
        if planted is not None:
            return Control(error, planted, twin_of(label, planted))
    return None


def twin_of(label: CoCLabel, planted: CoCLabel) -> CoCLabel:
    """Return a label told as its planted version is: without a trace, its sentence as it is or written anew."""
    written_anew = planted.effect_on_ego_behavior == _composed(planted, 0)
    in_our_words = any(_composed(label, wording) == label.effect_on_ego_behavior for wording in range(WORDINGS))
    sentence = _composed(label, 0) if written_anew and not in_our_words else label.effect_on_ego_behavior
    return label.model_copy(update={"trace": None, "effect_on_ego_behavior": sentence})


def _composed(label: CoCLabel, wording: int) -> str:
    return compose(label.longitudinal, label.lateral, label.components, wording)


def known_of(label: CoCLabel, window: Window) -> Known:
    """Return what is known of a window; where something is not known, what keeps a planted error from being true."""
    facts = scene_facts(window.ego, window.obstacles, window.driving_side)
    first, last = window.keyframe.frame, window.ego.first_tick + window.last_row
    whole = window.info.missing_future_sec <= TICK_SEC
    bend, sideways = find_bend(window), find_sideways(window, traffic_lines(facts))
    changes = sideways.changes if sideways else ()
    return Known(
        stands=find_stop(window) is not None or not whole,
        has_lead=not _shows_everybody(facts, first) or bool(facts.during(first, last, _AHEAD)),
        changes_lane=changes[0].side if changes else None,
        turns=bend.side if bend else None,
        later=_emerged(label) or _later(label, facts, first, last),
        path_known=whole,
    )


def _shows_everybody(facts: SceneFacts, tick: int) -> bool:
    """Say whether a lead that no track shows at a tick is none."""
    return facts.has_tracks and facts.observed_at(tick) and facts.range_m >= SURE_RANGE_M


def _emerged(label: CoCLabel) -> Component | None:
    """Return the cause that the labeller itself says could not be seen yet."""
    if label.emerged_after is None:
        return None
    return Component(id=_free_id(label), **label.emerged_after.model_dump())


def _later(label: CoCLabel, facts: SceneFacts, first: int, last: int) -> Component | None:
    """Return a road user that came into sight only after the keyframe; None where nobody was measured at it."""
    if not facts.observed_at(first):
        return None
    for role in facts.during(first, last, _RELATIONS):
        if role.first_seen_tick > first:
            return _component(label, role)
    return None


def _component(label: CoCLabel, role: Role) -> Component:
    relation = _RELATIONS[role.kind]
    side = f" from the {role.side}" if role.side and relation is not Relation.ONCOMING else ""
    return Component(
        id=_free_id(label),
        category=Category.CRITICAL_OBJECT,
        relation=relation,
        side=role.side,
        description=f"{relation.replace('_', '-')} {role.label_class.replace('_', ' ')}{side}",
        track_id=role.track_id,
    )


def _free_id(label: CoCLabel) -> str:
    taken = {component.id for component in label.components}
    return next(name for n in range(1, len(taken) + 2) if (name := f"c{n}") not in taken)
