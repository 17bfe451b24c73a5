"""The training loop: batches to steps, evaluation, checkpoints, and the ways in which it ends."""

import math
import re
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.helper import to_device
from alpamayo_r1.models.training_output import TrainingOutput
from alpamayo_r1.training.checkpoints import Checkpoints, Progress, WholeState
from alpamayo_r1.training.journal import Journal
from alpamayo_r1.training.loss_sums import LossSums
from alpamayo_r1.training.losses import Trainee, noise_seeds
from alpamayo_r1.training.settings import LoopSettings
from alpamayo_r1.training.sharding import gathered, is_sharded

Batch = Mapping[str, Any]

_VALIDATION = -1  # the step whose noise validation has, so that its losses can be compared
_MOST_PROBLEMS = 1000
_NAMES_TOLD = 20
_ROW = re.compile(r"row ([0-9]{1,6}): ")


class Batches(Protocol):
    """The batches of a process."""

    def __len__(self) -> int:
        """Return how many an epoch has."""

    def epoch(self, number: int, skip: int = 0) -> Iterator[Batch]:
        """Return those of an epoch after the first ``skip``; their order is the epoch's own."""

    def close(self) -> None:
        """End what makes them."""


class Ending(StrEnum):
    """Why a training ended."""

    FINISHED = "finished"
    EARLY = "early stop: no lower validation loss"
    INTERRUPTED = "interrupted; the same command goes on"


class DivergedError(AlpamayoError):
    """The loss or a gradient is no number any more."""


def learning_rate(step: int, steps: int, highest: float, warmup: int) -> float:
    """Return the learning rate of a step, counted from 0: up in a line, down along a cosine.

    Example:
        >>> [round(learning_rate(step, 6, 1.0, 2), 2) for step in range(6)]
        [0.5, 1.0, 1.0, 0.85, 0.5, 0.15]
    """
    if step < warmup:
        return highest * (step + 1) / warmup
    return highest * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def make_optimizer(trainee: Trainee, settings: LoopSettings) -> torch.optim.Optimizer:
    """Return AdamW for what is trained; biases and norms do not decay."""
    trained = [own for _, own in trainee.trained()]
    groups = [
        {"params": [own for own in trained if own.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [own for own in trained if own.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=settings.lr)


def steps_of(settings: LoopSettings, batches: int) -> int:
    """Return how many steps a training has whose epochs have so many batches for each process."""
    if settings.steps is not None:
        return settings.steps
    return math.ceil(settings.epochs * batches / settings.accumulate)


@dataclass
class Loop:
    """Trains a model.

    Attributes:
        accelerator: knows devices and processes.
        module: the trainee as the accelerator has prepared it.
        trainee: itself.
        optimizer: as prepared.
        train: batches to learn from.
        validation: batches to evaluate, or None.
        settings: how.
        steps: in all.
        checkpoints: where they are written.
        journal: what is measured is written there; None in all processes but the first.
        progress: where it begins, and then how far it is.
        problems: what was wrong with rows of batches, each once.
    """

    accelerator: Accelerator
    module: nn.Module
    trainee: Trainee
    optimizer: torch.optim.Optimizer
    train: Batches
    validation: Batches | None
    settings: LoopSettings
    steps: int
    checkpoints: Checkpoints
    journal: Journal | None = None
    progress: Progress = field(default_factory=Progress)
    problems: dict[str, None] = field(default_factory=dict)
    _asked_to_end: bool = False
    _rate: float = 0.0
    _norm: float = 0.0

    def run(self) -> Ending:
        """Train to the end, from where ``progress`` is.

        Raises:
            DivergedError: the loss is no number any more; the message names the scenes of the batch.
        """
        batches = self._batches()
        self.module.train()
        with self._ending_on_signals():
            if self._evaluate_if_due():
                self._save()
            while self.progress.step < self.steps:
                if self._out_of_patience:
                    return Ending.EARLY
                if self._step(batches) and self.progress.step < self.steps:
                    return Ending.INTERRUPTED
        return Ending.FINISHED

    @property
    def _out_of_patience(self) -> bool:
        patience = self.settings.early_stop_patience
        return patience is not None and self.progress.without_progress >= patience

    def _step(self, batches: Iterator[Batch]) -> bool:
        """Make a step, evaluate and save where it is time to; returns whether one of the processes was asked to end."""
        begun = time.monotonic()
        sums, asked_to_end = self._learn([next(batches) for _ in range(self.settings.accumulate)])
        self.progress.step += 1
        step, settings = self.progress.step, self.settings
        self._write(**sums.means(), seconds=time.monotonic() - begun, lr=self._rate, grad_norm=self._norm)
        last = step == self.steps
        self.progress.evaluation_due = last or step % settings.eval_every == 0
        in_a_hurry = asked_to_end and not last  # whoever asks may not wait for long
        better = not in_a_hurry and self._evaluate_if_due()
        if last or self._out_of_patience or asked_to_end or better or step % settings.save_every == 0:
            self._save()
        return asked_to_end

    def _learn(self, batches: list[Batch]) -> tuple[LossSums, bool]:
        """Make a step; returns its losses over all processes, and whether one of them was asked to end.

        Gradients of sums are added up and divided at last: how many tokens there are is known when all have been seen.
        """
        self._rate = learning_rate(self.progress.step, self.steps, self.settings.lr, self.settings.warmup_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate
        own_sums = LossSums()
        bad: list[str] = []
        for place, batch in enumerate(batches):
            with self._syncing(last=place == len(batches) - 1):
                output = self._loss(batch, self.progress.step)
                assert output.loss is not None
                assert output.counts is not None
                self.accelerator.backward(output.loss * output.counts.sum())
            own_sums.add(output)
            bad += _names_of_bad(output, batch)
        sums = LossSums(self._sum(own_sums.values))
        asked = self._sum(torch.tensor([float(self._asked_to_end)]))
        if not math.isfinite(sums.loss):
            self._diverged("the loss", bad, batches)
        divisor = max(sums.count, 1.0) / self.accelerator.num_processes
        trained = [own for _, own in self.trainee.trained()]
        for own in trained:
            if own.grad is not None:
                own.grad.div_(divisor)
        norm = self.accelerator.clip_grad_norm_(trained, self.settings.max_grad_norm)
        self._norm = float(gathered(norm, keep=True))
        if not math.isfinite(self._norm):
            self._diverged("a gradient", [], batches)
        if sums.count:
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return sums, bool(asked > 0)

    def _loss(self, batch: Batch, step: int) -> TrainingOutput:
        seeds = noise_seeds(batch["names"], self.settings.seed, step)
        output: TrainingOutput = self.module(**to_device(dict(batch), self.accelerator.device), seeds=seeds)
        assert output.counts is not None
        empty = (output.counts == 0).nonzero()[:, 0].tolist()
        said = [f"row {row}: there is nothing in it that the loss is on." for row in empty]
        for problem in (_named(problem, batch["names"]) for problem in (*batch.get("problems", ()), *said)):
            if len(self.problems) < _MOST_PROBLEMS:
                self.problems[problem] = None
        return output

    def _evaluate_if_due(self) -> bool:
        """Measure the validation loss where it is time to; returns whether it is the lowest so far."""
        due, self.progress.evaluation_due = self.progress.evaluation_due, False
        if not due or self.validation is None:
            return False
        self.module.eval()
        own_sums = LossSums()
        with torch.no_grad():
            for batch in self.validation.epoch(0):
                own_sums.add(self._loss(batch, _VALIDATION))
        self.module.train()
        sums = LossSums(self._sum(own_sums.values))
        loss, best = sums.loss, self.progress.best_loss
        if sums.count:
            self._write(**sums.means("val_"))
        better = sums.count > 0 and math.isfinite(loss) and (best is None or loss < best)
        if better:
            self.progress.best_loss, self.progress.best_step = loss, self.progress.step
        self.progress.without_progress = 0 if better else self.progress.without_progress + 1
        return better

    def _batches(self) -> Iterator[Batch]:
        """Yield batches from where progress is, epoch after epoch, and count them."""
        progress = self.progress
        while True:
            for batch in self.train.epoch(progress.epoch, progress.batch):
                progress.batch += 1
                yield batch
            progress.epoch, progress.batch = progress.epoch + 1, 0

    def _save(self) -> None:
        leads = self.accelerator.is_main_process
        state = WholeState.of(self.trainee, self.optimizer, keep=leads)
        if leads:
            self.checkpoints.save(self.trainee, state, self.progress, self.settings.precision)
        self.accelerator.wait_for_everyone()

    def _sum(self, own: Tensor) -> Tensor:
        """Return sums over all processes, on the CPU."""
        summed: Tensor = self.accelerator.reduce(own.to(self.accelerator.device), reduction="sum")
        return summed.cpu()

    def _write(self, **values: float) -> None:
        if self.journal is not None:
            self.journal.write(self.progress.step, epoch=self.progress.epoch, **values)

    def _syncing(self, *, last: bool) -> AbstractContextManager[Any]:
        """Return what gradients are added up in: processes exchange those of the last batch of a step.

        Sharded, they exchange those of each: whole ones are not kept.
        """
        return nullcontext() if last or is_sharded(self.module) else self.accelerator.no_sync(self.module)

    def _diverged(self, what: str, bad: list[str], batches: list[Batch]) -> None:
        own = bad or [_told(scene) for batch in batches for scene in batch["names"]]
        names = gather_object(own)
        last = self.checkpoints.steps()
        go_on = f"train.resume={self.checkpoints.path(last[-1])}" if last else "a new training"
        more = f" and {len(names) - _NAMES_TOLD} more" if len(names) > _NAMES_TOLD else ""
        raise DivergedError(
            f"step {self.progress.step + 1}: expected finite numbers, found {what} NaN or infinite, in a batch of "
            f"{', '.join(names[:_NAMES_TOLD])}{more}. Nothing was saved of it. Look at these scenes, or lower train.lr "
            f"({self.settings.lr:g}), and begin with {go_on}."
        )

    @contextmanager
    def _ending_on_signals(self) -> Iterator[None]:
        """Let SIGTERM and Ctrl-C end the training after the step that is under way; a second one ends it at once."""
        if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
            yield
            return

        def ask(number: int, frame: object) -> None:
            if self._asked_to_end:
                raise KeyboardInterrupt
            self._asked_to_end = True

        before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _names_of_bad(output: TrainingOutput, batch: Batch) -> list[str]:
    assert output.row_losses is not None
    bad = (~output.row_losses.isfinite()).nonzero()[:, 0].tolist()
    return [_told(batch["names"][row]) for row in bad]


def _named(problem: str, names: Sequence[tuple[str, int]]) -> str:
    """Return what is said of a batch's row with the scene instead of the row's number."""
    found = _ROW.match(problem)
    return problem if found is None else f"{_told(names[int(found[1])])}: {problem[found.end() :]}"


def _told(scene: tuple[str, int]) -> str:
    return f"{scene[0]}/{scene[1]}"
