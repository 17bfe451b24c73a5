import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from builders.agreed import decided, decision
from coc_labeling.agreement.decided import State
from coc_labeling.agreement.pairing import pair_labels
from coc_labeling.schema import abstain

STOP = decision("stop")
moments = st.sets(
    st.tuples(st.sampled_from(["x", "y", "z"]), st.integers(0, 20).map(lambda t: t * 50_000)), max_size=12
)


def side(found):
    return decided(dict.fromkeys(found, STOP))


def pairs_of(a, b, ticks):
    own, other = side(a), side(b)
    found = pair_labels(own, other, ticks)
    return [(own.moment(i), other.moment(j)) for i, j in zip(found.a, found.b, strict=True)], found


@given(moments, moments, st.integers(0, 4))
def test_pairs_are_near_one_to_one_and_none_is_left_that_could_be_paired(a, b, ticks):
    pairs, found = pairs_of(sorted(a), sorted(b, reverse=True), ticks)
    reach = ticks * 100_000
    for (clip_a, t_a), (clip_b, t_b) in pairs:
        assert clip_a == clip_b
        assert abs(t_a - t_b) <= reach
    left_a, left_b = a - {pair[0] for pair in pairs}, b - {pair[1] for pair in pairs}
    assert len(left_a) == len(a) - len(pairs) == sum(found.unpaired_a.values())
    assert len(left_b) == len(b) - len(pairs) == sum(found.unpaired_b.values())
    assert not any(c == d and abs(t - u) <= reach for c, t in left_a for d, u in left_b)
    assert found.states.sum() == len(pairs)


@given(moments, moments)
def test_without_tolerance_pairs_are_the_moments_in_common(a, b):
    pairs, _ = pairs_of(sorted(a), sorted(b), 0)
    assert {pair[0] for pair in pairs} == a & b


@given(moments, moments, st.integers(0, 4))
def test_sides_may_be_swapped(a, b, ticks):
    there, _ = pairs_of(sorted(a), sorted(b), ticks)
    back, _ = pairs_of(sorted(b), sorted(a), ticks)
    assert sum(abs(p[1] - q[1]) for p, q in there) == sum(abs(p[1] - q[1]) for p, q in back)
    assert len(there) == len(back)


def test_the_nearest_is_the_partner_and_what_is_left_is_counted():
    a = decided({("x", 1_000_000): STOP, ("x", 1_200_000): STOP, ("only_a", 0): abstain("no_decision", "reverse")})
    b = decided({("x", 1_200_000): abstain("no_decision", "reverse"), ("only_b", 0): None, ("x", 5_000_000): STOP})
    found = pair_labels(a, b, 2)
    assert (found.a.tolist(), found.b.tolist(), found.apart_us.tolist()) == ([1], [0], [0])
    assert found.states[State.DECIDED, State.ABSTAINED] == 1
    assert found.unpaired_a[State.ABSTAINED] == 1
    assert found.unpaired_b == {
        State.DECIDED: 1,
        State.WITHOUT_DECISIONS: 0,
        State.ABSTAINED: 0,
        State.UNREADABLE: 1,
    }
    assert (found.clips_a, found.clips_b) == (1, 1)


def test_many_labels_are_paired_soon():
    rng = np.random.default_rng(0)
    clips = [f"clip_{n}" for n in range(2_000)]
    a = decided({(c, int(t)): STOP for c in clips for t in rng.choice(200, 3, replace=False) * 100_000})
    found = pair_labels(a, a, 5)
    assert found.a.tolist() == found.b.tolist() == list(range(len(a)))
