"""One of several processes of a training, for ``torchrun``: training_rank.py STAGE MODEL OUT key=value ...

Leaves what its model has become in OUT/rank_<number>.safetensors.
"""

import os
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from alpamayo_r1.training import loop
from training_runs import run, settings_of


def main(stage: str, model: str, out: str, *overrides: str) -> None:
    trained = loop.Loop.run

    def kept(self: loop.Loop) -> loop.Ending:
        ending = trained(self)
        weights = {name: own.detach().clone() for name, own in self.trainee.trained()}
        save_file(weights, str(Path(out) / f"rank_{self.accelerator.process_index}.safetensors"))
        return ending

    loop.Loop.run = kept  # type: ignore[method-assign]
    if os.environ.get("SPOIL_RANK", "none") == os.environ.get("RANK"):
        from hand_made import InMemory

        epoch = InMemory.epoch

        def spoiled(self, number, skip=0):
            for batch in epoch(self, number, skip):
                batch["tokenized_data"]["pixel_values"] = batch["tokenized_data"]["pixel_values"] * 1e30
                yield batch

        InMemory.epoch = spoiled  # type: ignore[method-assign]
    run(settings_of(stage, Path(model), Path(out), *overrides))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*sys.argv[1:])
