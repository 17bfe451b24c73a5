"""What a model says of a batch that it is trained on."""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase
from transformers.utils import ModelOutput

from alpamayo_r1.helper import REQUESTS
from alpamayo_r1.models.token_utils import to_special_token

_TURN_END = "<|im_end|>"


@dataclass
class TrainingOutput(ModelOutput):
    """The loss of a batch and of its rows.

    Attributes:
        loss: () the mean over what it is on: tokens, or scenes; 0 where there is nothing.
        row_losses: (B,) the mean of each row, without gradients; 0 where it has nothing.
        counts: (B,) int64, the tokens or scenes of each row that the loss is on.
        answers: what ``sums_by_answer`` gives; None where the loss is not on tokens.
    """

    loss: Tensor | None = None
    row_losses: Tensor | None = None
    counts: Tensor | None = None
    answers: dict[str, Tensor] | None = None


def sums_by_answer(
    tokenizer: PreTrainedTokenizerBase, ids: Tensor, wanted: Tensor, losses: Tensor
) -> dict[str, Tensor]:
    """Return the sum and the number of the losses of each answer's tokens, from its start token to its end token.

    A token belongs to the answer whose start token is the latest before it. The end of the turn is no answer's.

    Args:
        tokenizer: of the model.
        ids: (B, L), fused.
        wanted: (B, L - 1) bool: which of the tokens after the first column the loss is on.
        losses: (N,) of these, row by row.

    Returns:
        (2,) float64 by the names of answers: "cot", "meta_action", "traj_future".
    """
    ids, columns = ids[:, 1:], torch.arange(wanted.shape[1], device=ids.device)
    starts = {name: tokenizer.convert_tokens_to_ids(to_special_token(f"{name}_start")) for name in REQUESTS}
    known = [start for start in starts.values() if start is not None]  # a vocabulary may have those of paths alone
    begins = wanted & torch.isin(ids, torch.tensor(known, device=ids.device))
    latest = torch.where(begins, columns, -1).cummax(dim=1).values
    answer = torch.where(latest < 0, -1, ids.gather(1, latest.clamp(min=0)))
    answer = answer.masked_fill(ids == tokenizer.convert_tokens_to_ids(_TURN_END), -1)[wanted]
    sums = {}
    for name, start in starts.items():
        own = answer == (-2 if start is None else start)
        sums[name] = torch.stack([losses.double()[own].sum(), own.sum().double()])
    return sums
