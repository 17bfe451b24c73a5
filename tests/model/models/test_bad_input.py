"""Data, arguments and configurations that cannot be used."""

import pytest
import torch

from alpamayo_r1.errors import AlpamayoError
from tiny_model import BASE, PARTS, SceneSpec, data_of, tiny_model, write_base


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("base") / BASE)


@pytest.fixture(scope="module")
def model(base):
    return tiny_model(base)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop("tokenized_data"), "tokenized_data: expected what processor"),
        (lambda data: data.update(tokenized_data={}), "tokenized_data: expected what processor"),
        (
            lambda data: data.pop("ego_history_xyz"),
            "expected ego_history_xyz, found tokenized_data",
        ),
        (
            lambda data: data["ego_history_xyz"].fill_(float("nan")),
            "ego_history .*expected finite .* found nan",
        ),
        (
            lambda data: data["ego_history_rot"].fill_(float("inf")),
            "ego_history .*expected finite .* found inf",
        ),
        (lambda data: data.update(ego_history_xyz=torch.zeros(1, 16, 3)), "ego_history"),
        (
            lambda data: data.update(ego_history_xyz=torch.zeros(1, 1, 16, 3, dtype=torch.int64)),
            "ego_history .*found torch.int64",
        ),
        (
            lambda data: data.update(
                ego_history_xyz=torch.zeros(1, 2, 16, 3), ego_history_rot=torch.eye(3).expand(1, 2, 16, 3, 3)
            ),
            r"expected one history per scene.*found \(1, 2, 16, 3\)",
        ),
        (
            lambda data: data.update(
                ego_history_xyz=torch.zeros(1, 1, 5, 3), ego_history_rot=torch.eye(3).expand(1, 1, 5, 3, 3)
            ),
            "expected 15 placeholders",
        ),
        (
            lambda data: data.update(
                ego_history_xyz=torch.zeros(2, 1, 16, 3), ego_history_rot=torch.eye(3).expand(2, 1, 16, 3, 3)
            ),
            "in each of 2 rows, found",
        ),
        (
            lambda data: data["tokenized_data"].update(pixel_values=data["tokenized_data"]["pixel_values"][:-4]),
            "pixel_values: expected 32 patches",
        ),
        (lambda data: data["tokenized_data"]["pixel_values"].fill_(float("nan")), "pixel_values: expected finite"),
        (
            lambda data: data["tokenized_data"].update(attention_mask=torch.ones(1, 3, dtype=torch.int64)),
            r"attention_mask: expected .* found \(1, 3\)",
        ),
        (
            lambda data: data["tokenized_data"]["attention_mask"][:, -3:].zero_(),
            "expected padding on the left only",
        ),
        (
            lambda data: data["tokenized_data"].update(input_ids=data["tokenized_data"]["input_ids"].float()),
            "input_ids: expected integers",
        ),
    ],
)
def test_data(model, change, message):
    data = data_of(model, SceneSpec())
    data["tokenized_data"] = dict(data["tokenized_data"])
    change(data)
    with pytest.raises(AlpamayoError, match=message) as raised:
        model.sample_trajectories_from_data_with_vlm_rollout(data | {"clip_id": "clip-7"}, num_traj_samples=1)
    assert str(raised.value).startswith("clip clip-7: ")


def test_no_mapping(model):
    with pytest.raises(AlpamayoError, match="data: expected a mapping"):
        model.sample_trajectories_from_data_with_vlm_rollout([1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_generation_length": 1}, "max_generation_length: expected at least 2"),
        ({"num_traj_samples": 0}, "num_traj_samples: expected a number from 1, found 0"),
        ({"num_traj_sets": 1.5}, "num_traj_sets: .*found 1.5"),
        ({"temperature": -1.0}, "temperature: .*found -1.0"),
    ],
)
def test_arguments(model, arguments, message):
    with pytest.raises(AlpamayoError, match=message):
        model.sample_trajectories_from_data_with_vlm_rollout(data_of(model, SceneSpec()), **arguments)


def test_configuration_without_a_part(base):
    with pytest.raises(AlpamayoError, match="action_space_cfg: expected a _target_"):
        tiny_model(base, action_space_cfg=None)
    with pytest.raises(AlpamayoError, match=r"expert_cfg: num_hidden_layers 1"):
        tiny_model(base, expert_cfg=PARTS["expert_cfg"] | {"num_hidden_layers": 1})
