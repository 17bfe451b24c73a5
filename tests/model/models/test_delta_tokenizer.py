"""Histories as tokens: against the reference, within half a bin, mirrored headings, and bad input."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import drives
from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.geometry import rot_of_yaw, unwrap, wrap, yaw_of
from alpamayo_r1.models.delta_tokenizer import DeltaTrajectoryTokenizer
from golden_model import case, differ, needs_golden


@needs_golden
class TestReference:
    def encode(self, own: DeltaTrajectoryTokenizer) -> torch.Tensor:
        arrays = case("1_tokens")
        xyz, rot = arrays["enc_xyz"], arrays["enc_rot"]
        return own.encode(xyz[:, :1], rot[:, :1], xyz, rot)

    def decode(self, own: DeltaTrajectoryTokenizer, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        arrays = case("1_tokens")
        return own.decode(arrays["enc_xyz"][:, :1], arrays["enc_rot"][:, :1], tokens)

    def test_positions(self):
        arrays, own = case("1_tokens"), DeltaTrajectoryTokenizer(num_bins=256)
        assert torch.equal(self.encode(own), arrays["enc_tokens"])
        xyz, rot = self.decode(own, arrays["enc_tokens"])
        assert differ(xyz, arrays["dec_xyz"]) < 1e-5
        assert differ(rot, arrays["dec_rot"]) < 1e-5

    def test_headings(self):
        arrays, own = case("1_tokens"), DeltaTrajectoryTokenizer(predict_yaw=True)
        assert torch.equal(self.encode(own), arrays["enc_yaw_tokens"])
        xyz, rot = self.decode(own, arrays["enc_yaw_tokens"])
        assert differ(xyz, arrays["dec_yaw_xyz"]) < 1e-5
        assert differ(rot, arrays["dec_yaw_rot"]) < 1e-5

    def test_in_the_prompt(self):
        """Places of the history (id 1196) get tokens from 925 on: 413 of <i0> and the 512 bins of the future."""
        arrays, own = case("1_tokens"), DeltaTrajectoryTokenizer(num_bins=256)
        pose = arrays["hist_xyz"], arrays["hist_rot"]
        fused = arrays["input_ids"].clone()
        fused[fused == 1196] = (own.encode(*pose, *pose) + 925).flatten()
        assert torch.equal(fused, arrays["fused_input_ids"])


def _steps(bound: float) -> st.SearchStrategy[torch.Tensor]:
    step = st.tuples(*[st.floats(-bound, bound)] * 3)
    return st.lists(step, min_size=16, max_size=16).map(lambda rows: torch.tensor(rows, dtype=torch.float32))


@given(_steps(3.9), st.sampled_from([256, 1000]))
def test_steps_come_back_within_half_a_bin(steps, num_bins):
    own = DeltaTrajectoryTokenizer(num_bins=num_bins)
    assert own.vocab_size == num_bins
    xyz, rot = steps.cumsum(dim=0), torch.eye(3).expand(16, 3, 3)
    tokens = own.encode(xyz, rot, xyz, rot)
    assert tokens.shape == (48,)
    assert tokens.dtype == torch.int64
    back, _ = own.decode(xyz, rot, tokens)
    found = back.diff(dim=0, prepend=torch.zeros(1, 3))
    wanted = xyz.diff(dim=0, prepend=torch.zeros(1, 3))
    assert ((found - wanted).abs() <= torch.tensor(own.bins.widths) / 2 + 1e-4).all()


@given(_steps(40.0))
def test_longer_steps_get_the_end_bins(steps):
    own = DeltaTrajectoryTokenizer()
    xyz, rot = steps.cumsum(dim=0), torch.eye(3).expand(16, 3, 3)
    tokens = own.encode(xyz, rot, xyz, rot).unflatten(-1, (-1, 3))
    assert tokens.min() >= 0
    assert tokens.max() <= 999
    moved = xyz.diff(dim=0, prepend=torch.zeros(1, 3))
    assert (tokens[..., :2][moved[..., :2] > 4.0] == 999).all()
    assert (tokens[..., :2][moved[..., :2] < -4.0] == 0).all()


@given(st.lists(st.floats(-3.0, 3.0), min_size=16, max_size=16))
def test_decoded_headings_are_mirrored(turns):
    own = DeltaTrajectoryTokenizer(predict_yaw=True, num_bins=2000)
    yaw = torch.tensor(turns).cumsum(dim=0)
    xyz, rot = torch.zeros(16, 3), rot_of_yaw(yaw)
    tokens = own.encode(xyz, rot, xyz, rot)
    assert tokens.shape == (64,)
    _, back = own.decode(xyz, rot, tokens)
    half_bins = 16 * own.bins.widths[3] / 2  # one of each step
    assert wrap(yaw_of(back) + yaw).abs().max() <= half_bins + 1e-4


def test_headings_from_positions():
    """Without a channel of headings they are those of the path."""
    drive = drives.drive(lambda t: 10.0 + t, lambda t: 0 * t + 0.05)
    own = DeltaTrajectoryTokenizer(num_bins=100_000)
    _, rot = own.decode(*drive.history, own.encode(*drive.history, *drive.history))
    assert (unwrap(yaw_of(rot)) - unwrap(yaw_of(drive.hist_rot))).abs().max() < 0.005


def test_standing_still_points_ahead():
    own = DeltaTrajectoryTokenizer(num_bins=1001)  # an odd number has a bin of zero
    xyz, rot = torch.zeros(2, 16, 3), torch.eye(3).expand(2, 16, 3, 3)
    back, back_rot = own.decode(xyz, rot, own.encode(xyz, rot, xyz, rot))
    assert not back.any()
    assert differ(back_rot, rot) == 0


def test_leading_dimensions_and_autocast():
    drive = drives.drive(lambda t: 10.0 + t, lambda t: 0 * t + 0.05)
    history = [tensor.expand(5, 1, *tensor.shape) for tensor in drive.history]
    own = DeltaTrajectoryTokenizer()
    tokens = own.encode(*history, *history)
    assert tokens.shape == (5, 1, 48)
    xyz, rot = own.decode(*history, tokens)
    assert xyz.shape == (5, 1, 16, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        again = own.decode(*history, own.encode(*history, *history))
    assert torch.equal(again[0], xyz)
    assert torch.equal(again[1], rot)


def test_few_steps_have_a_smaller_window():
    own = DeltaTrajectoryTokenizer(num_bins=100_000)
    xyz = torch.arange(1, 6)[:, None] * torch.tensor([1.0, 1.0, 0.0])
    rot = rot_of_yaw(torch.full((5,), math.pi / 4))
    _, back = own.decode(xyz, rot, own.encode(xyz, rot, xyz, rot))
    assert differ(back, rot) < 1e-3
    with pytest.raises(AlpamayoError, match="expected at least 4 steps to fit headings to, found 3"):
        own.decode(xyz, rot, own.encode(xyz[:3], rot[:3], xyz[:3], rot[:3]))


@pytest.mark.parametrize(
    ("xyz", "rot", "message"),
    [
        (torch.full((16, 3), math.nan), torch.zeros(16, 3, 3), r"trajectory positions: .*found nan at \[0, 0\]"),
        (torch.zeros(16, 2), torch.zeros(16, 3, 3), r"\(\.\.\., T, 3\), found \(16, 2\)"),
        (torch.zeros(16, 3, dtype=torch.int32), torch.zeros(16, 3, 3), "floating-point"),
        (torch.zeros(16, 3), torch.zeros(15, 3, 3), "as many rotations as positions"),
    ],
)
def test_bad_trajectories(xyz, rot, message):
    with pytest.raises(AlpamayoError, match=message):
        DeltaTrajectoryTokenizer().encode(xyz, rot, xyz, rot)


def test_bad_tokens():
    own, pose = DeltaTrajectoryTokenizer(), (torch.zeros(1, 3), torch.zeros(1, 3, 3))
    with pytest.raises(AlpamayoError, match="tokens: expected 0 to 999, found 1000"):
        own.decode(*pose, torch.full((48,), 1000))
    with pytest.raises(AlpamayoError, match=r"a multiple of 3\), found \(47,\)"):
        own.decode(*pose, torch.zeros(47, dtype=torch.int64))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ego_xyz_min": (-4, -4)}, r"ego_xyz_min: expected 3 numbers, found \(-4, -4\)"),
        ({"ego_xyz_max": (4, -5, 10)}, "lower bounds below upper bounds"),
        ({"num_bins": 0}, "num_bins: expected at least 2, found 0"),
        ({"predict_yaw": True, "ego_yaw_max": -4.0}, "lower bounds below upper bounds"),
    ],
)
def test_bad_configuration(options, message):
    with pytest.raises(AlpamayoError, match=message):
        DeltaTrajectoryTokenizer(**options)
