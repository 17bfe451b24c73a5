"""A label as a conversation in the token sequence of the reasoning model."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from coc_labeling.export.content import ANSWERS, Component
from coc_labeling.export.path_tokens import VOCABULARY, future_tokens, history_tokens
from coc_labeling.export.rows import ExportRow
from meta_action.names import BY_NAME, RANK

SYSTEM = "You are a driving assistant that generates safe and accurate actions."
REQUESTS = {
    Component.COT: "output the chain-of-thought reasoning of the driving process",
    Component.META_ACTION: "output meta actions",
    Component.TRAJ_FUTURE: "output the future trajectory",
}
# In the order in which they are added to a tokenizer, after the trajectory's.
SPECIAL_TOKENS = tuple(
    f"<|{name}|>"
    for name in (
        *("prompt_start", "prompt_end", "image_start", "image_pre_tkn", "image_end", "traj_history_start"),
        *("traj_history_pre_tkn", "traj_history_end", "cot_start", "cot_end", "meta_action_start", "meta_action_end"),
        *("traj_future_start", "traj_future_pre_tkn", "traj_future_end", "traj_history", "traj_future", "image_pad"),
        *("vectorized_wm", "vectorized_wm_start", "vectorized_wm_end", "vectorized_wm_pre_tkn", "route_start"),
        *("route_pad", "route_end", "question_start", "question_end", "answer_start", "answer_end"),
    )
)
# What a tokenizer, a trainer or a chat template would take for more than text: some templates cut answers at </think>.
_TOKENS_IN_TEXT = re.compile(r"<\||\|>|<i[0-9]|<(?:image|video|audio)>|</?(?:think|tool_call|tool_response)>")


@dataclass(frozen=True)
class Conversation:
    """What is said, without the pictures, which come first in the user's turn.

    Attributes:
        user: what follows the pictures; empty where nothing does.
        answer: the assistant's turn.
    """

    user: str
    answer: str


def conversation_of(row: ExportRow, components: Sequence[Component]) -> Conversation:
    """Return a label as a conversation; the row has a scene with what its components need.

    A ``meta_action`` answer names all meta-actions that start at the keyframe.
    """
    asked = [part for part in ANSWERS if part in components]
    user = ""
    if Component.TRAJ_HISTORY in components:
        assert row.scene.drive is not None
        user += _between("traj_history", _numbered(history_tokens(row.scene.drive.history)))
    if Component.PROMPT in components:
        user += request(asked)
    return Conversation(user, "".join(_between(part, _answer(row, part)) for part in asked))


def request(asked: Iterable[Component]) -> str:
    """Return what a model is asked to answer.

    Example:
        >>> request([Component.META_ACTION, Component.TRAJ_FUTURE])
        'output meta actions, then output the future trajectory.'
    """
    return ", then ".join(REQUESTS[part] for part in asked) + "."


def reason_against(row: ExportRow, components: Sequence[Component]) -> str | None:
    """Return why a label cannot be told as a conversation, in words to count by; None where it can."""
    if Component.COT in components and _TOKENS_IN_TEXT.search(row.cot):
        return "text with a token of a model"
    if Component.META_ACTION in components and not _meta_actions(row):
        return "no meta-action starts at its keyframe"
    return None


def trajectory_tokens() -> list[str]:
    """Return the tokens of trajectories, in the order in which they are added to a tokenizer."""
    return [f"<i{number}>" for number in range(VOCABULARY)]


def _answer(row: ExportRow, part: Component) -> str:
    if part is Component.COT:
        return row.cot
    if part is Component.META_ACTION:
        return _meta_actions(row)
    assert row.scene.drive is not None
    return _numbered(future_tokens(row.scene.drive))


def _meta_actions(row: ExportRow) -> str:
    """Return the meta-actions that start at the keyframe, in words by axis."""
    names = sorted((name for name in row.meta_actions if name in BY_NAME), key=RANK.__getitem__)
    known = [BY_NAME[name] for name in names]
    return ", ".join(f"{action.axis}: {action.name.replace('_', ' ')}" for action in known)


def _between(part: str, content: str) -> str:
    return f"<|{part}_start|>{content}<|{part}_end|>"


def _numbered(tokens: Iterable[int]) -> str:
    return "".join(f"<i{number}>" for number in tokens)
