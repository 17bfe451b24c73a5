import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.driving import drive
from builders.golden import GOLDEN, trajectories
from meta_action.segments import Segments, _sums, _with_hysteresis, cut, lateral_segments, longitudinal_segments
from meta_action.signals import compute_signals

GOLDEN_SEGMENTS = sorted((GOLDEN / "segments").glob("*.json"))


def slow_hysteresis(values, threshold):
    states = [values[0] >= threshold]
    for value in values[1:]:
        high, low = threshold * 1.15, threshold * 0.85
        if threshold < 0:
            high, low = low, high
        states.append(value >= low if states[-1] else value >= high)
    return states


def slow_cut(states):
    starts, current, i = [0], states[0], 1
    while i < len(states):
        if states[i] != current:
            if len(states) - i <= 3:
                break
            starts.append(i)
            current = states[i]
            i += 3
        else:
            i += 1
    return starts


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=60), st.sampled_from([0.1, -0.1, 1.25, -1.25]))
def test_hysteresis_is_that_of_the_rule_tick_by_tick(values, threshold):
    assert _with_hysteresis(np.array([values]), threshold)[0].tolist() == slow_hysteresis(values, threshold)


@given(st.binary(min_size=1, max_size=80).map(lambda raw: bytes(b % 3 for b in raw)))
def test_cuts_are_those_of_the_rule(states):
    assert cut(states) == slow_cut(states)


def test_the_last_three_ticks_are_never_cut_off():
    assert cut(bytes([0] * 10 + [1] * 3)) == [0]
    assert cut(bytes([0] * 10 + [1] * 4)) == [0, 10]


@given(st.integers(0, 10_000))
def test_sums_are_to_the_bit_those_of_each_slice(seed):
    random = np.random.default_rng(seed)
    ticks = int(random.integers(2, 202))
    values = random.normal(size=(int(random.integers(1, 6)), ticks)) * 10.0 ** random.integers(-8, 4)
    clips, starts, ends = [], [], []
    for clip in range(len(values)):
        bounds = np.unique(np.concatenate([[0, ticks], random.integers(0, ticks, int(random.integers(0, 12)))]))
        clips += [clip] * (len(bounds) - 1)
        starts += bounds[:-1].tolist()
        ends += bounds[1:].tolist()
    segments = Segments(np.array(clips), np.array(starts), np.array(ends))
    expected = [np.add.reduce(values[c, s:e]) for c, s, e in zip(clips, starts, ends, strict=True)]
    assert _sums(values, segments).tobytes() == np.array(expected).tobytes()


def segments_of(d, axis=longitudinal_segments):
    return axis(compute_signals(*(getattr(d, name)[None] for name in ("x", "y", "yaw", "vx", "vy"))))


@pytest.mark.parametrize(
    ("name", "speed"),
    [
        ("reverse", -1.0),
        ("stop", 0.05),
        ("maintain_speed", 10.0),
        ("gentle_acceleration", lambda t: 2.0 + 0.8 * t),
        ("strong_acceleration", lambda t: 2.0 + 2.0 * t),
        ("gentle_deceleration", lambda t: 30.0 - 0.8 * t),
        ("strong_deceleration", lambda t: 50.0 - 2.0 * t),
    ],
)
def test_longitudinal_names(name, speed):
    assert segments_of(drive(speed=speed)).name == [name]


@pytest.mark.parametrize(
    ("name", "speed", "yaw_rate"),
    [
        ("go_straight", 10.0, 0.0),
        ("steer_left", 10.0, 0.05),
        ("steer_right", 10.0, -0.05),
        ("sharp_steer_left", 4.0, 0.4),
        ("sharp_steer_right", 4.0, -0.4),
        ("reverse_left", -2.0, 0.05),
        ("reverse_right", -2.0, -0.05),
    ],
)
def test_lateral_names(name, speed, yaw_rate):
    d = drive(speed=speed, yaw_rate=yaw_rate)
    assert segments_of(d, lateral_segments).name == [name]


@pytest.mark.parametrize("path", GOLDEN_SEGMENTS, ids=lambda path: path.stem)
@pytest.mark.parametrize(("axis", "find"), [("longitudinal", longitudinal_segments), ("lateral", lateral_segments)])
def test_golden_segments_before_cleaning(path, axis, find):
    expected = json.loads(path.read_text())[f"{axis}_before_clean"]
    found = find(compute_signals(*(column[None] for column in trajectories()[path.stem].T)))
    assert [name.title().replace("_", "") for name in found.name] == [segment["caption"] for segment in expected]
    np.testing.assert_allclose(found.start * 0.1, [s["segment_start_time"] for s in expected], atol=1e-9)
    np.testing.assert_allclose((found.end - found.start) * 0.1, [s["duration"] for s in expected], atol=1e-9)
