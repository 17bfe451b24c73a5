"""What a training is asked for, checked before anything is loaded. Needs no torch."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib import resources
from typing import Any

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.scenes import MODEL_CAMERAS, sorted_cameras
from alpamayo_r1.training.values import Section
from driving_clips import files
from driving_clips.errors import DatasetError

_CONFIGS = "alpamayo_r1.training.config"
COMPONENTS = ("image", "traj_history", "prompt", "cot", "meta_action", "traj_future")
WRITTEN = ("cot", "meta_action", "traj_future")  # by the assistant, and so what a loss can be on
AUTO = "auto"  # the last checkpoint in the folder
_NO_CHANGE = ("path", "attn_implementation")  # keys of the model that are no part of its configuration
_GB = 10**9


class Stage(StrEnum):
    """What is trained."""

    LANGUAGE = "stage1"  # the vision-language model
    EXPERT = "stage2"  # the action expert, from a frozen vision-language model


class Precision(StrEnum):
    """Of computing; trained weights are float32 in both."""

    BF16 = "bf16"
    FLOAT32 = "float32"


@dataclass(frozen=True)
class ModelSettings:
    """Where a stage starts from.

    Attributes:
        path: a checkpoint's folder.
        attn_implementation: "sdpa", "eager", "flash_attention_2", or None for the checkpoint's.
        parts: settings of parts that are made anew, by their key in the model's configuration; only those given.
    """

    path: str
    attn_implementation: str | None
    parts: Mapping[str, Any]


@dataclass(frozen=True)
class DataSettings:
    """What is learnt from.

    Attributes:
        labels: a file or folder of labels.
        split: of an export; None for all.
        dataset: its name in ``driving_clips``.
        data_dir: its root folder; None where the labels bring their pictures.
        video_dir: a folder of videos, or None.
        cameras: sorted as the model is shown them.
        frames: of each camera.
        prepared: the folder of prepared pictures and paths.
        val_share: of drives, kept for validation; 0 for none.
        components: parts of the sequence.
        loss_components: parts that the loss is on.
        num_workers: processes that make batches.
    """

    labels: str
    split: str | None
    dataset: str
    data_dir: str | None
    video_dir: str | None
    cameras: tuple[str, ...]
    frames: int
    prepared: str
    val_share: float
    components: tuple[str, ...]
    loss_components: tuple[str, ...]
    num_workers: int


@dataclass(frozen=True)
class LoopSettings:
    """How it is learnt; see the comments in ``config/stage1.yaml``.

    Attributes:
        steps: of the optimizer, None for as many as ``epochs`` have.
        epochs: passes over the data, where there are no ``steps``.
        batch_size: scenes of a process at once.
        accumulate: batches of an optimizer step.
        lr: the highest learning rate.
        warmup_steps: in which it rises from 0.
        weight_decay: of matrices; biases and norms have none.
        max_grad_norm: gradients are clipped to.
        precision: of computing.
        gradient_checkpointing: compute activations twice instead of keeping them.
        seed: of order and noise.
        eval_every: steps between evaluations.
        save_every: steps between checkpoints.
        keep: last checkpoints that are kept.
        early_stop_patience: evaluations without progress that end the training; None for no limit.
        resume: "auto", a checkpoint's folder, or None.
    """

    steps: int | None
    epochs: int
    batch_size: int
    accumulate: int
    lr: float
    warmup_steps: int
    weight_decay: float
    max_grad_norm: float
    precision: Precision
    gradient_checkpointing: bool
    seed: int
    eval_every: int
    save_every: int
    keep: int
    early_stop_patience: int | None
    resume: str | None


@dataclass(frozen=True)
class TrainSettings:
    """What a training is asked for.

    Attributes:
        stage: what is trained.
        out: the folder of checkpoints, losses and the trained model.
        model: where it starts from.
        data: what it learns from.
        train: how.
        vlm_cache_bytes: memory of a process for what the frozen model has read; 0 for none.
    """

    stage: Stage
    out: str
    model: ModelSettings
    data: DataSettings
    train: LoopSettings
    vlm_cache_bytes: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the settings as they are written beside a training."""
        return asdict(self)


def load_settings(stage: Stage | str, overrides: Sequence[str] = ()) -> TrainSettings:
    """Return the settings of a stage's configuration with ``key=value`` overrides, in Hydra's grammar.

    Raises:
        AlpamayoError: an unknown key, or a value that cannot be used; the message names it.

    Example:
        >>> chosen = ["out=o", "model.path=m", "data.labels=l", "train.lr=1e-3", "model.expert_cfg={hidden_size: 64}"]
        >>> load_settings("stage2", chosen).train.lr
        0.001
    """
    stage = Stage(stage)
    whole = Section("", _composed(stage, overrides))
    out = whole.text("out")
    model = whole.section("model")
    given = {key: value for key, value in model.content.items() if key not in _NO_CHANGE and value is not None}
    return TrainSettings(
        stage=stage,
        out=out,
        model=ModelSettings(model.text("path"), model.optional_text("attn_implementation"), given),
        data=_data(whole.section("data"), stage, out),
        train=_loop(whole.section("train")),
        vlm_cache_bytes=round(whole.number("vlm_cache_gb") * _GB) if stage is Stage.EXPERT else 0,
    )


def keys_told(stage: Stage) -> str:
    """Return the configuration of a stage as it is: keys, defaults and what they mean."""
    return resources.files(_CONFIGS).joinpath(f"{stage}.yaml").read_text("utf-8")


def _data(section: Section, stage: Stage, out: str) -> DataSettings:
    components = _components(section, "components", COMPONENTS)
    missing = [name for name in ("traj_history", "prompt") if name not in components]
    if missing or not set(components) & set(WRITTEN):
        raise AlpamayoError(
            f"data.components=[{','.join(components)}]: expected traj_history, prompt and some of {', '.join(WRITTEN)}."
        )
    if stage is Stage.EXPERT and "traj_future" not in components:
        raise AlpamayoError("data.components: expected traj_future among them, which the expert drives after.")
    on = _components(section, "loss_components", WRITTEN) if stage is Stage.LANGUAGE else ()
    if odd := [name for name in on if name not in components]:
        raise AlpamayoError(f"data.loss_components: {', '.join(odd)}: expected some of data.components.")
    try:
        cameras = MODEL_CAMERAS if section.content.get("cameras") is None else sorted_cameras(section.names("cameras"))
    except DatasetError as error:
        raise AlpamayoError(f"data.cameras: {error}") from error
    return DataSettings(
        labels=section.text("labels"),
        split=section.optional_text("split"),
        dataset=section.text("dataset"),
        data_dir=section.optional_text("data_dir"),
        video_dir=section.optional_text("video_dir"),
        cameras=cameras,
        frames=section.count("frames", 1, 100),
        prepared=section.optional_text("prepared") or files.join(out, "prepared"),
        val_share=section.number("val_share", 0.0, 0.9),
        components=components,
        loss_components=on,
        num_workers=section.count("num_workers", 0, 1024),
    )


def _components(section: Section, key: str, possible: Sequence[str]) -> tuple[str, ...]:
    names = section.names(key)
    if odd := [name for name in names if name not in possible]:
        raise AlpamayoError(f"data.{key}: expected some of {', '.join(possible)}, found {', '.join(odd)}.")
    return tuple(name for name in possible if name in names)


def _loop(section: Section) -> LoopSettings:
    return LoopSettings(
        steps=section.optional_count("steps", 1),
        epochs=section.count("epochs", 1),
        batch_size=section.count("batch_size", 1),
        accumulate=section.count("accumulate", 1),
        lr=section.number("lr", 0.0, 10.0, above=True),
        warmup_steps=section.count("warmup_steps"),
        weight_decay=section.number("weight_decay", 0.0, 10.0),
        max_grad_norm=section.number("max_grad_norm", 0.0, above=True),
        precision=section.choice("precision", Precision),
        gradient_checkpointing=section.flag("gradient_checkpointing"),
        seed=section.count("seed"),
        eval_every=section.count("eval_every", 1),
        save_every=section.count("save_every", 1),
        keep=section.count("keep", 1),
        early_stop_patience=section.optional_count("early_stop_patience", 1),
        resume=section.optional_text("resume"),
    )


def _composed(stage: Stage, overrides: Sequence[str]) -> Mapping[str, Any]:
    from hydra import compose, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    GlobalHydra.instance().clear()
    try:
        with initialize_config_module(_CONFIGS, version_base="1.3"):
            _refuse_unknown(overrides, list(_dotted(OmegaConf.to_container(compose(stage)))), stage)
            content = OmegaConf.to_container(compose(stage, overrides=list(overrides)), resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        said = " ".join(str(error).split()).split(" See https:")[0]
        raise AlpamayoError(
            f"configuration: {said}. Overrides: {' '.join(overrides)}. Quote values with special characters."
        ) from error
    assert isinstance(content, Mapping)
    return {str(key): value for key, value in content.items()}


def _refuse_unknown(overrides: Sequence[str], keys: Sequence[str], stage: Stage) -> None:
    """Raise AlpamayoError for an override of a key that there is not; parts of the model may have keys of their own."""
    for override in overrides:
        key = override.split("=", 1)[0]
        if "=" not in override or (key not in keys and not _in_a_part(key)):
            near = difflib.get_close_matches(key, keys, n=3, cutoff=0.6)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise AlpamayoError(
                f"{override!r}: expected key=value with a key of {stage}.{hint} For all of them: "
                f"coc train {stage} --help"
            )


def _in_a_part(key: str) -> bool:
    path = key.lstrip("+").split(".")
    return len(path) > 2 and path[0] == "model" and path[1].endswith("_cfg")


def _dotted(content: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield f"{prefix}{key}"
            yield from _dotted(value, f"{prefix}{key}.")
