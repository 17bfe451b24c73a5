"""Futures as tokens: against the reference, within half a bin, and on bad input."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import drives
from alpamayo_r1.action_space import DiscreteTrajectoryTokenizer, UnicycleAccelCurvatureActionSpace
from alpamayo_r1.errors import AlpamayoError
from golden_model import case, differ, needs_golden

TARGET = "alpamayo_r1.action_space.UnicycleAccelCurvatureActionSpace"
SPACE_CFG = {"_target_": TARGET, "accel_mean": 0.07, "accel_std": 0.85, "curvature_mean": 0.0004, "curvature_std": 0.03}


def tokenizer(**changes) -> DiscreteTrajectoryTokenizer:
    options = {"action_space_cfg": SPACE_CFG, "dims_min": [-8.0, -6.0], "dims_max": [8.0, 6.0], "num_bins": 512}
    return DiscreteTrajectoryTokenizer(**(options | changes))


@needs_golden
def test_reference():
    arrays = case("2_action_space")
    history, future = (arrays["hist_xyz"], arrays["hist_rot"]), (arrays["fut_xyz"], arrays["fut_rot"])
    tokens = tokenizer().encode(*history, *future)
    assert torch.equal(tokens, arrays["traj_tokens"])
    assert tokens.dtype == torch.int64
    xyz, rot = tokenizer().decode(*history, arrays["traj_tokens"])
    assert differ(xyz, arrays["traj_tokens_xyz"]) < 1e-3
    assert differ(rot, arrays["traj_tokens_rot"]) < 1e-5


@given(drives.curves(), st.sampled_from([16, 512, 3000]))
def test_actions_come_back_within_half_a_bin(drive, num_bins):
    own = tokenizer(num_bins=num_bins)
    tokens = own.encode(*drive.all)
    assert tokens.shape == (128,)
    assert own.vocab_size == num_bins
    action = own.action_space.traj_to_action(*drive.all)
    widths = torch.tensor(own.bins.widths)
    inside = (action > torch.tensor([-8.0, -6.0])) & (action < torch.tensor([8.0, 6.0]))
    back = own.bins.decode(tokens.unflatten(-1, (-1, 2)), like=action)
    assert ((back - action).abs() <= widths * 0.5001)[inside].all()


def test_actions_beyond_the_ends_get_the_end_bins():
    own = tokenizer(dims_min=[-0.1, -0.1], dims_max=[0.1, 0.1])
    drive = drives.drive(lambda t: 10.0 + 2.0 * t, lambda t: 0 * t - 0.03)
    tokens = own.encode(*drive.all).unflatten(-1, (-1, 2))
    assert set(tokens[:, 0].tolist()) == {511}
    assert set(tokens[:, 1].tolist()) == {0}


def test_leading_dimensions():
    drive = drives.drive(lambda t: 0 * t + 8.0, lambda t: 0 * t + 0.02)
    batch = [tensor.expand(3, 1, *tensor.shape) for tensor in drive.all]
    tokens = tokenizer().encode(*batch)
    assert tokens.shape == (3, 1, 128)
    xyz, rot = tokenizer().decode(*batch[:2], tokens)
    assert xyz.shape == (3, 1, 64, 3)
    assert rot.shape == (3, 1, 64, 3, 3)
    assert (xyz[2, 0] - drive.fut_xyz).norm(dim=-1).max() < 1.0  # bins are coarse


@pytest.mark.parametrize("package", ["alpamayo_r1", "alpamayo1_5"])
@pytest.mark.parametrize("module", ["action_space", "action_space.unicycle_accel_curvature"])
def test_names_of_the_action_space(package, module):
    target = f"{package}.{module}.UnicycleAccelCurvatureActionSpace"
    assert tokenizer(action_space_cfg=SPACE_CFG | {"_target_": target}).action_space.n_waypoints == 64


def test_it_is_usable_when_a_model_is_made_without_memory():
    with torch.device("meta"):
        own = tokenizer()
    drive = drives.drive(lambda t: 0 * t + 8.0, lambda t: 0 * t + 0.02)
    assert own.encode(*drive.all).device.type == "cpu"


def test_an_action_space_that_exists():
    space = UnicycleAccelCurvatureActionSpace()
    assert tokenizer(action_space_cfg=space).action_space is space


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"action_space_cfg": {"_target_": "os.system"}}, r"os\.system"),
        ({"action_space_cfg": {}}, "_target_"),
        ({"action_space_cfg": SPACE_CFG | {"colour": 3}}, "colour"),
        (
            {"action_space_cfg": {"_target_": "torch.nn.Linear", "in_features": 1, "out_features": 1}},
            r"expected an action space, found 'torch\.nn\.Linear'",
        ),
        ({"dims_min": [0.0]}, r"dims_min: expected 2 numbers, found \[0\.0\]"),
        ({"dims_min": [9.0, 0.0]}, "lower bounds below upper bounds"),
        ({"num_bins": 1}, "num_bins: expected at least 2, found 1"),
    ],
)
def test_bad_configuration(changes, message):
    with pytest.raises(AlpamayoError, match=message):
        tokenizer(**changes)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (torch.full((128,), 512), "tokens: expected 0 to 511, found 512"),
        (torch.full((128,), -1), "found -1"),
        (torch.zeros(128), r"tokens: expected integers, found torch\.float32"),
        (torch.zeros(127, dtype=torch.int64), r"a multiple of 2\), found \(127,\)"),
        (torch.zeros(126, dtype=torch.int64), r"action: expected the shape \(\.\.\., 64, 2\), found \(63, 2\)"),
    ],
)
def test_bad_tokens(tokens, message):
    drive = drives.drive(lambda t: 0 * t + 8.0, lambda t: 0 * t)
    with pytest.raises(AlpamayoError, match=message):
        tokenizer().decode(*drive.history, tokens)


def test_bad_future():
    drive = drives.drive(lambda t: 0 * t + 8.0, lambda t: 0 * t)
    with pytest.raises(AlpamayoError, match="future positions: expected finite numbers, found nan"):
        tokenizer().encode(*drive.history, drive.fut_xyz * math.nan, drive.fut_rot)
