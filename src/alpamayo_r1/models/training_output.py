"""What a model says of a batch that it is trained on."""

from dataclasses import dataclass

from torch import Tensor
from transformers.utils import ModelOutput


@dataclass
class TrainingOutput(ModelOutput):
    """The loss of a batch and of its rows.

    Attributes:
        loss: () the mean over what it is on: tokens, or scenes; 0 where there is nothing.
        row_losses: (B,) the mean of each row, without gradients; 0 where it has nothing.
        counts: (B,) int64, the tokens or scenes of each row that the loss is on.
    """

    loss: Tensor | None = None
    row_losses: Tensor | None = None
    counts: Tensor | None = None
