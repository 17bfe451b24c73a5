"""What a predicted sentence decides, in the numbers that agreement is measured in."""

from typing import NamedTuple

from coc_labeling.agreement.decided import DECISIONS, DIRECTIONS, LATERAL_WITH_DIRECTION, NONE, Channel
from coc_labeling.reading import Reading, read_sentence
from coc_labeling.schema import NO_DIRECTION, LateralDecision, LongitudinalDecision, is_empty_answer

MOST_CHARS = 2_000  # of a sentence; the parser reads no more


class Decisions(NamedTuple):
    """What is decided on each channel: numbers of ``DECISIONS`` and ``DIRECTIONS``, 0 for nothing."""

    longitudinal: int
    lateral: int
    direction: int

    @property
    def lateral_with_direction(self) -> int:
        """The number in ``LATERAL_WITH_DIRECTION``."""
        return self.lateral * len(DIRECTIONS) + self.direction

    @property
    def names(self) -> dict[str, str]:
        """What is decided in words, by channel; the lane with its direction."""
        return {
            Channel.LONGITUDINAL: str(DECISIONS[Channel.LONGITUDINAL][self.longitudinal]),
            Channel.LATERAL: str(LATERAL_WITH_DIRECTION[self.lateral_with_direction]),
        }

    @property
    def summary(self) -> str:
        """What is decided in one name; the lane where it is not kept, or where nothing else is decided."""
        speed, lane = self.names.values()
        told = [speed] if self.longitudinal else []
        if not told or self.lateral not in (0, KEEP_LANE):
            told.append(lane)
        return " and ".join(told)


NOTHING = Decisions(0, 0, 0)
KEEP_LANE = DECISIONS[Channel.LATERAL].index(LateralDecision.KEEP_LANE)


def read(sentence: str) -> Reading:
    """Read a predicted sentence: an empty answer ("null") reads as nothing."""
    return Reading() if is_empty_answer(sentence) else read_sentence(sentence[:MOST_CHARS])


def decided_by_sentence(reading: Reading) -> Decisions:
    """Return the first decision of each channel; nothing of a sentence that is damaged or cannot be read.

    A sentence that says nothing of the lane keeps it. One that says a motion without a decision ("slow down", and not
    what for) decides nothing on speed.
    """
    if reading.garbled or not (reading.decisions or reading.causes):
        return NOTHING
    said = [one for one in reading.decisions if not one.negated]
    speed = next((one.decision for one in said if isinstance(one.decision, LongitudinalDecision)), None)
    lane = next((one for one in said if isinstance(one.decision, LateralDecision)), None)
    on_speed = DECISIONS[Channel.LONGITUDINAL].index(str(speed or NONE))
    if lane is None or lane.decision in NO_DIRECTION:  # "follow the right curve" keeps the lane
        return Decisions(on_speed, KEEP_LANE, 0)
    side = DIRECTIONS.index(str(lane.direction or NONE))
    return Decisions(on_speed, DECISIONS[Channel.LATERAL].index(str(lane.decision)), side)
