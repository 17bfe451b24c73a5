"""Headings, rotations and frames."""

import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from alpamayo_r1.geometry import rot_of_quat, rot_of_yaw, to_frame, unwrap, wrap, yaw_of
from driving_clips.geometry import quat_of_matrix, rotate
from golden_model import differ

_ANGLE = st.floats(-20.0, 20.0)
_QUAT = st.lists(st.floats(-1.0, 1.0), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1)


def unit(quat: list[float]) -> np.ndarray:
    return np.array([quat]) / np.linalg.norm(quat)


@given(_ANGLE)
def test_wrap(angle):
    wrapped = wrap(torch.tensor(angle, dtype=torch.float64))
    assert -math.pi <= wrapped < math.pi
    assert abs(math.remainder(float(wrapped) - angle, 2 * math.pi)) < 1e-9


def test_half_a_turn_is_negative():
    assert wrap(torch.tensor(math.pi, dtype=torch.float64)) == -math.pi


@given(st.lists(st.floats(-3.1, 3.1), min_size=1, max_size=50))
def test_unwrap_gives_back_what_was_wrapped(turns):
    angle = torch.tensor(turns, dtype=torch.float64).cumsum(dim=0)
    found = unwrap(wrap(angle))
    assert differ(found - found[0], angle - angle[0]) < 1e-9


@given(_ANGLE)
def test_yaw_there_and_back(angle):
    yaw = torch.tensor(angle, dtype=torch.float64)
    assert wrap(yaw_of(rot_of_yaw(yaw)) - yaw).abs() < 1e-9


@given(_QUAT)
def test_quaternions_are_those_of_driving_clips(quat):
    rot = rot_of_quat(torch.from_numpy(unit(quat)))
    again = quat_of_matrix(rot.numpy())
    assert abs(abs((again * unit(quat)).sum()) - 1.0) < 1e-9
    vector = np.array([[1.0, 2.0, 3.0]])
    assert np.allclose(rot.numpy() @ vector[0], rotate(unit(quat), vector), atol=1e-9)


@given(_QUAT, st.tuples(*[st.floats(-1e4, 1e4)] * 3))
def test_frames(quat, origin):
    torch.manual_seed(0)
    axes = rot_of_quat(torch.from_numpy(unit(quat)))[0]
    xyz, rot = torch.randn(2, 5, 3).double(), rot_of_yaw(torch.randn(2, 5).double())
    world_xyz, world_rot = xyz @ axes.T + torch.tensor(origin, dtype=torch.float64), axes @ rot
    origins = torch.tensor(origin, dtype=torch.float64).expand(2, 3)
    found_xyz, found_rot = to_frame(world_xyz, world_rot, origins, axes.expand(2, 3, 3))
    assert differ(found_xyz, xyz) < 1e-9
    assert differ(found_rot, rot) < 1e-9
