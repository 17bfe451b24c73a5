"""Checkpoints against each other: differences in total and by group, their order, and their steps."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpamayo_r1.evaluation.comparing import NO_DIFFERENCE, compare, mean_differences
from alpamayo_r1.evaluation.evaluating import evaluate_files
from alpamayo_r1.evaluation.labels import read_labels
from alpamayo_r1.evaluation.measures import KEYS
from alpamayo_r1.evaluation.steps import step_of, steps_of
from alpamayo_r1.evaluation.worst import most_worsened
from builders.agreed import decision, write_run
from builders.predicted import arc, scene_line, write_lines

SAID = ["Turn left at the junction.", "Stop for the red light.", "Keep the lane and drive on.", ""]


def evaluated(folder, name, lines, labels=None):
    return evaluate_files(str(write_lines(folder / name / "predictions.jsonl", lines)), name, labels)


def drives(seed, clips=6, spread=0.02):
    """Two scenes a clip: one that goes on and one that brakes, each with three samples and sentences."""
    random = np.random.default_rng(seed)
    lines = []
    for number in range(clips):
        for t0_us, driven in ((5_100_000, arc(10.0)), (9_000_000, arc(10.0, accel=-2.0))):
            samples = [arc(10.0, random.normal(0, spread), random.normal(0, 1)) for _ in range(3)]
            said = [str(text) for text in random.choice(SAID, 3)]
            lines.append(scene_line(samples, driven, said, clip_id=f"clip{number}", t0_us=t0_us))
    return lines


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    moments = {(f"clip{n}", 5_100_000): decision("stop" if n % 2 else "yield", "keep_lane") for n in range(5)}
    labels = read_labels(str(write_run(folder / "run", moments)))
    return tuple(evaluated(folder, name, drives(seed), labels) for name, seed in (("early", 0), ("late", 1)))


def all_differences(comparison):
    yield from comparison.differences.items()
    for group in (*comparison.by_scenario, *comparison.by_decision):
        yield from group.measures.items()


def test_a_model_against_itself_is_exactly_0_everywhere(pair):
    found = compare(pair[0], pair[0])
    known = [own for _, own in all_differences(found) if own.n]
    assert len(known) > 100
    assert {(own.value, own.low, own.high, own.reason) for own in known} == {(0.0, 0.0, 0.0, NO_DIFFERENCE)}
    assert {found.verdict(key) for key in KEYS} == {""}


def test_swapped_models_flip_the_sign(pair):
    there, back = (compare(*models) for models in (pair, pair[::-1]))
    turned = {"": "", "better": "worse", "worse": "better"}
    for (key, own), (other_key, other) in zip(all_differences(there), all_differences(back), strict=True):
        assert (key, own.n, own.clips) == (other_key, other.n, other.clips)
        if own.value is not None:
            assert own.value == pytest.approx(-other.value)
        if own.low is not None:
            assert (own.low, own.high) == (pytest.approx(-other.high), pytest.approx(-other.low))
    assert [back.verdict(key) for key in KEYS] == [turned[there.verdict(key)] for key in KEYS]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 5))
def test_mean_differences_are_odd(seed, scenes, clips):
    random = np.random.default_rng(seed)
    values = np.where(random.random((scenes, 3)) < 0.3, np.nan, random.integers(-2, 3, (scenes, 3)) / 2)
    clip = random.integers(0, clips, scenes)
    for own, other in zip(mean_differences(values, clip), mean_differences(-values, clip), strict=True):
        ends = [math.nan if x is None else x for x in (own.value, own.low, own.high)]
        others = [math.nan if x is None else -x for x in (other.value, other.high, other.low)]
        assert ends == pytest.approx(others, nan_ok=True)


def test_a_constant_difference_of_few_scenes_has_no_interval():
    (found,) = mean_differences(np.ones((3, 1)), np.arange(3))
    assert (found.value, found.low) == (1.0, None)


def test_groups_tell_where_a_checkpoint_is_better(tmp_path):
    """The late one brakes as the driver did, and is worse where the driver went on."""
    clips = range(24)

    def lines(*accels, wobble):
        random = np.random.default_rng(wobble)
        for n in clips:
            for t0_us, wanted, accel in zip((5_100_000, 9_000_000), (0.0, -2.0), accels, strict=True):
                sample = arc(10.0, accel=accel + random.normal(0, 0.05))
                yield scene_line([sample], arc(10.0, accel=wanted), clip_id=f"clip{n:02}", t0_us=t0_us)

    run = write_run(tmp_path / "run", {(f"clip{n:02}", 9_000_000): decision("stop", "keep_lane") for n in clips})
    labels = read_labels(str(run))
    early = evaluated(tmp_path, "early", lines(0.0, 0.0, wobble=0), labels)
    late = evaluated(tmp_path, "late", lines(-1.0, -2.0, wobble=1), labels)
    found = compare(early, late)
    ade = {(group.kind, group.name): group.measures["ade"] for group in (*found.by_scenario, *found.by_decision)}
    assert ade["pace", "stops"].high < 0.0 < ade["pace", "keeps its speed"].low
    assert ade["decision on speed", "stop"] == ade["pace", "stops"]
    assert {(group.scenes, group.clips) for group in found.by_decision} == {(24, 24)}
    worsened = most_worsened(early, late, 30)
    assert len(worsened) == 24
    assert {one.result.t0_us for one in worsened} == {5_100_000}
    grown = [one.result.values["ade"] for one in worsened]
    assert grown[0] > grown[-1] > 5.0
    assert worsened[0].note.startswith("ADE of early: 0.")
    assert most_worsened(early, early) == []


def test_steps_are_read_from_folders():
    assert step_of("out/step_000500/predictions") == 500
    assert step_of("checkpoints/step_000100/checkpoint-7") == 7
    assert step_of("out/stepped_on") is step_of("step_" + "9" * 13) is None
    assert steps_of(["step_000200", "step_000100"]) == [200, 100]
    assert steps_of(["step_000200"]) is steps_of(["step_1", "b"]) is steps_of(["a/step_1", "b/step_1"]) is None
