"""Checkpoints of a training: a model that can be used, and beside it what going on exactly needs.

    checkpoints/step_000500/model/   loads with from_pretrained
    checkpoints/step_000500/state/   progress.json, optimizer.pt, trained.safetensors

No pickle is loaded that could run code.
"""

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.base_model import ReasoningVLA
from alpamayo_r1.models.checkpoint_files import CONFIG, listed
from alpamayo_r1.training.losses import Trainee
from alpamayo_r1.training.settings import Precision
from alpamayo_r1.training.sharding import gathered, shared_out

MODEL, STATE = "model", "state"
_PROGRESS, _OPTIMIZER, _TRAINED = "progress.json", "optimizer.pt", "trained.safetensors"
_NAME = re.compile(r"step_([0-9]{6,12})")
_UNFINISHED = ".unfinished"


@dataclass
class Progress:
    """How far a training has come.

    Attributes:
        step: optimizer steps that are done.
        epoch: the one that the next batch is from.
        batch: batches of it that a process has used.
        best_loss: the lowest validation loss, None before there is one.
        best_step: where that was.
        without_progress: evaluations since.
        evaluation_due: whether it was ended before an evaluation that was to come after that step.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best_loss: float | None = None
    best_step: int | None = None
    without_progress: int = 0
    evaluation_due: bool = False

    @classmethod
    def read(cls, path: Path) -> "Progress":
        """Read what ``write`` wrote; raises AlpamayoError for anything else."""
        try:
            content = json.loads(path.read_text("utf-8"))
            known = {own.name for own in fields(cls)}
            if not isinstance(content, dict) or set(content) != known:
                raise ValueError(f"expected {', '.join(sorted(known))}")
            return cls(**content)
        except (OSError, ValueError) as error:
            raise AlpamayoError(f"{path}: expected the progress of a training: {error}.") from error


@dataclass(frozen=True)
class WholeState:
    """What a training has become, whole.

    Attributes:
        model: its state by name.
        optimizer: its state.
    """

    model: dict[str, Tensor]
    optimizer: dict[str, Any]

    @classmethod
    def of(cls, trainee: Trainee, optimizer: torch.optim.Optimizer, *, keep: bool) -> "WholeState":
        """Return that of all processes together, which all of them call; ``keep`` says whether this one needs it."""
        model = gathered(trainee.model.state_dict(keep_vars=True), keep=keep)
        return cls(model, gathered(optimizer.state_dict(), keep=keep))


class Checkpoints:
    """The checkpoints of a training.

    Attributes:
        folder: where they are.
        keep: how many of the last ones are kept, besides the best.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder, self.keep = folder, keep

    def steps(self) -> list[int]:
        """Return the steps of the checkpoints that are complete, in order."""
        if not self.folder.is_dir():
            return []
        found = (_NAME.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(int(name.group(1)) for name in found if name)

    def path(self, step: int) -> Path:
        """Return the folder of a step's checkpoint."""
        return self.folder / f"step_{step:06d}"

    def save(self, trainee: Trainee, state: WholeState, progress: Progress, precision: Precision) -> Path:
        """Write a checkpoint, in place of an earlier one of the step, and remove those that are not kept."""
        final = self.path(progress.step)
        unfinished = final.with_name(final.name + _UNFINISHED)
        shutil.rmtree(unfinished, ignore_errors=True)
        folder = unfinished / STATE
        folder.mkdir(parents=True)
        save_model(trainee.model, unfinished / MODEL, precision, state.model)
        if precision is not Precision.FLOAT32:  # the model's own file has them rounded
            trained = {name: state.model[name].detach().cpu().contiguous() for name, _ in trainee.trained()}
            save_file(trained, str(folder / _TRAINED))
        torch.save(state.optimizer, folder / _OPTIMIZER)
        (folder / _PROGRESS).write_text(json.dumps(asdict(progress), indent=2) + "\n", "utf-8")
        if final.is_dir():
            shutil.rmtree(final)
        unfinished.rename(final)
        self._prune(progress)
        return final

    def _prune(self, progress: Progress) -> None:
        steps = self.steps()
        for step in steps[: -self.keep]:
            if step != progress.best_step:
                shutil.rmtree(self.path(step))
        for path in self.folder.glob(f"step_*{_UNFINISHED}"):
            shutil.rmtree(path, ignore_errors=True)


def save_model(model: ReasoningVLA, folder: Path, precision: Precision, tensors: Mapping[str, Tensor]) -> None:
    """Write a model with its whole tensors, as it is used: in bfloat16 where it was trained with that, else float32."""
    dtype = torch.bfloat16 if precision is Precision.BF16 else torch.float32
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    cast = {name: own.detach().to(dtype) if name in parameters else own for name, own in tensors.items()}
    model.save_pretrained(str(folder), state_dict=cast)
    path = folder / CONFIG
    content = json.loads(path.read_text("utf-8"))
    said = str(dtype).removeprefix("torch.")
    content |= {"dtype": said, "model_dtype": said}
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", "utf-8")


def load_progress(checkpoint: Path) -> Progress:
    """Return how far a checkpoint has come; raises AlpamayoError where it is none."""
    if not (checkpoint / STATE / _PROGRESS).is_file():
        raise AlpamayoError(
            f"train.resume={checkpoint}: expected the folder of a checkpoint with {MODEL}/ and {STATE}/ in it, such as "
            "OUT/checkpoints/step_000500."
        )
    return Progress.read(checkpoint / STATE / _PROGRESS)


def load_trained(checkpoint: Path, trainee: Trainee) -> None:
    """Set the trained weights exactly as they were; raises AlpamayoError where they are not the model's."""
    path = checkpoint / STATE / _TRAINED
    if not path.is_file():
        return  # the model's own file has them unrounded
    try:
        tensors = load_file(str(path))
    except (OSError, SafetensorError) as error:
        raise AlpamayoError(f"{path}: expected a whole safetensors file: {error}.") from error
    wanted = dict(trainee.trained())
    if odd := sorted(set(tensors) ^ set(wanted)):
        raise AlpamayoError(f"{path}: expected the trained weights of this stage; these differ: {listed(odd)}.")
    with torch.no_grad():
        for name, own in wanted.items():
            own.copy_(tensors[name])


def load_optimizer(checkpoint: Path, optimizer: torch.optim.Optimizer) -> None:
    """Set the optimizer's state as it was; raises AlpamayoError where it is not this one's."""
    path = checkpoint / STATE / _OPTIMIZER
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        optimizer.load_state_dict(shared_out(state, optimizer))
    except Exception as error:  # torch's loader may stumble over anything in a damaged file
        raise AlpamayoError(
            f"{path}: expected the optimizer's state of this training: {type(error).__name__}: {str(error)[:200]}. "
            "Resume from an earlier checkpoint."
        ) from error


def link_model(checkpoint: Path, folder: Path) -> None:
    """Make a folder with a checkpoint's model in it, in place of an earlier one; no room is needed on one disk."""
    unfinished = folder.with_name(folder.name + _UNFINISHED)
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(checkpoint / MODEL, unfinished, copy_function=_link)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one that knows no links
        shutil.copy2(source, target)


def differing(settings: dict[str, Any], earlier: dict[str, Any], prefix: str = "") -> list[str]:
    """Return the keys in which settings of two trainings differ, with both values."""
    lines = []
    for key in sorted(set(settings) | set(earlier)):
        now, before = settings.get(key), earlier.get(key)
        if isinstance(now, dict) and isinstance(before, dict):
            lines += differing(now, before, f"{prefix}{key}.")
        elif now != before:
            lines.append(f"{prefix}{key}={now} (was {before})")
    return lines
