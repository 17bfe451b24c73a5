"""Composing the configuration: a preset, the user's own folder, overrides, and clear words where they do not fit."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from hydra import compose, initialize_config_dir, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from coc_labeling.config.schema import RunConfig
from coc_labeling.errors import CocLabelingError
from driving_clips import files

PRESETS = ("base_config_vlm", "base_config_vlm_rel_ts")
_MODULE = "coc_labeling.config"


def load_config(config_name: str, overrides: Sequence[str], config_dir: str | None = None) -> RunConfig:
    """Compose and check the configuration of Step 3.

    Args:
        config_name: a preset, or a file of ``config_dir``.
        overrides: Hydra overrides such as ``model_name=rules``.
        config_dir: a folder of the user's own presets; ours can be named in its ``defaults``.

    Raises:
        CocLabelingError: an unknown key, preset or value; the message lists what is possible.
    """
    GlobalHydra.instance().clear()
    try:
        with _initialised(config_dir):
            composed = compose(config_name, overrides=list(overrides))
            content = OmegaConf.to_container(composed, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise CocLabelingError(_explain(error, config_name, overrides)) from error
    try:
        return RunConfig.model_validate(content)
    except ValidationError as error:
        raise CocLabelingError(_explain_values(error)) from error


def _initialised(config_dir: str | None) -> Any:
    if config_dir is None:
        return initialize_config_module(_MODULE, version_base="1.3")
    if not files.is_dir(config_dir):
        raise CocLabelingError(f"--config-dir {config_dir}: no such folder.")
    return initialize_config_dir(files.absolute(config_dir), version_base="1.3")


def _explain(error: Exception, config_name: str, overrides: Sequence[str]) -> str:
    """Return Hydra's complaint with the keys that are possible where an override named none of them."""
    if "primary config" in str(error).lower():
        return (
            f"--config-name={config_name}: no such preset. There are: {', '.join(PRESETS)}, and files of --config-dir."
        )
    keys = _keys(config_name)
    unknown = [o for o in overrides if keys and o.split("=", 1)[0].lstrip("+~") not in keys and "=" in o]
    if not unknown:
        return f"configuration: {' '.join(str(error).split())}"
    lines = []
    for override in unknown:
        key = override.split("=", 1)[0].lstrip("+~")
        near = difflib.get_close_matches(key, keys, n=3, cutoff=0.6)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        lines.append(
            f"unknown configuration key {key!r} in {override!r}.{hint} Possible keys: {', '.join(_level(key, keys))}"
        )
    return "\n".join(lines)


def _keys(config_name: str) -> list[str]:
    """Return all keys of a preset in dotted form."""
    name = config_name if config_name in PRESETS else PRESETS[0]
    GlobalHydra.instance().clear()
    with initialize_config_module(_MODULE, version_base="1.3"):
        content = OmegaConf.to_container(compose(name))
    return list(_dotted(content))


def _dotted(content: Any, prefix: str = "") -> list[str]:
    if not isinstance(content, Mapping):
        return []
    keys = []
    for key, value in content.items():
        keys.append(f"{prefix}{key}")
        keys += _dotted(value, f"{prefix}{key}.")
    return keys


def _level(key: str, keys: Sequence[str]) -> list[str]:
    """Return the keys beside where ``key`` points; all at the top where its parent is unknown too."""
    parent = key.rpartition(".")[0]
    if parent and parent not in keys:
        return _level(parent, keys)
    prefix = f"{parent}." if parent else ""
    return [k for k in keys if k.startswith(prefix) and "." not in k[len(prefix) :]]


def _explain_values(error: ValidationError) -> str:
    lines = [
        f"configuration: {'.'.join(map(str, problem['loc']))}={problem.get('input')!r}: {problem['msg']}"
        for problem in error.errors()
    ]
    return "\n".join(lines)
