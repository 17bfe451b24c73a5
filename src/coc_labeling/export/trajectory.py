"""Ego's path around a keyframe, in its own frame there: what the reasoning model is given, and what it predicts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driving_clips.ego_motion import MAX_HOLE_US, TICK_US, EgoSamples
from driving_clips.errors import ClipRejectedError
from driving_clips.geometry import Floats, multiply, rotate, yaw_of

HISTORY_STEPS = 16  # poses up to the keyframe, and it
FUTURE_STEPS = 64
FUTURE_OFFSETS_US = np.arange(1, FUTURE_STEPS + 1, dtype=np.int64) * TICK_US
HISTORY_OFFSETS_US = np.arange(1 - HISTORY_STEPS, 1, dtype=np.int64) * TICK_US


@dataclass(frozen=True)
class Path:
    """Poses at 10 Hz in ego's frame at the keyframe: x forward, y left, z up.

    Attributes:
        xyz: (N, 3) m.
        quat: (N, 4) scalar-last rotations of the vehicle into that frame.
    """

    xyz: Floats
    quat: Floats

    @property
    def yaw(self) -> Floats:
        """Heading (N,) in rad, left positive, unwrapped."""
        unwrapped: Floats = np.unwrap(yaw_of(self.quat))
        return unwrapped


@dataclass(frozen=True)
class Drive:
    """Ego's path around a keyframe.

    Attributes:
        history: 16 poses, from 1.5 s before the keyframe to it.
        future: 64 poses, from 0.1 s after the keyframe to 6.4 s after it.
    """

    history: Path
    future: Path | None


def drive_around(samples: EgoSamples, t0_us: int, *, with_future: bool) -> Drive:
    """Return ego's path around a keyframe.

    Args:
        samples: ego motion as recorded, cleaned.
        t0_us: the keyframe in us on the same clock.
        with_future: whether the path after it is needed.

    Raises:
        ClipRejectedError: ego motion does not cover it.
    """
    offsets = np.concatenate([HISTORY_OFFSETS_US, FUTURE_OFFSETS_US]) if with_future else HISTORY_OFFSETS_US
    _refuse_uncovered(samples, t0_us + offsets)
    xyz, quat = samples.poses_at(t0_us + offsets)
    zero = HISTORY_STEPS - 1
    back = np.broadcast_to(quat[zero] * [-1.0, -1.0, -1.0, 1.0], quat.shape)
    own = Path(rotate(back, xyz - xyz[zero]), multiply(back, quat))
    history = Path(own.xyz[:HISTORY_STEPS], own.quat[:HISTORY_STEPS])
    return Drive(history, Path(own.xyz[HISTORY_STEPS:], own.quat[HISTORY_STEPS:]) if with_future else None)


def _refuse_uncovered(samples: EgoSamples, times_us: NDArray[np.int64]) -> None:
    there, first, last = samples.t_us, int(times_us[0]), int(times_us[-1])
    covers = len(there) > 1 and there[0] <= first and last <= there[-1]
    if covers:
        own = there[there.searchsorted(first, side="right") - 1 : there.searchsorted(last) + 1]
        covers = not (np.diff(own) > MAX_HOLE_US).any()
    if not covers:
        raise ClipRejectedError(
            "ego motion does not cover the path",
            f"ego motion does not cover {first / 1e6:.2f} to {last / 1e6:.2f} s without a hole.",
        )
