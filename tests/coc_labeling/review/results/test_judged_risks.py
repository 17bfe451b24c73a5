import numpy as np
import pytest

from builders.agreed import decision, write_run
from builders.calibrated import QUEUE, T_US, checked_run, reviewed
from builders.reviews import UNSURE, review
from coc_labeling.checks.results import CHECKS_TABLE
from coc_labeling.errors import CocLabelingError
from coc_labeling.review.batches.queue import Filters, page
from coc_labeling.review.errors import ReviewError
from coc_labeling.review.results.judged_risks import has_reviews, judged_risks
from coc_labeling.review.store import ReviewStore

LABELS, TASKS = 80, 40


@pytest.fixture
def run(tmp_path):
    folder, wrong = checked_run(tmp_path / "run", LABELS)
    return reviewed(folder, wrong, TASKS), wrong


def test_reviewed_labels_come_with_their_risk_and_stand_for_all(run):
    folder, wrong = run
    assert has_reviews(str(folder))
    judged, source = judged_risks(str(folder))
    assert len(judged) == source.judged == TASKS
    assert judged.weight.sum() == pytest.approx(LABELS)
    assert np.array_equal(judged.wrong, [clip in wrong for clip in judged.clip_ids])
    for risk, names in zip(judged.risk, judged.contradicted_by, strict=True):
        assert names == (frozenset({"speed"}) if risk > 0.5 else frozenset())
    assert source.first <= source.last
    assert len(source.events_sha256) == 64


def test_the_hash_of_reviews_changes_with_them(run):
    folder, _ = run
    _, before = judged_risks(str(folder))
    store = ReviewStore.of_run(str(folder))
    done = page(store, Filters(phase="done"), limit=1).tasks[0]
    store.judge(done.task, "ann", done.revision, UNSURE)
    store.close()
    judged, after = judged_risks(str(folder))
    assert before.events_sha256 != after.events_sha256
    assert len(judged) == TASKS - 1


def test_labels_that_have_changed_since_do_not_count(run):
    folder, _ = run
    judged, _ = judged_risks(str(folder))
    first = judged.clip_ids[0]
    labels = {(f"clip{number:04d}", T_US): decision("stop", "keep_lane") for number in range(LABELS)}
    write_run(folder, labels | {(first, T_US): decision("yield", sentence="Yield to the light.")})
    again, _ = judged_risks(str(folder))
    assert first not in again.clip_ids


def test_what_is_missing_is_named(tmp_path):
    folder, wrong = checked_run(tmp_path / "run", 40)
    with pytest.raises(ReviewError, match="coc review"):
        judged_risks(str(folder))
    reviewed(folder, wrong, 0)
    with pytest.raises(ReviewError, match="random stratum"):
        judged_risks(str(folder))
    store = ReviewStore.of_run(str(folder))
    for task in page(store, Filters(), limit=20).tasks:
        review(store, task.task, "ann")
    store.close()
    (folder / CHECKS_TABLE).unlink()
    with pytest.raises(CocLabelingError, match="Run coc check"):
        judged_risks(str(folder))
    assert QUEUE.random_share == 0.3
