import numpy as np
import pytest

from builders.driving import drive
from builders.scenes import boxes, label_at, together, window_at
from coc_labeling.scene import facts_until_keyframe, find_sideways, joined_leads, scene_facts, side_moves, traffic_lines

MPS = 20.0
FRAME = 100


def merging(sign=1):
    """Drive on a ramp that runs 4.6 degrees to the road, and come onto the road's lane from 10 s to 14 s."""
    angle = 0.08 * sign
    return drive(speed=MPS, yaw_rate=lambda t: -angle / 4.0 * ((t >= 10.0) & (t < 14.0)))


def on_the_lane(ego, ahead_m, *, mps=MPS, track_id="9"):
    """Somebody who drives all along on the straight line that ego ends on."""
    course = np.array([np.cos(ego.yaw[-1]), np.sin(ego.yaw[-1])])
    at = np.array([ego.x[-1], ego.y[-1]]) + ((ego.t_us - ego.t_us[-1]) / 1e6 * mps + ahead_m)[:, None] * course
    track = boxes(track_id, at[:, 0], at[:, 1], ego.t_us)
    track.yaw[:] = ego.yaw[-1]
    return track


def changes_of(ego, tracks, frame=FRAME):
    window = window_at(ego, frame, tracks)
    return find_sideways(window, traffic_lines(scene_facts(window.ego, tracks))).changes


@pytest.mark.parametrize(("sign", "side"), [(1, "left"), (-1, "right")])
def test_coming_from_a_ramp_onto_a_lane_that_others_drive_on_is_a_merge(sign, side):
    ego = merging(sign)
    tracks = on_the_lane(ego, 30.0)
    (move,) = changes_of(ego, tracks)
    assert (move.side, move.from_ramp) == (side, True)
    label = label_at(ego, FRAME + 5, tracks)
    assert (label.lateral.decision, label.lateral.direction) == ("merge", side)


def test_without_anybody_on_the_road_no_merge_is_seen():
    ego = merging()
    assert changes_of(ego, on_the_lane(ego, 300.0)) == ()


def test_following_somebody_on_one_s_own_lane_is_no_change():
    ego = drive(speed=MPS)
    assert changes_of(ego, boxes("9", ego.x + 30.0, 0.0, ego.t_us)) == ()


def test_where_the_other_one_changes_lanes_ego_does_not():
    """Ego drives straight on, somebody beside it moves over."""
    ego = drive(speed=MPS)
    aside = 3.5 * np.clip((ego.t_us / 1e6 - 10.0) / 4.0, 0.0, 1.0)
    assert changes_of(ego, boxes("9", ego.x + 10.0, aside, ego.t_us)) == ()


def changing(bend_rps=0.0):
    """Change lanes to the left from 10 s to 14 s, on a road that bends."""
    rate = 3.5 * 2 * np.pi / (MPS * 16)
    return drive(
        speed=MPS, yaw_rate=lambda t: bend_rps + rate * np.sin(2 * np.pi * (t - 10) / 4) * ((t >= 10) & (t < 14))
    )


def test_a_lane_change_on_a_bending_road_shows_against_others():
    """Two others drive the same bend, each on a lane of its own."""
    ego, road = changing(0.02), drive(speed=MPS, yaw_rate=0.02)
    left = np.stack([-np.sin(road.yaw), np.cos(road.yaw)])
    others = [
        boxes(name, road.x + d * left[0], road.y + d * left[1], road.t_us) for name, d in (("1", 3.5), ("2", -3.5))
    ]
    (move,) = changes_of(ego, together(*others))
    assert move.side == "left"
    assert move.moved_m == pytest.approx(3.5, abs=1.0)


def test_who_drives_on_the_lane_that_ego_changes_to_is_joined():
    rate = 3.5 * 2 * np.pi / (15.0 * 16)
    ego = drive(speed=15.0, yaw_rate=lambda t: rate * np.sin(2 * np.pi * (t - 8) / 4) * ((t >= 8) & (t < 12)))
    tracks = boxes("9", ego.x + 20.0, 3.5, ego.t_us)
    scene = facts_until_keyframe(window_at(ego, 92, tracks))
    leads = [scene.lead_at(92), *joined_leads(scene.users, scene.ego, scene.first_tick, 92)]
    assert "9" in {lead.track_id for lead in leads if lead is not None}


def test_who_keeps_beside_ego_is_not_joined():
    ego = drive(speed=15.0)
    scene = facts_until_keyframe(window_at(ego, FRAME, boxes("9", ego.x + 20.0, 3.5, ego.t_us)))
    assert joined_leads(scene.users, scene.ego, scene.first_tick, FRAME) == []


def test_out_and_back_are_two_moves_and_no_long_one_between_them():
    """Around something, 0.6 m to the left and, 4 s later, back."""
    over = 0.6 * 2 * np.pi / (12.0 * 2.0**2)

    def rate(t):
        out, back = (t >= 6) & (t < 8), (t >= 12) & (t < 14)
        return over * (np.sin(np.pi * (t - 6)) * out - np.sin(np.pi * (t - 12)) * back)

    ego = drive(speed=12.0, yaw_rate=rate)
    moves = side_moves(window_at(ego, FRAME).ego, FRAME)
    assert [(move.side, round(move.moved_m, 1)) for move in moves] == [("left", 0.6), ("right", 0.6)]


def test_moving_off_within_seconds_is_no_waiting():
    ego = drive(speed=lambda t: np.maximum(0.0, 1.5 * (t - 11.0)))
    assert label_at(ego, 105).effect_on_ego_behavior.startswith("Move off")
    assert label_at(ego, 60).longitudinal.decision == "stop"
