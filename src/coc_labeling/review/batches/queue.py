"""The queue: labels put into batches, listed page by page, and how far people have come."""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from sqlite3 import Connection, Row
from typing import Any

from coc_labeling.review.batches.intake import GOOD
from coc_labeling.review.batches.planning import (
    Candidate,
    Given,
    Kind,
    PlannedBatch,
    Planted,
    QueueSettings,
    Stratum,
    Team,
    plan,
)
from coc_labeling.review.judgements import Reason, Verdict
from coc_labeling.review.phases import UNLOCKED, Extent, Phase
from coc_labeling.review.store import ReviewStore, Role

RELEASED_EXTENT = Extent(2_000_000, 6_000_000)  # 4 frames before the keyframe, 12 from it on, every 0.5 s
MOST_ON_A_PAGE = 500
_OPEN = f"'{UNLOCKED[0]}', '{UNLOCKED[1]}'"


@dataclass(frozen=True)
class Filters:
    """Which tasks are listed: those that fit all that is given.

    Attributes:
        reviewer, batch, phase, verdict, reason, clip_id, kind: of the task.
        decision: on speed or lane, by its name in the taxonomy.
        check_status: as ``coc check`` says it.
        text: part of the sentence; capitals of the Latin alphabet make no difference.
    """

    reviewer: str | None = None
    batch: int | None = None
    phase: Phase | None = None
    verdict: Verdict | None = None
    reason: Reason | None = None
    clip_id: str | None = None
    kind: Kind | None = None
    decision: str | None = None
    check_status: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class Listed:
    """A task in a list. Fields from ``longitudinal`` on are None where the reader must not know them yet."""

    task: int
    batch: int
    clip_id: str
    t_us: int
    reviewer: str
    phase: Phase
    revision: int
    verdict: Verdict | None
    reason: Reason | None
    longitudinal: str | None
    lateral: str | None
    sentence: str | None
    risk: float | None
    check_status: str | None
    kind: Kind | None
    stratum: Stratum | None
    inclusion_probability: float | None


@dataclass(frozen=True)
class Page:
    """A page of a list; ``next_after`` is the ``after`` of the next one, None on the last."""

    tasks: tuple[Listed, ...]
    next_after: int | None


@dataclass(frozen=True)
class Progress:
    """How many tasks a reviewer or a batch has, by phase and by verdict."""

    total: int = 0
    phases: Counter[Phase] = field(default_factory=Counter)
    verdicts: Counter[Verdict] = field(default_factory=Counter)

    def __add__(self, other: "Progress") -> "Progress":
        """Return both together."""
        return Progress(self.total + other.total, self.phases + other.phases, self.verdicts + other.verdicts)

    @property
    def done(self) -> int:
        """How many are judged."""
        return self.phases[Phase.DONE]


def enlarge(store: ReviewStore, settings: QueueSettings, extent: Extent = RELEASED_EXTENT) -> int:
    """Put all labels that are in no batch yet into new ones, for the people there are; return how many labels.

    They are a wave of their own: its random stratum is drawn from them alone. Labels already in batches stay there.

    Raises:
        ReviewError: people are missing for what the settings ask for.
    """
    with store.database.writing() as connection:
        labels = [Candidate(*row) for row in connection.execute(_WAITING)]
        if not labels:
            return 0
        people: dict[Role, list[str]] = {role: [] for role in Role}
        for row in connection.execute("SELECT name, role FROM reviewers ORDER BY name"):
            people[Role(row["role"])].append(row["name"])
        planted = [
            Planted(row["id"], row["clip_id"], row["t_us"], row["truth"] == GOOD)
            for row in connection.execute(_PLANTED)
        ]
        team = Team(tuple(people[Role.REVIEWER]), tuple(people[Role.AUDITOR]))
        given = [Given(*row) for row in connection.execute(_GIVEN)]
        batches = plan(labels, planted, team, settings, extent, given)
        _store(connection, batches, len(labels), settings, extent)
    return len(labels)


_WAITING = """
    SELECT id, clip_id, t_us, label_hash, risk FROM labels WHERE wave IS NULL AND origin = 'generated'
"""
# Those in batches already have been given to somebody: they are used up.
_PLANTED = """
    SELECT id, clip_id, t_us, truth FROM labels WHERE wave IS NULL AND origin = 'planted' ORDER BY id
"""
# Whatever somebody has been shown was a task of theirs, which nobody takes from them once it is begun.
_GIVEN = """
    SELECT t.reviewer, l.clip_id, l.t_us FROM labels l JOIN tasks t ON t.label = l.id
    WHERE l.clip_id IN (SELECT clip_id FROM labels WHERE wave IS NULL)
"""


def _store(
    connection: Connection, batches: Sequence[PlannedBatch], labels: int, settings: QueueSettings, extent: Extent
) -> None:
    wave = connection.execute(
        "INSERT INTO waves (made_ms, labels, history_us, future_us, settings) VALUES (?, ?, ?, ?, ?)",
        (time.time_ns() // 1_000_000, labels, extent.history_us, extent.future_us, json.dumps(asdict(settings))),
    ).lastrowid
    last: list[int] = [
        connection.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0]  # noqa: S608 - names of ours
        for table in ("batches", "tasks")
    ]
    task_id = last[1]
    for batch in batches:  # a repeated task is in an earlier batch than its repetition
        for task in batch.tasks:
            task_id += 1
            task.id = task_id
    numbered = list(enumerate(batches, last[0] + 1))
    connection.executemany(
        "INSERT INTO batches VALUES (?, ?, ?, ?)",
        ((number, wave, batch.reviewer, batch.random_tasks) for number, batch in numbered),
    )
    connection.executemany(
        """INSERT INTO tasks (id, batch, label, reviewer, kind, stratum, inclusion_probability, blank, repeats)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            (
                task.id,
                number,
                task.label,
                task.reviewer,
                task.kind,
                task.stratum,
                task.inclusion_probability,
                int(task.blank),
                task.repeats.id if task.repeats else None,
            )
            for number, batch in numbered
            for task in batch.tasks
        ),
    )
    connection.execute(
        "UPDATE labels SET wave = ? WHERE wave IS NULL AND id IN (SELECT label FROM tasks WHERE batch > ?)",
        (wave, last[0]),
    )


def page(store: ReviewStore, filters: Filters, after: int = 0, limit: int = 50) -> Page:
    """Return tasks in the order of the queue, with all that is known of them: for auditors and admins.

    Args:
        store: the reviews.
        filters: which tasks.
        after: the last task of the page before; 0 for the first page.
        limit: tasks on the page, at most 500.
    """
    return _page(store, filters, after, limit, blind=False)


def page_of(store: ReviewStore, reviewer: str, filters: Filters, after: int = 0, limit: int = 50) -> Page:
    """Return tasks of a reviewer, without what they must not know.

    Before the future of a task is unlocked that is everything but its clip and keyframe: filters by decision, check or
    text find such tasks no more than they show them. Why a task is in the queue stays hidden for good.
    """
    own = Filters(**(vars(filters) | {"reviewer": reviewer, "kind": None}))
    return _page(store, own, after, limit, blind=True)


def _page(store: ReviewStore, filters: Filters, after: int, limit: int, *, blind: bool) -> Page:
    limit = max(1, min(limit, MOST_ON_A_PAGE))
    of_task, of_label = _of_task(filters, blind=blind), _of_label(filters)
    few = _few_labels(store, of_label)
    if few is not None:
        of_task, of_label = _both(of_task, (" AND t.label IN (SELECT value FROM json_each(?))", (few,))), _NOTHING
    where, values = _both(of_task, of_label)
    # Without few labels to begin with, tasks are gone through in order until the page is full: no index, no sorting.
    joined = "tasks t JOIN labels l" if few is not None else "tasks t NOT INDEXED CROSS JOIN labels l"
    rows = store.database.rows(
        f"SELECT {_LISTED} FROM {joined} ON l.id = t.label WHERE t.id > ?{where} ORDER BY t.id LIMIT ?",  # noqa: S608
        (after, *values, limit + 1),
    )
    tasks = tuple(_listed(row, blind=blind) for row in rows[:limit])
    return Page(tasks, tasks[-1].task if len(rows) > limit else None)


_LISTED = """
    t.id AS task, t.batch, l.clip_id, l.t_us, t.reviewer, t.phase, t.revision, t.verdict, t.reason,
    l.longitudinal, l.lateral, l.sentence, l.risk, l.check_status, t.kind, t.stratum, t.inclusion_probability
"""
_FEW = 5000
_Where = tuple[str, tuple[object, ...]]  # conditions, each with AND before it, and the values of their question marks
_NOTHING: _Where = ("", ())


def _few_labels(store: ReviewStore, of_label: _Where) -> str | None:
    """Return the numbers of the labels that fit, as JSON; None where there are many, or nothing is asked of them."""
    where, values = of_label
    if not where:
        return None
    sql = f"SELECT l.id FROM labels l WHERE 1{where} LIMIT ?"  # noqa: S608 - values are bound
    rows = store.database.rows(sql, (*values, _FEW + 1))
    return json.dumps([row["id"] for row in rows]) if len(rows) <= _FEW else None


def _both(one: _Where, other: _Where) -> _Where:
    return one[0] + other[0], one[1] + other[1]


def _of_task(filters: Filters, *, blind: bool) -> _Where:
    names = [
        name
        for name in ("reviewer", "batch", "phase", "verdict", "reason", "kind")
        if getattr(filters, name) is not None
    ]
    conditions = [f"t.{name} = ?" for name in names]
    if blind and (filters.decision, filters.check_status, filters.text) != (None, None, None):
        conditions.append(f"t.phase IN ({_OPEN})")
    return _joined(conditions), tuple(getattr(filters, name) for name in names)


def _of_label(filters: Filters) -> _Where:
    conditions: list[str] = []
    values: list[object] = []
    for name in ("clip_id", "check_status"):
        if getattr(filters, name) is not None:
            conditions.append(f"l.{name} = ?")
            values.append(getattr(filters, name))
    if filters.decision is not None:
        conditions.append("(l.longitudinal = ? OR l.lateral = ?)")
        values += [filters.decision] * 2
    if filters.text is not None:
        conditions.append("l.sentence LIKE ? ESCAPE '\\'")
        values.append(f"%{_escaped(filters.text[:200])}%")
    return _joined(conditions), tuple(values)


def _joined(conditions: Sequence[str]) -> str:
    return "".join(f" AND {condition}" for condition in conditions)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _listed(row: Row, *, blind: bool) -> Listed:
    values: dict[str, Any] = dict(row)
    for name, kind in (
        ("phase", Phase),
        ("verdict", Verdict),
        ("reason", Reason),
        ("kind", Kind),
        ("stratum", Stratum),
    ):
        values[name] = kind(values[name]) if values[name] is not None else None
    hidden: tuple[str, ...] = ("kind", "stratum", "inclusion_probability") if blind else ()
    if blind and values["phase"] not in UNLOCKED:
        hidden += ("longitudinal", "lateral", "sentence", "risk", "check_status")
    return Listed(**values | dict.fromkeys(hidden))


def next_task(store: ReviewStore, reviewer: str, after: int = 0) -> int | None:
    """Return the number of a reviewer's next task that is not judged and can be worked on; None where there is none.

    Args:
        store: the reviews.
        reviewer: whose.
        after: search behind this task first, so that one that was passed over comes last.
    """
    for condition in ("t.id > ?", "t.id <= ?"):
        rows = store.database.rows(
            f"SELECT t.id FROM tasks t WHERE t.reviewer = ? AND t.phase <> 'done' AND {condition} AND "  # noqa: S608
            "(t.kind <> 'audit' OR (SELECT phase FROM tasks f WHERE f.id = t.repeats) = 'done') ORDER BY t.id LIMIT 1",
            (reviewer, after),
        )
        if rows:
            task: int = rows[0]["id"]
            return task
    return None


def progress_by_reviewer(store: ReviewStore) -> dict[str, Progress]:
    """Return how far each reviewer has come."""
    return _progress(store, "reviewer", "1", ())


def progress_by_batch(store: ReviewStore, batches: Iterable[int], reviewer: str | None = None) -> dict[int, Progress]:
    """Return how far batches have come: what is one reviewer's in them, or all of them."""
    where = "batch IN (SELECT value FROM json_each(?1)) AND (?2 IS NULL OR reviewer = ?2)"
    return _progress(store, "batch", where, (json.dumps(sorted(batches)), reviewer))


def _progress(store: ReviewStore, by: str, where: str, values: tuple[object, ...]) -> dict[Any, Progress]:
    rows = store.database.rows(
        f"SELECT {by} AS whose, phase, verdict, count(*) AS tasks FROM tasks WHERE {where} "  # noqa: S608 - ours
        "GROUP BY whose, phase, verdict ORDER BY whose",
        values,
    )
    found: dict[Any, Progress] = defaultdict(Progress)
    for row in rows:
        verdicts = Counter({Verdict(row["verdict"]): row["tasks"]}) if row["verdict"] else Counter()
        found[row["whose"]] += Progress(row["tasks"], Counter({Phase(row["phase"]): row["tasks"]}), verdicts)
    return dict(found)
