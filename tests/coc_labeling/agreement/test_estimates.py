from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coc_labeling.agreement.estimates import by_decision, collapsed, proportion, wilson


@st.composite
def samples(draw):
    """A population in strata, and what was looked at: (hit, stratum, sizes)."""
    hit, stratum, sizes = [], [], []
    for h in range(draw(st.integers(1, 4))):
        looked = draw(st.integers(1, 30))
        sizes.append(looked + draw(st.sampled_from([0, 1, 50, 1000])))
        hit += draw(st.lists(st.booleans(), min_size=looked, max_size=looked))
        stratum += [h] * looked
    return np.array(hit), np.array(stratum), sizes


@given(samples(), st.randoms(use_true_random=False))
def test_estimates_are_weighted_means_within_their_intervals(sample, random):
    hit, stratum, sizes = sample
    found = proportion(hit, stratum, sizes)
    weight = np.array([sizes[h] / np.sum(stratum == h) for h in stratum])
    assert found.value == pytest.approx(np.sum(weight * hit) / np.sum(weight))
    assert found.total == pytest.approx(np.sum(weight * hit))
    assert found.population == pytest.approx(sum(sizes))
    assert 0 <= found.low <= found.value <= found.high <= 1
    wrong = proportion(~hit, stratum, sizes)
    assert (wrong.value, wrong.low, wrong.high) == pytest.approx((1 - found.value, 1 - found.high, 1 - found.low))
    order = list(range(len(hit)))
    random.shuffle(order)
    again = proportion(hit[order], stratum[order], sizes)
    assert (again.value, again.low, again.high) == pytest.approx((found.value, found.low, found.high))


@given(samples(), st.data())
def test_parts_of_a_domain_add_up(sample, data):
    hit, stratum, sizes = sample
    kind = np.array(data.draw(st.lists(st.sampled_from(["stop", "turn"]), min_size=len(hit), max_size=len(hit))))
    parts = by_decision(hit, stratum, kind, sizes)
    assert sum(part.total for part in parts.values()) == pytest.approx(proportion(hit, stratum, sizes).total)
    assert sum(part.population for part in parts.values()) == pytest.approx(sum(sizes))
    for part in parts.values():
        assert part.value is None or 0 <= part.low <= part.value <= part.high <= 1


def test_a_census_is_exact():
    found = proportion(np.array([True, False, False, False]), np.zeros(4, int), [4])
    assert (found.value, found.low, found.high) == (0.25, 0.25, 0.25)


def test_no_error_found_is_no_proof_of_none():
    found = proportion(np.zeros(300, bool), np.zeros(300, int), [100_000])
    assert (found.value, found.low) == (0, 0)
    assert 0.009 < found.high < 0.014


def test_riskiest_labels_do_not_stand_for_others():
    """100 of the riskiest labels, half wrong, and 10 of 100 drawn from 9,900 others."""
    hit = np.concatenate([np.arange(100) < 50, np.arange(100) < 10])
    found = proportion(hit, np.repeat([0, 1], 100), [100, 9_900])
    assert found.value == pytest.approx((50 + 990) / 10_000)
    plain = wilson(10, 100, 9_800 / 9_899)
    assert (found.low, found.high) == pytest.approx(tuple((50 + 9_900 * end) / 10_000 for end in plain))


def test_known_sizes_give_an_estimate_for_each_decision():
    hit = np.array([True, True, False, True])
    found = by_decision(hit, np.array([0, 0, 1, 1]), np.array(["stop", "turn"] * 2), {"stop": [1, 9], "turn": [1, 5]})
    assert found["stop"].value == pytest.approx(0.1)
    assert found["stop"].population == 10


@pytest.mark.parametrize(
    ("hit", "stratum", "sizes", "reason"),
    [
        ([], [], [10], "none was looked at in stratum 0, of 10 labels"),
        ([True], [0], [1, 500], "none was looked at in stratum 1, of 500 labels"),
        ([], [], [0], "there are no such labels"),
    ],
)
def test_what_cannot_be_estimated_says_why(hit, stratum, sizes, reason):
    found = proportion(np.array(hit, bool), np.array(stratum, int), sizes)
    assert (found.value, found.low, found.high, found.reason) == (None, None, None, reason)


def test_a_domain_that_the_sample_did_not_meet_is_undefined():
    """Found among the riskiest only: of the others nothing is known."""
    hit, stratum = np.array([True, False, False]), np.array([0, 1, 1])
    found = proportion(hit, stratum, [1, 5_000], domain=np.array([True, False, False]))
    assert found.value is None
    assert "stratum 1" in found.reason


@pytest.mark.parametrize(
    ("stratum", "sizes", "message"),
    [([0, 0], [1], "stratum 0 has 1 labels, but 2"), ([0], [5], "one length"), ([0, 3], [5], "strata from 0 to 0")],
)
def test_wrong_arguments_are_refused(stratum, sizes, message):
    with pytest.raises(ValueError, match=message):
        proportion(np.array([True, False]), np.array(stratum), sizes)


@given(st.integers(40, 400), st.integers(20, 60))
def test_intervals_hold_the_truth_as_often_as_they_say(population, drawn):
    """Exact: hypergeometric probabilities of the samples whose interval holds the truth."""
    drawn = min(drawn, population // 2)
    correction = (population - drawn) / (population - 1)
    intervals = [wilson(x, drawn, correction) for x in range(drawn + 1)]
    coverage = [
        sum(
            comb(errors, x) * comb(population - errors, drawn - x) / comb(population, drawn)
            for x, (low, high) in enumerate(intervals)
            if low <= errors / population <= high
        )
        for errors in range(0, population + 1, max(1, population // 40))
    ]
    assert 0.935 <= np.mean(coverage) <= 0.975


def test_intervals_from_two_strata_hold_the_truth():
    """200 samples of a domain whose size is unknown too; the long run is in benchmarks/quality_coverage.py."""
    random = np.random.default_rng(3)
    held = []
    for _ in range(200):
        risky = random.random(3_000) < 0.1
        domain = random.random(3_000) < 0.5
        wrong = random.random(3_000) < np.where(risky, 0.5, 0.1)
        rest = random.choice(np.flatnonzero(~risky), 150, replace=False)
        looked = np.concatenate([np.flatnonzero(risky), rest])
        found = proportion(
            wrong[looked],
            (~risky[looked]).astype(int),
            [int(risky.sum()), int((~risky).sum())],
            domain=domain[looked],
        )
        held.append(found.low <= wrong[domain].mean() <= found.high)
    assert 0.91 <= np.mean(held) <= 0.99


@given(samples(), st.data())
def test_strata_that_show_none_are_joined_with_a_neighbour(sample, data):
    hit, stratum, sizes = sample
    empty = data.draw(st.lists(st.integers(1, 500), min_size=1, max_size=3))
    whole = proportion(hit, stratum, sizes)
    assert proportion(hit, stratum, [*sizes, *empty]).value is None
    joined = [*sizes[:-1], sizes[-1] + sum(empty)]
    after, plain = collapsed(hit, stratum, [*sizes, *empty]), proportion(hit, stratum, joined)
    assert (after.value, after.low, after.high, after.collapsed) == (plain.value, plain.low, plain.high, True)
    before = collapsed(hit, stratum + len(empty), [*empty, *sizes])
    assert before.population == pytest.approx(sum(sizes) + sum(empty))
    assert before.sampled == whole.sampled
    assert before.low <= before.value <= before.high


def test_where_nothing_at_all_was_looked_at_there_is_nothing_to_put_together():
    found = collapsed(np.zeros(0, bool), np.zeros(0, int), [5, 5])
    assert (found.value, found.collapsed) == (None, False)
    assert found.reason
