"""The queue: which tasks there are, how far they have come, and where to go on."""

from dataclasses import dataclass, fields
from enum import StrEnum
from itertools import groupby
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse

from coc_labeling.checks.risk import Status
from coc_labeling.review.batches import queue
from coc_labeling.review.batches.planning import Kind
from coc_labeling.review.batches.queue import Filters, Listed, Progress
from coc_labeling.review.batches.reassigning import left_behind, reassign
from coc_labeling.review.errors import ReviewError
from coc_labeling.review.judgements import Reason, Verdict
from coc_labeling.review.phases import Phase
from coc_labeling.review.store import ReviewStore, Role
from coc_labeling.review.web.context import Here, Person, Site, Someone, TaskNumber, may, render
from coc_labeling.review.web.guards import form
from coc_labeling.schema import LateralDecision, LongitudinalDecision

router = APIRouter()
ON_A_PAGE = 50
LONGEST_FILTER = 200  # characters
LAST_NUMBER = 2**63 - 1  # of SQLite
_CHOICES: dict[str, type[StrEnum]] = {"phase": Phase, "verdict": Verdict, "reason": Reason, "kind": Kind}
_ADMINS_ALONE = ("reviewer", "kind")


@dataclass(frozen=True)
class BatchGroup:
    """Tasks of a batch that are on the page, and how far all of it has come."""

    batch: int
    progress: Progress
    reviewers: tuple[str, ...]
    tasks: tuple[Listed, ...]


@dataclass(frozen=True)
class Shown:
    """Tasks on a page; ``found`` fit from this page on, or more than that. All that fit are not counted: too slow."""

    tasks: tuple[Listed, ...]
    next_after: int | None
    found: int
    more: bool


def wanted(request: Request) -> Filters:
    """Return the filters that a query asks for; empty fields ask for nothing. 422 for values that there are not."""
    given: dict[str, object] = {}
    for name in (field.name for field in fields(Filters)):
        text = request.query_params.get(name, "").strip()[:LONGEST_FILTER]
        if not text:
            continue
        try:
            given[name] = _CHOICES[name](text) if name in _CHOICES else int(text) if name == "batch" else text
        except ValueError as error:
            raise HTTPException(422, f"Filter {name}: there is no {text!r}. Choose another one.") from error
    if not 0 <= int(str(given.get("batch", 0))) <= LAST_NUMBER:
        raise HTTPException(422, "Filter batch: there is no such number. Choose another one.")
    return Filters(**given)  # type: ignore[arg-type]


@router.get("/")
def page(
    request: Request,
    here: Here,
    person: Someone,
    filters: Annotated[Filters, Depends(wanted)],
    after: Annotated[int, Query(ge=0, le=LAST_NUMBER)] = 0,
) -> Response:
    """Show a page of the queue: to admins all tasks, to others their own, as far as they may know them."""
    admin = person.role is Role.ADMIN
    hidden = () if admin else _ADMINS_ALONE
    asked = {name: value for name, value in vars(filters).items() if value is not None and name not in hidden}
    progress = _progress(here.store, person)
    shown = _shown(here.store, person, filters, after)
    following = None if admin else queue.next_task(here.store, person.name)
    return render(
        request,
        "queue.html.jinja",
        groups=_groups(here.store, shown.tasks, person),
        found=shown.found if asked else progress.total,
        more=shown.more and bool(asked),
        progress=progress,
        following=following,
        current=_batch_of(here.store, following),
        asked=asked,
        filters=filters,
        after=after,
        next_url=_url(asked, shown.next_after) if shown.next_after else None,
        first_url=_url(asked) if after else None,
        choices=_choices(here, person),
        notice=_notice(request),
    )


@router.post("/batches/{batch}/assign")
def assign(
    batch: TaskNumber,
    here: Here,
    admin: Annotated[Person, Depends(may(Role.ADMIN))],
    fields_of_form: Annotated[dict[str, str], Depends(form)],
) -> RedirectResponse:
    """Give what nobody has begun of a batch to somebody else."""
    reviewer = fields_of_form.get("reviewer", "")
    try:
        moved = reassign(here.store, batch, reviewer, admin.name)
    except ReviewError as error:
        raise HTTPException(422, str(error)) from error
    left = left_behind(here.store, batch, reviewer)
    query = {"batch": batch, "given": moved, "begun": left.begun, "known": left.known}
    return RedirectResponse(f"/?{urlencode(query)}", 303)


def _progress(store: ReviewStore, person: Person) -> Progress:
    found = queue.progress_by_reviewer(store)
    if person.role is Role.ADMIN:
        return sum(found.values(), Progress())
    return found.get(person.name, Progress())


def _shown(store: ReviewStore, person: Person, filters: Filters, after: int) -> Shown:
    if person.role is Role.ADMIN:
        ahead = queue.page(store, filters, after, queue.MOST_ON_A_PAGE)
    else:
        ahead = queue.page_of(store, person.name, filters, after, queue.MOST_ON_A_PAGE)
    tasks = ahead.tasks[:ON_A_PAGE]
    next_after = tasks[-1].task if len(ahead.tasks) > ON_A_PAGE else None
    return Shown(tasks, next_after, len(ahead.tasks), ahead.next_after is not None)


def _groups(store: ReviewStore, tasks: tuple[Listed, ...], person: Person) -> list[BatchGroup]:
    whose = None if person.role is Role.ADMIN else person.name
    progress = queue.progress_by_batch(store, {task.batch for task in tasks}, whose)
    groups = []
    for batch, members in groupby(tasks, key=lambda task: task.batch):
        listed = tuple(members)
        reviewers = tuple(sorted({task.reviewer for task in listed}))
        groups.append(BatchGroup(batch, progress[batch], reviewers, listed))
    return groups


def _batch_of(store: ReviewStore, task: int | None) -> int | None:
    rows = store.database.rows("SELECT batch FROM tasks WHERE id = ?", (task,))
    return rows[0]["batch"] if rows else None


def _choices(here: Site, person: Person) -> dict[str, object]:
    admin = person.role is Role.ADMIN
    people = here.store.people() if admin else {}
    return {
        "speed": list(LongitudinalDecision),
        "lane": list(LateralDecision),
        "check_status": [status for status in Status if status is not Status.ABSTAINED],
        "phase": list(Phase),
        "verdict": list(Verdict),
        "reason": list(Reason),
        "kind": list(Kind) if admin else [],
        "reviewer": [name for name, role in people.items() if role is not Role.ADMIN],
    }


def _notice(request: Request) -> str:
    """Say what became of a batch that was just given to somebody, from numbers alone: anybody can write a link."""
    numbers = [request.query_params.get(name, "") for name in ("batch", "given", "begun", "known")]
    if not all(number.isascii() and number.isdigit() and len(number) < 12 for number in numbers):
        return ""
    batch, given, begun, known = map(int, numbers)
    said = [f"Batch {batch}: {_counted(given)} given away."]
    if begun:
        said.append(f"{_counted(begun)} already begun, not given.")
    if known:
        said.append(f"{_counted(known)} not given: the label is known from another task.")
    return " ".join(said)


def _counted(tasks: int) -> str:
    return f"{tasks} task{'' if tasks == 1 else 's'}"


def _url(asked: dict[str, object], after: int | None = None) -> str:
    query = asked | ({"after": after} if after else {})
    return f"/?{urlencode(query)}" if query else "/"
