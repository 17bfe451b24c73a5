"""Tokens of the conversation: their names, where writing stops, and what was written in words and trajectories."""

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase, StoppingCriteria


def to_special_token(name: str) -> str:
    """Return the special token of a name.

    Example:
        >>> to_special_token("cot_start")
        '<|cot_start|>'
    """
    return f"<|{name}|>"


TRAJ_TOKEN = {
    "history": "<|traj_history|>",
    "future": "<|traj_future|>",
    "history_start": "<|traj_history_start|>",
    "future_start": "<|traj_future_start|>",
    "history_end": "<|traj_history_end|>",
    "future_end": "<|traj_future_end|>",
}

# In the order in which released checkpoints add them to the tokenizer.
SPECIAL_TOKENS_KEYS = [
    "prompt_start",
    "prompt_end",
    "image_start",
    "image_pre_tkn",
    "image_end",
    "traj_history_start",
    "traj_history_pre_tkn",
    "traj_history_end",
    "cot_start",
    "cot_end",
    "meta_action_start",
    "meta_action_end",
    "traj_future_start",
    "traj_future_pre_tkn",
    "traj_future_end",
    "traj_history",
    "traj_future",
    "image_pad",
    "vectorized_wm",
    "vectorized_wm_start",
    "vectorized_wm_end",
    "vectorized_wm_pre_tkn",
    "route_start",
    "route_pad",
    "route_end",
    "question_start",
    "question_end",
    "answer_start",
    "answer_end",
]
SPECIAL_TOKENS = {key: to_special_token(key) for key in SPECIAL_TOKENS_KEYS}

# What a row may write, each between its start and its end token.
TEXT_COMPONENTS = ("cot", "meta_action", "answer")


class StopAfterEOS(StoppingCriteria):
    """Ends a row one token after its end token, so that the end token has gone through the model and is in its cache.

    The row's prompt may end with the end token; one further back is no end.
    """

    def __init__(self, eos_token_id: int) -> None:
        self.eos_token_id = eos_token_id

    def __call__(self, input_ids: Tensor, scores: Tensor | None = None, **kwargs: Any) -> Tensor:
        """Say of each row of ``input_ids`` (R, L) whether its last token but one is the end token: (R,) bool."""
        if input_ids.shape[1] < 2:
            return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        return input_ids[:, -2] == self.eos_token_id


def first_index(found: Tensor, default: int) -> Tensor:
    """Return the first column of each row of ``found`` (R, L) bool that is true, or the default: (R,) int64."""
    first = found.int().argmax(dim=1)
    return torch.where(found.any(dim=1), first, torch.full_like(first, default))


def replace_padding_after_eos(token_ids: Tensor, eos_token_id: int, pad_token_id: int) -> Tensor:
    """Return ``token_ids`` (R, L) with padding after each row's first end token; a row without one stays as it is."""
    length = token_ids.shape[1]
    end = first_index(token_ids == eos_token_id, length)
    after = torch.arange(length, device=token_ids.device) > end[:, None]
    return token_ids.masked_fill(after, pad_token_id)


def extract_text_tokens(tokenizer: PreTrainedTokenizerBase, token_ids: Tensor) -> dict[str, list[str]]:
    """Return what each row says of its reasoning, meta-actions and answer.

    Args:
        tokenizer: the model's.
        token_ids: (R, L), padding included.

    Returns:
        For each of "cot", "meta_action" and "answer" the rows' texts between ``<|x_start|>`` and ``<|x_end|>``, the
        first of each; "" where one of the two is missing.
    """
    texts = tokenizer.batch_decode(token_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return {name: [_between(text, f"{name}_start", f"{name}_end") for text in texts] for name in TEXT_COMPONENTS}


def _between(text: str, start: str, end: str) -> str:
    _, found, rest = text.partition(to_special_token(start))
    inner, closed, _ = rest.partition(to_special_token(end))
    return inner if found and closed else ""


def extract_traj_tokens(token_ids: Tensor, traj_token_start_idx: int, traj_vocab_size: int) -> list[Tensor]:
    """Return the trajectory tokens ``<i*>`` of each row of ``token_ids`` (R, L), counted from ``<i0>``, in order."""
    counted = token_ids - traj_token_start_idx
    return [row[(row >= 0) & (row < traj_vocab_size)] for row in counted]
