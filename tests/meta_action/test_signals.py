import numpy as np
import pytest

from builders.driving import drive, lively_drive
from meta_action.signals import compute_signals


def signals_of(*drives):
    return compute_signals(*(np.stack([getattr(d, n) for d in drives]) for n in ("x", "y", "yaw", "vx", "vy")))


def slow_rolling_mean(values):
    return [np.mean(values[max(0, i - 2) : i + 3]) for i in range(len(values))]


def test_speed_along_is_negative_backwards():
    signals = signals_of(drive(speed=-3.0, yaw_rate=0.2))
    np.testing.assert_allclose(signals.speed, 3.0)
    np.testing.assert_allclose(signals.speed_along, -3.0)


def test_acceleration_is_the_change_of_speed_smoothed_over_five_ticks():
    d = lively_drive(1)
    speed = np.hypot(d.vx, d.vy)
    accel = np.diff(speed) / 0.1
    np.testing.assert_allclose(
        signals_of(d).accel_smooth[0], slow_rolling_mean(np.concatenate([accel[:1], accel])), atol=1e-9
    )


def test_heading_steps_are_averaged_with_mirrored_edges():
    d = lively_drive(2)
    padded = np.pad(np.diff(d.yaw), 2, mode="reflect")
    expected = np.convolve(padded, np.ones(5) / 5, mode="valid")
    np.testing.assert_allclose(signals_of(d).heading_step[0], expected, atol=1e-12)


def test_a_heading_that_wraps_makes_no_step():
    d = drive(speed=5.0, yaw_rate=0.5)
    wrapped = np.angle(np.exp(1j * d.yaw))
    whole = compute_signals(d.x[None], d.y[None], d.yaw[None], d.vx[None], d.vy[None])
    cut = compute_signals(d.x[None], d.y[None], wrapped[None], d.vx[None], d.vy[None])
    np.testing.assert_allclose(cut.heading_step, whole.heading_step, atol=1e-12)


def test_the_turn_rate_is_per_metre_and_zero_while_standing():
    np.testing.assert_allclose(signals_of(drive(speed=5.0, yaw_rate=0.1)).turn_rate, 0.02, atol=1e-9)
    standing = drive(speed=0.0, yaw_rate=0.1)
    assert (signals_of(standing).turn_rate == 0.0).all()


@pytest.mark.parametrize("seconds", [0.9, 6.0, 20.0])
def test_a_clip_s_signals_do_not_depend_on_the_batch(seconds):
    drives = [lively_drive(i, seconds) for i in range(5)]
    together = signals_of(*drives)
    for i, d in enumerate(drives):
        alone = signals_of(d)
        for name in ("speed", "speed_along", "accel_smooth", "step", "heading_step", "turn_rate"):
            np.testing.assert_array_equal(getattr(together, name)[i], getattr(alone, name)[0])
