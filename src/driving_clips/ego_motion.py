"""Ego motion as recorded and on the clip's 10 Hz ticks: the time rules that every dataset obeys."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from driving_clips.errors import ClipRejectedError
from driving_clips.geometry import Floats, slerp, yaw_of

TICK_US = 100_000
TICK_SEC = 0.1
LAST_TICK = 200  # a full clip is 20.0 s, ticks 0 to 200
MIN_TICKS = 10
MAX_HOLE_US = 500_000
MAX_SPEED_MPS = 100.0


@dataclass(frozen=True)
class EgoSamples:
    """Ego motion as recorded, on the clip's or the recording's clock, in one fixed frame.

    Attributes:
        t_us: (N,) int64, microseconds; any order, repeats allowed.
        xyz: (N, 3) m, rear axle or camera, x and y in the ground plane, z up.
        quat: (N, 4) scalar-last rotation of the vehicle (x forward, y left, z up) into the frame.
        velocity: (N, 3) m/s in the same frame, or None where the source has none.
        yaw: (N,) rad where the source gives the heading itself, so that it passes through unchanged; else None.
        known_us: (N,) int64, when all measurements that a sample is made of had been taken, where the reader has
            joined sensors of several clocks; None where that is ``t_us``.
    """

    t_us: NDArray[np.int64]
    xyz: Floats
    quat: Floats
    velocity: Floats | None
    yaw: Floats | None = None
    known_us: NDArray[np.int64] | None = None

    def shifted(self, offset_us: int) -> "EgoSamples":
        """Return the same samples on a clock whose zero is ``offset_us`` of this one."""
        known_us = None if self.known_us is None else self.known_us - offset_us
        return replace(self, t_us=self.t_us - offset_us, known_us=known_us)

    def rows(self, rows: slice | NDArray[np.intp]) -> "EgoSamples":
        """Return the samples at ``rows``."""
        velocity = None if self.velocity is None else self.velocity[rows]
        yaw = None if self.yaw is None else self.yaw[rows]
        known_us = None if self.known_us is None else self.known_us[rows]
        return EgoSamples(self.t_us[rows], self.xyz[rows], self.quat[rows], velocity, yaw, known_us)

    def until(self, t_us: int) -> "EgoSamples":
        """Return the samples that were known at a time."""
        known = self.rows(
            np.flatnonzero(np.maximum(self.t_us, self.t_us if self.known_us is None else self.known_us) <= t_us)
        )
        # One layout, whatever the array was cut from: sums over rows depend on it in their last bit.
        return replace(known, xyz=np.ascontiguousarray(known.xyz), quat=np.ascontiguousarray(known.quat))

    def cleaned(self) -> "EgoSamples":
        """Sort by time, drop samples with a non-finite value or no rotation, keep the first of equal timestamps.

        Raises:
            ClipRejectedError: no sample is left.
        """
        norm = np.sqrt(np.einsum("ij,ij->i", self.quat, self.quat))
        usable = self._usable(norm)
        if len(usable) and usable.all() and (np.diff(self.t_us) > 0).all():
            return replace(self, quat=self.quat / norm[:, None])
        if not usable.any():
            raise ClipRejectedError(
                "no_finite_samples", f"none of the {len(self.t_us)} ego motion samples is finite: nothing to label."
            )
        rows = np.flatnonzero(usable)
        _, first = np.unique(self.t_us[rows], return_index=True)
        return replace(self, quat=self.quat / np.where(usable, norm, 1.0)[:, None]).rows(rows[first])

    def _usable(self, norm: Floats) -> NDArray[np.bool_]:
        """Say of each sample whether it has a rotation and only finite values; ``norm`` is that of the rotation."""
        usable = np.isfinite(norm) & (norm > 1e-6)
        for block in (self.xyz, self.velocity):
            if block is not None and not np.isfinite(block).all():
                usable &= np.isfinite(block).all(axis=1)
        return usable

    def poses_at(self, t_us: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Interpolate position (M, 3) and rotation (M, 4) at times between the first and last sample.

        The samples must be cleaned.
        """
        left, weight = self._bracket(t_us)
        return _lerp(self.xyz, left, weight), slerp(self.quat[left], self.quat[left + 1], weight)

    def _bracket(self, t_us: NDArray[np.int64]) -> tuple[NDArray[np.intp], Floats]:
        left = np.clip(np.searchsorted(self.t_us, t_us, side="right") - 1, 0, len(self.t_us) - 2)
        start = self.t_us[left]
        return left, (t_us - start) / (self.t_us[left + 1] - start)


@dataclass(frozen=True)
class EgoMotion:
    """Ego motion on the 10 Hz ticks of a clip, in one fixed frame.

    Attributes:
        first_tick: the first tick that ego motion covers; row i is tick ``first_tick + i``.
        xyz: (T, 3) m.
        quat: (T, 4) scalar-last, vehicle (x forward, y left, z up) into the frame.
        velocity: (T, 3) m/s.
        recorded_heading: (T,) rad, the source's own heading where it gives one and a tick lies on a sample.
    """

    first_tick: int
    xyz: Floats
    quat: Floats
    velocity: Floats
    recorded_heading: Floats | None = None

    def __len__(self) -> int:
        return len(self.xyz)

    @property
    def t_sec(self) -> Floats:
        """Times of the ticks (T,) in s on the clip clock."""
        seconds: Floats = (self.first_tick + np.arange(len(self), dtype=np.float64)) * TICK_SEC
        return seconds

    @property
    def heading(self) -> Floats:
        """True yaw (T,) in rad, left positive; not necessarily wrapped where the source gives it itself."""
        return yaw_of(self.quat) if self.recorded_heading is None else self.recorded_heading

    @property
    def speed(self) -> Floats:
        """Speed over ground (T,) in m/s, never negative."""
        speed: Floats = np.hypot(self.velocity[:, 0], self.velocity[:, 1])
        return speed

    @property
    def longitudinal_speed(self) -> Floats:
        """Speed along the heading (T,) in m/s, negative when driving backwards."""
        heading = self.heading
        forward: Floats = self.velocity[:, 0] * np.cos(heading) + self.velocity[:, 1] * np.sin(heading)
        return forward

    @property
    def lateral_speed(self) -> Floats:
        """Speed across the heading (T,) in m/s, left positive."""
        heading = self.heading
        left: Floats = -self.velocity[:, 0] * np.sin(heading) + self.velocity[:, 1] * np.cos(heading)
        return left


def resample(samples: EgoSamples) -> EgoMotion:
    """Bring ego motion to the clip's ticks: k * 100,000 us, from 0 to at most 20.0 s, where samples cover them.

    Linear interpolation of position and velocity, slerp of rotation; without velocity central differences
    of the position on the ticks.

    Raises:
        ClipRejectedError: no finite sample, fewer than 10 ticks, a hole over 0.5 s, or values that cannot be a car.
    """
    samples = samples.cleaned()
    first = max(0, -(-int(samples.t_us[0]) // TICK_US))
    last = min(LAST_TICK, int(samples.t_us[-1]) // TICK_US)
    if last - first + 1 < MIN_TICKS or len(samples.t_us) < 2:
        raise ClipRejectedError(
            "too_short",
            f"ego motion from {samples.t_us[0] / 1e6:.2f} s to {samples.t_us[-1] / 1e6:.2f} s covers "
            f"{max(0, last - first + 1)} ticks of 0.1 s between 0 and 20 s, at least {MIN_TICKS} are needed.",
        )
    _refuse_holes(samples.t_us, first * TICK_US, last * TICK_US)
    left, weight = samples._bracket(np.arange(first, last + 1, dtype=np.int64) * TICK_US)
    xyz = _lerp(samples.xyz, left, weight)
    velocity = np.gradient(xyz, TICK_SEC, axis=0) if samples.velocity is None else _lerp(samples.velocity, left, weight)
    _refuse_absurd(xyz, velocity, first)
    quat = slerp(samples.quat[left], samples.quat[left + 1], weight)
    heading = None
    if samples.yaw is not None:
        at_sample = np.where(weight == 1.0, samples.yaw[left + 1], samples.yaw[left])
        heading = np.where((weight == 0.0) | (weight == 1.0), at_sample, yaw_of(quat))
    return EgoMotion(first, xyz, quat, velocity, heading)


def _lerp(values: Floats, left: NDArray[np.intp], weight: Floats) -> Floats:
    """Interpolate rows; a time on a sample returns that sample bit for bit."""
    a, b = values[left], values[left + 1]
    mixed: Floats = np.where(weight[:, None] == 1.0, b, a + weight[:, None] * (b - a))
    return mixed


def _refuse_holes(t_us: NDArray[np.int64], start_us: int, end_us: int) -> None:
    gap = np.diff(t_us)
    holes = np.flatnonzero((gap > MAX_HOLE_US) & (t_us[1:] > start_us) & (t_us[:-1] < end_us))
    if len(holes):
        widest = holes[np.argmax(gap[holes])]
        raise ClipRejectedError(
            "hole",
            f"no ego motion for {gap[widest] / 1e6:.2f} s after {t_us[widest] / 1e6:.2f} s; "
            f"holes of up to {MAX_HOLE_US / 1e6} s are interpolated.",
        )


def _refuse_absurd(xyz: Floats, velocity: Floats, first_tick: int) -> None:
    stated = np.hypot(velocity[:, 0], velocity[:, 1])
    moved = np.hypot(*np.diff(xyz[:, :2], axis=0).T) / TICK_SEC
    for speed, source in ((stated, "velocity"), (moved, "positions")):
        fastest = int(np.argmax(speed))
        if speed[fastest] > MAX_SPEED_MPS:
            raise ClipRejectedError(
                "absurd_speed",
                f"{speed[fastest]:.0f} m/s by its {source} at {(first_tick + fastest) * TICK_SEC:.1f} s; "
                f"a car stays below {MAX_SPEED_MPS:.0f} m/s. Check the units (m, m/s) and the localisation.",
            )
