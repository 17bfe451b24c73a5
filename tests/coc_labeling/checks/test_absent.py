import numpy as np
import pytest

from builders.checked import SIDES, checked, lane, said, verdicts
from builders.driving import drive
from builders.scenes import ahead_of, boxes, standing_at, together

D = drive(speed=10.0)
FRAME = 80
WALKER = {"label": "person", "size": (0.6, 0.6, 1.7)}
FAR = standing_at(D, 150.0, 30.0, track_id="99")  # somebody is seen, far away


def found(sentence, obstacles, d=D):
    return verdicts(checked(said(sentence), d, FRAME, obstacles), "absent")


def test_a_road_that_is_said_to_be_clear():
    sentence = "Accelerate as the road ahead is clear."
    assert found(sentence, ahead_of(D, 8.0)) == ["contradicted"]
    assert found(sentence, FAR) == ["supported"]
    assert found(sentence, None) == ["not_observable"]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("words", ["there is no vehicle on the {}", "there are no cars in the {} lane"])
def test_a_side_that_is_said_to_be_free(side, words):
    sentence = f"Keep the speed since {words.format(side)}."
    left = 3.5 if side == "left" else -3.5
    beside = boxes("5", D.x + 2.0, left, D.t_us)
    on_the_other = boxes("5", D.x + 2.0, -left, D.t_us)
    assert found(sentence, together(beside, FAR)) == ["contradicted"]
    assert found(sentence, together(on_the_other, FAR)) == ["supported"]


def test_a_side_counts_where_ego_moves_over_to_it():
    beside = together(boxes("5", D.x + 2.0, 3.5, D.t_us), FAR)
    label = said("Change lane to the left as there is no vehicle on the left.", lateral=lane("change_lane", "left"))
    assert verdicts(checked(label, D, FRAME, beside), "absent") == ["contradicted"]


def test_who_crosses_is_as_far_ahead_as_at_the_keyframe():
    slow = drive(speed=lambda t: np.where(t < 8, 10 - 0.9 * t.clip(0, 8), 2.8))
    x = float(np.interp(8.0, slow.t_us / 1e6, slow.x))
    crossing = boxes("9", x + 8.0, -12.0 + 1.5 * slow.t_us / 1e6, slow.t_us, **WALKER)
    sentence = "Keep the speed as no pedestrian is crossing."
    assert found(sentence, together(crossing, FAR), slow) == ["contradicted"]


def test_a_radar_s_tracks_do_not_tell_that_nobody_walks():
    radar = boxes("r", D.x + 60.0, 0.0, D.t_us, label="other_vehicle")
    assert found("Keep the speed as no pedestrian is crossing.", radar) == ["not_observable"]


def test_who_is_seen_behind_ego_only_does_not_tell_that_nobody_is_ahead():
    behind = boxes("r", D.x - 8.0, 3.5, D.t_us)
    assert found("Keep the speed as there is no vehicle ahead.", behind) == ["not_observable"]
