"""Headings, rotations and frames, for batches of trajectories. Frames are right-handed: x forward, y left, z up."""

import math

import torch
from torch import Tensor


def wrap(angle: Tensor) -> Tensor:
    """Return angles in rad, any shape, in [-pi, pi)."""
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi


def unwrap(angle: Tensor) -> Tensor:
    """Return angles (..., T) in rad without jumps: each differs from the one before by less than half a turn."""
    steps = wrap(angle.diff(dim=-1))
    return torch.cat([angle[..., :1], angle[..., :1] + steps.cumsum(dim=-1)], dim=-1)


def yaw_of(rot: Tensor) -> Tensor:
    """Return the heading (...) in rad of rotations (..., 3, 3): that of the rotated x axis, left positive."""
    return torch.atan2(rot[..., 1, 0], rot[..., 0, 0])


def rot_of_yaw(yaw: Tensor) -> Tensor:
    """Return the rotations (..., 3, 3) about z by ``yaw`` (...) in rad."""
    cos, sin = yaw.cos(), yaw.sin()
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)
    rows = [torch.stack(row, dim=-1) for row in ((cos, -sin, zero), (sin, cos, zero), (zero, zero, one))]
    return torch.stack(rows, dim=-2)


def rot_of_quat(quat: Tensor) -> Tensor:
    """Return the rotations (..., 3, 3) of unit quaternions (..., 4), scalar last."""
    x, y, z, w = quat.unbind(dim=-1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def to_frame(xyz: Tensor, rot: Tensor, origin: Tensor, axes: Tensor) -> tuple[Tensor, Tensor]:
    """Return poses as seen from another one.

    World coordinates are large; give float64 where float32 cannot hold them, and convert the result.

    Args:
        xyz: (..., T, 3) positions in m.
        rot: (..., T, 3, 3) rotations of the vehicle into the world.
        origin: (..., 3) position of the pose that becomes the origin, as the ego vehicle's at t0.
        axes: (..., 3, 3) its rotation into the world.

    Returns:
        Positions and rotations of the same shapes, in the frame of that pose.
    """
    # Sums instead of matrix products, which autocast would do in half precision.
    axes = axes[..., None, :, :]
    offset = xyz - origin[..., None, :]
    return (axes * offset[..., :, None]).sum(dim=-2), (axes[..., :, :, None] * rot[..., :, None, :]).sum(dim=-3)
