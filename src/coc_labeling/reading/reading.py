"""What a sentence says: decisions, causes, and what could not be read."""

from dataclasses import dataclass
from enum import StrEnum

from coc_labeling.schema import Category, LateralDecision, LongitudinalDecision, Relation, Side


class Motion(StrEnum):
    """What a clause says that ego physically does with its speed, whatever the decision is called."""

    STOP = "stop"  # comes to stand
    STAND = "stand"  # stands and remains so
    DECELERATE = "decelerate"
    ACCELERATE = "accelerate"  # starts from standing included
    KEEP_SPEED = "keep_speed"
    REVERSE = "reverse"


class Colour(StrEnum):
    """Of a traffic light; a light that turns has the colour it turns to."""

    RED = "red"
    YELLOW = "yellow"
    GREEN = "green"


class UserClass(StrEnum):
    """Kind of a road user or object, as coarse as tracks and words can be compared."""

    VEHICLE = "vehicle"  # any, or one whose kind is not said
    CAR = "car"
    TRUCK = "truck"
    BUS = "bus"
    TRAIN = "train"
    TRAILER = "trailer"
    PEDESTRIAN = "pedestrian"
    RIDER = "rider"  # bicycle, motorcycle, scooter with its rider
    ANIMAL = "animal"
    OBJECT = "object"  # cone, barrier, debris, door, bin
    ANY = "any"  # "agent", "road user", "traffic"


class State(StrEnum):
    """What a cause is said to do."""

    STOPPED = "stopped"
    SLOWING = "slowing"
    SLOWER = "slower"
    MOVING = "moving"
    ACCELERATING = "accelerating"
    TURNING = "turning"
    QUEUED = "queued"


@dataclass(frozen=True)
class SaidDecision:
    """One decision that a sentence gives ego.

    Attributes:
        decision: of the taxonomy; None where only a motion is said ("decelerate gently"), or only a side
            ("steer slightly left").
        motion: what ego does with its speed, where a clause on speed says it.
        direction: left or right, where said of ego itself.
        part: 0 for what ego does first, 1 for what follows ("steer left ..., then return"), and so on.
        negated: it is said that ego does not do it ("without stopping").
        text: the words.
    """

    decision: LongitudinalDecision | LateralDecision | None
    motion: Motion | None
    direction: Side | None
    part: int
    negated: bool
    text: str


@dataclass(frozen=True)
class SaidCause:
    """One cause or scene element that a sentence names.

    Attributes:
        category: of the seven.
        relation: how it stands to ego, where said or implied ("lead vehicle", "parked car", "cut in").
        side: of ego, left or right, where said; of a curve its side.
        user_class: the kind of a critical object.
        states: what it is said to do.
        colour: of a traffic light.
        negated: it is said to be absent ("no pedestrian", "the lane ahead is clear").
        text: the words.
    """

    category: Category
    relation: Relation | None
    side: Side | None
    user_class: UserClass | None
    states: tuple[State, ...]
    colour: Colour | None
    negated: bool
    text: str


@dataclass(frozen=True)
class Reading:
    """What a sentence says, and how much of it was read.

    Attributes:
        decisions: in the order of the sentence.
        causes: in the order of the sentence, each thing once.
        unread: words that carry meaning and were not understood; never guessed.
        garbled: why the text looks damaged (a cut word, a stray token, a repetition, an answer in two copies); empty
            for a whole sentence, however odd its content.
    """

    decisions: tuple[SaidDecision, ...] = ()
    causes: tuple[SaidCause, ...] = ()
    unread: tuple[str, ...] = ()
    garbled: tuple[str, ...] = ()

    @property
    def longitudinal(self) -> SaidDecision | None:
        """The first decision on speed, or motion without one; None where the sentence has none."""
        own = [d for d in self.decisions if not d.negated and _is_longitudinal(d)]
        return own[0] if own else None

    @property
    def lateral(self) -> SaidDecision | None:
        """The first decision on the lane; None where the sentence has none."""
        own = [d for d in self.decisions if not d.negated and isinstance(d.decision, LateralDecision)]
        return own[0] if own else None


def _is_longitudinal(said: SaidDecision) -> bool:
    return isinstance(said.decision, LongitudinalDecision) or (said.decision is None and said.motion is not None)
