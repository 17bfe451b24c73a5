from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.driving import drive, lively_drive
from builders.scenes import NO_BOXES, boxes, braking, motion_of, random_drive, together
from coc_labeling.curate.masks import faulty_ticks
from coc_labeling.curate.rules import THRESHOLDS, Mask
from coc_labeling.curate.scenes import ClipView
from coc_labeling.curate.surroundings import surroundings


def faults(d, tracks=None, first_tick=0):
    """Return the ticks with a fault, by fault, of those that there are."""
    ego = motion_of(d, first_tick)
    others = None if tracks is None else surroundings(ego, tracks, THRESHOLDS)
    found = faulty_ticks(ego, others, THRESHOLDS)
    return {mask: np.flatnonzero(ticks).tolist() for mask, ticks in found.items() if ticks.any()}


def stops_for_good():
    return drive(speed=lambda t: np.clip(12 - 2 * (t - 4), 0, 12))


def watched(d, away_m):
    """Two vehicles as far away all the time, one to each side."""
    return together(*(boxes(str(n), d.x, d.y + side * away_m, d.t_us) for n, side in enumerate((1, -1))))


CIRCLE = drive(speed=5.0, yaw_rate=0.4)  # its heading passes pi and begins again


@pytest.mark.parametrize(
    "d", [drive(), CIRCLE, lively_drive(), lively_drive(3), braking(0.0, 20.0, by=9.0), drive(speed=0.0)]
)
def test_what_a_car_can_do_is_no_fault(d):
    assert faults(d) == {}
    assert faults(d, NO_BOXES) == {}


@given(st.integers(0, 300))
def test_smooth_drives_have_no_jump(seed):
    d = random_drive(seed)
    if np.abs(np.diff(np.hypot(d.vx, d.vy))).max() < THRESHOLDS.jump_mps:
        assert Mask.JUMP not in faults(d)


@pytest.mark.parametrize("metres", [-3.0, 1.0, 40.0])
def test_a_place_that_jumps_is_a_fault_on_both_sides(metres):
    d = drive()
    assert faults(replace(d, y=d.y + metres * (d.t_us >= 10_000_000))) == {Mask.JUMP: [99, 100]}


def test_a_speed_or_heading_that_jumps_is_a_fault():
    d = drive()
    later = d.t_us >= 10_000_000
    assert faults(replace(d, vx=d.vx + 2.5 * later))[Mask.JUMP][:2] == [99, 100]
    turned = replace(d, yaw=d.yaw + 0.5 * later)
    assert faults(turned) == {Mask.JUMP: [99, 100]}
    assert faults(replace(d, yaw=d.yaw + 2 * np.pi * later)) == {}


def test_speeds_out_of_range():
    assert list(faults(drive(speed=lambda t: 55 + t))) == [Mask.SPEED]
    assert faults(drive(speed=lambda t: 55 + t))[Mask.SPEED][0] == 51
    assert list(faults(drive(speed=-9.0))) == [Mask.SPEED]
    assert faults(drive(speed=-5.0)) == {}


def test_a_stop_harder_than_a_car_brakes():
    found = faults(drive(speed=lambda t: np.clip(12 - 18 * (t - 5), 0, 12)))  # 1.8 m/s a tick is no jump yet
    assert list(found) == [Mask.STOP]
    assert 55 <= found[Mask.STOP][0] <= 57


def test_a_stop_to_the_end_with_everyone_far_away():
    d = stops_for_good()
    assert faults(d, watched(d, 45.0))[Mask.STOP] == list(range(100, 201))


@pytest.mark.parametrize(
    ("d", "tracks"),
    [
        (stops_for_good(), None),  # without tracks nobody knows
        (stops_for_good(), NO_BOXES),  # nor where nothing was measured
        (stops_for_good(), watched(stops_for_good(), 35.0)),
        (stops_for_good(), watched(stops_for_good().rows(slice(0, 150)), 45.0)),  # not seen to the end
        (drive(speed=lambda t: np.abs(12 - 2 * t)), watched(drive(), 45.0)),  # goes on
        (drive(speed=0.0), watched(drive(speed=0.0), 45.0)),  # has not come to a stop
    ],
)
def test_stops_that_may_have_a_reason(d, tracks):
    assert faults(d, tracks) == {}


def test_radar_does_not_show_that_nobody_is_there():
    d = stops_for_good()
    tracks = watched(d, 45.0)
    assert faults(d, replace(tracks, yaw=np.full(len(tracks), np.nan))) == {}


@given(st.integers(0, 199), st.integers(0, 200))
def test_a_moment_is_masked_where_the_fault_lies_in_its_window(jump, frame):
    d = drive()
    ego = motion_of(replace(d, y=d.y + 5.0 * (d.t_us > jump * 100_000)))
    masks = ClipView(ego, None, THRESHOLDS).at(frame, ()).masks
    assert (Mask.JUMP in masks) == (frame - 20 <= jump + 1 and jump <= frame + 60)


def test_ticks_count_from_where_ego_motion_begins():
    d = drive()
    ego = motion_of(replace(d, y=d.y + 5.0 * (d.t_us > 0)), first_tick=50)
    view = ClipView(ego, None, THRESHOLDS)
    assert not view.covers(49)
    assert view.covers(50)
    assert view.at(50, ()).masks == (Mask.JUMP,)
    assert view.at(80, ()).masks == ()
