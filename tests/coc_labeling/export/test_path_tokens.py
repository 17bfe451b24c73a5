import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.driving import drive, lively_drive
from coc_labeling.export.path_tokens import (
    FUTURE_BINS,
    HISTORY_FIRST,
    VOCABULARY,
    actions,
    actions_of,
    future_tokens,
    history_tokens,
    roll_out,
    start_speed,
)
from coc_labeling.export.trajectory import Drive, Path, drive_around
from driving_clips.ego_motion import EgoSamples
from driving_clips.errors import ClipRejectedError
from driving_clips.geometry import multiply, quat_of_yaw, rotate

T0_US = 4_000_000


def samples_of(d, turn: float = 0.0) -> EgoSamples:
    """Ego motion of a drive, seen from a frame that is turned and moved."""
    xyz = np.stack([d.x, d.y, np.zeros(len(d))], axis=1)
    quat = quat_of_yaw(d.yaw)
    around = np.broadcast_to(quat_of_yaw(np.array([turn])), quat.shape)
    return EgoSamples(d.t_us, rotate(around, xyz) + np.array([700.0, -30.0, 5.0]), multiply(around, quat), None)


def around(d, turn: float = 0.0, t0_us: int = T0_US) -> Drive:
    return drive_around(samples_of(d, turn), t0_us, with_future=True)


def test_paths_are_in_egos_own_frame():
    own = around(drive(speed=8.0), turn=1.0)
    assert (len(own.history.xyz), len(own.future.xyz)) == (16, 64)
    assert own.history.xyz[-1] == pytest.approx([0, 0, 0], abs=1e-9)
    assert own.history.xyz[0] == pytest.approx([-12.0, 0, 0], abs=1e-6)
    assert own.future.xyz[-1] == pytest.approx([51.2, 0, 0], abs=1e-6)
    assert own.future.quat == pytest.approx(np.tile([0, 0, 0, 1.0], (64, 1)), abs=1e-9)


def test_left_is_left():
    own = around(drive(speed=8.0, yaw_rate=0.1))
    assert own.future.xyz[-1, 1] > 5
    assert own.history.xyz[0, 1] > 0  # a circle to the left lies to the left before as well
    assert (actions(own)[5:-5, 1] == pytest.approx(0.1 / 8.0, rel=0.05)) is True


@given(st.integers(0, 50), st.floats(-3.1, 3.1))
def test_tokens_do_not_depend_on_the_frame_of_the_recording(seed, turn):
    here, there = around(lively_drive(seed)), around(lively_drive(seed), turn)
    assert history_tokens(here.history).tolist() == pytest.approx(history_tokens(there.history).tolist(), abs=1)
    assert future_tokens(here).tolist() == pytest.approx(future_tokens(there).tolist(), abs=1)


@given(st.floats(3, 30), st.floats(-0.2, 0.2))
def test_tokens_lead_back_to_the_path(speed, yaw_rate):
    own = around(drive(hz=100, speed=lambda t: speed + np.sin(t), yaw_rate=yaw_rate))
    tokens = future_tokens(own)
    assert len(tokens) == 128
    assert (tokens >= 0).all()
    assert (tokens < FUTURE_BINS).all()
    driven = roll_out(actions_of(tokens), start_speed(own.history))
    length, half_a_bin = 6.4 * (speed + 1), 0.2 / (FUTURE_BINS - 1)
    assert np.linalg.norm(driven - own.future.xyz[:, :2], axis=1).max() < 0.2 + half_a_bin * length**2 / 2


def test_straight_on_stays_straight():
    own = around(drive(speed=30.0))
    driven = roll_out(actions_of(future_tokens(own)), start_speed(own.history))
    assert driven[-1] == pytest.approx([192.0, 0.0], abs=0.1)


def test_history_tokens_are_steps_in_bins():
    # By hand: a step of x from [-4, 4] m to bins 0 to 999 is (x + 4) / 8 * 999, rounded; y and z of zero are bin 500.
    xyz = np.zeros((16, 3))
    xyz[:, 0] = np.arange(-15, 1) * 0.8
    tokens = history_tokens(Path(xyz, np.tile([0, 0, 0, 1.0], (16, 1)))) - HISTORY_FIRST
    first, second = [0, 500, 500], [599, 500, 500]  # -12 m is below the range
    assert tokens.tolist() == [*first, *second * 15]
    assert (tokens + HISTORY_FIRST < VOCABULARY).all()


@pytest.mark.parametrize("t0_us", [1_400_000, 13_700_000])
def test_a_path_that_is_not_covered(t0_us):
    with pytest.raises(ClipRejectedError):
        around(drive(), t0_us=t0_us)


def test_a_hole_is_no_path():
    samples = samples_of(drive())
    kept = samples.rows(np.flatnonzero((samples.t_us < 6_000_000) | (samples.t_us > 7_000_000)))
    with pytest.raises(ClipRejectedError, match="hole"):
        drive_around(kept, T0_US, with_future=True)
    assert drive_around(kept, T0_US, with_future=False).future is None
