"""The forms in which a model answers, and how an answer becomes a label."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from coc_labeling.model_clients.answers import parse_json
from coc_labeling.schema import (
    Category,
    CoCLabel,
    Component,
    Lateral,
    LateralDecision,
    Longitudinal,
    LongitudinalDecision,
    Relation,
    Side,
    abstain,
    is_empty_answer,
)

MAX_COMPONENTS = 8
MAX_SENTENCE_CHARS = 400
MAX_TRACE_CHARS = 1000
MAX_DESCRIPTION_CHARS = 200
_REFUSAL = re.compile(
    r"^\W*(?:unfortunately\W+)?(?:(?:i['’]?m|i am|we are|we['’]?re) (?:sorry|afraid|unable|not (?:able|allowed))"
    r"|sorry\b|(?:my )?apologies\b|i apologi[sz]e\b|i (?:can['’]?t|cannot|can not|could not|couldn['’]?t|won['’]?t"
    r"|will not|(?:do not|don['’]?t) (?:have|know|see)|(?:must|have to) decline)\b"
    r"|as an? (?:ai\b|(?:\w+ )?language model)"
    r"|(?:unable|not able|cannot|can['’]?t) (?:to )?(?:help|assist|comply|answer|respond|label|provide)\b)",
    re.I,
)
_PICTURES = r"(?:frames?|images?|pictures?|videos?|footage|clips?)"
_JUDGED = (
    r"(?:\w+ly )?(?:determin|judg|assess|identif|infer|deduc|recogni[sz]|establish|discern|made|make|tell|told|decide)"
)
_UNREADABLE = re.compile(
    r"\b(?:(?:unable to|can(?:not|['’]?t)|could not) (?:see|view|read) (?:(?:any|the|these|this|of) )*"
    rf"(?:{_PICTURES}|scene|road|anything)\b"
    rf"|no {_PICTURES} (?:(?:is|are|was|were) )?(?:provided|visible|available|given|shown)\b"
    r"|no (?:\w+ ){0,3}(?:decision|label|behaviou?r|action|cause|reason|manoeuvre|maneuver)s? (?:can|could) be "
    rf"{_JUDGED}"
    rf"|(?:decision|label|behaviou?r|action)s? (?:cannot|can['’]?t|can not|could not) be {_JUDGED}"
    rf"|{_PICTURES} (?:is|are|was|were|seems?|appears?) (?:(?:all|completely|entirely|mostly|to be) )*"
    r"(?:too \w+|black|blank|dark|blurr\w+|unreadable|illegible|corrupt\w*|unclear|empty|missing"
    r"|not (?:visible|readable|clear|available|provided|legible))"
    r"|(?:insufficient|not enough) (?:visual )?(?:information|evidence|context|data)\b)"
    rf"|^\W*(?:(?:it is )?(?:not possible|impossible)|unable|not able|cannot|can['’]?t|could not) (?:to )?{_JUDGED}",
    re.I,
)
# A sentence that also says what ego does is a label, whatever else it says of frames.
_DECIDES = re.compile(
    r"(?:^\W*|[,;:.]\s*|\b(?:so|therefore|hence|thus|and|then)\b,?\s+)(?:to |ego |(?:the )?ego vehicle )?"
    r"(?:(?:gently|slowly|smoothly|strongly|gradually|carefully) )?(?:keep|maintain|hold|slow|stop|remain|stay|turn"
    r"|steer|follow|yield|wait|accelerat|decelerat|brak|proceed|resum|continu|chang|nudg|shift|merg|mov|adapt|adjust"
    r"|reduc|driv|creep|pass|overtak|pull|veer|swerv|bear|search|prepar|giv|com)(?:e|es|s)?\b",
    re.I,
)


ComponentName = Literal["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"]
Causes = Annotated[
    list[Literal["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "unobserved"]],
    Field(min_length=1, max_length=MAX_COMPONENTS),
]


class AnswerForm(BaseModel):
    """Base of the forms: closed."""

    model_config = ConfigDict(extra="forbid")


class AnswerComponent(AnswerForm):
    """A critical component as a model names it."""

    id: ComponentName
    category: Category
    relation: Relation | None
    side: Side | None
    description: str = Field(max_length=MAX_DESCRIPTION_CHARS)


class AnswerLongitudinal(AnswerForm):
    """A decision on speed."""

    decision: LongitudinalDecision
    cause_ids: Causes


class AnswerLateral(AnswerForm):
    """A decision on the lane."""

    decision: LateralDecision
    direction: Side | None
    cause_ids: Causes


class SentenceAnswer(AnswerForm):
    """The answer where only the sentence is asked for."""

    unreadable: bool
    effect_on_ego_behavior: str = Field(max_length=MAX_SENTENCE_CHARS)


class StructuredAnswer(AnswerForm):
    """The whole label; causes stand before the decision, and the sentence last."""

    unreadable: bool
    components: list[AnswerComponent] = Field(max_length=MAX_COMPONENTS)
    longitudinal: AnswerLongitudinal | None
    lateral: AnswerLateral | None
    trace: str = Field(max_length=MAX_TRACE_CHARS)
    effect_on_ego_behavior: str = Field(max_length=MAX_SENTENCE_CHARS)


class RepairAnswer(AnswerForm):
    """A repaired label: it cannot add a component."""

    longitudinal: AnswerLongitudinal | None
    lateral: AnswerLateral | None
    trace: str = Field(max_length=MAX_TRACE_CHARS)
    effect_on_ego_behavior: str = Field(max_length=MAX_SENTENCE_CHARS)


class UnusableAnswerError(ValueError):
    """An answer that is no label; the message says to the model what is wrong with it."""


def to_label(content: Any, form: type[BaseModel]) -> CoCLabel:
    """Return the label, or the abstention, that an answer is.

    Raises:
        UnusableAnswerError: no JSON object, not of the form, or no valid label.
    """
    content = json_object(content)
    with problems_named():
        return _label(form.model_validate(content))


@contextmanager
def problems_named() -> Iterator[None]:
    """Turn what pydantic finds wrong with an answer into words for the model."""
    try:
        yield
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, e['loc'])) or 'answer'}: {e['msg']}" for e in error.errors()[:5])
        raise UnusableAnswerError("; ".join(problems)) from error


def json_object(content: Any) -> dict[str, Any]:
    """Return an answer's JSON object; raises UnusableAnswerError where it is none."""
    if isinstance(content, str):  # it did not fit the form: say where, if it is JSON at all
        content = parse_json(content)
    if not isinstance(content, dict):
        raise UnusableAnswerError("it was not a JSON object.")
    return content


def _label(answer: BaseModel) -> CoCLabel:
    sentence = " ".join((getattr(answer, "effect_on_ego_behavior", None) or "").split())
    if getattr(answer, "unreadable", False):
        return abstain("unreadable_video", "the model says that the frames cannot be judged")
    if (nothing := not_a_sentence(sentence)) is not None:
        return nothing
    if isinstance(answer, SentenceAnswer):
        return CoCLabel(effect_on_ego_behavior=sentence)
    components = [Component(**component.model_dump()) for component in getattr(answer, "components", [])]
    return structured_label(answer, components, sentence)


def not_a_sentence(sentence: str) -> CoCLabel | None:
    """Return the abstention that a sentence is, None for one that says something."""
    if is_empty_answer(sentence):
        return abstain("empty_answer", f"the model's sentence is {sentence!r}")
    if _REFUSAL.search(sentence):
        return abstain("refused", f"the model declined: {sentence[:200]}")
    if _UNREADABLE.search(sentence) and not _DECIDES.search(sentence):
        return abstain("unreadable_video", f"the model says: {sentence[:200]}")
    return None


def structured_label(answer: Any, components: list[Component], sentence: str) -> CoCLabel:
    """Return the label of a structured answer with the given components; raises pydantic's ValidationError."""
    longitudinal, lateral = answer.longitudinal, answer.lateral
    trace = (answer.trace or "").strip()
    return CoCLabel(
        longitudinal=Longitudinal(**longitudinal.model_dump()) if longitudinal else None,
        lateral=Lateral(**lateral.model_dump()) if lateral else None,
        components=tuple(components),
        trace=trace or None,
        effect_on_ego_behavior=sentence,
    )
