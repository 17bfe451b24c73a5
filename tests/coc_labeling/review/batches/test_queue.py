import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.records import plain_record
from builders.reviews import PLAIN, filled, follows, review, rows, turns, unlock
from builders.runs import only_run
from coc_labeling.checks.results import CHECKS_TABLE, load_checks
from coc_labeling.checks.run import check_run
from coc_labeling.errors import CocLabelingError
from coc_labeling.planting import Known
from coc_labeling.records import to_yaml
from coc_labeling.results import ExperimentFolder
from coc_labeling.review.batches.intake import KnownLabel, LabelRow, add_labels, add_planted, add_run
from coc_labeling.review.batches.planning import Candidate, Given, Kind, Planted, QueueSettings, Stratum, Team, plan
from coc_labeling.review.batches.queue import (
    RELEASED_EXTENT,
    Filters,
    enlarge,
    next_task,
    page,
    page_of,
    progress_by_batch,
    progress_by_reviewer,
)
from coc_labeling.review.errors import ReviewError
from coc_labeling.review.judgements import Verdict
from coc_labeling.review.phases import Extent, Phase
from coc_labeling.review.store import ReviewStore, Role
from coc_labeling.schema import abstain, released_content

TEAM = Team(("ann", "bob", "cat"), ("aud",))


def candidates(number: int, per_clip: int = 1) -> list[Candidate]:
    return [
        Candidate(n, f"clip{n // per_clip}", n % per_clip * 1_000_000, f"hash{n}", (n * 7919 % 1000) / 1000)
        for n in range(number)
    ]


@given(st.integers(1, 200), st.integers(1, 40), st.integers(2, 4), st.integers(1, 3), st.integers(0, 9))
@settings(max_examples=60)
def test_each_label_is_reviewed_once_and_again_by_others(number, size, people, per_clip, seed):
    team = Team(tuple(f"p{n}" for n in range(people)), ("aud",))
    chosen = QueueSettings(size, second_share=0.3, audit_share=0.2, planted_share=0.2, seed=seed)
    planted = [Planted(10_000 + n, f"known{n}", 0, n % 2 == 0) for n in range(6)]
    labels = candidates(number, per_clip)
    batches = plan(labels, planted, team, chosen, RELEASED_EXTENT)
    assert batches == plan(labels[::-1], planted, team, chosen, RELEASED_EXTENT)
    tasks = [task for batch in batches for task in batch.tasks]
    assert sorted(task.label for task in tasks if task.kind is Kind.FIRST) == list(range(number))
    place = {id(task): at for at, task in enumerate(tasks)}
    for task in tasks:
        if task.repeats is not None:
            assert task.label == task.repeats.label
            assert task.reviewer != task.repeats.reviewer
            assert place[id(task.repeats)] < place[id(task)]
    given_twice = Counter((task.reviewer, task.label) for task in tasks)
    assert max(given_twice.values()) == 1
    for batch in batches:
        firsts = [task for task in batch.tasks if task.kind is Kind.FIRST]
        assert len(firsts) <= size
        assert {task.reviewer for task in batch.tasks} <= {batch.reviewer}
        if firsts:
            assert batch.random_tasks >= len(firsts) * chosen.random_share
            for task in firsts:
                by_chance = batch.random_tasks / number if task.stratum is Stratum.RANDOM else None
                assert task.inclusion_probability == by_chance


def test_the_random_stratum_is_uniform_in_each_batch():
    labels = candidates(60, 3)
    firsts, runs = np.zeros((3, 60)), 600
    for seed in range(runs):
        chosen = QueueSettings(20, second_share=0, audit_share=0, seed=seed)
        for number, batch in enumerate(plan(labels, [], TEAM, chosen, RELEASED_EXTENT)):
            for task in batch.tasks:
                firsts[number, task.label] += task.stratum is Stratum.RANDOM
    assert np.all(firsts.sum(axis=1) == 2 * runs)
    expected = runs * 2 / 60
    for batch in firsts:  # 59 degrees of freedom: chi-square beyond 98.3 has probability 0.001
        assert np.sum((batch - expected) ** 2 / expected) < 98.3


def test_risk_falls_from_round_to_round_and_shares_are_kept():
    chosen = QueueSettings(50, second_share=0.1, audit_share=0.05)
    batches = plan(candidates(6000), [], TEAM, chosen, RELEASED_EXTENT)
    risk = {one.id: one.risk for one in candidates(6000)}
    kinds = Counter(task.kind for batch in batches for task in batch.tasks)
    assert 500 < kinds[Kind.SECOND] < 700
    assert 230 < kinds[Kind.AUDIT] < 370
    assert 0.08 < np.mean([task.blank for batch in batches for task in batch.tasks]) < 0.12
    means = [
        np.mean([risk[task.label] for task in batch.tasks if task.stratum is Stratum.RISK])
        for batch in batches
        if batch.random_tasks
    ]
    assert means[0] > 0.95
    assert means[-1] < 0.05
    assert np.all(np.diff(means[::3]) < 0)


def test_overlapping_windows_go_to_different_people():
    labels = [Candidate(n, f"clip{n // 2}", n % 2 * 3_000_000, f"h{n}", 0.5) for n in range(600)]
    chosen = QueueSettings(20, second_share=0, audit_share=0)
    by_clip: dict[str, set[str]] = {}
    for batch in plan(labels, [], TEAM, chosen, Extent(2_000_000, 6_000_000)):
        for task in batch.tasks:
            by_clip.setdefault(task.clip_id, set()).add(batch.reviewer)
    assert sum(len(people) == 2 for people in by_clip.values()) > 270


@given(
    st.integers(0, 99), st.integers(2, 3), st.lists(st.tuples(st.sampled_from("pqr"), st.integers(0, 9)), max_size=8)
)
@settings(max_examples=60)
def test_nobody_gets_a_planted_label_of_a_moment_that_they_know(seed, people, known):
    team = Team(tuple("pqr"[:people]), ("aud",))
    chosen = QueueSettings(4, second_share=0.3, audit_share=0.2, planted_share=0.5, seed=seed)
    labels = [Candidate(n, f"clip{n % 10}", n // 10 * 5_000_000, f"h{n}", 0.5) for n in range(20)]
    planted = [Planted(100 + n, f"clip{n}", 4_000_000, n % 2 == 0) for n in range(14)]
    given = [Given(name, f"clip{10 + clip}", 9_000_000) for name, clip in known]
    batches = plan(labels, planted, team, chosen, RELEASED_EXTENT, given)
    windows: dict[tuple[str, str], list[int]] = {}
    for name, clip_id, t_us in given:
        windows.setdefault((name, clip_id), []).append(t_us)
    tasks = [task for batch in batches for task in batch.tasks]
    for task in tasks:
        windows.setdefault((task.reviewer, task.clip_id), []).append(task.t_us)
    found = [task for task in tasks if task.kind in (Kind.PLANTED_GOOD, Kind.PLANTED_BAD)]
    for task in found:
        own = windows[task.reviewer, task.clip_id]
        assert sum(abs(t_us - task.t_us) < RELEASED_EXTENT.length_us for t_us in own) == 1
    if not known:
        assert len(found) >= 8  # of ten that are asked for; those of clips 10 to 13 fit everybody


def test_people_that_the_settings_need_are_asked_for():
    for team, message in ((Team(()), "no reviewer"), (Team(("a",)), "needs two"), (Team(("a", "b")), "auditor")):
        with pytest.raises(ReviewError, match=message):
            plan([], [], team, QueueSettings(), RELEASED_EXTENT)
    for wrong in ({"random_share": 0}, {"blank_share": 1.1}, {"batch_size": 0}):
        with pytest.raises(ReviewError, match=next(iter(wrong))):
            QueueSettings(**wrong)


def fitting(store, filters):
    return len(page(store, filters, limit=500).tasks)


def test_pages_follow_one_another_and_filters_add_up(tmp_path):
    store = filled(str(tmp_path), count=45, people="ann bob")
    found, after = [], 0
    while after is not None:
        one = page(store, Filters(), after, 10)
        found += [task.task for task in one.tasks]
        after = one.next_after
    assert found == list(range(1, 46))
    assert fitting(store, Filters(decision="turn")) == fitting(store, Filters(check_status="low")) == 15
    assert fitting(store, Filters(text="LEAD vehicle")) == 30
    assert fitting(store, Filters(text="lead_vehicle")) == fitting(store, Filters(text="%' OR 1 --")) == 0
    assert [task.clip_id for task in page(store, Filters(clip_id="clip00007")).tasks] == ["clip00007"]
    task = page(store, Filters(reviewer="ann")).tasks[0].task
    review(store, task, "ann")
    assert [one.task for one in page(store, Filters(verdict=Verdict.ACCEPT)).tasks] == [task]
    assert fitting(store, Filters(phase=Phase.WAITING)) == 44
    assert next_task(store, "ann") != task


def test_reviewers_are_told_nothing_before_they_may_know_it(tmp_path):
    chosen = QueueSettings(10, blank_share=0, planted_share=0.2)
    store = filled(str(tmp_path), count=40, settings=chosen, people="ann bob")
    listed = page_of(store, "ann", Filters(), limit=100).tasks
    hidden = {(one.longitudinal, one.lateral, one.sentence, one.risk, one.check_status) for one in listed}
    assert hidden == {(None,) * 5}
    assert {one.reviewer for one in listed} == {"ann"}
    assert page_of(store, "ann", Filters(decision="turn")).tasks == ()
    task = next_task(store, "ann")
    unlock(store, task, "ann")
    one = page_of(store, "ann", Filters(text="e"), limit=100).tasks
    assert [each.task for each in one] == [task]
    assert one[0].sentence is not None
    assert {(each.kind, each.stratum, each.inclusion_probability) for each in listed + one} == {(None,) * 3}
    assert page_of(store, "ann", Filters(kind=Kind.PLANTED_BAD), limit=100).tasks[0].kind is None
    kinds = Counter(one.kind for one in page(store, Filters(), limit=500).tasks)
    assert set(kinds) >= {Kind.PLANTED_GOOD, Kind.PLANTED_BAD, Kind.SECOND, Kind.AUDIT}
    truths = {row["truth"] for row in store.database.rows("SELECT truth FROM labels WHERE origin = 'planted'")}
    assert truths >= {"good", "flipped_direction"}


def test_progress_counts_by_reviewer_and_batch(tmp_path):
    store = filled(str(tmp_path), count=40, people="ann bob")
    for _ in range(3):
        review(store, next_task(store, "bob"), "bob")
    unlock(store, next_task(store, "bob"), "bob")
    assert {name: (one.done, one.total) for name, one in progress_by_reviewer(store).items()} == {
        "ann": (0, 20),
        "bob": (3, 20),
    }
    batches = progress_by_batch(store, (2, 4), "bob")
    assert [(one.done, one.phases[Phase.FUTURE], one.total) for one in batches.values()] == [(3, 1, 10), (0, 0, 10)]
    assert next(iter(batches.values())).verdicts == {Verdict.ACCEPT: 3}


def test_a_later_wave_leaves_earlier_batches_and_has_its_own_sample(tmp_path):
    store = filled(str(tmp_path), count=20)
    before = page(store, Filters()).tasks
    assert add_labels(store, rows(20)) == 0
    assert enlarge(store, PLAIN) == 0
    new = LabelRow("clip00003", 5_000_000, follows("Keep a gap to the lead vehicle."))
    assert add_labels(store, [new, *rows(20)]) == 1
    assert enlarge(store, PLAIN) == 1
    after = page(store, Filters()).tasks
    assert after[:20] == before
    assert [(one.stratum, one.inclusion_probability) for one in after[20:]] == [(Stratum.RANDOM, 1.0)]


def test_windows_of_earlier_batches_count_when_labels_are_planted(tmp_path):
    store = filled(str(tmp_path), count=20, people="ann bob")
    mine = {one.clip_id: one.reviewer for one in page(store, Filters(), limit=100).tasks}
    known = Known(stands=False, has_lead=False)
    add_planted(store, [KnownLabel(clip_id, 6_000_000, turns(), known) for clip_id in mine])
    add_labels(store, [LabelRow(f"new{n}", 5_000_000, follows()) for n in range(20)])
    enlarge(store, QueueSettings(10, second_share=0, audit_share=0, planted_share=0.5))
    planted = [
        one
        for kind in (Kind.PLANTED_GOOD, Kind.PLANTED_BAD)
        for one in page(store, Filters(kind=kind), limit=100).tasks
    ]
    assert len(planted) == 10
    assert all(one.reviewer != mine[one.clip_id] for one in planted)
    store.close()


@pytest.fixture(scope="module")
def checked(inputs, tmp_path_factory):
    """A run of the rules with its checks; its tests change copies."""
    out = tmp_path_factory.mktemp("checked")
    assert inputs.label(out) == 0
    check_run(str(only_run(out)), num_workers=1)
    return only_run(out)


NOTHING = (None, None, [])


def known_of_checks(store):
    sql = "SELECT clip_id, t_us, risk, check_status, check_reasons FROM labels WHERE origin = 'generated'"
    return {
        (row["clip_id"], row["t_us"]): (row["risk"], row["check_status"], json.loads(row["check_reasons"]))
        for row in store.database.rows(sql)
    }


def test_risk_and_result_come_from_the_checks_of_what_the_records_say_now(checked, tmp_path):
    run = Path(shutil.copytree(checked, tmp_path / "run"))
    table = load_checks(str(run))
    expected = {
        (row["clip_id"], row["event_start_timestamp"]): (row["risk"], row["status"], row["reasons"])
        for row in table.to_pylist()
    }
    moment = next(iter(expected))
    record = run / moment[0] / f"cot_{moment[1]}.yaml"
    record.write_text(record.read_text() + "# touched\n")
    store = ReviewStore.of_run(str(run))
    intake = add_run(store, str(run))
    found = known_of_checks(store)
    assert intake.added == len(found) > 10
    assert found.pop(moment) == NOTHING  # the check was made of another content
    assert found == {one: expected[one] for one in found}
    assert len({risk for risk, _, _ in found.values()}) > 1
    check_run(str(run), num_workers=1)
    assert add_run(store, str(run)).added == 0
    assert known_of_checks(store)[moment] == expected[moment]
    store.close()


def test_without_checks_nothing_is_known_of_the_risk(checked, tmp_path):
    run = Path(shutil.copytree(checked, tmp_path / "run"))
    (run / CHECKS_TABLE).unlink()
    store = ReviewStore.of_run(str(run))
    assert add_run(store, str(run)).added > 10
    assert all(known == NOTHING for known in known_of_checks(store).values())
    (run / CHECKS_TABLE).write_text("no table")
    with pytest.raises(CocLabelingError, match="expected a table of checks"):
        add_run(store, str(run))
    store.close()


def test_labels_of_a_run_come_in_as_their_records_say_and_stay_untouched(tmp_path):
    folder = ExperimentFolder(str(tmp_path))
    for t_us, label in ((1_000_000, turns()), (2_000_000, follows()), (3_000_000, abstain("no_decision", "nothing"))):
        changes = {"clip_id": "clip", "event_start_timestamp": t_us, "event_start_frame": t_us // 100_000}
        changes |= {"label": label, "final_content": released_content(label)}
        path = Path(folder.record_path("clip", t_us))
        path.parent.mkdir(exist_ok=True)
        path.write_text(to_yaml(plain_record().model_copy(update=changes)))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.yaml")}
    store = ReviewStore.of_run(str(tmp_path))
    store.add_person("ann", Role.REVIEWER)
    intake = add_run(store, str(tmp_path))
    assert (intake.added, intake.abstentions, intake.unreadable) == (2, 1, {})
    assert add_run(store, str(tmp_path)).added == 0
    assert enlarge(store, PLAIN) == 2
    for task in (1, 2):
        review(store, task, "ann")
    assert {store.label(1), store.label(2)} == {turns(), follows()}
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.yaml")} == before
