import numpy as np
import pytest

from builders.driving import drive
from builders.scenes import window_at
from coc_labeling.scene import find_bend, find_stop

CRUISE = drive(speed=10.0)


@pytest.mark.parametrize(("rate", "side"), [(0.1, "left"), (-0.1, "right")])
def test_a_curve_has_a_side_and_a_radius(rate, side):
    bend = find_bend(window_at(drive(speed=10.0, yaw_rate=rate), 50))
    assert bend.side == side
    assert bend.radius_m == pytest.approx(100.0, rel=0.02)
    assert not bend.is_turn


def test_a_curve_further_on_says_when_it_starts():
    bend = find_bend(window_at(drive(speed=10.0, yaw_rate=lambda t: 0.2 * (t > 13)), 100))
    assert bend.starts_in_sec == pytest.approx(3.7, abs=0.11)


def test_ninety_degrees_are_a_turn():
    d = drive(speed=5.0, yaw_rate=lambda t: np.pi / 2 / 4 * ((t > 10) & (t <= 14)))
    bend = find_bend(window_at(d, 95))
    assert bend.is_turn
    assert bend.turn_rad == pytest.approx(np.pi / 2, abs=0.05)


def test_a_heading_that_passes_pi_is_no_jump():
    d = drive(speed=10.0, yaw_rate=lambda t: np.where(t < 8, -0.39, 0.05))
    assert find_bend(window_at(d, 100)).turn_rad == pytest.approx(0.6, abs=0.05)


def test_a_straight_road_has_no_bend():
    assert find_bend(window_at(CRUISE, 100)) is None


@pytest.mark.parametrize(("frame", "seconds"), [(100, 2.0), (119, 0.1), (130, 0.0), (59, None), (60, 6.0)])
def test_a_stop_is_told_with_its_time(frame, seconds):
    d = drive(speed=lambda t: np.where(t < 11.95, 5.0, 0.0))
    found = find_stop(window_at(d, frame))
    assert found == (None if seconds is None else pytest.approx(seconds))
