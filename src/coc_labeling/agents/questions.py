"""Questions that are asked until the answer can be used: with more tokens, or again with what was wrong."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from coc_labeling.agents.answers import UnusableAnswerError
from coc_labeling.agents.base import Ask
from coc_labeling.conversation import Part, kept
from coc_labeling.schema import CoCLabel, abstain

MORE_TOKENS = 2  # times as many for an answer that was cut off
PROBLEM_CHARS = 600
_REFUSED = ("refusal", "content_filter")
_SHOWN_ANSWER_CHARS = 8_000

Answer = TypeVar("Answer")


class AbstainedError(Exception):
    """There will be no label; the abstention says why."""

    def __init__(self, label: CoCLabel) -> None:
        super().__init__(label.abstention)
        self.label = label


@dataclass(frozen=True)
class Question(Generic[Answer]):
    """What an answer must be.

    Attributes:
        purpose: kept with the call; see ``schema.ModelCall``.
        form: the pydantic model that the answer must fit.
        read: makes of an answer's content what is wanted; raises UnusableAnswerError saying what is wrong with it.
        again: asks once more; ``{problem}`` says what was wrong.
        max_tokens: of the first attempt.
    """

    purpose: str
    form: type[BaseModel]
    read: Callable[[Any], Answer]
    again: str
    max_tokens: int

    async def ask(self, ask: Ask, parts: Sequence[Part]) -> tuple[Answer, str]:
        """Ask, and once more where that may help; returns what was read, and the answer's text.

        Raises:
            AbstainedError: a refusal, nothing, an answer that was cut off twice, or none that can be used.
        """
        result = await ask(self.purpose, parts, self.form, self.max_tokens)
        if _cut_off(result):
            result = await ask("more_tokens", parts, self.form, self.max_tokens * MORE_TOKENS)
        refuse_declined(result)
        try:
            return self.read(result["content"]), text_of(result)
        except UnusableAnswerError:
            if _cut_off(result):
                limit = self.max_tokens * MORE_TOKENS
                detail = f"the answer was cut off twice, the second time at {limit} tokens"
                raise AbstainedError(abstain("truncated_answer", detail)) from None
            result = await ask("again", self._again(parts, text_of(result)), self.form, self.max_tokens)
        refuse_declined(result)
        try:
            return self.read(result["content"]), text_of(result)
        except UnusableAnswerError as second:
            detail = f"asked twice; the second answer: {str(second)[:PROBLEM_CHARS]}"
            raise AbstainedError(abstain("invalid_answer", detail)) from second

    def _again(self, parts: Sequence[Part], answer: str) -> list[Part]:
        """Return the conversation that asks once more, after an answer that could not be used."""
        answer = kept(answer)
        problem = self.again.replace("{problem}", self._complaint(answer)[:PROBLEM_CHARS])
        said = [Part("assistant", answer[:_SHOWN_ANSWER_CHARS])] if answer.strip() else []
        return [*parts, *said, Part("user", problem)]

    def _complaint(self, answer: str) -> str:
        try:
            self.read(answer)
        except UnusableAnswerError as error:
            return str(error)
        return "it was cut off or not understood."


def text_of(result: dict[str, Any]) -> str:
    """Return an answer as text."""
    content = result.get("text", result.get("content"))
    return content if isinstance(content, str) else json.dumps(content)


def _cut_off(result: dict[str, Any]) -> bool:
    """Say whether an answer ended for want of tokens; one that is whole all the same counts as whole."""
    return result.get("finish_reason") == "length" and not isinstance(result.get("content"), dict)


def refuse_declined(result: dict[str, Any]) -> None:
    """Raise AbstainedError for a refusal or an empty answer."""
    if result.get("finish_reason") in _REFUSED:
        said = text_of(result).strip()[:200]
        raise AbstainedError(abstain("refused", f"{result['finish_reason']}: {said or 'no words with it'}"))
    content = result.get("content")
    if content is None or (isinstance(content, str) and not content.strip()):
        if _cut_off(result):
            detail = "no answer before the tokens ran out; raise vlm_agent.max_tokens"
            raise AbstainedError(abstain("truncated_answer", detail))
        detail = f"the model answered nothing (finish_reason {result.get('finish_reason')})"
        raise AbstainedError(abstain("empty_answer", detail))
