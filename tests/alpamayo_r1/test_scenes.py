import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpamayo_r1.scenes import (
    CAMERA_INDICES,
    MODEL_CAMERAS,
    UNKNOWN_CAMERA,
    SceneReader,
    SceneShape,
    ego_path,
    in_frame_of,
    sorted_cameras,
)
from builders.driving import drive, lively_drive
from builders.reasoning_scenes import CLIPS, SIZE, pai_with_cameras
from builders.table import write_csv
from builders.videos import number_of, times_of, video_bytes, write_video
from driving_clips.datasets import open_dataset
from driving_clips.ego_motion import EgoSamples
from driving_clips.errors import ClipRejectedError, DatasetError
from driving_clips.geometry import multiply, quat_of_yaw, rotate

SHAPE = SceneShape()


def samples_of(d) -> EgoSamples:
    xyz = np.stack([d.x, d.y, np.zeros(len(d))], axis=1)
    return EgoSamples(d.t_us, xyz, quat_of_yaw(d.yaw), None)


@pytest.fixture(scope="module")
def pai(tmp_path_factory):
    return open_dataset("pai", str(pai_with_cameras(tmp_path_factory.mktemp("pai"))))


def test_a_moment_has_four_frames_of_each_camera_up_to_it(pai):
    scene = SceneReader(pai).read(CLIPS[0], 5_100_000)
    assert scene.cameras == MODEL_CAMERAS
    assert scene.camera_indices.tolist() == [0, 1, 2, 6]
    assert [frames.shape for frames in scene.frames] == [(4, 3, SIZE[1], SIZE[0])] * 4
    assert scene.frame_times_us.tolist() == [[4_800_000, 4_900_000, 5_000_000, 5_100_000]] * 4
    numbers = [number_of(frame.transpose(1, 2, 0)) for frames in scene.frames for frame in frames]
    assert numbers == [48, 49, 50, 51] * 4
    assert scene.notes == ()


def test_the_path_is_seen_from_the_pose_at_the_moment(pai):
    path = SceneReader(pai).path(CLIPS[1], 6_050_000)
    assert path.history_xyz.shape == (16, 3)
    assert path.future_xyz.shape == (64, 3)
    assert path.history_rot.shape == (16, 3, 3)
    assert np.abs(path.history_xyz[-1]).max() == 0.0
    np.testing.assert_allclose(path.history_rot[-1], np.eye(3), atol=1e-12)
    assert path.history_xyz[0, 0] < -0.5  # it came from behind
    d = lively_drive(1, hz=50)
    t_us = 6_050_000 + np.arange(-15, 65) * 100_000
    x, y, yaw = (np.interp(t_us, d.t_us, values) for values in (d.x, d.y, d.yaw))
    dx, dy, turn = x - x[15], y - y[15], yaw - yaw[15]
    ahead, left = np.cos(yaw[15]) * dx + np.sin(yaw[15]) * dy, -np.sin(yaw[15]) * dx + np.cos(yaw[15]) * dy
    xyz, rot = (
        np.concatenate(parts) for parts in ((path.history_xyz, path.future_xyz), (path.history_rot, path.future_rot))
    )
    np.testing.assert_allclose(xyz[:, :2], np.stack([ahead, left], 1), atol=2e-3)
    np.testing.assert_allclose(np.arctan2(rot[:, 1, 0], rot[:, 0, 0]), turn, atol=2e-3)


def test_a_left_bend_goes_left():
    path = ego_path(samples_of(drive(speed=10.0, yaw_rate=0.2)), 5_000_000, SHAPE, "a")
    assert path.future_xyz[-1, 1] > 5.0
    assert path.history_xyz[0, 1] > 0.5  # the circle lies to the left, before as after


@given(
    yaw=st.floats(-3.1, 3.1),
    shift=st.tuples(*[st.floats(-1e5, 1e5)] * 3),
    tilt=st.floats(-0.2, 0.2),
)
def test_rotating_and_moving_the_world_changes_nothing(yaw, shift, tilt):
    own = samples_of(lively_drive(3, hz=20))
    turn = np.array(
        [
            np.sin(tilt / 2) * np.cos(yaw / 2),
            np.sin(tilt / 2) * np.sin(yaw / 2),
            np.cos(tilt / 2) * np.sin(yaw / 2),
            np.cos(tilt / 2) * np.cos(yaw / 2),
        ]
    )
    every = np.broadcast_to(turn, own.quat.shape)
    other = EgoSamples(own.t_us, rotate(every, own.xyz) + shift, multiply(every, own.quat), None)
    a, b = (ego_path(each, 7_330_000, SHAPE, "a") for each in (own, other))
    for name in ("history_xyz", "history_rot", "future_xyz", "future_rot"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-8)


def test_rotations_are_rotations():
    xyz, rot = in_frame_of(np.zeros((3, 3)), quat_of_yaw(np.array([0.0, 0.5, 2.0])), 1)
    np.testing.assert_allclose(rot @ rot.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (3, 3, 3)), atol=1e-12)
    np.testing.assert_allclose(np.arctan2(rot[:, 1, 0], rot[:, 0, 0]), [-0.5, 0.0, 1.5])
    assert not xyz.any()


@pytest.mark.parametrize(
    ("t0_us", "reason", "said"),
    [
        (1_499_999, "history_too_short", "1.500 s are needed"),
        (-1, "outside_clip", "covers 0 to 20000000 us"),
        (20_000_001, "outside_clip", "t0_us=20000001"),
    ],
)
def test_a_moment_without_its_history_is_refused_by_name(pai, t0_us, reason, said):
    with pytest.raises(ClipRejectedError, match=CLIPS[0]) as raised:
        SceneReader(pai).read(CLIPS[0], t0_us)
    assert raised.value.reason == reason
    assert said in str(raised.value)
    assert str(t0_us) in str(raised.value)


def test_the_first_and_last_moments_work(pai):
    reader = SceneReader(pai)
    assert len(reader.read(CLIPS[0], 1_500_000).path.future_xyz) == 64
    assert len(reader.read(CLIPS[0], 20_000_000).path.future_xyz) == 0
    assert len(reader.path(CLIPS[0], 18_750_000).future_xyz) == 12


def test_an_unknown_clip_and_a_missing_camera_are_named(pai, tmp_path):
    with pytest.raises(ClipRejectedError, match="nobody: no clip of this id among the 3 recordings"):
        SceneReader(pai).read("nobody", 5_100_000)
    root = pai_with_cameras(tmp_path, CLIPS[:1], cameras=MODEL_CAMERAS[:3])
    with pytest.raises(ClipRejectedError, match="no video of camera_front_tele_30fov") as raised:
        SceneReader(open_dataset("pai", str(root))).read(CLIPS[0], 5_100_000)
    assert raised.value.reason == "no_camera"


def test_a_video_that_ends_before_the_moment_is_named(tmp_path):
    root = pai_with_cameras(tmp_path, CLIPS[:1], cameras=())
    name = f"{CLIPS[0]}.{MODEL_CAMERAS[0]}.mp4"
    write_video(root / "camera" / MODEL_CAMERAS[0], video_bytes(30, fps=10), times_of(30, 10.0), name)
    reader = SceneReader(open_dataset("pai", str(root)), MODEL_CAMERAS[:1])
    assert reader.read(CLIPS[0], 2_900_000).frame_times_us.tolist() == [[2_600_000, 2_700_000, 2_800_000, 2_900_000]]
    with pytest.raises(
        ClipRejectedError, match=r"no frame within 50000 us of 3000000 us .*covers 0 to 2900000"
    ) as raised:
        SceneReader(open_dataset("pai", str(root)), MODEL_CAMERAS[:1]).read(CLIPS[0], 3_100_000)
    assert raised.value.reason == "no_frame"


def test_a_hole_in_the_history_is_refused_and_one_in_the_future_ends_it():
    d = lively_drive(0, hz=50)
    holed = samples_of(d.rows((d.t_us < 8_000_000) | (d.t_us > 8_700_000)))
    with pytest.raises(ClipRejectedError, match=r"a: no ego motion for 0\.74 s after 7980000 us, .*t0_us=9000000"):
        ego_path(holed, 9_000_000, SHAPE, "a")
    assert len(ego_path(holed, 7_000_000, SHAPE, "a").future_xyz) == 9
    assert len(ego_path(holed, 11_000_000, SHAPE, "a").future_xyz) == 64


def test_samples_that_are_no_numbers_are_left_out_or_refused():
    own = samples_of(lively_drive(0, hz=50))
    xyz = own.xyz.copy()
    xyz[250] = np.nan
    path = ego_path(EgoSamples(own.t_us, xyz, own.quat, None), 5_000_000, SHAPE, "a")
    np.testing.assert_allclose(path.history_xyz, ego_path(own, 5_000_000, SHAPE, "a").history_xyz, atol=1e-2)
    xyz[200:260] = np.nan
    with pytest.raises(ClipRejectedError, match="a: no ego motion for"):
        ego_path(EgoSamples(own.t_us, xyz, own.quat, None), 5_000_000, SHAPE, "a")
    xyz[:] = np.nan
    with pytest.raises(ClipRejectedError, match="a: none of the 1001 ego motion samples is finite"):
        ego_path(EgoSamples(own.t_us, xyz, own.quat, None), 5_000_000, SHAPE, "a")


def test_a_cut_recording_of_another_dataset_and_a_camera_of_another_rig(tmp_path):
    write_csv(tmp_path, "drive", lively_drive(2, seconds=45.0, hz=20))
    content = video_bytes(450, fps=10, gop=10, size=SIZE)
    write_video(tmp_path, content, times_of(450, 10.0), "drive.roof.mp4")
    reader = SceneReader(open_dataset("table", str(tmp_path)), ("roof",))
    scene = reader.read("drive-20", 3_000_000)
    assert scene.camera_indices.tolist() == [UNKNOWN_CAMERA]
    assert [number_of(frame.transpose(1, 2, 0)) for frame in scene.frames[0]] == [227, 228, 229, 230]
    with pytest.raises(ClipRejectedError, match=r"t0_us=1000000 has 1\.000 s"):
        reader.read("drive-20", 1_000_000)
    assert list(reader.moments("drive-40", 1_000_000)) == [1_500_000, 2_500_000, 3_500_000, 4_500_000]


def test_cameras_are_sorted_and_checked():
    assert sorted_cameras(["b", *reversed(CAMERA_INDICES), "a"]) == (*CAMERA_INDICES, "b", "a")
    for wrong in ([], ["a", "a"]):
        with pytest.raises(DatasetError, match="cameras"):
            sorted_cameras(wrong)


@pytest.mark.parametrize(
    "wrong", [{"history_steps": 0}, {"frames": 0}, {"future_steps": -1}, {"step_sec": float("nan")}]
)
def test_a_shape_of_nothing_is_refused(wrong):
    with pytest.raises(DatasetError, match=next(iter(wrong))):
        SceneShape(**wrong)
