import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coc_labeling.judge.separation import FEWEST, informativeness, separation
from coc_labeling.judge.stages import Stage

SCORES = st.lists(st.integers(0, 4).map(lambda n: n / 4), min_size=FEWEST, max_size=12)


def evidence(good: float, count: int = 9) -> np.ndarray:
    """Return the scores of the first stage: how much is seen, and how much is invented."""
    return np.array([[good, 1 - good]] * count)


@given(SCORES, SCORES)
def test_the_auc_is_the_share_of_pairs_in_the_right_order(true, planted):
    pairs = [(t > p) + 0.5 * (t == p) for t, p in itertools.product(true, planted)]
    assert separation(true, planted).auc == pytest.approx(sum(pairs) / len(pairs))


@given(SCORES, SCORES)
def test_exchanged_sides_separate_the_other_way(true, planted):
    assert separation(true, planted).auc + separation(planted, true).auc == pytest.approx(1.0)


@given(SCORES)
def test_the_same_scores_on_both_sides_separate_nothing(scores):
    found = separation(scores, scores)
    assert found.auc == pytest.approx(0.5)
    assert not found.separates
    assert found.p_value == pytest.approx(0.5)


@pytest.mark.parametrize(("n", "separates"), [(FEWEST, True), (FEWEST - 1, None)])
def test_a_perfect_judge_needs_a_few_labels_to_be_believed(n, separates):
    found = separation([0.9] * n, [0.1] * n)
    assert (found.separates if found else None) is separates


def test_a_slight_advantage_is_not_enough_even_if_it_is_no_chance():
    true, planted = [0.5] * 4000 + [1.0] * 1000, [0.5] * 5000
    found = separation(true, planted)
    assert found.lower > 0.5
    assert not found.separates


def test_few_labels_that_happen_to_be_in_order_are_not_enough():
    found = separation([0.9, 0.8, 0.4, 0.3, 0.7], [0.5, 0.2, 0.6, 0.35, 0.1])
    assert found.auc > 0.65
    assert not found.separates


def test_one_stage_that_does_not_separate_makes_a_judge_uninformative():
    good, bad = evidence(0.9), evidence(0.1)
    causes = np.full((9, len(Stage.CAUSE.scores)), 0.5)
    found = informativeness(
        {Stage.EVIDENCE: good, Stage.CAUSE: causes}, {Stage.EVIDENCE: bad, Stage.CAUSE: causes}, 9, 9
    )
    assert found.by_stage[Stage.EVIDENCE].separates
    assert not found.by_stage[Stage.CAUSE].separates
    assert found.informative is False
    assert found.reason.startswith("evidence: planted errors are told apart (AUC 1.00")
    assert "cause: planted errors are not told apart" in found.reason


def test_a_stage_without_controls_is_not_held_against_a_judge():
    good, bad = evidence(0.9), evidence(0.1)
    causes = np.full((9, len(Stage.CAUSE.scores)), 0.5)
    found = informativeness({Stage.EVIDENCE: good, Stage.CAUSE: causes}, {Stage.EVIDENCE: bad}, 9, 9)
    assert found.informative is True
    assert "cause: not measured" in found.reason


def test_without_controls_nothing_is_known():
    found = informativeness({Stage.EVIDENCE: evidence(0.9)}, {}, 9, 0)
    assert found.informative is None
    assert found.as_dict()["auc_by_score"] == dict.fromkeys(Stage.EVIDENCE.scores)
    assert found.reason == "not measured: 0 planted errors were scored, and a stage needs 5 of them"
