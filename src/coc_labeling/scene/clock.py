"""Whether the obstacles' clock is ego's: what stands must stand, so by which shift of the clock does it stand best."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coc_labeling.scene.boxes import Boxes
from driving_clips.ego_motion import TICK_SEC, TICK_US, EgoMotion
from driving_clips.geometry import Floats

SHIFTS_SEC = np.round(np.arange(-1.0, 1.01, 0.1), 1)
LEAST_OFF_SEC = 0.25  # shorter ones are within what the estimate can tell
LEAST_SEC = 3.0  # of a track
BASE_TICKS = 10  # over which a place must not change
STANDS_MPS = 0.3  # what stands may seem to move by so much, for noise
LEAST_STANDING = 5  # tracks that must stand by the best shift, and twice as many as without it
MOST_TRACKS = 40


@dataclass(frozen=True)
class _Places:
    """Where tracks are relative to ego, on ticks: M places of N tracks, one track after the other.

    Attributes:
        row: (M,) of ego motion.
        relative: (M, 2) m ahead of ego and to its left.
        pair: (P,) places that have one a second later in their track: its first one.
        track: (P,) the number of the pair's track.
    """

    row: NDArray[np.intp]
    relative: Floats
    pair: NDArray[np.intp]
    track: NDArray[np.intp]


def clock_offset_sec(boxes: Boxes, ego: EgoMotion) -> float | None:
    """Return by how much the obstacles' clock seems to be late against ego's, in s; None where it seems right.

    Boxes are measured from ego and placed by ego's pose at their time. With a clock that is off, what stands moves
    whenever ego turns or changes its speed. Where ego drives straight at one speed, nothing can be told.
    """
    yaw = np.unwrap(ego.heading)
    places = _rig_places(boxes, ego, yaw)
    if places is None:
        return None
    now = _standing(_wandering(places, ego, yaw, 0.0))
    if int(places.track[-1]) + 1 < max(LEAST_STANDING, 2 * now + 2):
        return None
    moved = [_wandering(places, ego, yaw, float(shift)) for shift in SHIFTS_SEC]
    best = min(range(len(moved)), key=lambda k: (-_standing(moved[k]), float(np.sort(moved[k])[:LEAST_STANDING].sum())))
    off = abs(SHIFTS_SEC[best]) >= LEAST_OFF_SEC and _standing(moved[best]) >= max(LEAST_STANDING, 2 * now + 2)
    return float(SHIFTS_SEC[best]) if off else None


def _standing(speeds: Floats) -> int:
    return int((speeds < STANDS_MPS).sum())


def _rig_places(boxes: Boxes, ego: EgoMotion, yaw: Floats) -> _Places | None:
    """Return the places of some of the tracks that are long enough; None where there is none."""
    t_us, first, last = boxes.t_us, boxes.first, boxes.last
    long_ones = np.flatnonzero(t_us[last] - t_us[first] >= LEAST_SEC * 1e6)
    rows, places, pairs, numbers = [], [], [], []
    count = 0
    for number, n in enumerate(long_ones[:: max(1, len(long_ones) // MOST_TRACKS)]):
        own = slice(first[n], last[n] + 1)
        ticks = np.arange(-(-t_us[own][0] // TICK_US), t_us[own][-1] // TICK_US + 1)
        ticks = ticks[(ticks >= ego.first_tick) & (ticks < ego.first_tick + len(ego))]
        at = boxes.xy[own]
        rows.append(ticks - ego.first_tick)
        places.append(np.stack([np.interp(ticks * TICK_US, t_us[own], at[:, k]) for k in (0, 1)], axis=1))
        pairs.append(count + np.arange(max(len(ticks) - BASE_TICKS, 0)))
        numbers.append(np.full(len(pairs[-1]), number))
        count += len(ticks)
    if not count or not sum(map(len, pairs)):
        return None
    row = np.concatenate(rows)
    offset = np.concatenate(places) - ego.xyz[row, :2]
    c, s = np.cos(yaw[row]), np.sin(yaw[row])
    relative = np.stack([c * offset[:, 0] + s * offset[:, 1], -s * offset[:, 0] + c * offset[:, 1]], axis=1)
    return _Places(row, relative, np.concatenate(pairs), np.concatenate(numbers))


def _wandering(places: _Places, ego: EgoMotion, yaw: Floats, shift_sec: float) -> Floats:
    """Return how fast each track moves in m/s, if all was measured ``shift_sec`` earlier."""
    rows = np.arange(len(ego))
    at = np.clip(rows - shift_sec / TICK_SEC, 0, len(ego) - 1)
    x, y, heading = (np.interp(at, rows, values)[places.row] for values in (ego.xyz[:, 0], ego.xyz[:, 1], yaw))
    c, s = np.cos(heading), np.sin(heading)
    ahead, left = places.relative.T
    moved_x, moved_y = x + c * ahead - s * left, y + s * ahead + c * left
    later = places.pair + BASE_TICKS
    steps = np.hypot(moved_x[later] - moved_x[places.pair], moved_y[later] - moved_y[places.pair])
    counts = np.bincount(places.track)
    seen = counts > 0
    speeds: Floats = np.bincount(places.track, steps)[seen] / counts[seen] / (BASE_TICKS * TICK_SEC)
    return speeds
