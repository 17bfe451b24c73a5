"""What an agent asks, found without a model: it is answered from a record, or with the smallest answers that fit."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from coc_labeling.agents.base import ModelAgent, PreparedWindow
from coc_labeling.conversation import Part
from coc_labeling.model_clients.json_schemas import smallest_instance, strict_schema
from coc_labeling.model_clients.vlm_wrappers.common import structured
from coc_labeling.schema import CoCLabel, ModelCall


@dataclass(frozen=True)
class Asked:
    """One question; see ``agents.base.Ask``."""

    purpose: str
    parts: tuple[Part, ...]
    form: type[BaseModel] | None
    max_tokens: int


@dataclass(frozen=True)
class KnownFacts:
    """Contradictions as they were found earlier; none where labels are not to be judged."""

    reasons: tuple[str, ...] = ()

    def contradictions(self, label: CoCLabel) -> list[str]:
        """Return them, whatever the label is."""
        return list(self.reasons)


class NoAnswerError(Exception):
    """There is no answer to go on with."""


def asked_again(agent: ModelAgent, prepared: PreparedWindow, calls: Sequence[ModelCall]) -> list[Asked]:
    """Return the questions that led to a record's calls: each answer of the record leads to the next one."""

    def recorded(number: int, asked: Asked) -> dict[str, Any]:
        if number >= len(calls):
            raise NoAnswerError
        call = calls[number]
        content = structured(call.answer, asked.form)
        return {"finish_reason": call.finish_reason, "content": content, "text": call.answer}

    return _rehearse(agent, prepared, recorded)[: len(calls)]


def asked_at_least(agent: ModelAgent, prepared: PreparedWindow) -> list[Asked]:
    """Return the questions that a window takes where every answer can be used."""

    def smallest(_: int, asked: Asked) -> dict[str, Any]:
        text = json.dumps(smallest_instance(strict_schema(asked.form))) if asked.form else "dummy"
        return {"finish_reason": "stop", "content": structured(text, asked.form), "text": text}

    return _rehearse(agent, prepared, smallest)


@dataclass
class _Rehearsal:
    answer: Callable[[int, Asked], dict[str, Any]]
    asked: list[Asked] = field(default_factory=list)

    async def __call__(
        self, purpose: str, parts: Sequence[Part], form: type[BaseModel] | None, max_tokens: int
    ) -> dict[str, Any]:
        question = Asked(purpose, tuple(parts), form, max_tokens)
        self.asked.append(question)
        return self.answer(len(self.asked) - 1, question)


def _rehearse(
    agent: ModelAgent, prepared: PreparedWindow, answer: Callable[[int, Asked], dict[str, Any]]
) -> list[Asked]:
    ask = _Rehearsal(answer)
    with contextlib.suppress(NoAnswerError):
        asyncio.run(agent.label(prepared, ask))
    return ask.asked
