import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.reviews import ACCEPT, UNSURE, follows, turns
from coc_labeling.agreement.statistics import ONE_CATEGORY
from coc_labeling.review.batches.planning import Kind
from coc_labeling.review.judgements import Edit, Judgement, Reason, Verdict
from coc_labeling.review.results.outcomes import Outcome, Review
from coc_labeling.review.results.reliability import ACCEPTED, NOT_ACCEPTED, pairs_of
from coc_labeling.schema import Lateral, Longitudinal

REJECT = Judgement(verdict=Verdict.REJECT, reason=Reason.HAZARD_MISSED)
STOPS = Judgement(
    verdict=Verdict.EDIT,
    edit=Edit(longitudinal=Longitudinal(decision="stop", cause_ids=("unobserved",)), sentence="Stop."),
)
TURNS_RIGHT = Judgement(
    verdict=Verdict.EDIT,
    edit=Edit(lateral=Lateral(decision="turn", direction="right", cause_ids=("unobserved",)), sentence="Turn right."),
)
JUDGEMENTS = (ACCEPT, STOPS, TURNS_RIGHT, REJECT, UNSURE)


def pair(first, second, number=0, people=("ann", "bob"), kind=Kind.SECOND, label=None) -> Outcome:
    reviews = (Review(1, people[0], Kind.FIRST, first), Review(2, people[1], kind, second))
    return Outcome(f"clip{number}", 1, label or follows(), reviews, None, None, 1)


def test_kappa_of_verdicts_as_in_a_worked_example():
    cells = ((ACCEPT, ACCEPT, 20), (ACCEPT, REJECT, 5), (UNSURE, ACCEPT, 10), (REJECT, STOPS, 15))
    judged = [(first, second) for first, second, times in cells for _ in range(times)]
    pairs = pairs_of([pair(*one, number) for number, one in enumerate(judged)], Kind.SECOND)
    found = pairs.reliability()
    assert found.verdict.kappa.value == pytest.approx(0.4)
    assert found.verdict.kappa.low < 0.4 < found.verdict.kappa.high
    assert (found.verdict.kappa.n, found.verdict.kappa.clips) == (50, 50)
    assert found.verdict.raw.value == pytest.approx(0.7)
    assert found.verdict.names == (ACCEPTED, NOT_ACCEPTED)
    assert found.verdict.confusion.tolist() == [[20, 5], [10, 15]]
    # Both left a label in the 20 alone, always the same one.
    assert (found.longitudinal.raw.n, found.longitudinal.kappa.reason) == (20, ONE_CATEGORY)


def test_decisions_are_those_of_the_edited_labels():
    outcomes = [
        pair(ACCEPT, STOPS, 0),
        pair(STOPS, STOPS, 1),
        pair(ACCEPT, ACCEPT, 2),
        pair(ACCEPT, TURNS_RIGHT, 3, label=turns()),
        pair(REJECT, STOPS, 4),
    ]
    found = pairs_of(outcomes, Kind.SECOND).reliability()
    table = dict(np.ndenumerate(found.longitudinal.confusion))
    said = {
        (found.longitudinal.names[a], found.longitudinal.names[b]): count for (a, b), count in table.items() if count
    }
    assert said == {
        ("follow_lead", "stop"): 1,
        ("stop", "stop"): 1,
        ("follow_lead", "follow_lead"): 1,
        ("none", "none"): 1,
    }
    assert set(found.lateral.names) == {"none", "turn left", "turn right"}
    assert found.lateral.raw.value == 0.75
    stop = next(one for one in found.longitudinal.categories if one.name == "stop")
    assert (stop.said_a, stop.said_b, stop.both) == (1, 2, 1)


def test_pairs_are_of_one_kind_and_of_one_reviewer():
    outcomes = [
        pair(ACCEPT, REJECT, 0),
        pair(REJECT, ACCEPT, 1, people=("bob", "ann")),
        pair(ACCEPT, ACCEPT, 2, people=("bob", "cat")),
        pair(ACCEPT, ACCEPT, 3, people=("ann", "aud"), kind=Kind.AUDIT),
        Outcome("clip4", 1, follows(), (Review(1, "ann", Kind.FIRST, ACCEPT),), None, None, 1),
    ]
    second, audit = pairs_of(outcomes, Kind.SECOND), pairs_of(outcomes, Kind.AUDIT)
    assert (len(second.a), len(audit.a)) == (3, 1)
    ann = second.of("ann")
    assert (ann.a, ann.b) == (["ann", "ann"], ["bob", "bob"])
    found = ann.reliability().verdict
    assert found.confusion.tolist() == [[0, 2], [0, 0]]  # ann is side A, whichever review was hers
    assert len(second.of("aud").a) == 0
    assert audit.of("aud").reliability().verdict.kappa.n == 1


def test_without_pairs_nothing_is_defined():
    found = pairs_of([], Kind.SECOND).of("ann").reliability()
    for one in (found.verdict, found.longitudinal, found.lateral):
        assert (one.kappa.value, one.kappa.reason, one.kappa.n, one.names) == (None, "no pairs", 0, ())


@given(
    st.lists(st.tuples(st.sampled_from(JUDGEMENTS), st.sampled_from(JUDGEMENTS), st.integers(0, 5)), max_size=12),
    st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_kappa_is_symmetric_and_pairs_add_up(judged, with_lane):
    label = turns() if with_lane else follows()
    outcomes = [pair(a, b, clip, label=label) for a, b, clip in judged]
    turned = [pair(b, a, clip, people=("bob", "ann"), label=label) for a, b, clip in judged]
    one, other = (pairs_of(of, Kind.SECOND).reliability() for of in (outcomes, turned))
    for question in ("verdict", "longitudinal", "lateral"):
        found, mirrored = getattr(one, question), getattr(other, question)
        assert found.kappa.value == pytest.approx(mirrored.kappa.value)
        assert found.confusion.tolist() == mirrored.confusion.T.tolist()
        assert found.confusion.sum() == found.kappa.n <= len(judged)
        if found.kappa.value is not None:
            assert -1 <= found.kappa.value <= 1
    assert one.verdict.kappa.n == len(judged)
    assert one == pairs_of(outcomes, Kind.SECOND).of("ann").reliability()
