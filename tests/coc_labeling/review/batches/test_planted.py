import json
import shutil
from pathlib import Path

import pytest

from builders.reviews import ACCEPT, UNSURE, review, turns
from builders.runs import only_run
from coc_labeling.checks.run import check_run
from coc_labeling.errors import CocLabelingError
from coc_labeling.judge.selection import labels_of
from coc_labeling.planting import KINDS
from coc_labeling.review.batches import planted as module
from coc_labeling.review.batches.intake import GOOD, LabelRow, add_labels, add_run
from coc_labeling.review.batches.planning import QueueSettings
from coc_labeling.review.batches.planted import plant_known
from coc_labeling.review.batches.queue import Filters, enlarge, page
from coc_labeling.review.judgements import Judgement, Verdict
from coc_labeling.review.store import ReviewStore, Role
from coc_labeling.schema import CoCLabel

TWICE = QueueSettings(batch_size=10, second_share=1, audit_share=0, planted_share=0, blank_share=0)
MISSED = Judgement(verdict=Verdict.REJECT, reason="hazard_missed")


@pytest.fixture(scope="module")
def run(inputs, tmp_path_factory):
    """A run of the rules; nothing is written there."""
    out = tmp_path_factory.mktemp("planted")
    assert inputs.label(out) == 0
    return only_run(out)


@pytest.fixture
def store(tmp_path):
    """Reviews that lie elsewhere than the run."""
    store = ReviewStore.of_run(str(tmp_path))
    for name in ("ann", "bob", "cat"):
        store.add_person(name, Role.REVIEWER)
    yield store
    store.close()


def planted_in(store):
    sql = "SELECT clip_id, t_us, label, truth FROM labels WHERE origin = 'planted' ORDER BY id"
    rows = store.database.rows(sql)
    return {(row["clip_id"], row["t_us"]): (CoCLabel.model_validate_json(row["label"]), row["truth"]) for row in rows}


def labels_in(run):
    labels = labels_of(str(run))
    return {moment: labels.read(number) for moment, number in labels.numbers.items()}


def test_labels_of_a_run_known_to_be_right_get_errors_by_turns(run, store):
    planting = plant_known(store, str(run), gold=str(run))
    right, found = labels_in(run), planted_in(store)
    assert planting.good + planting.bad == len(found) == len(right)
    assert abs(planting.good - planting.bad) <= 1
    assert (planting.left_out, planting.notices) == ({}, ())
    assert {truth for _, truth in found.values()} <= {GOOD, *KINDS}
    assert len({truth for _, truth in found.values()}) > 3
    for moment, (label, truth) in found.items():
        own = right[moment]
        same = (label.longitudinal, label.lateral, label.components) == (own.longitudinal, own.lateral, own.components)
        assert same == (truth == GOOD)


def test_planted_labels_have_checks_where_the_others_have_them(run, store, tmp_path):
    checked = Path(shutil.copytree(run, tmp_path / "run"))
    check_run(str(checked), num_workers=1)
    add_run(store, str(checked))
    plant_known(store, str(checked), gold=str(run))
    rows = store.database.rows("SELECT origin, risk, check_status, check_reasons, truth FROM labels")
    assert all(row["risk"] is not None and row["check_status"] for row in rows)
    wrong = [row for row in rows if row["truth"] not in (None, GOOD)]
    right = [row for row in rows if row["truth"] == GOOD]
    assert sum(row["risk"] for row in wrong) / len(wrong) > sum(row["risk"] for row in right) / len(right)
    assert any(json.loads(row["check_reasons"]) for row in wrong)


def test_moments_with_a_planted_label_get_no_other(run, store):
    first = plant_known(store, str(run), gold=str(run))
    again = plant_known(store, str(run), gold=str(run))
    assert (again.good, again.bad) == (0, 0)
    assert again.left_out == {"planted_already": first.good + first.bad}


def test_only_what_two_people_accepted_is_known_to_be_right(run, store):
    add_run(store, str(run))
    enlarge(store, TWICE)
    tasks = page(store, Filters(), limit=500).tasks
    firsts = [one for one in tasks if one.kind == "first"]
    agreed, unsure, changed, undone, alone = firsts[:5]
    for first in (agreed, unsure, changed, undone, alone):
        review(store, first.task, first.reviewer)
    seconds = {(one.clip_id, one.t_us): one for one in tasks if one.kind == "second"}
    answers = ((agreed, ACCEPT), (unsure, UNSURE), (changed, MISSED), (undone, ACCEPT))
    for first, judgement in answers:
        second = seconds[first.clip_id, first.t_us]
        revision = review(store, second.task, second.reviewer, judgement)
        if first is changed:
            store.judge(second.task, second.reviewer, revision, ACCEPT)
        if first is undone:
            store.undo(second.task, second.reviewer, revision)
    planting = plant_known(store, str(run))
    assert (planting.good, planting.bad) == (1, 0)
    assert list(planted_in(store)) == [(agreed.clip_id, agreed.t_us)]
    store.add_person("dan", Role.REVIEWER)  # the only one who has not seen all of these clips
    add_labels(store, [LabelRow(f"other{n}", 5_000_000, turns()) for n in range(4)])
    enlarge(store, QueueSettings(batch_size=1, second_share=0, audit_share=0, planted_share=1))
    (given,) = page(store, Filters(kind="planted_good")).tasks
    assert given.reviewer == "dan"


def test_without_the_dataset_nothing_gets_an_error(run, store, tmp_path):
    planting = plant_known(store, str(run), gold=str(run), data_dir=str(tmp_path / "gone"))
    assert (planting.good, planting.bad) == (len(labels_in(run)), 0)
    assert "no error is planted" in planting.notices[0]
    assert {moment: label for moment, (label, _) in planted_in(store).items()} == labels_in(run)


def test_moments_that_cannot_be_shown_are_left_out(inputs, run, store, tmp_path):
    data = Path(shutil.copytree(inputs.data_dir, tmp_path / "data"))
    (data / "clip_0.csv").unlink()
    (data / "clip_0.obstacles.parquet").unlink()
    (data / "clip_1.csv").write_text("timestamp_us,x\n0,1\n")
    planting = plant_known(store, str(run), gold=str(run), data_dir=str(data))
    assert {clip_id for clip_id, _ in planted_in(store)} == {"clip_2", "clip_3"}
    by_clip = [sum(clip_id == name for clip_id, _ in labels_in(run)) for name in ("clip_0", "clip_1")]
    assert planting.left_out["unknown_clip"] == by_clip[0]
    assert sum(planting.left_out.values()) == sum(by_clip)


def test_no_more_than_can_be_of_use_are_taken(run, store, monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 6)
    planting = plant_known(store, str(run), gold=str(run))
    assert (planting.good, planting.bad) == (3, 3)
    left = len(labels_in(run)) - 6
    assert planting.left_out == {"more_than_needed": left}
    again = plant_known(store, str(run), gold=str(run))
    assert (again.good, again.bad, again.left_out) == (0, 0, {"more_than_needed": left, "planted_already": 6})


def test_a_folder_without_labels_is_refused(run, store, tmp_path):
    with pytest.raises(CocLabelingError, match="none"):
        plant_known(store, str(run), gold=str(tmp_path / "none"))
    assert plant_known(store, str(run)).left_out == {}
