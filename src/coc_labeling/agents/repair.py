"""A contradicting label, repaired: the decision and its wording may change, causes may not be added."""

import re
from typing import Any

from pydantic import BaseModel, ValidationError

from coc_labeling.agents.answers import (
    RepairAnswer,
    SentenceAnswer,
    UnusableAnswerError,
    not_a_sentence,
    structured_label,
    to_label,
)
from coc_labeling.model_clients.answers import parse_json
from coc_labeling.schema import CoCLabel

# Words that name a cause, singular: a repair may not say one that the label did not.
_CAUSES = """
    vehicle car truck bus van taxi motorcycle motorcyclist bicycle cyclist bike rider pedestrian person people child
    animal dog light signal sign red green yellow amber crosswalk crossing intersection junction roundabout construction
    roadwork cone barrier debris bump pothole curve bend ramp traffic queue obstacle ambulance police parked oncoming
"""
_CAUSE_WORDS = frozenset(_CAUSES.split())


def repaired_label(label: CoCLabel, content: Any, form: type[BaseModel]) -> CoCLabel:
    """Return the repaired label: the first one's components, as far as they are cited, and never a new cause.

    Raises:
        UnusableAnswerError: no valid label, or a cause that the first label did not name.
    """
    if form is SentenceAnswer:
        after = to_label(content, form)
    else:
        try:
            answer = RepairAnswer.model_validate(parse_json(content) if isinstance(content, str) else content)
            sentence = " ".join((answer.effect_on_ego_behavior or "").split())
            if (nothing := not_a_sentence(sentence)) is not None and nothing.abstention:
                raise UnusableAnswerError(nothing.abstention.detail)
            after = structured_label(answer, list(label.components), sentence)
        except ValidationError as error:
            problems = (f"{'.'.join(map(str, e['loc'])) or 'answer'}: {e['msg']}" for e in error.errors()[:5])
            raise UnusableAnswerError("; ".join(problems)) from error
        after = _with_cited_components(after)
    if after.abstention is not None:
        raise UnusableAnswerError(after.abstention.detail)
    if added := _added_causes(label, after):
        raise UnusableAnswerError(f"it names what the first label did not: {', '.join(added)}")
    return after


def _with_cited_components(label: CoCLabel) -> CoCLabel:
    """Return a label with the components that its decisions cite."""
    cited = {c for channel in (label.longitudinal, label.lateral) if channel for c in channel.cause_ids}
    return label.model_copy(update={"components": tuple(c for c in label.components if c.id in cited)})


def _added_causes(before: CoCLabel, after: CoCLabel) -> list[str]:
    known = _words(before.effect_on_ego_behavior, before.trace, *(c.description for c in before.components))
    known |= _words(*(f"{c.category} {c.relation or ''}".replace("_", " ") for c in before.components))
    return sorted((_words(after.effect_on_ego_behavior, after.trace) - known).intersection(_CAUSE_WORDS))


def _words(*texts: str | None) -> set[str]:
    """Return the words of texts in small letters, plurals as singulars too."""
    words = set(re.findall(r"[a-z]+", " ".join(text or "" for text in texts).lower()))
    return words | {word.removesuffix("s") for word in words} | {word.removesuffix("es") for word in words}
