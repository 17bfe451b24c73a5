import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.reviews import ACCEPT, UNSURE, filled, follows, review, unlock
from coc_labeling.agreement.decided import Channel
from coc_labeling.agreement.estimates import proportion
from coc_labeling.review.batches.intake import LabelRow, add_labels
from coc_labeling.review.batches.planning import QueueSettings
from coc_labeling.review.batches.queue import Filters, enlarge, page
from coc_labeling.review.errors import ReviewError
from coc_labeling.review.judgements import Edit, HistoryAnswer, Judgement, Reason, Verdict
from coc_labeling.review.results.faults import Finding
from coc_labeling.review.results.quality import left_over, quality, quality_of_run
from coc_labeling.review.results.quality_output import write_json
from coc_labeling.review.store import ReviewStore
from coc_labeling.schema import Category, Component, Longitudinal
from coc_toolkit.quality_command import tell

REJECT = Judgement(verdict=Verdict.REJECT, reason=Reason.HAZARD_MISSED)
REWORDED = Judgement(
    verdict=Verdict.EDIT,
    edit=Edit(longitudinal=follows().longitudinal, components=follows().components, sentence="Stay behind the car."),
)
LIGHT = Component(id="c7", category=Category.TRAFFIC_LIGHT, description="the light")
ALL_RANDOM = QueueSettings(batch_size=10, random_share=1, second_share=0, audit_share=0, planted_share=0, blank_share=0)
BLANK = QueueSettings(batch_size=10, random_share=1, second_share=0, audit_share=0, planted_share=0, blank_share=1)


def tasks(store: ReviewStore, most: int, **filters):
    return page(store, Filters(**filters), limit=most).tasks if most else ()


def judge(store: ReviewStore, judgements: list[Judgement], **filters) -> list:
    found = tasks(store, len(judgements), **filters)
    for task, judgement in zip(found, judgements, strict=True):
        review(store, task.task, task.reviewer, judgement)
    return list(found)


@pytest.fixture
def store(tmp_path):
    store = filled(str(tmp_path), count=100, settings=ALL_RANDOM)
    yield store
    store.close()


def test_a_random_sample_stands_for_the_others(store):
    judge(store, [ACCEPT] * 15 + [REJECT] * 5)
    found = quality(store)
    one = found.whole
    assert (one.labels, one.decided, one.random, one.unsure) == (100, 20, 20, 0)
    assert one.right.all.value == pytest.approx(0.75)
    left = one.right.unreviewed
    assert (left.labels, left.value) == (80, pytest.approx(0.75))
    alone = proportion(np.arange(20) < 15, np.zeros(20, int), [100])
    assert left.low == pytest.approx((alone.low * 100 - 15) / 80)
    assert left.high == pytest.approx((alone.high * 100 - 15) / 80)
    assert found.findings == {Finding.RIGHT: 15, Finding.REWORDED: 0, Finding.WRONG: 5, Finding.UNSURE: 0}
    assert found.strata[0]["weight"] == 5


def test_reviews_by_risk_do_not_stand_for_labels_of_lower_risk(tmp_path):
    plain = QueueSettings(batch_size=20, random_share=0.5, second_share=0, audit_share=0, planted_share=0)
    store = filled(str(tmp_path), count=100, settings=plain)
    first = tasks(store, 20)
    for task in first:
        review(store, task.task, "ann", REJECT if task.stratum == "risk" else ACCEPT)
    found = quality(store).whole
    naive = 10 / 20
    assert found.right.unreviewed.value > naive
    assert (found.random, found.decided) == (10, 20)
    store.close()


def test_wording_is_told_apart_from_errors(store):
    judge(store, [REWORDED] * 5 + [ACCEPT] * 10 + [REJECT] * 5, decision="follow_lead")
    found = quality(store)
    speed = found.by_decision[Channel.LONGITUDINAL]
    assert set(speed) == {"follow_lead", "none"}
    assert speed["follow_lead"].right.all.value == pytest.approx(0.75)
    assert speed["follow_lead"].verbatim.all.value == pytest.approx(0.5)
    assert speed["none"].right.unreviewed.value is None
    assert "none was looked at" in speed["none"].right.unreviewed.reason
    assert set(found.by_decision[Channel.LATERAL]) == {"turn", "none"}


def judged_where_risks_are_high(tmp_path, *, random_stop: bool) -> ReviewStore:
    """Ten labels say stop, the riskiest and the safest five; of the safe ones none is judged, and none drawn at random.

    With ``random_stop`` one of the risky ones was drawn at random and is judged.
    """
    queue = QueueSettings(batch_size=10, random_share=0.3, second_share=0, audit_share=0, planted_share=0)
    for seed in range(100):
        folder = tmp_path / str(seed)
        folder.mkdir()
        store = filled(str(folder), count=0, settings=queue)
        stop = follows().model_copy(update={"longitudinal": Longitudinal(decision="stop", cause_ids=("c1",))})
        for number in range(60):
            label = stop if number < 5 or number >= 55 else follows()
            add_labels(store, [LabelRow(f"clip{number:02d}", 5_000_000, label, risk=1 - number / 60)])
        enlarge(store, replace(queue, seed=seed))
        first = tasks(store, 20)
        own = [task for task in first if not 5 <= int(task.clip_id[4:]) < 55]
        drawn = any(task.stratum == "random" for task in own)
        if drawn is random_stop and all(int(task.clip_id[4:]) < 5 for task in own):
            for task in first:
                review(store, task.task, "ann", REJECT if task.clip_id == "clip00" else ACCEPT)
            return store
        store.close()
    raise AssertionError("no such queue")


def test_where_a_stratum_shows_none_random_labels_of_the_whole_wave_give_an_interval(tmp_path):
    store = judged_where_risks_are_high(tmp_path, random_stop=True)
    found = quality(store)
    store.close()
    stop = found.by_decision[Channel.LONGITUDINAL]["stop"]
    assert stop.labels == 10
    assert 0 < stop.decided <= 5
    assert stop.right.all.collapsed
    assert stop.right.unreviewed.collapsed
    assert stop.right.all.sampled == stop.random >= 1
    alone = proportion(np.arange(stop.random) < stop.right.all.hits, np.zeros(stop.random, int), [10])
    assert (stop.right.all.low, stop.right.all.high) == (alone.low, alone.high)
    assert not found.whole.right.unreviewed.collapsed
    assert not found.by_decision[Channel.LONGITUDINAL]["follow_lead"].right.unreviewed.collapsed
    assert any(" * " in line or line.endswith(" *") for line in tell(found))
    assert any(line.startswith("*: in some part of the queue") for line in tell(found))


def test_without_a_random_label_of_a_decision_nothing_is_said_of_it(tmp_path):
    store = judged_where_risks_are_high(tmp_path, random_stop=False)
    found = quality(store)
    store.close()
    stop = found.by_decision[Channel.LONGITUDINAL]["stop"]
    assert stop.decided > stop.random == 0
    assert (stop.right.unreviewed.value, stop.right.unreviewed.collapsed) == (None, False)


def test_what_nobody_is_sure_of_is_left_out_with_bounds(store):
    judge(store, [ACCEPT] * 12 + [REJECT] * 4 + [UNSURE] * 4)
    one = quality(store).whole
    assert (one.unsure, one.decided, one.right.unreviewed.labels) == (4, 16, 84)
    assert one.right.all.value == pytest.approx(0.75)
    assert one.right_if_unsure_wrong.all.value == pytest.approx(12 / 20)
    assert one.right_if_unsure_right.all.value == pytest.approx(16 / 20)
    assert one.right_if_unsure_right.unreviewed.labels == 80


def test_a_judgement_taken_back_counts_no_more(store):
    found = judge(store, [ACCEPT] * 9 + [REJECT])
    last = found[-1]
    store.undo(last.task, "ann", store.view(last.task, "ann").state.revision)
    assert quality(store).whole.decided == 9


def test_omissions_come_from_blank_lists_and_what_is_added_to_shown_ones_is_apart(tmp_path):
    for name in ("blank", "shown"):
        (tmp_path / name).mkdir()
    blank = filled(str(tmp_path / "blank"), count=50, settings=BLANK)
    shown = filled(str(tmp_path / "shown"), count=50, settings=ALL_RANDOM)
    for store in (blank, shown):
        for number, task in enumerate(tasks(store, 20)):
            revision = store.open(task.task, "ann", 0)
            own = store.label(task.task).components if store is blank else ()
            kept = [] if store is blank else [one.id for one in store.label(task.task).components]
            added = (*own, LIGHT) if number < 5 else own
            answer = HistoryAnswer(confirmed=tuple(kept), added=added)
            revision = store.finish_history(task.task, "ann", revision, answer)
            store.judge(task.task, "ann", revision, ACCEPT)
    found = quality(blank)
    assert (found.whole.omitted.all.value, found.whole.omitted.all.sampled) == (pytest.approx(0.25), 20)
    assert found.whole.omitted.unreviewed.value == pytest.approx(0.25)
    assert found.whole.omitted.unreviewed.labels == 30
    assert (found.shown_lists, found.added_to_shown) == (0, 0)
    found = quality(shown)
    assert found.whole.omitted.unreviewed.value is None
    assert (found.shown_lists, found.added_to_shown) == (20, 5)
    blank.close()
    shown.close()


def test_when_all_is_reviewed_nothing_is_left_to_estimate(tmp_path):
    store = filled(str(tmp_path), count=10, settings=ALL_RANDOM)
    judge(store, [ACCEPT] * 9 + [REJECT])
    one = quality(store).whole
    assert one.right.unreviewed.labels == 0
    assert one.right.unreviewed.value is None
    assert (one.right.all.value, one.right.all.low, one.right.all.high) == (0.9, 0.9, 0.9)
    store.close()


def test_waves_without_a_random_judgement_are_left_out_and_said(store):
    judge(store, [ACCEPT] * 10)
    add_labels(store, (LabelRow(f"later{number:02d}", 1, follows()) for number in range(20)))
    assert any("20 labels are in no batch yet" in notice for notice in quality(store).notices)
    enlarge(store, ALL_RANDOM)
    found = quality(store)
    assert found.whole.labels == 100
    assert any("wave 2" in notice and "20 labels are left out" in notice for notice in found.notices)


def test_random_tasks_left_in_begun_batches_are_counted(store):
    judge(store, [ACCEPT] * 13)
    unlock(store, tasks(store, 14)[-1].task, "ann")
    assert quality(store).begun_random == 7


def test_without_a_random_judgement_there_is_no_estimate(store, tmp_path):
    with pytest.raises(ReviewError, match="Review at least one batch"):
        quality(store)
    with pytest.raises(ReviewError, match=r"no reviews\.sqlite"):
        quality_of_run(str(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


def test_what_is_written_is_json_with_definitions(store, tmp_path):
    judge(store, [ACCEPT] * 15 + [REJECT] * 5)
    write_json(quality(store), "run", str(tmp_path / "new" / "quality.json"))
    found = json.loads((tmp_path / "new" / "quality.json").read_text())
    assert found["quality_version"] == 1
    assert found["labels"]["right"]["unreviewed"]["value"] == 0.75
    assert found["by_decision"]["longitudinal"]["follow_lead"]["labels"] == 66
    assert found["seeds_by_wave"] == {"1": 0}
    assert found["strata"][0]["labels"] == 100
    assert "unreviewed" in found["definitions"]


@settings(max_examples=10, deadline=None)
@given(st.lists(st.sampled_from([ACCEPT, REJECT, UNSURE, REWORDED]), min_size=1, max_size=40), st.booleans())
def test_shares_lie_within_their_intervals_and_bounds_around_them(tmp_path_factory, judgements, shuffled):
    queue = QueueSettings(
        batch_size=10, random_share=0.4, second_share=0, audit_share=0, planted_share=0, blank_share=0
    )
    people = "ann bob" if shuffled else "ann"
    store = filled(str(tmp_path_factory.mktemp("q")), count=60, settings=queue, people=people)
    fit = [one if one is not REWORDED else ACCEPT for one in judgements]
    judge(store, fit)
    try:
        found = quality(store)
    except ReviewError:
        return
    finally:
        store.close()
    measured = [found.whole, *(one for own in found.by_decision.values() for one in own.values())]
    for one in measured:
        assert one.labels == one.decided + one.unsure + one.right_if_unsure_right.unreviewed.labels
        for share in (one.right, one.verbatim, one.right_if_unsure_wrong, one.right_if_unsure_right, one.omitted):
            for ends in (share.all, share.unreviewed):
                if ends.value is not None:
                    assert 0 <= ends.low <= ends.value + 1e-9
                    assert ends.value <= ends.high + 1e-9 <= 1 + 2e-9
    for channel in Channel:
        assert sum(one.labels for one in found.by_decision[channel].values()) == found.whole.labels


@given(st.integers(1, 60), st.integers(0, 200), st.data())
def test_what_is_left_moves_with_the_estimate(sampled, others, data):
    hits = data.draw(st.integers(0, sampled))
    labels = sampled + others
    estimate = proportion(np.arange(sampled) < hits, np.zeros(sampled, int), [labels])
    left = left_over(estimate, labels, sampled, hits)
    assert left.labels == others
    if others:
        assert left.value == pytest.approx(hits / sampled)
        assert 0 <= left.low <= left.value + 1e-9
        assert left.value <= left.high + 1e-9
