"""The expert's decoder, its mask and positions."""

import pytest
import torch
from transformers import PreTrainedModel

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.expert import action_mask, action_positions, build_expert
from tiny_model import BASE, base_config, base_tokenizer, tiny_model, write_base


def text_config(attention: str = "sdpa"):
    config = base_config(base_tokenizer()).text_config
    config._attn_implementation = attention
    return config


def test_changes_and_no_token_embeddings():
    expert = build_expert(text_config(), {"hidden_size": 32, "intermediate_size": 48})
    assert expert.config.hidden_size == 32
    assert expert.config.head_dim == 16
    assert not any("embed_tokens" in name for name, _ in expert.named_parameters())


@pytest.mark.parametrize(("given", "own"), [("eager", "eager"), ("sdpa", "sdpa"), ("flash_attention_2", "sdpa")])
def test_attention(given, own):
    assert build_expert(text_config(given), None).config._attn_implementation == own


def test_attention_that_is_changed(tmp_path, monkeypatch):
    """The expert keeps away from flash attention, which would not see its mask."""
    model = tiny_model(write_base(tmp_path / BASE))
    for check in ("_check_and_adjust_attn_implementation", "get_correct_attn_implementation"):
        monkeypatch.setattr(PreTrainedModel, check, lambda _, name, *__, **___: name)
    model.set_attn_implementation("flash_attention_2")
    assert model.config.attn_implementation == "flash_attention_2"
    assert model.expert.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("changes", [{"colour": 3}, {"_name_or_path": "x"}])
def test_unknown_setting(changes):
    with pytest.raises(AlpamayoError, match="is no setting"):
        build_expert(text_config(), changes)


@pytest.mark.parametrize("changes", [{"num_hidden_layers": 1}, {"head_dim": 8}, {"num_key_value_heads": 4}])
def test_cache_that_it_could_not_read(changes):
    with pytest.raises(AlpamayoError, match=f"expert_cfg: {next(iter(changes))}"):
        build_expert(text_config(), changes)


def test_mask_is_additive_and_open_among_actions():
    seen = torch.tensor([[False, True, True, False], [True, True, True, True]])
    mask = action_mask(seen, 3, torch.float32)
    assert mask.shape == (2, 1, 1, 7)
    assert mask.dtype == torch.float32
    low = torch.finfo(torch.float32).min
    assert mask[0, 0, 0].tolist() == [low, 0, 0, low, 0, 0, 0]
    assert not mask[1].any()
    causal = action_mask(seen, 3, torch.bfloat16, causal=True)
    assert (causal[1, 0, :, 4:] == 0).tolist() == [[True, False, False], [True, True, False], [True, True, True]]


def test_positions():
    positions = action_positions(torch.tensor([5, 9]), 3)
    assert positions.shape == (3, 2, 3)
    assert positions[2].tolist() == [[5, 6, 7], [9, 10, 11]]
