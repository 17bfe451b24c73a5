import json
from pathlib import Path

import pytest

from coc_labeling.errors import CocLabelingError
from coc_labeling.results import CONFIG, ExperimentFolder
from coc_labeling.saved_config import default_values, remember_config, saved_config


@pytest.fixture
def folder(tmp_path) -> ExperimentFolder:
    return ExperimentFolder(str(tmp_path))


def older(**changes) -> dict:
    """A configuration of before ``driving_side`` and ``scene_facts`` were there."""
    config = json.loads(json.dumps(default_values()))
    del config["data"]["driving_side"], config["vlm_agent"]["scene_facts"]
    return {**config, "prompt": {"version": "1"}, **changes}


def keep(folder, config) -> None:
    Path(folder.path, CONFIG).write_text(json.dumps(config))


def today(**changes) -> dict:
    return {**json.loads(json.dumps(default_values())), "prompt": {"version": "1"}, **changes}


def test_an_experiment_of_before_a_key_was_there_is_resumed_with_its_default(folder):
    keep(folder, older())
    remember_config(folder, today())
    assert saved_config(folder.path, {}).data.driving_side == "auto"


def test_and_not_with_another_value(folder):
    keep(folder, older())
    config = today()
    config["vlm_agent"]["scene_facts"] = True
    with pytest.raises(CocLabelingError, match="cannot be resumed, its records were made otherwise: vlm_agent was"):
        remember_config(folder, config)


def test_another_prompt_makes_other_records(folder):
    keep(folder, older())
    with pytest.raises(CocLabelingError, match="prompt was"):
        remember_config(folder, today(prompt={"version": "2"}))
