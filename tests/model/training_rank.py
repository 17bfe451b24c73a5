"""One of several processes that train together, for ``torchrun``: training_rank.py JOBS

JOBS is a JSON file of trainings, made one after the other. Each leaves what its model has become in
OUT/rank_<number>.safetensors, and there how many numbers the process held, or its error in OUT/rank_<number>.txt.
"""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from torch.distributed.tensor import DTensor

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.training import loop
from alpamayo_r1.training.sharding import gathered
from hand_made import InMemory, told
from training_runs import run, settings_of

SHARDED = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}


@dataclass(frozen=True)
class Job:
    """A training: where, from which model, and with which settings; two scenes are for validation.

    Attributes:
        sharded: whether accelerate is configured for FSDP.
        spoilt: the process that gets pictures of which the loss is no number, or None.
    """

    stage: str
    model: str
    out: str
    overrides: list[str] = field(default_factory=list)
    sharded: bool = False
    spoilt: int | None = None


def write_jobs(path: Path, jobs: list[Job]) -> None:
    path.write_text(json.dumps([asdict(job) for job in jobs]))


def main(path: str) -> None:
    end, Accelerator.end_training = Accelerator.end_training, lambda _: None  # they go on together
    for job in (Job(**content) for content in json.loads(Path(path).read_text())):
        for name, value in SHARDED.items():
            os.environ.pop(name, None)
            if job.sharded:
                os.environ[name] = value
        train(job)
    end(Accelerator())


def held(own: loop.Loop) -> int:
    """Return how many numbers of weights and of the optimizer's state a process holds."""
    states = [part for parts in own.optimizer.state.values() for part in parts.values()]
    tensors = [*own.trainee.model.parameters(), *states]
    return sum((part.to_local() if isinstance(part, DTensor) else part).numel() for part in tensors)


def train(job: Job) -> None:
    rank = os.environ["RANK"]
    trained, epoch = loop.Loop.run, InMemory.epoch

    def kept(self: loop.Loop) -> loop.Ending:
        ending = trained(self)
        weights = gathered(dict(self.trainee.trained()), keep=True)
        own = {name: own.detach().clone() for name, own in weights.items()}
        save_file(own, str(Path(job.out) / f"rank_{rank}.safetensors"), {"held": str(held(self))})
        return ending

    def spoiled(self: InMemory, number: int, skip: int = 0) -> Iterator[dict[str, Any]]:
        for batch in epoch(self, number, skip):
            batch["tokenized_data"]["pixel_values"] = batch["tokenized_data"]["pixel_values"] * 1e30
            yield batch

    loop.Loop.run = kept  # type: ignore[method-assign]
    InMemory.epoch = spoiled if str(job.spoilt) == rank else epoch  # type: ignore[method-assign]
    try:
        run(settings_of(job.stage, Path(job.model), Path(job.out), *job.overrides), told(6), told(2))
    except AlpamayoError as error:
        (Path(job.out) / f"rank_{rank}.txt").write_text(str(error))
    finally:
        loop.Loop.run, InMemory.epoch = trained, epoch  # type: ignore[method-assign]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*sys.argv[1:])
