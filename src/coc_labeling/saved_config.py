"""The configuration that an experiment was made with, read back from its folder."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import ValidationError

from coc_labeling.config.loading import PRESETS, load_config
from coc_labeling.config.schema import RunConfig
from coc_labeling.errors import CocLabelingError
from coc_labeling.results import CONFIG
from driving_clips import files


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
