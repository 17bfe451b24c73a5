import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coc_labeling.agreement.resampling import resample
from coc_labeling.agreement.statistics import ONE_CATEGORY, agreement, cohens_kappa, raw_agreement

NAMES = ("stop", "yield", "turn")


def compared(table, per_clip: int = 1, resamples: int = 200, seed: int = 0):
    table = np.asarray(table)
    a, b = (np.repeat(index.ravel(), table.ravel()) for index in np.indices(table.shape))
    return agreement(a, b, np.arange(len(a)) // per_clip, NAMES, resamples, seed)


@pytest.mark.parametrize(
    ("table", "kappa"),
    [
        ([[20, 5], [10, 15]], 0.4),  # the example in any account of kappa: p_o = 0.7, p_e = 0.5
        ([[45, 15], [25, 15]], 0.1304),  # p_o = 0.60, p_e = 0.54
        ([[25, 35], [5, 35]], 0.2593),  # p_o = 0.60, p_e = 0.46
        ([[88, 14, 18], [10, 40, 10], [2, 6, 12]], 0.4915),  # the table of Cohen 1960, in 200ths: p_o = .70, p_e = .41
    ],
)
def test_kappa_of_known_tables(table, kappa):
    assert float(cohens_kappa(np.array(table))) == pytest.approx(kappa, abs=5e-5)


tables = st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=3, max_size=3)


@given(tables)
def test_kappa_is_bounded_symmetric_and_1_only_where_all_agree(table):
    counts = np.array(table, float)
    kappa = float(cohens_kappa(counts))
    if np.isnan(kappa):
        said = counts.sum(axis=0) + counts.sum(axis=1)
        assert np.count_nonzero(said) <= 1
        return
    assert -1 - 1e-9 <= kappa <= 1 + 1e-9
    assert kappa == pytest.approx(float(cohens_kappa(counts.T)))
    order = [2, 0, 1]
    assert kappa == pytest.approx(float(cohens_kappa(counts[order][:, order])))
    assert (kappa == pytest.approx(1)) == (float(raw_agreement(counts)) == 1)


@given(tables, st.integers(1, 4))
def test_what_is_measured_agrees_with_the_pairs(table, per_clip):
    found = compared(table, per_clip, resamples=20)
    total = int(np.sum(table))
    assert found.confusion.sum() == found.raw.n == total
    for own in found.categories:
        at = NAMES.index(own.name)
        assert (own.both, own.said_a, own.said_b) == (
            table[at][at],
            sum(table[at]),
            sum(row[at] for row in table),
        )
    if total:
        assert found.raw.value == pytest.approx(np.trace(np.array(table)) / total)
        assert found.raw.clips == -(-total // per_clip)


def test_a_single_category_has_agreement_and_no_kappa():
    found = compared([[30, 0, 0], [0, 0, 0], [0, 0, 0]])
    assert found.raw.value == 1.0
    assert (found.kappa.value, found.kappa.reason) == (None, ONE_CATEGORY)


def test_no_pairs_is_said():
    found = compared(np.zeros((3, 3), int))
    assert (found.names, found.raw.reason, found.kappa.reason) == ((), "no pairs", "no pairs")


def test_one_clip_has_no_interval_and_few_are_warned_of():
    table = [[20, 5], [10, 15]]
    alone, few, many = (compared(table, per_clip).kappa for per_clip in (50, 5, 1))
    assert (alone.value, alone.low) == (pytest.approx(0.4), None)
    assert "one clip" in alone.reason
    assert "too narrow" in few.reason
    assert many.reason == ""
    assert many.low < 0.4 < many.high


def test_no_interval_is_given_where_most_resamples_are_undefined():
    a = np.array([0, 0, 0, 1])
    found = agreement(a, a, np.array([0, 1, 2, 3]), NAMES, 500, 0).kappa
    assert found.value == 1.0
    assert "resamples have no value" in found.reason


def test_the_same_seed_gives_the_same_interval_whatever_the_order():
    rng = np.random.default_rng(5)
    a, b, clips = rng.integers(0, 3, 300), rng.integers(0, 3, 300), rng.integers(0, 60, 300)
    order = rng.permutation(300)
    one = agreement(a, b, clips, NAMES, 300, 7)
    again = agreement(a[order], b[order], 1000 - clips[order], NAMES, 300, 7)
    other = agreement(a, b, clips, NAMES, 300, 8)
    assert one.as_dict() == again.as_dict()
    assert one.kappa.low != other.kappa.low


def test_clips_are_drawn_and_not_pairs():
    """Ten equal pairs a clip tell no more than one, so the interval is that of the clips."""
    one, ten = (
        agreement(np.repeat([0, 1], 50 * n), np.repeat([0, 1, 0, 1], 25 * n), np.arange(100 * n) // n, NAMES, 2000, 0)
        for n in (1, 10)
    )
    assert ten.raw.high - ten.raw.low == pytest.approx(one.raw.high - one.raw.low, abs=1e-9)


def test_resampled_counts_are_those_of_drawing_clips_one_by_one():
    rng = np.random.default_rng(1)
    kinds, clips = rng.integers(0, 4, 200), rng.integers(0, 40, 200)
    drawn = resample(kinds, clips, 4, 4000, 0).drawn
    by_clip = np.array([np.bincount(kinds[clips == clip], minlength=4) for clip in np.unique(clips)], float)
    plain = np.array([by_clip[rng.integers(0, len(by_clip), len(by_clip))].sum(axis=0) for _ in range(4000)])
    assert drawn.mean(axis=0) == pytest.approx(plain.mean(axis=0), rel=0.02)
    assert np.cov(drawn.T) == pytest.approx(np.cov(plain.T), abs=6)


def test_intervals_of_kappa_hold_the_truth():
    """Clips whose labels resemble each other: of 200 intervals about 95 % hold the kappa that they were made with."""
    rng = np.random.default_rng(0)
    chance = np.array([0.5, 0.3, 0.2])
    held = 0
    for run in range(200):
        clips = np.repeat(np.arange(80), 3)
        a = rng.choice(3, 80, p=chance)[clips]  # one truth a clip
        same = (rng.random(80) < 0.6)[clips]
        b = np.where(same, a, rng.choice(3, 80, p=chance)[clips])
        kappa = agreement(a, b, clips, NAMES, 200, run).kappa
        held += kappa.low <= 0.6 <= kappa.high
    assert 0.90 <= held / 200 <= 0.99
