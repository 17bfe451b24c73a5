"""A whole training: the model it starts from, its data, the loop, and what is left of it on disk."""

import json
import math
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, DistributedType, InitProcessGroupKwargs
from torch import nn
from transformers.utils.logging import disable_progress_bar

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.base_model import ReasoningVLA
from alpamayo_r1.training import extras, sharding
from alpamayo_r1.training.checkpoints import (
    MODEL,
    Checkpoints,
    Progress,
    differing,
    link_model,
    load_optimizer,
    load_progress,
    load_trained,
)
from alpamayo_r1.training.data import TrainingData, prepared_data
from alpamayo_r1.training.journal import BOARD, LOSSES, Journal
from alpamayo_r1.training.loop import Ending, Loop, make_optimizer, steps_of
from alpamayo_r1.training.losses import Trainee
from alpamayo_r1.training.settings import AUTO, Stage, TrainSettings
from alpamayo_r1.training.starting import load_checkpoint, starting_model
from alpamayo_r1.training.vlm_caches import VlmCaches
from batch_runs.progress import live
from batch_runs.terminal import complain, say
from driving_clips import files

GetData = Callable[[TrainSettings, ReasoningVLA, Accelerator], TrainingData]

CHECKPOINTS, SETTINGS, SUMMARY = "checkpoints", "train.json", "run_summary.json"
_PREPARING = timedelta(hours=24)  # the first process may decode videos for so long while others wait
_KINDS = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU, DistributedType.FSDP)
# What may be another when a training goes on: it changes no number, or where things are.
_FREE = {"model.path", "model.attn_implementation", "data.data_dir", "data.video_dir", "data.prepared"}
_FREE |= {"data.num_workers", "train.resume", "train.keep", "train.save_every", "out", "vlm_cache_bytes"}
_FREE |= {"train.gradient_checkpointing", "data.labels"}


@dataclass(frozen=True)
class TrainResult:
    """What came of a training.

    Attributes:
        out: its folder.
        ending: why it ended.
        progress: how far it came.
        steps: how far it was to come.
        model: the folder of the trained model; None after an interruption.
        leads: whether this process is the first, which speaks for all.
        notices: what a user should know.
        problems: what was wrong with rows of batches.
    """

    out: Path
    ending: Ending
    progress: Progress
    steps: int
    model: Path | None
    leads: bool
    notices: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    measured: dict[str, Any] = field(default_factory=dict)

    @property
    def interrupted(self) -> bool:
        """Whether it was ended from outside."""
        return self.ending is Ending.INTERRUPTED

    def lines(self) -> list[str]:
        """Return what is said of it on a terminal."""
        progress = self.progress
        lines = [f"{progress.step} of {self.steps} steps: {self.ending}"]
        if progress.best_loss is not None:
            lines.append(f"lowest validation loss: {progress.best_loss:.4f} at step {progress.best_step}")
        if self.problems:
            lines += [f"{len(self.problems)} rows had problems, such as: {self.problems[0]}"]
        if self.model is not None:
            lines.append(f"model: {self.model}")
        return [*lines, f"losses: {self.out / LOSSES}", f"summary: {self.out / SUMMARY}"]


def train(settings: TrainSettings, get_data: GetData = prepared_data) -> TrainResult:
    """Train a stage, or go on with it.

    Args:
        settings: what is asked for.
        get_data: gives batches for a model.

    Raises:
        AlpamayoError: a model, data or an earlier training in the folder that cannot be used; a loss that is no number.
        DatasetError, CocLabelingError: a dataset or labels that cannot be read.
    """
    extras.require()
    disable_progress_bar()  # a bar for each file of each checkpoint
    accelerator = _accelerator(settings)
    checkpoints = Checkpoints(Path(settings.out) / CHECKPOINTS, settings.train.keep)
    earlier = _earlier(settings, checkpoints)
    _refuse_foreign(Path(settings.out).absolute(), Path(settings.data.prepared).absolute())
    described = {**settings.as_json(), "processes": accelerator.num_processes}
    _refuse_other(described, settings, earlier)
    attention = settings.model.attn_implementation
    model = starting_model(settings) if earlier is None else load_checkpoint(earlier / MODEL, attention)
    data = get_data(settings, model, accelerator)
    try:
        if not len(data.train):
            raise AlpamayoError("data: expected at least one batch for each process, found none.")
        loop = _loop(settings, accelerator, model, data, checkpoints, earlier)
        if accelerator.is_main_process:
            files.make_dir(settings.out)
            files.write_atomic(files.join(settings.out, SETTINGS), json.dumps(described, indent=2) + "\n")
            _tell(settings, data, loop, earlier)
            loop.journal = Journal(Path(settings.out), loop.progress.step)
        return _trained(settings, loop, data)
    finally:
        data.close()


def _loop(
    settings: TrainSettings,
    accelerator: Accelerator,
    model: ReasoningVLA,
    data: TrainingData,
    checkpoints: Checkpoints,
    earlier: Path | None,
) -> Loop:
    """Return the loop, at its beginning or where an earlier checkpoint was."""
    trainee = Trainee(
        model,
        settings.stage,
        settings.train.precision,
        gradient_checkpointing=settings.train.gradient_checkpointing,
        caches=VlmCaches(settings.vlm_cache_bytes) if settings.vlm_cache_bytes else None,
    )
    if earlier is not None:
        load_trained(earlier, trainee)
    module, optimizer = _prepared(trainee, settings, accelerator)
    if earlier is not None:
        load_optimizer(earlier, optimizer)
    return Loop(
        accelerator,
        module,
        trainee,
        optimizer,
        data.train,
        data.validation,
        settings.train,
        steps_of(settings.train, len(data.train)),
        checkpoints,
        progress=Progress() if earlier is None else load_progress(earlier),
    )


def _prepared(
    trainee: Trainee, settings: TrainSettings, accelerator: Accelerator
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Return the trainee as several processes train it together, and the optimizer."""
    if sharding.asked_for() is not None and accelerator.num_processes > 1:
        sharding.shard(trainee, accelerator)
        return trainee, accelerator.prepare_optimizer(make_optimizer(trainee, settings.train))
    module, optimizer = accelerator.prepare(trainee, make_optimizer(trainee, settings.train))
    return module, optimizer


def _trained(settings: TrainSettings, loop: Loop, data: TrainingData) -> TrainResult:
    """Run the loop, and write what is left of it."""
    accelerator, out = loop.accelerator, Path(settings.out)
    begun, first = time.monotonic(), loop.progress.step
    journal = loop.journal
    try:
        with nullcontext() if journal is None else live(lambda: [journal.told(loop.steps)]):
            ending = loop.run()
    finally:
        if loop.journal is not None:
            loop.journal.close()
    model = None
    if ending is not Ending.INTERRUPTED:
        model = out / MODEL
        best = loop.progress.best_step
        chosen = loop.checkpoints.steps()[-1] if best is None else best
        if accelerator.is_main_process:
            link_model(loop.checkpoints.path(chosen), model)
    measured = _measured(loop, time.monotonic() - begun, loop.progress.step - first)
    result = TrainResult(
        out,
        ending,
        loop.progress,
        loop.steps,
        model,
        accelerator.is_main_process,
        data.notices,
        tuple(loop.problems),
        measured,
    )
    if accelerator.is_main_process:
        _summarise(settings, result, data)
    accelerator.wait_for_everyone()
    accelerator.end_training()
    return result


def _accelerator(settings: TrainSettings) -> Accelerator:
    no_pictures = "image" not in settings.data.components  # then the vision tower has no gradients
    accelerator = Accelerator(
        mixed_precision="no",  # the trainee sees to it
        fsdp_plugin=sharding.asked_for(),
        kwargs_handlers=[
            InitProcessGroupKwargs(timeout=_PREPARING),
            DistributedDataParallelKwargs(find_unused_parameters=no_pictures and settings.stage is Stage.LANGUAGE),
        ],
    )
    if accelerator.distributed_type not in _KINDS:
        raise AlpamayoError(
            f"accelerate is configured for {accelerator.distributed_type}: expected one process, or several, with or "
            "without FSDP version 2. Run accelerate config."
        )
    return accelerator


def _earlier(settings: TrainSettings, checkpoints: Checkpoints) -> Path | None:
    """Return the checkpoint that is gone on from, or None."""
    resume, steps = settings.train.resume, checkpoints.steps()
    if resume == AUTO:
        return checkpoints.path(steps[-1]) if steps else None
    if resume is not None:
        load_progress(Path(resume))
        return Path(resume)
    if steps:
        raise AlpamayoError(
            f"out={settings.out}: train.resume=null starts anew, but there is a training up to step {steps[-1]}. "
            "Choose another out, or go on with train.resume=auto."
        )
    return None


def _refuse_foreign(out: Path, prepared: Path) -> None:
    """Raise AlpamayoError where a folder holds something else than a training."""
    if not out.is_dir() or (out / SETTINGS).is_file():
        return
    known = {CHECKPOINTS, MODEL, LOSSES, BOARD, SUMMARY}
    if prepared.is_relative_to(out):  # there already where the training was killed while it prepared
        known.update(prepared.relative_to(out).parts[:1])
    if foreign := sorted(path.name for path in out.iterdir() if path.name not in known):
        raise AlpamayoError(
            f"out={out}: expected a new folder, an empty one or that of a training, found {', '.join(foreign[:3])} in "
            "it. Choose another out."
        )


def _refuse_other(described: dict[str, Any], settings: TrainSettings, earlier: Path | None) -> None:
    """Raise AlpamayoError where the training in the folder was asked for otherwise; an explicit resume may differ."""
    path = Path(settings.out) / SETTINGS
    if earlier is None or settings.train.resume != AUTO or not path.is_file():
        return
    before = json.loads(path.read_text("utf-8"))
    changed = differing(json.loads(json.dumps(described)), before)
    changed = [line for line in changed if line.split("=", 1)[0] not in _FREE]
    if changed:
        raise AlpamayoError(
            f"out={settings.out}: the training there was asked for otherwise: {'; '.join(changed)}. Choose another "
            f"out, ask for the same, or branch off with train.resume={earlier} and another out."
        )


def _tell(settings: TrainSettings, data: TrainingData, loop: Loop, earlier: Path | None) -> None:
    counts = ", ".join(f"{count} {name}" for name, count in data.counts.items() if count)
    start = f"from {settings.model.path}" if earlier is None else f"on from {earlier}, step {loop.progress.step}"
    say(f"{settings.stage}: {loop.steps} steps {start}; scenes: {counts}")
    for notice in data.notices:
        complain(f"note: {notice}")


def _measured(loop: Loop, seconds: float, steps: int) -> dict[str, Any]:
    """Return speed and memory."""
    settings = loop.settings
    scenes = steps * settings.accumulate * settings.batch_size * loop.accelerator.num_processes
    measured: dict[str, Any] = {
        "device": str(loop.accelerator.device),
        "processes": loop.accelerator.num_processes,
        "sharded": sharding.is_sharded(loop.module),
        "seconds": round(seconds, 3),
        "steps": steps,
        "steps_per_second": round(steps / max(seconds, 1e-9), 3),
        "scenes_per_second": round(scenes / max(seconds, 1e-9), 2),
    }
    if torch.cuda.is_available():
        measured["peak_gpu_memory_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    caches = loop.trainee.caches
    if caches is not None:
        measured |= {"vlm_cache_gb": round(caches.used / 1e9, 3), "vlm_cached_scenes": len(caches)}
        measured |= {"vlm_cache_found": caches.found, "vlm_cache_read": caches.read}
    return measured


def _summarise(settings: TrainSettings, result: TrainResult, data: TrainingData) -> None:
    progress = result.progress
    best = progress.best_loss
    summary = {
        "command": f"coc train {settings.stage}",
        "ending": str(result.ending),
        "steps": progress.step,
        "steps_wanted": result.steps,
        "epoch": progress.epoch,
        "best_validation_loss": best if best is None or math.isfinite(best) else None,
        "best_step": progress.best_step,
        "model": None if result.model is None else os.fspath(result.model),
        "scenes": data.counts,
        "this_run": result.measured,
        "notices": list(result.notices),
        "problems": list(result.problems),
        "config": settings.as_json(),
    }
    files.write_atomic(str(result.out / SUMMARY), json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
