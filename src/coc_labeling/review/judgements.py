"""What a reviewer says of a label: components of the history, then a verdict with its reason, checklist and edit."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from coc_labeling.reading import differences, read_sentence
from coc_labeling.review.errors import JudgementError
from coc_labeling.schema import CoCLabel, Component, Lateral, Longitudinal, Strict

MOST_COMPONENTS = 32  # that somebody adds, or leaves in an edited label
MOST_ANSWERS = 10_000  # labels come with any number of components, and each one has to be answered
MOST_CHARACTERS = 2000


class Verdict(StrEnum):
    """What becomes of a label."""

    ACCEPT = "accept"
    EDIT = "edit"
    REJECT = "reject"
    UNSURE = "unsure"


class Reason(StrEnum):
    """Why a label is rejected: the failures that labels of this kind are known for."""

    WRONG_DIRECTION = "wrong_direction"  # it contradicts the trajectory: says left, goes right
    RED_LIGHT_IGNORED = "red_light_ignored"
    LANE_CHANGE_MISSED = "lane_change_missed"
    HAZARD_MISSED = "hazard_missed"  # "the lane ahead is clear" where it is not
    EMPTY = "empty"  # null or empty fields, or a sentence that says nothing
    SAME_SENTENCE = "same_sentence"  # what is said of everything
    NOT_THERE = "not_there"  # about a road user that is not there
    EMPTY_CONFIDENCE = "empty_confidence"  # confidence numbers that carry no information
    FUTURE_AS_CAUSE = "future_as_cause"  # what happened after the keyframe is told as its cause
    OTHER = "other"  # the note says what


class QaItem(StrEnum):
    """The checklist: the rules of quality, each of which a label follows or not."""

    CAUSAL_COVERAGE = "causal_coverage"  # each decision has a cause, or says that none was observed
    CAUSAL_CORRECTNESS = "causal_correctness"  # the cause is there and causes the decision
    PROXIMATE_CAUSE = "proximate_cause"  # it is the nearest sufficient one
    MINIMALITY = "minimality"  # only first decisions, only components that matter
    NO_LEAKAGE = "no_leakage"  # causes could be seen up to the keyframe
    FACTS_ONLY = "facts_only"  # no guesses, nobody who does not matter


class Answer(StrEnum):
    """An answer to an item of the checklist."""

    YES = "yes"
    NO = "no"
    UNCLEAR = "unclear"


Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MOST_CHARACTERS)]
Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MOST_CHARACTERS)]
Components = Annotated[tuple[Component, ...], Field(max_length=MOST_COMPONENTS)]
Ids = Annotated[tuple[str, ...], Field(max_length=MOST_ANSWERS)]


class HistoryAnswer(Strict):
    """What a reviewer says of the components, knowing the history alone.

    Attributes:
        confirmed: ids of the label's components that are there and matter.
        struck: ids of those that are not, or do not.
        added: what the label lacks; from a blank list all that matters. Ids are their own.
    """

    confirmed: Ids = ()
    struck: Ids = ()
    added: Components = ()

    def check(self, label: CoCLabel, *, blank: bool) -> None:
        """Raise JudgementError unless each component that was shown has one answer, and each added one its own id."""
        shown = [] if blank else [component.id for component in label.components]
        answered = [*self.confirmed, *self.struck]
        if sorted(answered) != sorted(shown):
            raise JudgementError(
                f"components: each one shown is confirmed or struck, once. Shown: {_named(shown)}; confirmed: "
                f"{_named(self.confirmed)}; struck: {_named(self.struck)}."
            )
        ids = [*shown, *(component.id for component in self.added)]
        if len(set(ids)) != len(ids):
            raise JudgementError(f"components: ids repeat: {_named(ids)}. Give each one added an id of its own.")


class Edit(Strict):
    """A label as it should be: decisions, directions, causes and sentence, all of them.

    The trace is kept only where it is given here: it told the label as it was.
    """

    longitudinal: Longitudinal | None = None
    lateral: Lateral | None = None
    components: Components = ()
    sentence: Sentence
    trace: Sentence | None = None

    def applied_to(self, label: CoCLabel) -> CoCLabel:
        """Return the edited label.

        Raises:
            JudgementError: that would be no valid label, or it is the label as it was.
        """
        try:
            edited = CoCLabel(
                longitudinal=self.longitudinal,
                lateral=self.lateral,
                components=self.components,
                emerged_after=label.emerged_after,
                trace=self.trace,
                effect_on_ego_behavior=self.sentence,
            )
        except ValidationError as error:
            found = "; ".join(one["msg"] for one in error.errors(include_url=False, include_input=False))
            raise JudgementError(f"edit: no valid label: {found}.") from error
        if edited == label:
            raise JudgementError("edit: nothing is changed. Accept the label instead.")
        return edited


class Judgement(Strict):
    """What a reviewer decides of a label, knowing what came after."""

    verdict: Verdict
    reason: Reason | None = None
    note: Note = ""
    checklist: dict[QaItem, Answer] = Field(default_factory=dict)
    edit: Edit | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.verdict is Verdict.REJECT) != (self.reason is not None):
            raise ValueError("a reason is given where a label is rejected, and only there")
        if self.reason is Reason.OTHER and not self.note:
            raise ValueError("the reason 'other' needs a note that says which")
        if (self.verdict is Verdict.EDIT) != (self.edit is not None):
            raise ValueError("an edit is given where a label is edited, and only there")
        broken = [item for item, answer in self.checklist.items() if answer is Answer.NO]
        if self.verdict is Verdict.ACCEPT and broken:
            raise ValueError(f"a label that breaks a rule of quality ({_named(broken)}) is edited or rejected")
        return self

    def result(self, label: CoCLabel) -> CoCLabel | None:
        """Return the label that comes of it; None where it is rejected or unsure; raises JudgementError."""
        if self.edit is not None:
            return self.edit.applied_to(label)
        return label if self.verdict is Verdict.ACCEPT else None


def sentence_mismatches(label: CoCLabel) -> tuple[str, ...]:
    """Return in words where a label's sentence says something else than its structure.

    Example:
        >>> turn = Lateral(decision="turn", direction="left", cause_ids=("unobserved",))
        >>> len(sentence_mismatches(CoCLabel(lateral=turn, effect_on_ego_behavior="Turn right.")))
        1
    """
    if label.abstention is not None:
        return ()
    return tuple(str(one) for one in differences(label, read_sentence(label.effect_on_ego_behavior or "")))


def _named(items: object) -> str:
    return ", ".join(map(str, items)) or "none"  # type: ignore[call-overload]
