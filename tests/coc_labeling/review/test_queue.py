from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.records import plain_record
from builders.reviews import PLAIN, filled, follows, review, rows, turns, unlock
from coc_labeling.records import to_yaml
from coc_labeling.results import ExperimentFolder
from coc_labeling.review.errors import ReviewError
from coc_labeling.review.intake import LabelRow, add_labels, add_run
from coc_labeling.review.judgements import Verdict
from coc_labeling.review.phases import Extent, Phase
from coc_labeling.review.planning import Candidate, Kind, Planted, QueueSettings, Stratum, Team, plan
from coc_labeling.review.queue import (
    RELEASED_EXTENT,
    Filters,
    count,
    count_of,
    enlarge,
    next_task,
    page,
    page_of,
    progress_by_batch,
    progress_by_reviewer,
)
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


def test_people_that_the_settings_need_are_asked_for():
    for team, message in ((Team(()), "no reviewer"), (Team(("a",)), "needs two"), (Team(("a", "b")), "auditor")):
        with pytest.raises(ReviewError, match=message):
            plan([], [], team, QueueSettings(), RELEASED_EXTENT)
    for wrong in ({"random_share": 0}, {"blank_share": 1.1}, {"batch_size": 0}):
        with pytest.raises(ReviewError, match=next(iter(wrong))):
            QueueSettings(**wrong)


def test_pages_follow_one_another_and_filters_add_up(tmp_path):
    store = filled(str(tmp_path), count=45, people="ann bob")
    found, after = [], 0
    while after is not None:
        one = page(store, Filters(), after, 10)
        found += [task.task for task in one.tasks]
        after = one.next_after
    assert found == list(range(1, 46))
    assert count(store, Filters(decision="turn")) == count(store, Filters(check_status="low")) == 15
    assert count(store, Filters(text="LEAD vehicle")) == 30
    assert count(store, Filters(text="lead_vehicle")) == count(store, Filters(text="%' OR 1 --")) == 0
    assert [task.clip_id for task in page(store, Filters(clip_id="clip00007")).tasks] == ["clip00007"]
    task = page(store, Filters(reviewer="ann")).tasks[0].task
    review(store, task, "ann")
    assert [one.task for one in page(store, Filters(verdict=Verdict.ACCEPT)).tasks] == [task]
    assert count(store, Filters(phase=Phase.WAITING)) == 44
    assert next_task(store, "ann") != task


def test_reviewers_are_told_nothing_before_they_may_know_it(tmp_path):
    chosen = QueueSettings(10, blank_share=0, planted_share=0.2)
    store = filled(str(tmp_path), count=40, settings=chosen, people="ann bob")
    listed = page_of(store, "ann", Filters(), limit=100).tasks
    hidden = {(one.longitudinal, one.lateral, one.sentence, one.risk, one.check_status) for one in listed}
    assert hidden == {(None,) * 5}
    assert {one.reviewer for one in listed} == {"ann"}
    assert count_of(store, "ann", Filters(decision="turn")) == 0
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
    batches = progress_by_batch(store, "bob")
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
