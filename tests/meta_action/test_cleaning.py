import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.golden import GOLDEN
from meta_action.cleaning import clean
from meta_action.names import BY_FILE_NAME, LATERAL, LONGITUDINAL

SEC = 0.1


def segments(*parts: tuple[int, str]) -> list:
    """Return consecutive segments from (ticks, name)."""
    at, result = 0, []
    for ticks, name in parts:
        result.append((at * SEC, ticks * SEC, name))
        at += ticks
    return result


def cleaned(axis: str, *parts: tuple[int, str]) -> list[tuple[int, int, str]]:
    return [(round(s / SEC), round(d / SEC), name) for s, d, name in clean(segments(*parts), axis)]


def test_neighbours_of_one_name_are_joined():
    assert cleaned(LATERAL, (20, "steer_left"), (30, "steer_left")) == [(0, 50, "steer_left")]


def test_a_short_segment_between_two_of_one_name_goes_to_the_first_with_the_second():
    assert cleaned(LATERAL, (20, "steer_left"), (5, "go_straight"), (20, "steer_left")) == [(0, 45, "steer_left")]


def test_a_short_segment_between_two_names_is_halved():
    assert cleaned(LATERAL, (20, "steer_left"), (6, "go_straight"), (20, "steer_right")) == [
        (0, 23, "steer_left"),
        (23, 23, "steer_right"),
    ]


def test_a_short_first_segment_goes_to_the_next_and_a_short_last_one_to_the_previous():
    assert cleaned(LATERAL, (5, "steer_left"), (20, "go_straight")) == [(0, 25, "go_straight")]
    assert cleaned(LATERAL, (20, "go_straight"), (5, "steer_left")) == [(0, 25, "go_straight")]


def test_a_short_segment_alone_stays():
    assert cleaned(LATERAL, (5, "steer_left")) == [(0, 5, "steer_left")]


@pytest.mark.parametrize(
    ("axis", "name", "ticks"),
    [(LONGITUDINAL, "stop", 8), (LONGITUDINAL, "maintain_speed", 12), (LATERAL, "steer_left", 10)],
)
def test_the_shortest_durations_of_each_axis(axis, name, ticks):
    other = "reverse" if axis == LONGITUDINAL else "go_straight"
    assert len(cleaned(axis, (30, other), (ticks, name))) == 2
    assert len(cleaned(axis, (30, other), (ticks - 1, name))) == 1


def exact(seconds: float) -> float:
    return round(seconds / SEC) * SEC


def name_of(segment: dict) -> str:
    return BY_FILE_NAME[segment["caption"]].name


NAMES = st.sampled_from(["steer_left", "steer_right", "go_straight"])


@given(st.lists(st.tuples(st.integers(1, 30), NAMES), min_size=1, max_size=30))
def test_nothing_is_lost_overlaps_or_stays_short(parts):
    result = clean(segments(*parts), LATERAL)
    total = sum(ticks for ticks, _ in parts) * SEC
    assert result[0][0] == pytest.approx(0.0, abs=1e-9)
    assert sum(duration for _, duration, _ in result) == pytest.approx(total)
    for (start, duration, name), (following, _, other) in pairwise(result):
        assert start + duration == pytest.approx(following)
        assert name != other
    if len(result) > 1:
        assert min(duration for _, duration, _ in result) > 10 * SEC - 1e-9


@pytest.mark.parametrize("path", sorted((GOLDEN / "segments").glob("*.json")), ids=lambda path: path.stem)
@pytest.mark.parametrize("axis", [LONGITUDINAL, LATERAL])
def test_golden_cleaning(path, axis):
    golden = json.loads(path.read_text())
    before = golden[f"{axis}_before_clean"]  # its times are rounded; the rule works on ticks * 0.1
    result = clean([(exact(s["segment_start_time"]), exact(s["duration"]), name_of(s)) for s in before], axis)
    after = golden[f"{axis}_after_clean"]
    assert [name for _, _, name in result] == [name_of(s) for s in after]
    assert [start for start, _, _ in result] == pytest.approx([s["segment_start_time"] for s in after])
    assert [duration for _, duration, _ in result] == pytest.approx([s["duration"] for s in after])
