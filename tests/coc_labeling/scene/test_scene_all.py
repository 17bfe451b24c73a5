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
    motion_of,
    random_boxes,
    random_drive,
    standing_at,
    together,
    window_at,
)
from coc_labeling.scene import DrivenPath, facts_until_keyframe, find_bend, find_lane_change, find_stop


def find_lead(window):
    return facts_until_keyframe(window).lead_at(window.keyframe.frame)

CRUISE = drive(speed=10.0)
T = CRUISE.t_us / 1e6
YAW = 0.2 * T
LEFT_CIRCLE = Drive(  # radius 50 m about (0, 50)
    CRUISE.t_us, 50 * np.sin(YAW), 50 - 50 * np.cos(YAW), YAW, 10 * np.cos(YAW), 10 * np.sin(YAW)
)
seeds = st.integers(0, 10**6)


def project(d, row, *points):
    s, along = DrivenPath(motion_of(d), row).project(np.array(points, float))
    return np.stack([s, along], axis=1)


def lead_at(frame, tracks, d=CRUISE):
    return find_lead(window_at(d, frame, tracks))


def test_on_a_straight_path_s_is_ahead_and_d_is_left():
    x0 = CRUISE.x[50]
    found = project(CRUISE, 50, (x0, 0), (x0 + 30, 2), (x0 + 30.05, -3))
    np.testing.assert_allclose(found, [(0, 0), (30, 2), (30.05, -3)], atol=1e-9)


def test_behind_and_beyond_the_path_runs_straight_on():
    end = CRUISE.x[-1]
    path = DrivenPath(motion_of(CRUISE), 190)
    assert path.end == pytest.approx(10.0)
    found = project(CRUISE, 190, (end - 20, 1), (end + 40, -1))
    np.testing.assert_allclose(found, [(-10, 1), (50, -1)], atol=1e-9)


@pytest.mark.parametrize("left", [-4.0, 0.0, 4.0])
def test_on_a_curve_s_is_arc_length_and_d_the_offset(left):
    points = [((50 - left) * np.sin(a), 50 - (50 - left) * np.cos(a)) for a in YAW[[60, 80, 110]]]
    found = project(LEFT_CIRCLE, 50, *points)
    np.testing.assert_allclose(found[:, 0], [10, 30, 60], atol=0.1)
    np.testing.assert_allclose(found[:, 1], left, atol=0.02)


def test_beyond_a_curve_s_end_the_path_goes_on_in_its_last_direction():
    path = DrivenPath(motion_of(LEFT_CIRCLE), 100)
    x, y = LEFT_CIRCLE.x[-1], LEFT_CIRCLE.y[-1]
    dx, dy = LEFT_CIRCLE.x[-1] - LEFT_CIRCLE.x[-2], LEFT_CIRCLE.y[-1] - LEFT_CIRCLE.y[-2]
    s, d = path.project(np.array([[x + 5 * dx, y + 5 * dy]]))
    assert s[0] == pytest.approx(path.end + 5.0, abs=0.01)
    assert d[0] == pytest.approx(0.0, abs=1e-6)


def test_a_standing_ego_s_path_is_where_it_points():
    d = drive(speed=lambda t: np.where(t < 2, 5.0, 0.0), yaw_rate=lambda t: np.where(t < 2, 0.5, 0.0))
    yaw, x, y = d.yaw[100], d.x[100], d.y[100]
    forward, left = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    found = project(d, 100, np.array([x, y]) + 7 * forward + 2 * left)
    np.testing.assert_allclose(found, [(7, 2)], atol=1e-9)


def test_creeping_noise_while_standing_gives_the_path_no_direction():
    random = np.random.default_rng(0)
    d = drive(speed=0.0)
    d = type(d)(d.t_us, d.x + random.normal(0, 0.01, len(d)), d.y + random.normal(0, 0.01, len(d)), d.yaw, d.vx, d.vy)
    np.testing.assert_allclose(project(d, 0, (20, 0)), [(20, 0)], atol=0.5)


def test_the_last_row_of_a_clip_has_a_path_too():
    np.testing.assert_allclose(project(CRUISE, 200, (CRUISE.x[-1] + 5, 1)), [(5, 1)], atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(0, 200))
def test_every_place_on_the_path_has_no_offset(seed, row):
    d = random_drive(seed)
    s, along = DrivenPath(motion_of(d), row).project(np.stack([d.x[row:], d.y[row:]], axis=1))
    assert np.abs(along).max() <= 0.2 + 1e-9
    assert np.isfinite(s).all()


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
    "out of range": ahead_of(CRUISE, 81.0),
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


def lane_change(side: int, frame: int = 80, metres: float = 3.5):
    rate = metres * 2 * np.pi / (15.0 * 16)
    inside = lambda t: (t >= 8) & (t < 12)  # noqa: E731
    d = drive(speed=15.0, yaw_rate=lambda t: side * rate * np.sin(2 * np.pi * (t - 8) / 4) * inside(t))
    return find_lane_change(window_at(d, frame))


@pytest.mark.parametrize(("sign", "side"), [(1, "left"), (-1, "right")])
def test_a_lane_change_has_a_side_and_an_offset(sign, side):
    found, offset = lane_change(sign)
    assert found == side
    assert offset == pytest.approx(3.5, abs=0.2)


@pytest.mark.parametrize("metres", [1.0, 8.0])
def test_less_or_more_than_a_lane_is_no_lane_change(metres):
    assert lane_change(1, metres=metres) is None


def test_a_lane_change_half_done_is_none():
    assert lane_change(1, frame=40) is None


def test_a_curve_is_no_lane_change():
    assert find_lane_change(window_at(drive(speed=10.0, yaw_rate=0.05), 50)) is None


@pytest.mark.parametrize(("frame", "seconds"), [(100, 2.0), (119, 0.1), (130, 0.0), (59, None), (60, 6.0)])
def test_a_stop_is_told_with_its_time(frame, seconds):
    d = drive(speed=lambda t: np.where(t < 11.95, 5.0, 0.0))
    found = find_stop(window_at(d, frame))
    assert found == (None if seconds is None else pytest.approx(seconds))
