import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.calibrated import judged
from coc_labeling.checks.calibration import (
    CALIBRATION,
    FOLDS,
    Calibration,
    JudgedRisks,
    RiskMap,
    calibrated,
    calibration_of,
    check_records,
    effective,
    fit,
    joined,
    predicted_apart,
    read_calibration,
    reliability,
    write_calibration,
)
from coc_labeling.errors import CocLabelingError

shares = st.lists(st.floats(0, 1), min_size=1, max_size=40)


def made(labels: JudgedRisks) -> Calibration:
    return calibrated(labels, [], checks_version=2, code_version="1", made="2026-01-01T00:00:00+00:00")


@given(shares, st.floats(-5, 5), st.floats(0.05, 5))
def test_a_map_gives_probabilities_and_keeps_the_order(risks, intercept, slope):
    risk = np.sort(np.array(risks))
    found = RiskMap(intercept=intercept, slope=slope).probabilities(risk)
    assert np.all((found >= 0) & (found <= 1))
    assert np.all(np.diff(found) >= 0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.floats(0.5, 400)), min_size=1, max_size=30))
def test_whatever_was_judged_gives_a_rising_map(rows):
    risk, wrong, weight = map(np.array, zip(*rows, strict=True))
    found = fit(risk, wrong, weight)
    assert found.slope > 0
    assert np.isfinite(found.intercept)


def test_few_judgements_hardly_move_the_risk_and_many_do():
    one = fit(np.array([0.9]), np.array([False]), np.ones(1))
    assert 0.5 < one.probability(0.9) < 0.9
    many = judged(4000)
    found = fit(many.risk, many.wrong, many.weight)
    for risk in (0.2, 0.5, 0.8):
        assert found.probability(risk) == pytest.approx(0.4 * risk, abs=0.06)


def test_what_is_right_as_it_is_stays():
    labels = judged(4000, factor=1)
    found = fit(labels.risk, labels.wrong, labels.weight)
    assert (found.intercept, found.slope) == pytest.approx((0, 1), abs=0.12)


def test_a_judgement_that_stands_for_more_labels_counts_for_more():
    risk, wrong = np.full(100, 0.5), np.arange(100) < 50
    equal = fit(risk, wrong, np.ones(100)).probability(0.5)
    heavy = fit(risk, wrong, np.where(wrong, 1.0, 3.0)).probability(0.5)
    assert equal == pytest.approx(0.5, abs=0.01)
    assert heavy == pytest.approx(0.25, abs=0.02)


@given(st.lists(st.floats(0.1, 1000), min_size=1, max_size=50))
def test_weights_tell_at_most_as_much_as_there_are(weights):
    assert 1 - 1e-9 <= effective(np.array(weights)) <= len(weights) + 1e-9


def test_scale_of_weights_does_not_matter():
    labels = judged(200)
    assert fit(labels.risk, labels.wrong, labels.weight) == fit(labels.risk, labels.wrong, labels.weight * 37)


def test_labels_of_one_clip_are_predicted_without_any_of_them():
    labels = judged(300, per_clip=5)
    found = predicted_apart(labels)
    clip = np.array(labels.clip_ids) == labels.clip_ids[0]
    flipped = JudgedRisks(
        labels.clip_ids, labels.risk, np.where(clip, ~labels.wrong, labels.wrong), labels.weight, labels.contradicted_by
    )
    assert np.array_equal(predicted_apart(flipped)[clip], found[clip])
    assert FOLDS > 1


def test_the_reliability_table_by_hand():
    predicted, wrong = np.array([0.05, 0.15, 0.15, 1.0]), np.array([False, True, False, True])
    found = reliability(predicted, wrong, np.array([1.0, 2.0, 2.0, 5.0]))
    assert found.brier == pytest.approx((0.05**2 + 2 * 0.85**2 + 2 * 0.15**2) / 10, abs=1e-6)
    assert found.expected_error == pytest.approx((0.05 + 4 * 0.35) / 10, abs=1e-6)
    second, last = found.bins[1], found.bins[9]
    assert (second.judged, second.labels, second.predicted, second.wrong) == (2, 4, 0.15, 0.5)
    assert (last.judged, last.predicted, last.wrong) == (1, 1, 1)
    assert found.bins[5].predicted is None


@given(shares, st.integers(0, 10))
def test_what_is_measured_of_probabilities_is_a_share(predicted, seed):
    values = np.array(predicted)
    found = reliability(values, np.random.default_rng(seed).random(len(values)) < 0.5, np.ones(len(values)))
    assert 0 <= found.expected_error <= 1
    assert 0 <= found.brier <= 1
    assert sum(one.judged for one in found.bins) == len(values)


def test_calibrating_helps_where_risks_are_too_high():
    found = made(judged(400))
    assert found.helps
    assert found.after.expected_error < found.before.expected_error / 2
    assert found.checks["speed"].ci95_low < found.checks["speed"].precision < found.checks["speed"].ci95_high


def test_records_of_checks_by_hand():
    names = [frozenset({"speed", "lane"}), frozenset({"speed"}), frozenset[str]()]
    labels = JudgedRisks(list("abc"), np.full(3, 0.5), np.array([True, False, True]), np.ones(3), names)
    found = check_records(labels)
    assert {name: (one.contradicted, one.wrong) for name, one in found.items()} == {"speed": (2, 1), "lane": (1, 1)}


@pytest.mark.parametrize(("count", "factor"), [(49, 0.5), (200, 0.01), (60, 0.05)])
def test_too_few_reviews_are_refused_with_numbers(count, factor):
    labels = judged(count, factor=factor)
    with pytest.raises(CocLabelingError, match=f"{count} labels of which reviewers found {labels.wrong.sum()} wrong"):
        made(labels)


def test_judgements_of_several_runs_add_up():
    both = joined([judged(30), judged(40, seed=1)])
    assert (len(both), len(both.clip_ids), len(both.contradicted_by)) == (70, 70, 70)


def test_a_calibration_is_read_back_as_it_was_written(tmp_path):
    assert calibration_of(str(tmp_path)) is None
    found = made(judged(120))
    write_calibration(str(tmp_path), found)
    assert calibration_of(str(tmp_path)) == found


@pytest.mark.parametrize(
    "change",
    [
        {"calibration_version": 2},
        {"map": {"intercept": 0, "slope": -1}},
        {"map": {"intercept": float("nan"), "slope": 1}},
        {"unknown": 1},
        {"judged": "many"},
    ],
)
def test_another_file_is_refused(tmp_path, change):
    write_calibration(str(tmp_path), made(judged(120)))
    path = tmp_path / CALIBRATION
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CocLabelingError, match="expected a calibration"):
        read_calibration(str(path))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CocLabelingError, match=r"none\.json"):
        read_calibration(str(tmp_path / "none.json"))
