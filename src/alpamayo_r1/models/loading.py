"""Finds, checks and loads a checkpoint's files. Only safetensors are read, and only what is missing is downloaded."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from huggingface_hub import snapshot_download, try_to_load_from_cache
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase, Qwen3VLConfig
from transformers.utils import is_flash_attn_2_available

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.checkpoint_files import check_files, listed
from alpamayo_r1.models.processing import MAX_PIXELS, MIN_PIXELS
from alpamayo_r1.models.token_utils import TRAJ_TOKEN

if TYPE_CHECKING:
    from alpamayo_r1.models.base_model import ReasoningVLAConfig

Read = TypeVar("Read")

_DOWNLOADED = ("*.json", "*.safetensors", "*.jinja", "merges.txt")
_HUB_ARGUMENTS = ("cache_dir", "force_download", "local_files_only", "token", "revision")
_VLM_BACKEND = "qwenvl3"
_COUNTS = ("traj_vocab_size", "tokens_per_history_traj", "tokens_per_future_traj")
_COUNTS_OR_NONE = ("vocab_size", "min_pixels", "max_pixels")
_PARTS = (
    *("traj_tokenizer_cfg", "hist_traj_tokenizer_cfg", "diffusion_cfg", "action_space_cfg", "action_in_proj_cfg"),
    *("action_out_proj_cfg", "expert_cfg", "vlm_config", "traj_token_ids"),
)
_DTYPES = ("bfloat16", "float16", "float32")
_SAID_CHARS = 500
_OWN_CODE = "it brings code of its own, which is never run. Remove its auto_map"

# Whether the base model may be looked up on the hub; set while a checkpoint is loaded.
_offline: ContextVar[bool] = ContextVar("offline", default=False)


def load_checkpoint(cls: Any, load: Callable[..., Any], name: str, *args: Any, **kwargs: Any) -> Any:
    """Load a model from a folder, or from the Hugging Face hub where there is no such folder.

    Args:
        cls: the model's class.
        load: transformers' loader of that class.
        name: a folder or a name on the hub.
        args: for the loader.
        kwargs: transformers' arguments: dtype, device_map, attn_implementation, revision and so on. Without a dtype
            the checkpoint's is taken.

    Raises:
        AlpamayoError: files are missing or no safetensors; the configuration names parts that are not allowed; tensors
            are missing, unknown, or of another shape; the tokenizer does not fit.
    """
    wants_info = kwargs.pop("output_loading_info", False)
    hub_arguments = {key: kwargs.pop(key) for key in _HUB_ARGUMENTS if key in kwargs}
    folder = _folder_of(name, hub_arguments)
    check_files(folder)
    config = kwargs.pop("config", None)
    if not isinstance(config, cls.config_class):
        config = _read(folder, lambda: cls.config_class.from_pretrained(folder if config is None else config))
    _check_config(config, folder)
    _apply_attention(config, kwargs.pop("attn_implementation", None))
    dtype = kwargs.pop("dtype", None) or kwargs.pop("torch_dtype", None) or config.dtype or config.model_dtype
    for key in ("use_safetensors", "ignore_mismatched_sizes", "trust_remote_code"):
        kwargs.pop(key, None)
    with _hub_allowed(not hub_arguments.get("local_files_only")):
        loaded = partial(
            load,
            str(folder),
            *args,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # so that all of them are listed
            local_files_only=True,
            output_loading_info=True,
            **kwargs,
        )
        with _without_report():
            model, info = _read(folder, loaded)
    _check_tensors(folder, info)
    _check_statistics(folder, model)
    return (model, info) if wants_info else model


def _read(folder: Path, read: Callable[[], Read]) -> Read:
    """Return what is read of a checkpoint's files; damaged ones are an AlpamayoError that names the folder."""
    try:
        return read()
    except AlpamayoError as error:
        if str(folder) in str(error):
            raise
        raise AlpamayoError(f"{folder}: {error}") from error
    except (MemoryError, ImportError):
        raise
    except Exception as error:  # a file from somewhere may make libraries stumble over anything
        raise AlpamayoError(
            f"{folder}: the checkpoint cannot be read: {type(error).__name__}: {_told(error)}."
        ) from error


def _told(error: Exception) -> str:
    """Return what a library says, on a line; not its advice to trust what the file brings along."""
    if "trust_remote_code" in str(error):
        return _OWN_CODE
    return " ".join(str(error).split())[:_SAID_CHARS].rstrip(".")


def _folder_of(name: str, hub_arguments: dict[str, Any]) -> Path:
    if Path(name).is_dir():
        return Path(name)
    if Path(name).is_absolute() or name.startswith("."):
        raise AlpamayoError(f"{name}: expected a folder with a checkpoint, found none.")
    try:
        return Path(snapshot_download(name, allow_patterns=list(_DOWNLOADED), **hub_arguments))
    except (OSError, ValueError) as error:
        raise AlpamayoError(
            f"{name}: expected a folder with a checkpoint, or a name on the Hugging Face hub. There is no such folder, "
            f"and the hub gave: {error}"
        ) from error


def _check_config(config: "ReasoningVLAConfig", folder: Path) -> None:
    other = getattr(config, "transformers_weights", None)
    if other is not None:
        raise AlpamayoError(f"{folder}/config.json: transformers_weights {other!r} is not read; remove it.")
    if getattr(config, "quantization_config", None) is not None:
        raise AlpamayoError(f"{folder}/config.json: quantised checkpoints are not supported; remove the quantization.")
    if wrong := list(_of_other_kinds(config)):
        raise AlpamayoError(f"{folder}/config.json: {'; '.join(wrong)}.")


def _of_other_kinds(config: "ReasoningVLAConfig") -> Iterator[str]:
    """Yield what is wrong with settings that libraries would stumble over later."""
    kinds: tuple[tuple[tuple[str, ...], str, Callable[[Any], bool]], ...] = (
        (_COUNTS, "a number from 1", _is_count),
        (_COUNTS_OR_NONE, "a number from 1, or null", lambda value: value is None or _is_count(value)),
        (_PARTS, "an object, or null", lambda value: value is None or isinstance(value, dict)),
        (("model_dtype",), " or ".join(_DTYPES), lambda value: value in _DTYPES),
        (("vlm_name_or_path",), "a folder, or a name on the hub", lambda value: isinstance(value, str)),
    )
    for keys, expected, fits in kinds:
        for key in keys:
            value = getattr(config, key, None)
            if not fits(value):
                yield f"{key}: expected {expected}, found {str(value)[:80]!r}"


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _apply_attention(config: "ReasoningVLAConfig", wanted: str | None) -> None:
    if wanted is None:
        return
    if wanted == "flash_attention_2" and not is_flash_attn_2_available():
        raise AlpamayoError("attn_implementation 'flash_attention_2' is not installed here: pip install flash-attn")
    config.attn_implementation = wanted
    config._attn_implementation = wanted


def _check_statistics(folder: Path, model: Any) -> None:
    """Refuse an action space that would make the same trajectory of all actions, or none."""
    for name, value in model.named_buffers():
        if name.startswith("action_space.") and not (value.isfinite() and (value > 0 or not name.endswith("_std"))):
            raise AlpamayoError(
                f"{folder}: {name}: expected a {'positive' if name.endswith('_std') else 'finite'} number, found "
                f"{float(value)}. The weights are damaged: fetch them again."
            )


def _check_tensors(folder: Path, info: dict[str, Any]) -> None:
    problems = []
    for key, what in (("missing_keys", "missing"), ("unexpected_keys", "unknown"), ("mismatched_keys", "misshapen")):
        names = sorted(_shape_told(name) for name in info.get(key) or ())
        if names:
            problems.append(f"{len(names)} {what}: {listed(names)}")
    if problems:
        raise AlpamayoError(f"{folder}: the tensors are not this configuration's. {'; '.join(problems)}.")


def _shape_told(entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    name, found, expected = entry
    return f"{name} (found {tuple(found)}, expected {tuple(expected)})"


@contextmanager
def _without_report() -> Iterator[None]:
    """Leave out transformers' table of tensors that do not fit: the error lists them, and a warning is not enough."""
    logger = logging.getLogger("transformers.modeling_utils")

    def wanted(record: logging.LogRecord) -> bool:
        return "LOAD REPORT" not in record.getMessage()

    logger.addFilter(wanted)
    try:
        yield
    finally:
        logger.removeFilter(wanted)


@contextmanager
def _hub_allowed(allowed: bool) -> Iterator[None]:
    reset = _offline.set(not allowed)
    try:
        yield
    finally:
        _offline.reset(reset)


def find_vlm(name: str, checkpoint: str) -> Path | None:
    """Return the folder of the base model, or None where it is a name on the hub.

    Args:
        name: vlm_name_or_path; one that is absolute stands for itself.
        checkpoint: the folder of the checkpoint; "" for a model that is built and not loaded.
    """
    bases = [Path(checkpoint), Path(checkpoint).absolute().parent] if checkpoint else [Path()]
    return next((base / name for base in bases if (base / name).is_dir()), None)


def _in_hub_cache(name: str, filename: str) -> Path | None:
    """Return the folder of what was downloaded of a hub model earlier, where it holds a file."""
    try:
        found = try_to_load_from_cache(name, filename)
    except ValueError:  # no name that the hub could have
        return None
    return Path(found).parent if isinstance(found, str) else None


def _from_vlm(config: "ReasoningVLAConfig", load: Callable[..., Any], filename: str) -> Any:
    """Load the base model's configuration or tokenizer, which needs a file; from the hub only where it is not here."""
    name = config.vlm_name_or_path
    local = find_vlm(name, config.name_or_path or "") or _in_hub_cache(name, filename)
    try:
        if local is None and _offline.get():
            raise FileNotFoundError("the hub is not asked, with local_files_only")
        return load(str(local or name), local_files_only=local is not None, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise AlpamayoError(
            f"vlm_name_or_path {name!r}: expected the base model in {config.name_or_path or 'the working directory'}, "
            f"in the folder that holds it, or on the Hugging Face hub, and found none that can be read: {_told(error)}."
        ) from error


def vlm_config_of(config: "ReasoningVLAConfig") -> Qwen3VLConfig:
    """Return the base model's configuration, a new object.

    Raises:
        AlpamayoError: it is not found, or not Qwen3-VL's.
    """
    if config.vlm_backend != _VLM_BACKEND:
        raise AlpamayoError(f"vlm_backend: expected {_VLM_BACKEND!r}, found {config.vlm_backend!r}.")
    if config.vlm_config is not None:
        found = Qwen3VLConfig.from_dict(dict(config.vlm_config))
    else:
        found = _from_vlm(config, AutoConfig.from_pretrained, "config.json")
    if not isinstance(found, Qwen3VLConfig):
        name = config.vlm_name_or_path
        raise AlpamayoError(f"vlm_name_or_path {name!r}: expected a qwen3_vl, found {found.model_type}.")
    return found


def load_tokenizer(config: "ReasoningVLAConfig") -> PreTrainedTokenizerBase:
    """Return the checkpoint's tokenizer, or else the base model's with the tokens of ``config`` added, in their order.

    It pads on the left, and carries ``frame_pixels``, the least and the most of an image, for its processor.

    Raises:
        AlpamayoError: none is found.
    """
    folder = Path(config.name_or_path or "")
    if config.name_or_path and any((folder / name).is_file() for name in ("tokenizer_config.json", "tokenizer.json")):
        tokenizer = _own_tokenizer(folder)
    else:
        tokenizer = _from_vlm(config, AutoTokenizer.from_pretrained, "tokenizer_config.json")
        tokenizer.add_tokens(config.trajectory_tokens)
        tokenizer.add_tokens(config.special_tokens, special_tokens=True)
    tokenizer.padding_side = "left"
    # A processor would take them from here, in a form that transformers gives up.
    said = [tokenizer.init_kwargs.pop(key, None) for key in ("min_pixels", "max_pixels")]
    tokenizer.frame_pixels = (config.min_pixels or said[0] or MIN_PIXELS, config.max_pixels or said[1] or MAX_PIXELS)
    return tokenizer


def _own_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    except (MemoryError, ImportError):
        raise
    except Exception as error:  # whatever it stumbles over in files from somewhere
        said = f"{type(error).__name__}: {_told(error)}"
        raise AlpamayoError(f"{folder}: the tokenizer's files cannot be read: {said}.") from error
    return tokenizer


def settle_vocabulary(
    config: "ReasoningVLAConfig", vlm_config: Qwen3VLConfig, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Check the tokenizer against the configuration, and write the ids and the size into both configurations.

    Raises:
        AlpamayoError: tokens are missing or have other ids than the configuration says.
    """
    vocabulary = tokenizer.get_vocab()
    needed = [*config.special_tokens, *TRAJ_TOKEN.values(), *config.trajectory_tokens]
    missing = list(dict.fromkeys(token for token in needed if token not in vocabulary))
    if missing:
        raise AlpamayoError(
            f"tokenizer of {config.name_or_path or config.vlm_name_or_path}: {len(missing)} of the model's tokens are "
            f"missing: {listed(missing)}. Expected the tokenizer that was saved with the checkpoint."
        )
    ids = {f"traj_token_ids {key}": vocabulary[token] for key, token in TRAJ_TOKEN.items()}
    ids["traj_token_start_idx"] = vocabulary["<i0>"]
    said = {"traj_token_start_idx": config.traj_token_start_idx}
    said |= {f"traj_token_ids {key}": value for key, value in (config.traj_token_ids or {}).items()}
    wrong = [f"{k}: {ids.get(k)}, not {v}" for k, v in said.items() if v is not None and ids.get(k) != v]
    last = vocabulary[config.trajectory_tokens[-1]]
    if last != vocabulary["<i0>"] + config.traj_vocab_size - 1:
        wrong.append(f"{config.trajectory_tokens[-1]}: {last}, not {config.traj_vocab_size - 1} after <i0>")
    size = max(vocabulary.values()) + 1
    if config.vocab_size is not None and size > config.vocab_size:
        wrong.append(f"vocab_size: {size}, not {config.vocab_size}")
    if wrong:
        raise AlpamayoError(
            f"tokenizer of {config.name_or_path or config.vlm_name_or_path}: it does not fit the configuration: "
            f"{listed(wrong)}."
        )
    config.traj_token_start_idx = vocabulary["<i0>"]
    config.traj_token_ids = {key: vocabulary[token] for key, token in TRAJ_TOKEN.items()}
    config.vocab_size = config.vocab_size or size
    vlm_config.text_config.vocab_size = config.vocab_size
    config.vlm_config = vlm_config.to_dict()
