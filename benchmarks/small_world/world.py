"""The built world: a straight road with two lanes, and one of four causes ahead of ego.

Frames: ego's at t0, x forward and y left, in m. Everything that the history tells, speed and where ego drives, is drawn
alike whatever the cause, so that only the pictures tell what happens next.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

LANE_M = 3.5
SPEED_MPS = (6.0, 14.0)
DRIFT_MPS2 = 0.3  # what the speed changes by before t0, at most
ROADSIDE_M = 6.5  # from the middle of the lane to what stands beside the road
SPEED_LIMIT_MPS = 16.0
STOP_SHORT_M = 2.0  # of the stop line
COMFORTABLE_MPS2 = (1.4, 4.0)  # a red light is shown where ego can stop like this

Box = tuple[float, float]


class Cause(StrEnum):
    """What decides ego's future."""

    LEAD_BRAKES = "lead_brakes"
    RED_LIGHT = "red_light"
    CLEAR_ROAD = "clear_road"
    BLOCKED_LANE = "blocked_lane"


class Obstacle(StrEnum):
    """What blocks a lane."""

    CONES = "cones"
    TRUCK = "truck"


@dataclass(frozen=True)
class Car:
    """A car that drives as fast as ego did.

    Attributes:
        ahead_m: of its rear, at t0.
        lane: 0 for ego's, 1 for the one to the left, -1 for the one to the right.
        brakes: whether its brake lights are lit.
        colour: RGB.
    """

    ahead_m: float
    lane: int
    brakes: bool
    colour: tuple[int, int, int]


@dataclass(frozen=True)
class Light:
    """A traffic light at the right of the road, with its stop line.

    Attributes:
        ahead_m: of the stop line, at t0.
        red: whether it turns from yellow to red just before t0; else it is green.
    """

    ahead_m: float
    red: bool


@dataclass(frozen=True)
class Standing:
    """Something that stands, in ego's lane or beside the road.

    Attributes:
        kind: what.
        ahead_m: of its near end, at t0.
        aside_m: its middle, left positive.
    """

    kind: Obstacle
    ahead_m: float
    aside_m: float


@dataclass(frozen=True)
class Scenery:
    """What decides nothing: the time of day and what stands far from the road."""

    sky: tuple[int, int, int]
    ground: tuple[int, int, int]
    brightness: float
    trees: tuple[tuple[float, float, float], ...]  # ahead, aside, height in m
    seed: int  # of the grain of the pictures


@dataclass(frozen=True)
class Moment:
    """One moment of the world, all that drawing and driving need.

    Attributes:
        name: the clip's id.
        cause: of what ego does next.
        other_lane: 1 where the second lane is to the left of ego's, -1 where it is to the right.
        speed_mps: ego's at t0.
        drift_mps2: how it changed before.
        cars, lights, standing, scenery: what there is to see.
    """

    name: str
    cause: Cause
    other_lane: int
    speed_mps: float
    drift_mps2: float
    cars: tuple[Car, ...]
    lights: tuple[Light, ...]
    standing: tuple[Standing, ...]
    scenery: Scenery

    @property
    def lead(self) -> Car:
        """The car that brakes ahead."""
        return next(car for car in self.cars if car.lane == 0)

    @property
    def obstacle(self) -> Standing:
        """What blocks ego's lane."""
        return next(one for one in self.standing if one.aside_m == 0.0)


def moments(count: int, seed: int, prefix: str) -> Iterator[Moment]:
    """Yield ``count`` moments, the causes by turns; those of another seed have nothing in common with them."""
    causes = list(Cause)
    for number in range(count):
        random = np.random.default_rng([seed, number])
        yield _moment(f"{prefix}-{seed}-{number:05d}", causes[number % len(causes)], random)


def _moment(name: str, cause: Cause, random: np.random.Generator) -> Moment:
    speed, drift = float(random.uniform(*SPEED_MPS)), float(random.uniform(-DRIFT_MPS2, DRIFT_MPS2))
    other = int(random.choice([-1, 1]))
    return Moment(
        name,
        cause,
        other,
        speed,
        drift,
        tuple(_cars(cause, other, random)),
        tuple(_lights(cause, speed, random)),
        tuple(_standing(cause, other, speed, random)),
        _scenery(other, random),
    )


def _cars(cause: Cause, other: int, random: np.random.Generator) -> Iterator[Car]:
    """The braking lead, where it is the cause; and often a car in the other lane, which brakes or not."""
    if cause is Cause.LEAD_BRAKES:
        yield Car(float(random.uniform(8.0, 26.0)), 0, True, _paint(random))
    if random.random() < 0.6:
        nearest = 26.0 if cause is Cause.BLOCKED_LANE else 10.0  # room to change lanes
        yield Car(float(random.uniform(nearest, 40.0)), other, bool(random.random() < 0.5), _paint(random))


def _lights(cause: Cause, speed: float, random: np.random.Generator) -> Iterator[Light]:
    if cause is Cause.RED_LIGHT:
        gentle, hard = COMFORTABLE_MPS2
        nearest, furthest = (STOP_SHORT_M + speed**2 / (2 * braking) for braking in (hard, gentle))
        yield Light(float(random.uniform(max(nearest, 12.0), min(max(furthest, 16.0), 40.0))), red=True)
    elif random.random() < 0.5:
        yield Light(float(random.uniform(14.0, 40.0)), red=False)


def _standing(cause: Cause, other: int, speed: float, random: np.random.Generator) -> Iterator[Standing]:
    """What blocks the lane, where it is the cause; and often the like beside the road."""
    kind = random.choice(list(Obstacle))
    if cause is Cause.BLOCKED_LANE:
        yield Standing(Obstacle(kind), float(random.uniform(1.6 * speed + 4.0, 3.4 * speed + 4.0)), 0.0)
    if random.random() < 0.4:
        aside = -other * ROADSIDE_M  # on ego's side of the road
        yield Standing(Obstacle(random.choice(list(Obstacle))), float(random.uniform(12.0, 40.0)), aside)


def _scenery(other: int, random: np.random.Generator) -> Scenery:
    count = int(random.integers(1, 5))
    aside = random.choice([-1, 1], count) * random.uniform(9.0, 22.0, count)
    trees = zip(random.uniform(12.0, 60.0, count), aside, random.uniform(3.0, 8.0, count), strict=True)
    shade = float(random.uniform(0.0, 1.0))
    sky = (int(150 + 30 * shade), int(180 + 30 * shade), int(210 + 30 * shade))
    ground = tuple(int(part) for part in np.array([92, 116, 76]) + random.integers(-10, 10, 3))
    return Scenery(
        sky,
        (ground[0], ground[1], ground[2]),
        float(random.uniform(0.85, 1.05)),
        tuple((float(x), float(y), float(h)) for x, y, h in trees),
        int(random.integers(2**31)),
    )


def _paint(random: np.random.Generator) -> tuple[int, int, int]:
    paints = [(205, 205, 210), (60, 66, 74), (52, 88, 148), (130, 134, 140), (120, 44, 40), (44, 92, 72)]
    red, green, blue = paints[int(random.integers(len(paints)))]
    return red, green, blue
