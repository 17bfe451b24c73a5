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
