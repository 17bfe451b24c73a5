"""How far predicted trajectories are from the one that was driven, in m.

Two forms of the smallest average displacement error over K samples (minADE_K):

- *by_t*, of the reasoning model's own reports: the sample that is best over the full horizon, and its mean over the
  first T seconds; mean and population standard deviation over sets.
- the *usual* one of the field (Argoverse, nuScenes): of each horizon the smallest mean over whole samples.

All are taken in the ground plane.
"""

import numpy as np

from driving_clips.ego_motion import TICK_SEC
from driving_clips.geometry import Floats

HORIZONS_SEC = (0.5, 1.0, 3.0, 5.0, 6.4)
BOX_M = (4.0, 3.0, 2.0)  # length, width, height of the box whose corners are compared


def steps_of(horizon_sec: float) -> int:
    """Return how many steps of 0.1 s a horizon has."""
    return round(horizon_sec / TICK_SEC)


def distances(pred_xy: Floats, driven_xy: Floats) -> Floats:
    """Return the distance (N, K, D) of predicted points (N, K, T, 2) from the driven ones (D, 2), D <= T."""
    off: Floats = np.linalg.norm(pred_xy[:, :, : len(driven_xy)] - driven_xy, axis=-1)
    return off


def best_by_t(off: Floats, steps: int) -> Floats:
    """Return of each set (N,) the mean over the first steps of the sample that is best over all steps of ``off``."""
    best = off.mean(axis=-1).argmin(axis=1)
    chosen = np.take_along_axis(off, best[:, None, None], axis=1)[:, 0]
    mean: Floats = chosen[:, :steps].mean(axis=-1)
    return mean


def best_at(off: Floats, steps: int) -> Floats:
    """Return of each set (N,) the smallest mean over the first steps of any of its samples."""
    smallest: Floats = off[:, :, :steps].mean(axis=-1).min(axis=1)
    return smallest


def corner_distance(pred_xyz: Floats, pred_rot: Floats, driven_xyz: Floats, driven_rot: Floats) -> Floats:
    """Return of each set (N,) the grouped corner distance: of each step and corner the nearest sample, then the mean.

    Args:
        pred_xyz: (N, K, T, 3) m, centres of boxes of ``BOX_M``.
        pred_rot: (N, K, T, 3, 3).
        driven_xyz: (T, 3) m.
        driven_rot: (T, 3, 3).
    """
    signs = np.stack(np.meshgrid(*[[-0.5, 0.5]] * 3, indexing="ij"), axis=-1).reshape(8, 3)
    corners = signs * BOX_M
    predicted = pred_xyz[..., None, :] + np.einsum("...ij,cj->...ci", pred_rot, corners)
    driven = driven_xyz[..., None, :] + np.einsum("...ij,cj->...ci", driven_rot, corners)
    nearest: Floats = np.linalg.norm(predicted - driven, axis=-1).min(axis=1).mean(axis=(-1, -2))
    return nearest


def flat_corner_distance(pred_xy: Floats, pred_yaw: Floats, driven_xy: Floats, driven_yaw: Floats) -> Floats:
    """Return the grouped corner distance (N,) of poses in the plane: (N, K, T, 2), (N, K, T), (T, 2), (T,)."""
    return corner_distance(_raised(pred_xy), _turned(pred_yaw), _raised(driven_xy), _turned(driven_yaw))


def _raised(xy: Floats) -> Floats:
    return np.concatenate([xy, np.zeros((*xy.shape[:-1], 1))], axis=-1)


def _turned(yaw: Floats) -> Floats:
    rotation = np.zeros((*yaw.shape, 3, 3))
    rotation[..., 0, 0] = rotation[..., 1, 1] = np.cos(yaw)
    rotation[..., 1, 0] = np.sin(yaw)
    rotation[..., 0, 1] = -rotation[..., 1, 0]
    rotation[..., 2, 2] = 1.0
    return rotation


def displacement_measures(
    pred_xy: Floats, pred_yaw: Floats, driven_xy: Floats, driven_yaw: Floats | None
) -> dict[str, float]:
    """Return all displacement measures of one scene; those beyond what was driven are left out.

    Args:
        pred_xy: (N, K, T, 2) m.
        pred_yaw: (N, K, T) rad.
        driven_xy: (D, 2) m; full-horizon measures need D >= T.
        driven_yaw: (D,) rad, or None: then there is no corner distance.
    """
    steps = pred_xy.shape[2]
    off = distances(pred_xy, driven_xy[:steps])
    known = off.shape[-1]
    found = {
        f"min_ade@{horizon:g}": float(best_at(off, steps_of(horizon)).mean())
        for horizon in HORIZONS_SEC
        if steps_of(horizon) <= known
    }
    if known < steps:
        return found
    for name, last in (
        ("min_ade", steps),
        *((f"min_ade/by_t={h:.1f}", steps_of(h)) for h in HORIZONS_SEC if steps_of(h) <= steps),
    ):
        best = best_by_t(off, last)
        found |= _over_sets(name, best)
    found |= {
        "ade": float(off.mean()),
        "fde": float(off[..., -1].mean()),
        "min_fde": float(off[..., -1].min(axis=1).mean()),
    }
    if driven_yaw is not None:
        corners = flat_corner_distance(pred_xy, pred_yaw, driven_xy[:steps], driven_yaw[:steps])
        found |= _over_sets("corner_distance", corners)
    return found


def _over_sets(name: str, values: Floats) -> dict[str, float]:
    """Return the mean over sets (N,), and of several sets the population standard deviation."""
    spread = {f"{name}_std": float(values.std())} if len(values) > 1 else {}
    return {name: float(values.mean())} | spread
