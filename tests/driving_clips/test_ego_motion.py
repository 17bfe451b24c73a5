import numpy as np
import pytest

from builders.driving import Drive, drive, lively_drive
from driving_clips.ego_motion import EgoSamples, resample
from driving_clips.errors import ClipRejectedError
from driving_clips.geometry import quat_of_yaw


def samples_of(d: Drive, *, velocity: bool = True) -> EgoSamples:
    zero = np.zeros(len(d))
    return EgoSamples(
        d.t_us.copy(),
        np.stack([d.x, d.y, zero], axis=1),
        quat_of_yaw(d.yaw),
        np.stack([d.vx, d.vy, zero], axis=1) if velocity else None,
    )


def reason_of(samples: EgoSamples) -> str:
    with pytest.raises(ClipRejectedError) as caught:
        resample(samples)
    return caught.value.reason


def assert_same_motion(a, b):
    assert a.first_tick == b.first_tick
    for name in ("xyz", "quat", "velocity"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_samples_on_the_ticks_are_taken_as_they_are():
    d = lively_drive(1)
    motion = resample(samples_of(d))
    assert (motion.first_tick, len(motion)) == (0, 201)
    np.testing.assert_allclose(motion.xyz[:, 0], d.x, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(motion.velocity[:-1, 0], d.vx[:-1])


def test_order_of_the_samples_does_not_matter():
    d = lively_drive(2, hz=100)
    mixed = d.rows(np.random.default_rng(0).permutation(len(d)))
    assert_same_motion(resample(samples_of(mixed)), resample(samples_of(d)))


def test_of_equal_timestamps_the_first_sample_is_kept():
    d = drive(hz=50)
    wrong = d.rows(np.arange(200, 300))
    wrong = Drive(wrong.t_us, wrong.x + 1.0, wrong.y, wrong.yaw, wrong.vx, wrong.vy)
    both = Drive(*(np.concatenate([getattr(d, n), getattr(wrong, n)]) for n in ("t_us", "x", "y", "yaw", "vx", "vy")))
    assert_same_motion(resample(samples_of(both)), resample(samples_of(d)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", ["x", "yaw", "vy"])
def test_samples_that_are_not_finite_are_dropped(value, column):
    d = lively_drive(3, hz=100)
    bad = [500, 501, 1200]
    broken = d.rows(np.arange(len(d)))
    getattr(broken, column)[bad] = value
    with np.errstate(invalid="ignore"):
        samples = samples_of(broken)
    assert_same_motion(resample(samples), resample(samples_of(d.rows(np.delete(np.arange(len(d)), bad)))))


def test_samples_without_a_rotation_are_dropped():
    d = drive(hz=100)
    samples = samples_of(d)
    samples.quat[700] = 0.0
    assert_same_motion(resample(samples), resample(samples_of(d.rows(np.delete(np.arange(len(d)), 700)))))


def test_quaternions_of_any_length_are_accepted():
    samples = samples_of(lively_drive(4))
    longer = EgoSamples(samples.t_us, samples.xyz, samples.quat * 3.0, samples.velocity)
    np.testing.assert_allclose(resample(longer).heading, resample(samples).heading, atol=1e-12)


def test_a_clip_of_nan_is_rejected():
    samples = samples_of(drive())
    samples.xyz[:] = np.nan
    assert reason_of(samples) == "no_finite_samples"


def test_a_clip_without_samples_is_rejected():
    assert reason_of(samples_of(drive().rows(slice(0, 0)))) == "no_finite_samples"


def test_a_single_sample_is_rejected():
    assert reason_of(samples_of(drive().rows(slice(0, 1)))) == "too_short"


def test_a_hole_of_half_a_second_is_bridged_and_a_longer_one_rejected():
    d = drive(hz=100)
    bridged = d.rows((d.t_us <= 5_000_000) | (d.t_us >= 5_500_000))
    np.testing.assert_allclose(resample(samples_of(bridged)).xyz, resample(samples_of(d)).xyz, atol=1e-9)
    assert reason_of(samples_of(d.rows((d.t_us <= 5_000_000) | (d.t_us > 5_500_000)))) == "hole"


def test_the_message_of_a_hole_says_where_and_how_long():
    d = drive(hz=100)
    with pytest.raises(ClipRejectedError, match=r"2\.00 s after 7\.00 s"):
        resample(samples_of(d.rows((d.t_us <= 7_000_000) | (d.t_us >= 9_000_000))))


def test_holes_outside_the_ticks_do_no_harm():
    d = drive(30.0, hz=100, start_us=-5_000_000)
    outside = (d.t_us > -4_000_000) & (d.t_us < -1_000_000) | (d.t_us > 21_000_000) & (d.t_us < 24_000_000)
    assert_same_motion(resample(samples_of(d.rows(~outside))), resample(samples_of(d)))


def test_a_hole_that_reaches_into_the_first_tick_is_a_hole():
    d = drive(22.0, hz=100, start_us=-1_000_000)
    assert reason_of(samples_of(d.rows((d.t_us <= -400_000) | (d.t_us >= 200_000)))) == "hole"


@pytest.mark.parametrize(("ticks", "labelled"), [(9, False), (10, True)])
def test_ten_ticks_are_the_least(ticks, labelled):
    samples = samples_of(drive((ticks - 1) / 10))
    if labelled:
        assert len(resample(samples)) == ticks
    else:
        assert reason_of(samples) == "too_short"


def test_a_late_start_gives_a_late_first_tick():
    motion = resample(samples_of(drive(15.0, hz=100, start_us=3_210_000)))
    assert (motion.first_tick, len(motion)) == (33, 150)
    assert motion.t_sec[0] == pytest.approx(3.3)


def test_a_start_exactly_on_a_tick_covers_that_tick():
    assert resample(samples_of(drive(10.0, hz=100, start_us=500_000))).first_tick == 5


def test_an_early_end_ends_the_clip():
    assert len(resample(samples_of(drive(12.34, hz=100)))) == 124


def test_samples_before_zero_and_beyond_twenty_seconds_give_no_ticks():
    motion = resample(samples_of(drive(140.0, hz=100, start_us=-60_000_000)))
    assert (motion.first_tick, len(motion)) == (0, 201)


def test_twenty_seconds_exactly_are_201_ticks():
    assert len(resample(samples_of(drive(20.0, hz=100)))) == 201
    assert len(resample(samples_of(drive(20.0, hz=100).rows(slice(0, -1))))) == 200


def test_a_clip_wholly_outside_the_clock_is_rejected():
    assert reason_of(samples_of(drive(10.0, start_us=25_000_000))) == "too_short"
    assert reason_of(samples_of(drive(10.0, start_us=-25_000_000))) == "too_short"


def test_just_below_a_hundred_metres_per_second_is_a_car_and_above_is_none():
    assert len(resample(samples_of(drive(speed=99.9)))) == 201
    assert reason_of(samples_of(drive(speed=100.5))) == "absurd_speed"


def test_a_jump_of_the_position_is_an_absurd_speed():
    d = drive()
    d.x[100:] += 50.0
    with pytest.raises(ClipRejectedError, match=r"positions at 9\.9 s") as caught:
        resample(samples_of(d))
    assert caught.value.reason == "absurd_speed"


def test_without_velocity_it_is_the_central_difference_of_the_position():
    d = lively_drive(5)
    velocity = resample(samples_of(d, velocity=False)).velocity
    np.testing.assert_allclose(velocity[1:-1, 0], (d.x[2:] - d.x[:-2]) / 0.2, atol=1e-9)
    np.testing.assert_allclose(velocity[1:-1, 1], (d.y[2:] - d.y[:-2]) / 0.2, atol=1e-9)


def test_between_samples_position_and_velocity_are_linear():
    d = drive(hz=10, start_us=-30_000, speed=lambda t: 5.0 + t)
    motion = resample(samples_of(d))
    np.testing.assert_allclose(motion.velocity[:100, 0], np.interp(motion.t_sec[:100] * 1e6, d.t_us, d.vx), atol=1e-9)
    np.testing.assert_allclose(motion.xyz[:100, 0], np.interp(motion.t_sec[:100] * 1e6, d.t_us, d.x), atol=1e-9)


def test_heading_is_interpolated_across_the_cut_at_pi():
    d = drive(hz=7, speed=5.0, yaw_rate=0.6)
    motion = resample(samples_of(d))
    expected = np.interp(motion.t_sec * 1e6, d.t_us, d.yaw)
    np.testing.assert_allclose(np.exp(1j * motion.heading), np.exp(1j * expected), atol=1e-9)


def test_longitudinal_speed_is_negative_backwards_and_lateral_speed_positive_to_the_left():
    d = drive(speed=-2.0, yaw_rate=0.1)
    np.testing.assert_allclose(resample(samples_of(d)).longitudinal_speed[:-1], -2.0, atol=1e-9)
    sliding = drive(speed=5.0)
    sliding.vy[:] = 1.5
    np.testing.assert_allclose(resample(samples_of(sliding)).lateral_speed, 1.5, atol=1e-9)


def test_a_tick_on_a_sample_is_that_sample_to_the_bit():
    random = np.random.default_rng(0)
    yaw = np.cumsum(random.normal(0, 0.05, 201))
    xyz, velocity = random.normal(0, 50, (201, 3)), random.normal(0, 5, (201, 3))
    xyz[:, :2] = np.cumsum(random.normal(0, 1, (201, 2)), axis=0)
    t_us = np.arange(201, dtype=np.int64) * 100_000
    motion = resample(EgoSamples(t_us, xyz, quat_of_yaw(yaw), velocity, yaw))
    assert (motion.xyz == xyz).all()
    assert (motion.velocity == velocity).all()
    assert (motion.heading == yaw).all()
