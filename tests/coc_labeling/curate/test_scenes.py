from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.driving import drive
from builders.scenes import (
    NO_BOXES,
    ahead_of,
    boxes,
    braking,
    mirrored,
    mirrored_boxes,
    motion_of,
    random_boxes,
    random_drive,
    standing_at,
    together,
)
from coc_labeling.curate.rules import RARE_ACTIONS, THRESHOLDS, RareReason, Scene
from coc_labeling.curate.scenes import ClipView

FRAME = 80


def view(d, tracks=None, frame=FRAME, actions=("gentle_acceleration",)):
    return ClipView(motion_of(d), tracks, THRESHOLDS).at(frame, actions)


def cars(d, count, away=30.0):
    return together(NO_BOXES, *(ahead_of(d, away, left=3.0 * n, track_id=str(n)) for n in range(count)))


@pytest.mark.parametrize(
    ("count", "scene"), [(1, Scene.SPARSE), (2, Scene.SPARSE), (3, Scene.STANDARD), (9, Scene.STANDARD)]
)
def test_road_users_are_counted(count, scene):
    found = view(drive(), cars(drive(), count))
    assert (found.scene, found.road_users) == (scene, count)


def test_a_track_counts_once_and_only_while_near_in_the_window():
    d = drive(speed=10.0)
    passed = standing_at(d, 20.0, 6.0, track_id="a")  # ego is at 80 m: out of sight of the window from 6 s to 14 s
    ahead = standing_at(d, 130.0, 6.0, track_id="b")
    assert view(d, together(passed, ahead)).road_users == 2
    assert view(d, together(standing_at(d, 0.0, track_id="a"), ahead)).road_users == 1


def test_empty_is_where_others_are_measured_and_far_away():
    d = drive()
    assert view(d, cars(d, 2, away=80.0)).scene is Scene.EMPTY


@pytest.mark.parametrize("tracks", [None, NO_BOXES])
def test_without_tracks_nothing_is_said_of_others(tracks):
    found = view(drive(), tracks)
    assert (found.scene, found.road_users) == (Scene.UNKNOWN, None)


def test_boxes_on_one_side_of_a_moment_do_not_show_an_empty_road():
    early = ahead_of(drive().rows(slice(0, 30)), 10.0)
    late = ahead_of(drive().rows(slice(170, 201)), 10.0, track_id="8")
    assert view(drive(), early).scene is Scene.UNKNOWN
    assert view(drive(), late).scene is Scene.UNKNOWN
    assert view(drive(), together(early, late)).scene is Scene.EMPTY


def test_radar_shows_many_but_not_few():
    d = drive()

    def radar(count):
        tracks = cars(d, count)
        return view(d, replace(tracks, yaw=np.full(len(tracks), np.nan))).scene

    assert (radar(2), radar(3)) == (Scene.UNKNOWN, Scene.STANDARD)


@pytest.mark.parametrize("action", sorted(RARE_ACTIONS))
def test_rare_meta_actions(action):
    found = view(drive(), cars(drive(), 5), actions=("go_straight", action))
    assert (found.scene, found.rare) == (Scene.RARE, (RareReason.ACTION,))


def test_hard_braking_and_cornering_after_the_moment():
    hard = braking(0.0, 20.0, at=12.0, by=5.0)
    assert view(hard).rare == (RareReason.BRAKING,)
    assert view(hard, frame=50).rare == ()  # it comes after the window
    assert view(hard, frame=175).rare == ()  # it is over
    assert view(braking(0.0, 20.0, at=12.0, by=3.0)).rare == ()
    assert view(drive(speed=15.0, yaw_rate=0.3)).rare == (RareReason.CORNERING,)
    assert view(drive(speed=15.0, yaw_rate=0.2)).rare == ()
    assert view(drive(speed=5.0, yaw_rate=0.4), frame=60).rare == ()  # its heading passes pi and begins again


@pytest.mark.parametrize("label", ["person", "rider", "stroller", "animal", "protruding_object"])
def test_someone_vulnerable_where_ego_drives(label):
    d = drive(speed=8.0)
    there = boxes("p", 90.0, 1.5, d.t_us, label=label)
    assert view(d, there).rare == (RareReason.NEAR_PATH,)
    assert view(d, replace(there, label_class=np.full(len(there), "automobile"))).rare == ()
    assert view(d, boxes("p", 90.0, 4.0, d.t_us, label=label)).rare == ()
    assert view(d, boxes("p", 30.0, 1.5, d.t_us, label=label)).rare == ()  # passed before


def test_who_stands_beside_a_standing_ego_is_not_met():
    d = drive(speed=0.0)
    assert view(d, boxes("p", 1.0, 1.0, d.t_us, label="person")).rare == ()


@given(st.integers(0, 400), st.integers(0, 200))
def test_left_and_right_are_alike(seed, frame):
    d = random_drive(seed)
    tracks = random_boxes(seed, d)
    assert view(d, tracks, frame) == view(mirrored(d), mirrored_boxes(tracks), frame)


@given(st.integers(0, 400), st.integers(0, 200))
def test_road_users_far_away_or_at_other_times_change_nothing(seed, frame):
    d = random_drive(seed)
    tracks = random_boxes(seed, d)
    if not len(tracks):
        return
    far = boxes("far", d.x + 500, d.y, d.t_us)
    found = view(d, tracks, frame)
    more = view(d, together(tracks, far), frame)
    assert more.rare == found.rare
    if found.road_users is not None:
        assert more.road_users == found.road_users
