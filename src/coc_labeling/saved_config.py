"""The configuration that an experiment was made with: kept in its folder, compared, read back."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import ValidationError

from coc_labeling.config.loading import PRESETS, load_config
from coc_labeling.config.schema import RunConfig
from coc_labeling.errors import CocLabelingError
from coc_labeling.results import CONFIG, ExperimentFolder
from driving_clips import files

# A folder's records are comparable only while these stay the same.
MUST_AGREE = (
    "model_name",
    "model_path",
    "vlm_agent",
    "data.dataset_name",
    "data.driving_side",
    "data_loader.video.hist_length_sec",
    "data_loader.video.fut_length_sec",
    "data_loader.video.time_interval",
    "data_loader.video.cameras",
    "data_loader.video.jpeg_quality",
    "data_loader.video.max_side",
    "data_loader.video.max_pixels",
    "data_loader.meta_action",
    "data_loader.vector",
    "openai_compatible.model",
    "openai_compatible.response_format",
    "openai_compatible.token_parameter",
    "openai_compatible.omit_parameters",
    "openai_compatible.extra_body",
    "egress.redactor",
    "prompt",
)


def saved_config(folder: str, changes: Mapping[str, Any]) -> RunConfig:
    """Return the configuration of an experiment with some keys changed; keys that are newer have their defaults.

    Args:
        folder: the experiment's folder.
        changes: values by dotted key.

    Raises:
        CocLabelingError: there is none, or it does not fit; the message names the file.
    """
    path = files.join(folder, CONFIG)
    try:
        kept = json.loads(files.read_text(path))
        kept.pop("prompt", None)
        for key, value in changes.items():
            *sections, last = key.split(".")
            section = kept
            for name in sections:
                section = section[name]
            section[last] = value
        return RunConfig.model_validate(_filled(kept, default_values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        raise CocLabelingError(
            f"{path}: expected the configuration that the experiment was made with ({error}). Records must lie in "
            "their experiment folder."
        ) from error


@cache
def default_values() -> Mapping[str, Any]:
    """Return the default configuration as plain values, not to be changed."""
    return load_config(PRESETS[0], []).model_dump(mode="json")


def _filled(kept: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    filled = dict(defaults)
    for key, value in kept.items():
        inner = defaults.get(key)
        filled[key] = _filled(value, inner) if isinstance(value, dict) and isinstance(inner, dict) and inner else value
    return filled


def remember_config(folder: ExperimentFolder, config: dict[str, Any]) -> None:
    """Keep a run's configuration in its folder; a resumed run must label in the same way.

    Raises:
        CocLabelingError: the folder holds records made with another model, agent, dataset or window.
    """
    path = files.join(folder.path, CONFIG)  # one for all shards
    if not files.exists(path):
        files.write_atomic(path, json.dumps(config, indent=2) + "\n")
        return
    try:
        earlier = dict(json.loads(files.read_text(path)))
    except (ValueError, TypeError) as error:
        raise CocLabelingError(
            f"{path}: expected the configuration of this experiment ({error}). Restore the file, or delete it if the "
            "configuration has not changed."
        ) from error
    different = differences(earlier, config)
    if different:
        raise CocLabelingError(
            f"{folder.path}: cannot be resumed, its records were made otherwise: {'; '.join(different)}. "
            "Start a new experiment with resume_exp_dir=null."
        )


def differences(earlier: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Return, in words, where two configurations make records that do not belong together.

    Keys that the earlier one does not know had their defaults.
    """
    earlier = {**_filled(earlier, default_values()), "prompt": earlier.get("prompt")}
    return [
        f"{key} was {_value(earlier, key)!r} and is {_value(config, key)!r}"
        for key in MUST_AGREE
        if _value(earlier, key) != _value(config, key)
    ]


def _value(config: Mapping[str, Any], key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
