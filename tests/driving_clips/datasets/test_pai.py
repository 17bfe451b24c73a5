import numpy as np
import pytest

from builders.driving import drive, lively_drive, uuid_like
from builders.pai import (
    FRONT,
    camera_members,
    ego_columns,
    ego_parquet,
    obstacle_columns,
    offline_parquet,
    old_ego_parquet,
    parquet,
    static_box_seen_from,
    write_chunk,
    write_unpacked,
    zip_members,
)
from driving_clips.datasets.pai import PaiDataset
from driving_clips.ego_motion import resample
from driving_clips.errors import ClipFailedError, DatasetError

A, B = uuid_like(1), uuid_like(2)
RIG_HZ = 100


def rig_drive(seed: int = 1):
    """22 s at 100 Hz with samples before the clip, as usual in the dataset."""
    return lively_drive(seed, 22.0, hz=RIG_HZ, start_us=-1_000_000)


def sources(root) -> dict:
    discovery = PaiDataset(str(root)).discover()
    assert not discovery.problems
    return {source.recording_id: source for group in discovery.groups for source in group.sources}


def read(root, clip_id=A):
    return PaiDataset(str(root)).read_ego(sources(root)[clip_id])


def failure(root, clip_id=A) -> ClipFailedError:
    with pytest.raises(ClipFailedError) as caught:
        read(root, clip_id)
    return caught.value


def assert_same(a, b):
    for name in ("t_us", "xyz", "quat", "velocity"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_clips_of_several_chunks_are_found_with_a_group_for_each(tmp_path):
    write_chunk(tmp_path, {A: ego_parquet(rig_drive())}, name="chunk_0000")
    write_chunk(tmp_path, {B: ego_parquet(rig_drive())}, name="chunk_0001")
    groups = PaiDataset(str(tmp_path)).discover().groups
    assert [group.name for group in groups] == [
        "egomotion/egomotion.chunk_0000.zip",
        "egomotion/egomotion.chunk_0001.zip",
    ]
    assert {source.recording_id for group in groups for source in group.sources} == {A, B}


def test_a_clip_has_201_ticks_and_the_recorded_velocity(tmp_path):
    d = rig_drive()
    write_chunk(tmp_path, {A: ego_parquet(d)})
    motion = resample(read(tmp_path))
    assert (motion.first_tick, len(motion)) == (0, 201)
    np.testing.assert_allclose(motion.velocity[:, 0], d.vx[RIG_HZ : RIG_HZ * 21 + 1 : 10], atol=1e-9)


def test_old_column_names_give_the_same(tmp_path):
    write_chunk(tmp_path / "new", {A: ego_parquet(rig_drive())})
    write_chunk(tmp_path / "old", {A: old_ego_parquet(rig_drive())})
    assert_same(read(tmp_path / "old"), read(tmp_path / "new"))


def test_the_unpacked_layout_gives_the_same(tmp_path):
    write_chunk(tmp_path / "zip", {A: ego_parquet(rig_drive())})
    write_unpacked(tmp_path / "files", {A: ego_parquet(rig_drive())})
    assert_same(read(tmp_path / "files"), read(tmp_path / "zip"))


@pytest.mark.parametrize("name", ["0007", "chunk_3145", "part-one", "x.y.z"])
def test_archives_of_any_name_are_read(tmp_path, name):
    write_chunk(tmp_path, {A: ego_parquet(rig_drive())}, name=name)
    assert list(sources(tmp_path)) == [A]


def test_other_members_of_an_archive_are_left_alone(tmp_path):
    write_chunk(tmp_path, {A: ego_parquet(rig_drive())})
    path = tmp_path / "labels" / "egomotion" / "more.zip"
    zip_members(path, {"README.txt": b"", f"{B}.egomotion.parquet.bak": b"", f"{B}.obstacle.offline.parquet": b""})
    assert list(sources(tmp_path)) == [A]


def test_clip_ids_may_have_dots(tmp_path):
    write_chunk(tmp_path, {"a.b.c": ego_parquet(rig_drive())})
    write_unpacked(tmp_path, {"d.e": ego_parquet(rig_drive())})
    assert set(sources(tmp_path)) == {"a.b.c", "d.e"}


def test_offline_ego_motion_is_used_where_there_is_no_other(tmp_path):
    write_chunk(tmp_path, {A: ego_parquet(rig_drive())})
    write_chunk(
        tmp_path, {A: offline_parquet(drive(speed=1.0)), B: offline_parquet(drive())}, feature="egomotion.offline"
    )
    assert read(tmp_path, A).velocity is not None
    assert read(tmp_path, B).velocity is None


def test_offline_ego_motion_alone_is_enough(tmp_path):
    d = drive(20.1, speed=7.0).rows(np.r_[0, 2:202])  # the first step differs from the others
    write_chunk(tmp_path, {A: offline_parquet(d)}, feature="egomotion.offline")
    np.testing.assert_allclose(resample(read(tmp_path)).velocity[:, 0], 7.0, atol=1e-9)


def test_columns_of_older_files_without_velocity_are_differentiated(tmp_path):
    columns = {k: v for k, v in ego_columns(rig_drive()).items() if not k.startswith("v")}
    write_chunk(tmp_path, {A: parquet(columns)})
    assert read(tmp_path).velocity is None


def test_a_missing_column_is_named_with_archive_and_member(tmp_path):
    columns = ego_columns(rig_drive())
    del columns["qw"]
    write_chunk(tmp_path, {A: parquet(columns)})
    error = failure(tmp_path)
    assert error.reason == "wrong_schema"
    assert f"egomotion.chunk_0000.zip!{A}.egomotion.parquet: expected columns qw" in str(error)


def test_text_in_a_number_column_is_named(tmp_path):
    columns = ego_columns(rig_drive()) | {"x": ["east"] * len(rig_drive())}
    write_chunk(tmp_path, {A: parquet(columns)})
    assert "numbers in column x" in str(failure(tmp_path))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 1000, None])
def test_a_broken_parquet_is_named(tmp_path, content):
    write_chunk(tmp_path, {A: ego_parquet(rig_drive())[:-50] if content is None else content})
    error = failure(tmp_path)
    assert error.reason == "corrupt_parquet"
    assert A in str(error)


def test_a_parquet_whose_pages_are_damaged_is_named(tmp_path):
    content = bytearray(ego_parquet(rig_drive()))
    content[4:2000] = bytes(1996)
    write_chunk(tmp_path, {A: bytes(content)})
    assert failure(tmp_path).reason == "corrupt_parquet"


def test_a_corrupt_archive_is_a_problem_and_the_others_are_found(tmp_path):
    write_chunk(tmp_path, {A: ego_parquet(rig_drive())}, name="chunk_0000")
    bad = write_chunk(tmp_path, {B: ego_parquet(rig_drive())}, name="chunk_0001")
    bad.write_bytes(bad.read_bytes()[:-30])
    discovery = PaiDataset(str(tmp_path)).discover()
    assert [s.recording_id for g in discovery.groups for s in g.sources] == [A]
    assert list(discovery.problems) == ["labels/egomotion/egomotion.chunk_0001.zip"]


def test_one_clip_in_two_archives_is_one_clip(tmp_path):
    for name in ("chunk_0000", "chunk_0001"):
        write_chunk(tmp_path, {A: ego_parquet(rig_drive())}, name=name)
    assert len(read(tmp_path).t_us) == 2201


def test_two_clips_with_one_id_are_both_named(tmp_path):
    write_chunk(tmp_path, {A: ego_parquet(rig_drive(1))}, name="chunk_0000")
    write_chunk(tmp_path, {A: ego_parquet(rig_drive(2))}, name="chunk_0001")
    error = failure(tmp_path)
    assert error.reason == "duplicate_id"
    assert "chunk_0000.zip" in str(error)
    assert "chunk_0001.zip" in str(error)


def test_a_folder_without_ego_motion_says_what_is_expected(tmp_path):
    (tmp_path / "labels" / "obstacle.offline").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"no ego motion found\. Expected labels/egomotion/\*\.zip"):
        PaiDataset(str(tmp_path)).discover()


def test_obstacles_are_placed_by_the_pose_of_their_instant(tmp_path):
    d = lively_drive(3, 22.0, hz=RIG_HZ, start_us=-1_000_000)
    write_chunk(tmp_path, {A: ego_parquet(d)})
    box = static_box_seen_from(d.rows(slice(100, 2100, 10)), 40.0, 5.0, 0.2)
    write_chunk(tmp_path, {A: parquet(box)}, feature="obstacle.offline")
    dataset = PaiDataset(str(tmp_path))
    tracks = dataset.read_obstacles(sources(tmp_path)[A], read(tmp_path))
    np.testing.assert_allclose(tracks.center[:, :2], np.tile([40.0, 5.0], (200, 1)), atol=1e-6)


def test_a_clip_without_obstacle_file_has_none(tmp_path):
    write_chunk(tmp_path, {A: ego_parquet(rig_drive())})
    assert PaiDataset(str(tmp_path)).read_obstacles(sources(tmp_path)[A], read(tmp_path)) is None


def test_obstacles_that_cannot_be_read_are_not_taken_for_none(tmp_path):
    write_chunk(tmp_path, {A: ego_parquet(rig_drive())})
    path = write_chunk(tmp_path, {A: parquet(obstacle_columns([0], [[9, 0, 0]], [0]))}, feature="obstacle.offline")
    path.write_bytes(path.read_bytes()[:-30])
    dataset = PaiDataset(str(tmp_path))
    with pytest.raises(ClipFailedError, match=r"obstacle\.offline\.chunk_0000\.zip"):
        dataset.read_obstacles(sources(tmp_path)[A], read(tmp_path))


def test_a_video_in_an_archive_is_found_with_its_timestamps(tmp_path):
    path = zip_members(tmp_path / "camera" / FRONT / f"{FRONT}.chunk_0000.zip", camera_members(A))
    found = PaiDataset(str(tmp_path)).find_video(A, FRONT)
    assert (found.path, found.member, found.timestamps) == (
        str(path),
        f"{A}.{FRONT}.mp4",
        f"{A}.{FRONT}.timestamps.parquet",
    )


def test_an_unpacked_video_is_found_and_comes_first(tmp_path):
    folder = tmp_path / "camera" / FRONT
    zip_members(folder / f"{FRONT}.chunk_0000.zip", camera_members(A))
    for name, content in camera_members(A).items():
        (folder / name).write_bytes(content)
    found = PaiDataset(str(tmp_path)).find_video(A, FRONT)
    assert (found.path, found.member) == (str(folder / f"{A}.{FRONT}.mp4"), "")
    assert found.timestamps == str(folder / f"{A}.{FRONT}.timestamps.parquet")


def test_a_video_that_is_not_there_is_none(tmp_path):
    zip_members(tmp_path / "camera" / FRONT / "x.zip", camera_members(A))
    dataset = PaiDataset(str(tmp_path))
    assert dataset.find_video(B, FRONT) is None
    assert dataset.find_video(A, "camera_rear_tele_30fov") is None


def test_a_corrupt_video_archive_does_not_hide_the_others(tmp_path):
    folder = tmp_path / "camera" / FRONT
    zip_members(folder / "b.zip", camera_members(A))
    (folder / "a.zip").write_bytes(b"broken download")
    assert PaiDataset(str(tmp_path)).find_video(A, FRONT) is not None
