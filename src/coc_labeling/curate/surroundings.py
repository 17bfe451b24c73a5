"""Where the road users of a clip are to ego: distances of their boxes, each at its own instant."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coc_labeling.curate.rules import VULNERABLE, Thresholds
from driving_clips.ego_motion import TICK_SEC, TICK_US, EgoMotion
from driving_clips.geometry import Floats
from driving_clips.obstacles import ObstacleTracks


@dataclass(frozen=True)
class Surroundings:
    """The boxes of a clip in time order, seen from ego: (N,) arrays.

    Attributes:
        t_us: int64, microseconds on the clip clock.
        track: number of the box's track.
        distance: m from ego's reference point to the box's centre.
        meets_ego: whether it is a vulnerable road user where ego drives shortly after.
        all_around: whether the sensor sees others on all sides: radar, which sees no orientation, looks ahead only.
    """

    t_us: NDArray[np.int64]
    track: NDArray[np.intp]
    distance: Floats
    meets_ego: NDArray[np.bool_]
    all_around: bool

    def near(self, start_us: int, end_us: int, within_m: float) -> int:
        """Return how many tracks come within a distance in [start, end]."""
        rows = self._between(start_us, end_us)
        return len(np.unique(self.track[rows][self.distance[rows] <= within_m]))

    def meet_ego(self, start_us: int, end_us: int) -> bool:
        """Say whether ego's path meets a vulnerable road user in [start, end]."""
        return bool(self.meets_ego[self._between(start_us, end_us)].any())

    def measured_at(self, t_us: int, reach_sec: float) -> bool:
        """Say whether others were measured at a time: a box lies close to it, or boxes lie before and after it."""
        reach = round(reach_sec * 1e6)
        rows = self._between(t_us - reach, t_us + reach)
        around = len(self.t_us) > 0 and self.t_us[0] <= t_us <= self.t_us[-1]
        return bool(rows.stop > rows.start or around)

    def watched(self, start_us: int, end_us: int, reach_sec: float) -> bool:
        """Say whether others were measured all through [start, end]: no moment of it is far from every box."""
        rows = self._between(start_us, end_us)
        times = np.concatenate([[start_us], self.t_us[rows], [end_us]])
        return rows.stop > rows.start and bool(np.diff(times).max() <= 2 * reach_sec * 1e6)

    def _between(self, start_us: int, end_us: int) -> slice:
        return slice(
            int(np.searchsorted(self.t_us, start_us, side="left")), int(np.searchsorted(self.t_us, end_us, "right"))
        )


def surroundings(ego: EgoMotion, tracks: ObstacleTracks, limits: Thresholds) -> Surroundings:
    """Return the boxes measured while ego motion is known, seen from ego."""
    ticks_us = (ego.first_tick + np.arange(len(ego), dtype=np.int64)) * TICK_US
    known = (tracks.t_us >= ticks_us[0]) & (tracks.t_us <= ticks_us[-1]) & np.isfinite(tracks.center[:, :2]).all(axis=1)
    rows = np.flatnonzero(known)
    rows = rows[np.argsort(tracks.t_us[rows], kind="stable")]
    t_us, xy = tracks.t_us[rows], tracks.center[rows, :2]
    own = np.stack([np.interp(t_us, ticks_us, ego.xyz[:, k]) for k in (0, 1)], axis=1)
    _, number = np.unique(tracks.track_id[rows], return_inverse=True)
    distance = np.hypot(*(xy - own).T)
    meets = np.isin(tracks.label_class[rows], sorted(VULNERABLE)) & (distance <= limits.near_m)
    meets[meets] = _on_path(ego, t_us[meets], xy[meets], limits)
    return Surroundings(t_us, number.astype(np.intp), distance, meets, bool(np.isfinite(tracks.yaw).any()))


def _on_path(ego: EgoMotion, t_us: NDArray[np.int64], xy: Floats, limits: Thresholds) -> NDArray[np.bool_]:
    """Say of boxes whether ego, where it moves, comes by them soon after."""
    first = t_us // TICK_US - ego.first_tick
    ahead = np.arange(1, round(limits.path_sec / TICK_SEC) + 1)
    at = np.minimum(first[:, None] + ahead, len(ego) - 1)
    moving = ego.speed[at] > limits.standing_mps
    close = np.hypot(*np.moveaxis(ego.xyz[at, :2] - xy[:, None], -1, 0)) <= limits.path_m
    met: NDArray[np.bool_] = (moving & close).any(axis=1)
    return met
