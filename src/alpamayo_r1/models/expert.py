"""The action expert: a decoder that reads the vision-language model's cache and says where noisy actions should go."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor
from transformers import Qwen3VLTextModel
from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLTextConfig

from alpamayo_r1.errors import AlpamayoError

# What the cache was written with: an expert with others could not read it.
_SHARED = ("num_hidden_layers", "num_key_value_heads", "head_dim")


def build_expert(text_config: Qwen3VLTextConfig, changes: dict[str, Any] | None) -> Qwen3VLTextModel:
    """Return a decoder as the language model's, with ``changes`` to its configuration, and without token embeddings.

    Flash attention knows no masks such as the expert's, so it computes with sdpa instead.

    Raises:
        AlpamayoError: a change that the configuration does not know, or one that makes the cache unreadable.
    """
    config = deepcopy(text_config)
    config._attn_implementation = expert_attention(config._attn_implementation)
    for name, value in (changes or {}).items():
        if not hasattr(config, name) or name.startswith("_"):
            raise AlpamayoError(f"expert_cfg: {name!r} is no setting of a qwen3_vl_text decoder.")
        setattr(config, name, value)
    for name in _SHARED:
        if getattr(config, name) != getattr(text_config, name):
            raise AlpamayoError(
                f"expert_cfg: {name} {getattr(config, name)!r}: expected the language model's, "
                f"{getattr(text_config, name)!r}, whose cache the expert reads."
            )
    expert = Qwen3VLTextModel(config)
    del expert.embed_tokens
    return expert


def expert_attention(of_language_model: str) -> str:
    """Return the attention that the expert computes with, beside that of the language model: it needs its mask."""
    return of_language_model if of_language_model == "eager" else "sdpa"


def action_positions(next_position: Tensor, tokens: int) -> Tensor:
    """Return the positions (3, R, tokens) of action tokens that start at ``next_position`` (R,)."""
    positions = next_position[:, None] + torch.arange(tokens, device=next_position.device)
    return positions.expand(3, -1, -1)


def action_mask(open_columns: Tensor, tokens: int, dtype: torch.dtype, causal: bool = False) -> Tensor:
    """Return the mask that is added to the expert's attention scores: 0 where it may look, the lowest number elsewhere.

    Always additive and four-dimensional: transformers takes a boolean mask for numbers in eager attention, and None for
    no padding.

    Args:
        open_columns: (R, columns of the cache) bool.
        tokens: action tokens.
        dtype: the expert's.
        causal: let action tokens see only themselves and those before, not all of each other.

    Returns:
        (R, 1, 1, columns + tokens), the same for all action tokens, or (R, 1, tokens, columns + tokens) if causal.
    """
    rows = len(open_columns)
    among = open_columns.new_ones(tokens, tokens).tril() if causal else open_columns.new_ones(1, tokens)
    seen = torch.cat([open_columns[:, None].expand(-1, len(among), -1), among.expand(rows, -1, -1)], dim=-1)
    lowest = torch.finfo(dtype).min
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill(~seen, lowest)[:, None]
