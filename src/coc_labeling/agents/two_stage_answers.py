"""The forms of the two stages: components from the history, then decisions that cite nothing else.

There is one form of the decision per number of components, nine in all: a decoder that keeps to the schema cannot cite
what was not listed, and a server compiles few grammars.
"""

from typing import Annotated, Any, Literal, Union

from pydantic import AfterValidator, BaseModel, Field, create_model

from coc_labeling.agents.answers import (
    MAX_COMPONENTS,
    MAX_DESCRIPTION_CHARS,
    MAX_SENTENCE_CHARS,
    MAX_TRACE_CHARS,
    AnswerForm,
    json_object,
    not_a_sentence,
    problems_named,
    structured_label,
)
from coc_labeling.schema import (
    NEED_DIRECTION,
    NO_DIRECTION,
    Category,
    CoCLabel,
    Component,
    EmergedAfter,
    LateralDecision,
    LongitudinalDecision,
    Relation,
    Side,
    abstain,
    is_empty_answer,
)


class SeenComponent(AnswerForm):
    """A critical component as a model sees it."""

    category: Category
    relation: Relation | None
    side: Side | None
    description: str = Field(max_length=MAX_DESCRIPTION_CHARS)


class HistoryAnswer(AnswerForm):
    """The answer of stage 1: what may bear on ego's next decision, the most important first."""

    unreadable: bool
    components: list[SeenComponent] = Field(max_length=MAX_COMPONENTS)


def read_components(content: Any) -> tuple[Component, ...] | None:
    """Return the components of stage 1, c1 to c8 in their order; None where the frames cannot be judged.

    Those that are described with nothing, such as "none", are no components.

    Raises:
        UnusableAnswerError: not of the form; the message says to the model what is wrong.
    """
    with problems_named():
        answer = HistoryAnswer.model_validate(json_object(content))
        if answer.unreadable:
            return None
        seen = [component for component in answer.components if not is_empty_answer(component.description)]
        return tuple(Component(id=f"c{n}", **component.model_dump()) for n, component in enumerate(seen, start=1))


def _causes(components: int) -> Any:
    nothing = Annotated[list[Literal["unobserved"]], Field(min_length=1, max_length=1)]
    if not components:
        return nothing
    names: Any = _one_of(f"c{n}" for n in range(1, components + 1))
    cited = Annotated[list[names], Field(min_length=1, max_length=components), AfterValidator(_each_once)]
    return cited | nothing


def _each_once(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _one_of(values: Any) -> Any:
    return Literal[tuple(sorted(values))]


def _channel(name: str, components: int, decision: Any, causes: Any, **more: Any) -> Any:
    fields: dict[str, Any] = {"decision": (decision, ...), **more, "cause_ids": (causes, ...)}
    return create_model(f"{name}{components}", __base__=AnswerForm, **fields)


def decision_form(components: int) -> type[BaseModel]:
    """Return the form of stage 2 after so many components, 0 to 8.

    What a decision needs is part of the form: a turn has a side, keep_lane has none, and causes are either components
    or ``unobserved``.
    """
    causes = _causes(components)
    longitudinal = _channel("LongitudinalAnswer", components, LongitudinalDecision, causes)
    free = frozenset(LateralDecision) - NEED_DIRECTION - NO_DIRECTION
    kinds = (("Sided", NEED_DIRECTION, Side), ("Straight", NO_DIRECTION, None), ("Free", free, Side | None))
    sided: Any
    straight: Any
    either: Any
    sided, straight, either = (
        _channel(f"{name}Answer", components, _one_of(decisions), causes, direction=(direction, ...))
        for name, decisions, direction in kinds
    )
    lateral: Any = Annotated[Union[sided, straight, either], Field(discriminator="decision")]  # noqa: UP007
    fields: dict[str, Any] = {
        "emerged_after": (SeenComponent | None, ...),
        "longitudinal": (longitudinal | None, ...),
        "lateral": (lateral | None, ...),
        "trace": (Annotated[str, Field(max_length=MAX_TRACE_CHARS)], ...),
        "effect_on_ego_behavior": (Annotated[str, Field(max_length=MAX_SENTENCE_CHARS)], ...),
    }
    return create_model(f"DecisionAfter{components}", __base__=AnswerForm, **fields)


DECISION_FORMS = tuple(decision_form(components) for components in range(MAX_COMPONENTS + 1))


def read_decision(content: Any, components: tuple[Component, ...]) -> CoCLabel:
    """Return the label, or the abstention, that an answer of stage 2 is.

    Raises:
        UnusableAnswerError: not of the form, or no valid label; the message says to the model what is wrong.
    """
    with problems_named():
        answer: Any = DECISION_FORMS[len(components)].model_validate(json_object(content))
        sentence = " ".join(answer.effect_on_ego_behavior.split())
        if (nothing := not_a_sentence(sentence)) is not None:
            return nothing
        later = answer.emerged_after
        is_nothing = later is None or is_empty_answer(later.description)
        emerged = None if is_nothing else EmergedAfter(**later.model_dump())
        label = structured_label(answer, list(components), sentence)
        return label.model_copy(update={"emerged_after": emerged})


def unreadable() -> CoCLabel:
    """Return the abstention of a window whose history cannot be judged."""
    return abstain("unreadable_video", "the model says that the frames up to the keyframe cannot be judged")
