"""Settings of a training; torch is not needed for them."""

import json
import subprocess
import sys

import pytest

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.training.settings import Precision, Stage, load_settings

NEEDED = ("out=o", "model.path=m", "data.labels=l")


@pytest.mark.parametrize("stage", list(Stage))
def test_defaults(stage):
    settings = load_settings(stage, NEEDED)
    assert settings.stage is stage
    assert settings.data.components == ("image", "traj_history", "prompt", "cot", "traj_future")
    assert settings.data.loss_components == (("cot", "traj_future") if stage is Stage.LANGUAGE else ())
    assert settings.data.prepared == "o/prepared"
    assert len(settings.data.cameras) == 4
    assert settings.model.parts == {}
    assert settings.train.precision is Precision.BF16
    assert settings.train.resume == "auto"
    assert json.loads(json.dumps(settings.as_json()))["train"]["precision"] == "bf16"


def test_what_is_given():
    settings = load_settings(
        "stage2",
        [
            *NEEDED,
            "model.expert_cfg={hidden_size: 64}",
            "model.action_space_cfg={accel_std: 0.5}",
            "data.cameras=[camera_front_tele_30fov,camera_front_wide_120fov]",
            "data.prepared=shared",
            "vlm_cache_gb=1.5",
            "train.steps=7",
            "train.early_stop_patience=3",
            "train.resume=null",
        ],
    )
    assert settings.model.parts == {"expert_cfg": {"hidden_size": 64}, "action_space_cfg": {"accel_std": 0.5}}
    assert settings.data.cameras == ("camera_front_wide_120fov", "camera_front_tele_30fov")
    assert settings.data.prepared == "shared"
    assert settings.vlm_cache_bytes == 1_500_000_000
    assert settings.train.steps == 7
    assert settings.train.early_stop_patience == 3
    assert settings.train.resume is None


def test_components_come_in_the_models_order():
    settings = load_settings("stage1", [*NEEDED, "data.components=[traj_future,meta_action,cot,prompt,traj_history]"])
    assert settings.data.components == ("traj_history", "prompt", "cot", "meta_action", "traj_future")


@pytest.mark.parametrize(
    ("stage", "override", "said"),
    [
        ("stage1", "train.lrr=1", r"'train\.lrr=1': expected key=value with a key of stage1\. Did you mean train\.lr"),
        ("stage1", "train.lr", r"'train\.lr': expected key=value"),
        ("stage1", "vlm_cache_gb=1", "with a key of stage1"),
        ("stage1", "train.lr=-1", r"train\.lr=-1: expected a number above 0"),
        ("stage1", "train.lr=0", r"train\.lr=0: expected a number above 0"),
        ("stage1", "train.lr=.nan", r"train\.lr="),
        ("stage1", "train.lr=fast", r"train\.lr='fast': expected a number"),
        ("stage1", "train.batch_size=0", r"train\.batch_size=0: expected a whole number of at least 1"),
        ("stage1", "train.batch_size=true", r"train\.batch_size=True: expected a whole number"),
        ("stage1", "train.batch_size=1.5", r"train\.batch_size=1\.5: expected a whole number"),
        ("stage1", "train.precision=fp8", r"train\.precision='fp8': expected one of bf16, float32"),
        ("stage1", "train.gradient_checkpointing=3", r"gradient_checkpointing=3: expected true or false"),
        ("stage1", "data.components=[cot]", "expected traj_history, prompt and some of"),
        ("stage1", "data.components=[prompt,traj_history,song]", "found song"),
        ("stage1", "data.loss_components=[meta_action]", "meta_action: expected some of data.components"),
        ("stage1", "data.loss_components=[]", r"data\.loss_components=\[\]: expected a list of names"),
        ("stage1", "data.val_share=1", r"data\.val_share=1: expected a number from 0 up to 0\.9"),
        ("stage1", "data.cameras=[a,a]", r"data\.cameras: .*each once"),
        ("stage2", "data.components=[prompt,traj_history,cot]", "expected traj_future among them"),
        ("stage2", "vlm_cache_gb=-1", "vlm_cache_gb=-1: expected a number from 0"),
        ("stage2", "model.expert_cfg={", "configuration: "),
        ("stage2", "model=3", "model=3: expected a section"),
        ("stage2", "out=null", r"out=null: expected a text\. Give it: out="),
    ],
)
def test_what_cannot_be_meant(stage, override, said):
    with pytest.raises(AlpamayoError, match=said):
        load_settings(stage, [*NEEDED, override])


@pytest.mark.parametrize("missing", NEEDED)
def test_what_must_be_given(missing):
    key = missing.split("=")[0]
    with pytest.raises(AlpamayoError, match=rf"{key}=null: expected a text"):
        load_settings("stage1", [given for given in NEEDED if given != missing])


def test_no_torch():
    code = "import sys, alpamayo_r1.training.settings as s; s.load_settings('stage1', sys.argv[1:]); "
    code += "print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code, *NEEDED], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
