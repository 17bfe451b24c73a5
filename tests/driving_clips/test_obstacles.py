import numpy as np
import pytest

from builders.driving import drive
from builders.pai import obstacle_columns, parquet, static_box_seen_from
from driving_clips.datasets.pai import read_boxes
from driving_clips.ego_motion import EgoSamples
from driving_clips.errors import ClipFailedError
from driving_clips.geometry import quat_of_yaw


def ego_of(d) -> EgoSamples:
    return EgoSamples(d.t_us, np.stack([d.x, d.y, np.zeros(len(d))], axis=1), quat_of_yaw(d.yaw), None)


@pytest.fixture
def turning():
    return drive(hz=100, speed=lambda t: 4.0 + t / 2, yaw_rate=0.2)


def boxes(columns, d, **options):
    return read_boxes(parquet(columns), "boxes.parquet", ego_of(d), **options)


def test_a_standing_box_stands_still_while_ego_moves_and_turns(turning):
    tracks = boxes(static_box_seen_from(turning.rows(slice(None, None, 10)), 30.0, -12.0, 0.4), turning)
    np.testing.assert_allclose(tracks.center[:, :2], np.tile([30.0, -12.0], (len(tracks), 1)), atol=1e-9)
    np.testing.assert_allclose(tracks.yaw, 0.4, atol=1e-9)
    assert len(tracks) == 201


def test_boxes_between_ego_samples_use_the_pose_of_their_own_instant(turning):
    seen = turning.rows(slice(5, 1900, 7))
    ego = turning.rows(slice(None, None, 20))
    tracks = boxes(static_box_seen_from(seen, 30.0, -12.0, 0.4), ego)
    np.testing.assert_allclose(tracks.center[:, :2], np.tile([30.0, -12.0], (len(tracks), 1)), atol=0.05)


def test_the_reference_time_places_the_box_and_its_own_time_dates_it(turning):
    columns = static_box_seen_from(turning.rows(slice(100, 200, 10)), 30.0, -12.0, 0.4)
    columns["timestamp_us"] = columns["reference_frame_timestamp_us"] + 40_000
    tracks = boxes(columns, turning)
    np.testing.assert_allclose(tracks.center[:, :2], np.tile([30.0, -12.0], (10, 1)), atol=1e-9)
    np.testing.assert_array_equal(tracks.t_us, columns["timestamp_us"])


def test_without_a_reference_time_the_row_s_own_time_is_used(turning):
    columns = static_box_seen_from(turning.rows(slice(100, 200, 10)), 30.0, -12.0, 0.4)
    del columns["reference_frame_timestamp_us"], columns["reference_frame"]
    np.testing.assert_allclose(boxes(columns, turning).center[:, 0], 30.0, atol=1e-9)


def test_boxes_outside_the_ego_motion_and_broken_ones_are_left_out(turning):
    columns = obstacle_columns(
        [-50_000, 0, 100_000, 30_000_000], [[10, 0, 0], [10, 0, 0], [np.nan, 0, 0], [1, 0, 0]], [0] * 4
    )
    tracks = boxes(columns, turning)
    assert tracks.t_us.tolist() == [0]
    assert tracks.lost_us.tolist() == [-50_000, 100_000, 30_000_000]
    assert tracks.until(100_000).lost_us.tolist() == [-50_000, 100_000]
    assert tracks.between(50_000, 200_000).lost_us.tolist() == [50_000]


def test_boxes_none_of_which_can_be_placed_are_counted(turning):
    columns = static_box_seen_from(turning.rows(slice(100, 200, 10)), 30.0, -12.0, 0.4)
    tracks = boxes(columns, turning, offset_us=10**12)
    assert (len(tracks), len(tracks.lost_us)) == (0, 10)


def test_boxes_of_a_later_clock_are_moved_with_the_recording(turning):
    columns = static_box_seen_from(turning.rows(slice(0, 100, 10)), 30.0, -12.0, 0.4)
    for name in ("timestamp_us", "reference_frame_timestamp_us"):
        columns[name] = columns[name] + 1_700_000_000_000_000
    tracks = boxes(columns, turning, offset_us=1_700_000_000_000_000)
    np.testing.assert_allclose(tracks.center[:, 0], 30.0, atol=1e-9)


def test_boxes_in_another_frame_than_the_rig_s_are_refused(turning):
    columns = obstacle_columns([0], [[10, 0, 0]], [0])
    columns["reference_frame"] = ["world"]
    with pytest.raises(ClipFailedError, match=r"boxes\.parquet: expected boxes in reference_frame rig, found .*world"):
        boxes(columns, turning)


def test_a_missing_column_is_named(turning):
    columns = obstacle_columns([0], [[10, 0, 0]], [0])
    del columns["size_y"]
    with pytest.raises(ClipFailedError, match=r"boxes\.parquet: expected columns size_y") as caught:
        boxes(columns, turning)
    assert caught.value.reason == "wrong_schema"


def test_numeric_track_ids_become_text(turning):
    columns = obstacle_columns([0, 100_000], [[10, 0, 0]] * 2, [0, 0])
    columns["track_id"] = np.array([7, 7])
    assert list(boxes(columns, turning).tracks) == ["7"]


def test_tracks_are_told_apart_and_in_time_order(turning):
    a = obstacle_columns([300_000, 100_000], [[10, 0, 0]] * 2, [0, 0], track="a")
    b = obstacle_columns([200_000], [[20, 0, 0]], [0], track="b", label="person")
    mixed = {name: [*np.asarray(a[name]).tolist(), *np.asarray(b[name]).tolist()] for name in a}
    tracks = boxes(mixed, turning).tracks
    assert tracks["a"].t_us.tolist() == [100_000, 300_000]
    assert tracks["b"].label_class.tolist() == ["person"]


def test_a_window_is_on_its_own_clock(turning):
    tracks = boxes(static_box_seen_from(turning.rows(slice(None, None, 10)), 30.0, -12.0, 0.4), turning)
    window = tracks.between(5_000_000, 6_000_000)
    assert (window.t_us[0], window.t_us[-1], len(window)) == (0, 1_000_000, 11)
    assert tracks.until(1_000_000).t_us.tolist() == tracks.t_us[:11].tolist()


def test_no_boxes_are_no_tracks(turning):
    columns = {name: np.asarray(values)[:0] for name, values in obstacle_columns([0], [[1, 0, 0]], [0]).items()}
    empty = boxes(columns, turning)
    assert len(empty) == 0
    assert empty.tracks == {}
