"""The steps of a review: opening, judging, undoing, and where to go next."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, StringConstraints, ValidationError

from coc_labeling.planting import compose
from coc_labeling.review.batches.queue import next_task
from coc_labeling.review.errors import ConflictError, JudgementError, PhaseError, ReviewError
from coc_labeling.review.judgements import MOST_CHARACTERS, Edit, HistoryAnswer, Judgement, sentence_mismatches
from coc_labeling.review.phases import Phase
from coc_labeling.review.store import ReviewStore, TaskView
from coc_labeling.review.web.context import Here, Person, Site, Someone, TaskNumber
from coc_labeling.schema import Strict

router = APIRouter()
_LOG = logging.getLogger(__name__)
_Body = TypeVar("_Body", bound=BaseModel)
_WORDING = 0  # of the sentences that are composed, of those that there are
QUEUE = "/"


class HistoryStep(Strict):
    """Phase one, based on a revision of the task."""

    revision: int
    answer: HistoryAnswer


class JudgementStep(Strict):
    """A judgement, based on a revision of the task."""

    revision: int
    judgement: Judgement


class UndoStep(Strict):
    """An undo, based on a revision of the task."""

    revision: int


class Draft(Edit):
    """An edit that is being written: its sentence may still be empty."""

    sentence: Annotated[str, StringConstraints(strip_whitespace=True, max_length=MOST_CHARACTERS)]


class DraftStep(Strict):
    """An edit to be looked at. Nothing is stored."""

    edit: Draft


def body(model: type[_Body]) -> Callable[[Request], Awaitable[_Body]]:
    """Return a dependency that reads a request's JSON; 422 says in words what is wrong with it."""

    async def read(request: Request) -> _Body:
        try:
            return model.model_validate_json(await request.body())
        except ValidationError as error:
            raise HTTPException(422, in_words(error)) from error

    return read


@router.post("/tasks/{task}/open")
def open_task(task: TaskNumber, here: Here, person: Someone) -> RedirectResponse:
    """Show a task that waits, by the way that is open; one that is open already just again."""
    view = here.store.view(task, person.name)
    with suppress(ConflictError):  # a second click, or another tab, was faster: the page shows how it stands
        opened(here, view, person)
    warm(here, task, person)
    return RedirectResponse(f"/tasks/{task}", 303)


@router.post("/api/tasks/{task}/history")
def finish_history(
    task: TaskNumber, here: Here, person: Someone, step: Annotated[HistoryStep, Depends(body(HistoryStep))]
) -> dict[str, Any]:
    """Store phase one, which unlocks the future."""
    revision = here.store.finish_history(task, person.name, step.revision, step.answer)
    return {"revision": revision, "url": f"/tasks/{task}"}


@router.post("/api/tasks/{task}/judgement")
def judge(
    task: TaskNumber, here: Here, person: Someone, step: Annotated[JudgementStep, Depends(body(JudgementStep))]
) -> dict[str, Any]:
    """Store a judgement and open the next task, so that its page comes at once."""
    revision = here.store.judge(task, person.name, step.revision, step.judgement)
    return {"revision": revision, "url": _go_on(here, person, task)}


@router.post("/api/tasks/{task}/undo")
def undo(
    task: TaskNumber, here: Here, person: Someone, step: Annotated[UndoStep, Depends(body(UndoStep))]
) -> dict[str, Any]:
    """Take back the judgement that holds."""
    revision = here.store.undo(task, person.name, step.revision)
    return {"revision": revision, "url": f"/tasks/{task}"}


@router.post("/api/tasks/{task}/mismatches")
def mismatches(
    task: TaskNumber, here: Here, person: Someone, step: Annotated[DraftStep, Depends(body(DraftStep))]
) -> dict[str, Any]:
    """Say what an edit's structure would read like, where its sentence says something else, and what is wrong."""
    label, edit = here.store.view(task, person.name).label, step.edit
    if label is None:
        raise PhaseError(f"task {task}: its label is not shown yet. Judge its history first.")
    decides = edit.longitudinal is not None or edit.lateral is not None
    composed = compose(edit.longitudinal, edit.lateral, edit.components, _WORDING) if decides else ""
    found: dict[str, Any] = {"sentence": composed, "mismatches": [], "error": None}
    if not edit.sentence:
        return found | {"error": "The sentence is empty."}
    try:
        edited = edit.applied_to(label)
    except JudgementError as error:
        return found | {"error": str(error)}
    return found | {"mismatches": list(sentence_mismatches(edited))}


@router.get("/tasks/{task}/next")
def next_one(task: TaskNumber, here: Here, person: Someone) -> RedirectResponse:
    """Lead to the next task behind this one that is not judged."""
    here.store.view(task, person.name)
    return RedirectResponse(_url(next_task(here.store, person.name, task)), 303)


@router.get("/tasks/{task}/previous")
def previous_one(task: TaskNumber, here: Here, person: Someone) -> RedirectResponse:
    """Lead to the task that was judged last; from one that is judged, to the one judged before it."""
    here.store.view(task, person.name)
    return RedirectResponse(_url(_judged_before(here.store, person.name, task)), 303)


def opened(here: Site, view: TaskView, person: Person) -> None:
    """Open a task by the way that its view says; nothing where it has been opened already."""
    if view.state.future_unlocked:
        return
    if not view.history_open:
        here.store.skip_history(view.task, person.name, view.state.revision)
    elif view.state.phase is Phase.WAITING:
        here.store.open(view.task, person.name, view.state.revision)


def warm(here: Site, task: int, person: Person) -> None:
    """Have the server make what a task that was just opened shows, all of it, and the history of the one after it."""
    view = here.store.view(task, person.name)
    here.material.warm(view.clip_id, view.t_us, future=False)
    here.material.warm(view.clip_id, view.t_us, future=True)
    later = next_task(here.store, person.name, task)
    if later not in (None, task):
        after = here.store.view(later, person.name)
        here.material.warm(after.clip_id, after.t_us, future=False)


def in_words(error: ValidationError) -> str:
    """Return what is wrong with a request's JSON."""
    found = []
    for one in error.errors(include_url=False, include_input=False, include_context=False)[:5]:
        place = ".".join(map(str, one["loc"]))
        found.append(f"{place}: {one['msg']}" if place else one["msg"])
    return "; ".join(found)


def _go_on(here: Site, person: Person, task: int) -> str:
    """Open a reviewer's next task; return its address, that of the queue where none is left.

    Raises nothing: what leads here has been stored, and has to be acknowledged.
    """
    try:
        found = next_task(here.store, person.name, task)
        if found is None:
            return QUEUE
        opened(here, here.store.view(found, person.name), person)
        warm(here, found, person)
    except (ConflictError, PhaseError):  # opened in another window of the browser just now: its page says how it stands
        return _url(found)
    except ReviewError as error:  # given to somebody else just now, or the file cannot be read
        _LOG.warning("task %d is judged, the next one of %s cannot be opened: %s", task, person.name, error)
        return QUEUE
    return _url(found)


def _url(task: int | None) -> str:
    return QUEUE if task is None else f"/tasks/{task}"


# Behind all that are judged comes one that is not.
_LATEST = """
    SELECT t.id FROM tasks t JOIN tasks here ON here.id = ?
    WHERE t.reviewer = ? AND t.phase = 'done'
    AND (here.phase <> 'done' OR (t.changed_ms, t.id) < (here.changed_ms, here.id))
    ORDER BY t.changed_ms DESC, t.id DESC LIMIT 1
"""


def _judged_before(store: ReviewStore, reviewer: str, task: int) -> int | None:
    rows = store.database.rows(_LATEST, (task, reviewer))
    return rows[0]["id"] if rows else None
