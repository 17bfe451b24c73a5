"""Drives in the ego frame at t0: 16 poses of history and 64 of future, at 10 Hz."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from alpamayo_r1.geometry import rot_of_yaw, to_frame

HISTORY, FUTURE, DT = 16, 64, 0.1
_FINE = 20  # steps of the integration in one of the drive

Curve = Callable[[np.ndarray], np.ndarray]  # of the time in s, which is 0 at t0


@dataclass(frozen=True)
class Drive:
    """Positions (..., T, 3) in m and rotations (..., T, 3, 3)."""

    hist_xyz: Tensor
    hist_rot: Tensor
    fut_xyz: Tensor
    fut_rot: Tensor

    @property
    def history(self) -> tuple[Tensor, Tensor]:
        return self.hist_xyz, self.hist_rot

    @property
    def future(self) -> tuple[Tensor, Tensor]:
        return self.fut_xyz, self.fut_rot

    @property
    def all(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.hist_xyz, self.hist_rot, self.fut_xyz, self.fut_rot


def from_poses(xyz: Tensor, rot: Tensor) -> Drive:
    """Return world poses (80, 3) and (80, 3, 3), float64, as a drive in the ego frame."""
    own_xyz, own_rot = to_frame(xyz, rot, xyz[..., HISTORY - 1, :], rot[..., HISTORY - 1, :, :])
    own_xyz, own_rot = own_xyz.float(), own_rot.float()
    return Drive(
        own_xyz[..., :HISTORY, :], own_rot[..., :HISTORY, :, :], own_xyz[..., HISTORY:, :], own_rot[..., HISTORY:, :, :]
    )


def driven(speed: Curve, curvature: Curve) -> tuple[Tensor, Tensor]:
    """Return the positions (80, 3) and headings (80,) of a vehicle, float64, integrated finely."""
    t = (np.arange((HISTORY + FUTURE - 1) * _FINE + 1) / _FINE - (HISTORY - 1)) * DT
    v = np.broadcast_to(speed(t), t.shape)
    yaw = _integral(t, v * curvature(t))
    xyz = np.stack([_integral(t, v * np.cos(yaw)), _integral(t, v * np.sin(yaw)), np.zeros_like(t)], axis=-1)
    return torch.from_numpy(xyz[::_FINE]), torch.from_numpy(yaw[::_FINE])


def drive(speed: Curve, curvature: Curve) -> Drive:
    """Return the drive at a speed in m/s, along a curvature in 1/m, without noise."""
    xyz, yaw = driven(speed, curvature)
    return from_poses(xyz, rot_of_yaw(yaw))


def standing(noise_m: float, noise_rad: float, seed: int) -> Drive:
    """Return what a noisy sensor says of a vehicle that stands still."""
    generator = torch.Generator().manual_seed(seed)
    xyz = noise_m * torch.randn(HISTORY + FUTURE, 3, dtype=torch.float64, generator=generator)
    yaw = noise_rad * torch.randn(HISTORY + FUTURE, dtype=torch.float64, generator=generator)
    return from_poses(xyz, rot_of_yaw(yaw))


def _integral(t: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum((values[1:] + values[:-1]) / 2 * np.diff(t))])


def _between(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


@st.composite
def straight(draw) -> Drive:
    """Up to 40 m/s, with steady acceleration or braking of up to 2 m/s^2 that does not end in a stop."""
    v = draw(_between(0.0, 35.0))
    a = draw(_between(max(-2.0, -v / 7.0), min(2.0, (40.0 - v) / 7.0)))
    start = max(0.0, -a * HISTORY * DT)
    return drive(lambda t: start + v + a * t, np.zeros_like)


@st.composite
def curves(draw) -> Drive:
    """A winding road, driven with at most 3 m/s^2 to the side."""
    v = draw(_between(5.0, 25.0))
    k = min(0.04, 3.0 / v**2)
    steady, swing = draw(_between(-k / 2, k / 2)), draw(_between(-k / 2, k / 2))
    pace, phase = draw(_between(0.2, 1.0)), draw(_between(0.0, 6.0))
    return drive(lambda t: np.full_like(t, v), lambda t: steady + swing * np.sin(pace * t + phase))


@st.composite
def stop_and_go(draw) -> Drive:
    """Between standing and driving, with at most 3 m/s^2."""
    period, phase = draw(_between(6.0, 15.0)), draw(_between(0.0, 6.0))
    top = draw(_between(1.0, min(8.0, 3.0 * period / np.pi)))
    return drive(lambda t: top / 2 * (1 + np.cos(2 * np.pi * t / period + phase)), np.zeros_like)


@st.composite
def stops(draw) -> Drive:
    """Braking to a stop, and standing."""
    v, braking, start = draw(_between(2.0, 12.0)), draw(_between(1.0, 4.0)), draw(_between(0.0, 3.0))
    return drive(lambda t: np.clip(v - braking * np.clip(t - start, 0, None), 0, None), np.zeros_like)


@st.composite
def sharp_turns(draw) -> Drive:
    """At walking to running speed, down to a radius of 5 m."""
    v, k, middle = draw(_between(1.5, 5.0)), draw(_between(0.05, 0.2)), draw(_between(1.0, 5.0))
    side = draw(st.sampled_from([-1.0, 1.0]))
    return drive(lambda t: np.full_like(t, v), lambda t: side * k * np.exp(-(((t - middle) / 1.5) ** 2)))
