import io
import shutil

import numpy as np
import pytest

from builders.golden import DEMO
from builders.videos import number_of, video_bytes
from driving_clips.datasets.comma2k19 import STABLE_SEC, Comma2k19Dataset
from driving_clips.ego_motion import resample
from driving_clips.errors import ClipFailedError
from driving_clips.geometry import rotate, yaw_of
from driving_clips.video.reading import VideoReader

ROUTE = "b0c9d2329ad1606b_2018-08-02--08-34-47"
SEGMENT = f"{ROUTE}_40"


def only_source(root):
    dataset = Comma2k19Dataset(str(root))
    (group,) = dataset.discover().groups
    (source,) = group.sources
    return dataset, source


@pytest.fixture(scope="module")
def ego():
    dataset, source = only_source(DEMO / "comma2k19")
    return dataset.read_ego(source)


@pytest.fixture(scope="module")
def radar(ego):
    dataset, source = only_source(DEMO / "comma2k19")
    return dataset.read_obstacles(source, ego)


@pytest.fixture
def copy(tmp_path):
    """A copy of the demo segment that a test may spoil."""
    shutil.copytree(DEMO / "comma2k19" / ROUTE, tmp_path / ROUTE)
    return tmp_path


def spoil(copy, part: str, change) -> None:
    path = copy / ROUTE / "40" / part
    array = np.load(io.BytesIO(path.read_bytes())).copy()
    array = change(array)
    with path.open("wb") as file:
        np.save(file, array)


def test_the_demo_segment_is_found():
    assert only_source(DEMO / "comma2k19")[1].recording_id == SEGMENT


def test_a_bar_in_the_route_s_name_becomes_an_underscore(tmp_path):
    shutil.copytree(DEMO / "comma2k19" / ROUTE, tmp_path / ROUTE.replace("_", "|", 1))
    assert only_source(tmp_path)[1].recording_id == SEGMENT


def test_a_minute_is_cut_into_three_clips():
    dataset, source = only_source(DEMO / "comma2k19")
    clips = dataset.clips_of(source)
    assert [clip_id for clip_id, _ in clips] == [f"{SEGMENT}-0", f"{SEGMENT}-20", f"{SEGMENT}-40"]
    assert [len(resample(samples)) for _, samples in clips[:2]] == [201, 201]
    assert len(resample(clips[2][1])) > 190


def test_the_car_points_where_it_goes(ego):
    course = np.arctan2(*np.gradient(ego.xyz[:, :2], axis=0).T[::-1])
    off = np.angle(np.exp(1j * (yaw_of(ego.quat) - course)))
    assert abs(np.median(off)) < 0.02


def test_the_car_stands_upright_on_level_ground(ego):
    up = rotate(ego.quat, np.tile([0.0, 0.0, 1.0], (len(ego.quat), 1)))
    assert up[:, 2].min() > 0.98
    assert np.ptp(ego.xyz[:, 2]) < 60.0


def test_can_speed_agrees_with_the_poses(ego):
    by_poses = np.hypot(*np.gradient(ego.xyz[:, :2], ego.t_us / 1e6, axis=0).T)
    by_can = np.hypot(ego.velocity[:, 0], ego.velocity[:, 1])
    assert np.median(np.abs(by_poses - by_can)) < 0.5


def test_radar_tracks_last_at_least_a_second_in_time_order(radar):
    assert len(radar.tracks) > 3
    for track in radar.tracks.values():
        assert (np.diff(track.t_us) > 0).all()
        assert track.t_us[-1] - track.t_us[0] >= STABLE_SEC * 1e6


def test_there_is_a_lead_vehicle_at_a_sane_distance(radar, ego):
    position, rotation = ego.poses_at(radar.t_us)
    inverse = rotation * [-1, -1, -1, 1]
    ahead = rotate(inverse, radar.center - position)
    lead = (np.abs(ahead[:, 1]) < 2.0) & (ahead[:, 0] > 3.0) & (ahead[:, 0] < 150.0)
    seconds_with_lead = len(np.unique(radar.t_us[lead] // 1_000_000))
    assert seconds_with_lead > 20
    assert (ahead[:, 0] > 0).all()


def test_tracks_move_like_vehicles(radar):
    for track in radar.tracks.values():
        seconds = (track.t_us[-1] - track.t_us[0]) / 1e6
        moved = np.hypot(*(track.center[-1] - track.center[0])[:2])
        assert moved / seconds < 60.0


def test_no_two_tracks_are_one_vehicle(radar):
    tracks = list(radar.tracks.values())
    for i, a in enumerate(tracks):
        for b in tracks[i + 1 :]:
            common = (b.t_us >= a.t_us[0]) & (b.t_us <= a.t_us[-1])
            if 2 * common.sum() < min(len(a), len(b)):
                continue
            other = np.stack([np.interp(b.t_us[common], a.t_us, a.center[:, k]) for k in (0, 1)], axis=1)
            assert np.median(np.hypot(*(b.center[common, :2] - other).T)) > 0.4


def test_radar_has_no_orientation_and_no_size(radar):
    assert np.isnan(radar.yaw).all()
    assert np.isnan(radar.size).all()


def test_a_segment_without_radar_has_no_obstacles(copy, ego):
    shutil.rmtree(copy / ROUTE / "40" / "processed_log" / "CAN" / "radar")
    dataset, source = only_source(copy)
    assert dataset.read_obstacles(source, ego) is None


def test_a_first_position_that_is_not_finite_costs_only_itself(copy):
    def change(array):
        array[0] = np.nan
        return array

    spoil(copy, "global_pose/frame_positions", change)
    dataset, source = only_source(copy)
    samples = dataset.read_ego(source)
    assert len(samples.cleaned().t_us) == len(samples.t_us) - 1


def test_a_missing_array_is_named(copy):
    (copy / ROUTE / "40" / "processed_log" / "CAN" / "speed" / "value").unlink()
    dataset, source = only_source(copy)
    with pytest.raises(ClipFailedError, match="speed/value: expected a numpy array"):
        dataset.read_ego(source)


def test_an_array_that_is_none_is_named(copy):
    (copy / ROUTE / "40" / "global_pose" / "frame_times").write_bytes(b"text")
    dataset, source = only_source(copy)
    with pytest.raises(ClipFailedError, match="frame_times: expected a numpy array"):
        dataset.read_ego(source)


def test_arrays_of_different_lengths_are_named(copy):
    spoil(copy, "global_pose/frame_times", lambda array: array[:-5])
    dataset, source = only_source(copy)
    with pytest.raises(ClipFailedError, match="as many frame times as poses"):
        dataset.read_ego(source)


@pytest.mark.parametrize("shape", ["positions", "orientations"])
def test_an_array_of_another_width_is_a_wrong_schema_and_not_a_crash(copy, shape):
    spoil(copy, f"global_pose/frame_{shape}", lambda array: array[:, :2])
    dataset, source = only_source(copy)
    with pytest.raises(ClipFailedError, match=f"frame_{shape}"):
        dataset.read_ego(source)


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
@pytest.mark.parametrize("frame", [0, 100])
def test_a_frame_without_a_time_costs_only_itself(copy, frame):
    def change(array):
        array[frame] = np.nan
        return array

    spoil(copy, "global_pose/frame_times", change)
    dataset, source = only_source(copy)
    assert [len(resample(samples)) for _, samples in dataset.clips_of(source)[:2]] == [201, 201]


@pytest.mark.parametrize("camera", ["video", "camera_front_wide_120fov"])
def test_the_segment_s_video_serves_all_its_clips_at_the_times_of_its_poses(copy, camera):
    times = np.load(io.BytesIO((copy / ROUTE / "40" / "global_pose" / "frame_times").read_bytes()))
    content = video_bytes(len(times), codec="hevc", gop=30, form="hevc", size=(96, 64))
    (copy / ROUTE / "40" / "video.hevc").write_bytes(content)
    dataset, source = only_source(copy)
    ego = dataset.read_ego(source)
    for start_us in (0, 20_000_000, 40_000_000):
        with VideoReader(dataset.find_video(f"{SEGMENT}-{start_us // 1_000_000}", camera)) as video:
            assert video.notices == []
            np.testing.assert_allclose(video.t_us, ego.t_us - start_us, atol=1)
            (index,) = video.nearest([5_000_000], 25_000)
            ((_, frame),) = video.frames([index])
            assert number_of(frame) == index == (start_us + 5_000_000) // 50_000


def test_only_the_front_camera_of_a_known_segment_has_a_video(copy):
    dataset, _ = only_source(copy)
    assert dataset.find_video(SEGMENT, "video") is None
    (copy / ROUTE / "40" / "video.hevc").write_bytes(b"")
    assert dataset.find_video(SEGMENT, "video") is not None
    assert dataset.find_video(SEGMENT, "camera_rear_tele_30fov") is None
    assert dataset.find_video("other_1-20", "video") is None


def test_a_speed_that_was_interpolated_was_known_with_the_later_one(ego):
    samples = ego
    later = samples.known_us - samples.t_us
    assert later.max() > 0
    at = int(samples.t_us[len(samples.t_us) // 2])
    known = samples.until(at)
    assert known.t_us[-1] <= at
    assert (known.known_us <= at).all()
    assert (samples.rows(np.flatnonzero(samples.t_us <= at)).known_us > at).any()
