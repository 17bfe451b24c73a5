import numpy as np
import pytest

from builders.checked import checked, lane, mirrored_label, mirrored_scene, said, verdicts
from builders.driving import drive
from builders.scenes import braking


def steering(t, start, seconds, rate):
    return np.where((t >= start) & (t < start + seconds), rate, 0.0)


STRAIGHT = drive(speed=14.0)
LEFT_CHANGE = drive(speed=14.0, yaw_rate=lambda t: steering(t, 8.5, 2.0, 0.06) - steering(t, 10.5, 2.0, 0.06))
LEFT_TURN = drive(speed=6.0, yaw_rate=lambda t: steering(t, 8.5, 4.0, 0.38))
STOPPING = braking(to_mps=0.0, by=3.5)
SLOWING = braking(to_mps=5.0)

CASES = [
    ("Do not change lanes because of the truck ahead.", LEFT_CHANGE, "contradicted"),
    ("Do not change lanes to the left.", LEFT_CHANGE, "contradicted"),
    ("Do not change lanes because of the truck ahead.", STRAIGHT, "supported"),
    ("Do not turn left at the junction.", LEFT_TURN, "contradicted"),
    ("Do not turn left at the junction.", STRAIGHT, "supported"),
    ("Slow down without stopping.", STOPPING, "contradicted"),
    ("Slow down without stopping.", SLOWING, "supported"),
]


@pytest.mark.parametrize(("sentence", "d", "verdict"), CASES)
def test_what_ego_is_said_not_to_do(sentence, d, verdict):
    label = said(sentence)
    assert verdicts(checked(label, d, 83), "refused") == [verdict]
    assert verdicts(checked(mirrored_label(label), mirrored_scene(d, None)[0], 83), "refused") == [verdict]


def test_what_ego_is_said_not_to_do_and_does_is_no_low_risk():
    assert checked(said("Do not change lanes because of the truck ahead."), LEFT_CHANGE, 83).risk.status != "low"
    assert checked(said("Slow down without stopping."), STOPPING, 83).risk.status != "low"


def test_a_lane_change_to_the_other_side_is_not_the_one_refused():
    assert verdicts(checked(said("Do not change lanes to the right."), LEFT_CHANGE, 83), "refused") != ["contradicted"]


def test_what_is_refused_and_done_as_well_is_left_to_the_other_checks():
    label = said("Do not change lanes.", lateral=lane("change_lane", "left"))
    assert verdicts(checked(label, LEFT_CHANGE, 83), "refused") == []
