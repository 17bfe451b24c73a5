import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driving_clips.geometry import enu_axes, multiply, quat_of_matrix, quat_of_yaw, rotate, slerp, yaw_of

angles = st.floats(-3.1, 3.1)


def unit_quats(seed: int, n: int = 50) -> np.ndarray:
    quat = np.random.default_rng(seed).normal(size=(n, 4))
    return quat / np.linalg.norm(quat, axis=1, keepdims=True)


def matrices(quat: np.ndarray) -> np.ndarray:
    return np.stack([rotate(quat, np.tile(axis, (len(quat), 1))) for axis in np.eye(3)], axis=2)


@given(angles)
def test_yaw_survives_the_way_through_a_quaternion(yaw):
    assert yaw_of(quat_of_yaw(np.array([yaw])))[0] == pytest.approx(yaw, abs=1e-12)


def test_yaw_of_a_left_turn_is_positive():
    forward = rotate(quat_of_yaw(np.array([np.pi / 2])), np.array([[1.0, 0, 0]]))
    np.testing.assert_allclose(forward, [[0, 1, 0]], atol=1e-15)


@given(angles, st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
def test_yaw_is_the_direction_of_the_rotated_x_axis_whatever_pitch_and_roll(yaw, pitch, roll):
    half = np.array([pitch, roll]) / 2
    about_y = np.array([[0.0, np.sin(half[0]), 0.0, np.cos(half[0])]])
    about_x = np.array([[np.sin(half[1]), 0.0, 0.0, np.cos(half[1])]])
    quat = multiply(quat_of_yaw(np.array([yaw])), multiply(about_y, about_x))
    nose = rotate(quat, np.array([[1.0, 0, 0]]))[0]
    assert yaw_of(quat)[0] == pytest.approx(np.arctan2(nose[1], nose[0]), abs=1e-9)


@given(st.integers(0, 1000))
def test_multiply_is_one_rotation_after_the_other(seed):
    a, b, vectors = unit_quats(seed), unit_quats(seed + 1), np.random.default_rng(seed).normal(size=(50, 3))
    np.testing.assert_allclose(rotate(multiply(a, b), vectors), rotate(a, rotate(b, vectors)), atol=1e-12)


@given(st.integers(0, 1000))
def test_quat_of_matrix_inverts_the_matrix_of_a_quaternion(seed):
    quat = unit_quats(seed)
    back = quat_of_matrix(matrices(quat))
    np.testing.assert_allclose(np.abs(np.einsum("ij,ij->i", quat, back)), 1.0, atol=1e-12)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_quat_of_matrix_of_half_turns(axis):
    quat = np.zeros((1, 4))
    quat[0, axis] = 1.0
    np.testing.assert_allclose(np.abs(quat_of_matrix(matrices(quat))), np.abs(quat), atol=1e-12)


def test_slerp_turns_at_a_constant_rate():
    weight = np.linspace(0, 1, 11)
    a, b = quat_of_yaw(np.full(11, 0.2)), quat_of_yaw(np.full(11, 1.4))
    np.testing.assert_allclose(yaw_of(slerp(a, b, weight)), 0.2 + 1.2 * weight, atol=1e-12)


def test_slerp_takes_the_short_way_across_the_cut_at_pi():
    a, b = quat_of_yaw(np.array([3.0])), quat_of_yaw(np.array([-3.0]))
    middle = yaw_of(slerp(a, b, np.array([0.5])))[0]
    assert abs(middle) == pytest.approx(np.pi, abs=1e-9)


def test_slerp_does_not_care_about_the_sign_of_a_quaternion():
    a, b = unit_quats(1), unit_quats(2)
    weight = np.full(50, 0.3)
    dot = np.einsum("ij,ij->i", slerp(a, b, weight), slerp(a, -b, weight))
    np.testing.assert_allclose(np.abs(dot), 1.0, atol=1e-12)


def test_slerp_at_its_ends_gives_the_ends():
    a, b = unit_quats(3), unit_quats(4)
    b = np.where(np.einsum("ij,ij->i", a, b)[:, None] < 0, -b, b)
    np.testing.assert_allclose(slerp(a, b, np.zeros(50)), a, atol=1e-15)
    np.testing.assert_allclose(slerp(a, b, np.ones(50)), b, atol=1e-15)


def test_slerp_between_equal_rotations_is_that_rotation():
    a = unit_quats(5)
    np.testing.assert_allclose(slerp(a, a, np.full(50, 0.4)), a, atol=1e-15)


def test_enu_axes_on_the_equator_and_at_a_known_place():
    np.testing.assert_allclose(enu_axes(np.array([6378137.0, 0, 0])), [[0, 1, 0], [0, 0, 1], [1, 0, 0]], atol=1e-12)
    latitude, longitude = np.radians([37.5, -122.3])
    e2 = 0.00669437999014
    n = 6378137.0 / np.sqrt(1 - e2 * np.sin(latitude) ** 2)
    place = np.array(
        [
            n * np.cos(latitude) * np.cos(longitude),
            n * np.cos(latitude) * np.sin(longitude),
            n * (1 - e2) * np.sin(latitude),
        ]
    )
    up = [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)]
    axes = enu_axes(place)
    np.testing.assert_allclose(axes[2], up, atol=1e-10)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
