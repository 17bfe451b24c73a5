"""What is kept of a scenario that was run."""

from dataclasses import dataclass, field

STEP_SEC = 0.1
LOOK_M = 120.0


@dataclass
class Reason:
    """What the simulator knows about one vehicle at one step.

    Attributes:
        leader: the vehicle ahead that its following model heeds, None where none is within ``LOOK_M``.
        leader_gap_m, leader_mps: to its rear bumper (the conflict point where it crosses), and its speed.
        free_mps2: the acceleration its own model would choose on an empty road.
        follow_mps2: the acceleration its model allows behind the leader.
        link_state: of the next junction: r, y, u red or yellow; G, g green with and without right of way; M, m major
            and minor; s, w stop sign and all-way stop; empty where there is no junction ahead.
        link_direction: s, l, r, t (around) as netconvert classes it.
        link_open: whether ego may enter it now.
        link_m: how far the stop line is.
        link_mps2: the acceleration its model allows when it must stop there.
        link_lane: the lane within the junction.
        limit_mps, limit_m, limit_lane: the lower speed limit ahead that needs most braking, and how far it is.
        limit_mps2: that braking.
        left, right: SUMO's state of the wish to change lane (bits LCA_*).
        beside, beside_mps2: the vehicle ahead on a lane beside that would hold ego back most, and how much.
        foes: vehicles at the next junction or on it, that have the right of way before this one.
    """

    leader: str | None = None
    leader_gap_m: float = 0.0
    leader_mps: float = 0.0
    free_mps2: float = 0.0
    follow_mps2: float = 99.0
    link_state: str = ""
    link_direction: str = ""
    link_open: bool = True
    link_m: float = 999.0
    link_mps2: float = 99.0
    link_lane: str = ""
    limit_mps: float = 999.0
    limit_m: float = 999.0
    limit_mps2: float = 99.0
    limit_lane: str = ""
    left: int = 0
    right: int = 0
    foes: tuple[str, ...] = ()
    beside: str | None = None
    beside_mps2: float = 99.0


@dataclass
class Driven:
    """One vehicle, or person, over its life: a list entry per step."""

    kind: str
    length: float
    width: float
    height: float
    first_step: int
    xy: list[tuple[float, float]] = field(default_factory=list)
    angle: list[float] = field(default_factory=list)
    speed: list[float] = field(default_factory=list)
    lane: list[str] = field(default_factory=list)
    lane_pos: list[float] = field(default_factory=list)
    lateral: list[float] = field(default_factory=list)
    reason: list[Reason | None] = field(default_factory=list)


@dataclass
class Recording:
    """A scenario that was run: who drove and walked, and the lanes they did it on.

    Attributes:
        lanes: per lane its speed limit, width, length, and the way to go of the lane (s, l, r for junction lanes).
        scripted: ids of vehicles that were told what to do: their reasons are not their own, by first step.
    """

    name: str
    seed: int
    driven: dict[str, Driven]
    parked: frozenset[str]
    lanes: dict[str, tuple[float, float, float, str]]
    scripted: dict[str, int]
