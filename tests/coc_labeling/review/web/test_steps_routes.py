import threading
import time
from dataclasses import replace

import pytest

from builders.review_web import Served
from builders.reviews import PLAIN, answer_for, filled, review, unlock
from coc_labeling.review.batches.queue import next_task
from coc_labeling.review.errors import NotAssignedError
from coc_labeling.review.judgements import Verdict
from coc_labeling.review.phases import Phase
from coc_labeling.schema import CoCLabel

ACCEPT = {"verdict": "accept"}


def step_of(served, task, name="ann"):
    """The JSON of phase one of a task, confirming all that is shown."""
    state = served.store.view(task, name).state
    return {"revision": state.revision, "answer": answer_for(served.store, task, name).model_dump(mode="json")}


def first_of(served, name):
    task = next_task(served.store, name)
    assert task is not None
    return task


def test_a_task_is_opened_judged_twice_and_the_next_one_is_open(served):
    ann, task = served.person("ann"), first_of(served, "ann")
    answer = ann.submit(f"/tasks/{task}/open")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/tasks/{task}")
    answer = ann.post(f"/api/tasks/{task}/history", step_of(served, task))
    assert (answer.status_code, answer.json()) == (200, {"revision": 2, "url": f"/tasks/{task}"})
    answer = ann.post(f"/api/tasks/{task}/judgement", {"revision": 2, "judgement": ACCEPT})
    following = next_task(served.store, "ann", task)
    assert (answer.status_code, answer.json()) == (200, {"revision": 3, "url": f"/tasks/{following}"})
    assert served.store.view(task, "ann").state.verdict is Verdict.ACCEPT
    assert served.store.view(following, "ann").state.phase is Phase.HISTORY


def test_what_comes_next_is_made_before_it_is_asked_for_but_no_future_of_the_one_after_it(served):
    ann, task = served.person("ann"), first_of(served, "ann")
    revision = unlock(served.store, task, "ann")
    ann.post(f"/api/tasks/{task}/judgement", {"revision": revision, "judgement": ACCEPT})
    following = next_task(served.store, "ann", task)
    later = next_task(served.store, "ann", following)
    window, after = served.store.view(following, "ann"), served.store.view(later, "ann")
    assert served.material.warmed == [
        (window.clip_id, window.t_us, False),
        (window.clip_id, window.t_us, True),
        (after.clip_id, after.t_us, False),
    ]
    assert after.state.phase is Phase.WAITING


def test_opening_again_changes_nothing(served):
    ann, task = served.person("ann"), first_of(served, "ann")
    assert [ann.submit(f"/tasks/{task}/open").status_code for _ in range(3)] == [303] * 3
    review(served.store, task, "ann")
    assert ann.submit(f"/tasks/{task}/open").headers["location"] == f"/tasks/{task}"
    assert len(served.store.history(task)) == 3


def test_who_has_seen_the_future_skips_phase_one(tmp_path):
    store = filled(str(tmp_path), 4, per_clip=4)
    with Served(store, str(tmp_path)) as served:
        ann, task = served.person("ann"), first_of(served, "ann")
        review(store, task, "ann")
        following = first_of(served, "ann")
        assert not store.view(following, "ann").history_open
        assert ann.submit(f"/tasks/{following}/open").status_code == 303
        assert store.view(following, "ann").state.phase is Phase.FUTURE
        last = ann.post(f"/api/tasks/{following}/judgement", {"revision": 1, "judgement": ACCEPT}).json()["url"]
        assert store.view(int(last.rpartition("/")[2]), "ann").state.phase is Phase.FUTURE


def test_after_the_last_one_comes_the_queue(tmp_path):
    with Served(filled(str(tmp_path), 1), str(tmp_path)) as served:
        ann, task = served.person("ann"), 1
        revision = unlock(served.store, task, "ann")
        answer = ann.post(f"/api/tasks/{task}/judgement", {"revision": revision, "judgement": ACCEPT})
        assert answer.json() == {"revision": revision + 1, "url": "/"}
        assert ann.get(f"/tasks/{task}/next").headers["location"] == "/"


def test_undo_takes_back_the_judgement(served):
    ann, task = served.person("ann"), first_of(served, "ann")
    revision = review(served.store, task, "ann")
    answer = ann.post(f"/api/tasks/{task}/undo", {"revision": revision})
    assert (answer.status_code, answer.json()) == (200, {"revision": revision + 1, "url": f"/tasks/{task}"})
    assert served.store.view(task, "ann").state.phase is Phase.FUTURE
    assert ann.post(f"/api/tasks/{task}/undo", {"revision": revision + 1}).status_code == 422


def test_of_two_windows_of_a_browser_the_second_is_told_who_was_first(served):
    ann, task = served.person("ann"), first_of(served, "ann")
    revision = unlock(served.store, task, "ann")
    step = {"revision": revision, "judgement": ACCEPT}
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(served.person("ann").post(f"/api/tasks/{task}/judgement", step)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    told = next(answer.json()["error"] for answer in answers if answer.status_code == 409)
    assert "by ann at" in told
    assert ann.post(f"/api/tasks/{task}/undo", {"revision": revision}).status_code == 409


@pytest.mark.parametrize("who", ["bob", "aud", "dora"])
def test_the_tasks_of_others_are_not_there(served, who):
    other, task = served.person(who), first_of(served, "ann")
    revision = unlock(served.store, task, "ann")
    steps = {
        "history": {"revision": revision, "answer": {}},
        "judgement": {"revision": revision, "judgement": ACCEPT},
        "undo": {"revision": revision},
        "mismatches": {"edit": {"sentence": "Stop."}},
    }
    for name, step in steps.items():
        answer = other.post(f"/api/tasks/{task}/{name}", step)
        assert (answer.status_code, "label" in answer.text, who in answer.json()["error"]) == (404, False, True)
    for path in (f"/tasks/{task}/next", f"/tasks/{task}/previous", f"/tasks/{task}"):
        assert other.get(path).status_code == 404
    assert other.submit(f"/tasks/{task}/open").status_code == 404
    assert len(served.store.history(task)) == revision


def test_nothing_is_judged_before_its_phase(served):
    ann, task = served.person("ann"), first_of(served, "ann")
    assert ann.post(f"/api/tasks/{task}/judgement", {"revision": 0, "judgement": ACCEPT}).status_code == 422
    assert ann.post(f"/api/tasks/{task}/history", {"revision": 0, "answer": {}}).status_code == 422
    ann.submit(f"/tasks/{task}/open")
    answer = ann.post(f"/api/tasks/{task}/judgement", {"revision": 1, "judgement": ACCEPT})
    assert (answer.status_code, "phase history" in answer.json()["error"]) == (422, True)
    answer = ann.post(f"/api/tasks/{task}/mismatches", {"edit": {"sentence": "Stop."}})
    assert (answer.status_code, "Judge its history first" in answer.json()["error"]) == (422, True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "JSON"),
        ("[" * 100_000, "JSON"),
        ("{}", "revision"),
        ('{"revision": 2}', "judgement"),
        ('{"revision": "two", "judgement": {"verdict": "accept"}}', "revision"),
        ('{"revision": 2, "judgement": {"verdict": "love"}}', "judgement.verdict"),
        ('{"revision": 2, "judgement": {"verdict": "reject"}}', "a reason is given"),
        ('{"revision": 2, "judgement": {"verdict": "reject", "reason": "other"}}', "needs a note"),
        ('{"revision": 2, "judgement": {"verdict": "accept", "checklist": {"minimality": "no"}}}', "minimality"),
        ('{"revision": 2, "judgement": {"verdict": "accept"}, "actor": "bob"}', "actor"),
        ('{"revision": 2, "judgement": {"verdict": "edit", "edit": {"sentence": ""}}}', "sentence"),
        ('{"revision": 2, "judgement": {"verdict": "unsure", "note": "' + "x" * 2001 + '"}}', "note"),
    ],
)
def test_what_does_not_fit_is_said(served, content, said):
    ann, task = served.person("ann"), first_of(served, "ann")
    unlock(served.store, task, "ann")
    answer = ann.post(f"/api/tasks/{task}/judgement", content)
    assert (answer.status_code, said in answer.json()["error"]) == (422, True), answer.text
    assert len(answer.text) < 1000
    assert len(served.store.history(task)) == 2


def test_an_edit_that_is_none_is_refused(served):
    ann, task = served.person("ann"), first_of(served, "ann")
    revision = unlock(served.store, task, "ann")
    same = edit_of(served.store.view(task, "ann").label)
    answer = ann.post(
        f"/api/tasks/{task}/judgement", {"revision": revision, "judgement": {"verdict": "edit", "edit": same}}
    )
    assert (answer.status_code, "nothing is changed" in answer.json()["error"]) == (422, True)


def edit_of(label: CoCLabel, **changes):
    told = label.model_dump(mode="json")
    parts = {name: told[name] for name in ("longitudinal", "lateral", "components", "trace")}
    return {**parts, "sentence": label.effect_on_ego_behavior, **changes}


def with_lead(served):
    """A task of ann whose label follows the lead vehicle, unlocked."""
    task = first_of(served, "ann")
    while served.store.label(task).longitudinal is None:
        review(served.store, task, "ann")
        task = first_of(served, "ann")
    unlock(served.store, task, "ann")
    return task, served.store.label(task)


def test_an_edit_that_is_being_written_is_compared_with_its_sentence(served):
    ann = served.person("ann")
    task, label = with_lead(served)
    path = f"/api/tasks/{task}/mismatches"
    overtakes = {"decision": "overtake", "cause_ids": ["c1"]}
    found = ann.post(path, {"edit": edit_of(label, longitudinal=overtakes)}).json()
    assert (found["sentence"], found["error"]) == ("Accelerate to pass the lead vehicle.", None)
    assert ["follow_lead" in one for one in found["mismatches"]] == [True]
    found = ann.post(path, {"edit": edit_of(label, longitudinal=overtakes, sentence=found["sentence"])}).json()
    assert (found["mismatches"], found["error"]) == ([], None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "nothing is changed"),
        ({"sentence": "  "}, "sentence is empty"),
        ({"components": []}, "c1"),
    ],
)
def test_an_edit_that_is_not_valid_yet_says_why(served, changes, said):
    task, label = with_lead(served)
    answer = served.person("ann").post(f"/api/tasks/{task}/mismatches", {"edit": edit_of(label, **changes)})
    assert answer.status_code == 200
    assert said in answer.json()["error"]
    assert set(answer.json()) == {"sentence", "mismatches", "error"}


def test_without_a_decision_there_is_no_sentence(served):
    task, label = with_lead(served)
    edit = edit_of(label, longitudinal=None)
    assert served.person("ann").post(f"/api/tasks/{task}/mismatches", {"edit": edit}).json()["sentence"] == ""


def test_next_and_previous_lead_through_the_queue(served):
    ann = served.person("ann")
    tasks = []
    for _ in range(3):
        tasks.append(first_of(served, "ann"))
        review(served.store, tasks[-1], "ann")
    here = first_of(served, "ann")
    after = next_task(served.store, "ann", here)
    assert ann.get(f"/tasks/{here}/next").headers["location"] == f"/tasks/{after}"
    seen = []
    where = f"/tasks/{here}"
    while where != "/":
        where = ann.get(f"{where}/previous").headers["location"]
        seen.append(where)
    assert seen == [f"/tasks/{tasks[2]}", f"/tasks/{tasks[1]}", f"/tasks/{tasks[0]}", "/"]
    assert served.store.view(after, "ann").state.phase is Phase.WAITING


def test_an_audit_is_blind_and_comes_when_it_is_due(tmp_path):
    store = filled(str(tmp_path), 6, replace(PLAIN, audit_share=1.0))
    with Served(store, str(tmp_path)) as served:
        aud = served.person("aud")
        assert next_task(store, "aud") is None
        review(store, first_of(served, "ann"), "ann")
        task = first_of(served, "aud")
        assert aud.submit(f"/tasks/{task}/open").status_code == 303
        assert store.view(task, "aud").state.phase is Phase.HISTORY
        early = next(t for t in range(1, 13) if t != task and reviewer_of(store, t) == "aud")
        assert aud.submit(f"/tasks/{early}/open").status_code == 422


def reviewer_of(store, task):
    return store.database.rows("SELECT reviewer FROM tasks WHERE id = ?", (task,))[0]["reviewer"]


def test_a_judgement_that_is_stored_is_acknowledged_though_nothing_can_follow(served, monkeypatch):
    ann, task = served.person("ann"), first_of(served, "ann")
    revision = unlock(served.store, task, "ann")
    following = next_task(served.store, "ann", task)
    view = type(served.store).view

    def given_away(store, number, reviewer):
        if number == following:
            raise NotAssignedError(f"task {number}: no task of {reviewer}.")
        return view(store, number, reviewer)

    monkeypatch.setattr(type(served.store), "view", given_away)
    answer = ann.post(f"/api/tasks/{task}/judgement", {"revision": revision, "judgement": ACCEPT})
    assert (answer.status_code, answer.json()) == (200, {"revision": revision + 1, "url": "/"})


def test_who_clicks_twice_is_led_to_the_task_both_times(served, monkeypatch):
    ann, task = served.person("ann"), first_of(served, "ann")
    waiting = served.store.view(task, "ann")
    served.store.open(task, "ann", 0)
    views = iter([waiting])  # of the second request, which looked before the first one was done
    view = type(served.store).view
    monkeypatch.setattr(type(served.store), "view", lambda store, *of: next(views, None) or view(store, *of))
    answer = ann.submit(f"/tasks/{task}/open")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/tasks/{task}")


def test_a_label_of_many_components_can_be_answered(served):
    many = [f"c{number}" for number in range(1, 200)]
    answer = ann_says(served, confirmed=many)
    assert (answer.status_code, "each one shown" in answer.text) == (422, True)  # not: too many


def ann_says(served, **answer):
    ann, task = served.person("ann"), first_of(served, "ann")
    served.store.open(task, "ann", 0)
    return ann.post(f"/api/tasks/{task}/history", {"revision": 1, "answer": answer})


def test_a_page_of_an_earlier_session_gets_the_proof_of_the_one_now(served, monkeypatch):
    ann, task = served.person("ann"), first_of(served, "ann")
    revision = unlock(served.store, task, "ann")
    proof_of_the_page = ann.csrf
    monkeypatch.setattr(served.access, "_clock", lambda: time.time() + 60)
    ann.get(f"/?token={served.access.token('ann')}")  # in another tab
    step = {"revision": revision, "judgement": ACCEPT}
    assert ann.post(f"/api/tasks/{task}/judgement", step, csrf=proof_of_the_page).status_code == 403
    proof = ann.get("/api/proof").json()["csrf"]
    assert ann.post(f"/api/tasks/{task}/judgement", step, csrf=proof).status_code == 200
    assert served.stranger().get("/api/proof").status_code == 401
