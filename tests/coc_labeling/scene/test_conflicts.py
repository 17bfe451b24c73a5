import numpy as np
import pytest

from builders.driving import drive
from builders.scenes import boxes, label_at, together, window_at
from coc_labeling.scene import Kind, facts_until_keyframe, find_conflicts, walker_beside

CRUISE = drive(speed=10.0)
T = CRUISE.t_us / 1e6
FRAME = 100


def conflicts_of(tracks, d=CRUISE, frame=FRAME):
    scene = facts_until_keyframe(window_at(d, frame, tracks))
    return find_conflicts(scene.ego, scene.users, scene.first_tick, frame)


def crossing_car(at_m, in_sec, *, side=1, mps=8.0, track_id="5", **options):
    """A car that is on ego's path ``at_m`` ahead of where ego is at the frame, so much later."""
    return boxes(track_id, CRUISE.x[FRAME] + at_m, side * mps * (in_sec - (T - T[FRAME])), CRUISE.t_us, **options)


def test_place_and_times_of_a_crossing_are_where_and_when_it_happens():
    (conflict,) = conflicts_of(crossing_car(30.0, 3.0))
    assert conflict.role.nearest_m == pytest.approx(30.0, abs=1.0)
    assert conflict.arrives_sec < 3.0 < conflict.leaves_sec
    assert conflict.leaves_sec - conflict.arrives_sec < 2.0
    assert conflict.ego_arrives_sec == pytest.approx(3.0, abs=0.15)


@pytest.mark.parametrize(("sign", "side"), [(1, "left"), (-1, "right")])
def test_a_crossing_vehicle_comes_from_its_side(sign, side):
    (conflict,) = conflicts_of(crossing_car(30.0, 3.0, side=sign))
    assert (conflict.role.kind, conflict.role.side) == (Kind.CROSSING, side)


@pytest.mark.parametrize(
    "tracks",
    [
        boxes("5", CRUISE.x + 20.0, 0.0, CRUISE.t_us),
        boxes("5", CRUISE.x + 5.0, 3.6, CRUISE.t_us),
        boxes("5", CRUISE.x[-1] - CRUISE.x, 3.6, CRUISE.t_us),
        boxes("5", CRUISE.x[FRAME] + 30.0, 20.0, CRUISE.t_us),
        crossing_car(-20.0, 2.0),
    ],
    ids=["lead", "beside", "oncoming-in-its-lane", "standing-aside", "crosses-behind"],
)
def test_who_is_not_on_a_course_across_the_path_is_no_conflict(tracks):
    assert conflicts_of(tracks) == ()


def test_who_comes_after_ego_has_passed_does_not_go_first():
    (conflict,) = conflicts_of(crossing_car(20.0, 6.0))
    assert not conflict.goes_first


def test_a_vehicle_that_turns_away_is_no_conflict():
    mps, rate = 6.0, 0.4
    turned = -np.pi / 2 + rate * np.maximum(T - T[FRAME] + 1.5, 0.0)
    x, y = (np.cumsum(mps * f(turned) * 0.1) for f in (np.cos, np.sin))
    track = boxes("5", x - x[FRAME] + CRUISE.x[FRAME] + 30.0, y - y[FRAME] + 15.0, CRUISE.t_us)
    track.yaw[:] = turned
    assert conflicts_of(track) == ()


def test_conflicts_are_told_from_boxes_up_to_the_moment_alone():
    tracks = together(crossing_car(30.0, 3.0), crossing_car(40.0, 2.0, side=-1, track_id="6"))
    known = tracks.select(tracks.t_us <= FRAME * 100_000)
    assert conflicts_of(tracks) == conflicts_of(known) != ()


def giving_way():
    """Ego drives 10 m/s, slows down to 4 m/s from 10 s on, and is at 30 m from there only after 6 s."""
    return drive(speed=lambda t: np.maximum(4.0, 10.0 - 2.0 * np.maximum(t - 10.0, 0.0)))


def test_slowing_down_to_let_somebody_cross_is_yielding_to_it():
    label = label_at(giving_way(), FRAME, crossing_car(30.0, 3.0))
    assert label.longitudinal.decision == "yield"
    assert [(c.relation, c.side, c.track_id) for c in label.components] == [("crossing", "left", "5")]


def test_slowing_down_long_after_somebody_has_crossed_is_no_yielding():
    label = label_at(giving_way(), FRAME, crossing_car(30.0, -1.0))
    assert label.longitudinal.decision == "adapt_speed"
    assert label.components == ()


def test_going_first_is_no_yielding():
    ego = drive(speed=lambda t: np.maximum(9.0, 10.0 - np.maximum(t - 10.0, 0.0)))
    label = label_at(ego, FRAME, crossing_car(20.0, 6.0))
    assert label.longitudinal.decision != "yield"


def walking(mps_towards, d_m=5.0, label="person"):
    """Somebody 20 m ahead of where ego is at the frame, beside the path, who walks along it and towards it."""
    t = T - T[FRAME]
    return boxes("5", CRUISE.x[FRAME] + 20.0 - 1.0 * t, d_m - np.sign(d_m) * mps_towards * t, CRUISE.t_us, label=label)


@pytest.mark.parametrize(
    ("tracks", "side"),
    [
        (walking(0.4), "left"),
        (walking(0.4, -5.0), "right"),
        (walking(-0.4), None),
        (walking(0.0), None),
        (walking(0.4, 12.0), None),
        (walking(0.4, label="automobile"), None),
    ],
    ids=["towards", "towards-from-right", "away", "along", "far-aside", "a-car"],
)
def test_a_pedestrian_beside_the_path_counts_who_walks_towards_it(tracks, side):
    scene = facts_until_keyframe(window_at(CRUISE, FRAME, tracks))
    role = walker_beside(scene.users, scene.first_tick, FRAME, 15.0)
    assert (role and role.side) == side
