"""The comparison with and without reasoning: paired, and told honestly."""

import numpy as np
import pytest
from benchmarks.cot_ablation import compare, paired_interval, report
from benchmarks.small_world.recipe import QUICK
from benchmarks.small_world.world import Cause


def results_of(difference):
    """Return scores of two seeds and eight moments; with reasoning they are ``difference`` m worse."""
    found = {}
    for arm, extra in (("with", difference), ("without", 0.0)):
        found[arm] = [
            [
                {
                    "clip_id": f"m{number}",
                    "cause": list(Cause)[number % 4],
                    "min_ade_m": 1.0 + number + seed + extra,
                    "ade_m": 2.0,
                    "off_path": 0.0,
                    "right": 1.0 if arm == "with" else 0.0,
                }
                for number in np.random.default_rng(seed).permutation(8).tolist()
            ]
            for seed in range(2)
        ]
    return found


def test_moments_are_paired_by_name_so_that_a_steady_difference_has_no_width():
    found = compare(results_of(-0.25), "min_ade_m", None)
    assert (found.low, found.high) == pytest.approx((-0.25, -0.25))
    assert found.with_cot - found.without_cot == pytest.approx(-0.25)


def test_who_writes_nothing_has_no_accuracy():
    found = compare(results_of(0.0), "right", Cause.CLEAR_ROAD)
    assert found.with_cot == 1.0
    assert found.without_cot is found.low is found.high is None


def test_the_interval_covers_seeds_and_moments():
    random = np.random.default_rng(0)
    differences = random.normal(0.0, 1.0, (5, 1)) + random.normal(0.0, 0.1, (5, 100))
    low, high = paired_interval(differences, random)
    assert low < differences.mean() < high
    assert high - low > 0.5  # seeds differ, however many moments there are


def test_the_report_says_what_it_is_no_evidence_of():
    text = report(results_of(0.1), QUICK)
    assert "no evidence about roads" in text
    assert "| all | minADE (m) |" in text
    assert text.count("+0.100 (+0.100 to +0.100)") == 1 + len(Cause)
