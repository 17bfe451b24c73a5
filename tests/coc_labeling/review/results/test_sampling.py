import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.reviews import PLAIN, filled, follows, review
from coc_labeling.review.batches.intake import LabelRow, add_labels
from coc_labeling.review.batches.planning import QueueSettings
from coc_labeling.review.batches.queue import Filters, enlarge, page
from coc_labeling.review.results.sampling import Reviewed, _classes, _extents, population_of
from coc_labeling.review.store import ReviewStore, Role

HALF_RANDOM = QueueSettings(
    batch_size=10, random_share=0.5, second_share=0, audit_share=0, planted_share=0, blank_share=0
)


def judge(store: ReviewStore, reviewer: str, most: int) -> None:
    for task in page(store, Filters(reviewer=reviewer), limit=most).tasks:
        review(store, task.task, reviewer)


def done(store: ReviewStore, population) -> np.ndarray:
    found = np.zeros(len(population), bool)
    for task in page(store, Filters(phase="done"), limit=500).tasks:
        found[population.moments[task.clip_id, task.t_us]] = True
    return found


@pytest.fixture
def store(tmp_path):
    store = filled(str(tmp_path), count=60, people="ann bob")
    yield store
    store.close()


def test_labels_are_cut_by_risk_where_reviews_by_risk_end(store):
    judge(store, "ann", 10)
    judge(store, "bob", 10)
    found = population_of(store)
    assert [part.extent for part in found.parts] == [Reviewed.FEW, Reviewed.ALL]
    reviewed, by_risk = done(store, found), ~found.random
    above = found.stratum == 1
    assert np.array_equal(above & by_risk, reviewed & by_risk)
    # The risk of these labels falls with their number, which is their clip's.
    assert above.nonzero()[0].max() + 1 == above.sum()
    assert found.sizes().tolist() == [60 - above.sum(), above.sum()]
    assert (len(found), found.waiting, found.superseded, found.reordered) == (60, 0, 0, ())


def test_a_round_of_which_one_reviewer_is_through_is_a_stratum_of_its_own(store):
    judge(store, "ann", 30)
    judge(store, "bob", 10)
    found = population_of(store)
    assert {part.extent for part in found.parts} == {Reviewed.SOME, Reviewed.ALL}


def test_few_reviews_by_risk_stand_for_nobody(store):
    judge(store, "ann", 4)
    found = population_of(store)
    reviewed = done(store, found)
    assert [part.extent for part in found.parts] == [Reviewed.FEW]
    assert np.array_equal(found.stands, found.random)
    weight = found.weights(reviewed & found.stands)
    assert weight.sum() == pytest.approx(60 if (reviewed & found.random).any() else 0)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 30), st.integers(0, 30), st.sampled_from([PLAIN, HALF_RANDOM]))
def test_those_who_stand_for_others_stand_for_all_of_their_stratum(tmp_path_factory, ann, bob, queue):
    store = filled(str(tmp_path_factory.mktemp("reviews")), count=60, settings=queue, people="ann bob")
    for name, most in (("ann", ann), ("bob", bob)):
        if most:
            judge(store, name, most)
    found = population_of(store)
    sample = done(store, found) & found.stands
    weight = found.weights(sample)
    assert np.all(weight[sample] >= 1)
    assert not weight[~sample].any()
    for number, size in enumerate(found.sizes()):
        own = found.stratum == number
        assert weight[own].sum() == pytest.approx(size if sample[own].any() else 0)
        if found.parts[number].extent is Reviewed.ALL:
            assert done(store, found)[own & ~found.random].all()
    store.close()


def test_labels_of_unknown_risk_are_in_no_order_and_one_stratum(tmp_path):
    store = ReviewStore.of_run(str(tmp_path))
    store.add_person("ann", Role.REVIEWER)
    add_labels(store, (LabelRow(f"clip{number:02d}", 1, follows()) for number in range(40)))
    enlarge(store, PLAIN)
    judge(store, "ann", 20)
    found = population_of(store)
    assert [part.extent for part in found.parts] == [Reviewed.SOME]
    assert found.stands.all()
    store.close()


def test_risks_that_have_changed_since_leave_the_random_labels_alone_as_sample(store):
    judge(store, "ann", 10)
    judge(store, "bob", 10)
    with store.database.writing() as connection:
        connection.execute("UPDATE labels SET risk = 1 - risk")
    found = population_of(store)
    assert found.reordered == (1,)
    assert np.array_equal(found.stands, found.random)
    with store.database.writing() as connection:
        connection.execute("UPDATE labels SET risk = (1 - risk) * (1 - risk)")
    assert population_of(store).reordered == ()


def test_labels_that_changed_and_labels_that_wait_are_left_out(store):
    add_labels(store, [LabelRow("clip00003", 5_000_000, follows("Go on.")), LabelRow("clip99999", 1, follows())])
    found = population_of(store)
    assert (len(found), found.superseded, found.waiting) == (59, 1, 2)


def test_each_wave_has_strata_of_its_own(store):
    add_labels(store, (LabelRow(f"later{number:02d}", 1, follows(), risk=0.5) for number in range(20)))
    enlarge(store, PLAIN)
    judge(store, "ann", 10)
    judge(store, "bob", 10)
    assert {part.wave for part in population_of(store).parts} == {1, 2}


def test_classes_of_risk_by_hand():
    risk = np.array([0.1, 0.3, 0.4, 0.5, 0.9])
    assert _classes(risk, np.array([0.3, 0.5]), np.array([0.5])).tolist() == [0, 2, 2, 3, 4]
    assert _classes(risk, np.array([0.3, 0.5]), np.array([])).tolist() == [0, 2, 2, 4, 4]


def test_equal_risks_across_rounds_are_a_class_of_their_own():
    risk = np.array([0.9, 0.8, 0.5, 0.5, 0.5, 0.5, 0.2, 0.1])
    in_round = np.array([0, 0, 0, 1, 1, 0, 2, 2])
    reviewed = np.array([1, 1, 1, 0, 0, 1, 0, 0], bool)
    random = np.zeros(8, bool)
    assert _extents(risk, in_round, reviewed, random).tolist() == [2, 2, 1, 1, 1, 1, 0, 0]
