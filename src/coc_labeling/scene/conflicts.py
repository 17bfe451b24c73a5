"""Who is on a course across the path that ego drives: where the two meet, when the other is there, and when ego is.

Others are thought to go straight on at the speed that they had at the moment asked about; of ego it is known what it
does later. So it can be told who went first, without a box from later.
"""

from dataclasses import dataclass

import numpy as np

from coc_labeling.scene.finding_roles import TOWARDS_RAD, WALKER_CROSSES_MPS
from coc_labeling.scene.roles import Kind, Role
from coc_labeling.scene.tracks import EGO_HALF_WIDTH_M
from coc_labeling.scene.users import RoadUsers
from coc_labeling.schema import Side
from driving_clips.ego_motion import TICK_SEC, TICK_US, EgoMotion
from driving_clips.geometry import Floats

VEHICLE_CREEPS_MPS = 0.8  # slower ones stand, as far as tracks tell
LOOKS_AHEAD_SEC, LOOK_STEP_SEC = 8.0, 0.2  # straight on is a fair guess of a road user's course for no longer
MARGIN_M = 0.7  # one keeps clear of others' sides by about so much
LEAST_ANGLE_RAD = 0.5  # who comes into the path at less than 30 degrees drives along it
PLACE_STEP_M = 0.5
EXTENDED_M = 30.0  # beyond the path's driven end; a junction's far side is not further
RANGE_M = 90.0
BEFORE_M = 10.0  # who joins a path that turns is judged by the path's course so long before the place
WALKS_AHEAD_M, WALKS_ASIDE_M, WALKS_TOWARDS_MPS = (2.0, 15.0), 7.0, 0.2
TURN_OVER_SEC, TURNS_RPS, TURNS_MPS = 0.5, 0.06, 2.0  # how the turning of others is measured; less is noise
SPEED_LAG_SEC = 0.5  # a velocity over the last second is the one of half a second ago
QUARTER_RAD = np.pi / 2  # nobody is thought to turn further


@dataclass(frozen=True)
class Conflict:
    """One road user on a course across ego's path.

    Attributes:
        role: it as one that crosses, or that comes from ahead to do so; its distances are to where the two meet.
        arrives_sec, leaves_sec: when it is in ego's way there, from now on, going straight on as it does.
        ego_arrives_sec: when ego is there; infinite where ego does not get there within the clip.
    """

    role: Role
    arrives_sec: float
    leaves_sec: float
    ego_arrives_sec: float

    @property
    def goes_first(self) -> bool:
        """Whether it is there before ego is."""
        return self.arrives_sec < self.ego_arrives_sec


def find_conflicts(ego: EgoMotion, users: RoadUsers | None, first_tick: int, tick: int) -> tuple[Conflict, ...]:
    """Return who is on a course across ego's path at a tick, the one whom ego meets first first.

    Args:
        ego: of the whole clip.
        users: in path coordinates, from ``first_tick`` on; of them only what they do at ``tick`` is used.
        first_tick: of the users, on the clip clock.
        tick: on the clip clock, the moment asked about.
    """
    if users is None or not len(users):
        return ()
    path = _Ahead.of(ego, tick - ego.first_tick)
    row = tick - first_tick
    least = np.where(users.is_walker, WALKER_CROSSES_MPS, VEHICLE_CREEPS_MPS)
    gap = np.hypot(*(users.tracks.xy[:, row] - path.points[0]).T)
    kinds = users.is_vehicle | users.is_rider | users.is_walker
    found = []
    for n in np.flatnonzero(kinds & (users.speed[:, row] >= least) & (gap <= RANGE_M)):
        conflict = _conflict(path, users, int(n), row, first_tick)
        if conflict is not None:
            found.append(conflict)
    return tuple(sorted(found, key=lambda one: (one.role.nearest_m, one.arrives_sec, one.role.track_id)))


def walker_beside(users: RoadUsers | None, first_tick: int, tick: int, ahead_m: float) -> Role | None:
    """Return the nearest pedestrian who walks beside the path and towards it; None where there is none.

    Args:
        users: in path coordinates, from ``first_tick`` on; of them only what they do at ``tick`` is used.
        first_tick: of the users, on the clip clock.
        tick: on the clip clock, the moment asked about.
        ahead_m: how far ahead along the path ego comes; whoever is a little further counts as well.
    """
    if users is None or not len(users):
        return None
    row = tick - first_tick
    d, near = users.d[:, row], users.near[:, row]
    ahead = (near > WALKS_AHEAD_M[0]) & (near < ahead_m + WALKS_AHEAD_M[1]) & (np.abs(d) < WALKS_ASIDE_M)
    towards = (-np.sign(d) * users.left[:, row] > WALKS_TOWARDS_MPS) & (users.speed[:, row] > WALKER_CROSSES_MPS)
    there = users.is_walker & ahead & towards
    if not there.any():
        return None
    n = int(np.argmin(np.where(there, near, np.inf)))
    return Role(
        Kind.CROSSING,
        str(users.tracks.track_id[n]),
        str(users.tracks.label_class[n]),
        tick,
        tick + 1,
        Side.LEFT if d[n] > 0.0 else Side.RIGHT,
        float(near[n]),
        float(near[n]),
        float(users.clearance[n, row]),
        float(users.speed[n, row]),
        int(-(-users.tracks.first_us[n] // TICK_US)),
    )


@dataclass(frozen=True)
class _Ahead:
    """The path that ego drives from a moment on: P points, with how far and how long it is to each."""

    points: Floats
    heading: Floats
    way: Floats
    seconds: Floats

    @classmethod
    def of(cls, ego: EgoMotion, row: int) -> "_Ahead":
        """Return ego's way from a row on, as it is driven and then straight on."""
        xy, heading = ego.xyz[row:, :2], np.unwrap(ego.heading[row:])
        way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
        kept = np.flatnonzero(np.diff(way, prepend=-1.0) > 1e-6)
        seconds, beyond = kept * TICK_SEC, np.arange(PLACE_STEP_M, EXTENDED_M, PLACE_STEP_M)
        at = np.arange(0.0, way[-1] + 1e-9, PLACE_STEP_M)
        x, y, course, when = (np.interp(at, way[kept], v) for v in (*xy[kept].T, heading[kept], seconds))
        onward = np.array([np.cos(course[-1]), np.sin(course[-1])])
        return cls(
            np.concatenate([np.stack([x, y], axis=1), [x[-1], y[-1]] + beyond[:, None] * onward]),
            np.concatenate([course, np.full(len(beyond), course[-1])]),
            np.concatenate([at, at[-1] + beyond]),
            np.concatenate([when, np.full(len(beyond), np.inf)]),
        )


def _conflict(path: _Ahead, users: RoadUsers, n: int, row: int, first_tick: int) -> Conflict | None:
    """Return where and when a road user's course meets the path, None where it does not."""
    course, speed = _course(users, n, row), float(users.speed[n, row])
    half_length, half_width = (float(np.nan_to_num(users.tracks.size[n, row, k])) / 2 for k in (0, 1))
    gaps = np.hypot(*np.moveaxis(course[:, None, :2] - path.points, -1, 0))  # (T, P)
    in_way = gaps.min(axis=1) <= EGO_HALF_WIDTH_M + half_width + MARGIN_M
    if not in_way.any():
        return None
    first = int(np.argmax(in_way))
    place = int(np.argmin(gaps[first]))
    before = max(place - round(BEFORE_M / PLACE_STEP_M), 0)
    here, there, now = (_angle(course[first, 2] - path.heading[k]) for k in (place, before, 0))
    if place == 0 or abs(here) < LEAST_ANGLE_RAD * (first == 0):
        return None  # beside ego or behind it, or in the path ahead, along it
    if max(abs(here), abs(there)) < LEAST_ANGLE_RAD or min(abs(here), abs(there)) > np.pi - LEAST_ANGLE_RAD:
        return None  # comes into the path along it, or against it beside ego
    until = first + int(np.argmin(np.append(in_way[first:], False)))
    role = Role(
        Kind.ONCOMING if abs(now) >= TOWARDS_RAD else Kind.CROSSING,
        str(users.tracks.track_id[n]),
        str(users.tracks.label_class[n]),
        first_tick + row,
        first_tick + row + 1,
        Side.LEFT if np.sin(there) < 0.0 else Side.RIGHT,
        float(path.way[place]),
        float(path.way[place]),
        float(gaps.min()),
        speed,
        int(-(-users.tracks.first_us[n] // TICK_US)),
    )
    arrives, leaves = first * LOOK_STEP_SEC - half_length / speed, until * LOOK_STEP_SEC + half_length / speed
    return Conflict(role, max(0.0, arrives), leaves, float(path.seconds[place]))


def _angle(turned: float) -> float:
    """Return an angle within half a turn either way."""
    return float((turned + np.pi) % (2 * np.pi) - np.pi)


def _course(users: RoadUsers, n: int, row: int) -> Floats:
    """Return where a road user will be and which way it heads (T, 3), turning on as it does now for a quarter turn."""
    velocity = users.tracks.velocity[n, row]
    times = np.arange(0.0, LOOKS_AHEAD_SEC, LOOK_STEP_SEC)
    rate, back = 0.0, round(TURN_OVER_SEC / TICK_SEC)
    if row >= back and users.speed[n, row] >= TURNS_MPS:
        turned = _angle(float(users.tracks.yaw[n, row] - users.tracks.yaw[n, row - back])) / TURN_OVER_SEC
        rate = turned if abs(turned) >= TURNS_RPS else 0.0  # NaN compares as no turn
    start = np.arctan2(velocity[1], velocity[0]) + rate * SPEED_LAG_SEC
    heading = start + np.clip(rate * times, -QUARTER_RAD, QUARTER_RAD)
    steps = users.speed[n, row] * LOOK_STEP_SEC * np.stack([np.cos(heading), np.sin(heading)], axis=1)
    xy = users.tracks.xy[n, row] + np.concatenate([np.zeros((1, 2)), np.cumsum(steps[:-1], axis=0)])
    return np.concatenate([xy, heading[:, None]], axis=1)
