"""Where a structured label and its own sentence say different things. Saying less is no difference."""

from collections.abc import Iterator
from dataclasses import dataclass

from coc_labeling.schema import (
    Category,
    CoCLabel,
    Component,
    Lateral,
    LateralDecision,
    Longitudinal,
    LongitudinalDecision,
    Relation,
)

from .reading import Motion, Reading, SaidCause, SaidDecision, State

_LON, _LAT = LongitudinalDecision, LateralDecision


@dataclass(frozen=True)
class Difference:
    """One thing on which a label's structure and its sentence disagree.

    Attributes:
        what: decision, motion, direction, cause, relation, side or colour.
        structured: what the structure has.
        said: what the sentence has.
        words: the words of the sentence that say it.
    """

    what: str
    structured: str
    said: str
    words: str

    def __str__(self) -> str:
        return f"{self.what}: structured {self.structured}, but the sentence says {self.said} ({self.words!r})"


# Decisions that one sentence may mean with either name; each pair both ways.
_ALIKE = frozenset(
    frozenset(pair)
    for pair in (
        (_LON.STOP, _LON.YIELD),  # "stop for the crossing pedestrian"
        (_LAT.MERGE, _LAT.CHANGE_LANE),  # "merge into the left lane"
        (_LAT.SPLIT, _LAT.CHANGE_LANE),  # "move into the exit lane"
        (_LAT.SPLIT, _LAT.TURN),
        (_LAT.NUDGE_IN_LANE, _LAT.NUDGE_OUT_OF_LANE),  # how far is seldom said
        (_LAT.MERGE, _LAT.TURN),
    )
)
_ALIKE_BEHIND_A_LEAD = frozenset(
    frozenset(pair)
    for pair in (
        (_LON.STOP, _LON.FOLLOW_LEAD),
        (_LON.ADAPT_SPEED, _LON.FOLLOW_LEAD),
        (_LON.TRACK_SPEED, _LON.FOLLOW_LEAD),
        (_LON.YIELD, _LON.FOLLOW_LEAD),
    )
)
# Motions that no decision of the kind has.
_IMPOSSIBLE = {
    _LON.STOP: {Motion.ACCELERATE, Motion.REVERSE},
    _LON.YIELD: {Motion.ACCELERATE, Motion.REVERSE},
    _LON.TRACK_SPEED: {Motion.STOP, Motion.STAND, Motion.REVERSE},
    _LON.OVERTAKE: {Motion.STOP, Motion.STAND, Motion.REVERSE},
    _LON.ADAPT_SPEED: {Motion.REVERSE},
    _LON.FOLLOW_LEAD: {Motion.REVERSE},
    _LON.SEARCH_GAP: {Motion.REVERSE},
}


def differences(label: CoCLabel, reading: Reading) -> tuple[Difference, ...]:
    """Return where a label's structure and what its sentence says disagree; empty for an abstention.

    Only what was read counts: a sentence that says less than the structure, or that is garbled and so says nothing
    reliable, has no difference.
    """
    if label.abstention is not None or reading.garbled:
        return ()
    return (
        *_speed(label.longitudinal, reading),
        *_lane(label.lateral, reading),
        *_causes(label, reading),
    )


def _speed(own: Longitudinal | None, reading: Reading) -> Iterator[Difference]:
    said = [d for d in reading.decisions if not d.negated and d.part == 0 and isinstance(d.decision, _LON)]
    ahead = (Relation.LEAD, Relation.CUT_IN)
    behind = any(cause.relation in ahead for cause in reading.causes) or not reading.causes
    if own is not None and said and not any(_alike(own.decision, d, behind) for d in said):
        yield Difference("decision", own.decision, _decision(said[0]), said[0].text)
    moves = [d for d in reading.decisions if not d.negated and d.part == 0 and d.motion is not None]
    if own is not None and moves and not said and moves[0].motion in _IMPOSSIBLE[own.decision]:
        yield Difference("motion", own.decision, str(moves[0].motion), moves[0].text)
    if own is not None:
        for one in reading.decisions:
            if one.negated and one.decision == own.decision:
                yield Difference("decision", own.decision, f"not {one.decision}", one.text)


def _alike(decision: LongitudinalDecision, said: SaidDecision, behind: bool) -> bool:
    if said.decision == decision:
        return True
    pair = frozenset((decision, said.decision))
    return pair in _ALIKE or (behind and pair in _ALIKE_BEHIND_A_LEAD)


def _lane(own: Lateral | None, reading: Reading) -> Iterator[Difference]:
    if own is None:
        return
    said = [d for d in reading.decisions if not d.negated and isinstance(d.decision, _LAT)]
    first = [d for d in said if d.part == 0] or said
    if first and not any(d.decision == own.decision or frozenset((d.decision, own.decision)) in _ALIKE for d in first):
        yield Difference("decision", own.decision, _decision(first[0]), first[0].text)
    for one in reading.decisions:
        if one.negated and one.decision == own.decision and not any(d.decision == own.decision for d in said):
            yield Difference("decision", own.decision, f"not {one.decision}", one.text)
    if own.direction is None:
        return
    directed = [d for d in reading.decisions if not d.negated and d.part == 0 and d.direction is not None]
    same = [d for d in directed if d.decision == own.decision] or directed
    if same and own.direction not in {d.direction for d in same}:
        yield Difference("direction", own.direction, str(same[0].direction), same[0].text)


def _decision(said: SaidDecision) -> str:
    return str(said.decision) if said.decision is not None else str(said.motion)


def _causes(label: CoCLabel, reading: Reading) -> Iterator[Difference]:
    cited = {cause for channel in (label.longitudinal, label.lateral) if channel for cause in channel.cause_ids}
    components = [component for component in label.components if component.id in cited]
    if not components:
        return
    for said in reading.causes:
        if said.negated:
            yield from _absent(said, components)
            continue
        alike = [component for component in label.components if component.category is said.category]
        if not alike:
            if not _known_elsewhere(said, label):
                yield Difference("cause", ", ".join(sorted({c.category for c in components})), said.category, said.text)
            continue
        yield from _details(said, alike)


def _known_elsewhere(said: SaidCause, label: CoCLabel) -> bool:
    """Whether a scene element is only where the cause is: a stop line, a curve ego follows anyway, its route."""
    if said.category in {Category.LANE, Category.ROUTING_INTENT, Category.TRAFFIC_CONTROL}:
        return True
    text = " ".join(component.description.lower() for component in label.components)
    return any(word in text for word in said.text.split()[-1:])


def _absent(said: SaidCause, components: list[Component]) -> Iterator[Difference]:
    """Yield where a sentence says that nothing is there and the structure cites just such a thing."""
    if said.category is not Category.CRITICAL_OBJECT or said.user_class is None:
        return
    for component in components:
        same = (
            component.category is said.category
            and component.relation is not None
            and component.relation is said.relation
        )
        if same:
            yield Difference("cause", component.description, f"no {said.text}", said.text)


def _details(said: SaidCause, alike: list[Component]) -> Iterator[Difference]:
    if said.relation is not None and not any(_relations_agree(said, c) for c in alike):
        yield Difference("relation", ", ".join(str(c.relation) for c in alike), said.relation, said.text)
    fitting = [c for c in alike if _relations_agree(said, c)] or alike
    if said.side is not None and not any(c.side in (None, said.side) for c in fitting):
        yield Difference("side", ", ".join(str(c.side) for c in fitting), said.side, said.text)
    if said.colour is not None:
        colours = [_colours(c.description) for c in fitting]
        if colours and all(found and said.colour not in found for found in colours):
            yield Difference("colour", ", ".join(sorted(set().union(*colours))), said.colour, said.text)


def _relations_agree(said: SaidCause, component: Component) -> bool:
    if said.relation is None or component.relation is None or said.relation is component.relation:
        return True
    standing = State.STOPPED in said.states
    return standing and {said.relation, component.relation} == {Relation.LEAD, Relation.PARKED}


def _colours(description: str) -> set[str]:
    words = description.lower().replace("amber", "yellow").replace("-", " ").replace(",", " ").replace(".", " ").split()
    return {word for word in words if word in {"red", "yellow", "green"}}
