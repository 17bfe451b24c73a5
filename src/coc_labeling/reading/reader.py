"""Reads a sentence."""

from functools import lru_cache

from .building import distinct
from .deciding import decide
from .garbled import damage
from .reading import Reading
from .tokens import words_of
from .walking import walk_through

MAX_CHARS = 2_000  # a label is a sentence or two; of more only the beginning is read


@lru_cache(maxsize=65_536)
def read_sentence(text: str) -> Reading:
    """Read a label's sentence.

    Args:
        text: any text; it is not trusted, and of a very long one only the beginning is read.

    Returns:
        What it says of ego and of causes; the words that were not understood; why it looks damaged.

    Example:
        >>> reading = read_sentence("Nudge left to pass the parked car on the right.")
        >>> reading.decisions[0].decision, reading.decisions[0].direction, reading.causes[0].side
        (<LateralDecision.NUDGE_IN_LANE: 'nudge_in_lane'>, <Side.LEFT: 'left'>, <Side.RIGHT: 'right'>)
    """
    cut = text[:MAX_CHARS]
    walk = walk_through(words_of(cut))
    decisions = decide(walk.deeds, walk.things)
    causes = tuple(thing.finished() for thing in distinct(walk.things))
    return Reading(decisions, causes, tuple(dict.fromkeys(walk.unread)), damage(text))


__all__ = ["read_sentence"]
