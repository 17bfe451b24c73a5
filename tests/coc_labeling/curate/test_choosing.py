from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coc_labeling.curate.choosing import Candidate, Choice, Fate, choose, fair_shares
from coc_labeling.curate.rules import KEEP_RATES, Scene
from coc_labeling.errors import CocLabelingError

ALL = dict.fromkeys(Scene, 1.0)

candidate = st.builds(
    Candidate,
    st.uuids().map(str),
    st.integers(0, 200),
    st.sampled_from(["stop", "steer_left", "gentle_deceleration"]),
    st.tuples(st.sampled_from(["Germany", "unknown"]), st.sampled_from(["night", "midday"])),
    st.sampled_from([*Scene, None]),
    st.booleans(),
)
candidates = st.lists(candidate, max_size=60, unique_by=lambda own: own[:2])
rates = st.fixed_dictionaries({scene: st.floats(0, 1) for scene in Scene})
choices = st.builds(Choice, rates, st.none() | st.integers(1, 40), st.integers(0, 5))


def kept(found, fates):
    return {own[:2] for own, fate in zip(found, fates, strict=True) if fate is Fate.KEPT}


def many(scene=Scene.SPARSE, count=4000, decision="stop", condition=("unknown", "unknown"), *, faulty=False):
    return [
        Candidate(f"{decision}{condition[0]}{i}", i % 100, decision, condition, scene, faulty) for i in range(count)
    ]


@given(candidates, choices)
def test_the_budget_is_never_exceeded_and_used_up_where_there_is_enough(found, choice):
    fates = choose(found, choice)
    passed = sum(fate in (Fate.KEPT, Fate.OVER_BUDGET) for fate in fates)
    assert fates.count(Fate.KEPT) == (passed if choice.budget is None else min(passed, choice.budget))


@given(candidates, choices)
def test_faulty_and_unreadable_moments_are_never_chosen(found, choice):
    for own, fate in zip(found, choose(found, choice), strict=True):
        assert (own.scene is None) == (fate is Fate.UNREADABLE)
        assert (own.scene is not None and own.faulty) == (fate is Fate.MASKED)


@given(candidates, choices, st.randoms())
def test_the_choice_is_the_same_in_any_order(found, choice, random):
    shuffled = random.sample(found, len(found))
    assert kept(found, choose(found, choice)) == kept(shuffled, choose(shuffled, choice))


@given(candidates, rates, st.integers(0, 5), st.integers(0, 60))
def test_before_the_budget_other_moments_do_not_matter(found, keep_rates, seed, count):
    choice = Choice(keep_rates, None, seed)
    assert choose(found, choice)[:count] == choose(found[:count], choice)


@given(candidates, choices)
def test_a_larger_budget_keeps_what_a_smaller_one_kept(found, choice):
    if choice.budget is not None:
        larger = Choice(choice.keep_rates, choice.budget + 1, choice.seed)
        assert kept(found, choose(found, choice)) <= kept(found, choose(found, larger))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scene", Scene)
def test_keep_rates_hold_in_expectation(scene, seed):
    rate = 0.3
    found = many(scene)
    share = choose(found, Choice({**ALL, scene: rate}, None, seed)).count(Fate.KEPT) / len(found)
    assert abs(share - rate) < 4 * (rate * (1 - rate) / len(found)) ** 0.5


def test_rates_of_one_and_zero_are_exact():
    found = many(Scene.RARE) + many(Scene.EMPTY, decision="steer_left")
    fates = choose(found, Choice({**ALL, Scene.EMPTY: 0.0}))
    assert fates == [Fate.KEPT] * 4000 + [Fate.THINNED] * 4000


def test_seeds_choose_differently():
    found = many()
    chosen = [kept(found, choose(found, Choice(ALL, 400, seed))) for seed in range(3)]
    assert chosen[0] != chosen[1] != chosen[2]
    assert len(chosen[0] & chosen[1]) < 100  # a tenth of 400 by chance


def test_a_budget_balances_decisions_and_within_them_conditions():
    found = (
        many(decision="stop", count=900, condition=("Germany", "midday"))
        + many(decision="stop", count=60, condition=("Japan", "night"))
        + many(decision="reverse", count=30)
    )
    fates = choose(found, Choice(ALL, 200))
    by = Counter((own.decision, own.condition[0]) for own, f in zip(found, fates, strict=True) if f is Fate.KEPT)
    assert by == {("reverse", "unknown"): 30, ("stop", "Germany"): 110, ("stop", "Japan"): 60}


@given(st.lists(st.integers(0, 50), max_size=12), st.integers(0, 400))
def test_shares_are_as_even_as_they_can_be(sizes, budget):
    shares = fair_shares(sizes, budget)
    assert sum(shares) == min(budget, sum(sizes))
    assert all(0 <= share <= size for share, size in zip(shares, sizes, strict=True))
    short = [share for share, size in zip(shares, sizes, strict=True) if share < size]
    assert not short or min(short) >= max(shares) - 1


@pytest.mark.parametrize("budget", [0, -3])
def test_a_budget_of_nothing_is_refused(budget):
    with pytest.raises(CocLabelingError, match=f"--budget {budget}: expected at least 1"):
        Choice(KEEP_RATES, budget)


def test_what_cannot_be_divided_goes_to_the_largest_and_of_equal_ones_to_the_first():
    assert fair_shares([10, 10], 5) == [3, 2]
    assert fair_shares([10, 10, 11], 22) == [7, 7, 8]


def test_moments_of_one_clip_are_judged_apart():
    found = [Candidate("clip", frame, "stop", (), Scene.SPARSE, False) for frame in range(1000)]
    assert 400 < choose(found, Choice({**ALL, Scene.SPARSE: 0.5})).count(Fate.KEPT) < 600


def test_the_budget_draws_anew_and_keeps_the_mix_of_scenes():
    sparse = [own._replace(clip_id=f"sparse{own.clip_id}") for own in many(Scene.SPARSE, 2000)]
    found = many(Scene.STANDARD, 2000) + sparse
    fates = choose(found, Choice({**ALL, Scene.SPARSE: 0.2}, 600))
    assert 60 < fates[2000:].count(Fate.KEPT) < 140  # 400 of 2400 are left: 100 of 600
