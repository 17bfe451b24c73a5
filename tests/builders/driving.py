"""Synthetic drives: smooth speed and yaw rate, integrated to poses."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Drive:
    """Poses of a car in one frame: (N,) arrays; metres, rad, m/s, microseconds."""

    t_us: np.ndarray
    x: np.ndarray
    y: np.ndarray
    yaw: np.ndarray
    vx: np.ndarray
    vy: np.ndarray

    def __len__(self) -> int:
        return len(self.t_us)

    def rows(self, chosen) -> "Drive":
        """Return some samples, in the order given."""
        return Drive(*(getattr(self, name)[chosen] for name in ("t_us", "x", "y", "yaw", "vx", "vy")))

    def shifted(self, offset_us: int) -> "Drive":
        """Return the same drive on a clock that reads ``offset_us`` more."""
        return replace(self, t_us=self.t_us + offset_us)


def drive(seconds: float = 20.0, *, hz: int = 10, start_us: int = 0, speed=8.0, yaw_rate=0.0) -> Drive:
    """Drive for some time; ``speed`` m/s and ``yaw_rate`` rad/s are numbers or functions of time in s."""
    t_us = start_us + np.round(np.arange(round(seconds * hz) + 1) * 1e6 / hz).astype(np.int64)
    t = t_us / 1e6
    v = np.broadcast_to(speed(t) if callable(speed) else float(speed), t.shape).astype(float)
    w = np.broadcast_to(yaw_rate(t) if callable(yaw_rate) else float(yaw_rate), t.shape).astype(float)
    step = np.concatenate([[0.0], np.diff(t)])
    yaw = np.cumsum(w * step)
    vx, vy = v * np.cos(yaw), v * np.sin(yaw)
    return Drive(t_us, np.cumsum(vx * step), np.cumsum(vy * step), yaw, vx, vy)


def lively_drive(seed: int = 0, seconds: float = 20.0, *, hz: int = 10, start_us: int = 0) -> Drive:
    """A drive with something to label: it speeds up, slows down to a stop, and turns."""
    phase = 0.7 * seed

    def speed(t):
        return np.maximum(0.0, 6.0 + 7.0 * np.sin(0.45 * t + phase))

    def yaw_rate(t):
        return 0.25 * np.sin(0.31 * t + 1.3 * phase) * (speed(t) > 0)

    return drive(seconds, hz=hz, start_us=start_us, speed=speed, yaw_rate=yaw_rate)


def uuid_like(number: int) -> str:
    """Return a clip id of the form that the Physical AI AV dataset uses."""
    text = f"{number * 0x9E3779B97F4A7C15 % 2**128:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
