import numpy as np
import pytest

from builders.checked import checked, lane, said, speed, verdicts
from builders.driving import drive
from builders.scenes import braking

STANDING = drive(speed=0.0)


def steering(t, start, seconds, rate):
    return np.where((t >= start) & (t < start + seconds), rate, 0.0)


def left_change(from_sec, seconds=4.0):
    half = seconds / 2
    rate = 0.24 / seconds
    return drive(
        speed=14.0,
        yaw_rate=lambda t: steering(t, from_sec, half, rate) - steering(t, from_sec + half, half, rate),
    )


@pytest.mark.parametrize(
    ("sentence", "verdict"),
    [
        ("Come to a stop for the red light.", ["contradicted"]),
        ("Stop and wait for the red light.", []),
        ("Remain stopped at the red light.", []),
    ],
)
def test_a_stop_of_who_has_been_standing_for_long(sentence, verdict):
    found = checked(said(sentence), STANDING, 80)
    assert verdicts(found, "timing") == verdict
    assert verdicts(found, "stop") == ["supported"]
    assert (found.risk.status == "low") == (not verdict)


def test_who_stands_only_just_and_who_drives_on_to_the_next_stop_may_stop():
    just = braking(to_mps=0.0, by=13.0, at=6.7)
    creeping = drive(speed=lambda t: np.where((t > 9) & (t < 12), 2.0, 0.0))
    for d in (just, creeping):
        assert verdicts(checked(said("Come to a stop for the red light."), d, 80), "timing") != ["contradicted"]


def test_a_decision_without_words_on_it_does_not_say_that_ego_comes_to_a_stop():
    label = said("See the light.", longitudinal=speed("stop"))
    assert verdicts(checked(label, STANDING, 80), "timing") == []


@pytest.mark.parametrize(("from_sec", "verdict"), [(8.5, "supported"), (10.5, "supported"), (5.2, "contradicted")])
def test_when_a_lane_change_begins(from_sec, verdict):
    label = said("Change lane to the left.", lateral=lane("change_lane", "left"))
    assert verdicts(checked(label, left_change(from_sec), 83), "timing") == [verdict]


def test_a_lane_change_to_the_other_side_is_not_the_one_meant():
    assert verdicts(checked(said("Change lane to the right."), left_change(8.5), 83), "timing") == []
