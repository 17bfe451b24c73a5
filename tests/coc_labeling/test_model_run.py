import pytest

from builders.checkpoints import write_checkpoint
from builders.runs import config
from coc_labeling.errors import CocLabelingError
from coc_labeling.model_clients.vlm_wrappers import LocalSettings
from coc_labeling.model_run import model_settings, open_model
from coc_labeling.run import without_effect
from coc_labeling.saved_config import default_values, differences


def test_what_a_model_inside_this_process_is_told():
    settings = model_settings(
        config(
            model_path="/models/mine",
            vllm__tensor_parallel=2,
            vllm__max_model_len=16384,
            vllm__gpu_memory_utilization=0.9,
            data_loader__video__cameras=["front", "left"],
        )
    )
    assert settings.local == LocalSettings(
        model_path="/models/mine",
        tensor_parallel=2,
        max_model_len=16384,
        gpu_memory_utilization=0.9,
        videos_per_prompt=4,  # both cameras in both stages
    )


@pytest.mark.parametrize("name", ["dummy", "openai_compatible"])
def test_a_checkpoint_is_for_qwen_models(name, tmp_path):
    path = write_checkpoint(tmp_path / "mine")
    own = config(
        model_name=name,
        model_path=str(path),
        data_loader__video__save_segment_videos=False,
        openai_compatible__base_url="http://127.0.0.1:1/v1",
        openai_compatible__model="x",
    )
    said = rf"model_path={path} is for models that run here, and model_name={name}"
    with pytest.raises(CocLabelingError, match=said):
        open_model(own)


def test_another_checkpoint_makes_other_records():
    other = {**default_values(), "model_path": "/models/mine"}
    assert differences(default_values(), other) == ["model_path was None and is '/models/mine'"]
    assert differences({}, default_values()) == []  # of a run before there were such keys


def test_labelling_without_a_model_has_no_use_for_its_engine():
    overrides = ["vllm.max_num_seqs=8", "model_path=/models/mine"]
    assert without_effect(overrides, asks_model=False) == ["vllm.max_num_seqs", "model_path"]
    assert without_effect(overrides, asks_model=True) == []
