"""The JSON object in a model's answer, read by a real parser or not at all."""

import json
import re
from typing import Any

_FENCED = re.compile(r"```(?:json)?[ \t]*\r?\n(.*?)```", re.DOTALL | re.IGNORECASE)
_DECODER = json.JSONDecoder(strict=False)  # decoders of servers let line breaks through inside texts


def parse_json(text: str) -> dict[str, Any] | None:
    """Return the one JSON object of an answer, or None.

    Read are: the object alone, in a fence, or with words around it; a ``<think>`` part before it is dropped. An
    answer with two objects is None: which of them is meant would be a guess. Nothing is repaired.

    Example:
        >>> parse_json('Sure: {"stop": true}')
        {'stop': True}
    """
    whole = _load(text)
    if whole is not None:
        return whole if isinstance(whole, dict) else None
    answer = _after_thinking(text)
    fenced = [found for block in _FENCED.findall(answer) if isinstance(found := _load(block), dict)]
    if fenced:
        return fenced[0] if len(fenced) == 1 else None
    return _embedded(answer)


def _after_thinking(text: str) -> str:
    """Return what follows a model's thinking; nothing where it never came to an end."""
    # The opening tag may be missing: some chat templates put it into the prompt.
    _, end, answer = text.rpartition("</think>")
    if not end and answer.lstrip().startswith("<think>"):
        return ""
    return answer


def _load(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        # ValueError is also what Python says to integers of more than 4,300 digits.
        return None


def _embedded(text: str) -> dict[str, Any] | None:
    """Return the object with words around it.

    Only the first brace is tried: a later one may open a part of an object that was cut off.
    """
    before, brace, _ = text.partition("{")
    if not brace or before.rstrip().endswith("["):
        return None
    try:
        value, end = _DECODER.raw_decode(text, len(before))
    except (ValueError, RecursionError):
        return None
    return value if "{" not in text[end:] else None
