"""What is said of a moment, and which cause a sentence names, as the project's own reader reads it."""

from itertools import product

from alpamayo_r1.evaluation.sentences import read
from benchmarks.small_world.world import Cause, Moment, Obstacle
from coc_labeling.reading import SaidCause
from coc_labeling.reading.reading import Colour, State, UserClass
from coc_labeling.schema import Category, Relation

_OBSTACLES = {Obstacle.CONES: ("the traffic cones", "block"), Obstacle.TRUCK: ("a stationary truck", "blocks")}
# Few words, each of which can be seen. Words drawn by lot would be noise, and what is easier to see than the cause (the
# side of the second lane, in every sentence) is learnt first and alone for long. All sentences have as many words:
# training sorts by length, and the batches of one length would else be batches of one cause.
_TEMPLATES = {
    Cause.LEAD_BRAKES: "Decelerate to keep distance because the lead vehicle in our lane is braking.",
    Cause.RED_LIGHT: "Stop at the stop line because the traffic light ahead has turned red.",
    Cause.CLEAR_ROAD: "Accelerate gently up to the speed limit because the road ahead is clear.",
    Cause.BLOCKED_LANE: "Change lanes to the {side} because {what} {block} the lane ahead.",
}


def sentence_of(moment: Moment) -> str:
    """Return a sentence about a moment; everything that it says can be seen."""
    kind = moment.obstacle.kind if moment.cause is Cause.BLOCKED_LANE else Obstacle.CONES
    return _said(moment.cause, moment.other_lane, kind)


def all_sentences() -> list[str]:
    """Return everything that is ever said of this world."""
    return list(dict.fromkeys(_said(*way) for way in product(Cause, (1, -1), Obstacle)))


def _said(cause: Cause, other_lane: int, kind: Obstacle) -> str:
    what, block = _OBSTACLES[kind]
    side = "left" if other_lane > 0 else "right"
    return _TEMPLATES[cause].format(side=side, what=what, block=block)


def named_cause(sentence: str) -> Cause | None:
    """Return the one cause of this world that a sentence names, or None where it names none or several."""
    reading = read(sentence)
    if reading.garbled:
        return None
    found = {cause for said in reading.causes if (cause := _cause(said)) is not None}
    return found.pop() if len(found) == 1 else None


def _cause(said: SaidCause) -> Cause | None:
    if said.negated:  # "the road ahead is clear"
        return Cause.CLEAR_ROAD
    if said.category is Category.TRAFFIC_LIGHT and said.colour is Colour.RED:
        return Cause.RED_LIGHT
    if said.category is Category.ROAD_EVENT or (said.user_class is UserClass.TRUCK and State.STOPPED in said.states):
        return Cause.BLOCKED_LANE
    if said.relation is Relation.LEAD and State.SLOWING in said.states:
        return Cause.LEAD_BRAKES
    return None
