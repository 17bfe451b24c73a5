import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from builders.reviews import ACCEPT, UNSURE, filled, follows, review
from coc_labeling.planting import Error, Known, compose, plant
from coc_labeling.review.batches.intake import LabelRow, add_labels
from coc_labeling.review.batches.planning import Kind, QueueSettings
from coc_labeling.review.batches.queue import Filters, enlarge, page
from coc_labeling.review.errors import ReviewError
from coc_labeling.review.judgements import Edit, Judgement, Reason, Verdict
from coc_labeling.review.results.planted_results import PlantedResults, Share, error_is_gone, planted_results
from coc_labeling.review.store import ReviewStore, Role
from coc_labeling.schema import (
    UNOBSERVED,
    Category,
    CoCLabel,
    Component,
    Lateral,
    LateralDecision,
    Longitudinal,
    LongitudinalDecision,
    Relation,
    Side,
)

REJECT = Judgement(verdict=Verdict.REJECT, reason=Reason.EMPTY)
PARKED = Component(
    id="c2",
    category=Category.CRITICAL_OBJECT,
    relation=Relation.PARKED,
    side=Side.RIGHT,
    description="parked car on the right",
)
CUTS_IN = Component(
    id="c1",
    category=Category.CRITICAL_OBJECT,
    relation=Relation.CUT_IN,
    side=Side.LEFT,
    description="vehicle cutting in from the left",
    track_id="9",
)
LIGHT = Component(id="c1", category=Category.TRAFFIC_LIGHT, description="red light")
KNOWN = Known(stands=False, has_lead=False, changes_lane=Side.LEFT, later=CUTS_IN)


@st.composite
def right_labels(draw: st.DrawFn) -> CoCLabel:
    components = draw(st.sampled_from([(), (LIGHT,), (PARKED,), (LIGHT, PARKED)]))
    causes = st.sampled_from([UNOBSERVED, *(component.id for component in components)])
    lane, side = draw(
        st.sampled_from([("keep_lane", None), ("turn", "left"), ("change_lane", "left"), ("merge", None)])
    )
    speed = Longitudinal(decision=draw(st.sampled_from(LongitudinalDecision)), cause_ids=(draw(causes),))
    lateral = Lateral(decision=lane, direction=side, cause_ids=(draw(causes),))
    sentence = compose(speed, lateral, components, 0)
    return CoCLabel(longitudinal=speed, lateral=lateral, components=components, effect_on_ego_behavior=sentence)


def reworded(label: CoCLabel) -> CoCLabel:
    return label.model_copy(update={"effect_on_ego_behavior": "Said in other words."})


@given(right_labels(), st.sampled_from(Error), st.booleans(), st.none() | st.sampled_from(Side))
def test_an_error_is_gone_in_the_right_label_and_stays_in_other_words(right, error, stands, changes_lane):
    assume(error is not Error.PHANTOM_LEAD or right.longitudinal.decision is not LongitudinalDecision.FOLLOW_LEAD)
    known = Known(stands=stands, has_lead=False, changes_lane=changes_lane, later=CUTS_IN)
    wrong = plant(right, error, known)
    assume(wrong is not None)
    assert error_is_gone(error, wrong, right)
    assert not error_is_gone(error, wrong, wrong)
    assert not error_is_gone(error, wrong, reworded(wrong))


def test_a_missed_lane_change_is_still_missed_where_nothing_is_said_of_the_lane():
    lane = Lateral(decision="change_lane", direction="left", cause_ids=(UNOBSERVED,))
    right = CoCLabel(lateral=lane, effect_on_ego_behavior=compose(None, lane, (), 0))
    wrong = plant(right, Error.MISSED_LANE_CHANGE, KNOWN)
    silent = wrong.model_copy(update={"lateral": None})
    assert wrong.lateral.decision is LateralDecision.KEEP_LANE
    assert not error_is_gone(Error.MISSED_LANE_CHANGE, wrong, silent)


def planted_store(run_dir, *truths: str) -> ReviewStore:
    """A queue of one batch that holds planted labels with these truths, the wrong ones standing still."""
    store = ReviewStore.of_run(str(run_dir))
    store.add_person("ann", Role.REVIEWER)
    stops = Longitudinal(decision="stop", cause_ids=(UNOBSERVED,))
    add_labels(store, [LabelRow(f"clip{n}", 1, follows()) for n in range(2)])
    wrong = CoCLabel(longitudinal=stops, effect_on_ego_behavior="Stop.")
    rows = [
        LabelRow(f"known{n}", 1, follows() if truth == "good" else wrong, truth=truth) for n, truth in enumerate(truths)
    ]
    add_labels(store, rows)
    enlarge(store, QueueSettings(batch_size=2, second_share=0, audit_share=0, planted_share=1, blank_share=0))
    return store


def test_what_reviewers_made_of_planted_labels(tmp_path):
    store = filled(
        str(tmp_path), count=40, settings=QueueSettings(batch_size=40, second_share=0, audit_share=0, planted_share=0.5)
    )
    assert planted_results(store) == {}
    good, bad = (
        [one.task for one in page(store, Filters(kind=kind)).tasks] for kind in (Kind.PLANTED_GOOD, Kind.PLANTED_BAD)
    )
    for task, judgement in zip(good, (ACCEPT, ACCEPT, REJECT, UNSURE), strict=False):
        review(store, task, "ann", judgement)
    lane = Lateral(decision="turn", direction="left", cause_ids=(UNOBSERVED,))
    mended = Judgement(verdict=Verdict.EDIT, edit=Edit(lateral=lane, sentence="Turn left, as it is."))
    flipped = Lateral(decision="turn", direction="right", cause_ids=(UNOBSERVED,))
    worded = Judgement(verdict=Verdict.EDIT, edit=Edit(lateral=flipped, sentence="Now turn right."))
    assert {store.label(task).lateral.direction for task in bad[:5]} == {Side.RIGHT}
    for task, judgement in zip(bad, (ACCEPT, REJECT, mended, worded, UNSURE), strict=False):
        review(store, task, "ann", judgement)
    assert planted_results(store) == {"ann": PlantedResults(Share(2, 3), 1, Share(2, 4), 1)}
    store.close()


def test_an_unknown_error_is_refused_where_it_matters(tmp_path):
    store = planted_store(tmp_path, "of_tomorrow", "of_tomorrow")
    first, second = (one.task for one in page(store, Filters(kind=Kind.PLANTED_BAD)).tasks)
    review(store, first, "ann", REJECT)
    assert planted_results(store)["ann"].bad_found == Share(1, 1)
    drives = Edit(longitudinal=follows().longitudinal, components=follows().components, sentence="Keep distance.")
    review(store, second, "ann", Judgement(verdict=Verdict.EDIT, edit=drives))
    with pytest.raises(ReviewError, match="of_tomorrow"):
        planted_results(store)
    store.close()


def test_a_share_of_nothing_has_no_value():
    assert (Share(0, 0).value, Share(0, 0).low, Share(0, 0).high) == (None, None, None)
    assert [round(x, 3) for x in (Share(0, 20).low, Share(0, 20).high)] == [0.0, 0.161]
