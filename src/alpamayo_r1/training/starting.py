"""Which model a stage starts from: a plain Qwen3-VL, or a checkpoint of the reasoning model with or without expert."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen3VLForConditionalGeneration

from alpamayo_r1.config import AlpamayoR1Config
from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.alpamayo_r1 import AlpamayoR1
from alpamayo_r1.models.base_model import ReasoningVLA, ReasoningVLAConfig, usable_attention
from alpamayo_r1.models.checkpoint_files import CONFIG, check_weights, listed
from alpamayo_r1.models.instantiate import instantiate
from alpamayo_r1.scenes import SceneShape
from alpamayo_r1.training.settings import ModelSettings, Precision, Stage, TrainSettings
from coc_labeling.export import path_tokens

_PLAIN = "qwen3_vl"
_CLASSES: dict[str, type[ReasoningVLA]] = {
    ReasoningVLAConfig.model_type: ReasoningVLA,
    AlpamayoR1Config.model_type: AlpamayoR1,
    "alpamayo1_5": AlpamayoR1,
}
_SHAPE = SceneShape()
# About the spread of accelerations (m/s^2) and curvatures (1/m) in traffic: what is trained on has about unit variance.
_STDS = (1.0, 0.02)
_ACTION_SPACE = {
    "_target_": "alpamayo_r1.action_space.UnicycleAccelCurvatureActionSpace",
    "accel_mean": 0.0,
    "accel_std": _STDS[0],
    "curvature_mean": 0.0,
    "curvature_std": _STDS[1],
    "n_waypoints": _SHAPE.future_steps,
}
# What an export as sft-chat writes out; as many tokens as released models have.
_FUTURES = {
    "_target_": "alpamayo_r1.action_space.discrete_action_space.DiscreteTrajectoryTokenizer",
    "_recursive_": False,
    "action_space_cfg": _ACTION_SPACE,
    "dims_min": [low / std for low, std in zip(path_tokens.FUTURE_MIN, _STDS, strict=True)],
    "dims_max": [high / std for high, std in zip(path_tokens.FUTURE_MAX, _STDS, strict=True)],
    "num_bins": path_tokens.FUTURE_BINS,
}
_HISTORIES = {
    "_target_": "alpamayo_r1.models.delta_tokenizer.DeltaTrajectoryTokenizer",
    "num_bins": path_tokens.HISTORY_BINS,
}
_EXPERT_PARTS: dict[str, Any] = {
    "diffusion_cfg": {"_target_": "alpamayo_r1.diffusion.flow_matching.FlowMatching"},
    "action_in_proj_cfg": {"_target_": "alpamayo_r1.models.action_in_proj.PerWaypointActionInProjV2"},
    "action_out_proj_cfg": {"_target_": "torch.nn.Linear"},
    "expert_cfg": {},
}


def starting_model(settings: TrainSettings) -> ReasoningVLA:
    """Return the model that a stage starts from, on the CPU.

    Stage 1 takes a plain Qwen3-VL, to which it adds the model's tokens, or a checkpoint of the reasoning model, whose
    expert it keeps as it is. Stage 2 takes a checkpoint; where that has no expert, one is made anew.

    Raises:
        AlpamayoError: files that cannot be used, or settings for parts that the checkpoint has already.
    """
    folder = Path(settings.model.path)
    kind = model_type_of(folder)
    torch.manual_seed(settings.train.seed)
    if settings.stage is Stage.LANGUAGE and kind == _PLAIN:
        return _from_plain(folder, settings.model)
    if settings.stage is Stage.EXPERT and kind == ReasoningVLAConfig.model_type:
        return _with_expert(folder, settings.model, settings.train.precision)
    if kind not in _CLASSES:
        wanted = f"{_PLAIN} or {', '.join(_CLASSES)}" if settings.stage is Stage.LANGUAGE else ", ".join(_CLASSES)
        hint = " Train stage1 from it first." if kind == _PLAIN else ""
        raise AlpamayoError(f"model.path={folder}: expected {wanted}, found model_type {kind!r}.{hint}")
    if settings.model.parts:
        raise AlpamayoError(
            f"model.{next(iter(settings.model.parts))}: the checkpoint {folder} has its own. Leave it out."
        )
    return load_checkpoint(folder, settings.model.attn_implementation)


def load_checkpoint(folder: Path, attn_implementation: str | None = None) -> ReasoningVLA:
    """Return a checkpoint's model in float32; raises AlpamayoError where it cannot be used."""
    cls = _CLASSES[model_type_of(folder)]
    return _loaded(cls, folder, attn_implementation, torch.float32)


def model_type_of(folder: Path) -> str:
    """Return what kind of model a folder holds; raises AlpamayoError where it holds none."""
    path = folder / CONFIG
    if not path.is_file():
        raise AlpamayoError(f"model.path={folder}: expected a folder with a model's {CONFIG}, found none.")
    try:
        kind = json.loads(path.read_text("utf-8")).get("model_type")
    except (ValueError, AttributeError, RecursionError) as error:
        raise AlpamayoError(f"{path}: expected a JSON object: {error}.") from error
    return str(kind)


def _loaded(cls: type[ReasoningVLA], folder: Path, attention: str | None, dtype: torch.dtype) -> ReasoningVLA:
    chosen = {} if attention is None else {"attn_implementation": attention}
    return cls.from_pretrained(str(folder), local_files_only=True, dtype=dtype, **chosen)


def _from_plain(folder: Path, settings: ModelSettings) -> ReasoningVLA:
    check_weights(folder)
    config = ReasoningVLAConfig(**_plain_config(folder, settings))
    with torch.device("meta"):
        model = ReasoningVLA(config)
    model.vlm, info = Qwen3VLForConditionalGeneration.from_pretrained(
        str(folder),
        dtype=torch.float32,
        attn_implementation=usable_attention(config.attn_implementation),
        use_safetensors=True,
        local_files_only=True,
        output_loading_info=True,
    )
    if missing := sorted(info["missing_keys"]) + sorted(map(str, info["mismatched_keys"])):
        raise AlpamayoError(f"{folder}: the weights are not this configuration's: {listed(missing)}.")
    assert config.vocab_size is not None
    assert config.traj_token_start_idx is not None
    extend_vocabulary(model.vlm, config.vocab_size, first_new=config.traj_token_start_idx)
    return model


def _plain_config(folder: Path, settings: ModelSettings) -> dict[str, Any]:
    given = dict(settings.parts)
    futures = _merged(_FUTURES, given.pop("traj_tokenizer_cfg", {}))
    histories = _merged(_HISTORIES, given.pop("hist_traj_tokenizer_cfg", {}))
    sizes = [int(instantiate(part).vocab_size) for part in (futures, histories)]
    waypoints, channels = instantiate(futures["action_space_cfg"]).get_action_space_dims()
    if waypoints != _SHAPE.future_steps:
        raise AlpamayoError(
            f"model.traj_tokenizer_cfg: n_waypoints {waypoints}: expected {_SHAPE.future_steps}, the poses of a future."
        )
    return {
        "vlm_name_or_path": str(folder.absolute()),
        "traj_tokenizer_cfg": futures,
        "hist_traj_tokenizer_cfg": histories,
        "traj_vocab_size": sum(sizes),
        "tokens_per_history_traj": _SHAPE.history_steps * (4 if histories.get("predict_yaw") else 3),
        "tokens_per_future_traj": waypoints * channels,
        "add_special_tokens": True,
        **({} if settings.attn_implementation is None else {"attn_implementation": settings.attn_implementation}),
        **given,
    }


def extend_vocabulary(vlm: Qwen3VLForConditionalGeneration, size: int, first_new: int) -> None:
    """Give a model ``size`` tokens; those from ``first_new`` on get embeddings around the mean of the others.

    A base model has more rows than tokens. They were never trained, so that they are made anew as well.
    """
    vlm.resize_token_embeddings(size, mean_resizing=False)
    embeddings = {id(part.weight): part.weight for part in (vlm.get_input_embeddings(), vlm.get_output_embeddings())}
    with torch.no_grad():
        for weight in embeddings.values():
            known = weight[:first_new].float()
            spread = known.std(dim=0) * 0.1  # near the mean, but no two alike
            fresh = known.mean(dim=0) + spread * torch.randn(size - first_new, known.shape[1])
            weight[first_new:] = fresh.to(weight.dtype)


def _with_expert(folder: Path, settings: ModelSettings, precision: Precision) -> AlpamayoR1:
    dtype = torch.bfloat16 if precision is Precision.BF16 else torch.float32  # it is frozen
    first = _loaded(ReasoningVLA, folder, settings.attn_implementation, dtype)
    content = {key: value for key, value in first.config.to_dict().items() if key in ReasoningVLAConfig().to_dict()}
    content.pop("architectures", None)
    parts = _expert_parts(first.config, dict(settings.parts))
    config = AlpamayoR1Config(**{**content, **parts, "model_type": AlpamayoR1Config.model_type})
    config.name_or_path = str(folder)
    with torch.device("meta"):
        model = AlpamayoR1(config)
    model.vlm = first.vlm
    model.build_expert_parts()
    return model


def _expert_parts(config: ReasoningVLAConfig, given: dict[str, Any]) -> dict[str, Any]:
    of_tokenizer = (config.traj_tokenizer_cfg or {}).get("action_space_cfg")
    defaults = {**_EXPERT_PARTS, "action_space_cfg": of_tokenizer or _ACTION_SPACE}
    return {**given, **{key: _merged(part, given.get(key) or {}) for key, part in defaults.items()}}


def _merged(default: Mapping[str, Any], changes: Any) -> dict[str, Any]:
    """Return a part's settings with changes, those of parts within it likewise."""
    if not isinstance(changes, Mapping):
        raise AlpamayoError(f"model: expected settings of a part, such as {{num_bins: 512}}, found {changes!r}.")
    merged = dict(default)
    for key, value in changes.items():
        inner = merged.get(key)
        merged[key] = _merged(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return merged
