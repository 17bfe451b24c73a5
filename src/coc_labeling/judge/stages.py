"""The three stages of a judgement: what is scored, and which frames it is scored by."""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from functools import cache
from typing import Annotated, Any

from pydantic import Field, create_model

from coc_labeling.agents.answers import AnswerForm, json_object, problems_named
from coc_labeling.agents.questions import AbstainedError
from coc_labeling.errors import CocLabelingError
from coc_labeling.schema import CoCLabel, abstain

MAX_REASON_CHARS = 400
INVENTED = "_hallucination_score"  # scores that end so are high where a label is bad; all others where it is good
# Strict: a text or a truth value is no score. NaN and infinity are none either.
Score = Annotated[float, Field(ge=0, le=1, strict=True, allow_inf_nan=False)]


class Stage(IntEnum):
    """What of a label is judged, in the order that people read it."""

    EVIDENCE = 1  # are the cited factors there, by what was seen up to the keyframe
    BEHAVIOUR = 2  # does ego do what the label says, by what follows
    CAUSE = 3  # does the cause explain the decision, by the whole window

    @property
    def title(self) -> str:
        """The stage's name in files."""
        return self.name.lower()

    @property
    def scores(self) -> tuple[str, ...]:
        """The names of its scores."""
        return _SCORES[self]


_SCORES: Mapping[Stage, tuple[str, ...]] = {
    Stage.EVIDENCE: ("visual_evidence_score", "scene_factor_hallucination_score"),
    Stage.BEHAVIOUR: (
        "behavior_match_score",
        "longitudinal_match_score",
        "lateral_match_score",
        "behavior_hallucination_score",
    ),
    Stage.CAUSE: (
        "decision_supported_by_video",
        "causal_evidence_score",
        "causal_consistency_score",
        "causal_hallucination_score",
    ),
}
_OF_CHANNEL = {"longitudinal_match_score": "longitudinal", "lateral_match_score": "lateral"}

Channels = frozenset[str]  # longitudinal, lateral: those that a label decides about


def parse_stages(text: str) -> tuple[Stage, ...]:
    """Read ``1,2,3``, or some of them; each once, in order.

    Raises:
        CocLabelingError: anything else.
    """
    try:
        return tuple(sorted({Stage(int(part)) for part in text.split(",")}))
    except ValueError as error:
        raise CocLabelingError(
            f"--stages {text!r}: expected some of 1 (evidence), 2 (behaviour) and 3 (cause), such as 1,3."
        ) from error


def scores_asked(stage: Stage, channels: Channels) -> tuple[str, ...]:
    """Return the scores that a label is given: the match of a channel only where it decides something there."""
    return tuple(name for name in stage.scores if _OF_CHANNEL.get(name) in {None, *channels})


@cache
def answer_form(stage: Stage, channels: Channels) -> type[AnswerForm]:
    """Return the form of a stage's answer: the reason comes before the scores that it leads to."""
    fields: dict[str, Any] = {
        "unreadable": (bool, ...),
        "reason": (Annotated[str, Field(max_length=MAX_REASON_CHARS)], ...),
        **dict.fromkeys(scores_asked(stage, channels), (Score, ...)),
    }
    return create_model(f"Judge{stage.title.title()}{_initials(stage, channels)}", __base__=AnswerForm, **fields)


def _initials(stage: Stage, channels: Channels) -> str:
    """Return what tells the forms of a stage apart; a server keeps a grammar per form."""
    return "".join(sorted(name[:3].title() for name in channels)) if stage is Stage.BEHAVIOUR else ""


def read_evaluation(content: Any, stage: Stage, channels: Channels) -> dict[str, Any]:
    """Return the scores of a stage with their reason; a score that was not asked for is None.

    Raises:
        UnusableAnswerError: not of the form; the message says to the model what is wrong.
        AbstainedError: the model says that the frames cannot be judged.
    """
    with problems_named():
        answer = answer_form(stage, channels).model_validate(json_object(content)).model_dump()
    if answer["unreadable"]:
        raise AbstainedError(abstain("unreadable_video", "the model says that the frames cannot be judged"))
    return {**{name: answer.get(name) for name in stage.scores}, "reason": " ".join(answer["reason"].split())}


def is_evaluation(value: object, stage: Stage) -> bool:
    """Say whether a value read from a file is what ``read_evaluation`` returned."""
    if not isinstance(value, dict):
        return False
    known = [value.get(name) for name in stage.scores]
    return all(score is None or _is_score(score) for score in known) and any(score is not None for score in known)


def _is_score(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def goodness(evaluation: Mapping[str, Any], names: Iterable[str]) -> float:
    """Return the mean of some scores, those of invention turned round: 1 is best.

    Example:
        >>> goodness({"visual_evidence_score": 1.0, "scene_factor_hallucination_score": 0.5}, Stage(1).scores)
        0.75
    """
    good = [oriented(name, evaluation[name]) for name in names if evaluation.get(name) is not None]
    return sum(good) / len(good)


def oriented(name: str, score: float) -> float:
    """Return a score so that 1 is best."""
    return 1.0 - score if name.endswith(INVENTED) else float(score)


def channels_of(label: CoCLabel) -> Channels:
    """Return the channels that a structured label decides about."""
    return frozenset(name for name in ("longitudinal", "lateral") if getattr(label, name) is not None)
