import gzip
import os
import shutil

import numpy as np
import pytest

from builders.golden import DEMO
from driving_clips.datasets.boreas import BoreasDataset
from driving_clips.ego_motion import EgoMotion, resample
from driving_clips.errors import ClipFailedError
from driving_clips.geometry import rotate, yaw_of

SEQUENCES = ["boreas-2021-08-05-13-34", "boreas-2021-09-02-11-42"]


def sources(root) -> dict:
    discovery = BoreasDataset(str(root)).discover()
    assert not discovery.problems
    return {source.recording_id: source for group in discovery.groups for source in group.sources}


@pytest.fixture(scope="module", params=SEQUENCES)
def samples(request):
    return BoreasDataset(str(DEMO / "boreas")).read_ego(sources(DEMO / "boreas")[request.param])


@pytest.fixture
def poses() -> str:
    """The first 30 s of a real drive, as CSV."""
    path = DEMO / "boreas" / SEQUENCES[0] / "applanix" / "camera_poses.csv.gz"
    return "\n".join(gzip.decompress(path.read_bytes()).decode().splitlines()[:301]) + "\n"


def test_both_demo_drives_are_found():
    assert sorted(sources(DEMO / "boreas")) == SEQUENCES


def test_the_heading_is_the_direction_of_travel(samples):
    moving = np.hypot(samples.velocity[:, 0], samples.velocity[:, 1]) > 5.0
    course = np.arctan2(samples.velocity[:, 1], samples.velocity[:, 0])
    off = np.angle(np.exp(1j * (yaw_of(samples.quat) - course)))[moving]
    assert abs(np.median(off)) < 0.01
    assert np.std(off) < 0.05


def test_the_vehicle_stands_upright(samples):
    up = rotate(samples.quat, np.tile([0.0, 0.0, 1.0], (len(samples.quat), 1)))
    assert np.median(up[:, 2]) > 0.98


def test_velocity_is_the_change_of_position(samples):
    t = samples.t_us / 1e6
    velocity = np.gradient(samples.xyz[:, 0], t)
    assert np.median(np.abs(velocity - samples.velocity[:, 0])) < 0.05


def test_the_clock_and_the_frame_start_at_the_first_pose(samples):
    assert samples.t_us[0] == 0
    np.testing.assert_array_equal(samples.xyz[0], 0.0)


def test_a_drive_is_cut_into_full_clips():
    dataset = BoreasDataset(str(DEMO / "boreas"))
    clips = dataset.clips_of(sources(DEMO / "boreas")[SEQUENCES[0]])
    motions = [resample(samples) for _, samples in clips[:-1]]
    assert all(isinstance(motion, EgoMotion) and len(motion) == 201 for motion in motions)
    assert [clip_id for clip_id, _ in clips[:2]] == [f"{SEQUENCES[0]}-0", f"{SEQUENCES[0]}-20"]


@pytest.mark.parametrize("name", ["s1/applanix/camera_poses.csv", "s1.camera_poses.csv", "x/s1.camera_poses.csv.gz"])
def test_every_layout_gives_the_sequence_s_name(tmp_path, poses, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(poses.encode()) if name.endswith(".gz") else poses.encode())
    assert list(sources(tmp_path)) == ["s1"]


def test_poses_right_below_a_relative_data_dir_do_not_crash(tmp_path, poses, monkeypatch):
    (tmp_path / "s1" / "applanix").mkdir(parents=True)
    (tmp_path / "s1" / "applanix" / "camera_poses.csv").write_text(poses)
    monkeypatch.chdir(tmp_path / "s1")
    assert list(sources("applanix")) == ["s1"]


def test_a_sequence_as_relative_data_dir_keeps_its_name(tmp_path, poses, monkeypatch):
    (tmp_path / "s1" / "applanix").mkdir(parents=True)
    (tmp_path / "s1" / "applanix" / "camera_poses.csv").write_text(poses)
    monkeypatch.chdir(tmp_path / "s1")
    assert list(sources(".")) == ["s1"]


def test_the_same_poses_packed_and_unpacked_are_one_recording(tmp_path, poses):
    folder = tmp_path / "s1" / "applanix"
    folder.mkdir(parents=True)
    (folder / "camera_poses.csv").write_text(poses)
    (folder / "camera_poses.csv.gz").write_bytes(gzip.compress(poses.encode()))
    (source,) = sources(tmp_path).values()
    assert len(BoreasDataset(str(tmp_path)).read_ego(source).t_us) == 300


def test_a_torn_gzip_is_named(tmp_path):
    shutil.copytree(DEMO / "boreas" / SEQUENCES[0], tmp_path / "s1")
    path = tmp_path / "s1" / "applanix" / "camera_poses.csv.gz"
    os.truncate(path, 1000)
    with pytest.raises(ClipFailedError, match=r"camera_poses\.csv\.gz: damaged gzip") as caught:
        BoreasDataset(str(tmp_path)).read_ego(sources(tmp_path)["s1"])
    assert caught.value.reason == "corrupt_csv"


def test_gzip_with_damaged_content_is_named(tmp_path):
    shutil.copytree(DEMO / "boreas" / SEQUENCES[0], tmp_path / "s1")
    path = tmp_path / "s1" / "applanix" / "camera_poses.csv.gz"
    content = bytearray(path.read_bytes())
    content[5000:5200] = bytes(200)
    path.write_bytes(content)
    with pytest.raises(ClipFailedError, match=r"camera_poses\.csv\.gz"):
        BoreasDataset(str(tmp_path)).read_ego(sources(tmp_path)["s1"])


def test_a_missing_column_is_named(tmp_path, poses):
    (tmp_path / "s1.camera_poses.csv").write_text(poses.replace("vel_north", "north_speed"))
    with pytest.raises(ClipFailedError, match=r"s1\.camera_poses\.csv: expected columns vel_north"):
        BoreasDataset(str(tmp_path)).read_ego(sources(tmp_path)["s1"])


def test_a_first_pose_that_is_not_finite_costs_only_itself(tmp_path, poses):
    lines = poses.splitlines()
    cells = lines[1].split(",")
    lines[1] = ",".join([cells[0], "nan", *cells[2:]])
    (tmp_path / "s1.camera_poses.csv").write_text("\n".join(lines) + "\n")
    dataset = BoreasDataset(str(tmp_path))
    assert len(dataset.read_ego(sources(tmp_path)["s1"]).cleaned().t_us) == 299
