"""What the reader collects while it walks through a sentence."""

from dataclasses import dataclass, field
from enum import StrEnum

from coc_labeling.schema import Category, Relation, Side

from .nouns import Noun
from .reading import Colour, SaidCause, State, UserClass
from .verbs import Act
from .words import Effect

VEHICLES = frozenset(
    {
        UserClass.VEHICLE,
        UserClass.CAR,
        UserClass.TRUCK,
        UserClass.BUS,
        UserClass.TRAILER,
        UserClass.RIDER,
        UserClass.ANY,
    }
)


class Role(StrEnum):
    """What a clause is there for."""

    MAIN = "main"
    PURPOSE = "purpose"
    REASON = "reason"
    CONDITION = "condition"  # until, once, when, if: what it says is not (yet) so


@dataclass
class Thing:
    """A cause in the making."""

    noun: Noun
    phrase: str
    category: Category | None
    user_class: UserClass | None
    relation: Relation | None = None
    side: Side | None = None
    states: list[State] = field(default_factory=list)
    colour: Colour | None = None
    later_colour: Colour | None = None  # of a light, once it has turned
    negated: bool = False
    counts: bool = True  # a place counts only where it is said to be a cause
    words: list[str] = field(default_factory=list)
    prep: str = ""
    moves_in: bool = False  # it changes lanes, merges, drifts: into ego's lane it cuts in
    curved: bool = False
    unnamed: bool = False  # a lane or road said to be clear

    @property
    def is_vehicle(self) -> bool:
        """Whether it can be a lead."""
        return self.category is Category.CRITICAL_OBJECT and self.user_class in VEHICLES

    def add(self, effect: Effect, *, condition: bool = False) -> None:
        """Take over what a word or verb says of it; what is only awaited gives neither colour nor absence."""
        if effect.relation is not None and self.category is Category.CRITICAL_OBJECT and self._takes(effect.relation):
            self.relation = effect.relation
        if effect.side is not None and self.side is None:
            self.side = effect.side
        if effect.state is not None and effect.state not in self.states and self.category is Category.CRITICAL_OBJECT:
            self.states = [state for state in self.states if state is not State.MOVING]
            if effect.state is not State.MOVING or not self.states:
                self.states.append(effect.state)
        if effect.colour is not None and self.category is Category.TRAFFIC_LIGHT:
            if condition:
                self.later_colour = effect.colour
            else:
                self.colour = effect.colour
        if (effect.gone and not condition) or (effect.clear and not condition and self._can_be_clear()):
            self._clear()
        if effect.weather and self.noun.place:
            self.category, self.counts = Category.ODD_CONSTRAINT, True
        if (effect.narrow or effect.closed) and self.noun.place:
            self.counts = True

    def _takes(self, relation: Relation) -> bool:
        if relation is Relation.LEAD:
            return self.relation is None and self.is_vehicle
        if relation is Relation.ADJACENT:
            return self.relation is None
        if relation is Relation.CROSSING:
            return self.relation in {None, Relation.ADJACENT}
        return relation is not Relation.CUT_IN or self.relation is not Relation.ONCOMING

    def _can_be_clear(self) -> bool:
        return (
            self.noun.place
            or self.noun.junction
            or self.user_class is UserClass.ANY
            or (self.category is Category.TRAFFIC_CONTROL)
        )

    def _clear(self) -> None:
        if self.noun.place or self.noun.junction:
            self.category, self.user_class = Category.CRITICAL_OBJECT, UserClass.ANY
            self.unnamed = True
        if self.category is Category.CRITICAL_OBJECT or self.category is Category.TRAFFIC_CONTROL:
            self.counts = True
            self.negated = True
            if self.category is Category.TRAFFIC_CONTROL:
                self.category, self.user_class = Category.CRITICAL_OBJECT, UserClass.ANY

    def finished(self) -> SaidCause:
        """Return the cause."""
        assert self.category is not None
        return SaidCause(
            self.category,
            self.relation,
            self.side,
            self.user_class,
            tuple(self.states),
            self.colour,
            self.negated,
            " ".join(self.words),
        )


def distinct(things: list[Thing]) -> list[Thing]:
    """Return the things that count; two that are both the one lead are one."""
    kept: list[Thing] = []
    for thing in things:
        if not thing.counts or thing.category is None:
            continue
        twin = next((k for k in kept if _one_lead(k, thing)), None)
        if twin is None:
            kept.append(thing)
            continue
        twin.user_class = thing.user_class if twin.user_class is UserClass.VEHICLE else twin.user_class
        for state in thing.states:
            twin.add(Effect(state=state))
    return kept


def _one_lead(one: Thing, other: Thing) -> bool:
    if one.relation is not Relation.LEAD or other.relation is not Relation.LEAD or one.negated or other.negated:
        return False
    classes = {one.user_class, other.user_class}
    return len(classes) == 1 or (UserClass.VEHICLE in classes and UserClass.ANY not in classes)


@dataclass
class Deed:
    """A decision of ego in the making: an act with its objects."""

    act: Act
    role: Role
    form: str
    part: int
    negated: bool
    words: list[str]
    direction: Side | None = None
    things: list[Thing] = field(default_factory=list)
    out_of_lane: bool = False
    to_lane: bool = False
    tentative: bool = False
    into_oncoming: bool = False
