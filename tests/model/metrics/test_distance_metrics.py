"""Distances of predictions: against the reference, and what holds for any of them."""

import pytest
import torch

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.geometry import rot_of_yaw
from alpamayo_r1.metrics.distance_metrics import compute_ade, compute_grouped_corner_distance, compute_minade
from golden_model import case, differ, needs_golden


@needs_golden
class TestReference:
    def test_ade(self):
        arrays = case("2_metrics")
        pose = arrays["pred_xyz"], arrays["gt_xyz"]
        assert differ(compute_ade(*pose), arrays["ade"]) < 1e-5
        assert differ(compute_ade(*pose, only_xy=False), arrays["ade_xyz"]) < 1e-5
        assert differ(compute_ade(*pose, timestep_horizon=30), arrays["ade_h30"]) < 1e-5

    @pytest.mark.parametrize(("prefix", "without"), [("minade.", False), ("minade_nosummary.", True)])
    def test_minade(self, prefix, without):
        arrays = case("2_metrics")
        self.check(prefix, compute_minade(arrays["pred_xyz"], arrays["gt_xyz"], disable_summary=without))

    @pytest.mark.parametrize(("prefix", "sets"), [("corner.", 2), ("corner1.", 1)])
    def test_corner_distance(self, prefix, sets):
        arrays = case("2_metrics")
        pred_xyz, pred_rot = arrays["pred_xyz"][:, :sets], arrays["pred_rot"][:, :sets]
        self.check(prefix, compute_grouped_corner_distance(pred_xyz, pred_rot, arrays["gt_xyz"], arrays["gt_rot"]))

    def check(self, prefix: str, found: dict[str, torch.Tensor]) -> None:
        wanted = {
            key.removeprefix(prefix).replace("|", "/"): value
            for key, value in case("2_metrics").items()
            if key.startswith(prefix)
        }
        assert set(found) == set(wanted)
        assert all(differ(found[key], wanted[key]) < 1e-5 for key in wanted)


def predictions(b: int = 2, n: int = 3, k: int = 4, t: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(5)
    driven = torch.randn(b, t, 3).cumsum(dim=1)
    return driven[:, None, None] + torch.randn(b, n, k, t, 3).cumsum(dim=3), driven


def test_what_was_driven_costs_nothing():
    _, driven = predictions()
    same = driven[:, None, None].expand(-1, 3, 4, -1, -1)
    rot = torch.eye(3).expand(*same.shape[:-1], 3, 3)
    assert not compute_ade(same, driven).any()
    assert all(not value.any() for value in compute_minade(same, driven).values())
    corners = compute_grouped_corner_distance(same, rot, driven, rot[:, 0, 0])
    assert all(not value.any() for value in corners.values())


def test_the_best_over_all_steps_is_best_at_every_horizon():
    driven = torch.zeros(1, 64, 3)
    early, late = torch.zeros(64, 3), torch.zeros(64, 3)
    early[:5, 0] = 1.0  # 5 / 64 on average, but 1 m in the first half second
    late[5:, 0] = 1.0
    found = compute_minade(torch.stack([early, late])[None, None], driven)
    assert found["min_ade"].item() == pytest.approx(5 / 64)
    assert found["min_ade/by_t=0.5"].item() == pytest.approx(1.0)


def test_horizons_that_were_not_predicted_are_left_out():
    pred_xyz, driven = predictions(t=10)
    assert sorted(compute_minade(pred_xyz, driven, disable_summary=True)) == [
        "min_ade",
        "min_ade/by_t=0.5",
        "min_ade/by_t=1.0",
    ]


def test_height_counts_only_where_it_is_asked_for():
    pred_xyz, driven = predictions()
    raised = pred_xyz + torch.tensor([0.0, 0.0, 3.0])
    assert torch.equal(compute_ade(raised, driven), compute_ade(pred_xyz, driven))
    assert (compute_ade(raised, driven, only_xy=False) > compute_ade(raised, driven)).all()


def test_corners_count_heading():
    """Turned about by half, the corners of a 4 m x 3 m box are 5 m off."""
    xyz = torch.zeros(1, 1, 1, 7, 3)
    turned = rot_of_yaw(torch.full((1, 1, 1, 7), torch.pi))
    found = compute_grouped_corner_distance(xyz, turned, xyz[:, 0, 0], torch.eye(3).expand(1, 7, 3, 3))
    assert found["corner_distance"].item() == pytest.approx(5.0)


def test_a_prediction_of_nan_is_no_distance():
    pred_xyz, driven = predictions()
    pred_xyz[1, 2, 3, 4, 0] = float("nan")
    with pytest.raises(AlpamayoError, match=r"predicted positions: .* found nan at \[1, 2, 3, 4, 0\]"):
        compute_minade(pred_xyz, driven)


def test_bad_shapes():
    pred_xyz, driven = predictions()
    rot = torch.eye(3).expand(*pred_xyz.shape[:-1], 3, 3)
    with pytest.raises(AlpamayoError, match=r"predicted positions: expected \(scenes, sets, samples, steps, 3\)"):
        compute_ade(pred_xyz[0], driven)
    with pytest.raises(AlpamayoError, match=r"driven positions: expected the shape \(2, 64, 3\), found \(2, 63, 3\)"):
        compute_minade(pred_xyz, driven[:, 1:])
    with pytest.raises(AlpamayoError, match="timestep_horizon: expected 1 to 64 steps, found 65"):
        compute_ade(pred_xyz, driven, timestep_horizon=65)
    with pytest.raises(AlpamayoError, match=r"driven rotations: expected the shape \(2, 64, 3, 3\), found \(2, 3, 3\)"):
        compute_grouped_corner_distance(pred_xyz, rot, driven, rot[:, 0, 0, 0])
    with pytest.raises(AlpamayoError, match="dims: expected length, width and height"):
        compute_grouped_corner_distance(pred_xyz, rot, driven, rot[:, 0, 0], dims=(4.0, 2.0))
