"""A configuration chooses among known parts and runs nothing else."""

import os

import pytest
import torch

from alpamayo_r1.action_space import UnicycleAccelCurvatureActionSpace
from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.delta_tokenizer import DeltaTrajectoryTokenizer
from alpamayo_r1.models.instantiate import ALLOWED_TARGETS, instantiate


@pytest.mark.parametrize("package", ["alpamayo_r1", "alpamayo1_5"])
@pytest.mark.parametrize("path", ["action_space.", "action_space.unicycle_accel_curvature."])
def test_both_names_of_the_package(package, path):
    built = instantiate({"_target_": f"{package}.{path}UnicycleAccelCurvatureActionSpace", "n_waypoints": 5})
    assert isinstance(built, UnicycleAccelCurvatureActionSpace)
    assert tuple(built.get_action_space_dims()) == (5, 2)


def test_arguments_of_the_call_win_and_hydras_settings_are_none():
    built = instantiate(
        {"_target_": "torch.nn.Linear", "_recursive_": False, "_convert_": "all", "in_features": 9},
        in_features=2,
        out_features=3,
    )
    assert isinstance(built, torch.nn.Linear)
    assert built.weight.shape == (3, 2)


def test_every_allowed_target_exists():
    for module, name in ALLOWED_TARGETS.values():
        assert hasattr(__import__(module, fromlist=[name]), name)


HOSTILE = ["os.system", "subprocess.run", "torch.load", "torch.nn.Conv2d", "builtins.eval", None, 3, ["x"]]


@pytest.mark.parametrize("target", [*HOSTILE, "alpamayo_r1.helper.to_device"])
def test_hostile_target(target, monkeypatch):
    monkeypatch.setattr(os, "system", lambda *_: pytest.fail("it ran"))
    with pytest.raises(AlpamayoError) as raised:
        instantiate({"_target_": target, "command": "true"})
    assert repr(target) in str(raised.value)


def test_no_mapping():
    with pytest.raises(AlpamayoError, match="_target_ None"):
        instantiate("torch.nn.Linear")  # type: ignore[arg-type]


def test_arguments_that_a_part_refuses():
    name = "alpamayo_r1.models.delta_tokenizer.DeltaTrajectoryTokenizer"
    assert isinstance(instantiate({"_target_": name}), DeltaTrajectoryTokenizer)
    with pytest.raises(AlpamayoError, match=r"DeltaTrajectoryTokenizer cannot be built from \['shape'\]"):
        instantiate({"_target_": name, "shape": 3})


def test_hostile_target_inside_a_part(tmp_path):
    with pytest.raises(AlpamayoError, match=r"'os\.system'"):
        instantiate(
            {
                "_target_": "alpamayo_r1.action_space.DiscreteTrajectoryTokenizer",
                "action_space_cfg": {"_target_": "os.system", "command": f"touch {tmp_path}/ran"},
                "dims_min": [-1, -1],
                "dims_max": [1, 1],
                "num_bins": 4,
            }
        )
    assert not list(tmp_path.iterdir())
