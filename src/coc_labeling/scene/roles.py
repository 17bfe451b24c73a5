"""What road users are to ego: roles, each with when, where and the numbers that make it one."""

from dataclasses import dataclass
from enum import StrEnum

from coc_labeling.schema import Side


class Kind(StrEnum):
    """How a road user or object stands to ego's driven path."""

    LEAD = "lead"  # the nearest one ahead in the path that moves along it or stands in it
    CUT_IN = "cut_in"  # comes into the path from beside it, ahead of ego
    CUT_OUT = "cut_out"  # was the lead and leaves the path to a side
    CROSSING = "crossing"  # moves across the path ahead
    ENTERING = "entering"  # a pedestrian or rider comes into the path and stays in it
    ONCOMING = "oncoming"  # comes towards ego near the path
    ADJACENT = "adjacent"  # moves along beside the path, within a lane or so
    BESIDE = "standing_beside"  # stands beside the path, near it
    IN_PATH = "standing_in_path"  # stands in the path ahead; a lead that stands is one as well
    QUEUE = "queue"  # two or more vehicles ahead in the path that stand or creep


@dataclass(frozen=True)
class Role:
    """One road user's role over a stretch of time.

    Attributes:
        kind: what it is.
        track_id: whose; of a queue its nearest vehicle.
        label_class: as in the tracks.
        start_tick, end_tick: on the clip clock, ticks of 0.1 s, half-open.
        side: where it comes from (cut-in, crossing, entering), where it leaves to (cut-out), else where it is; None
            where it is right ahead.
        distance_m: to its near end along the path at the start, from ego's reference point.
        nearest_m: the least of that distance over the stretch.
        clearance_m: the least free space between ego's swath and its box across the path; negative where it reaches in.
        speed_mps: its own mean speed over the stretch.
        first_seen_tick: when its track begins.
    """

    kind: Kind
    track_id: str
    label_class: str
    start_tick: int
    end_tick: int
    side: Side | None
    distance_m: float
    nearest_m: float
    clearance_m: float
    speed_mps: float
    first_seen_tick: int


@dataclass(frozen=True)
class Lead:
    """The nearest road user in ego's driven path at one tick.

    Attributes:
        track_id: its track.
        label_class: as in the tracks.
        distance_m: to its near end where its size is known, else to its measured point; from ego's reference point.
        speed_mps: its own speed along ego's path, over the last second.
        closing_mps: how much faster ego is.
        acceleration_mps2: how its own speed changed over the last second; negative where it brakes.
        time_gap_sec: distance over ego's speed; infinite where ego stands.
    """

    track_id: str
    label_class: str
    distance_m: float
    speed_mps: float
    closing_mps: float
    acceleration_mps2: float
    time_gap_sec: float

    @property
    def is_stopped(self) -> bool:
        """Whether it stands."""
        return abs(self.speed_mps) < STOPPED_MPS

    @property
    def is_braking(self) -> bool:
        """Whether it slows down notably."""
        return self.acceleration_mps2 < BRAKING_MPS2


STOPPED_MPS = 0.6
BRAKING_MPS2 = -0.5
