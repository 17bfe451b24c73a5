"""What evaluation measures with numpy is what the model's own metrics measure with torch."""

import numpy as np
import pytest
import torch

from alpamayo_r1.evaluation.displacement import HORIZONS_SEC, displacement_measures
from alpamayo_r1.metrics.distance_metrics import compute_ade, compute_grouped_corner_distance, compute_minade


def in_space(xy, yaw):
    """Poses in the plane as positions and rotations in space, a batch of one."""
    xyz = np.concatenate([xy, np.zeros((*xy.shape[:-1], 1))], axis=-1)
    rotation = np.zeros((*yaw.shape, 3, 3))
    rotation[..., 0, 0], rotation[..., 0, 1] = np.cos(yaw), -np.sin(yaw)
    rotation[..., 1, 0], rotation[..., 1, 1] = np.sin(yaw), np.cos(yaw)
    rotation[..., 2, 2] = 1.0
    return torch.from_numpy(xyz[None]), torch.from_numpy(rotation[None])


@pytest.mark.parametrize(("sets", "samples", "steps"), [(1, 1, 64), (3, 4, 64), (2, 6, 30)])
def test_both_give_the_same_numbers(sets, samples, steps):
    random = np.random.default_rng(steps + samples)
    driven, headings = np.cumsum(random.normal(0.5, 0.3, (steps, 2)), axis=0), random.normal(0, 0.4, steps)
    xy = driven + np.cumsum(random.normal(0, 0.2, (sets, samples, steps, 2)), axis=2)
    yaw = random.normal(0, 0.4, (sets, samples, steps))
    own = displacement_measures(xy, yaw, driven, headings)
    (pred_xyz, pred_rot), (gt_xyz, gt_rot) = in_space(xy, yaw), in_space(driven, headings)
    known = compute_minade(pred_xyz, gt_xyz, time_horizons=HORIZONS_SEC)
    known |= compute_grouped_corner_distance(pred_xyz, pred_rot, gt_xyz, gt_rot)
    known |= {"ade": compute_ade(pred_xyz, gt_xyz).mean(dim=(1, 2))}
    assert {name: own[name] for name in known} == pytest.approx({name: float(value) for name, value in known.items()})
