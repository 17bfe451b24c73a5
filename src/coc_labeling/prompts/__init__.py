"""The words said to models: one text file per section, versioned, and known by a hash in every record."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

VERSION = "coc_single_pass/1"  # raise it with every change of the texts below
_HASH_CHARS = 16


@dataclass(frozen=True)
class Prompts:
    """The static texts of an agent.

    Attributes:
        version: name and number of this wording.
        system: what comes first in every request, the same for all windows.
        repair: what comes first when a label that contradicts ego's motion is repaired.
        again: asks for an answer that can be used; ``{problem}`` says what was wrong.
    """

    version: str
    system: str
    repair: str
    again: str

    def hash_with(self, *schemas: dict[str, Any]) -> str:
        """Return a short hash of all texts and of the answers' JSON schemas."""
        return text_hash(json.dumps([self.system, self.repair, self.again, *schemas], sort_keys=True))


def single_pass(*, structured: bool) -> Prompts:
    """Return the texts of the single pass, with the whole label as the answer or only its sentence."""
    answer = "answer_structured.md" if structured else "answer_sentence.md"
    causes = ' and cite ["unobserved"]' if structured else ""
    return Prompts(
        version=VERSION if structured else f"{VERSION}-sentence",
        system=f"{_text('single_pass.md')}\n{_text(answer)}",
        repair=_text("repair.md").replace("{structured}", causes),
        again=_text("again.md"),
    )


def text_hash(text: str) -> str:
    """Return the short hash that a text is kept under."""
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARS]


@cache
def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
