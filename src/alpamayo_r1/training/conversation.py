"""Scenes as the model's conversation: which parts it holds, its answers, and where a loss is taken."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from alpamayo_r1 import helper
from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.token_utils import to_special_token

ANSWERS = tuple(helper.REQUESTS)  # in the order in which the model writes them
COMPONENTS = ("image", "traj_history", "prompt", "cot", "traj_future")  # the default
LOSS_COMPONENTS = ("cot", "traj_future")
_ALWAYS = ("traj_history", "prompt")  # inference asks with both
_KNOWN = ("image", *_ALWAYS, *ANSWERS)
_TURN_START, _TURN_END = "<|im_start|>", "<|im_end|>"


@dataclass(frozen=True)
class Parts:
    """Which parts a conversation holds, and which of them a loss is taken on.

    Attributes:
        components: of "image", "traj_history", "prompt", "cot", "meta_action" and "traj_future"; an answer at least.
        loss_components: some of the answers.
        for_expert: whether it ends where the expert takes over, after ``<|traj_future_start|>``.

    Raises:
        AlpamayoError: parts that are not known, are missing, or do not fit together.
    """

    components: tuple[str, ...] = COMPONENTS
    loss_components: tuple[str, ...] = LOSS_COMPONENTS
    for_expert: bool = False

    def __post_init__(self) -> None:
        said = f"components={','.join(self.components)}"
        missing = [name for name in _ALWAYS if name not in self.components]
        if missing or not self.answers or not set(self.components) <= set(_KNOWN):
            raise AlpamayoError(
                f"{said}: expected {' and '.join(_ALWAYS)}, at least one of {', '.join(ANSWERS)}, and image or not."
            )
        if odd := [name for name in self.loss_components if name not in self.answers]:
            raise AlpamayoError(f"loss_components: {', '.join(odd)}: expected some of the answers among {said}.")
        if self.for_expert and "traj_future" not in self.answers:
            raise AlpamayoError(f"{said}: expected traj_future among them, after whose start the expert drives.")

    @property
    def answers(self) -> tuple[str, ...]:
        """What the assistant writes, in its order."""
        return tuple(name for name in ANSWERS if name in self.components)

    @property
    def with_loss(self) -> tuple[str, ...]:
        """The answers that a loss is taken on and that are written to their end."""
        cut = ("traj_future",) if self.for_expert else ()
        return tuple(name for name in self.answers if name in self.loss_components and name not in cut)

    def messages(self, frames: Tensor, tokens_per_history_traj: int) -> list[dict[str, Any]]:
        """Return the conversation up to the first answer's start token: what inference shows of frames (N, 3, h, w)."""
        messages = helper.create_message(frames, self.answers, tokens_per_history_traj)
        if "image" not in self.components:
            asked = messages[1]
            asked["content"] = [part for part in asked["content"] if part["type"] != "image"]
        return messages

    def answer(self, said: dict[str, str]) -> str:
        """Return what follows that start token, to the end of the turn, or to where the expert takes over.

        Args:
            said: what stands between the start and the end of each answer.
        """
        text = ""
        for name in self.answers:
            text += to_special_token(f"{name}_start")
            if self.for_expert and name == "traj_future":
                break
            text += said[name] + to_special_token(f"{name}_end")
        else:
            text += _TURN_END
        return text.removeprefix(to_special_token(f"{self.answers[0]}_start"))


@dataclass(frozen=True)
class AnswerTokens:
    """The ids that bound answers.

    Attributes:
        starts, ends: of each answer's start and end token, by the answer's name.
        turn_start, turn_end: of ``<|im_start|>`` and ``<|im_end|>``.
    """

    starts: dict[str, int]
    ends: dict[str, int]
    turn_start: int
    turn_end: int

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, answers: Sequence[str] = ANSWERS) -> "AnswerTokens":
        """Return those of a tokenizer; raises AlpamayoError where it lacks one of these answers' or a turn's."""
        vocabulary = tokenizer.get_vocab()
        bounds = [to_special_token(f"{name}_{side}") for name in answers for side in ("start", "end")]
        if missing := [token for token in (*bounds, _TURN_START, _TURN_END) if token not in vocabulary]:
            raise AlpamayoError(
                f"tokenizer: expected {', '.join(missing)} in its vocabulary, found none. Reasoning and meta-actions "
                "can be learnt where the configuration says add_special_tokens=true."
            )
        starts, ends = (
            {name: vocabulary[to_special_token(f"{name}_{side}")] for name in answers} for side in ("start", "end")
        )
        return cls(starts, ends, vocabulary[_TURN_START], vocabulary[_TURN_END])


def mask_of(
    input_ids: Tensor, attention_mask: Tensor, tokens: AnswerTokens, loss_components: Sequence[str]
) -> tuple[Tensor, list[str]]:
    """Return where a loss is taken, and which rows lack a part of it.

    In each row's last turn: every chosen answer from its start token to its end token inclusive, and the end of the
    turn. A start whose end is missing gives no loss for that answer, nor for the end of that row's turn; other rows
    are as they would be without it.

    Args:
        input_ids: (B, L), fused or not.
        attention_mask: (B, L), 0 on padding.
        tokens: of the model.
        loss_components: of "cot", "meta_action" and "traj_future".

    Returns:
        (B, L) bool, true on the tokens that are to be predicted, and a message for each answer without an end.
    """
    mask = torch.zeros_like(input_ids, dtype=torch.bool)
    problems: list[str] = []
    for row, own in enumerate(input_ids.masked_fill(attention_mask == 0, -1)):
        turn = max(_places(own, tokens.turn_start), default=-1)
        whole = True
        for name in loss_components:
            starts = [place for place in _places(own, tokens.starts[name]) if place > turn]
            ends = _places(own, tokens.ends[name])
            for start, following in zip(starts, [*starts[1:], len(own)], strict=False):
                end = next((place for place in ends if start < place < following), None)
                if end is None:
                    problems.append(f"row {row}: no loss on {name}, whose end token is missing.")
                    whole = False
                else:
                    mask[row, start : end + 1] = True
        answered = mask[row].nonzero()[:, 0].tolist()
        if whole and answered:
            end_of_turn = [place for place in _places(own, tokens.turn_end) if place > answered[-1]]
            mask[row, end_of_turn[:1]] = True
    return mask, problems


def _places(ids: Tensor, token: int) -> list[int]:
    places: list[int] = (ids == token).nonzero()[:, 0].tolist()
    return places
