"""Whom ego comes in behind: road users on the lane that ego's path is about to join."""

import numpy as np

from coc_labeling.scene.following import as_lead
from coc_labeling.scene.roles import Lead
from coc_labeling.scene.users import STANDING_MPS, RoadUsers
from driving_clips.ego_motion import EgoMotion

JOINS_SEC = 3.0  # who is in the path within so long, at the rate at which it and the path draw together, is joined
JOINS_MPS = 0.4  # a slower drawing together is drift within a lane
MOST_SLANT = 0.35  # of the speed across to that along the path: 20 degrees; who comes in more steeply crosses or turns
IN_PATH_M, NEXT_LANE_M = 1.2, 4.8  # centres of the same lane are nearer than the one, of two lanes than the other
JOINED_RANGE_M = 45.0


def joined_leads(users: RoadUsers | None, ego: EgoMotion, first_tick: int, tick: int) -> list[Lead]:
    """Return who drives ahead beside the path and will be in it soon: ego changes lanes, or the other one does.

    Args:
        users: in path coordinates, from ``first_tick`` on; what they do after ``tick`` is not used.
        ego: of the whole clip.
        first_tick: of the users, on the clip clock.
        tick: on the clip clock, the moment asked about.
    """
    if users is None or not len(users):
        return []
    row = tick - first_tick
    d = users.d[:, row]
    inward = -np.sign(d) * users.left[:, row]
    beside = (np.abs(d) > IN_PATH_M) & (np.abs(d) < NEXT_LANE_M) & ~users.in_corridor[:, row]
    soon = (inward >= JOINS_MPS) & (np.abs(d) - inward * JOINS_SEC < IN_PATH_M)
    ahead = (users.near[:, row] > 0.0) & (users.near[:, row] < JOINED_RANGE_M) & users.goes_along[:, row]
    drives = (users.along[:, row] > STANDING_MPS) & (inward <= MOST_SLANT * users.along[:, row])
    speed = float(ego.longitudinal_speed[tick - ego.first_tick])
    return [as_lead(users, int(n), row, speed) for n in np.flatnonzero(beside & soon & ahead & drives)]
