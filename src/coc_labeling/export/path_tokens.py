"""Paths as tokens of the reasoning model: steps of the history, actions of a unicycle for the future.

The history's tokenizer is the model's own. The statistics and bounds by which a checkpoint scales actions are its
secret until it is opened, so actions are written here in their own units, over the whole of the bounds that the action
space has, as a model that is trained from a plain one has them by default. ``tokens.json`` of an export says all
numbers; poses stand beside the tokens, so that they can be made again.
"""

import numpy as np
from numpy.typing import NDArray

from coc_labeling.export.trajectory import Drive, Path
from driving_clips.geometry import Floats

DT = 0.1  # s, between poses
HISTORY_MIN, HISTORY_MAX = (-4.0, -4.0, -10.0), (4.0, 4.0, 10.0)  # m a step, by axis
HISTORY_BINS = 1000
FUTURE_BINS = 3000
# One bin more above zero than below, so that zero has one: half a bin of curvature would bend a straight road by 1 m.
_BELOW_ZERO, _ABOVE_ZERO = 1499, 1500
FUTURE_MAX = (9.8, 0.2)  # m/s^2 and 1/m
FUTURE_MIN = tuple(-most * _BELOW_ZERO / _ABOVE_ZERO for most in FUTURE_MAX)
HISTORY_FIRST = FUTURE_BINS
VOCABULARY = HISTORY_FIRST + HISTORY_BINS  # as many trajectory tokens as released checkpoints have
# Weights of smoothness and of smallness, by what is solved for.
_THETA, _SPEED, _ACCELERATION, _CURVATURE = (1e-6, 1e-8), (1e-6, 1e-4), (1e-4, 1e-4), (1e-4, 1e-4)

Numbers = NDArray[np.int64]


def history_tokens(history: Path) -> Numbers:
    """Return the history's 48 token numbers, step by step x, y, z; they follow those of the future's vocabulary."""
    steps = np.diff(history.xyz, axis=0, prepend=history.xyz[:1] * 0.0)
    return HISTORY_FIRST + _binned(steps, HISTORY_MIN, HISTORY_MAX, HISTORY_BINS)


def future_tokens(drive: Drive) -> Numbers:
    """Return the future's 128 token numbers, step by step acceleration and curvature."""
    return _binned(actions(drive), FUTURE_MIN, FUTURE_MAX, FUTURE_BINS)


def actions_of(tokens: Numbers) -> Floats:
    """Return the actions (64, 2), acceleration m/s^2 and curvature 1/m, that tokens of a future stand for."""
    low, high = np.array(FUTURE_MIN), np.array(FUTURE_MAX)
    taken: Floats = low + tokens.reshape(-1, 2) / (FUTURE_BINS - 1) * (high - low)
    return taken


def actions(drive: Drive) -> Floats:
    """Return acceleration (m/s^2) and curvature (1/m) of each step of the future, (64, 2).

    Headings, speeds, accelerations and curvatures are fitted one after the other by regularised least squares, each to
    the smoothed ones before it. The future must be there.
    """
    assert drive.future is not None
    yaw = np.unwrap(np.concatenate([[0.0], drive.future.yaw]))
    xy = np.vstack([np.zeros(2), drive.future.xyz[:, :2]])
    theta = _solve(np.eye(len(yaw)), yaw, _THETA, order=3, first=0.0)
    speed = _speeds(xy, theta, first=start_speed(drive.history))
    acceleration = _solve(np.eye(len(yaw) - 1), np.diff(speed) / DT, _ACCELERATION, order=2)
    turned = np.diag(DT * speed[:-1] + DT**2 * acceleration / 2)
    curvature = _solve(turned, np.diff(theta), _CURVATURE, order=2)
    return np.stack([acceleration, curvature], axis=1)


def start_speed(history: Path) -> float:
    """Return the speed at the keyframe in m/s, fitted to the history; backwards is negative."""
    return float(_speeds(history.xyz[:, :2], history.yaw)[-1])


def roll_out(taken: Floats, speed: float) -> Floats:
    """Return the positions (N, 2) in m that actions (N, 2) lead to from the origin, at ``speed`` m/s at first."""
    acceleration, curvature = taken.T
    speeds = speed + np.concatenate([[0.0], np.cumsum(acceleration * DT)])
    turns = curvature * speeds[:-1] * DT + curvature * acceleration * DT**2 / 2
    theta = np.concatenate([[0.0], np.cumsum(turns)])
    velocity = speeds[:, None] * np.stack([np.cos(theta), np.sin(theta)], axis=1)
    xy: Floats = np.cumsum((velocity[:-1] + velocity[1:]) * DT / 2, axis=0)
    return xy


def _speeds(xy: Floats, theta: Floats, first: float | None = None) -> Floats:
    """Return speeds (N,) whose trapezoids along the headings give the steps between positions (N, 2)."""
    count = len(xy)
    along = np.stack([np.cos(theta), np.sin(theta)], axis=1)
    matrix = np.zeros((count - 1, 2, count))
    rows = np.arange(count - 1)
    matrix[rows, :, rows] = along[:-1]
    matrix[rows, :, rows + 1] = along[1:]
    steps = 2 * np.diff(xy, axis=0) / DT
    return _solve(matrix.reshape(-1, count), steps.reshape(-1), _SPEED, order=3, first=first)


def _solve(
    matrix: Floats, target: Floats, weights: tuple[float, float], order: int, first: float | None = None
) -> Floats:
    """Return x with the least |matrix x - target|^2, differences of an order, and size; its first value may be given.

    The weight of the differences is divided by DT to the power of six for those of third order, four for second.
    """
    smoothness, ridge = weights[0] / DT ** (2 * order), weights[1]
    differences = np.diff(np.eye(matrix.shape[1]), order, axis=0)
    bend = np.zeros(len(differences))
    if first is not None:
        target, bend = target - matrix[:, 0] * first, bend - differences[:, 0] * first
        matrix, differences = matrix[:, 1:], differences[:, 1:]
    left = matrix.T @ matrix + smoothness * differences.T @ differences + ridge * np.eye(matrix.shape[1])
    x = np.linalg.solve(left, matrix.T @ target + smoothness * differences.T @ bend)
    solved: Floats = np.concatenate([[] if first is None else [first], x]).astype(np.float64)
    return solved


def _binned(values: Floats, low: tuple[float, ...], high: tuple[float, ...], bins: int) -> Numbers:
    share = (values - np.array(low)) / (np.array(high) - np.array(low))
    numbers: Numbers = np.clip(np.rint(share * (bins - 1)), 0, bins - 1).astype(np.int64).reshape(-1)
    return numbers
