from dataclasses import replace

import pytest

from builders.review_web import Served
from builders.reviews import ACCEPT, PLAIN, filled, review, turns, unlock
from coc_labeling.review.batches.intake import LabelRow, add_labels
from coc_labeling.review.batches.queue import enlarge, next_task
from coc_labeling.review.batches.reassigning import reassign
from coc_labeling.review.judgements import Answer, Edit, Judgement, QaItem, Verdict
from coc_labeling.schema import Lateral, LateralDecision

TURN_RIGHT = Judgement(
    verdict=Verdict.EDIT,
    note="It goes right,\nnot left.",
    checklist={QaItem.MINIMALITY: Answer.NO},
    edit=Edit(
        lateral=Lateral(decision=LateralDecision.TURN, direction="right", cause_ids=("unobserved",)),
        sentence="Turn left now.",
    ),
)


def turning(served, name="ann"):
    """A task of a label that turns left."""
    task = next_task(served.store, name)
    while served.store.label(task).lateral is None:
        review(served.store, task, name)
        task = next_task(served.store, name)
    return task


def test_all_that_was_done_is_told_in_order(served):
    task = turning(served)
    revision = review(served.store, task, "ann", TURN_RIGHT)
    revision = served.store.undo(task, "ann", revision)
    served.store.judge(task, "ann", revision, ACCEPT)
    said = served.person("ann").page(f"/tasks/{task}/events").said
    places = [
        said.index(words)
        for words in (
            "opened the task",
            "judged the components of the history",
            "judged the label",
            "took back the last judgement",
        )
    ]
    assert places == sorted(places)
    assert said.count("judged the label") == 2
    assert "UTC" in said
    assert "It goes right, not left." in said
    assert "minimality: no" in said


def test_an_edit_is_shown_before_and_after(served):
    task = turning(served)
    review(served.store, task, "ann", TURN_RIGHT)
    seen = served.person("ann").page(f"/tasks/{task}/events")
    assert "<del>turn left, cause: unobserved</del>" in seen.html
    assert "<ins>turn right, cause: unobserved</ins>" in seen.html
    assert "<ins>Turn left now.</ins>" in seen.html
    assert "sentence and structure differ" in seen.said


@pytest.mark.parametrize("unlocked", [False, True])
def test_a_reviewer_waits_for_their_own_judgement(served, unlocked):
    task = next_task(served.store, "ann")
    if unlocked:
        unlock(served.store, task, "ann")
    answer = served.person("ann").get(f"/tasks/{task}/events")
    assert (answer.status_code, "once it is judged" in answer.text) == (403, True)
    assert served.store.label(task).effect_on_ego_behavior not in answer.text


def test_reviewers_see_nothing_of_others(served):
    task = next_task(served.store, "ann")
    review(served.store, task, "ann")
    assert served.person("bob").get(f"/tasks/{task}/events").status_code == 404
    assert served.person("aud").get(f"/tasks/{task}/events").status_code == 200
    assert served.person("dora").get(f"/tasks/{task}/events").status_code == 200


@pytest.mark.parametrize("who", ["ann", "aud", "dora"])
def test_tasks_that_there_are_not(served, who):
    for task in (0, 999, 10**30):
        assert served.person(who).get(f"/tasks/{task}/events").status_code == 404


def test_an_auditor_learns_nothing_before_their_audit(tmp_path):
    store = filled(str(tmp_path), 4, replace(PLAIN, audit_share=1.0), per_clip=2)
    with Served(store, str(tmp_path)) as served:
        task = next_task(store, "ann")
        review(store, task, "ann")
        aud = served.person("aud")
        assert aud.get(f"/tasks/{task}/events").status_code == 403
        while (own := next_task(store, "aud")) is not None or next_task(store, "ann") is not None:
            review(store, own or next_task(store, "ann"), "aud" if own else "ann")
        assert "who changed what" in aud.page(f"/tasks/{task}/events").said


def test_the_admin_sees_why_a_task_is_there_and_whom_it_was_given(served):
    task = next_task(served.store, "ann")
    batch = served.store.view(task, "ann").batch
    reassign(served.store, batch, "bob", "dora")
    review(served.store, task, "bob")
    said = served.person("dora").page(f"/tasks/{task}/events").said
    assert "dora gave the task of ann to bob" in said
    assert "first, " in said
    own = served.person("bob").page(f"/tasks/{task}/events").said
    assert "gave the task" not in own
    assert "first, " not in own
    assert "Open the label" in own


def test_who_made_a_label_is_not_told_to_reviewers(served):
    """Planted labels have no maker: its absence would tell them."""
    task = next_task(served.store, "ann")
    review(served.store, task, "ann")
    assert "Labelled by" not in served.person("ann").page(f"/tasks/{task}/events").said
    assert "Labelled by" in served.person("aud").page(f"/tasks/{task}/events").said


def test_an_auditor_who_has_looked_does_no_phase_one_of_what_overlaps(tmp_path):
    """What others said of a window tells what came after its keyframe."""
    store = filled(str(tmp_path), 2)
    task = next_task(store, "ann")
    with Served(store, str(tmp_path)) as served:
        looked_at = store.view(task, "ann")
        review(store, task, "ann")
        for _ in range(2):
            served.person("aud").page(f"/tasks/{task}/events")
            served.person("dora").page(f"/tasks/{task}/events")
        rows = store.database.rows("SELECT * FROM sightings WHERE reviewer <> 'ann'")
        assert [tuple(row) for row in rows] == [("aud", looked_at.clip_id, looked_at.t_us, 1)]
        add_labels(store, [LabelRow(looked_at.clip_id, looked_at.t_us + 3_000_000, turns())])
        enlarge(store, replace(PLAIN, audit_share=1.0))
        review(store, next_task(store, "ann", task + 1), "ann")
        audit = next_task(store, "aud")
        assert not store.view(audit, "aud").history_open
