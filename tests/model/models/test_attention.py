"""Attention by groups is attention."""

from types import SimpleNamespace

import pytest
import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.models.qwen3_vl.modeling_qwen3_vl import eager_attention_forward

from alpamayo_r1.models.attention import attend, grouped

USUAL = [sdpa_attention_forward, eager_attention_forward]


def a_module(groups: int) -> SimpleNamespace:
    return SimpleNamespace(num_key_value_groups=groups, is_causal=True, training=False)


@pytest.mark.parametrize("usual", USUAL)
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(("queries", "mask_rows"), [(1, 1), (5, 1), (5, 5)])
def test_like_transformers(usual, groups, queries, mask_rows):
    torch.manual_seed(0)
    query = torch.randn(3, 4, queries, 8)
    key, value = torch.randn(2, 3, 4 // groups, 11, 8).unbind(0)
    seen = torch.rand(3, 1, mask_rows, 11) > 0.4
    seen[..., 0] = True
    mask = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)
    own, _ = attend(usual, a_module(groups), query, key, value, mask, scaling=0.3)
    wanted, _ = usual(a_module(groups), query, key, value, mask.expand(3, 1, queries, 11), scaling=0.3)
    torch.testing.assert_close(own, wanted, atol=1e-6, rtol=1e-5)
    assert own.is_contiguous()


@pytest.mark.parametrize("usual", USUAL)
@pytest.mark.parametrize("queries", [1, 5])
def test_without_a_mask(usual, queries):
    query, key = torch.randn(2, 4, queries, 8), torch.randn(2, 2, queries, 8)
    own, _ = attend(usual, a_module(2), query, key, key, None, scaling=0.3)
    wanted, _ = usual(a_module(2), query, key, key, None, scaling=0.3)
    torch.testing.assert_close(own, wanted, atol=1e-6, rtol=1e-5)


def test_only_for_a_while():
    configs = [SimpleNamespace(_attn_implementation=name) for name in ("sdpa", "eager", "flash_attention_2")]
    with grouped(*configs):
        meanwhile = [config._attn_implementation for config in configs]
    assert meanwhile == ["sdpa_of_groups", "eager_of_groups", "flash_attention_2"]
    assert [config._attn_implementation for config in configs] == ["sdpa", "eager", "flash_attention_2"]
