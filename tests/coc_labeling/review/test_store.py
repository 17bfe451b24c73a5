import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from builders.reviews import ACCEPT, UNSURE, answer_for, filled, follows, review, turns, unlock
from coc_labeling.review.backup import backup
from coc_labeling.review.batches.planning import QueueSettings
from coc_labeling.review.batches.queue import Filters, next_task, page
from coc_labeling.review.database import Database, reviews_path
from coc_labeling.review.errors import (
    ConflictError,
    JudgementError,
    NotAssignedError,
    PhaseError,
    ReviewError,
    SeenFutureError,
)
from coc_labeling.review.judgements import Edit, HistoryAnswer, Judgement, Reason, Verdict, sentence_mismatches
from coc_labeling.review.phases import HistoryDone, Judged, Opened, Phase, Undone, state_of
from coc_labeling.review.store import ReviewStore, Role
from coc_labeling.schema import Side

REJECT = Judgement(verdict=Verdict.REJECT, reason=Reason.WRONG_DIRECTION, note="it goes right")
# Takes step after step and says what was acknowledged.
WORKER = """
import sys
from builders.reviews import ACCEPT, answer_for
from coc_labeling.review.batches.queue import next_task
from coc_labeling.review.store import ReviewStore
store, reviewer = ReviewStore.of_run(sys.argv[1]), sys.argv[2]
while (task := next_task(store, reviewer)) is not None:
    revision = store.view(task, reviewer).state.revision
    steps = [
        lambda: store.open(task, reviewer, 0),
        lambda: store.finish_history(task, reviewer, 1, answer_for(store, task, reviewer)),
        lambda: store.judge(task, reviewer, 2, ACCEPT),
    ]
    for step in steps[revision:]:
        print(task, step(), flush=True)
"""
# Judges one task again and again, each time on top of what it has just seen.
RIVAL = """
import sys
from coc_labeling.review.errors import ConflictError
from coc_labeling.review.judgements import Judgement
from coc_labeling.review.store import ReviewStore
store, name, wanted = ReviewStore.of_run(sys.argv[1]), sys.argv[2], int(sys.argv[3])
revision = store.view(1, "ann").state.revision
print("ready", flush=True)
sys.stdin.readline()
while wanted:
    try:
        print(store.judge(1, "ann", revision, Judgement(verdict="unsure", note=f"{name} on {revision}")), flush=True)
        wanted -= 1
    except ConflictError:
        print("conflict", flush=True)
    revision = store.view(1, "ann").state.revision
"""


@pytest.fixture
def store(tmp_path):
    store = filled(str(tmp_path))
    yield store
    store.close()


def columns_follow_from_events(store: ReviewStore) -> None:
    for row in store.database.rows("SELECT id, phase, revision, verdict FROM tasks"):
        state = state_of(event.step for event in store.history(row["id"]))
        assert (state.phase, state.revision, state.verdict) == tuple(row)[1:]


def started(code: str, *arguments: object) -> subprocess.Popen:
    path = os.pathsep.join([*sys.path, str(Path(__file__).parents[2])])
    command = [sys.executable, "-c", code, *map(str, arguments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path}, **pipes)


def test_a_label_is_reviewed_changed_and_undone(store):
    revision = review(store, 1, "ann")
    revision = store.judge(1, "ann", revision, REJECT)
    assert store.view(1, "ann").state.judgement == REJECT
    revision = store.undo(1, "ann", revision)
    assert store.view(1, "ann").state.judgement == ACCEPT
    revision = store.undo(1, "ann", revision)
    state = store.view(1, "ann").state
    assert (state.phase, state.judgement, state.history is None) == (Phase.FUTURE, None, False)
    with pytest.raises(PhaseError, match=r"task 1 \(clip .* cannot undo"):
        store.undo(1, "ann", revision)
    events = store.history(1)
    kinds = [Opened, HistoryDone, Judged, Judged, Undone, Undone]
    assert [type(event.step) for event in events] == kinds
    assert [event.revision for event in events] == [1, 2, 3, 4, 5, 6]
    assert {event.actor for event in events} == {"ann"}
    columns_follow_from_events(store)


def test_nothing_of_the_future_is_shown_before_the_history_is_judged(store):
    task = page(store, Filters(decision="follow_lead")).tasks[0].task
    assert (store.view(task, "ann").components, store.view(task, "ann").label) == ((), None)
    store.open(task, "ann", 0)
    assert (store.view(task, "ann").components, store.view(task, "ann").label) == (follows().components, None)
    with pytest.raises(PhaseError, match="cannot judge it"):
        store.judge(task, "ann", 1, ACCEPT)
    store.finish_history(task, "ann", 1, HistoryAnswer(struck=("c1",)))
    assert store.view(task, "ann").label == follows()
    with pytest.raises(PhaseError):
        store.finish_history(task, "ann", 2, HistoryAnswer(confirmed=("c1",)))


def test_a_blank_list_shows_no_components(tmp_path):
    store = filled(str(tmp_path), settings=QueueSettings(second_share=0, audit_share=0, planted_share=0, blank_share=1))
    task = page(store, Filters(decision="follow_lead")).tasks[0].task
    store.open(task, "ann", 0)
    assert store.view(task, "ann").components == ()
    with pytest.raises(JudgementError, match="Shown: none; confirmed: c1"):
        store.finish_history(task, "ann", 1, HistoryAnswer(confirmed=("c1",)))
    store.finish_history(task, "ann", 1, HistoryAnswer(added=follows().components))


def test_who_has_seen_the_future_of_an_overlapping_window_skips_phase_one(tmp_path):
    store = filled(str(tmp_path), per_clip=20, count=20)
    by_time = {one.t_us: one.task for one in page(store, Filters()).tasks}
    early, late = by_time[5_000_000], by_time[8_000_000]
    store.open(late, "ann", 0)
    assert not store.view(early, "ann").history_open  # the history of the later one shows what came after the early
    store.finish_history(late, "ann", 1, answer_for(store, late, "ann"))
    between = by_time[9_000_000]
    with pytest.raises(SeenFutureError, match="in the window at 8 s"):
        store.open(between, "ann", 0)
    store.skip_history(between, "ann", 0)
    with pytest.raises(PhaseError, match="has seen nothing"):
        store.skip_history(by_time[24_000_000], "ann", 0)
    assert not store.view(by_time[15_000_000], "ann").history_open
    assert store.view(by_time[17_000_000], "ann").history_open


def test_phase_one_is_refused_when_the_future_was_seen_meanwhile(tmp_path):
    store = filled(str(tmp_path), per_clip=20, count=20)
    by_time = {one.t_us: one.task for one in page(store, Filters()).tasks}
    one, other = by_time[5_000_000], by_time[7_000_000]
    store.open(one, "ann", 0)
    unlock(store, other, "ann")
    with pytest.raises(SeenFutureError):
        store.finish_history(one, "ann", 1, answer_for(store, one, "ann"))
    store.skip_history(one, "ann", 1)


def test_who_comes_second_is_told_and_loses_nothing(store):
    revision = unlock(store, 1, "ann")
    store.judge(1, "ann", revision, ACCEPT)
    with pytest.raises(ConflictError, match=r"last time by ann at .* \(revision 3, expected 2\)\. Nothing of this"):
        store.judge(1, "ann", revision, REJECT)
    assert store.view(1, "ann").state.judgement == ACCEPT


def test_tasks_belong_to_their_reviewer(store):
    store.add_person("bob", Role.REVIEWER)
    for task in (1, 999):
        with pytest.raises(NotAssignedError):
            store.open(task, "bob", 0)
    with pytest.raises(ReviewError, match="is known as reviewer"):
        store.add_person("bob", Role.ADMIN)
    with pytest.raises(ReviewError, match="expected up to 64 letters"):
        store.add_person("bob; --", Role.ADMIN)


def test_an_audit_waits_for_what_it_audits(tmp_path):
    settings = QueueSettings(second_share=0, audit_share=1, planted_share=0, blank_share=0)
    store = filled(str(tmp_path), count=4, settings=settings)
    assert next_task(store, "aud") is None
    with pytest.raises(PhaseError, match="not made yet"):
        store.open(5, "aud", 0)
    review(store, 1, "ann")
    task = next_task(store, "aud")
    assert task is not None
    review(store, task, "aud")


def test_generated_labels_and_events_never_change(store):
    review(store, 1, "ann")
    for statement in (
        "UPDATE events SET content = '{}'",
        "DELETE FROM events",
        "UPDATE labels SET label = '{}'",
        "DELETE FROM labels",
        "UPDATE tasks SET reviewer = 'aud'",
        "UPDATE tasks SET inclusion_probability = 1",
        "DELETE FROM sightings",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="are never"), store.database.writing() as connection:
            connection.execute(statement)


def test_edits_are_checked_against_schema_label_and_sentence(store):
    left = turns()
    right = Edit(lateral=left.lateral.model_copy(update={"direction": Side.RIGHT}), sentence="Turn left.")
    edited = right.applied_to(left)
    assert "direction" in sentence_mismatches(edited)[0]
    with pytest.raises(JudgementError, match="nothing is changed"):
        Edit(lateral=left.lateral, sentence="Turn left.").applied_to(left)
    with pytest.raises(JudgementError, match="no components"):
        Edit(longitudinal=follows().longitudinal, sentence="Stop.").applied_to(left)
    with pytest.raises(ValueError, match="breaks a rule of quality"):
        Judgement(verdict="accept", checklist={"no_leakage": "no"})
    with pytest.raises(ValueError, match="needs a note"):
        Judgement(verdict="reject", reason="other")
    task = page(store, Filters(decision="turn")).tasks[0].task
    review(store, task, "ann", Judgement(verdict="edit", edit=right))
    assert store.view(task, "ann").state.judgement.result(left) == edited
    assert store.label(task) == left


def test_what_was_acknowledged_survives_kills(tmp_path):
    filled(str(tmp_path), count=2000).close()
    acknowledged: dict[int, int] = {}
    chance = random.Random(0)
    for _ in range(4):
        process = started(WORKER, tmp_path, "ann")
        lines = [process.stdout.readline()]
        time.sleep(chance.uniform(0.0, 0.15))
        process.kill()
        lines += process.stdout.readlines()
        process.wait()
        acknowledged |= dict(tuple(map(int, line.split())) for line in lines if line.endswith("\n"))
        store = ReviewStore.of_run(str(tmp_path))
        assert store.database.rows("PRAGMA integrity_check")[0][0] == "ok"
        for task, revision in acknowledged.items():
            assert store.view(task, "ann").state.revision >= revision
        assert sum(row[0] for row in store.database.rows("SELECT revision FROM tasks")) >= sum(acknowledged.values())
        store.close()
    assert len(acknowledged) > 4
    store = ReviewStore.of_run(str(tmp_path))
    columns_follow_from_events(store)
    store.close()


def test_processes_and_threads_write_at_once(tmp_path):
    store = filled(str(tmp_path), count=60, people="ann bob cat")
    process = started(WORKER, tmp_path, "ann")
    errors: list[Exception] = []

    def work(reviewer: str) -> None:
        try:
            while (task := next_task(store, reviewer)) is not None:
                review(store, task, reviewer, UNSURE)
        except ReviewError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("bob", "cat")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert process.wait() == 0
    assert not errors
    assert len(page(store, Filters(phase=Phase.DONE), limit=100).tasks) == 60
    columns_follow_from_events(store)


def test_of_many_who_judge_one_task_at_once_one_wins(store):
    revision = unlock(store, 1, "ann")
    outcomes: list[str] = []
    start = threading.Barrier(8)

    def judge(number: int) -> None:
        start.wait()
        try:
            store.judge(1, "ann", revision, Judgement(verdict="unsure", note=str(number)))
            outcomes.append(str(number))
        except ConflictError:
            outcomes.append("conflict")

    threads = [threading.Thread(target=judge, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("conflict") == 7
    assert store.view(1, "ann").state.judgement.note in outcomes


def test_two_processes_that_judge_one_task_lose_nothing(store, tmp_path):
    unlock(store, 1, "ann")
    rivals = [started(RIVAL, tmp_path, name, 40) for name in ("one", "other")]
    for rival in rivals:
        assert rival.stdout.readline() == "ready\n"
    for rival in rivals:
        rival.stdin.write("go\n")
        rival.stdin.flush()
    lines = [rival.communicate()[0].split() for rival in rivals]
    assert [rival.returncode for rival in rivals] == [0, 0]
    stored = [[int(line) for line in own if line != "conflict"] for own in lines]
    assert sorted(stored[0] + stored[1]) == list(range(3, 83))
    assert sum(line == "conflict" for own in lines for line in own) > 0
    notes = [event.step.judgement.note for event in store.history(1)[2:]]
    assert notes == [f"{'one' if revision in stored[0] else 'other'} on {revision - 1}" for revision in range(3, 83)]
    columns_follow_from_events(store)


def test_a_file_is_created_by_many_at_once(tmp_path):
    errors: list[Exception] = []

    def create() -> None:
        try:
            Database(str(tmp_path / "reviews.sqlite")).close()
        except ReviewError as error:
            errors.append(error)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def test_other_files_are_refused(tmp_path):
    path = reviews_path(str(tmp_path))
    Path(path).write_bytes(b"no database " * 100)
    with pytest.raises(ReviewError, match="expected a file of reviews"):
        Database(path)
    with pytest.raises(ReviewError, match="Put a backup in its place"):
        Database(path)
    for statement, message in (("CREATE TABLE t (x)", "another SQLite"), ("PRAGMA user_version=7", "version 7")):
        Path(path).unlink()
        if "version" in message:
            Database(path).close()
        connection = sqlite3.connect(path)
        connection.execute(statement)
        connection.close()
        with pytest.raises(ReviewError, match=message):
            Database(path)


def test_a_backup_holds_what_was_done_and_can_be_worked_on(store, tmp_path):
    review(store, 1, "ann")
    target = tmp_path / "away" / "copy" / "reviews.sqlite"
    assert backup(str(tmp_path), str(target)) == 3
    review(store, 2, "ann")
    assert [path.name for path in target.parent.iterdir()] == ["reviews.sqlite"]
    with pytest.raises(ReviewError, match="there already"):
        backup(str(tmp_path), str(target))
    with pytest.raises(ReviewError, match="nothing to back up"):
        backup(str(tmp_path / "away"), str(tmp_path / "x"))
    copy = ReviewStore.of_run(str(target.parent))
    assert copy.view(1, "ann").state.judgement == ACCEPT
    assert copy.view(2, "ann").state.revision == 0
    review(copy, 2, "ann")
    copy.close()
