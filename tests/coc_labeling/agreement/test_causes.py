import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.agreed import decided, decision
from coc_labeling.agreement.causes import NO_TRACKS, by_kind, by_track, overlap
from coc_labeling.agreement.decided import Channel

RELATIONS = ["lead", "cut_in", "crossing", "oncoming"]
cause = st.builds(lambda r, t: f"{r}@{t}" if t else r, st.sampled_from(RELATIONS), st.sampled_from(["", "7", "8", "9"]))
sets = st.lists(st.tuples(st.lists(cause, max_size=4), st.lists(cause, max_size=4)), max_size=6)


def sides(found):
    return [
        decided({("x", n): decision("stop", causes=tuple(pair[s])) for n, pair in enumerate(found)}).causes[
            Channel.LONGITUDINAL
        ]
        for s in (0, 1)
    ]


def expected(pairs, both_sides):
    """Return mean Jaccard and share of equal sets, written out."""
    counted = [(a, b) for a, b in pairs if (a and b if both_sides else a or b)]
    if not counted:
        return None, None
    return (
        sum(len(a & b) / len(a | b) for a, b in counted) / len(counted),
        sum(a == b for a, b in counted) / len(counted),
    )


@given(sets)
def test_overlap_is_that_of_the_sets(found):
    a, b = sides(found)
    rows = np.arange(len(found))
    kinds = [tuple({cause.split("@")[0] for cause in own} for own in pair) for pair in found]
    tracks = [tuple({cause.split("@")[1] for cause in own if "@" in cause} for own in pair) for pair in found]
    for sizes, own, both in ((by_kind(a, b, rows, rows), kinds, False), (by_track(a, b, rows, rows), tracks, True)):
        measured = overlap(sizes, rows, 20, 0, both_sides=both)
        jaccard, exact = expected(own, both)
        assert measured.jaccard.value == (None if jaccard is None else pytest.approx(jaccard))
        assert measured.exact.value == (None if exact is None else pytest.approx(exact))
        assert measured.neither == sum(not x and not y for x, y in own)
        assert (measured.only_a, measured.only_b) == (
            sum(bool(x and not y) for x, y in own),
            sum(bool(y and not x) for x, y in own),
        )


def test_a_side_without_tracks_is_said_and_not_counted_against_it():
    a, b = sides([(["lead@7"], ["lead"])])
    rows = np.arange(1)
    measured = overlap(by_track(a, b, rows, rows), rows, 20, 0, both_sides=True)
    assert (measured.jaccard.value, measured.jaccard.reason, measured.only_a) == (None, NO_TRACKS, 1)
    assert overlap(by_kind(a, b, rows, rows), rows, 20, 0, both_sides=False).jaccard.value == 1.0
