import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.driving import Drive, drive
from builders.scenes import (
    CAR,
    NO_BOXES,
    ahead_of,
    boxes,
    mirrored,
    mirrored_boxes,
    random_boxes,
    random_drive,
    standing_at,
    together,
    window_at,
)
from coc_labeling.scene import facts_until_keyframe

CRUISE = drive(speed=10.0)
T = CRUISE.t_us / 1e6
YAW = 0.2 * T
LEFT_CIRCLE = Drive(  # radius 50 m about (0, 50)
    CRUISE.t_us, 50 * np.sin(YAW), 50 - 50 * np.cos(YAW), YAW, 10 * np.cos(YAW), 10 * np.sin(YAW)
)
seeds = st.integers(0, 10**6)


def find_lead(window):
    return facts_until_keyframe(window).lead_at(window.keyframe.frame)


def lead_at(frame, tracks, d=CRUISE):
    return find_lead(window_at(d, frame, tracks))


def test_distance_is_to_the_lead_s_near_end():
    lead = lead_at(100, ahead_of(CRUISE, 25.0))
    assert lead.distance_m == pytest.approx(25.0)
    assert lead.closing_mps == pytest.approx(0.0, abs=1e-6)
    assert not lead.is_stopped


def test_a_lead_of_unknown_size_is_measured_to_its_point():
    unknown = ahead_of(CRUISE, 25.0, size=(np.nan, np.nan, np.nan))
    assert lead_at(100, unknown).distance_m == pytest.approx(25.0 + CAR[0] / 2)


def test_closing_speed_is_positive_where_ego_is_faster():
    slower = boxes("7", CRUISE.x * 0.6 + 80, 0, CRUISE.t_us)
    lead = lead_at(100, slower)
    assert lead.speed_mps == pytest.approx(6.0)
    assert lead.closing_mps == pytest.approx(4.0)


def test_a_stopped_lead_is_stopped():
    lead = lead_at(100, standing_at(CRUISE, CRUISE.x[100] + 40))
    assert lead.is_stopped
    assert lead.distance_m == pytest.approx(40.0)
    assert lead.closing_mps == pytest.approx(10.0)


def test_of_two_vehicles_in_the_path_the_nearer_is_the_lead():
    both = together(ahead_of(CRUISE, 40.0, track_id="far"), ahead_of(CRUISE, 20.0, track_id="near"))
    assert lead_at(100, both).track_id == "near"


def test_in_a_curve_the_lead_is_on_the_curve_not_straight_ahead():
    ahead = LEFT_CIRCLE.rows(slice(20, 121))
    on_curve = boxes("curve", ahead.x, ahead.y, LEFT_CIRCLE.t_us[:101])
    here = LEFT_CIRCLE.rows(slice(100, 101))
    straight = boxes(
        "straight", here.x[0] + 22 * np.cos(here.yaw[0]), here.y[0] + 22 * np.sin(here.yaw[0]), LEFT_CIRCLE.t_us[:101]
    )
    lead = lead_at(100, together(on_curve, straight), LEFT_CIRCLE)
    assert lead.track_id == "curve"
    assert lead.distance_m == pytest.approx(20.0 - CAR[0] / 2, abs=0.3)
    assert lead.speed_mps == pytest.approx(10.0, abs=0.2)


NO_LEADS = {
    "in the left lane": ahead_of(CRUISE, 20.0, left=3.6),
    "in the right lane": ahead_of(CRUISE, 20.0, left=-3.6),
    "behind": ahead_of(CRUISE, -20.0),
    "out of range": ahead_of(CRUISE, 101.0),
    "a person": ahead_of(CRUISE, 20.0, label="person"),
    "a thing": ahead_of(CRUISE, 20.0, label="protruding_object"),
    "seen only later": ahead_of(CRUISE.rows(slice(101, 201)), 20.0),
    "lost a second ago": ahead_of(CRUISE.rows(slice(0, 90)), 20.0),
    "seen too briefly": ahead_of(CRUISE.rows(slice(99, 201)), 20.0),
    "no boxes": NO_BOXES,
    "no tracks": None,
}


@pytest.mark.parametrize("tracks", NO_LEADS.values(), ids=NO_LEADS)
def test_there_is_no_lead(tracks):
    assert lead_at(100, tracks) is None


def test_a_track_may_flicker_before_the_keyframe():
    seen = CRUISE.rows(np.r_[90:97])
    assert lead_at(100, ahead_of(seen, 25.0)) is not None


def test_a_track_last_seen_a_moment_ago_is_where_it_would_be_now():
    seen = CRUISE.rows(slice(80, 96))
    lead = lead_at(100, ahead_of(seen, 25.0))
    assert lead.distance_m == pytest.approx(25.0, abs=0.5)


def test_a_vehicle_that_crosses_the_path_is_no_stopped_lead():
    crossing = boxes("7", CRUISE.x[100] + 25, (CRUISE.t_us - 10_000_000) / 1e6 * 9.0, CRUISE.t_us)
    lead = lead_at(100, crossing)
    assert lead is None or not lead.is_stopped


def test_an_oncoming_vehicle_is_no_lead():
    oncoming = boxes("7", CRUISE.x[100] + 40 - (CRUISE.t_us - 10_000_000) / 1e6 * 9.0, 0.0, CRUISE.t_us)
    assert lead_at(100, oncoming) is None


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(5, 195))
def test_what_boxes_show_after_the_keyframe_changes_nothing(seed, frame):
    d = random_drive(seed)
    tracks = random_boxes(seed, d)
    before = tracks.select(tracks.t_us <= frame * 100_000)
    other = random_boxes(seed + 7, d)
    changed = together(before, other.select(other.t_us > frame * 100_000))
    assert (
        find_lead(window_at(d, frame, tracks))
        == find_lead(window_at(d, frame, changed))
        == find_lead(window_at(d, frame, before))
    )


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(0, 200))
def test_the_mirrored_scene_has_the_same_lead(seed, frame):
    d = random_drive(seed)
    tracks = random_boxes(seed, d)
    lead, other = lead_at(frame, tracks, d), lead_at(frame, mirrored_boxes(tracks), mirrored(d))
    assert (lead is None) == (other is None)
    if lead and other:
        assert lead.track_id == other.track_id
        assert lead.distance_m == pytest.approx(other.distance_m, abs=1e-6)
        assert lead.closing_mps == pytest.approx(other.closing_mps, abs=1e-6)


def test_a_lead_that_brakes_is_braking():
    speed = np.where(T < 9, 10.0, np.maximum(10.0 - 3 * (T - 9), 0))
    x = CRUISE.x[90] + 30 + np.cumsum(speed * 0.1) - np.cumsum(speed * 0.1)[90]
    tracks = boxes("7", x, 0, CRUISE.t_us)
    assert not lead_at(85, tracks).is_braking
    braking = lead_at(105, tracks)
    assert braking.is_braking
    assert braking.acceleration_mps2 == pytest.approx(-3.0, abs=0.6)


def test_the_time_gap_is_the_distance_at_ego_s_speed():
    assert lead_at(100, ahead_of(CRUISE, 25.0)).time_gap_sec == pytest.approx(2.5)


def test_who_rides_ahead_in_the_path_is_followed_and_at_the_edge_is_not():
    for left, followed in ((0.5, True), (-1.5, False)):
        rider = ahead_of(CRUISE, 15.0, left=left, label="rider", size=(1.8, 0.6, 1.7))
        assert (lead_at(100, rider) is not None) == followed
