import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.driving import drive
from builders.scenes import (
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
from coc_labeling.scene import Kind, facts_until_keyframe, scene_facts
from coc_labeling.schema import Side

CRUISE = drive(speed=10.0)
T = CRUISE.t_us / 1e6
PERSON = (0.6, 0.6, 1.7)
STOPS = drive(speed=lambda t: np.maximum(10.0 - 2.5 * np.maximum(t - 6, 0), 0.0))


def facts_of(tracks, d=CRUISE):
    return scene_facts(motion_of(d), tracks)


def roles_of(tracks, kind, d=CRUISE):
    return [role for role in facts_of(tracks, d).roles if role.kind == kind]


def moving_over(from_d: float, to_d: float, at: float = 8.0, seconds: float = 3.0, gap: float = 15.0, by: float = 0.0):
    """A car ahead of ego that moves from one offset of ego's path to another."""
    d = from_d + (to_d - from_d) * np.clip((T - at) / seconds, 0, 1)
    return boxes("7", CRUISE.x + gap + 2.25 + by * (T - at), d, CRUISE.t_us)


@pytest.mark.parametrize(("lane", "side"), [(3.5, "left"), (-3.5, "right")])
def test_who_comes_into_the_path_from_beside_it_cuts_in(lane, side):
    (role,) = roles_of(moving_over(lane, 0.0), Kind.CUT_IN)
    assert role.side == side
    assert 80 <= role.start_tick <= 100
    assert role.distance_m == pytest.approx(15.0, abs=0.5)


def test_who_is_still_coming_in_is_foreseen():
    known = facts_until_keyframe(window_at(CRUISE, 95, moving_over(3.5, 0.0)))
    (role,) = known.during(95, 95, [Kind.CUT_IN])
    assert role.side == "left"


@pytest.mark.parametrize("frame", [70, 79])
def test_who_has_not_begun_to_come_in_does_not_cut_in(frame):
    known = facts_until_keyframe(window_at(CRUISE, frame, moving_over(3.5, 0.0)))
    assert not known.during(0, frame, [Kind.CUT_IN])


def test_who_stays_in_the_next_lane_is_adjacent_and_does_not_cut_in():
    tracks = moving_over(3.5, 3.5)
    assert not roles_of(tracks, Kind.CUT_IN)
    (role,) = roles_of(tracks, Kind.ADJACENT)
    assert (role.side, role.start_tick <= 5, role.end_tick >= 195) == ("left", True, True)


@pytest.mark.parametrize(("lane", "side"), [(3.5, "left"), (-3.5, "right")])
def test_the_lead_that_leaves_the_path_cuts_out(lane, side):
    (role,) = roles_of(moving_over(0.0, lane), Kind.CUT_OUT)
    assert role.side == side


def lane_changing(side: float = 1.0):
    rate = 3.5 * 2 * np.pi / (15.0 * 16)
    inside = lambda t: (t >= 8) & (t < 12)  # noqa: E731
    return drive(speed=15.0, yaw_rate=lambda t: side * rate * np.sin(2 * np.pi * (t - 8) / 4) * inside(t))


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_where_ego_changes_lanes_others_that_keep_theirs_neither_cut_in_nor_out(side):
    d = lane_changing(side)
    old = boxes("old", d.x + 25, 0.0, d.t_us)
    new = boxes("new", d.x + 25, side * 3.5, d.t_us)
    for tracks in (old, new):
        assert not roles_of(tracks, Kind.CUT_IN, d)
        assert not roles_of(tracks, Kind.CUT_OUT, d)


def walking(from_y: float, speed: float, at: float = 6.0, x: float = 90.0, **options):
    options = {"label": "person", "size": PERSON} | options
    return boxes("p", x, from_y + speed * (T - at), CRUISE.t_us, **options)


@pytest.mark.parametrize(("y", "side"), [(8.0, "left"), (-8.0, "right")])
def test_who_walks_across_the_path_crosses_from_a_side(y, side):
    (role,) = roles_of(walking(y, -np.sign(y) * 1.5), Kind.CROSSING, STOPS)
    assert role.side == side
    assert role.label_class == "person"


def test_who_walks_along_beside_the_path_does_not_cross():
    tracks = boxes("p", 60 + 1.5 * T, 3.0, CRUISE.t_us, label="person", size=PERSON)
    assert not roles_of(tracks, Kind.CROSSING)
    assert not roles_of(tracks, Kind.ENTERING)


def test_who_stops_at_the_kerb_does_not_cross():
    y = np.minimum(-8.0 + 1.5 * T, -3.5)
    assert not roles_of(boxes("p", 90.0, y, CRUISE.t_us, label="person", size=PERSON), Kind.CROSSING, STOPS)


def test_who_walks_into_the_path_and_stays_enters_it():
    y = np.minimum(-8.0 + 1.5 * (T - 2), 0.0)
    tracks = boxes("p", 85.0, y, CRUISE.t_us, label="person", size=PERSON)
    assert [role.side for role in roles_of(tracks, Kind.ENTERING, STOPS)] == ["right"]


@pytest.mark.parametrize(("speed", "side"), [(9.0, "right"), (-9.0, "left")])
def test_a_vehicle_that_passes_ahead_crosses(speed, side):
    tracks = boxes("7", 95.0, speed * (T - 9), CRUISE.t_us)
    (role,) = roles_of(tracks, Kind.CROSSING, STOPS)
    assert role.side == side


def test_behind_ego_nobody_crosses():
    tracks = boxes("7", CRUISE.x[50], 9.0 * (T - 12), CRUISE.t_us)
    assert not roles_of(tracks, Kind.CROSSING)


@pytest.mark.parametrize(("y", "side"), [(3.5, "left"), (-3.5, "right")])
def test_who_comes_towards_ego_near_the_path_is_oncoming(y, side):
    (role,) = roles_of(boxes("7", 150 - 9.0 * T, y, CRUISE.t_us), Kind.ONCOMING)
    assert role.side == side
    assert role.clearance_m == pytest.approx(3.5 - 0.95 - 1.0, abs=0.05)


@pytest.mark.parametrize(("keeps", "y", "there"), [("right", 5, 1), ("right", -5, 0), ("left", 5, 0), ("left", -5, 1)])
def test_where_traffic_is_known_to_keep_to_a_side_oncoming_traffic_is_on_the_other_one(keeps, y, there):
    tracks = boxes("7", 150 - 9.0 * T, float(y), CRUISE.t_us)
    found = scene_facts(motion_of(CRUISE), tracks, Side(keeps)).roles
    assert len([role for role in found if role.kind == Kind.ONCOMING]) == there
    assert roles_of(tracks, Kind.ONCOMING)


@pytest.mark.parametrize(("y", "side"), [(2.6, "left"), (-2.6, "right")])
def test_who_stands_at_the_path_s_side_is_beside_it(y, side):
    (role,) = roles_of(standing_at(CRUISE, 80.0, y), Kind.BESIDE)
    assert role.side == side
    assert role.clearance_m == pytest.approx(2.6 - 0.95 - 1.0, abs=0.05)
    assert not roles_of(standing_at(CRUISE, 80.0, y), Kind.LEAD)


def test_what_stands_in_the_path_is_in_it_whatever_it_is():
    cone = standing_at(STOPS, 100.0, 0.3, label="protruding_object", size=(0.4, 0.4, 0.7))
    (role,) = roles_of(cone, Kind.IN_PATH, STOPS)
    assert role.side is None


def test_two_that_stand_ahead_are_a_queue():
    two = together(standing_at(STOPS, 90.0, track_id="a"), standing_at(STOPS, 97.0, track_id="b"))
    assert {role.track_id for role in roles_of(two, Kind.QUEUE, STOPS)} == {"a"}
    assert not roles_of(standing_at(STOPS, 90.0), Kind.QUEUE, STOPS)


def test_roles_can_be_asked_for_by_time_and_kind():
    facts = facts_of(moving_over(3.5, 0.0))
    assert facts.during(85, 100, [Kind.CUT_IN])
    assert not facts.during(0, 40, [Kind.CUT_IN])
    assert [track.track_id for track in facts.near(0, 10, 30.0)] == ["7"]
    assert not facts.near(0, 10, 5.0)
    assert facts.track("7").label_class == "automobile"
    assert facts.track("8") is None


def test_without_tracks_nothing_about_others_is_known():
    nothing, empty = facts_of(None), facts_of(NO_BOXES)
    assert (nothing.has_tracks, empty.has_tracks) == (False, False)
    assert (nothing.roles, empty.roles) == ((), ())
    assert (nothing.problems, len(empty.problems)) == ((), 1)
    assert nothing.lead_at(100) is None


def test_the_range_is_how_far_others_were_seen():
    assert facts_of(ahead_of(CRUISE, 40.0)).range_m == pytest.approx(42.25)
    assert facts_of(ahead_of(CRUISE, -42.25)).range_m == pytest.approx(40.0)
    assert facts_of(ahead_of(CRUISE, 140.0)).range_m == 100.0
    assert facts_of(together(ahead_of(CRUISE, 10.0), ahead_of(CRUISE, 80.0, track_id="8"))).range_m > 80.0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_the_mirrored_scene_has_the_same_roles_on_the_other_side(seed):
    d = random_drive(seed)
    tracks = random_boxes(seed, d)
    own, other = facts_of(tracks, d), facts_of(mirrored_boxes(tracks), mirrored(d))
    swapped = {"left": "right", "right": "left", None: None}
    assert [(r.kind, r.track_id, r.start_tick, r.end_tick, swapped[r.side]) for r in own.roles] == [
        (r.kind, r.track_id, r.start_tick, r.end_tick, r.side) for r in other.roles
    ]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(5, 195))
def test_what_boxes_show_after_the_keyframe_changes_no_fact_known_at_it(seed, frame):
    d = random_drive(seed)
    tracks, other = random_boxes(seed, d), random_boxes(seed + 7, d)
    before = tracks.select(tracks.t_us <= frame * 100_000)
    changed = together(before, other.select(other.t_us > frame * 100_000))
    assert (
        facts_until_keyframe(window_at(d, frame, tracks)).roles
        == facts_until_keyframe(window_at(d, frame, changed)).roles
    )
