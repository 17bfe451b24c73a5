import numpy as np
import pytest

from builders.checked import SIDES, checked, contradictions, lane, road_user, said, speed, verdicts
from builders.driving import drive
from builders.scenes import NO_BOXES, ahead_of, boxes, braking, standing_at, together

D = braking(to_mps=4.0)
PEDESTRIAN = (0.6, 0.6, 1.8)
FAR = standing_at(D, 60.0, 30.0, track_id="99")  # somebody is tracked at all
FRAME = 80


def crossing(side: str):
    """Return a pedestrian who crosses ahead of ego at the keyframe, from a side."""
    y = (1 if side == "left" else -1) * (8.0 - 1.5 * (D.t_us / 1e6 - 6.0))
    return boxes("5", 8 * 13.0 + 25.0, y, D.t_us, label="person", size=PEDESTRIAN)


def found(label, obstacles, check):
    return verdicts(checked(label, D, FRAME, obstacles), check)


LEAD = said("Slow down for the lead vehicle.")


def test_a_lead_that_is_there():
    assert found(LEAD, ahead_of(D, 15.0), "lead") == ["supported"]


@pytest.mark.parametrize("obstacles", [FAR, together(FAR, ahead_of(D, -30.0)), together(FAR, ahead_of(D, 15, left=8))])
def test_a_phantom_lead(obstacles):
    assert found(LEAD, obstacles, "lead") == ["contradicted"]


def test_following_without_a_cause_is_a_claim_of_a_lead():
    label = said("See.", longitudinal=speed("follow_lead"))
    assert (found(label, ahead_of(D, 15.0), "lead"), found(label, FAR, "lead")) == (["supported"], ["contradicted"])


def test_without_tracks_nothing_about_others_is_observable():
    label = said("Slow down for the lead vehicle and the pedestrian crossing from the left.")
    for check in ("lead", "road_user"):
        assert set(found(label, None, check)) == {"not_observable"}


@pytest.mark.parametrize("side", SIDES)
def test_a_pedestrian_who_crosses_from_a_side(side):
    other = "left" if side == "right" else "right"
    right, wrong = (said(f"Yield to the pedestrian crossing from the {s}.") for s in (side, other))
    assert found(right, crossing(side), "road_user") == ["supported"]
    assert found(wrong, crossing(side), "road_user") == ["contradicted"]
    assert found(right, FAR, "road_user") == ["contradicted"]


@pytest.mark.parametrize("side", SIDES)
def test_a_parked_vehicle_on_a_side(side):
    y = 2.8 if side == "left" else -2.8
    parked = standing_at(D, 125.0, y)
    other = "left" if side == "right" else "right"
    assert found(said(f"Slow down for the parked car on the {side}."), parked, "road_user") == ["supported"]
    assert found(said(f"Slow down for the parked car on the {other}."), parked, "road_user") == ["contradicted"]


def test_a_vehicle_that_comes_towards_ego():
    oncoming = boxes("8", 250.0 - 8.0 * D.t_us / 1e6, 3.5, D.t_us)
    assert found(said("Slow down for the oncoming car."), oncoming, "road_user") == ["supported"]
    assert found(said("Slow down for the oncoming car."), FAR, "road_user") == ["contradicted"]


def test_a_cut_in():
    y = np.interp(D.t_us / 1e6, [6.5, 8.5], [3.5, 0.0])
    cut_in = boxes("8", D.x + 17.0, y, D.t_us)
    assert found(said("Slow down for the car cutting in from the left."), cut_in, "road_user") == ["supported"]
    assert found(said("Slow down for the car cutting in from the left."), FAR, "road_user") == ["contradicted"]


def test_a_track_that_the_label_names():
    component = road_user("car ahead", "lead", track_id="7")
    label = said("See.", longitudinal=speed("follow_lead", "c1"), components=[component])
    assert found(label, ahead_of(D, 15.0), "lead") == ["supported"]
    assert found(label, ahead_of(D, 15.0, track_id="8"), "lead") == ["contradicted"]


@pytest.mark.parametrize(
    ("words", "label_class", "verdict"),
    [
        ("truck", "heavy_truck", "supported"),
        ("car", "automobile", "supported"),
        ("truck", "automobile", "not_observable"),
        ("vehicle", "bus", "supported"),
        ("car", "rider", "contradicted"),
    ],
)
def test_the_kind_of_the_vehicle_ahead(words, label_class, verdict):
    label = said(f"Slow down for the lead {words}.")
    assert found(label, ahead_of(D, 15.0, label=label_class), "object_class") == [verdict]


def test_what_the_vehicle_ahead_does():
    assert found(said("Slow down for the stopped lead vehicle."), standing_at(D, 125.0), "object_state") == [
        "supported"
    ]
    assert found(said("Slow down for the stopped lead vehicle."), ahead_of(D, 15.0), "object_state") == ["contradicted"]


@pytest.mark.parametrize("light", ["red", "green"])
def test_lights_have_no_source(light):
    assert found(said(f"Drive on at the {light} light."), ahead_of(D, 15.0), "unseen") == ["not_observable"]


def test_a_radar_s_tracks_show_no_pedestrians():
    radar = ahead_of(D, 40.0, label="other_vehicle")
    label = said("Yield to the pedestrian crossing from the right.")
    assert found(label, radar, "road_user") == ["not_observable"]


def test_the_nearest_cause():
    near = standing_at(D, 120.0)
    assert found(said("Slow down for the red light."), near, "proximity") == ["contradicted"]
    assert found(said("Slow down for the lead vehicle."), near, "proximity") == ["supported"]


def test_an_empty_table_of_tracks_is_no_trouble():
    assert contradictions(checked(said("Slow down."), D, FRAME, NO_BOXES)) == []


def test_a_lead_on_the_new_lane_may_be_followed():
    d = drive(speed=10.0)
    beside = boxes("8", d.x + 20.0, 3.5, d.t_us)
    label = said("Follow the vehicle ahead.", longitudinal=speed("follow_lead"), lateral=lane("change_lane", "left"))
    assert verdicts(checked(label, d, FRAME, beside), "lead") == ["not_observable"]
