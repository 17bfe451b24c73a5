from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.driving import Drive, drive
from builders.scenes import motion_of, random_drive
from coc_labeling.scene import DrivenPath

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
    s, d = path.project(np.array([[x + 5 * np.cos(YAW[-1]), y + 5 * np.sin(YAW[-1])]]))
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
    path = DrivenPath(motion_of(d), row)
    s, along = path.project(np.stack([d.x[row:], d.y[row:]], axis=1))
    backwards = d.vx[row:] * np.cos(d.yaw[row:]) + d.vy[row:] * np.sin(d.yaw[row:]) < 0
    before = np.cumsum(backwards) == 0  # what ego drives once it has turned back may be elsewhere
    assert np.abs(along[before]).max(initial=0.0) <= 0.2 + 1e-9
    assert np.isfinite(s).all()
    assert len(path.ego_s) == len(d) - row
    assert (np.diff(path.ego_s) >= 0).all()


STOPS = drive(speed=lambda t: np.where(t < 10, np.clip(12 - 1.2 * t, 0, 12), 0))


@pytest.mark.parametrize("drift", [0.3, -0.5])
@pytest.mark.parametrize("row", [0, 120])
def test_a_localisation_that_drifts_while_ego_stands_does_not_turn_the_path(drift, row):
    drifting = replace(STOPS, y=STOPS.y + drift * np.clip((T - 10) / 10, 0, 1))
    ahead = (STOPS.x[-1] + 30.0, 0.0)
    (s, along), (_, there) = project(STOPS, row, ahead)[0], project(drifting, row, ahead)[0]
    assert along == pytest.approx(0.0, abs=1e-6)
    assert there == pytest.approx(0.0, abs=0.6)
    assert DrivenPath(motion_of(drifting), row).ego_s[-1] == pytest.approx(s - 30.0, abs=0.3)


def test_noise_of_a_standing_ego_is_no_way():
    random = np.random.default_rng(1)
    d = drive(speed=0.0)
    noisy = replace(d, x=d.x + random.normal(0, 0.1, len(d)), y=d.y + random.normal(0, 0.1, len(d)))
    path = DrivenPath(motion_of(noisy))
    assert path.ego_s.max() < 0.5
    np.testing.assert_allclose(project(noisy, 0, (20, 0)), [(20, 0)], atol=0.5)


def test_a_queue_that_creeps_lays_the_path_nevertheless():
    creeping = drive(speed=0.2)
    path = DrivenPath(motion_of(creeping))
    np.testing.assert_allclose(path.ego_s, creeping.x - creeping.x[0], atol=0.05)


@pytest.mark.parametrize("before_mps", [0.0, 4.0])
def test_driving_backwards_later_does_not_turn_the_path(before_mps):
    d = drive(
        speed=lambda t: np.select([t < 8, t < 10], [before_mps, 0.0], -np.clip(t - 10, 0, 2)),
        yaw_rate=lambda t: np.where(t < 8, 0.02 * before_mps / 4.0, np.where(t < 10, 0.0, 0.05)),
    )
    path = DrivenPath(motion_of(d))
    farthest = before_mps * 8.0
    assert path.end == pytest.approx(farthest, abs=0.7)
    yaw, x, y = d.yaw[90], d.x[90], d.y[90]
    s, along = path.project(np.array([[x + 10 * np.cos(yaw), y + 10 * np.sin(yaw)]]))
    assert (s[0], along[0]) == (pytest.approx(farthest + 10, abs=0.7), pytest.approx(0.0, abs=1.0))
    assert (np.diff(path.ego_s) >= 0).all()


def test_what_is_driven_a_second_time_is_one_way():
    d = drive(speed=lambda t: np.select([t < 5, t < 10], [4.0, -2.0], 4.0))
    path = DrivenPath(motion_of(d))
    np.testing.assert_allclose(path.ego_s, np.maximum.accumulate(d.x - d.x[0]), atol=0.7)


def test_the_path_starts_where_ego_first_drives_forwards():
    d = drive(speed=lambda t: np.where(t < 5, -2.0, 4.0))
    path = DrivenPath(motion_of(d))
    np.testing.assert_allclose(path.ego_s, np.where(T < 5, 0.0, d.x - d.x[50]), atol=0.7)
    assert path.project(np.array([[d.x[-1] + 10.0, 1.0]]))[1][0] == pytest.approx(1.0)


def test_a_path_that_comes_back_to_itself_is_what_it_is_meanwhile():
    yaw = 0.5 * T
    circle = Drive(CRUISE.t_us, 20 * np.sin(yaw), 20 - 20 * np.cos(yaw), yaw, 10 * np.cos(yaw), 10 * np.sin(yaw))
    path = DrivenPath(motion_of(circle))
    around = 2 * np.pi * 20
    here = np.array([[0.0, 1.0]])
    for turn in (0, 1):
        s, d = path.project(here, np.array([turn * around + 2.0]))
        assert s[0] == pytest.approx(turn * around, abs=0.5)
        assert d[0] == pytest.approx(1.0, abs=0.05)


def test_no_place_has_no_coordinates():
    assert np.isnan(project(CRUISE, 0, (np.nan, 0.0))).all()


def test_ego_s_places_are_where_it_is():
    d = drive(speed=lambda t: np.where((t > 5) & (t < 9), 0.0, 6.0))
    path = DrivenPath(motion_of(d))
    np.testing.assert_allclose(path.ego_s, d.x - d.x[0], atol=0.2)


@pytest.mark.parametrize("sign", [1, -1])
def test_curvature_is_that_of_the_path_and_left_is_positive(sign):
    d = Drive(CRUISE.t_us, LEFT_CIRCLE.x, sign * LEFT_CIRCLE.y, sign * YAW, LEFT_CIRCLE.vx, sign * LEFT_CIRCLE.vy)
    path = DrivenPath(motion_of(d))
    np.testing.assert_allclose(path.curvature_at(path.ego_s[20:180]), sign / 50, rtol=0.05)
