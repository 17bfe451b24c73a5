"""What reviewers do, one event after another, and what they may see of a task."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from sqlite3 import Connection, Row
from typing import Self

from coc_labeling.review.database import Database, reviews_path
from coc_labeling.review.errors import ConflictError, NotAssignedError, PhaseError, ReviewError, SeenFutureError
from coc_labeling.review.judgements import HistoryAnswer, Judgement
from coc_labeling.review.phases import (
    Extent,
    HistoryDone,
    HistorySkipped,
    Judged,
    Opened,
    Phase,
    Sighting,
    Step,
    TaskState,
    Undone,
    gives_away,
    state_of,
)
from coc_labeling.review.steps import as_event, as_step
from coc_labeling.schema import CoCLabel, Component

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")


class Role(StrEnum):
    """What somebody does in a review."""

    REVIEWER = "reviewer"
    AUDITOR = "auditor"  # re-checks what reviewers decided
    ADMIN = "admin"  # sees all, judges nothing


@dataclass(frozen=True)
class TaskView:
    """What a reviewer may see of a task now. Why it is in the queue is never among it.

    Attributes:
        task: its number.
        batch: the number of its batch.
        clip_id, t_us: the window; the keyframe in microseconds on the clip clock.
        state: what the reviewer has done so far.
        blank: components are listed by the reviewer, none are shown before the future is.
        components: what phase one asks about; empty before the task is opened, and on a blank list.
        label: all of the label; None until the future is unlocked.
        history_open: phase one may be done; else only ``skip_history`` leads on.
    """

    task: int
    batch: int
    clip_id: str
    t_us: int
    state: TaskState
    blank: bool
    components: tuple[Component, ...]
    label: CoCLabel | None
    history_open: bool


@dataclass(frozen=True)
class Event:
    """Who did what when.

    Attributes:
        revision: of the task, which the event led to.
        at: UTC.
        actor: the reviewer.
        step: what was done.
    """

    revision: int
    at: datetime
    actor: str
    step: Step


class ReviewStore:
    """The reviews of one run.

    Every step names the revision of the task that it is based on, and is refused where somebody has gone on since. What
    has returned without an error is on the disk.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    @classmethod
    def of_run(cls, run_dir: str) -> Self:
        """Open the reviews of a run, creating their file where there is none; raises ReviewError."""
        return cls(Database(reviews_path(run_dir)))

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def add_person(self, name: str, role: Role) -> None:
        """Add somebody; adding the same one again changes nothing.

        Raises:
            ReviewError: the name has other characters than letters, digits and ``_.@-``, or has another role.
        """
        if not _NAME.fullmatch(name):
            raise ReviewError(f"reviewer {name[:80]!r}: expected up to 64 letters, digits, and any of _ . @ -")
        with self.database.writing() as connection:
            known = connection.execute("SELECT role FROM reviewers WHERE name = ?", (name,)).fetchone()
            if known is None:
                connection.execute("INSERT INTO reviewers VALUES (?, ?, ?)", (name, role, now_ms()))
            elif known["role"] != role:
                raise ReviewError(f"reviewer {name}: is known as {known['role']}. Choose another name for {role}.")

    def people(self, role: Role | None = None) -> dict[str, Role]:
        """Return names and roles, sorted by name; those of one role where it is given."""
        rows = self.database.rows("SELECT name, role FROM reviewers ORDER BY name")
        return {row["name"]: Role(row["role"]) for row in rows if role in (None, row["role"])}

    def view(self, task: int, reviewer: str) -> TaskView:
        """Return what a reviewer may see of a task of theirs; raises NotAssignedError."""
        row = _task_row(self.database.rows, task, reviewer)
        state = state_of(event.step for event in self._events(self.database.rows, task))
        label = CoCLabel.model_validate_json(row["label"])
        shown = state.phase is Phase.HISTORY and not row["blank"]
        return TaskView(
            task,
            row["batch"],
            row["clip_id"],
            row["t_us"],
            state,
            bool(row["blank"]),
            label.components if shown or state.future_unlocked else (),
            label if state.future_unlocked else None,
            state.phase in (Phase.WAITING, Phase.HISTORY) and not _seen(self.database.rows, row),
        )

    def open(self, task: int, reviewer: str, revision: int) -> int:
        """Show the history of a task; return its new revision.

        Raises:
            SeenFutureError: the reviewer has seen what came after it; ``skip_history`` leads on.
            ConflictError: the task has another revision.
            PhaseError: it has been opened, or is an audit of what has not been judged yet.
            NotAssignedError: it is not theirs.
        """
        return self._take(task, reviewer, revision, lambda _label, _blank: Opened())

    def finish_history(self, task: int, reviewer: str, revision: int, answer: HistoryAnswer) -> int:
        """Store phase one, which unlocks the future; return the new revision.

        Raises:
            JudgementError: the answer does not fit what was shown.
            SeenFutureError, ConflictError, PhaseError, NotAssignedError: as in ``open``.
        """

        def step(label: CoCLabel, blank: bool) -> Step:
            answer.check(label, blank=blank)
            return HistoryDone(answer)

        return self._take(task, reviewer, revision, step)

    def skip_history(self, task: int, reviewer: str, revision: int) -> int:
        """Unlock the future without phase one, for who has seen it in another window; return the new revision.

        Raises:
            PhaseError: the reviewer has not seen it, so phase one is to be done.
            ConflictError, NotAssignedError: as in ``open``.
        """
        return self._take(task, reviewer, revision, lambda _label, _blank: HistorySkipped())

    def judge(self, task: int, reviewer: str, revision: int, judgement: Judgement) -> int:
        """Store a judgement, the first one or one that replaces it; return the new revision.

        Raises:
            JudgementError: an edit makes no valid label.
            ConflictError, PhaseError, NotAssignedError: as in ``open``.
        """

        def step(label: CoCLabel, _blank: bool) -> Step:
            judgement.result(label)
            return Judged(judgement)

        return self._take(task, reviewer, revision, step)

    def undo(self, task: int, reviewer: str, revision: int) -> int:
        """Take back the judgement that holds: the one before it holds again; return the new revision.

        What was said of the history stays: the future has been seen since.

        Raises:
            ConflictError, PhaseError, NotAssignedError: as in ``open``.
        """
        return self._take(task, reviewer, revision, lambda _label, _blank: Undone())

    def history(self, task: int) -> list[Event]:
        """Return all that was done with a task, in order: for who may see it, which its web page decides."""
        return self._events(self.database.rows, task)

    def note_look(self, task: int, person: str) -> None:
        """Note that somebody has looked at a task of somebody else, label and judgements and all.

        From then on phase one of what overlaps it is closed to them, as after a task of their own.

        Raises:
            NotAssignedError: there is no such task.
        """
        row = _task_row(self.database.rows, task, None)
        seen = (person, row["clip_id"], row["t_us"], 1)
        if self.database.rows("SELECT 1 FROM sightings WHERE (reviewer, clip_id, t_us, future) = (?, ?, ?, ?)", seen):
            return
        with self.database.writing() as connection:
            connection.execute(_SIGHTED, seen)

    def label(self, task: int) -> CoCLabel:
        """Return the label of a task as it was generated or planted; raises NotAssignedError where there is none."""
        return CoCLabel.model_validate_json(_task_row(self.database.rows, task, None)["label"])

    def _take(self, task: int, reviewer: str, revision: int, step_for: Callable[[CoCLabel, bool], Step]) -> int:
        with self.database.writing() as connection:

            def rows(sql: str, values: tuple[object, ...]) -> list[Row]:
                return connection.execute(sql, values).fetchall()

            row = _task_row(rows, task, reviewer)
            events = self._events(rows, task)
            if len(events) != revision:
                raise _conflict(row, events, revision)
            step = step_for(CoCLabel.model_validate_json(row["label"]), bool(row["blank"]))
            _refuse_step(rows, row, step)
            state = _after(state_of(event.step for event in events), step, row)
            _write(connection, row, reviewer, step, state)
        return state.revision

    @staticmethod
    def _events(rows: "_Rows", task: int) -> list[Event]:
        found = rows("SELECT revision, at_ms, actor, kind, content FROM events WHERE task = ? ORDER BY id", (task,))
        return [
            Event(row["revision"], time_of(row["at_ms"]), row["actor"], as_step(row["kind"], row["content"]))
            for row in found
        ]


_Rows = Callable[[str, tuple[object, ...]], list[Row]]
_SIGHTED = "INSERT OR IGNORE INTO sightings VALUES (?, ?, ?, ?)"


def _task_row(rows: _Rows, task: int, reviewer: str | None) -> Row:
    found = rows(
        """SELECT t.id, t.batch, t.reviewer, t.kind, t.blank, t.repeats, l.clip_id, l.t_us, l.label,
                  w.history_us, w.future_us
           FROM tasks t JOIN labels l ON l.id = t.label JOIN batches b ON b.id = t.batch JOIN waves w ON w.id = b.wave
           WHERE t.id = ?""",
        (task,),
    )
    if not found or reviewer not in (None, found[0]["reviewer"]):
        raise NotAssignedError(f"task {task}: no task of {reviewer}. Choose one from their queue.")
    return found[0]


def _conflict(row: Row, events: list[Event], revision: int) -> ConflictError:
    last = f", the last time by {events[-1].actor} at {events[-1].at:%Y-%m-%d %H:%M:%S} UTC" if events else ""
    return ConflictError(
        f"{_named(row)}: has been changed since it was loaded{last} (revision {len(events)}, expected {revision}). "
        "Nothing of this step has been stored: load the task again, then repeat it."
    )


def _refuse_step(rows: _Rows, row: Row, step: Step) -> None:
    """Raise PhaseError for what other tasks forbid: phase one after the future was seen, audits that come too early."""
    if row["kind"] == "audit":
        first = rows("SELECT phase FROM tasks WHERE id = ?", (row["repeats"],))[0]["phase"]
        if first != Phase.DONE and isinstance(step, Opened | HistorySkipped):
            raise PhaseError(f"{_named(row)}: audits a judgement that is not made yet. Take another task first.")
    seen = _seen(rows, row)
    if seen and isinstance(step, Opened | HistoryDone):
        raise SeenFutureError(
            f"{_named(row)}: {row['reviewer']} has seen what came after it, in the window at {seen[0].t_us / 1e6:g} s. "
            "Skip its first phase."
        )
    if not seen and isinstance(step, HistorySkipped):
        raise PhaseError(
            f"{_named(row)}: {row['reviewer']} has seen nothing of what came after it. Judge its history first."
        )


def _seen(rows: _Rows, row: Row) -> list[Sighting]:
    """Return what the task's reviewer was shown of other windows that gives away what comes after this keyframe."""
    extent = Extent(row["history_us"], row["future_us"])
    near = row["t_us"] - extent.length_us, row["t_us"] + extent.length_us
    found = rows(
        "SELECT t_us, future FROM sightings WHERE reviewer = ? AND clip_id = ? AND t_us BETWEEN ? AND ?",
        (row["reviewer"], row["clip_id"], *near),
    )
    sightings = [Sighting(one["t_us"], bool(one["future"])) for one in found]
    return [one for one in sightings if gives_away(one, row["t_us"], extent)]


def _after(state: TaskState, step: Step, row: Row) -> TaskState:
    try:
        return state.after(step)
    except PhaseError as error:
        raise PhaseError(f"{_named(row)}: {error}") from error


def _write(connection: Connection, row: Row, actor: str, step: Step, state: TaskState) -> None:
    """Add the event, and bring what follows from it up to date, in the caller's transaction."""
    now, (kind, content) = now_ms(), as_event(step)
    connection.execute(
        "INSERT INTO events (task, revision, at_ms, actor, kind, content) VALUES (?, ?, ?, ?, ?, ?)",
        (row["id"], state.revision, now, actor, kind, content),
    )
    connection.execute(
        "UPDATE tasks SET phase = ?, revision = ?, verdict = ?, reason = ?, changed_ms = ? WHERE id = ?",
        (
            state.phase,
            state.revision,
            state.verdict,
            state.judgement.reason if state.judgement else None,
            now,
            row["id"],
        ),
    )
    if isinstance(step, Opened | HistoryDone | HistorySkipped):
        connection.execute(_SIGHTED, (actor, row["clip_id"], row["t_us"], int(state.future_unlocked)))


def _named(row: Row) -> str:
    return f"task {row['id']} (clip {row['clip_id']} at {row['t_us'] / 1e6:g} s)"


def time_of(at_ms: int) -> datetime:
    """Return the time of a row, UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def now_ms() -> int:
    """Return the time that a row written now gets: milliseconds since 1970."""
    return time.time_ns() // 1_000_000
