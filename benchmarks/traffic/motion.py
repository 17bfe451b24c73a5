"""From SUMO's positions to motion that a vehicle could drive.

SUMO moves front bumpers along lanes: corners of polylines, sideways moves in steps, and accelerations that jump.
A vehicle's path is smoothed over its length and its speed over time, separately, so that it stands where it stood.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.traffic.recording import STEP_SEC

Floats = NDArray[np.float64]
GRID_M = 0.25
MARGIN_M = 40.0
SPEED_SIGMA_SEC = 0.25
PATH_SIGMA_SEC = 0.4  # as much of the path as is driven in this time
PATH_SIGMAS_M = (1.2, 2.5, 5.0, 9.0)
CREEP_MPS = 0.12  # IDM creeps towards a standstill for seconds: that is standing
REAR_AXLE_M = 1.0  # from the rear bumper, as of common passenger cars


@dataclass(frozen=True)
class Motion:
    """Smoothed motion of one vehicle, an entry per step.

    Attributes:
        s: (N,) how far the front bumper is along the path, m.
        speed: (N,) m/s.
        grid: (M,) path length of the path's points, m.
        points: (M, 2) the path.
        length: of the vehicle, m.
    """

    s: Floats
    speed: Floats
    grid: Floats
    points: Floats
    length: float

    def at(self, behind_m: float) -> Floats:
        """Return (N, 2): the place on the path so far behind the front bumper."""
        return self.place(self.s - behind_m)

    def place(self, s: Floats) -> Floats:
        """Return the points of the path at path lengths ``s``."""
        return np.stack([np.interp(s, self.grid, self.points[:, k]) for k in (0, 1)], axis=-1)

    @cached_property
    def rear_axle(self) -> Floats:
        """(N, 2) m."""
        return self.at(self.length - REAR_AXLE_M)

    @cached_property
    def rear_yaw(self) -> Floats:
        """(N,) rad: the direction of the rear axle's path, which is the vehicle's heading."""
        s = self.s - (self.length - REAR_AXLE_M)
        step = self.place(s + GRID_M) - self.place(s - GRID_M)
        return np.unwrap(np.arctan2(step[:, 1], step[:, 0]))

    @cached_property
    def center(self) -> Floats:
        """(N, 2) m, of the box."""
        return self.at(self.length / 2)

    @cached_property
    def box_yaw(self) -> Floats:
        """(N,) rad, from the rear bumper to the front one."""
        step = self.at(0.0) - self.at(self.length)
        return np.unwrap(np.arctan2(step[:, 1], step[:, 0]))


def smooth(xy: Floats, angle_deg: Floats, length: float) -> Motion:
    """Return plausible motion from front bumper positions (N, 2) and SUMO's headings (N,) (degrees from north)."""
    step = np.hypot(*np.diff(xy, axis=0).T) if len(xy) > 1 else np.zeros(0)
    step = np.where(step < CREEP_MPS * STEP_SEC, 0.0, step)
    driven = np.concatenate([[0.0], np.cumsum(step)])
    moving = np.concatenate([[True], step > 0.0])
    s_known, points_known = driven[moving], xy[moving]
    yaw = np.deg2rad(90.0 - angle_deg)
    grid = np.arange(-MARGIN_M, driven[-1] + MARGIN_M, GRID_M)
    raw = np.stack([np.interp(grid, s_known, points_known[:, k]) for k in (0, 1)], axis=1)
    for rows, at, edge in ((grid < 0, 0.0, 0), (grid > driven[-1], driven[-1], -1)):
        direction = np.array([np.cos(yaw[edge]), np.sin(yaw[edge])])
        raw[rows] = points_known[edge] + (grid[rows] - at)[:, None] * direction
    raw_speed = np.concatenate([step, step[-1:]]) / STEP_SEC if len(step) else np.zeros(1)
    speed_there = np.interp(grid, s_known, _blur(raw_speed, 5.0)[moving])
    points = _smooth_path(raw, np.clip(PATH_SIGMA_SEC * speed_there, PATH_SIGMAS_M[0], PATH_SIGMAS_M[-1]))
    speed = _blur(raw_speed, SPEED_SIGMA_SEC / STEP_SEC)
    speed[_deep_inside(raw_speed == 0.0, 6)] = 0.0
    s = np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / 2 * STEP_SEC)])
    s *= driven[-1] / s[-1] if s[-1] > 0 else 1.0
    return Motion(s, speed, grid, points, length)


def _smooth_path(raw: Floats, sigma: Floats) -> Floats:
    """Blur a path by a sigma (m) that varies along it: between paths blurred evenly."""
    levels = np.stack(
        [np.stack([_blur(raw[:, k], sigma_m / GRID_M) for k in (0, 1)], axis=1) for sigma_m in PATH_SIGMAS_M]
    )
    between = np.interp(_blur(sigma, 20.0), PATH_SIGMAS_M, np.arange(len(PATH_SIGMAS_M)))
    low = np.minimum(between.astype(int), len(PATH_SIGMAS_M) - 2)
    share = (between - low)[:, None]
    rows = np.arange(len(raw))
    blended: Floats = levels[low, rows] * (1 - share) + levels[low + 1, rows] * share
    return blended


def _blur(values: Floats, sigma: float) -> Floats:
    """Blur by a Gaussian of ``sigma`` samples; beyond the ends values go on point-reflected."""
    reach = max(1, min(int(3.5 * sigma), len(values) - 1))
    if len(values) < 3:
        return values.astype(float)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    before = 2 * values[0] - values[reach:0:-1]
    after = 2 * values[-1] - values[-2 : -reach - 2 : -1]
    return np.convolve(np.concatenate([before, values, after]), kernel / kernel.sum(), "valid")


def _deep_inside(flags: NDArray[np.bool_], margin: int) -> NDArray[np.bool_]:
    """Say where all flags within ``margin`` are set."""
    count = np.convolve(flags.astype(int), np.ones(2 * margin + 1, int))[margin : margin + len(flags)]
    inside: NDArray[np.bool_] = count == 2 * margin + 1
    return inside


def smooth_walk(xy: Floats) -> tuple[Floats, Floats]:
    """Return a pedestrian's smoothed positions (N, 2) and headings (N,)."""
    smoothed = np.stack([_blur(xy[:, k], 3.0) for k in (0, 1)], axis=1) if len(xy) > 2 else xy
    step = np.gradient(smoothed, axis=0) if len(xy) > 1 else np.ones((1, 2))
    return smoothed, np.arctan2(step[:, 1], step[:, 0])
