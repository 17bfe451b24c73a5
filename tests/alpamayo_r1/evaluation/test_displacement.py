import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpamayo_r1.evaluation.displacement import (
    HORIZONS_SEC,
    best_at,
    best_by_t,
    corner_distance,
    displacement_measures,
    distances,
    flat_corner_distance,
    steps_of,
)

GOLDEN = Path(os.environ.get("COC_GOLDEN_MODEL", Path(__file__).parents[4] / "shared" / "golden" / "model"))


def sideways(*metres, steps=64):
    """Samples (1, K, T, 2) that run beside a straight drive, each at its distance; and the drive."""
    driven = np.stack([np.arange(1, steps + 1) * 1.0, np.zeros(steps)], axis=1)
    samples = np.stack([driven + np.array([0.0, 1.0]) * np.reshape(own, (-1, 1)) for own in metres])
    return samples[None], driven


def random_scene(seed, sets=2, samples=3, steps=64):
    random = np.random.default_rng(seed)
    driven = np.cumsum(random.normal(0.5, 0.3, (steps, 2)), axis=0)
    xy = driven + np.cumsum(random.normal(0, 0.1, (sets, samples, steps, 2)), axis=2)
    return xy, random.normal(0, 0.3, (sets, samples, steps)), driven, random.normal(0, 0.3, steps)


def test_the_two_forms_differ_where_another_sample_is_best_at_first():
    early = np.where(np.arange(64) < 30, 0.0, 10.0)  # right for 3 s, then 10 m off
    xy, driven = sideways(early, np.full(64, 2.0))
    found = displacement_measures(xy, np.zeros((1, 2, 64)), driven, np.zeros(64))
    assert (found["min_ade@3"], found["min_ade/by_t=3.0"]) == (0.0, 2.0)
    assert found["min_ade@6.4"] == found["min_ade"] == found["min_ade/by_t=6.4"] == pytest.approx(2.0)
    assert found["ade"] == pytest.approx((10 * 34 / 64 + 2.0) / 2)
    assert (found["fde"], found["min_fde"]) == (6.0, 2.0)


def test_sets_give_a_mean_and_a_population_deviation():
    xy, driven = sideways(1.0, 3.0)
    found = displacement_measures(xy.reshape(2, 1, 64, 2), np.zeros((2, 1, 64)), driven, np.zeros(64))
    assert (found["min_ade"], found["min_ade_std"]) == (2.0, 1.0)
    assert (found["corner_distance"], found["corner_distance_std"]) == (pytest.approx(2.0), pytest.approx(1.0))


def test_corners_are_taken_from_the_nearest_sample_each():
    driven = np.zeros((1, 2))
    turned = flat_corner_distance(np.zeros((1, 1, 1, 2)), np.full((1, 1, 1), np.pi), driven, np.zeros(1))
    assert turned[0] == pytest.approx(5.0)  # twice half the diagonal of 4 x 3 m
    both = flat_corner_distance(np.zeros((1, 2, 1, 2)), np.array([[[np.pi], [0.0]]]), driven, np.zeros(1))
    assert both[0] == pytest.approx(0.0)


def test_what_was_not_driven_is_not_measured():
    xy, driven = sideways(1.0)
    found = displacement_measures(xy, np.zeros((1, 1, 64)), driven[:35], np.zeros(35))
    assert set(found) == {"min_ade@0.5", "min_ade@1", "min_ade@3"}
    assert "corner_distance" not in displacement_measures(xy, np.zeros((1, 1, 64)), driven, None)


@given(st.integers(0, 2**32 - 1), st.floats(-3.1, 3.1), st.floats(-100, 100))
def test_turning_and_moving_the_world_changes_nothing(seed, angle, moved):
    xy, yaw, driven, driven_yaw = random_scene(seed)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    before = displacement_measures(xy, yaw, driven, driven_yaw)
    after = displacement_measures(xy @ turn.T + moved, yaw + angle, driven @ turn.T + moved, driven_yaw + angle)
    assert after == pytest.approx(before, abs=1e-8)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.sampled_from(HORIZONS_SEC))
def test_the_best_is_no_worse_than_any_and_one_sample_is_its_own_best(seed, samples, horizon):
    xy, _, driven, _ = random_scene(seed, samples=samples)
    off, steps = distances(xy, driven), steps_of(horizon)
    each = off[:, :, :steps].mean(axis=-1)
    assert (best_at(off, steps)[:, None] <= each + 1e-12).all()
    assert (best_at(off, steps) <= best_by_t(off, steps) + 1e-12).all()
    if samples == 1:
        assert best_at(off, steps) == pytest.approx(each[:, 0])
        assert best_by_t(off, steps) == pytest.approx(each[:, 0])


@given(st.integers(0, 2**32 - 1), st.permutations(range(3)))
def test_the_order_of_samples_makes_no_difference(seed, order):
    xy, yaw, driven, driven_yaw = random_scene(seed)
    own = displacement_measures(xy[:, order], yaw[:, order], driven, driven_yaw)
    assert own == pytest.approx(displacement_measures(xy, yaw, driven, driven_yaw))


def test_the_numbers_of_the_reference():
    path = GOLDEN / "cases" / "2_metrics.npz"
    if not path.exists():
        pytest.skip(f"no {path}: set COC_GOLDEN_MODEL to the folder of reference cases")
    with np.load(path) as cases:
        known = {name: cases[name].astype(np.float64) for name in cases.files}
    for row in range(len(known["gt_xyz"])):
        xyz, rot = known["pred_xyz"][row], known["pred_rot"][row]
        driven, driven_rot = known["gt_xyz"][row], known["gt_rot"][row]
        corners = corner_distance(xyz, rot, driven, driven_rot)
        assert corners.mean() == pytest.approx(known["corner.corner_distance"][row], abs=2e-6)
        assert corners.std() == pytest.approx(known["corner.corner_distance_std"][row], abs=2e-6)
        own = displacement_measures(xyz[..., :2], np.zeros(xyz.shape[:-1]), driven[:, :2], None)
        assert own["ade"] == pytest.approx(known["ade"][row].mean(), abs=2e-6)
        for end in ("", "_std"):
            for name in ("min_ade", *(f"min_ade/by_t={h:.1f}" for h in HORIZONS_SEC[:-1])):
                stored = f"minade.{name}{end}".replace("/", "|")
                assert own[f"{name}{end}"] == pytest.approx(known[stored][row], abs=2e-6), stored
