import numpy as np
import pytest

from builders.checked import SIDES, checked, contradictions, lane, mirrored_label, mirrored_scene, said, verdicts
from builders.driving import drive
from builders.scenes import boxes, together
from coc_labeling.schema import CoCLabel

STRAIGHT = drive(speed=10.0)


def steering(t, start, seconds, rate):
    return np.where((t >= start) & (t < start + seconds), rate, 0.0)


LEFT_TURN = drive(speed=6.0, yaw_rate=lambda t: steering(t, 8.5, 4.0, 0.38))
RIGHT_CURVE = drive(speed=12.0, yaw_rate=lambda t: steering(t, 8.5, 5.0, -0.06))
LEFT_CHANGE = drive(speed=14.0, yaw_rate=lambda t: steering(t, 8.5, 2.0, 0.06) - steering(t, 10.5, 2.0, 0.06))
IN_A_CURVE = drive(speed=14.0, yaw_rate=lambda t: 0.04 + steering(t, 8.5, 2.0, 0.06) - steering(t, 10.5, 2.0, 0.06))
ON_A_BENDING_ROAD = drive(
    speed=14.0,
    yaw_rate=lambda t: 0.1 * np.sin(0.5 * t) + steering(t, 8.5, 2.0, 0.06) - steering(t, 10.5, 2.0, 0.06),
)


def both(label: CoCLabel, d):
    """Yield what is found of a label and a drive, and of both in the mirror."""
    yield checked(label, d, 83)
    yield checked(mirrored_label(label), mirrored_scene(d, None)[0], 83)


@pytest.mark.parametrize(
    ("sentence", "d", "check", "verdict"),
    [
        ("Turn left at the junction.", LEFT_TURN, "turn", "supported"),
        ("Turn left at the junction.", LEFT_TURN, "direction", "supported"),
        ("Turn right at the junction.", LEFT_TURN, "direction", "contradicted"),
        ("Turn left at the junction.", STRAIGHT, "turn", "contradicted"),
        ("Turn right at the junction.", RIGHT_CURVE, "turn", "contradicted"),
        ("Change lane to the left.", LEFT_CHANGE, "lane", "supported"),
        ("Change lane to the left.", LEFT_CHANGE, "direction", "supported"),
        ("Change lane to the right.", LEFT_CHANGE, "direction", "contradicted"),
        ("Change lane to the left.", STRAIGHT, "lane", "contradicted"),
        ("Change lane to the left.", IN_A_CURVE, "lane", "supported"),
        ("Change lane to the left.", LEFT_TURN, "lane", "contradicted"),
        ("Nudge left around the parked van.", STRAIGHT, "lane", "contradicted"),
        ("Drive on.", LEFT_CHANGE, "unmentioned", "contradicted"),
        ("Drive on.", LEFT_TURN, "unmentioned", "contradicted"),
        ("Slow down for the left curve.", RIGHT_CURVE, "bend", "contradicted"),
        ("Slow down for the right curve.", RIGHT_CURVE, "bend", "supported"),
    ],
)
def test_claims_on_the_lane_and_their_mirror_images(sentence, d, check, verdict):
    assert [verdicts(found, check) for found in both(said(sentence), d)] == [[verdict]] * 2


@pytest.mark.parametrize("side", SIDES)
def test_a_direction_of_the_structure_counts_like_one_of_the_sentence(side):
    label = said("Cross the junction.", lateral=lane("turn", side))
    assert verdicts(checked(label, LEFT_TURN, 83), "direction") == ["supported" if side == "left" else "contradicted"]


@pytest.mark.parametrize(("d", "verdict"), [(STRAIGHT, "supported"), (LEFT_CHANGE, "contradicted")])
def test_keeping_the_lane(d, verdict):
    assert [verdicts(found, "lane") for found in both(said("Drive.", lateral=lane("keep_lane")), d)] == [[verdict]] * 2


def test_a_lane_change_that_is_mentioned_is_not_missed():
    assert verdicts(checked(said("Merge left."), LEFT_CHANGE, 83), "unmentioned") == []
    assert verdicts(checked(said("Follow the curve to the left."), LEFT_TURN, 83), "unmentioned") == []


def test_without_others_a_bending_road_hides_a_lane_change():
    found = checked(said("Drive on."), ON_A_BENDING_ROAD, 83)
    assert verdicts(found, "unmentioned") == []


def test_the_lines_of_others_tell_a_lane_change_on_a_bending_road():
    road = drive(speed=14.0, yaw_rate=lambda t: 0.1 * np.sin(0.5 * t))
    others = [
        boxes(
            str(n),
            road.x[ahead:] - off * np.sin(road.yaw[ahead:]),
            road.y[ahead:] + off * np.cos(road.yaw[ahead:]),
            road.t_us[: len(road) - ahead],
        )
        for n, (ahead, off) in enumerate([(20, 0.0), (30, 3.5), (40, 0.0)])
    ]
    changed = checked(said("Drive on."), ON_A_BENDING_ROAD, 83, together(*others))
    kept = checked(said("Change lane to the left."), road, 83, together(*others))
    assert verdicts(changed, "unmentioned") == ["contradicted"]
    assert verdicts(kept, "lane") == ["contradicted"]


def test_who_stands_has_not_turned_yet():
    d = drive(speed=lambda t: 6.0 * (t > 18))
    assert verdicts(checked(said("Turn left."), d, 83), "turn") == ["not_observable"]


def test_a_turn_that_the_clip_cuts_may_still_go_to_the_side_said():
    swings = drive(speed=10.0, yaw_rate=lambda t: steering(t, 16.0, 2.5, 0.13))
    turns = drive(speed=8.0, yaw_rate=lambda t: steering(t, 16.0, 3.5, 0.3))
    right = said("Turn right at the junction.")
    assert verdicts(checked(right, swings, 150), "direction") == ["not_observable"]
    assert verdicts(checked(right, turns, 150), "direction") == ["contradicted"]


def test_nothing_is_concluded_from_what_a_cut_window_does_not_show():
    for sentence in ("Turn left.", "Change lane to the left.", "Nudge left."):
        assert contradictions(checked(said(sentence), STRAIGHT, 195)) == []
