"""The page on which a label is reviewed, in the phase that its task is in.

What is from after the keyframe, and what the label says of it, comes from ``TaskView.label`` alone, which is None until
the future is unlocked.
"""

import json
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response

from coc_labeling.review.auditing import audited
from coc_labeling.review.judgements import QaItem, Reason, Verdict, sentence_mismatches
from coc_labeling.review.phases import Phase
from coc_labeling.review.store import TaskView
from coc_labeling.review.web.context import Here, Site, Someone, TaskNumber, render
from coc_labeling.schema import (
    NEED_DIRECTION,
    NO_DIRECTION,
    Category,
    CoCLabel,
    Component,
    LateralDecision,
    LongitudinalDecision,
    Relation,
    Side,
)

router = APIRouter()

RULES = {
    QaItem.CAUSAL_COVERAGE: "each decision has a cause, or says that none was observed",
    QaItem.CAUSAL_CORRECTNESS: "the cause is there, and causes the decision",
    QaItem.PROXIMATE_CAUSE: "the nearest cause that suffices, not a distant one",
    QaItem.MINIMALITY: "only first decisions, only components that matter",
    QaItem.NO_LEAKAGE: "causes could be seen up to the keyframe",
    QaItem.FACTS_ONLY: "no guesses, nobody who does not matter",
}


@dataclass(frozen=True)
class Checks:
    """What ``coc check`` found of a label; all empty where it has not been checked."""

    risk: float | None = None
    status: str | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decided:
    """A decision of a label as the page shows it; no causes where none was observed."""

    channel: str
    decision: str
    direction: str | None
    causes: tuple[Component, ...]


@router.get("/tasks/{task}")
def label_page(request: Request, task: TaskNumber, here: Here, person: Someone) -> Response:
    """Show a task of who is signed in."""
    view = here.store.view(task, person.name)
    done, total = _progress(here, view.batch)
    context: dict[str, object] = {
        "view": view,
        "state": view.state,
        "batch_done": done,
        "batch_total": total,
        "data": _data(view) | ({"scene": _scene(here, view)} if _may_be_worked_on(view) else {}),
        "Category": Category,
        "Relation": Relation,
        "Side": Side,
    }
    if not _may_be_worked_on(view):
        return render(request, "label_start.html.jinja", **context)
    if view.label is None:
        return render(request, "label_history.html.jinja", **context)
    context |= {
        "label": view.label,
        "decided": decided(view.label),
        "checks": checks_of(here, task),
        "mismatches": sentence_mismatches(view.label),
        "audited": audited(here.store, task, person.name),
        "rules": RULES,
        "Verdict": Verdict,
        "Reason": Reason,
        "LongitudinalDecision": LongitudinalDecision,
        "LateralDecision": LateralDecision,
    }
    return render(request, "label_future.html.jinja", **context)


def _scene(here: Site, view: TaskView) -> dict[str, Any]:
    """Return what moves in the window, as far as it may be seen; in the page it needs no second answer."""
    return here.material.scene(view.clip_id, view.t_us, future=view.state.future_unlocked)


def _may_be_worked_on(view: TaskView) -> bool:
    """Say whether the page has more to show than how to begin."""
    return view.state.future_unlocked or (view.state.phase is Phase.HISTORY and view.history_open)


def checks_of(here: Site, task: int) -> Checks:
    """Return what was found of a task's label when it came into the queue: for tasks whose future is unlocked."""
    row = here.store.database.rows(
        "SELECT l.risk, l.check_status, l.check_reasons FROM tasks t JOIN labels l ON l.id = t.label WHERE t.id = ?",
        (task,),
    )[0]
    return Checks(row["risk"], row["check_status"], tuple(json.loads(row["check_reasons"])))


def decided(label: CoCLabel) -> tuple[Decided, ...]:
    """Return the decisions of a label with their causes."""
    components = {component.id: component for component in label.components}
    found = []
    for channel, told in (("speed", label.longitudinal), ("lane", label.lateral)):
        if told is not None:
            causes = tuple(components[cause] for cause in told.cause_ids if cause in components)
            found.append(Decided(channel, told.decision, getattr(told, "direction", None), causes))
    return tuple(found)


def _progress(here: Site, batch: int) -> tuple[int, int]:
    """Return how many tasks of a batch are judged, and how many there are."""
    sql = "SELECT count(*) AS total, count(*) FILTER (WHERE phase = ?) AS done FROM tasks WHERE batch = ?"
    row = here.store.database.rows(sql, (Phase.DONE, batch))[0]
    return row["done"], row["total"]


def _data(view: TaskView) -> dict[str, Any]:
    """Return what the scripts of the page need to know."""
    data: dict[str, Any] = {
        "task": view.task,
        "revision": view.state.revision,
        "phase": view.state.phase,
        "blank": view.blank,
    }
    if not _may_be_worked_on(view):
        return data
    data["components"] = [component.model_dump(mode="json") for component in view.components]
    if view.label is None:
        return data
    said, judged = view.state.history, view.state.judgement
    return data | {
        "label": view.label.model_dump(mode="json"),
        "added": [component.model_dump(mode="json") for component in said.added] if said else [],
        "judgement": judged.model_dump(mode="json") if judged else None,
        "needDirection": sorted(NEED_DIRECTION),
        "noDirection": sorted(NO_DIRECTION),
    }
