"""The signals that meta-actions are read from, for many clips of one length at a time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DT_SEC = 0.1
SMOOTHING_TICKS = 5
STANDING_M = 1e-6  # a step so short has no turn rate


@dataclass(frozen=True)
class Signals:
    """Signals of B clips of T ticks each.

    Attributes:
        speed: (B, T) m/s, never negative.
        speed_along: (B, T) m/s along the heading, negative when driving backwards.
        accel_smooth: (B, T) m/s^2, change of ``speed``, centred mean of 5.
        step: (B, T-1) m, distance between tick i and i+1.
        heading_step: (B, T-1) rad, centred mean of 5, left positive.
        turn_rate: (B, T-1) rad/m.
    """

    speed: Floats
    speed_along: Floats
    accel_smooth: Floats
    step: Floats
    heading_step: Floats
    turn_rate: Floats


def compute_signals(x: Floats, y: Floats, heading: Floats, vx: Floats, vy: Floats) -> Signals:
    """Compute the signals of B clips from position, heading and velocity (B, T) in one fixed frame a clip.

    Units m, rad, m/s; T is at least 6. The order of operations is part of the format: labels must be the
    same to the byte wherever they are made.
    """
    speed = np.hypot(vx, vy)
    speed_along = vx * np.cos(heading) + vy * np.sin(heading)
    accel = np.empty_like(speed)
    accel[:, 1:] = (speed[:, 1:] - speed[:, :-1]) / DT_SEC
    accel[:, 0] = accel[:, 1]
    step = np.hypot(x[:, 1:] - x[:, :-1], y[:, 1:] - y[:, :-1])
    wrapped = (heading[:, 1:] - heading[:, :-1] + np.pi) % (2 * np.pi) - np.pi
    heading_step = _mean_reflected(wrapped)
    moving = step > STANDING_M
    turn_rate = np.where(moving, heading_step / np.where(moving, step, 1.0), 0.0)
    return Signals(speed, speed_along, _mean_shrinking(accel), step, heading_step, turn_rate)


def _mean_shrinking(values: Floats) -> Floats:
    """Centred mean of 5 along rows; at the edges of fewer values."""
    reach = SMOOTHING_TICKS // 2
    ticks = values.shape[1]
    padded = np.pad(values, ((0, 0), (reach, reach)))
    total = padded[:, :ticks].copy()
    for shift in range(1, SMOOTHING_TICKS):
        total += padded[:, shift : shift + ticks]
    index = np.arange(ticks)
    count = np.minimum(index, reach) + np.minimum(ticks - 1 - index, reach) + 1
    mean: Floats = total / count
    return mean


def _mean_reflected(values: Floats) -> Floats:
    """Centred mean of 5 along rows; beyond the edges the values are mirrored, the edge itself not repeated."""
    reach = SMOOTHING_TICKS // 2
    ticks = values.shape[1]
    padded = np.pad(values, ((0, 0), (reach, reach)), mode="reflect") * (1.0 / SMOOTHING_TICKS)
    total = padded[:, :ticks].copy()
    for shift in range(1, SMOOTHING_TICKS):
        total += padded[:, shift : shift + ticks]
    return total
