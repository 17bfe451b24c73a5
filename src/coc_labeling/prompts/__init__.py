"""The words said to models: one text file per section, versioned, and known by a hash in every record."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

VERSION = "coc_single_pass/1"  # raise these with every change of their texts
TWO_STAGE_VERSION = "coc_two_stage/1"
JUDGE_VERSION = "coc_judge/1"
_HASH_CHARS = 16


@dataclass(frozen=True)
class Prompts:
    """The static texts of an agent.

    Attributes:
        version: name and number of this wording.
        system: what comes first in every request, the same for all windows.
        repair: what comes first when a label that contradicts ego's motion is repaired.
        again: asks for an answer that can be used; ``{problem}`` says what was wrong.
        steps: what is said at the end of each step, where there are several.
    """

    version: str
    system: str
    repair: str
    again: str
    steps: tuple[str, ...] = ()

    def hash_with(self, *schemas: dict[str, Any]) -> str:
        """Return a short hash of all texts and of the answers' JSON schemas."""
        return text_hash(json.dumps([self.system, self.repair, self.again, *self.steps, *schemas], sort_keys=True))


def single_pass(*, structured: bool) -> Prompts:
    """Return the texts of the single pass, with the whole label as the answer or only its sentence."""
    answer = "answer_structured.md" if structured else "answer_sentence.md"
    causes = ' and cite ["unobserved"]' if structured else ""
    return Prompts(
        version=VERSION if structured else f"{VERSION}-sentence",
        system=f"{_with_decisions('single_pass.md')}\n{_text(answer)}",
        repair=_text("repair.md").replace("{structured}", causes),
        again=_text("again.md"),
    )


def two_stage() -> Prompts:
    """Return the texts of the two stages; ``{components}`` in the second step lists what the first one named.

    Both stages begin with the same text, so that a server's prefix cache holds what is static of either.
    """
    return Prompts(
        version=TWO_STAGE_VERSION,
        system=_with_decisions("two_stage.md"),
        repair=single_pass(structured=True).repair,
        again=_text("again.md"),
        steps=(_text("two_stage_step1.md"), _text("two_stage_step2.md")),
    )


def judge(stage: str) -> Prompts:
    """Return the texts that a stage of a judgement asks with: evidence, behaviour or cause."""
    return Prompts(
        version=f"{JUDGE_VERSION}-{stage}",
        system=_with_decisions(f"judge_{stage}.md"),
        repair="",
        again=_text("again.md"),
    )


def text_hash(text: str) -> str:
    """Return the short hash that a text is kept under."""
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARS]


def _with_decisions(name: str) -> str:
    return _text(name).replace("{decisions}", _text("decisions.md"))


@cache
def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
