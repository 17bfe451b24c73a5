"""Distances between predicted and driven trajectories, as the model's authors count them.

Predictions have B scenes, N sets, K samples of T poses; a set is one draw of K samples, over which a minimum is taken.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.trajectories import check_finite

_STEPS_PER_SECOND = 10
_HORIZONS_SEC = (0.5, 1.0, 3.0, 5.0)
_BOX_SIZE_M = (4.0, 3.0, 2.0)  # length, width, height


def compute_ade(pred_xyz: Tensor, gt_xyz: Tensor, only_xy: bool = True, timestep_horizon: int | None = None) -> Tensor:
    """Return the average displacement error (B, N, K) in m.

    Args:
        pred_xyz: (B, N, K, T, 3) predicted positions in m.
        gt_xyz: (B, T, 3) driven positions in the same frame.
        only_xy: count in the ground plane.
        timestep_horizon: count the first steps only, this many.

    Raises:
        AlpamayoError: shapes that do not fit, values that are not finite, a horizon of no steps or more than there are.
    """
    return _displacements(pred_xyz, gt_xyz, only_xy)[..., : _horizon(timestep_horizon, pred_xyz)].mean(dim=-1)


def compute_minade(
    pred_xyz: Tensor,
    gt_xyz: Tensor,
    only_xy: bool = True,
    time_horizons: Sequence[float] = _HORIZONS_SEC,
    disable_summary: bool = False,
) -> dict[str, Tensor]:
    """Return the average displacement error of each set's best sample, averaged over sets.

    The best sample is the one that is best over all T steps, for every horizon: at a short one another sample may be
    better.

    Args:
        pred_xyz: (B, N, K, T, 3) predicted positions in m.
        gt_xyz: (B, T, 3) driven positions in the same frame.
        only_xy: count in the ground plane.
        time_horizons: in s at ten steps a second; those beyond T are left out.
        disable_summary: leave out the standard deviations.

    Returns:
        By name, (B,) in m: "min_ade" over all steps, "min_ade/by_t=1.0" over the first second, and with the ending
        "_std" the population standard deviation over sets, where there are two or more.

    Raises:
        AlpamayoError: shapes that do not fit, values that are not finite.
    """
    displacements = _displacements(pred_xyz, gt_xyz, only_xy)
    best = displacements.mean(dim=-1).argmin(dim=-1)
    of_best = displacements.take_along_dim(best[..., None, None], dim=2)[:, :, 0]
    found = {"min_ade": of_best.mean(dim=-1)}
    for seconds in time_horizons:
        steps = round(seconds * _STEPS_PER_SECOND)
        if 1 <= steps <= displacements.shape[-1]:
            found[f"min_ade/by_t={float(seconds)}"] = of_best[..., :steps].mean(dim=-1)
    return _over_sets(found, disable_summary)


def compute_grouped_corner_distance(
    pred_xyz: Tensor,
    pred_rot: Tensor,
    gt_xyz: Tensor,
    gt_rot: Tensor,
    dims: Sequence[float] = _BOX_SIZE_M,
    disable_summary: bool = False,
) -> dict[str, Tensor]:
    """Return the distance of the corners of the vehicle's box: it counts position and heading in one.

    Each step's and corner's distance is that of the closest sample of a set.

    Args:
        pred_xyz: (B, N, K, T, 3) predicted positions in m.
        pred_rot: (B, N, K, T, 3, 3) predicted rotations.
        gt_xyz: (B, T, 3) driven positions in the same frame.
        gt_rot: (B, T, 3, 3) driven rotations.
        dims: length, width and height in m of the box, centred on the position.
        disable_summary: leave out the standard deviation.

    Returns:
        By name, (B,) in m: "corner_distance", the mean over steps, corners and sets, and "corner_distance_std", the
        population standard deviation over sets, where there are two or more.

    Raises:
        AlpamayoError: shapes that do not fit, values that are not finite.
    """
    _check_positions(pred_xyz, gt_xyz)
    for name, rot, xyz in (("predicted", pred_rot, pred_xyz), ("driven", gt_rot, gt_xyz)):
        if rot.shape != (*xyz.shape, 3):
            raise AlpamayoError(
                f"{name} rotations: expected the shape {(*tuple(xyz.shape), 3)}, found {tuple(rot.shape)}."
            )
    offsets = _corner_offsets(dims).to(pred_xyz)
    predicted, driven = _corners(pred_xyz, pred_rot, offsets), _corners(gt_xyz, gt_rot, offsets)
    distances = (predicted - driven[:, None, None]).norm(dim=-1)  # (B, N, K, T, 8)
    return _over_sets({"corner_distance": distances.amin(dim=2).mean(dim=(-2, -1))}, disable_summary)


def _displacements(pred_xyz: Tensor, gt_xyz: Tensor, only_xy: bool) -> Tensor:
    """Return the distances (B, N, K, T) in m."""
    _check_positions(pred_xyz, gt_xyz)
    axes = 2 if only_xy else 3
    distances: Tensor = (pred_xyz - gt_xyz[:, None, None])[..., :axes].norm(dim=-1)
    return distances


def _check_positions(pred_xyz: Tensor, gt_xyz: Tensor) -> None:
    if pred_xyz.ndim != 5 or pred_xyz.shape[-1] != 3 or not pred_xyz.numel():
        raise AlpamayoError(
            f"predicted positions: expected (scenes, sets, samples, steps, 3), found {tuple(pred_xyz.shape)}."
        )
    expected = (pred_xyz.shape[0], *pred_xyz.shape[-2:])
    if tuple(gt_xyz.shape) != expected:
        raise AlpamayoError(f"driven positions: expected the shape {expected}, found {tuple(gt_xyz.shape)}.")
    check_finite("predicted positions", pred_xyz)
    check_finite("driven positions", gt_xyz)


def _horizon(steps: int | None, pred_xyz: Tensor) -> int:
    available: int = pred_xyz.shape[-2]
    if steps is None:
        return available
    if not 1 <= steps <= available:
        raise AlpamayoError(f"timestep_horizon: expected 1 to {available} steps, found {steps}.")
    return steps


def _corner_offsets(dims: Sequence[float]) -> Tensor:
    """Return the corners (8, 3) of a box in its own frame."""
    if len(dims) != 3:
        raise AlpamayoError(f"dims: expected length, width and height in m, found {dims!r}.")
    return torch.cartesian_prod(*(torch.tensor([-size / 2, size / 2]) for size in dims))


def _corners(xyz: Tensor, rot: Tensor, offsets: Tensor) -> Tensor:
    """Return the corners (..., 8, 3) of boxes at positions (..., 3) with rotations (..., 3, 3)."""
    return xyz[..., None, :] + (rot[..., None, :, :] * offsets[:, None, :]).sum(dim=-1)


def _over_sets(values: dict[str, Tensor], disable_summary: bool) -> dict[str, Tensor]:
    """Return means (B,) over sets of values (B, N), and standard deviations unless there is one set."""
    found = {}
    for name, value in values.items():
        found[name] = value.mean(dim=1)
        if value.shape[1] > 1 and not disable_summary:
            found[f"{name}_std"] = value.std(dim=1, correction=0)
    return found
