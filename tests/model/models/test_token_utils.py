"""Tokens of the conversation."""

import torch
from transformers import PreTrainedTokenizerFast

from alpamayo_r1.models.token_utils import (
    SPECIAL_TOKENS,
    SPECIAL_TOKENS_KEYS,
    StopAfterEOS,
    extract_text_tokens,
    extract_traj_tokens,
    replace_padding_after_eos,
    to_special_token,
)
from tiny_model import base_tokenizer

PAD = 0


def tokenizer() -> PreTrainedTokenizerFast:
    made = base_tokenizer()
    made.add_tokens(list(SPECIAL_TOKENS.values()), special_tokens=True)
    return made


def test_names():
    assert to_special_token("traj_future_start") == "<|traj_future_start|>"
    assert len(SPECIAL_TOKENS_KEYS) == 29
    assert SPECIAL_TOKENS["cot_end"] == "<|cot_end|>"


def test_stop_is_one_token_after_the_end():
    stop = StopAfterEOS(eos_token_id=9)
    rows = torch.tensor([[9, 1, 9], [1, 9, 1], [9, 1, 1], [9, 9, 9]])
    assert stop(rows, None).tolist() == [False, True, False, True]
    assert stop(rows[:, :1], None).tolist() == [False] * 4


def test_padding_after_the_first_end():
    rows = torch.tensor([[1, 9, 2, 9], [1, 2, 3, 4], [9, 1, 1, 1], [1, 1, 1, 9]])
    kept = replace_padding_after_eos(rows, 9, PAD)
    assert kept.tolist() == [[1, 9, 0, 0], [1, 2, 3, 4], [9, 0, 0, 0], [1, 1, 1, 9]]
    assert rows[0, 2] == 2


def test_texts_between_start_and_end():
    own = tokenizer()
    texts = [
        "<|cot_start|>a lead car brakes.<|cot_end|><|meta_action_start|>slow<|meta_action_end|><|traj_future_start|>",
        "<|cot_start|>cut off",
        "no start<|cot_end|>",
        "<|cot_start|>first<|cot_end|><|cot_start|>second<|cot_end|><|answer_start|> <|answer_end|>",
        "<|cot_end|><|cot_start|>after<|cot_end|>",
        "",
    ]
    ids = own(texts, padding=True, return_tensors="pt")["input_ids"]
    found = extract_text_tokens(own, ids)
    assert found["cot"] == ["a lead car brakes.", "", "", "first", "after", ""]
    assert found["meta_action"] == ["slow", "", "", "", "", ""]
    assert found["answer"] == ["", "", "", " ", "", ""]


def test_trajectory_tokens():
    rows = torch.tensor([[5, 10, 11, 7, 13], [1, 2, 3, 4, 5], [10, 14, 12, 0, 0]])
    assert [row.tolist() for row in extract_traj_tokens(rows, 10, 4)] == [[0, 1, 3], [], [0, 2]]
