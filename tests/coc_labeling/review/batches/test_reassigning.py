import sqlite3
import threading

import pytest

from builders.reviews import answer_for, filled, follows, review, turns, unlock
from coc_labeling.planting import Known
from coc_labeling.review.batches.intake import KnownLabel, LabelRow, add_labels, add_planted
from coc_labeling.review.batches.planning import Kind, QueueSettings
from coc_labeling.review.batches.queue import Filters, enlarge, next_task, page, progress_by_batch
from coc_labeling.review.batches.reassigning import LeftBehind, assignments, left_behind, reassign
from coc_labeling.review.errors import NotAssignedError, ReviewError
from coc_labeling.review.phases import Phase
from coc_labeling.review.store import ReviewStore, Role


def tasks_of(store, reviewer, **filters):
    return [one.task for one in page(store, Filters(reviewer=reviewer, **filters), limit=500).tasks]


@pytest.fixture
def store(tmp_path):
    store = filled(str(tmp_path), people="ann bob")
    store.add_person("adm", Role.ADMIN)
    yield store
    store.close()


def test_what_nobody_has_begun_changes_hands(store):
    first, second, third = tasks_of(store, "ann")[:3]
    review(store, first, "ann")
    store.open(second, "ann", 0)
    before = page(store, Filters(), limit=100).tasks
    assert reassign(store, 1, "bob", "adm") == 8
    assert tasks_of(store, "ann") == [first, second]
    assert len(tasks_of(store, "bob")) == 18
    assert left_behind(store, 1, "bob") == LeftBehind(begun=2, known=0)
    assert reassign(store, 1, "bob", "adm") == 0
    with pytest.raises(NotAssignedError):
        store.open(third, "ann", 0)
    assert review(store, third, "bob") == 3
    assert store.finish_history(second, "ann", 1, answer_for(store, second, "ann")) == 2
    (given,) = assignments(store, third)
    assert (given.actor, given.was, given.reviewer) == ("adm", "ann", "bob")
    assert assignments(store, first) == []
    progress = progress_by_batch(store, (1, 2), "bob")
    assert {batch: one.total for batch, one in progress.items()} == {1: 8, 2: 10}
    drawn = [(one.task, one.stratum, one.inclusion_probability) for one in before]
    assert [(o.task, o.stratum, o.inclusion_probability) for o in page(store, Filters(), limit=100).tasks] == drawn


def test_a_batch_may_come_back_and_all_of_it_is_kept(store):
    task = tasks_of(store, "ann")[0]
    assert reassign(store, 1, "bob", "adm") == 10
    assert reassign(store, 1, "ann", "bob") == 10
    assert [(one.actor, one.was, one.reviewer) for one in assignments(store, task)] == [
        ("adm", "ann", "bob"),
        ("bob", "bob", "ann"),
    ]
    assert next_task(store, "ann") == task


def test_only_known_people_of_the_right_role_get_batches(store):
    for reviewer, by, message in (
        ("aud", "adm", "expected a person with the role reviewer, aud is auditor"),
        ("adm", "adm", "adm is admin"),
        ("nobody", "adm", "'nobody': nobody of this name"),
        ("bob", "nobody", "'nobody': nobody of this name"),
    ):
        with pytest.raises(ReviewError, match=message):
            reassign(store, 1, reviewer, by)
    with pytest.raises(ReviewError, match="batch 99: no batch"):
        reassign(store, 99, "bob", "adm")
    assert not store.database.rows("SELECT * FROM assignments")


def test_the_file_refuses_to_move_tasks_otherwise(store):
    task = tasks_of(store, "ann")[0]
    reassign(store, 2, "ann", "adm")
    reassign(store, 1, "bob", "adm")
    review(store, task, "bob")
    for statement in (
        "UPDATE tasks SET reviewer = 'ann' WHERE id = 2",
        f"UPDATE tasks SET reviewer = 'bob' WHERE id = {task}",
        "UPDATE batches SET reviewer = 'bob'",
        "UPDATE assignments SET actor = 'ann'",
        "DELETE FROM assignments",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="are never"), store.database.writing() as connection:
            connection.execute(statement)


def test_nobody_gets_a_second_review_of_their_own_label(tmp_path):
    settings = QueueSettings(batch_size=5, second_share=0.5, audit_share=0.3, planted_share=0, blank_share=0)
    store = filled(str(tmp_path), count=20, settings=settings, people="ann bob cat")
    store.add_person("eve", Role.AUDITOR)
    batches = {one.batch: one for one in page(store, Filters(), limit=500).tasks}
    moved = 0
    for batch, one in batches.items():
        receiver = "eve" if one.kind is Kind.AUDIT else "bob"
        left = left_behind(store, batch, receiver)
        total = sum(own.batch == batch for own in page(store, Filters(), limit=500).tasks if own.reviewer != receiver)
        given = reassign(store, batch, receiver, "ann")
        assert given + left.known + left.begun == total
        moved += given
    assert moved > 15
    twice = "SELECT reviewer, label FROM tasks GROUP BY reviewer, label HAVING count(*) > 1"
    assert not store.database.rows(twice)
    assert tasks_of(store, "eve")
    assert tasks_of(store, "aud") == []


def test_planted_labels_stay_away_from_who_knows_their_moment(tmp_path):
    store = ReviewStore.of_run(str(tmp_path))
    for name in ("ann", "bob"):
        store.add_person(name, Role.REVIEWER)
    add_labels(store, [LabelRow(f"clip{n}", 5_000_000, follows()) for n in range(4)])
    known = Known(stands=False, has_lead=False)
    add_planted(store, [KnownLabel(f"clip{n}", 9_000_000, turns(), known) for n in range(4)])
    enlarge(store, QueueSettings(batch_size=2, second_share=0, audit_share=0, planted_share=1, blank_share=0))
    planted = page(store, Filters(kind=Kind.PLANTED_GOOD)).tasks + page(store, Filters(kind=Kind.PLANTED_BAD)).tasks
    assert len(planted) == 4
    assert left_behind(store, 1, "bob") == LeftBehind(begun=0, known=4)
    assert reassign(store, 1, "bob", "bob") == 0
    store.close()


def test_who_opens_while_the_batch_moves_keeps_the_task_or_is_told(store):
    task = tasks_of(store, "ann")[0]
    opened = []
    start = threading.Barrier(2)

    def begin():
        start.wait()
        try:
            opened.append(unlock(store, task, "ann"))
        except NotAssignedError:
            opened.append(None)

    thread = threading.Thread(target=begin)
    thread.start()
    start.wait()
    moved = reassign(store, 1, "bob", "adm")
    thread.join()
    owner = page(store, Filters(batch=1), limit=1).tasks[0]
    assert owner.task == task
    assert (moved, owner.reviewer, owner.phase is Phase.WAITING) in {(9, "ann", False), (10, "bob", True)}
    assert (opened == [None]) == (moved == 10)


def test_an_auditor_gets_no_audit_of_what_they_have_looked_at(tmp_path):
    store = filled(str(tmp_path), 4, QueueSettings(batch_size=4, second_share=0, audit_share=1, planted_share=0))
    store.add_person("eve", Role.AUDITOR)
    (batch,) = {one.batch for one in page(store, Filters(kind=Kind.AUDIT)).tasks}
    store.note_look(tasks_of(store, "ann")[0], "eve")
    assert left_behind(store, batch, "eve") == LeftBehind(begun=0, known=1)
    assert reassign(store, batch, "eve", "ann") == 3
    store.close()
