"""Judgements: questions put to the judge, and a row for each of them, whatever comes of it."""

import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch_runs.outcomes import DONE, REJECTED
from coc_labeling.agents.base import PreparedWindow
from coc_labeling.agents.questions import AbstainedError, Question
from coc_labeling.asking import WindowAsk
from coc_labeling.conversation import kept
from coc_labeling.judge.controls import Telling
from coc_labeling.judge.questions import Due, Judged, JudgeQuestion, Pending, prompts_of
from coc_labeling.judge.results import RowWriter
from coc_labeling.judge.selection import Labels
from coc_labeling.judge.stages import Stage, answer_form, goodness, read_evaluation
from coc_labeling.model_work import Kept, ModelWork
from coc_labeling.rehearsal import Asked
from coc_labeling.schema import Usage
from coc_labeling.work import Problem, item_of
from driving_clips import files

log = logging.getLogger(__name__)

JUDGED = "judged"
PURPOSE = "judge"


@dataclass(frozen=True)
class Judgement:
    """What came of one question.

    Attributes:
        evaluation: the scores with their reason, None where there are none.
        reason, detail: why there are none; ``error`` says that another try may bring some.
        outcome: how it is counted.
    """

    evaluation: dict[str, Any] | None = None
    reason: str = JUDGED
    detail: str = ""
    error: bool = False
    outcome: str = DONE


@dataclass(frozen=True)
class Evaluator:
    """Who judges, as rows name it.

    Attributes:
        name: the name that users know.
        backend: how it is reached.
        hashes: of how each stage is asked; see ``questions.question_hash``.
        max_tokens: of an answer.
    """

    name: str
    backend: str
    hashes: Mapping[Stage, str]
    max_tokens: int


@dataclass(frozen=True)
class Written:
    """A row that is on disk, and what is said of it."""

    question: JudgeQuestion
    judgement: Judgement


@dataclass
class Judging(ModelWork):
    """Puts the questions of a run to the judge and adds a row for each.

    Attributes:
        evaluator: who judges.
        path: the judge's folder.
        writer: takes the rows.
        labels: those of the experiment.
        pending: what is asked about, by item.
        counted: the questions that something came of, (labels, tellings, stages).
    """

    evaluator: Evaluator
    path: str
    writer: RowWriter
    labels: Labels
    pending: Mapping[str, Pending]
    name: str = "judge"
    counted: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self.counted = np.zeros((len(self.labels), len(Telling), len(Stage)), bool)

    async def ask(self, window: PreparedWindow, asked: WindowAsk) -> Judgement:
        """Ask one question, once more where its answer cannot be used."""
        assert isinstance(window, JudgeQuestion)
        if window.unasked is not None:
            why_not = window.unasked
            return Judgement(None, why_not.reason, why_not.detail, why_not.error, why_not.outcome)
        read = functools.partial(read_evaluation, stage=window.stage, channels=window.channels)
        form = answer_form(window.stage, window.channels)
        question = Question(PURPOSE, form, read, prompts_of(window.stage).again, self.evaluator.max_tokens)
        try:
            evaluation, _ = await question.ask(asked, window.parts)
        except AbstainedError as abstained:
            why = abstained.label.abstention
            assert why is not None
            return Judgement(None, why.reason, why.detail, error=True, outcome=REJECTED)
        return Judgement(evaluation)

    def write(self, window: PreparedWindow, answer: Judgement, asked: WindowAsk) -> Written:
        """Add the row of a question."""
        assert isinstance(window, JudgeQuestion)
        self.writer.write(self._row(window, answer, asked))
        return Written(window, answer)

    def keep(self, written: Written) -> Kept:
        """Count a question."""
        question, judgement = written.question, written.judgement
        self._count(question)
        problem = (judgement.outcome, judgement.reason, item_of_question(question), judgement.detail)
        told = {"stage": int(question.stage), "planted": question.planted, "evaluation": judgement.evaluation}
        return Kept(
            problem,
            judgement.outcome,
            "judgement",
            told | {"reason": judgement.reason},
            _latest(judgement, question.stage),
        )

    def fail(
        self, problem: Problem, window: PreparedWindow | None = None, asked: WindowAsk | None = None
    ) -> list[Problem]:
        """Add a row with the error for a question, or for all those of a label that could not be made ready."""
        outcome, reason, item, message = problem
        if isinstance(window, JudgeQuestion):
            questions = [window]
        else:
            moment = self.labels.judged(self.pending[item])
            questions = [JudgeQuestion.blank(moment, due) for due in moment.due]
        judgement = Judgement(None, reason, message, error=True, outcome=outcome)
        for question in questions:
            self._count(question)
            try:
                self.writer.write(self._row(question, judgement, asked))
            except OSError as error:  # it is counted all the same, and asked again next time
                log.warning("%s: the row of a failure cannot be written (%s)", item, error)
        return [(outcome, reason, item_of_question(question), message) for question in questions]

    def is_counted(self, moment: Pending, due: Due) -> bool:
        """Say whether something came of a question: scores, or a reason for none."""
        return bool(self.counted[_place(moment, due.stage, due.telling)])

    def _count(self, question: JudgeQuestion) -> None:
        moment = question.keyframe
        assert isinstance(moment, Pending)
        self.counted[_place(moment, question.stage, question.telling)] = True

    def _row(self, question: JudgeQuestion, judgement: Judgement, asked: WindowAsk | None) -> dict[str, Any]:
        moment = question.keyframe
        assert isinstance(moment, Judged)
        label = moment.label
        calls = asked.calls if asked else []
        told = f"{judgement.reason}: {judgement.detail}" if judgement.evaluation is None else None
        return {
            "clip_id": moment.clip_id,
            "event_timestamp": moment.t_us,
            "stage": int(question.stage),
            "stage_name": question.stage.title,
            "telling": str(question.telling),
            "planted": question.planted,
            "yaml_path": files.join(self.labels.run_dir, item_of(moment.clip_id, moment.t_us)),
            "video_segment": question.segment,
            "source_video_path": question.sources,
            "coc_label": question.claim,
            "longitudinal": str(label.longitudinal.decision) if label.longitudinal else None,
            "evaluator_model_name": self.evaluator.name,
            "evaluator_model_id": asked.asker.model_id if asked else None,
            "evaluator_backend": self.evaluator.backend,
            "evaluation": judgement.evaluation,
            "model_response_raw": calls[-1].answer if calls else None,
            "error": told if judgement.error else None,
            "skipped": None if judgement.error else told,
            "prompt_version": prompts_of(question.stage).version,
            "question_hash": self.evaluator.hashes[question.stage],
            "label_hash": self.labels.hash_of(moment.number),
            "request_hash": calls[-1].request_hash if calls else None,
            "usage": (asked.usage if asked else Usage()).model_dump(),
        }


def asked_of(question: PreparedWindow, max_tokens: int) -> Sequence[Asked]:
    """Return what is sent for a question where its first answer can be used."""
    assert isinstance(question, JudgeQuestion)
    if question.unasked is not None:
        return []
    return [Asked(PURPOSE, question.parts, answer_form(question.stage, question.channels), max_tokens)]


def item_of_due(clip_id: str, t_us: int, due: Due) -> str:
    """Return the name that a question is counted by."""
    control = "" if due.telling is Telling.LABEL else f" ({due.telling})"
    return f"{item_of(clip_id, t_us)} {due.stage.title}{control}"


def item_of_question(question: JudgeQuestion) -> str:
    """Return the name that a question is counted by."""
    moment = question.keyframe
    return item_of_due(moment.clip_id, moment.t_us, Due(question.stage, question.telling))


def _place(moment: Pending, stage: Stage, telling: Telling) -> tuple[int, int, int]:
    return moment.number, list(Telling).index(telling), stage - 1


def _latest(judgement: Judgement, stage: Stage) -> str:
    if judgement.evaluation is None:
        return ""
    mean = goodness(judgement.evaluation, stage.scores)
    return f"{stage.title} {mean:.2f}: {kept(judgement.evaluation['reason'])}"
