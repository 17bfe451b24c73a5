"""Attention by groups is attention."""

from types import SimpleNamespace

import pytest
import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.models.qwen3_vl.modeling_qwen3_vl import eager_attention_forward

from alpamayo_r1.models import attention
from alpamayo_r1.models.attention import attend, can_share, grouped, sharing
from alpamayo_r1.models.cache import GrowingCache

USUAL = [sdpa_attention_forward, eager_attention_forward]


def a_module(groups: int) -> SimpleNamespace:
    return SimpleNamespace(num_key_value_groups=groups, is_causal=True, training=False, layer_idx=0)


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


@pytest.mark.parametrize("at_once", [1, 100, 250, 10**6])
def test_eager_in_parts(monkeypatch, at_once):
    """How many rows are computed at once changes nothing."""
    monkeypatch.setattr(attention, "_SCORES_IN_CACHE", at_once)
    torch.manual_seed(0)
    query, mask = torch.randn(3, 4, 2, 8), torch.randn(3, 1, 1, 11)
    key, value = torch.randn(2, 3, 2, 11, 8).unbind(0)
    own, _ = attend(eager_attention_forward, a_module(2), query, key, value, mask, scaling=0.3)
    wanted, _ = eager_attention_forward(a_module(2), query, key, value, mask, scaling=0.3)
    torch.testing.assert_close(own, wanted, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("usual", USUAL)
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("masked", ["bool", "added", "not"])
def test_common_columns(usual, groups, masked):
    """Rows of a scene read what they have in common as if each had a copy."""
    torch.manual_seed(0)
    heads = 4 // groups
    common, own = torch.randn(2, 2, heads, 5, 8), torch.randn(2, 6, heads, 3, 8)
    query = torch.randn(6, 4, 1, 8)
    seen = torch.rand(6, 1, 1, 8) > 0.3
    seen[..., 0] = True
    added = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)
    cache = GrowingCache(layers=1, room=5)
    cache.update(*common, 0)
    cache.share(3, room=8)
    key, value = cache.update(*own, 0)
    mask = {"bool": seen, "added": added, "not": None}[masked]
    with sharing(cache):
        found, _ = attend(usual, a_module(groups), query, key, value, mask, scaling=0.3)
    keys, values = (torch.cat([c.repeat_interleave(3, dim=0), o], dim=2) for c, o in zip(common, own, strict=True))
    wanted, _ = usual(a_module(groups), query, keys, values, None if masked == "not" else added, scaling=0.3)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)
    assert found.shape == (6, 1, 4, 8)


def test_only_for_a_while():
    configs = [SimpleNamespace(_attn_implementation=name) for name in ("sdpa", "eager", "flash_attention_2")]
    with grouped(*configs):
        meanwhile = [config._attn_implementation for config in configs]
        assert [can_share(config) for config in configs] == [True, True, False]
    assert not any(can_share(config) for config in configs)
    assert meanwhile == ["sdpa_of_groups", "eager_of_groups", "flash_attention_2"]
    assert [config._attn_implementation for config in configs] == ["sdpa", "eager", "flash_attention_2"]
