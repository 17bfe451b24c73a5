"""Noisy actions as tokens of the expert: against the reference and a checkpoint's names."""

import json
import math

import pytest
import torch
from safetensors import safe_open

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.action_in_proj import FourierEncoder, PerWaypointActionInProjV2
from golden_model import GOLDEN, case, differ, needs_golden


def checkpoint_weights(prefix: str) -> dict[str, torch.Tensor]:
    folder = GOLDEN / "checkpoint"
    files = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    found = {}
    for name, file in files.items():
        if name.startswith(prefix):
            with safe_open(folder / file, "pt") as weights:
                found[name.removeprefix(prefix)] = weights.get_tensor(name)
    return found


@needs_golden
def test_reference():
    arrays = case("4_action_proj")
    projection = PerWaypointActionInProjV2(in_dims=(64, 2), out_dim=64, hidden_size=64)
    projection.load_state_dict(checkpoint_weights("action_in_proj."))  # strict: the names are the checkpoint's
    with torch.no_grad():
        out = projection(arrays["x"], arrays["t"])
    print(f"largest difference of projected actions: {differ(out, arrays['out']):.1e}")
    assert differ(out, arrays["out"]) < 1e-5
    out_projection = torch.nn.Linear(64, 2)
    out_projection.load_state_dict(checkpoint_weights("action_out_proj."))
    with torch.no_grad():
        assert differ(out_projection(out), arrays["out_proj"]) < 1e-5


@needs_golden
def test_frequencies():
    assert differ(FourierEncoder(20, 100.0).freqs, case("4_action_proj")["fourier_freqs"]) < 1e-5


def test_features():
    features = FourierEncoder(20, 100.0)(torch.tensor([0.25]))
    assert features.shape == (1, 20)
    assert features[0, 0].item() == pytest.approx(math.sqrt(2))  # sin(2 pi 0.25) at frequency 1
    assert features[0, 10].item() == pytest.approx(0.0, abs=1e-6)  # and its cosine


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 1, 1)])
def test_times_may_have_further_axes(shape):
    torch.manual_seed(0)
    projection = PerWaypointActionInProjV2(in_dims=(8, 2), out_dim=16, hidden_size=32)
    x, t = torch.randn(3, 8, 2), torch.tensor([0.0, 0.5, 1.0])
    assert torch.equal(projection(x, t.reshape(shape)), projection(x, t))


def test_each_waypoint_for_itself():
    torch.manual_seed(0)
    projection = PerWaypointActionInProjV2(in_dims=(8, 2), out_dim=16, hidden_size=32)
    x, t = torch.randn(3, 8, 2), torch.rand(3)
    changed = x.clone()
    changed[1, 4] += 1.0
    moved = (projection(changed, t) - projection(x, t)).abs().amax(dim=-1) > 1e-4
    assert moved.nonzero().tolist() == [[1, 4]]


@pytest.mark.parametrize("autocast", [False, True])
def test_half_precision(autocast):
    """Frequencies stay as they are: 100 turns, rounded to 8 bits, would be others."""
    torch.manual_seed(0)
    projection = PerWaypointActionInProjV2(in_dims=(8, 2), out_dim=16, hidden_size=32)
    x, t = torch.randn(3, 8, 2), torch.rand(3)
    with torch.no_grad():
        wanted = projection(x, t)
    if not autocast:
        projection = projection.to(torch.bfloat16)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        found = projection(x, t)
    assert differ(found, wanted) < 0.1
    if not autocast:
        assert found.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("x", "t", "message"),
    [
        (torch.zeros(3, 8, 3), torch.zeros(3), r"actions: expected \(B, waypoints, 2\), found \(3, 8, 3\)"),
        (torch.zeros(8, 2), torch.zeros(8), r"found \(8, 2\)"),
        (torch.zeros(3, 8, 2), torch.zeros(2), r"timesteps: expected 3 of them, one per sample, found \(2,\)"),
    ],
)
def test_bad_shapes(x, t, message):
    with pytest.raises(AlpamayoError, match=message):
        PerWaypointActionInProjV2(in_dims=(8, 2), out_dim=16, hidden_size=32)(x, t)


def test_odd_features():
    with pytest.raises(AlpamayoError, match="num_fourier_feats: expected an even number from 2, found 5"):
        PerWaypointActionInProjV2(in_dims=(8, 2), out_dim=16, num_fourier_feats=5)
