"""Losses added up over batches and processes, and their means over tokens or scenes."""

import torch
from torch import Tensor

from alpamayo_r1.models.training_output import TrainingOutput
from alpamayo_r1.training.conversation import ANSWERS


class LossSums:
    """Sums of losses, and of how many tokens or scenes they are of: of all, and of each answer's tokens.

    Attributes:
        values: (1 + answers, 2) float64, on the CPU.
    """

    def __init__(self, values: Tensor | None = None) -> None:
        self.values = torch.zeros(1 + len(ANSWERS), 2, dtype=torch.float64) if values is None else values

    def add(self, output: TrainingOutput) -> None:
        """Add a batch."""
        assert output.loss is not None
        assert output.counts is not None
        count = output.counts.sum().double()
        none = output.loss.new_zeros(2, dtype=torch.float64)
        answers = output.answers or {}
        own = torch.stack([output.loss.detach().double() * count, count])
        self.values += torch.stack([own, *(answers.get(name, none) for name in ANSWERS)]).cpu()

    @property
    def count(self) -> float:
        """How many tokens or scenes there are."""
        return float(self.values[0, 1])

    @property
    def loss(self) -> float:
        """The mean loss; 0 where there is nothing."""
        return float(self.values[0, 0]) / max(self.count, 1.0)

    def means(self, prefix: str = "") -> dict[str, float]:
        """Return the mean loss as "loss", and those of answers that have tokens as "loss_cot" and so on."""
        answers = dict(zip(ANSWERS, self.values[1:].tolist(), strict=True))
        parts = {f"{prefix}loss_{name}": total / count for name, (total, count) in answers.items() if count}
        return {f"{prefix}loss": self.loss, **parts}
