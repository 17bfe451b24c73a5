"""Composing the configuration: a preset, the user's own folder, overrides, and clear words where they do not fit."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
_MAYBE_SECRET = ("extra_body", "api_key_env")  # values that are not repeated where they are wrong


def load_config(
    config_name: str,
    overrides: Sequence[str],
    config_dir: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> RunConfig:
    """Compose and check the configuration of Step 3.

    Args:
        config_name: a preset, or a file of ``config_dir``.
        overrides: Hydra overrides such as ``model_name=rules``.
        config_dir: a folder of the user's own presets; ours can be named in its ``defaults``.
        settings: values by dotted key that are taken as they are, where no override names the key.

    Raises:
        CocLabelingError: an unknown key, preset or value; the message lists what is possible.
    """
    GlobalHydra.instance().clear()
    try:
        with _search_path(config_name, config_dir) as search:
            composed = compose(config_name, overrides=[*overrides, *search])
            content = OmegaConf.to_container(composed, resolve=True)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise CocLabelingError(_explain(error, config_name, overrides)) from error
    overridden = {_key_of(override) for override in overrides}
    for key, value in (settings or {}).items():
        if key not in overridden:
            _set(content, key, value)
    try:
        return RunConfig.model_validate(content)
    except ValidationError as error:
        raise CocLabelingError(_explain_values(error)) from error


@contextmanager
def _search_path(config_name: str, config_dir: str | None) -> Iterator[list[str]]:
    """Start Hydra where the preset lies; yields the override that adds the other place, the user's or ours."""
    if config_dir is None:
        with initialize_config_module(_MODULE, version_base="1.3"):
            yield []
        return
    if not files.is_dir(config_dir):
        raise CocLabelingError(f"--config-dir {config_dir}: no such folder.")
    own = files.absolute(config_dir)
    if files.exists(files.join(own, f"{config_name}.yaml")):
        with initialize_config_dir(own, version_base="1.3"):
            yield [f"hydra.searchpath=[pkg://{_MODULE}]"]
    else:
        with initialize_config_module(_MODULE, version_base="1.3"):
            yield [f"hydra.searchpath=[{_quoted(f'file://{own}')}]"]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _key_of(override: str) -> str:
    return override.split("=", 1)[0].lstrip("+~")


def _set(content: Any, key: str, value: Any) -> None:
    *path, last = key.split(".")
    for part in path:
        content = content[part]
    content[last] = value


def _explain(error: Exception, config_name: str, overrides: Sequence[str]) -> str:
    """Return Hydra's complaint with the keys that are possible where an override named none of them."""
    if "primary config" in str(error).lower():
        return (
            f"--config-name={config_name}: no such preset. There are: {', '.join(PRESETS)}, and files of --config-dir."
        )
    keys = _keys(config_name)
    unknown = [o for o in overrides if "=" in o and _key_of(o) and _key_of(o) not in keys]
    if not unknown:
        said = " ".join(str(error).split()).split(" See https:")[0]
        return (
            f"configuration: {said}. Overrides: {' '.join(overrides) or 'none'}. Quote values with special characters."
        )
    lines = []
    for override in unknown:
        key = _key_of(override)
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
    lines = []
    for problem in error.errors():
        key = ".".join(map(str, problem["loc"]))
        if problem["type"] == "extra_forbidden":
            lines.append(f"unknown configuration key {key!r}: there is none of this name.")
        else:
            value = "..." if key.endswith(_MAYBE_SECRET) else _short(problem.get("input"))
            lines.append(f"configuration: {key}={value}: {problem['msg']}")
    return "\n".join(lines)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
