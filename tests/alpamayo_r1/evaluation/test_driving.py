"""Off path, comfort and variety: by hand, and as invariants."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpamayo_r1.evaluation import comfort
from alpamayo_r1.evaluation.comfort import comfort_measures, dynamics
from alpamayo_r1.evaluation.corridor import HALF_WIDTH_M, off_path
from alpamayo_r1.evaluation.diversity import diversity_measures
from builders.predicted import arc, straight_history


def beside(metres, speed=10.0):
    xy, _ = arc(speed)
    return (xy + np.array([0.0, metres]))[None]


@pytest.mark.parametrize(("metres", "leaves"), [(0.0, 0.0), (HALF_WIDTH_M - 0.01, 0.0), (-HALF_WIDTH_M - 0.01, 1.0)])
def test_the_corridor_reaches_half_a_lane_to_each_side(metres, leaves):
    found, judged = off_path(beside(metres), straight_history(), arc(10.0)[0])
    assert (found.tolist(), judged) == ([leaves], 1.0)


def test_who_is_faster_or_slower_stays_in_the_corridor_and_past_its_end_nothing_is_judged():
    driven = arc(8.0, curvature=0.02)[0]
    slow, fast = (arc(speed, curvature=0.02)[0] for speed in (4.0, 16.0))
    leaves, judged = off_path(np.stack([slow, fast]), straight_history(8.0), driven)
    assert leaves.tolist() == [0.0, 0.0]
    assert judged == pytest.approx(0.75, abs=0.02)


def test_a_turn_that_was_not_driven_leaves_the_corridor():
    straight, turn = arc(6.0)[0], arc(6.0, curvature=0.1)[0]
    assert off_path(turn[None], straight_history(6.0), straight)[0].tolist() == [1.0]
    assert off_path(straight[None], straight_history(6.0), turn)[0].tolist() == [1.0]


def test_where_nobody_drives_only_what_lies_beside_is_judged():
    stood = np.zeros((64, 2))
    leaves, judged = off_path(arc(5.0)[0][None], np.zeros((16, 2)), stood)
    assert (leaves.tolist(), judged) == ([0.0], 0.0)


@given(st.floats(-3.0, 3.0), st.floats(-0.05, 0.05))
def test_the_corridor_turns_with_the_world(angle, curvature):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    own, history, driven = arc(9.0, curvature)[0][None], straight_history(9.0), arc(9.0)[0]
    before, after = off_path(own, history, driven), off_path(own @ turn.T, history @ turn.T, driven @ turn.T)
    assert (after[0].tolist(), after[1]) == (before[0].tolist(), pytest.approx(before[1], abs=0.02))


def test_acceleration_along_and_across_and_jerk_are_measured():
    xy, yaw = arc(10.0, accel=1.5)
    felt = dynamics(xy[None], yaw[None])
    assert felt.along_mps2 == pytest.approx(1.5, abs=1e-6)
    assert felt.jerk_mps3 == pytest.approx(0.0, abs=1e-4)
    xy, yaw = arc(10.0, curvature=-0.03)
    assert dynamics(xy[None], yaw[None]).across_mps2 == pytest.approx(-3.0, abs=0.01)


def test_a_growing_acceleration_is_its_jerk():
    t = np.arange(65) * 0.1
    xy = np.stack([5 * t + 0.5 * t**3 / 3, np.zeros(65)], axis=1)[1:]
    assert dynamics(xy[None], np.zeros((1, 64))).jerk_mps3 == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("drive", "beyond"),
    [
        ({"speed": 10.0}, None),
        ({"speed": 5.0, "accel": 2.3}, None),
        ({"speed": 5.0, "accel": 2.5}, "accel"),
        ({"speed": 40.0, "accel": -4.0}, None),
        ({"speed": 40.0, "accel": -4.2}, "accel"),
        ({"speed": 10.0, "curvature": 0.048}, None),
        ({"speed": 10.0, "curvature": 0.05}, "lateral"),
    ],
)
def test_limits(drive, beyond):
    xy, yaw = arc(**drive)
    found = comfort_measures(xy[None], yaw[None])
    assert {name for name in ("accel", "lateral", "jerk") if found[f"beyond_{name}"]} == ({beyond} - {None})
    assert found["uncomfortable"] == float(beyond is not None)


def test_a_jolt_is_beyond_the_limit_of_jerk_and_rounding_is_not():
    t = np.arange(65) * 0.1
    jolt = np.where(t < 3.0, 12 * t, 36 + 12 * (t - 3) - 2 * (t - 3) ** 2)  # from 0 to -4 m/s^2 at once
    found = comfort_measures(np.stack([jolt, 0 * t], axis=1)[None, 1:], np.zeros((1, 64)))
    assert (found["beyond_jerk"], found["beyond_accel"]) == (1.0, 0.0)
    xy, yaw = arc(13.37)
    assert comfort_measures(xy.round(3)[None], yaw.round(3)[None])["max_jerk"] < comfort.MOST_JERK_MPS3 / 10


@given(st.integers(10, 64), st.floats(0.0, 20.0), st.floats(-0.05, 0.05))
def test_short_predictions_are_measured_too(steps, speed, curvature):
    xy, yaw = arc(speed, curvature, steps=steps)
    assert comfort_measures(xy[None], yaw[None])["max_accel"] == pytest.approx(0.0, abs=1e-6)


def test_headings_that_wrap_are_one_turn():
    xy, yaw = arc(8.0, curvature=0.09)
    wrapped = (yaw + np.pi) % (2 * np.pi) - np.pi
    assert comfort_measures(xy[None], wrapped[None]) == pytest.approx(comfort_measures(xy[None], yaw[None]))


def test_variety_by_hand():
    straight = arc(10.0)[0]
    found = diversity_measures(
        np.stack([straight, straight + np.array([0.0, 2.0])]), ["Stop  now.", "stop now."], ["stop", "stop"]
    )
    assert found == {
        "distinct_sentences": 0.5,
        "distinct_decisions": 1.0,
        "end_spread": pytest.approx(1.0),
        "pairwise_ade": pytest.approx(2.0),
    }
    assert diversity_measures(straight[None], ["Stop."], ["stop"]) == {}
