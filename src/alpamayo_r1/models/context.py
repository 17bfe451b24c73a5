"""What the vision-language model has read of scenes, as the expert is trained on it: up to each row's own end."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import Qwen3VLForConditionalGeneration

from alpamayo_r1.models.cache import FrozenCache, GrowingCache
from alpamayo_r1.models.rollout import Prompt
from alpamayo_r1.models.token_utils import first_index


@dataclass(frozen=True)
class Context:
    """Keys and values of R rows, without gradients.

    Attributes:
        layers: keys and values (R, heads, columns, size) of each layer.
        open_columns: (R, columns) bool: the row's own tokens, up to and with its end token.
        next_position: (R,) int64: the position after that, as the language model counts.
        ended: (R,) bool: whether the row has its end token. One without has no open column.
    """

    layers: tuple[tuple[Tensor, Tensor], ...]
    open_columns: Tensor
    next_position: Tensor
    ended: Tensor

    @property
    def cache(self) -> FrozenCache:
        """The keys and values as a decoder reads them."""
        return FrozenCache(self.layers)

    @property
    def bytes(self) -> int:
        """Memory of the keys and values."""
        return sum(part.nbytes for layer in self.layers for part in layer)

    def to(self, device: torch.device | str) -> Self:
        """Return the same on a device."""
        layers = tuple((keys.to(device), values.to(device)) for keys, values in self.layers)
        return type(self)(layers, *(part.to(device) for part in (self.open_columns, self.next_position, self.ended)))

    @classmethod
    def join(cls, contexts: Sequence[Self]) -> Self:
        """Return the rows of several, padded on the left."""
        columns = max(context.open_columns.shape[1] for context in contexts)
        missing = [columns - context.open_columns.shape[1] for context in contexts]
        layers = tuple(
            (
                torch.cat([pad(layer[0], (0, 0, more, 0)) for layer, more in zip(same, missing, strict=True)]),
                torch.cat([pad(layer[1], (0, 0, more, 0)) for layer, more in zip(same, missing, strict=True)]),
            )
            for same in zip(*(context.layers for context in contexts), strict=True)
        )
        return cls(
            layers,
            torch.cat([pad(own.open_columns, (more, 0)) for own, more in zip(contexts, missing, strict=True)]),
            torch.cat([context.next_position for context in contexts]),
            torch.cat([context.ended for context in contexts]),
        )


def read_context(
    vlm: Qwen3VLForConditionalGeneration, prompt: Prompt, end_token_id: int, turn_start_id: int
) -> Context:
    """Let the model read rows, and keep what it has read of each up to its end.

    Args:
        vlm: the model; without gradients, and as in inference.
        prompt: whole rows, the assistant's turn included.
        end_token_id: of the token that ends the reasoning: the first in a row's last turn counts.
        turn_start_id: of the token that starts a turn.
    """
    ids, length = prompt.input_ids, prompt.length
    columns = torch.arange(length, device=ids.device)
    turn = torch.where(ids == turn_start_id, columns, 0).amax(dim=1)
    end = first_index((ids == end_token_id) & (columns >= turn[:, None]), -1)
    ended = end >= 0
    kept = int(end.max()) + 1 if bool(ended.any()) else 1  # columns after every row's end are seen by none
    cache = GrowingCache(vlm.config.text_config.num_hidden_layers, length)
    with torch.no_grad(), _as_in_inference(vlm):
        vlm.model(
            input_ids=ids,
            attention_mask=prompt.attention_mask,
            position_ids=prompt.position_ids,
            past_key_values=cache,
            use_cache=True,
            **prompt.vision,
        )
    return Context(
        tuple((layer.keys[..., :kept, :], layer.values[..., :kept, :]) for layer in cache.layers),
        ((prompt.attention_mask == 1) & (columns <= end[:, None]))[:, :kept],
        torch.where(ended, prompt.position_ids[0].gather(1, end.clamp(min=0)[:, None])[:, 0] + 1, 0),
        ended,
    )


@contextmanager
def _as_in_inference(model: nn.Module) -> Iterator[None]:
    """Let a model compute as in inference: trained, it may compute activations anew, and then keeps no cache."""
    trained = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(trained)
