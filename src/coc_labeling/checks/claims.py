"""What a label claims, in one form, whether its structure says it or its sentence.

The structure comes first; the sentence adds what the structure has no place for (motion, colour, kinds, what others
do), and everything where a label is a sentence only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from coc_labeling.reading import read_sentence
from coc_labeling.reading.reading import Colour, Motion, Reading, SaidCause, SaidDecision, State, UserClass
from coc_labeling.schema import (
    Category,
    CoCLabel,
    Component,
    LateralDecision,
    LongitudinalDecision,
    Relation,
    Side,
)

MAX_DESCRIPTION = 500  # characters of a component's description that are read


@dataclass(frozen=True)
class DecisionClaim:
    """One decision or motion that a label gives ego.

    Attributes:
        decision: of the taxonomy; None where only a motion is said.
        motion: what ego does with its speed, where the sentence says it.
        direction: left or right, where said.
        part: 0 for what ego does first, 1 for what follows, and so on.
        structured: the label's structure says it, not its sentence alone.
        text: the claim in words.
    """

    decision: LongitudinalDecision | LateralDecision | None
    motion: Motion | None
    direction: Side | None
    part: int
    structured: bool
    text: str

    @property
    def is_lateral(self) -> bool:
        """Whether it is about the lane."""
        return isinstance(self.decision, LateralDecision)


@dataclass(frozen=True)
class CauseClaim:
    """One cause that a label names.

    Attributes:
        category, relation, side: as in the label, or as the sentence says.
        user_class: the kind of a critical object, where said.
        states: what it is said to do.
        colour: of a traffic light.
        text: the claim in words.
        component_id: of the label's component; None where only the sentence names it.
        track_id: its track, where the label gives one.
        cited: a decision names it as its cause, or the sentence does.
        number: its place among the label's causes; -1 where it is none of them.
    """

    category: Category
    relation: Relation | None
    side: Side | None
    user_class: UserClass | None
    states: tuple[State, ...]
    colour: Colour | None
    text: str
    component_id: str | None = None
    track_id: str | None = None
    cited: bool = True
    number: int = -1


@dataclass(frozen=True)
class Claims:
    """All that a label claims.

    Attributes:
        decisions: on speed and lane, the structure's first; each once.
        causes: the components, then what only the sentence names.
        absent: what is said not to be there.
        refused: what the sentence says that ego does not do.
    """

    decisions: tuple[DecisionClaim, ...] = ()
    causes: tuple[CauseClaim, ...] = ()
    absent: tuple[CauseClaim, ...] = ()
    refused: tuple[DecisionClaim, ...] = ()

    @property
    def on_speed(self) -> list[DecisionClaim]:
        """The decisions and motions on speed."""
        return [claim for claim in self.decisions if not claim.is_lateral]

    @property
    def on_lane(self) -> list[DecisionClaim]:
        """The decisions on the lane."""
        return [claim for claim in self.decisions if claim.is_lateral]

    @property
    def cited(self) -> list[CauseClaim]:
        """The causes that are given for a decision."""
        return [cause for cause in self.causes if cause.cited]


def claims_of(label: CoCLabel, reading: Reading) -> Claims:
    """Return what a label claims; ``reading`` is that of its sentence."""
    said = [decision for decision in reading.decisions if not decision.negated]
    causes = _causes(_components(label), [cause for cause in reading.causes if not cause.negated])
    return Claims(
        tuple(_decisions(label, said)),
        tuple(replace(cause, number=number) for number, cause in enumerate(causes)),
        tuple(_said(cause) for cause in reading.causes if cause.negated),
        tuple(_said_decision(decision) for decision in reading.decisions if decision.negated),
    )


def _decisions(label: CoCLabel, said: Sequence[SaidDecision]) -> Iterable[DecisionClaim]:
    own = []
    if label.longitudinal is not None:
        own.append(DecisionClaim(label.longitudinal.decision, None, None, 0, True, _words(label.longitudinal.decision)))
    if label.lateral is not None:
        words = f"{_words(label.lateral.decision)} {label.lateral.direction or ''}".strip()
        own.append(DecisionClaim(label.lateral.decision, None, label.lateral.direction, 0, True, words))
    known = {(claim.decision, claim.direction) for claim in own}
    yield from own
    for one in said:
        if one.decision is not None and one.motion is None and (one.decision, one.direction) in known:
            continue
        known.add((one.decision, one.direction))
        yield _said_decision(one)


def _said_decision(one: SaidDecision) -> DecisionClaim:
    return DecisionClaim(one.decision, one.motion, one.direction, one.part, False, one.text)


def _words(decision: str) -> str:
    return str(decision).replace("_", " ")


def _components(label: CoCLabel) -> list[CauseClaim]:
    cited = {c for channel in (label.longitudinal, label.lateral) if channel is not None for c in channel.cause_ids}
    return [_component(component, cited=component.id in cited) for component in label.components]


def _component(component: Component, *, cited: bool) -> CauseClaim:
    described = _described(component.description[:MAX_DESCRIPTION], component.category)
    same_side = described is not None and described.relation in (None, component.relation)
    return CauseClaim(
        component.category,
        component.relation or (described.relation if described is not None else None),
        component.side or (described.side if described is not None and same_side else None),
        described.user_class if described is not None else None,
        described.states if described is not None else (),
        described.colour if described is not None else None,
        component.description,
        component.id,
        component.track_id,
        cited,
    )


@lru_cache(maxsize=4096)
def _described(description: str, category: Category) -> SaidCause | None:
    """Return what a component's description names, as far as it is of its category."""
    named = (cause for cause in read_sentence(description).causes if not cause.negated)
    return next((cause for cause in named if cause.category is category), None)


def _causes(components: list[CauseClaim], said: Sequence[SaidCause]) -> list[CauseClaim]:
    """Return the components, with what the sentence adds to them, then the causes that it alone names."""
    claims, taken, more = list(components), set[int](), []
    for cause in said:
        found = [n for n, own in enumerate(components) if n not in taken and _same(own, cause)]
        if not found:
            more.append(_said(cause))
            continue
        # The best match: the same relation first, then what is cited.
        best = max(found, key=lambda n: (components[n].relation is cause.relation, components[n].cited, -n))
        taken.add(best)
        claims[best] = _enriched(claims[best], cause)
    return [*claims, *more]


def _same(own: CauseClaim, cause: SaidCause) -> bool:
    """Say whether a component and a cause of the sentence can be one thing."""
    pairs = ((own.relation, cause.relation), (own.side, cause.side), (own.colour, cause.colour))
    return own.category is cause.category and all(a is None or b is None or a is b for a, b in pairs)


def _enriched(own: CauseClaim, cause: SaidCause) -> CauseClaim:
    vague = own.user_class in (None, UserClass.ANY, UserClass.VEHICLE)
    return replace(
        own,
        relation=own.relation or cause.relation,
        side=own.side or cause.side,
        user_class=cause.user_class if vague and cause.user_class is not None else own.user_class,
        states=tuple(dict.fromkeys((*own.states, *cause.states))),
        colour=own.colour or cause.colour,
    )


def _said(cause: SaidCause) -> CauseClaim:
    return CauseClaim(
        cause.category, cause.relation, cause.side, cause.user_class, cause.states, cause.colour, cause.text
    )
