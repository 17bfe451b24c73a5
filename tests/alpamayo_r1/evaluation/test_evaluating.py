"""Whole files: read, measured, summed up, compared with labels and with each other."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpamayo_r1.evaluation.comparing import compare
from alpamayo_r1.evaluation.errors import EvaluationError
from alpamayo_r1.evaluation.evaluating import evaluate_files
from alpamayo_r1.evaluation.intervals import means
from alpamayo_r1.evaluation.labels import read_labels
from alpamayo_r1.evaluation.measures import KEYS
from alpamayo_r1.evaluation.measuring import measured
from alpamayo_r1.evaluation.predictions import RawLine
from alpamayo_r1.evaluation.summarising import summarise
from alpamayo_r1.evaluation.worst import furthest, most_contradicted
from builders.agreed import decision, write_run
from builders.predicted import arc, made_up, scene_line, straight_history, write_lines
from coc_labeling.schema import CoCLabel, abstain


def one(clip, speed, cot="Keep the lane and drive on.", **changes):
    """A scene whose driver keeps 10 m/s, and one sample of another speed."""
    return scene_line([arc(speed)], arc(10.0), cot, clip_id=clip, **changes)


def evaluated(tmp_path, *lines, name="own", labels=None):
    return evaluate_files(str(write_lines(tmp_path / name / "predictions.jsonl", lines)), name, labels)


def test_means_are_over_scenes_and_intervals_are_drawn_by_clip():
    values = np.array([[1.0, np.nan], [3.0, 5.0], [8.0, np.nan]])
    whole, part = means(values, np.array([0, 0, 1]))
    assert (whole.value, whole.n, whole.clips) == (4.0, 3, 2)
    assert (whole.low, whole.high) == (2.0, 8.0)  # one clip or the other alone
    assert (part.value, part.n, part.clips, part.low) == (5.0, 1, 1, None)
    assert "one clip" in part.reason
    again = means(values, np.array([0, 0, 1]), resamples=500, seed=7)
    assert again == means(values, np.array([0, 0, 1]), resamples=500, seed=7)


def test_an_interval_of_independent_clips_is_that_of_the_textbook():
    values = np.random.default_rng(0).normal(5.0, 2.0, (400, 1))
    (found,) = means(values, np.arange(400))
    arm = 1.96 * values.std() / 20
    assert (found.low, found.high) == (
        pytest.approx(found.value - arm, abs=0.03),
        pytest.approx(found.value + arm, abs=0.03),
    )
    assert not means(values[:0], np.arange(0))[0].n


def test_scenes_are_sorted_measured_and_summed_up(tmp_path):
    own = evaluated(tmp_path, one("b", 11.0), one("a", 10.0), one("a", 12.0, t0_us=7_000_000))
    assert [scene.key for scene in own.scenes] == [("a", 5_100_000), ("a", 7_000_000), ("b", 5_100_000)]
    assert own.column("min_ade") == pytest.approx([0.0, 6.5, 3.25], abs=1e-4)
    assert own.column("fde") == pytest.approx([0.0, 12.8, 6.4], abs=1e-4)
    assert (len(own), own.clips, own.models, own.shapes) == (3, 2, ["made-up none"], {(1, 1, 64): 3})
    found = summarise(own)
    assert found.total["min_ade"].value == pytest.approx(3.25, abs=1e-4)
    assert found.total["consistent"].value == 1.0
    assert (found.by_decision, found.agreement) == ((), {})
    assert {group.kind for group in found.by_scenario} == {"scene", "speed", "course", "pace"}


def test_bad_and_repeated_lines_are_counted_and_the_others_go_on(tmp_path):
    path = write_lines(tmp_path / "predictions.jsonl", [one("a", 10.0), one("a", 11.0), one("b", 10.0)])
    with path.open("a") as file:
        file.write('{"schema_version": 1}\n' + json.dumps(one("c", 10.0))[:-40])
    own = evaluate_files(str(path), "own", None)
    assert [scene.clip_id for scene in own.scenes] == ["a", "b"]
    assert own.column("fde")[0] == pytest.approx(0.0, abs=1e-3)  # the first of two counts
    failed = own.tally.by_reason["failed"]
    assert set(failed["bad_line"]) == {"predictions.jsonl:4", "predictions.jsonl:5"}
    assert "line 2: clip a at 5100000 us stands in line 1 already" in failed["repeated"]["predictions.jsonl:2"]
    assert own.tally.exit_code(strict=False) == 1


def test_a_file_without_a_good_line_is_an_error_that_names_the_first(tmp_path):
    path = tmp_path / "predictions.jsonl"
    path.write_text("nonsense\n")
    with pytest.raises(EvaluationError, match="line 1"):
        evaluate_files(str(path), "own", None)
    path.write_text("\n")
    with pytest.raises(EvaluationError, match="no scene in it"):
        evaluate_files(str(path), "own", None)


def test_sentences_are_compared_with_the_labels_near_them(tmp_path):
    run = write_run(
        tmp_path / "run",
        {
            ("a", 5_000_000): decision("stop", "keep_lane"),
            ("a", 9_000_000): decision("yield"),
            ("b", 5_100_000): decision(None, "turn", "left"),
            ("c", 5_100_000): CoCLabel(effect_on_ego_behavior="Stop for the red light."),
            ("d", 5_100_000): abstain("no_decision", "reverse"),
            ("e", 9_000_000): decision("stop"),
        },
    )
    labels = read_labels(str(run))
    texts = ["Stop for the red light.", "Turn left."]
    lines = [scene_line([arc(), arc()], arc(), texts, clip_id=clip) for clip in "abcdef"]
    own = evaluated(tmp_path, *lines, labels=labels)
    names = [None if label is None else tuple(label.names.values()) for label in own.labels]
    assert names == [("stop", "keep_lane"), ("none", "turn left"), ("stop", "keep_lane"), None, None, None]
    assert own.column("longitudinal_agrees")[:3].tolist() == [0.5, 0.5, 0.5]
    assert own.column("lateral_agrees")[:3].tolist() == [0.5, 0.5, 0.5]
    assert np.isnan(own.column("lateral_agrees")[3:]).all()
    found = summarise(own)
    assert {(group.kind, group.name): group.scenes for group in found.by_decision} == {
        ("decision on speed", "stop"): 2,
        ("decision on speed", "none"): 1,
        ("decision on the lane", "keep_lane"): 2,
        ("decision on the lane", "turn left"): 1,
    }
    assert found.agreement["longitudinal"].raw.value == 0.5
    assert found.agreement["longitudinal"].kappa.value == pytest.approx(0.0)
    assert found.agreement["lateral with direction"].raw.n == 6


def test_sentences_that_cannot_be_read_agree_with_nothing(tmp_path):
    run = write_run(tmp_path / "run", {("a", 5_100_000): decision(None, "turn", "left")})
    lines = [scene_line([arc(), arc()], arc(), ["", "Turn left."], clip_id="a")]
    own = evaluated(tmp_path, *lines, labels=read_labels(str(run)))
    assert own.column("longitudinal_agrees").tolist() == [0.5], "a label without a decision on speed is no empty answer"
    assert summarise(own).agreement["longitudinal"].raw.n == 1
    empty = evaluated(tmp_path, scene_line([arc()], arc(), "", clip_id="a"), labels=read_labels(str(run)))
    assert empty.column("longitudinal_agrees").tolist() == [0.0]
    assert summarise(empty).agreement == {}


def test_models_are_compared_scene_by_scene(tmp_path):
    base = evaluated(tmp_path, *(one(clip, 12.0) for clip in "abcdef"), name="base")
    other = evaluated(tmp_path, *(one(clip, 11.0 + n / 10) for n, clip in enumerate("bcdefg")), name="other")
    found = compare(base, other)
    assert (found.scenes, found.clips, found.only_base, found.only_other, found.notices) == (5, 5, 1, 1, ())
    assert found.differences["min_ade"].value == pytest.approx(-2.6, abs=1e-3)
    assert (found.verdict("min_ade"), found.verdict("unclear"), found.verdict("corner_distance")) == (
        "better",
        "",
        "better",
    )
    assert compare(other, base).verdict("min_ade") == "worse"
    assert {compare(base, base).verdict(key) for key in KEYS} == {""}
    several = evaluated(tmp_path, scene_line([arc(), arc()], arc(), clip_id="a"), name="several")
    assert "base has 1 x 1 samples and several 1 x 2 samples" in compare(base, several).notices[0]
    with pytest.raises(EvaluationError, match="no scene in common"):
        compare(base, evaluated(tmp_path, one("z", 10.0), name="z"))


def test_worst_scenes_are_found_and_read_again(tmp_path):
    lines = [one("a", 10.0), one("b", 14.0, "Stop for the red light."), one("c", 12.0)]
    lines.append(scene_line([arc(20.0)], (arc(10.0)[0][:20], arc(10.0)[1][:20]), clip_id="d"))  # 2 s were driven
    lines.append(scene_line([arc(20.0)], None, clip_id="e"))
    own = evaluated(tmp_path, *lines)
    assert [worst.result.clip_id for worst in furthest(own, 3)] == [
        "b",
        "c",
        "d",
    ]  # each by the longest horizon that was driven
    (against,) = most_contradicted(own)
    assert (against.scene.clip_id, against.judged[0].fit) == ("b", "contradicted")


def test_real_drives_are_evaluated(tmp_path):
    lines = list(made_up("comma2k19"))
    turned = [line | {"clip_id": f"{line['clip_id']}-{n}"} for n, line in enumerate(lines)]
    own = evaluated(tmp_path, *turned)
    assert len(own) == len(lines) > 2
    column = own.column("min_ade@3")
    assert (column <= own.column("ade") + 1e-9).all()
    assert (own.column("min_ade@0.5") < 1.0).all()
    assert np.allclose(
        own.column("consistent") + own.column("contradicted") + own.column("unclear") + own.column("unreadable"), 1
    )


def test_the_history_of_who_stands_makes_no_trouble(tmp_path):
    stood = (np.zeros((64, 2)), np.zeros(64))
    line = scene_line([stood, arc(0.0, accel=1.0)], stood, "Wait for the red light.", history=straight_history(0.0))
    own = evaluated(tmp_path, line)
    assert own.column("min_ade")[0] == 0.0
    assert own.scenes[0].scenario["pace"] == "stands"
    assert own.scenes[0].fits[0] == "consistent"


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.floats(0.0, 1000.0),
    st.integers(10, 70),
    st.integers(2, 20),
    st.integers(0, 70),
    st.sampled_from(
        ["Turn left and stop.", "Nudge right, then accelerate.", "Reverse.", "", "Change lane to the left."]
    ),
)
def test_whatever_is_predicted_is_measured(seed, size, steps, history, driven, sentence):
    random = np.random.default_rng(seed)
    walks = [(random.normal(0, size, (n, 2)), random.normal(0, 3, n)) for n in (steps, steps, driven, history)]
    line = scene_line(walks[:2], walks[2], sentence, history=walks[3][0] - walks[3][0][-1])
    found = measured(RawLine("predictions.jsonl", 1, json.dumps(line).encode()))
    assert all(np.isfinite(value) for value in found.values.values())
    assert set(found.values) <= set(KEYS)
