from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from builders.reviews import PLAIN, filled, review
from coc_labeling.review.batches.planning import Kind, QueueSettings
from coc_labeling.review.batches.queue import Filters, page
from coc_labeling.review.judgements import HistoryAnswer
from coc_labeling.review.results.history_results import HistoryResults, history_results, omissions, total
from coc_labeling.schema import Category, Component, Relation

BLANK = QueueSettings(batch_size=10, second_share=0, audit_share=0, planted_share=0, blank_share=1)
LIGHT = Component(id="c7", category=Category.TRAFFIC_LIGHT, description="<script>a red light</script>")
LEFT_LEAD = Component(
    id="c8", category=Category.CRITICAL_OBJECT, relation=Relation.LEAD, side="left", description="a lead"
)
PARKED = Component(id="c9", category=Category.CRITICAL_OBJECT, relation=Relation.PARKED, description="a parked car")
KINDS = st.tuples(
    st.sampled_from(["critical_object", "lane"]),
    st.sampled_from([None, "lead", "parked"]),
    st.sampled_from([None, "left", "right"]),
)


def answered(run_dir, settings, *answers: HistoryAnswer):
    store = filled(str(run_dir), count=9, settings=settings)
    tasks = [one.task for one in page(store, Filters(decision="follow_lead")).tasks]
    for task, answer in zip(tasks, answers, strict=False):
        store.open(task, "ann", 0)
        store.finish_history(task, "ann", 1, answer)
    found = history_results(store)
    store.close()
    return found


def test_components_are_confirmed_struck_and_added(tmp_path):
    found = answered(
        tmp_path,
        PLAIN,
        HistoryAnswer(confirmed=("c1",)),
        HistoryAnswer(confirmed=("c1",), added=(LIGHT, PARKED)),
        HistoryAnswer(struck=("c1",), added=(LIGHT,)),
    )
    assert found == {("ann", Kind.FIRST): HistoryResults(confirmed=2, struck=1, added=3)}
    share = total(found).struck_share
    assert (share.hits, share.n) == (1, 3)


def test_blank_lists_measure_what_labels_lack(tmp_path):
    found = answered(
        tmp_path, BLANK, HistoryAnswer(), HistoryAnswer(added=(LEFT_LEAD, PARKED)), HistoryAnswer(added=(LIGHT,))
    )
    results = total(found, reviewer="ann")
    assert results == HistoryResults(blank_lists=3, listed=3, omitted=2)
    assert (results.omission_share.hits, results.omission_share.n) == (2, 3)
    assert total(found, kind=Kind.AUDIT) == HistoryResults()


def test_both_kinds_of_lists_of_one_reviewer_add_up(tmp_path):
    half = QueueSettings(batch_size=10, second_share=0, audit_share=0, planted_share=0, blank_share=0.5, seed=3)
    store = filled(str(tmp_path), count=30, settings=half)
    for one in page(store, Filters()).tasks:
        store.open(one.task, "ann", 0)
        view = store.view(one.task, "ann")
        confirmed = tuple(component.id for component in view.components)
        store.finish_history(one.task, "ann", 1, HistoryAnswer(confirmed=confirmed, added=(PARKED,)))
    results = total(history_results(store))
    blank = sum(store.view(one.task, "ann").blank for one in page(store, Filters()).tasks)
    assert (results.blank_lists, results.listed, results.omitted, results.added) == (blank, blank, blank, 30 - blank)
    assert 0 < blank < 30
    store.close()


@given(st.lists(KINDS, max_size=6), st.lists(KINDS, max_size=6))
def test_omissions_are_a_part_of_what_was_listed(listed, own):
    found = omissions(listed, own)
    assert len(found) <= len(listed)
    assert omissions(own, own) == []
    assert omissions(listed, [*own, *listed]) == []
    assert omissions(found, own) == found
    assert omissions(listed, []) == listed


def test_planted_labels_are_apart_from_those_of_the_run(tmp_path):
    store = filled(str(tmp_path), count=10, settings=replace(PLAIN, planted_share=0.5))
    for one in page(store, Filters()).tasks:
        review(store, one.task, "ann")
    found = history_results(store)
    store.close()
    assert found.keys() == {("ann", Kind.FIRST), ("ann", Kind.PLANTED_GOOD), ("ann", Kind.PLANTED_BAD)}
    assert total(found, reviewer="ann") == found["ann", Kind.FIRST]
    assert total(found, reviewer="ann", planted=True) == sum(found.values(), HistoryResults())
