"""Sampling and training by flow matching: against the reference, and what holds for any field."""

import math

import pytest
import torch

from alpamayo_r1.diffusion.flow_matching import FlowMatching
from alpamayo_r1.errors import AlpamayoError
from golden_model import case, differ, needs_golden


def waves(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Return the field of the reference."""
    return torch.sin(2 * x) + 1.5 * t - 0.3 * x


@needs_golden
class TestReference:
    @pytest.mark.parametrize("steps", [10, 4])
    def test_sampling(self, monkeypatch, steps):
        arrays = case("3_flow_matching")
        drawn = []
        monkeypatch.setattr(torch, "randn", lambda *size, **_: drawn.append(size) or arrays["x0"])
        path, times = FlowMatching(x_dims=(64, 2)).sample(2, waves, return_all_steps=True, inference_step=steps)
        assert drawn == [(2, 64, 2)]  # one draw for all
        assert differ(path, arrays[f"euler{steps}_all"]) < 1e-5
        assert differ(times, arrays[f"euler{steps}_t"]) < 1e-6

    def test_training(self, monkeypatch):
        arrays = case("3_flow_matching")
        own = FlowMatching(x_dims=[64, 2])
        monkeypatch.setattr(torch, "randn_like", lambda _: arrays["noise"])
        monkeypatch.setattr(own.beta_dist, "sample", lambda shape: arrays["beta_draw"].reshape(shape))
        data = own.construct_training_data(arrays["x"])
        assert differ(data["timesteps"], arrays["timesteps"]) < 1e-6
        assert differ(data["noisy_x"], arrays["noisy_x"]) < 1e-6
        assert torch.equal(data["noise"], arrays["noise"])
        assert differ(own.compute_loss_from_pred(data, arrays["pred"]), arrays["loss"]) < 1e-5


def test_defaults_and_last_step():
    own = FlowMatching(x_dims=(64, 2))
    calls = []

    def field(x, t):
        calls.append(float(t[0, 0, 0]))
        assert t.shape == (3, 1, 1)
        return torch.ones_like(x)

    torch.manual_seed(7)
    x = own.sample(3, field)
    torch.manual_seed(7)
    noise = torch.randn(3, 64, 2)
    assert differ(x, noise + 1) < 1e-5
    assert calls == pytest.approx([i / 10 for i in range(10)])


def test_the_true_field_leads_to_the_data():
    """From anywhere, (data - x) / (1 - t) ends at the data, whatever the number of steps."""
    data = torch.randn(4, 8, 2)
    own = FlowMatching(x_dims=(8, 2), num_inference_steps=3)
    assert differ(own.sample(4, lambda x, t: (data - x) / (1 - t)), data) < 1e-5


def test_a_field_in_half_precision():
    own = FlowMatching(x_dims=(8, 2))
    assert own.sample(2, lambda x, t: x.bfloat16()).dtype == torch.float32


def test_times_of_training():
    torch.manual_seed(0)
    own = FlowMatching(x_dims=(2,))
    times = own.construct_training_data(torch.zeros(20_000, 2))["timesteps"]
    assert times.shape == (20_000, 1)
    assert times.min() >= 0
    assert times.max() <= 0.999
    assert times.mean().item() == pytest.approx(0.999 * (1 - 1.5 / 2.5), abs=0.005)  # the mean of Beta(1.5, 1) is 0.6
    uniform = FlowMatching(x_dims=(2,), train_timestep_sampler="uniform")
    assert uniform.construct_training_data(torch.zeros(20_000, 2))["timesteps"].mean().item() == pytest.approx(
        0.5, abs=0.01
    )


def test_the_right_prediction_costs_nothing():
    own = FlowMatching(x_dims=(64, 2))
    data = own.construct_training_data(torch.randn(4, 64, 2))
    assert own.compute_loss_from_pred(data, data["x"] - data["noise"]) == 0


def test_it_is_usable_when_a_model_is_made_without_memory():
    with torch.device("meta"):
        own = FlowMatching(x_dims=(64, 2))
    assert own.construct_training_data(torch.zeros(2, 64, 2))["timesteps"].device.type == "cpu"
    assert list(own.state_dict()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"int_method": "heun"}, "int_method: expected 'euler', found 'heun'"),
        ({"train_timestep_sampler": "normal"}, "train_timestep_sampler: .*found 'normal'"),
        ({"num_inference_steps": 0}, "inference steps: expected a number from 1, found 0"),
        ({"x_dims": (64, 0)}, r"x_dims: expected positive sizes of one sample, found \(64, 0\)"),
        ({"x_dims": ()}, "x_dims"),
    ],
)
def test_bad_configuration(options, message):
    with pytest.raises(AlpamayoError, match=message):
        FlowMatching(**({"x_dims": (64, 2)} | options))


def test_bad_arguments():
    own = FlowMatching(x_dims=(64, 2))
    with pytest.raises(AlpamayoError, match=r"inference steps: .* found 2\.5"):
        own.sample(2, waves, inference_step=2.5)
    with pytest.raises(AlpamayoError, match=r"int_method: .* 'rk4'"):
        own.sample(2, waves, int_method="rk4")
    with pytest.raises(AlpamayoError, match=r"vector field: expected the shape \(2, 64, 2\), found \(2, 64, 1\)"):
        own.sample(2, lambda x, t: x[..., :1])
    with pytest.raises(AlpamayoError, match=r"x: expected \(B, 64, 2\), found \(2, 63, 2\)"):
        own.construct_training_data(torch.zeros(2, 63, 2))
    with pytest.raises(AlpamayoError, match=r"x: expected finite numbers, found nan at \[0, 0, 0\]"):
        own.construct_training_data(torch.full((2, 64, 2), math.nan))
    with pytest.raises(AlpamayoError, match="x: expected floating-point"):
        own.construct_training_data(torch.zeros(2, 64, 2, dtype=torch.int64))
    data = own.construct_training_data(torch.zeros(2, 64, 2))
    with pytest.raises(AlpamayoError, match=r"predicted vector field: expected the shape \(2, 64, 2\)"):
        own.compute_loss_from_pred(data, torch.zeros(2, 64, 1))


def test_a_seed_decides_noise_and_times():
    own = FlowMatching(x_dims=(4,))
    torch.manual_seed(3)
    first = own.construct_training_data(torch.zeros(5, 4))
    torch.manual_seed(3)
    again = own.construct_training_data(torch.zeros(5, 4))
    assert torch.equal(first["noise"], again["noise"])
    assert torch.equal(first["timesteps"], again["timesteps"])


def test_noise_that_is_given():
    own = FlowMatching("euler", "beta", 3, (4,))
    noise = torch.arange(8.0).reshape(2, 4)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    path, _ = own.sample(2, lambda x, t: x, return_all_steps=True, noise=noise)
    assert torch.equal(path[:, 0], noise)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(AlpamayoError, match=r"noise: expected \(3, 4\), found \(2, 4\)"):
        own.sample(3, lambda x, t: x, noise=noise)


def test_times_and_targets_keep_float32_under_half_precision():
    flow = FlowMatching(x_dims=(8, 2))
    data = flow.construct_training_data(torch.zeros(4, 8, 2, dtype=torch.bfloat16))
    assert {value.dtype for value in data.values()} == {torch.float32}
    assert flow.compute_loss_from_pred(data, torch.zeros(4, 8, 2, dtype=torch.bfloat16)).dtype == torch.float32
