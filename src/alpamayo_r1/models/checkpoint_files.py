"""What is checked of a checkpoint's files before anything is built from them. Only safetensors are read."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from alpamayo_r1.errors import AlpamayoError

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_FLOATING = ("F64", "F32", "F16", "BF16")  # as safetensors calls them
_MODEL_TYPES = ("alpamayo_r1", "alpamayo1_5", "alpamayo_reasoning_vla")
_MOST_LISTED = 20


def listed(names: list[str]) -> str:
    """Return names as text, so many of them at most that they can be read."""
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return ", ".join(names[:_MOST_LISTED]) + more


def check_files(folder: Path) -> None:
    """Raise AlpamayoError, naming the file, where configuration or weights are missing, damaged or no safetensors."""
    if not (folder / CONFIG).is_file():
        raise AlpamayoError(f"{folder}: expected a checkpoint's {CONFIG}, found none.")
    if (folder / "adapter_config.json").exists():
        raise AlpamayoError(f"{folder}: expected a whole model, found adapter_config.json. Merge the adapter first.")
    _check_model_type(folder / CONFIG)
    check_weights(folder)


def check_weights(folder: Path) -> None:
    """Raise AlpamayoError, naming the file, where weights are missing, damaged or no safetensors."""
    for path in _weights(folder):
        _check_weights(path)


def _check_model_type(path: Path) -> None:
    found = _read_json(path, "the checkpoint cannot be read: expected a JSON object").get("model_type")
    if found is not None and found not in _MODEL_TYPES:
        raise AlpamayoError(
            f"{path}: model_type: expected {' or '.join(_MODEL_TYPES)}, found {found!r}. This is no reasoning model."
        )


def _read_json(path: Path, expected: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise AlpamayoError(f"{path}: {expected}: {error}.") from error
    if not isinstance(content, dict):
        raise AlpamayoError(f"{path}: {expected}, found {type(content).__name__}.")
    return content


def _weights(folder: Path) -> list[Path]:
    """Return the files that hold the tensors: the single one, or the shards of the index."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / WEIGHTS_INDEX).is_file():
        others = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLES)
        found = f"found {', '.join(others)}: pickles can run code, convert them" if others else "found neither"
        raise AlpamayoError(f"{folder}: expected {WEIGHTS} or {WEIGHTS_INDEX}, {found}.")
    return _shards(folder / WEIGHTS_INDEX)


def _shards(path: Path) -> list[Path]:
    expected = "expected a JSON object with a weight_map"
    index = _read_json(path, expected)
    places = index.get("weight_map")
    if not isinstance(places, dict) or not places:
        raise AlpamayoError(f"{path}: {expected} of tensors and their files, found {str(places)[:80]}.")
    shards = sorted({str(name) for name in places.values()})
    odd = [name for name in shards if Path(name).name != name or Path(name).suffix != ".safetensors"]
    if odd:
        raise AlpamayoError(f"{path}: expected names of .safetensors files beside it, found {listed(odd)}.")
    missing = [name for name in shards if not (path.parent / name).is_file()]
    if missing:
        raise AlpamayoError(f"{path}: shards that it names are missing: {listed(missing)}. Download them again.")
    if not isinstance(index.get("metadata"), dict):
        raise AlpamayoError(f'{path}: expected "metadata" beside weight_map, found none: add "metadata": {{}}.')
    return [path.parent / name for name in shards]


def _check_weights(path: Path) -> None:
    """Raise AlpamayoError for a file that is cut off or no safetensors, and for tensors that are no plain numbers."""
    try:
        with safe_open(path, framework="pt") as file:
            kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError) as error:
        raise AlpamayoError(
            f"{path}: the checkpoint cannot be read: expected a whole safetensors file of {path.stat().st_size:,} "
            f"bytes, found: {error}. Download it again."
        ) from error
    odd = [f"{name} ({kind})" for name, kind in kinds.items() if kind not in _FLOATING]
    if odd:
        raise AlpamayoError(f"{path}: expected tensors of {', '.join(_FLOATING)}, found {listed(odd)}.")
