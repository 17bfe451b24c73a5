"""Losses by answer."""

import pytest
import torch

from alpamayo_r1.models import loading
from alpamayo_r1.models.training_output import sums_by_answer
from tiny_model import BASE, tiny_config, write_base

PROMPT = ["<|im_start|>", "<|cot_start|>", "a", "<|cot_end|>", "<|im_end|>", "<|im_start|>"]
COT = ["<|cot_start|>", "a", "b", "<|cot_end|>"]
ACTION = ["<|meta_action_start|>", "c", "<|meta_action_end|>"]
FUTURE = ["<|traj_future_start|>", "<i1>", "<i2>", "<i3>", "<|traj_future_end|>"]
END = ["<|im_end|>"]


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    """Return a tokenizer with all special tokens, and one with those of trajectories only."""
    base = write_base(tmp_path_factory.mktemp("base") / BASE)
    return [loading.load_tokenizer(tiny_config(base, add_special_tokens=known)) for known in (True, False)]


def sums(tokenizer, *rows: tuple[list[str], list[str]]) -> dict[str, list[float]]:
    """Return the sums of rows (what is read, what the loss is on), padded on the left; the n-th loss is n."""
    length = max(len(read) + len(told) for read, told in rows)
    ids = [tokenizer.convert_tokens_to_ids(read + told) for read, told in rows]
    padded = [[tokenizer.pad_token_id] * (length - len(row)) + row for row in ids]
    wanted = torch.tensor([[place >= length - len(told) for place in range(length)] for _, told in rows])[:, 1:]
    losses = torch.arange(1.0, 1.0 + int(wanted.sum()))
    found = sums_by_answer(tokenizer, torch.tensor(padded), wanted, losses)
    return {name: own.tolist() for name, own in found.items()}


def test_from_start_to_end_token(tokenizers):
    """The losses are 1 to 4, 5 to 7, 8 to 12, and 13 for the end of the turn."""
    assert sums(tokenizers[0], (PROMPT, [*COT, *ACTION, *FUTURE, *END])) == {
        "cot": [10, 4],
        "meta_action": [18, 3],
        "traj_future": [50, 5],
    }


def test_over_rows(tokenizers):
    """The first row's losses are 1 to 5, the second's 6 to 10; what was said in an earlier turn has none."""
    found = sums(tokenizers[0], ([*PROMPT, *COT], FUTURE), (PROMPT, [*COT, *END]))
    assert found == {"cot": [6 + 7 + 8 + 9, 4], "meta_action": [0, 0], "traj_future": [15, 5]}


def test_nothing(tokenizers):
    assert sums(tokenizers[0], (PROMPT, [])) == {"cot": [0, 0], "meta_action": [0, 0], "traj_future": [0, 0]}


def test_a_vocabulary_of_trajectories_only(tokenizers):
    read = [token for token in PROMPT if "cot" not in token]
    assert sums(tokenizers[1], (read, [*FUTURE, *END])) == {
        "cot": [0, 0],
        "meta_action": [0, 0],
        "traj_future": [15, 5],
    }
