"""Who changed what when: all that was done with a task, in words."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from coc_labeling.review.batches.reassigning import Assignment, assignments
from coc_labeling.review.judgements import Edit, Judgement, sentence_mismatches
from coc_labeling.review.phases import HistoryDone, HistorySkipped, Judged, Opened, Phase, Step, Undone
from coc_labeling.review.store import Event, ReviewStore, Role
from coc_labeling.review.web.context import Here, Person, Someone, TaskNumber, render
from coc_labeling.review.web.templates import words
from coc_labeling.schema import CoCLabel, Component, Lateral, Longitudinal

router = APIRouter()


@dataclass(frozen=True)
class Change:
    """A part of a label before and after an edit, as lines."""

    part: str
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def is_one(self) -> bool:
        """Whether there is a difference."""
        return self.before != self.after


@dataclass(frozen=True)
class Told:
    """An event in words.

    Attributes:
        at: UTC.
        actor: who did it.
        what: in words.
        judgement: what was decided, where it was that.
        details: further lines.
        changes: what an edit changed.
        mismatches: where an edit's sentence says something else than its structure.
    """

    at: datetime
    actor: str
    what: str
    judgement: Judgement | None = None
    details: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    mismatches: tuple[str, ...] = ()


def may_look(task: TaskNumber, here: Here, person: Someone) -> Person:
    """Let admins look at all tasks, auditors at those that tell them nothing too early, others at what they judged.

    Raises:
        HTTPException: 403.
        NotAssignedError: there is no such task, or it is another reviewer's.
    """
    if person.role is Role.REVIEWER or _is_own(here.store, task, person):
        if here.store.view(task, person.name).state.phase is not Phase.DONE:
            raise HTTPException(403, f"Task {task} has a history once it is judged.")
    elif person.role is Role.AUDITOR and _has_to_judge(here.store, task, person):
        raise HTTPException(
            403, f"You have yet to judge a window of the clip of task {task}: do that first, unknowing."
        )
    return person


@router.get("/tasks/{task}/events")
def page(task: TaskNumber, request: Request, here: Here, person: Annotated[Person, Depends(may_look)]) -> Response:
    """Show all that was done with a task."""
    label = here.store.label(task)
    given = [_given(one) for one in assignments(here.store, task)] if person.role is Role.ADMIN else []
    done = [told(event, label) for event in here.store.history(task)]
    row = here.store.database.rows(_TASK, (task,))[0]
    own = row["reviewer"] == person.name
    if person.role is Role.AUDITOR and not own:
        here.store.note_look(task, person.name)
    return render(
        request,
        "events.html.jinja",
        task=row,
        label=label,
        parts=[(part, lines) for part, lines in parts_of(label).items() if lines],
        events=sorted(given + done, key=lambda one: one.at),
        own=own,
        why=person.role is Role.ADMIN,
        model=row["model"] if person.role is not Role.REVIEWER else None,  # planted labels have none
    )


_TASK = """
    SELECT t.id, t.batch, t.reviewer, t.kind, t.stratum, t.inclusion_probability, t.blank, t.phase, t.verdict,
        l.clip_id, l.t_us, l.model
    FROM tasks t JOIN labels l ON l.id = t.label WHERE t.id = ?
"""


def _is_own(store: ReviewStore, task: int, person: Person) -> bool:
    return bool(store.database.rows("SELECT 1 FROM tasks WHERE id = ? AND reviewer = ?", (task, person.name)))


def _has_to_judge(store: ReviewStore, task: int, person: Person) -> bool:
    """Say whether somebody has a task in the same clip that is not judged, which this one would tell something of."""
    rows = store.database.rows(
        """SELECT 1 FROM tasks own JOIN labels l ON l.id = own.label
           WHERE l.clip_id = (SELECT clip_id FROM labels WHERE id = (SELECT label FROM tasks WHERE id = ?))
           AND own.reviewer = ? AND own.phase <> 'done' LIMIT 1""",
        (task, person.name),
    )
    return bool(rows)


def told(event: Event, label: CoCLabel) -> Told:
    """Return an event in words; ``label`` is the one that it is about."""
    step = event.step
    match step:
        case Judged(judgement):
            changes, mismatches = _edited(judgement.edit, label)
            return Told(event.at, event.actor, _word(step), judgement, (), changes, mismatches)
        case HistoryDone(answer):
            known = {component.id: component for component in label.components}
            details = (
                *(f"confirmed {_component(known[one])}" for one in answer.confirmed if one in known),
                *(f"struck {_component(known[one])}" for one in answer.struck if one in known),
                *(f"added {_component(one)}" for one in answer.added),
            )
            return Told(event.at, event.actor, _word(step), None, details or ("nothing was listed",))
    return Told(event.at, event.actor, _word(step))


def _word(step: Step) -> str:
    match step:
        case Opened():
            return "opened the task and saw its history"
        case HistoryDone():
            return "judged the components of the history, and saw the future"
        case HistorySkipped():
            return "left out phase one, having seen an overlapping window, and saw the future"
        case Judged():
            return "judged the label"
        case Undone():
            return "took back the last judgement"


def _given(one: Assignment) -> Told:
    return Told(one.at, one.actor, f"gave the task of {one.was} to {one.reviewer}")


def _edited(edit: Edit | None, label: CoCLabel) -> tuple[tuple[Change, ...], tuple[str, ...]]:
    if edit is None:
        return (), ()
    edited = edit.applied_to(label)
    before, after = parts_of(label), parts_of(edited)
    changes = (Change(part, lines, after[part]) for part, lines in before.items())
    return tuple(change for change in changes if change.is_one), sentence_mismatches(edited)


def parts_of(label: CoCLabel) -> dict[str, tuple[str, ...]]:
    """Return the parts of a label as lines of text.

    Example:
        >>> stop = Longitudinal(decision="stop", cause_ids=("unobserved",))
        >>> parts_of(CoCLabel(longitudinal=stop, effect_on_ego_behavior="Stop."))["speed"]
        ('stop, cause: unobserved',)
    """
    return {
        "sentence": (label.effect_on_ego_behavior,) if label.effect_on_ego_behavior else (),
        "speed": _decision(label.longitudinal),
        "lane": _decision(label.lateral),
        "components": tuple(_component(component, with_id=True) for component in label.components),
        "trace": (label.trace,) if label.trace else (),
    }


def _decision(said: Longitudinal | Lateral | None) -> tuple[str, ...]:
    if said is None:
        return ()
    direction = said.direction if isinstance(said, Lateral) and said.direction else ""
    causes = ", ".join(said.cause_ids)
    name = f"{words(said.decision)} {direction}".strip()
    return (f"{name}, cause: {causes}" if causes else name,)


def _component(component: Component, *, with_id: bool = False) -> str:
    kinds = (component.category, component.relation, component.side)
    kind = ", ".join(words(one) for one in kinds if one is not None)
    return f"{f'{component.id}: ' if with_id else ''}{component.description} ({kind})"
