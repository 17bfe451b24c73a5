"""Batches that change hands: tasks that nobody has begun go to somebody else, and it is kept who gave them when."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Connection, Row

from coc_labeling.review.batches.planning import Kind
from coc_labeling.review.errors import ReviewError
from coc_labeling.review.store import ReviewStore, Role, now_ms, time_of


@dataclass(frozen=True)
class Assignment:
    """A task that was given to somebody else.

    Attributes:
        at: UTC.
        actor: who gave it.
        was: whose it was before.
        reviewer: whose it was from then on.
    """

    at: datetime
    actor: str
    was: str
    reviewer: str


@dataclass(frozen=True)
class LeftBehind:
    """How many tasks of a batch somebody cannot be given.

    Attributes:
        begun: somebody else has begun them.
        known: their label, or a label planted into their moment, is or was another task of this reviewer; or they have
            looked at what is to be audited.
    """

    begun: int
    known: int


def reassign(store: ReviewStore, batch: int, reviewer: str, by: str) -> int:
    """Give the tasks of a batch that nobody has begun to somebody else; return how many.

    Tasks that have been begun stay, and those that the new reviewer must not be given: a second review or an audit of
    what they review themselves, and planted labels of moments they know otherwise (``left_behind`` counts both). The
    batch stays the one that was drawn, with its random part; only the reviewer of its tasks changes.

    Args:
        store: the reviews.
        batch: its number.
        reviewer: who gets the tasks: an auditor those of an audit batch, a reviewer others.
        by: who gives them; whether they may is for the caller to know.

    Raises:
        ReviewError: no such batch or person, or one whose role does not fit.
    """
    with store.database.writing() as connection:

        def rows(sql: str, values: tuple[object, ...]) -> list[Row]:
            return connection.execute(sql, values).fetchall()

        _refuse(rows, batch, reviewer, by)
        given = [row for row in _of_others(rows, batch, reviewer) if not row["begun"] and not row["known"]]
        _give(connection, given, reviewer, by)
    return len(given)


def left_behind(store: ReviewStore, batch: int, reviewer: str) -> LeftBehind:
    """Return how many tasks of a batch that are others' this reviewer cannot be given."""
    others = _of_others(store.database.rows, batch, reviewer)
    begun = sum(row["begun"] for row in others)
    return LeftBehind(begun, sum(row["known"] for row in others if not row["begun"]))


def assignments(store: ReviewStore, task: int) -> list[Assignment]:
    """Return how a task has changed hands, in order; nothing for one that is with whom its batch was made for."""
    rows = store.database.rows(
        "SELECT at_ms, actor, was, reviewer FROM assignments WHERE task = ? ORDER BY id", (task,)
    )
    return [Assignment(time_of(row["at_ms"]), row["actor"], row["was"], row["reviewer"]) for row in rows]


_Rows = Callable[[str, tuple[object, ...]], list[Row]]


def _refuse(rows: _Rows, batch: int, reviewer: str, by: str) -> None:
    """Raise ReviewError unless all of them are there and the batch fits the reviewer's role."""
    kinds = {row["kind"] for row in rows("SELECT DISTINCT kind FROM tasks WHERE batch = ?", (batch,))}
    if not kinds:
        raise ReviewError(f"batch {batch}: no batch of this number.")
    roles = {row["name"]: row["role"] for row in rows("SELECT name, role FROM reviewers", ())}
    for name in (reviewer, by):
        if name not in roles:
            raise ReviewError(f"{name[:80]!r}: nobody of this name takes part. Known are {', '.join(sorted(roles))}.")
    needed = Role.AUDITOR if Kind.AUDIT in kinds else Role.REVIEWER
    if roles[reviewer] != needed:
        raise ReviewError(f"batch {batch}: expected a person with the role {needed}, {reviewer} is {roles[reviewer]}.")


# Whoever knows a moment with one label would know a planted one of an overlapping window for what it is. An auditor who
# has looked at what others said of a label audits it no more.
_OF_OTHERS = """
    SELECT t.id, t.reviewer, t.phase <> 'waiting' AS begun,
        EXISTS (SELECT 1 FROM tasks own WHERE own.label = t.label AND own.reviewer = ?2)
        OR EXISTS (
            SELECT 1 FROM labels near CROSS JOIN tasks own ON own.label = near.id
            WHERE near.clip_id = l.clip_id AND abs(near.t_us - l.t_us) < w.history_us + w.future_us
            AND 'planted' IN (near.origin, l.origin) AND own.reviewer = ?2
        )
        OR (t.kind = 'audit' AND EXISTS (
            SELECT 1 FROM sightings s
            WHERE (s.reviewer, s.clip_id, s.t_us, s.future) = (?2, l.clip_id, l.t_us, 1)
        )) AS known
    FROM tasks t JOIN labels l ON l.id = t.label JOIN batches b ON b.id = t.batch JOIN waves w ON w.id = b.wave
    WHERE t.batch = ?1 AND t.reviewer <> ?2 ORDER BY t.id
"""


def _of_others(rows: _Rows, batch: int, reviewer: str) -> list[Row]:
    return rows(_OF_OTHERS, (batch, reviewer))


def _give(connection: Connection, tasks: list[Row], reviewer: str, by: str) -> None:
    """Write down who gets which task from whom, then change it: the file refuses the one without the other."""
    now = now_ms()
    connection.executemany(
        "INSERT INTO assignments (task, was, reviewer, actor, at_ms) VALUES (?, ?, ?, ?, ?)",
        ((task["id"], task["reviewer"], reviewer, by, now) for task in tasks),
    )
    connection.executemany("UPDATE tasks SET reviewer = ? WHERE id = ?", ((reviewer, task["id"]) for task in tasks))
