"""How ego drives: before t0 alike for all causes, after it as the cause and what is visible of it demand."""

from dataclasses import dataclass

import numpy as np

from benchmarks.small_world.world import LANE_M, SPEED_LIMIT_MPS, STOP_SHORT_M, Cause, Moment
from driving_clips.geometry import Floats

STEP_SEC = 0.01  # of the integration
LEAD_RAMP_SEC = 0.4  # until braking is complete
LEAD_BRAKING_MPS2 = (4.0, 1.5)  # for a lead at the nearest and at the furthest
LEAD_AHEAD_M = (8.0, 26.0)
LEAD_LEFT = 0.25  # of the speed, when the lead has stopped braking
TOWARDS_LIMIT_SEC = 5.0
CHANGE_SEC = 2.8  # of a lane change
CHANGE_BEFORE_M = 3.0  # ahead of the obstacle, most of the change is done


@dataclass(frozen=True)
class Driven:
    """Ego's motion in its frame at t0.

    Attributes:
        t_sec: (N,) relative to t0.
        xy: (N, 2) m.
        yaw: (N,) rad, left positive.
        speed_mps: (N,).
    """

    t_sec: Floats
    xy: Floats
    yaw: Floats
    speed_mps: Floats


def drive(moment: Moment, before_sec: float, after_sec: float) -> Driven:
    """Return what ego drives, every ``STEP_SEC``."""
    t = np.arange(-round(before_sec / STEP_SEC), round(after_sec / STEP_SEC) + 1) * STEP_SEC
    speed = np.where(t < 0, moment.speed_mps + moment.drift_mps2 * t, _speed(moment, np.maximum(t, 0.0)))
    x = np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / 2 * STEP_SEC)])
    x -= x[np.searchsorted(t, -STEP_SEC / 2)]
    y, slope = _aside(moment, x)
    return Driven(t, np.column_stack([x, y]), np.arctan(slope), speed)


def _speed(moment: Moment, t: Floats) -> Floats:
    """Return the speed (N,) at times (N,) from t0 on."""
    v = moment.speed_mps
    if moment.cause is Cause.RED_LIGHT:
        braking = v**2 / (2 * (moment.lights[0].ahead_m - STOP_SHORT_M))
        return np.maximum(v - braking * t, 0.0)
    if moment.cause is Cause.LEAD_BRAKES:
        braking = float(np.interp(moment.lead.ahead_m, LEAD_AHEAD_M, LEAD_BRAKING_MPS2))
        ramp = np.where(t < LEAD_RAMP_SEC, t**2 / (2 * LEAD_RAMP_SEC), t - LEAD_RAMP_SEC / 2)
        return np.maximum(v - braking * ramp, LEAD_LEFT * v)
    if moment.cause is Cause.CLEAR_ROAD:
        return SPEED_LIMIT_MPS - (SPEED_LIMIT_MPS - v) * np.exp(-t / TOWARDS_LIMIT_SEC)
    return np.full_like(t, v)


def _aside(moment: Moment, x: Floats) -> tuple[Floats, Floats]:
    """Return y (N,) and dy/dx (N,) at x (N,): a smooth change of lanes that is done in time."""
    if moment.cause is not Cause.BLOCKED_LANE:
        return np.zeros_like(x), np.zeros_like(x)
    length = CHANGE_SEC * moment.speed_mps
    start = max(0.0, moment.obstacle.ahead_m - CHANGE_BEFORE_M - 0.75 * length)
    share = np.clip((x - start) / length, 0.0, 1.0)
    aside = moment.other_lane * LANE_M
    return (
        aside * share**3 * (10 - 15 * share + 6 * share**2),
        aside / length * 30 * share**2 * (1 - share) ** 2,
    )
