"""The queue of a large review: how long a page, a filter, a count and a step take, in the store and on the web."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measuring import Row, Scale, spread, time_calls
from coc_labeling.review.batches.intake import LabelRow, add_labels
from coc_labeling.review.batches.planning import QueueSettings
from coc_labeling.review.batches.queue import Filters, enlarge, next_task, page, progress_by_reviewer
from coc_labeling.review.judgements import HistoryAnswer, Judgement, Reason, Verdict
from coc_labeling.review.phases import HistoryDone, Judged, Opened, Phase
from coc_labeling.review.steps import as_event
from coc_labeling.review.store import ReviewStore, Role
from coc_labeling.schema import Category, CoCLabel, Component, Longitudinal, LongitudinalDecision

if TYPE_CHECKING:
    from builders.review_web import Visitor

TESTS = Path(__file__).resolve().parent.parent / "tests"
LABELS_PER_FINISHED_RECORD = 2  # 200,000 labels at full scale
RARE = "xylophone"
REVIEWERS, STEPS = 4, 100


def measure(scale: Scale, folder: Path) -> list[Row]:
    """Fill a queue, then list it in all the ways that are asked for."""
    folder.mkdir(parents=True)
    store = ReviewStore.of_run(str(folder))
    for number in range(REVIEWERS):
        store.add_person(f"reviewer{number}", Role.REVIEWER)
    store.add_person("auditor", Role.AUDITOR)
    labels = scale.finished_records * LABELS_PER_FINISHED_RECORD
    how = f"{labels:,} labels, {REVIEWERS} reviewers"
    (filling,) = _once(lambda: add_labels(store, _rows(labels)))
    (planning,) = _once(lambda: enlarge(store, QueueSettings()))
    rows = [
        Row("queue filled", "-", f"{filling:.1f} s", how),
        Row("queue put into batches", "-", f"{planning:.1f} s", how),
    ]
    tasks = sum(one.total for one in progress_by_reviewer(store).values())
    listings = {
        "first page": lambda: page(store, Filters()),
        "page in the middle": lambda: page(store, Filters(), after=tasks // 2),
        "last page": lambda: page(store, Filters(), after=tasks - 50),
        "page of a reviewer": lambda: page(store, Filters(reviewer="reviewer2"), after=tasks // 2),
        "page of one decision": lambda: page(store, Filters(decision="stop"), after=tasks // 2),
        "page of a rare decision": lambda: page(store, Filters(decision="overtake")),
        "page of a check result and a phase": lambda: page(store, Filters(check_status="high", phase=Phase.WAITING)),
        "page of a clip": lambda: page(store, Filters(clip_id="clip000100")),
        "page of a rare word": lambda: page(store, Filters(text=RARE)),
        "progress of all": lambda: progress_by_reviewer(store),
        "next task of a reviewer": lambda: next_task(store, "reviewer3"),
    }
    for what, listing in listings.items():
        seconds = time_calls(listing, scale.repeats)
        rows.append(Row(what, "< 300 ms", spread([1000 * one for one in seconds], "ms", 1), how))
    seconds = _steps(store)
    rows.append(Row("one step stored on disk", "< 150 ms", spread([1000 * one for one in seconds], "ms", 1), how))
    store.close()
    return rows + _web_pages(str(folder), tasks // 2, scale, how)


def _web_pages(folder: str, judged: int, scale: Scale, how: str) -> list[Row]:
    """Judge tasks, then ask a real server for its pages; what a page shows of videos is not in it."""
    sys.path.insert(0, str(TESTS))
    from builders.review_web import Served
    from builders.reviews import review

    store = ReviewStore.of_run(folder)
    _judge(store, judged)
    task = next_task(store, "reviewer1")
    rows = []
    with Served(store, folder) as served:
        (counting,) = _once(lambda: served.person("dora").get("/overview"))
        how = f"{how}, {judged:,} tasks judged, over HTTP"
        rows.append(Row("overview counted at the start, in the background", "-", f"{counting:.1f} s", how))
        for who, path in _PAGES:
            person = served.person(who)
            statuses: set[int] = set()
            url = path.format(task=task)

            def get(person: "Visitor" = person, url: str = url, statuses: set[int] = statuses) -> None:
                statuses.add(person.get(url).status_code)

            seconds = time_calls(get, scale.repeats)
            assert statuses <= {200, 303}, (url, statuses)
            rows.append(Row(f"{who}: {path}", "< 300 ms", spread([1000 * one for one in seconds], "ms", 1), how))
        review(store, task, "reviewer1")
        (looking,) = _once(lambda: served.person("dora").get("/overview"))
        rows.append(Row("dora: /overview after a step", "< 300 ms", f"{1000 * looking:.1f} ms", how))
        served.site.overviews.close()
    return rows


_PAGES = [
    (who, path)
    for who, paths in {
        "reviewer1": (
            "/",
            "/?phase=waiting",
            "/?verdict=accept",
            "/?decision=stop",
            "/?check_status=high",
            "/?clip_id=clip000100",
            f"/?text={RARE}",
            "/?text=vehicle&decision=stop&check_status=high",
            "/tasks/{task}",
            "/tasks/{task}/next",
            "/tasks/{task}/previous",
            "/overview",
        ),
        "auditor": ("/", "/?decision=stop", f"/?text={RARE}"),
        "dora": (
            "/",
            "/?after=100000",
            "/?kind=second",
            "/?decision=overtake",
            "/?check_status=high&phase=waiting",
            f"/?text={RARE}",
            "/?text=nowhere",
            "/tasks/5/events",
        ),
    }.items()
    for path in paths
]


def _judge(store: ReviewStore, count: int) -> None:
    """Judge the first tasks of the queue, in one transaction: each step on its own would take an hour."""
    rows = store.database.rows("SELECT id, reviewer FROM tasks ORDER BY id LIMIT ?", (count,))
    wrong = Judgement(verdict=Verdict.REJECT, reason=Reason.HAZARD_MISSED)
    with store.database.writing() as connection:
        for row in rows:
            judgement = wrong if row["id"] % 4 == 0 else Judgement(verdict=Verdict.ACCEPT)
            steps = (Opened(), HistoryDone(HistoryAnswer()), Judged(judgement))
            now = connection.execute("SELECT count(*) FROM events WHERE task = ?", (row["id"],)).fetchone()[0]
            connection.executemany(
                "INSERT INTO events (task, revision, at_ms, actor, kind, content) VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (row["id"], n, 50 * row["id"] + 9000 * n, row["reviewer"], *as_event(step))
                    for n, step in enumerate(steps, 1)
                    if n > now
                ],
            )
            connection.execute(
                "UPDATE tasks SET phase = 'done', revision = 3, verdict = ?, reason = ?, changed_ms = ? WHERE id = ?",
                (judgement.verdict, judgement.reason, 50 * row["id"] + 27_000, row["id"]),
            )


def _once(function: Callable[[], object]) -> list[float]:
    started = time.perf_counter()
    function()
    return [time.perf_counter() - started]


def _steps(store: ReviewStore) -> list[float]:
    seconds = []
    for _ in range(STEPS // 3):
        task = next_task(store, "reviewer0")
        assert task is not None
        revision = store.view(task, "reviewer0").state.revision
        seconds += _once(lambda task=task: store.open(task, "reviewer0", 0)) if not revision else []
        shown = tuple(component.id for component in store.view(task, "reviewer0").components)
        answer = HistoryAnswer(confirmed=shown)
        seconds += _once(lambda task=task, answer=answer: store.finish_history(task, "reviewer0", 1, answer))
        accept = Judgement(verdict=Verdict.ACCEPT)
        seconds += _once(lambda task=task, accept=accept: store.judge(task, "reviewer0", 2, accept))
    return seconds


def _rows(number: int) -> Iterator[LabelRow]:
    decisions = [one for one in LongitudinalDecision if one != "overtake"]
    for n in range(number):
        decision = LongitudinalDecision.OVERTAKE if n % 20_000 == 7 else decisions[n % len(decisions)]
        word = RARE if n % 20_000 == 11 else "vehicle"
        thing = Component(id="c1", category=Category.CRITICAL_OBJECT, description=f"the {word} number {n} in the lane")
        label = CoCLabel(
            longitudinal=Longitudinal(decision=decision, cause_ids=("c1",)),
            components=(thing,),
            effect_on_ego_behavior=f"Adapt the speed to the {word} number {n} that is ahead of ego in the same lane.",
        )
        status = ("low", "medium", "high", "unverified")[n * 7919 % 4]
        # Windows of a clip 9 s apart: none overlap.
        yield LabelRow(f"clip{n // 2:06d}", 4_000_000 + n % 2 * 9_000_000, label, "model", n * 7919 % 997 / 997, status)
