"""Ego's moves onto the line that others drive along: lane changes and merges that the path alone does not show.

Where a ramp comes in at an angle, ego's path never comes back to the road's direction that it had before. But it ends
on the straight line of somebody who drives on the lane that ego moves to.
"""

from dataclasses import dataclass

import numpy as np

from coc_labeling.scene.side_moves import SideMove
from coc_labeling.scene.users import RoadUsers
from coc_labeling.schema import Side
from driving_clips.ego_motion import EgoMotion
from driving_clips.geometry import Floats

LEAST_MPS = 5.0  # of both; slower ones queue and wind
LOOK_BACK, LOOK_ON = 20, 90  # ticks of ego's path around the moment asked about
RANGE_M = 90.0
STRAIGHT_OVER, STRAIGHT_RAD = 15, 0.015  # who turned by less over so many ticks drives along a straight line
ALONG_RAD = 0.3  # whose course differs by more crosses
ON_LINE_M, PARALLEL_RAD = 0.9, 0.03  # ego is on somebody's line
SETTLES = 10  # ticks for which it is, for the lane to be the same
NOISE_M = 0.01  # of ego's place, from tick to tick
LANE_M = (2.4, 4.2)  # beside the line by so much, ego is in the lane next to it
RAMP_RAD, RAMP_BEFORE = 0.04, 15  # a lane that came in at such an angle, so many ticks before, is a ramp


@dataclass(frozen=True)
class Joining:
    """A move onto the lane that somebody drives along.

    Attributes:
        move: the move.
        is_merge: whether the lane that ego comes from runs towards the other one, as a ramp does.
        track_id: who showed the lane.
    """

    move: SideMove
    is_merge: bool
    track_id: str


def find_joining(ego: EgoMotion, users: RoadUsers | None, first_tick: int, tick: int) -> Joining | None:
    """Return the move of ego onto another's line around a tick, None where there is none.

    Args:
        ego: of the whole clip.
        users: in path coordinates, from ``first_tick`` on; what they do after ``tick`` is not used.
        first_tick: of the users, on the clip clock.
        tick: on the clip clock, the moment asked about.
    """
    row = tick - first_tick
    own = tick - ego.first_tick
    if users is None or not len(users) or row < STRAIGHT_OVER or ego.speed[own] < LEAST_MPS:
        return None
    yaw = users.tracks.yaw
    turned = np.abs(_wrapped(yaw[:, row] - yaw[:, row - STRAIGHT_OVER]))
    course = np.arctan2(users.tracks.velocity[:, row, 1], users.tracks.velocity[:, row, 0])
    along = np.abs(_wrapped(course - ego.heading[own])) <= ALONG_RAD
    near = np.hypot(*(users.tracks.xy[:, row] - ego.xyz[own, :2]).T) <= RANGE_M
    fits = users.is_vehicle & along & near & (turned <= STRAIGHT_RAD) & (users.speed[:, row] >= LEAST_MPS)
    rows = np.arange(max(0, own - LOOK_BACK), min(len(ego), own + LOOK_ON))
    found = []
    for n in np.flatnonzero(fits):
        joining = _onto(ego, rows, users.tracks.xy[n, row], float(course[n]), str(users.tracks.track_id[n]))
        if joining is not None and joining.move.end_tick > tick:
            found.append(joining)
    return min(found, key=lambda one: (one.move.start_tick, one.track_id), default=None)


def _wrapped(turned: Floats) -> Floats:
    return (turned + np.pi) % (2 * np.pi) - np.pi


def _onto(ego: EgoMotion, rows: np.ndarray, xy: Floats, course: float, track_id: str) -> Joining | None:
    """Return ego's move from the lane beside a line onto the line, None where it makes none."""
    offset = (ego.xyz[rows, :2] - xy) @ np.array([-np.sin(course), np.cos(course)])
    turned = _wrapped(ego.heading[rows] - course)
    on_line = (np.abs(offset) <= ON_LINE_M) & (np.abs(turned) <= PARALLEL_RAD)
    settled = np.flatnonzero(np.convolve(on_line, np.ones(SETTLES), "valid") == SETTLES)
    if not len(settled):
        return None
    end = int(settled[0])
    beside = np.flatnonzero((np.abs(offset[:end]) >= LANE_M[0]) & (np.abs(offset[:end]) <= LANE_M[1]))
    if not len(beside):
        return None
    start = _leaves(np.abs(offset[: end + 1]))
    side = Side.LEFT if offset[start] < 0.0 else Side.RIGHT
    inward = -turned * np.sign(offset[start])
    is_merge = bool(inward[max(0, start - RAMP_BEFORE)] >= RAMP_RAD)
    first = ego.first_tick + int(rows[0])
    return Joining(SideMove(side, float(abs(offset[start])), first + start, first + end), is_merge, track_id)


def _leaves(offset: Floats) -> int:
    """Return where the last stretch begins that only draws nearer, from a lane's width on."""
    start = len(offset) - 1
    while start > 0 and offset[start - 1] <= LANE_M[1] and offset[start - 1] >= offset[start] - NOISE_M:
        start -= 1
    return start
