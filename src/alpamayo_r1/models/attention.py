"""Attention of grouped queries that leaves keys and values where they are.

transformers repeats keys and values for every head of a group, whenever there is a mask: for each written token the
whole cache, several times over. Heads of a group can as well be further queries of their one key head, where all
queries of a row see the same columns: when one token is written, and among the expert's action tokens.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import eager_mask, sdpa_mask
from transformers.models.qwen3_vl.modeling_qwen3_vl import eager_attention_forward

Attend = Callable[..., tuple[Tensor, Tensor | None]]

# By the attention that is configured: its name while it computes by groups.
_GROUPED = {"sdpa": "sdpa_of_groups", "eager": "eager_of_groups"}


def attend(
    usual: Attend,
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float = 1.0,
    **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:
    """Return attention's result (R, n, heads, size), and its weights or None.

    Args:
        usual: transformers' function, which computes where queries see different columns or have a key head each.
        module: a decoder's attention; its ``num_key_value_groups`` says how many heads share a key.
        query: (R, heads, n, size).
        key: (R, heads / groups, columns, size).
        value: likewise.
        attention_mask: (R, 1, n or 1, columns), or None.
        scaling: of the scores.
        kwargs: for the usual function.
    """
    groups = int(module.num_key_value_groups)
    rows, heads, queries, size = query.shape
    alike = queries == 1 if attention_mask is None else attention_mask.shape[2] == 1
    if groups == 1 or not alike:
        return usual(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    folded = query.reshape(rows, heads // groups, groups * queries, size)
    if usual is sdpa_attention_forward:
        attended = scaled_dot_product_attention(folded, key, value, attn_mask=attention_mask, scale=scaling)
    else:
        attended = _eagerly(folded, key, value, attention_mask, scaling)
    return attended.reshape(rows, heads, queries, size).transpose(1, 2).contiguous(), None


def _eagerly(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float) -> Tensor:
    scores = torch.matmul(query, key.transpose(2, 3)).mul_(scaling)
    if mask is not None:
        scores.add_(mask)
    return torch.matmul(scores.softmax(dim=-1, dtype=torch.float32).to(query.dtype), value)


@contextmanager
def grouped(*configs: Any) -> Iterator[None]:
    """Let decoders of these configurations compute by groups meanwhile, whichever of the two attentions they have."""
    own = [(config, config._attn_implementation) for config in configs if config._attn_implementation in _GROUPED]
    for config, usual in own:
        config._attn_implementation = _GROUPED[usual]
    try:
        yield
    finally:
        for config, usual in own:
            config._attn_implementation = usual


AttentionInterface.register(_GROUPED["sdpa"], partial(attend, sdpa_attention_forward))
AttentionInterface.register(_GROUPED["eager"], partial(attend, eager_attention_forward))
AttentionMaskInterface.register(_GROUPED["sdpa"], sdpa_mask)
AttentionMaskInterface.register(_GROUPED["eager"], eager_mask)
