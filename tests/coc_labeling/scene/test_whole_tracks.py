from dataclasses import replace

import numpy as np
import pytest

from builders.driving import drive
from builders.scenes import ahead_of, boxes, motion_of, standing_at, together
from coc_labeling.scene import Kind, scene_facts

CRUISE = drive(speed=10.0)
T = CRUISE.t_us / 1e6


def facts_of(tracks, d=CRUISE):
    return scene_facts(motion_of(d), tracks)


def test_an_id_that_was_given_to_another_counts_as_two_tracks():
    x = CRUISE.x + np.where(T < 10, 20.0, 60.0)
    facts = facts_of(boxes("7", x, 0.0, CRUISE.t_us))
    assert "track 7 jumps" in facts.problems[0]
    after = facts.lead_at(106)
    assert after.speed_mps == pytest.approx(10.0, abs=0.1)
    assert facts.lead_at(101).distance_m == pytest.approx(20.0 - 2.25, abs=0.1)  # the first one goes on, unseen


def test_holes_are_bridged_for_half_a_second_and_said_where_they_are_many():
    seen = CRUISE.rows(np.flatnonzero((T < 8) | (T > 12)))
    facts = facts_of(ahead_of(seen, 20.0))
    assert "1 of 1 tracks have holes over 0.5 s, up to 4.2 s" in facts.problems[0]
    assert facts.lead_at(83) is not None
    assert facts.lead_at(100) is None
    short = CRUISE.rows(np.flatnonzero((T < 8) | (T > 8.3)))
    assert facts_of(ahead_of(short, 20.0)).problems == ()


def test_thousands_of_tracks_are_read():
    random = np.random.default_rng(0)
    few = CRUISE.rows(slice(0, 201, 10))
    count = 3000
    at = np.repeat(random.uniform(-100, 400, (count, 2)), len(few), axis=0)
    tracks = boxes("x", at[:, 0], at[:, 1] - 150, np.tile(few.t_us, count))
    named = replace(tracks, track_id=np.repeat(np.arange(count).astype(str), len(few)))
    facts = facts_of(together(named, ahead_of(CRUISE, 20.0, track_id="lead")))
    assert facts.lead_at(100).track_id in {"lead", *map(str, range(count))}


def swapped(a, b, at_sec):
    """Two tracks of the same times that get each other's boxes from a moment on."""
    late = (a.t_us >= at_sec * 1e6)[:, None]
    return together(
        replace(a, center=np.where(late, b.center, a.center)), replace(b, center=np.where(late, a.center, b.center))
    )


@pytest.mark.parametrize("left", [3.0, -3.6])
def test_neighbours_that_swap_ids_do_not_cut_in(left):
    beside = ahead_of(CRUISE, 20.0, left=left, track_id="8")
    facts = facts_of(swapped(ahead_of(CRUISE, 20.0), beside, 8.0))
    (problem,) = facts.problems
    assert "track 7, 8 jumps: 7 and 8 swap places at 8.0 s" in problem
    assert not facts.during(0, 200, [Kind.CUT_IN, Kind.CUT_OUT])
    assert (facts.lead_at(70).track_id, facts.lead_at(100).track_id) == ("7", "8")


def test_two_that_swap_twice_are_cut_twice():
    beside = ahead_of(CRUISE, 20.0, left=3.6, track_id="8")
    one, other = ahead_of(CRUISE, 20.0), beside
    middle = ((one.t_us >= 6_000_000) & (one.t_us < 6_800_000))[:, None]
    both = together(
        replace(one, center=np.where(middle, other.center, one.center)),
        replace(other, center=np.where(middle, one.center, other.center)),
    )
    facts = facts_of(both)
    assert "7 and 8 swap places at 6.0 s (the first of 2 swaps)" in facts.problems[0]
    assert not facts.during(0, 200, [Kind.CUT_IN, Kind.CUT_OUT])


def test_a_lane_change_and_the_tracker_s_noise_are_no_jumps():
    random = np.random.default_rng(2)
    moves = boxes("7", CRUISE.x + 20, np.clip(3.6 - 2.0 * np.maximum(T - 8, 0), 0, None), CRUISE.t_us)
    noisy = replace(moves, center=moves.center + random.normal(0, 0.2, moves.center.shape))
    facts = facts_of(noisy)
    assert facts.problems == ()
    assert facts.during(0, 200, [Kind.CUT_IN])


def test_what_is_cut_at_a_tick_does_not_depend_on_what_comes_later():
    both = swapped(ahead_of(CRUISE, 20.0), ahead_of(CRUISE, 20.0, left=3.6, track_id="8"), 8.0)
    for tick in (81, 85, 90):
        assert facts_of(both.until(tick * 100_000)).lead_at(tick) == facts_of(both).lead_at(tick)


def test_ids_that_are_new_in_each_frame_are_no_tracks():
    lead = ahead_of(CRUISE, 20.0)
    facts = facts_of(replace(lead, track_id=np.arange(len(lead)).astype(str)))
    assert not facts.has_tracks
    assert "track ids cannot be relied on" in facts.problems[-1]


def test_ids_that_are_dealt_anew_in_each_frame_are_no_tracks():
    random = np.random.default_rng(0)
    street = together(*(standing_at(CRUISE, 9.0 * n, 8.0 * (-1) ** n, track_id=f"{n}") for n in range(20)))
    ids = np.concatenate([random.permutation(20) for _ in range(201)]).astype(str)
    order = np.argsort(street.t_us, kind="stable")
    facts = facts_of(replace(street.select(order), track_id=ids))
    assert not facts.has_tracks
    assert "20 ids jump" in facts.problems[-1]


def test_thousands_of_ids_that_jump_cost_little_and_are_said():
    random = np.random.default_rng(0)
    count, times = 3000, CRUISE.t_us[::2]
    named = boxes("x", 0.0, 0.0, np.tile(times, count))
    center = np.tile(np.stack([CRUISE.x[::2], 0 * times, 0 * times], axis=1), (count, 1))
    center[:, :2] += random.normal(0, 30, (len(center), 2))
    facts = facts_of(replace(named, track_id=np.repeat(np.arange(count).astype(str), len(times)), center=center))
    assert not facts.has_tracks
    assert facts.problems[-2] == "of 3000 tracks the 2000 that come nearest to ego are looked at"
    assert "track ids cannot be relied on" in facts.problems[-1]


def test_boxes_too_rare_to_have_a_speed_tell_nothing():
    facts = facts_of(ahead_of(CRUISE.rows(slice(None, None, 10)), 20.0))
    assert not facts.has_tracks
    assert "nobody's speed is known" in facts.problems[-1]


def test_two_boxes_a_second_are_enough():
    facts = facts_of(ahead_of(CRUISE.rows(slice(None, None, 5)), 20.0))
    assert (facts.has_tracks, facts.lead_at(100).distance_m) == (True, pytest.approx(20.0))
