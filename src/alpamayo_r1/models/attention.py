"""Attention of grouped queries that leaves keys and values where they are.

transformers repeats keys and values for every head of a group, whenever there is a mask: for each written token the
whole cache, several times over. Heads of a group can as well be further queries of their one key head, where all
queries of a row see the same columns: when one token is written, and among the expert's action tokens. And samples of
one scene are further queries of their common prompt, which is then read once for all of them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import eager_mask, sdpa_mask
from transformers.models.qwen3_vl.modeling_qwen3_vl import eager_attention_forward

from alpamayo_r1.models.cache import GrowingCache

Attend = Callable[..., tuple[Tensor, Tensor | None]]

# By the attention that is configured: its name while it computes by groups.
_GROUPED = {"sdpa": "sdpa_of_groups", "eager": "eager_of_groups"}

_SCORES_IN_CACHE = 2**18  # a megabyte of float32

# The cache whose rows have their prompts in common, while it is read.
_shared: ContextVar[GrowingCache | None] = ContextVar("shared", default=None)


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
    cache = _shared.get()
    common = None if cache is None else cache.layers[int(module.layer_idx)].common
    rows, heads, queries, size = query.shape
    alike = queries == 1 if attention_mask is None else attention_mask.shape[2] == 1
    if common is None and (groups == 1 or not alike):
        return usual(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    folded = query.reshape(rows, heads // groups, groups * queries, size)
    if common is not None:
        attended = _with_common(folded, key, value, common, attention_mask, scaling)
    elif usual is sdpa_attention_forward:
        attended = scaled_dot_product_attention(folded, key, value, attn_mask=attention_mask, scale=scaling)
    else:
        attended = _eagerly(folded, key, value, attention_mask, scaling)
    return attended.reshape(rows, heads, queries, size).transpose(1, 2).contiguous(), None


def _eagerly(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float) -> Tensor:
    """Return attention with its scores written out; on a CPU so many rows at once as its cache holds the scores of."""
    rows, heads, queries, _ = query.shape
    at_once = rows
    if query.device.type == "cpu":
        at_once = max(1, _SCORES_IN_CACHE // (heads * queries * key.shape[-2]))
    attended = torch.empty_like(query)
    for part in (slice(start, start + at_once) for start in range(0, rows, at_once)):
        scores = torch.matmul(query[part], key[part].transpose(2, 3)).mul_(scaling)
        if mask is not None:
            scores.add_(mask[part])
        attended[part] = torch.matmul(scores.softmax(dim=-1, dtype=torch.float32).to(query.dtype), value[part])
    return attended


def _with_common(
    query: Tensor, key: Tensor, value: Tensor, common: tuple[Tensor, Tensor], mask: Tensor | None, scaling: float
) -> Tensor:
    """Return attention to keys that all rows of a scene have in common, (B, heads, columns, size), and to their own."""
    scenes, length = len(common[0]), common[0].shape[-2]
    of_rows = torch.matmul(query, key.transpose(2, 3))
    of_scenes = torch.matmul(_by_scene(query, scenes), common[0].transpose(2, 3))
    scores = torch.cat([_by_row(of_scenes, query), of_rows], dim=-1).mul_(scaling)
    if mask is not None:
        closed = torch.finfo(scores.dtype).min
        scores = scores.masked_fill_(~mask, closed) if mask.dtype == torch.bool else scores.add_(mask)
    weights = scores.softmax(dim=-1, dtype=torch.float32).to(query.dtype)
    attended = torch.matmul(weights[..., length:], value)
    return attended.add_(_by_row(torch.matmul(_by_scene(weights[..., :length], scenes), common[1]), query))


def _by_scene(rows: Tensor, scenes: int) -> Tensor:
    """Return (R, heads, n, size) as (B, heads, rows of the scene * n, size)."""
    return rows.unflatten(0, (scenes, -1)).transpose(1, 2).flatten(2, 3)


def _by_row(scenes: Tensor, like: Tensor) -> Tensor:
    """Return (B, heads, rows of the scene * n, size) as (R, heads, n, size), with the R and n of ``like``."""
    return scenes.unflatten(2, (-1, like.shape[2])).transpose(1, 2).flatten(0, 1)


def can_share(config: Any) -> bool:
    """Say whether a decoder of this configuration computes by groups just now, and so can read a shared cache."""
    return config._attn_implementation in _GROUPED.values()


@contextmanager
def sharing(cache: GrowingCache) -> Iterator[None]:
    """Let decoders that compute by groups read meanwhile what rows of this cache have in common, if they have."""
    reset = _shared.set(cache)
    try:
        yield
    finally:
        _shared.reset(reset)


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
