"""Whether the obstacles' clock is ego's: what stands must stand, so by which shift of the clock does it stand best."""

import numpy as np

from driving_clips.ego_motion import TICK_SEC, TICK_US, EgoMotion
from driving_clips.geometry import Floats
from driving_clips.obstacles import ObstacleTracks

SHIFTS_SEC = np.round(np.arange(-1.0, 1.01, 0.1), 1)
LEAST_OFF_SEC = 0.25  # shorter ones are within what the estimate can tell
LEAST_SEC = 3.0  # of a track
BASE_TICKS = 10  # over which a place must not change
STANDS_MPS = 0.3  # what stands may seem to move by so much, for noise
LEAST_STANDING = 5  # tracks that must stand by the best shift, and twice as many as without it
MOST_TRACKS = 40


def clock_offset_sec(tracks: ObstacleTracks, ego: EgoMotion) -> float | None:
    """Return by how much the obstacles' clock seems to be late against ego's, in s; None where it seems right.

    Boxes are measured from ego and placed by ego's pose at their time. With a clock that is off, what stands moves
    whenever ego turns or changes its speed. Where ego drives straight at one speed, nothing can be told.
    """
    ticks, relative, yaw = _rig_places(tracks, ego)
    now = _standing(_wandering(ticks, relative, ego, yaw, 0.0))
    if len(relative) < max(LEAST_STANDING, 2 * now + 2):
        return None
    moved = [_wandering(ticks, relative, ego, yaw, float(shift)) for shift in SHIFTS_SEC]
    best = min(range(len(moved)), key=lambda k: (-_standing(moved[k]), float(np.sort(moved[k])[:LEAST_STANDING].sum())))
    off = abs(SHIFTS_SEC[best]) >= LEAST_OFF_SEC and _standing(moved[best]) >= max(LEAST_STANDING, 2 * now + 2)
    return float(SHIFTS_SEC[best]) if off else None


def _standing(speeds: Floats) -> int:
    return int((speeds < STANDS_MPS).sum())


def _rig_places(tracks: ObstacleTracks, ego: EgoMotion) -> tuple[list[np.ndarray], list[Floats], Floats]:
    """Return of each track its ticks and its places relative to ego there (x ahead, y left), and ego's heading."""
    yaw = np.unwrap(ego.heading)
    ticks, relative = [], []
    order = np.lexsort((tracks.t_us, tracks.track_id))
    ids = tracks.track_id[order]
    borders = np.flatnonzero(ids[1:] != ids[:-1]) + 1
    long_ones = [rows for rows in np.split(order, borders) if len(rows) and _seconds(tracks, rows) >= LEAST_SEC]
    for rows in long_ones[:: max(1, len(long_ones) // MOST_TRACKS)]:
        t_us, at = tracks.t_us[rows], tracks.center[rows, :2]
        own = np.arange(-(-t_us[0] // TICK_US), t_us[-1] // TICK_US + 1)
        own = own[(own >= ego.first_tick) & (own < ego.first_tick + len(ego))]
        if len(own) <= BASE_TICKS:
            continue
        place = np.stack([np.interp(own * TICK_US, t_us, at[:, k]) for k in (0, 1)], axis=1)
        row = own - ego.first_tick
        offset = place - ego.xyz[row, :2]
        c, s = np.cos(yaw[row]), np.sin(yaw[row])
        ticks.append(row)
        relative.append(np.stack([c * offset[:, 0] + s * offset[:, 1], -s * offset[:, 0] + c * offset[:, 1]], axis=1))
    return ticks, relative, yaw


def _seconds(tracks: ObstacleTracks, rows: np.ndarray) -> float:
    return float(tracks.t_us[rows[-1]] - tracks.t_us[rows[0]]) / 1e6


def _wandering(
    ticks: list[np.ndarray], relative: list[Floats], ego: EgoMotion, yaw: Floats, shift_sec: float
) -> Floats:
    """Return how fast each track moves in m/s, if all was measured ``shift_sec`` earlier."""
    rows = np.arange(len(ego))
    at = np.clip(rows - shift_sec / TICK_SEC, 0, len(ego) - 1)
    x, y, heading = (np.interp(at, rows, values) for values in (ego.xyz[:, 0], ego.xyz[:, 1], yaw))
    speeds = []
    for row, place in zip(ticks, relative, strict=True):
        c, s = np.cos(heading[row]), np.sin(heading[row])
        moved = np.stack(
            [x[row] + c * place[:, 0] - s * place[:, 1], y[row] + s * place[:, 0] + c * place[:, 1]], axis=1
        )
        steps = moved[BASE_TICKS:] - moved[:-BASE_TICKS]
        speeds.append(float(np.hypot(steps[:, 0], steps[:, 1]).mean()) / (BASE_TICKS * TICK_SEC))
    return np.array(speeds)
