import json
from dataclasses import fields

import pytest

from builders.reviews import ACCEPT, PLAIN, UNSURE, filled, follows, review, rows, unlock
from coc_labeling.review.batches.intake import LabelRow, add_labels
from coc_labeling.review.batches.planning import Kind, QueueSettings
from coc_labeling.review.batches.queue import Filters, next_task, page
from coc_labeling.review.judgements import Edit, Judgement, Reason, Verdict
from coc_labeling.review.results.outcomes import outcomes
from coc_labeling.review.results.statistics import Overview, overview
from coc_labeling.review.store import Role
from coc_labeling.schema import Longitudinal

REJECT = Judgement(verdict=Verdict.REJECT, reason=Reason.OTHER, note="<script>alert(1)</script>")
EMPTY = Judgement(verdict=Verdict.REJECT, reason=Reason.EMPTY)
STOPS = Judgement(
    verdict=Verdict.EDIT,
    edit=Edit(longitudinal=Longitudinal(decision="stop", cause_ids=("unobserved",)), sentence="Stop."),
)
TURNS = (ACCEPT, STOPS, ACCEPT, REJECT, UNSURE, EMPTY)
TEAM = QueueSettings(batch_size=4, second_share=0.5, audit_share=0.5, planted_share=0.5, blank_share=0.3)


def adds_up(store, found: Overview) -> None:
    totals = found.totals
    assert totals.reviewed == sum(totals.verdicts.values()) == len(list(outcomes(store)))
    assert sum(totals.reasons.values()) == totals.verdicts[Verdict.REJECT]
    for verdict in Verdict:
        assert sum(counts[verdict] for counts in totals.by_check.values()) == totals.verdicts[verdict]
    assert totals.reviewed <= totals.labels
    assert totals.disputed <= totals.repeated <= totals.reviewed
    for one in found.reviewers:
        planted = one.planted
        known = (planted.good_accepted.n, planted.good_unsure, planted.bad_found.n, planted.bad_unsure)
        assert sum(one.verdicts.values()) + sum(known) == one.done <= one.tasks
        assert sum(one.reasons.values()) == one.verdicts[Verdict.REJECT]
        assert sum(one.all_verdicts.values()) == one.done
        assert all(one.all_verdicts[verdict] >= one.verdicts[verdict] for verdict in Verdict)
        assert (one.median_sec is None) == (one.done == 0)
    second = sum(one.second.verdict.kappa.n for one in found.reviewers)
    assert second == 2 * found.second.verdict.kappa.n
    audits = sum(one.audit.verdict.kappa.n for one in found.reviewers)
    assert audits == 2 * found.audit.verdict.kappa.n
    shown = sum(one.history.confirmed for one in found.reviewers)
    assert totals.history.confirmed <= shown


@pytest.fixture
def store(tmp_path):
    store = filled(str(tmp_path), count=6)
    yield store
    store.close()


def test_nothing_is_known_before_anybody_has_begun(store):
    store.add_person("boss", Role.ADMIN)
    found = overview(store)
    assert (found.totals.labels, found.totals.reviewed, found.totals.by_check) == (6, 0, {})
    assert [(one.name, one.tasks, one.done, one.median_sec) for one in found.reviewers] == [
        ("ann", 6, 0, None),
        ("aud", 0, 0, None),
    ]
    assert found.second.verdict.kappa.reason == "no pairs"
    adds_up(store, found)


def test_verdicts_reasons_and_checks_are_counted(store):
    for one, judgement in zip(page(store, Filters()).tasks, TURNS, strict=True):
        review(store, one.task, "ann", judgement)
    found = overview(store)
    assert found.totals.verdicts == {Verdict.ACCEPT: 2, Verdict.EDIT: 1, Verdict.REJECT: 2, Verdict.UNSURE: 1}
    assert found.totals.reasons[Reason.OTHER] == found.totals.reasons[Reason.EMPTY] == 1
    assert set(found.totals.by_check) == {"low", "medium", "high"}
    ann = found.reviewers[0]
    assert (ann.verdicts, ann.reasons) == (found.totals.verdicts, found.totals.reasons)
    assert ann.median_sec < 5
    assert ann.history.confirmed == 4
    adds_up(store, found)


def test_whatever_a_team_does_adds_up(tmp_path):
    store = filled(str(tmp_path), count=36, settings=TEAM, people="ann bob cat")
    number = 0
    for person in ("ann", "bob", "cat", "aud"):
        for _ in range(20):
            task = next_task(store, person)
            if task is not None:
                review(store, task, person, TURNS[number % 6])
                number += 1
    revision = store.view(1, page(store, Filters()).tasks[0].reviewer).state.revision
    store.undo(1, page(store, Filters()).tasks[0].reviewer, revision)
    found = overview(store)
    adds_up(store, found)
    assert found.second.verdict.kappa.n > 0
    assert found.audit.verdict.kappa.n > 0
    assert sum(one.planted.good_accepted.n + one.planted.bad_found.n for one in found.reviewers) > 0
    assert found.totals.history.blank_lists > 0
    store.close()


def test_a_judgement_taken_back_leaves_the_numbers_as_they_were(store):
    review(store, 1, "ann")
    found = overview(store)
    revision = store.view(1, "ann").state.revision
    store.judge(1, "ann", revision, EMPTY)
    assert overview(store).totals.verdicts[Verdict.REJECT] == 1
    store.undo(1, "ann", revision + 1)
    again = overview(store)
    assert again.totals == found.totals
    assert all(getattr(again, one.name) == getattr(found, one.name) for one in fields(again) if one.name != "reviewers")


def test_an_audit_has_the_final_word_in_the_totals(tmp_path):
    everything = QueueSettings(batch_size=12, second_share=0, audit_share=1, planted_share=0, blank_share=0)
    store = filled(str(tmp_path), count=6, settings=everything)
    for person, judgement in (("ann", ACCEPT), ("aud", EMPTY)):
        while (task := next_task(store, person)) is not None:
            review(store, task, person, judgement)
    found = overview(store)
    assert found.totals.verdicts[Verdict.REJECT] == found.totals.reasons[Reason.EMPTY] == 6
    assert (found.totals.repeated, found.totals.disputed) == (6, 0)
    assert [one.verdicts[Verdict.ACCEPT] for one in found.reviewers] == [6, 0]
    assert found.audit.verdict.confusion.sum() == 6
    adds_up(store, found)
    store.close()


def test_a_label_that_has_changed_counts_once_and_as_not_reviewed(store):
    review(store, 1, "ann")
    task = page(store, Filters()).tasks[0]
    assert overview(store).totals.reviewed == 1
    add_labels(store, [LabelRow(task.clip_id, task.t_us, follows("Follow <b>the lead</b>."))])
    found = overview(store)
    assert (found.totals.labels, found.totals.reviewed) == (6, 0)
    assert found.reviewers[0].verdicts[Verdict.ACCEPT] == 1  # it was work all the same


def test_time_runs_from_the_opening_to_the_first_judgement(store):
    for number, task in enumerate((1, 2, 3)):
        owner = "ann"
        revision = unlock(store, task, owner)
        for judgement in (ACCEPT, UNSURE)[: 1 + number % 2]:
            revision = store.judge(task, owner, revision, judgement)
    times = {1: (0, 10_000), 2: (5_000, 25_000), 3: (7_000, 67_000)}
    with store.database.writing() as connection:
        connection.execute("DROP TRIGGER events_stay_changed")
        for task, (opened, judged) in times.items():
            connection.execute("UPDATE events SET at_ms = ? WHERE task = ? AND revision <= 2", (opened, task))
            connection.execute("UPDATE events SET at_ms = ? WHERE task = ? AND revision = 3", (judged, task))
            connection.execute("UPDATE events SET at_ms = 9000000 WHERE task = ? AND revision > 3", (task,))
    assert overview(store).reviewers[0].median_sec == 20.0


def test_what_reviewers_write_breaks_nothing(tmp_path):
    store = filled(str(tmp_path), count=1, settings=PLAIN)
    odd = "\U0001f697 '); DROP TABLE tasks;-- \u202e %s {0} <img src=x>"
    review(store, 1, "ann", Judgement(verdict=Verdict.REJECT, reason=Reason.OTHER, note=odd))
    add_labels(store, [LabelRow(f"clip{odd}", 5, follows(odd), odd, 0.5, odd)])
    found = overview(store)
    assert (found.totals.labels, found.totals.reviewed) == (2, 1)
    assert json.dumps(dict.fromkeys(found.totals.by_check, 1))
    store.close()


def test_planted_labels_are_no_part_of_the_run(tmp_path):
    settings = QueueSettings(batch_size=10, second_share=0, audit_share=0, planted_share=0.5, blank_share=0)
    store = filled(str(tmp_path), count=10, settings=settings)
    for one in page(store, Filters()).tasks:
        if one.kind in (Kind.PLANTED_GOOD, Kind.PLANTED_BAD):
            review(store, one.task, "ann", EMPTY)
    found = overview(store)
    ann = found.reviewers[0]
    assert ann.done == 5
    assert (sum(ann.verdicts.values()), found.totals.reviewed, found.totals.labels) == (0, 0, len(list(rows(10))))
    adds_up(store, found)
    store.close()
