"""How comfortable a trajectory is: acceleration along and across it, and jerk along it.

Speed is taken between poses along the heading, acceleration and jerk from a quadratic fitted to 11 speeds around each
(A. Savitzky and M. Golay, Analytical Chemistry 36, 1964), so that rounding of positions and single steps do not count.

Limits are those of nuPlan's planning benchmark (H. Caesar et al., arXiv 2106.11810; metric "ego is comfortable"), which
were found from what people drive: -4.05 to 2.40 m/s^2 along, 4.89 m/s^2 across, 4.13 m/s^3 of jerk along.
"""

from dataclasses import dataclass

import numpy as np

from driving_clips.ego_motion import TICK_SEC
from driving_clips.geometry import Floats

MOST_BRAKING_MPS2, MOST_SPEEDING_UP_MPS2 = 4.05, 2.40
MOST_LATERAL_MPS2 = 4.89
MOST_JERK_MPS3 = 4.13
WINDOW = 11  # speeds, 1.1 s


@dataclass(frozen=True)
class Dynamics:
    """What a passenger feels, of S trajectories of T steps.

    Attributes:
        along_mps2: (S, T) acceleration along the heading, braking negative.
        across_mps2: (S, T) to the left.
        jerk_mps3: (S, T) change of the former.
    """

    along_mps2: Floats
    across_mps2: Floats
    jerk_mps3: Floats


def dynamics(xy: Floats, yaw: Floats) -> Dynamics:
    """Return the dynamics of trajectories, (S, T, 2) m and (S, T) rad, that go on from the origin with heading 0."""
    xy = np.concatenate([np.zeros((len(xy), 1, 2)), xy], axis=1)
    yaw = np.unwrap(np.concatenate([np.zeros((len(yaw), 1)), yaw], axis=1), axis=1)
    middle = (yaw[:, 1:] + yaw[:, :-1]) / 2
    step = np.diff(xy, axis=1)
    speed = (step[..., 0] * np.cos(middle) + step[..., 1] * np.sin(middle)) / TICK_SEC
    smooth, along, jerk = _fitted(speed)
    turning, _, _ = _fitted(np.diff(yaw, axis=1) / TICK_SEC)
    return Dynamics(along, smooth * turning, jerk)


def _fitted(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Return values (S, T) of a quadratic fitted around each of them, and its first and second derivative in time."""
    size = min(WINDOW, values.shape[1])
    offset = np.arange(size) - (size - 1) / 2
    fit = np.linalg.pinv(np.stack([np.ones(size), offset, offset**2], axis=1))
    windows = np.lib.stride_tricks.sliding_window_view(values, size, axis=1) @ fit.T
    place = np.arange(values.shape[1])
    nearest = np.clip(place - (size - 1) // 2, 0, windows.shape[1] - 1)
    at = place - nearest - (size - 1) / 2
    level, slope, bend = np.moveaxis(windows[:, nearest], -1, 0)
    return level + slope * at + bend * at**2, (slope + 2 * bend * at) / TICK_SEC, 2 * bend / TICK_SEC**2


def comfort_measures(xy: Floats, yaw: Floats) -> dict[str, float]:
    """Return means over S samples of the largest values, and the share of samples beyond each limit and beyond any."""
    felt = dynamics(xy, yaw)
    beyond = {
        "accel": ((felt.along_mps2 < -MOST_BRAKING_MPS2) | (felt.along_mps2 > MOST_SPEEDING_UP_MPS2)).any(axis=1),
        "lateral": (np.abs(felt.across_mps2) > MOST_LATERAL_MPS2).any(axis=1),
        "jerk": (np.abs(felt.jerk_mps3) > MOST_JERK_MPS3).any(axis=1),
    }
    largest = {
        "max_accel": np.abs(felt.along_mps2).max(axis=1),
        "max_lateral": np.abs(felt.across_mps2).max(axis=1),
        "max_jerk": np.abs(felt.jerk_mps3).max(axis=1),
    }
    found = {name: float(values.mean()) for name, values in largest.items()}
    found |= {f"beyond_{name}": float(one.mean()) for name, one in beyond.items()}
    found["uncomfortable"] = float(np.logical_or.reduce(list(beyond.values())).mean())
    return found
