import numpy as np
import pytest

from builders.driving import drive, lively_drive
from builders.pai import parquet, static_box_seen_from
from builders.table import csv_text, drive_columns, write_csv
from driving_clips.datasets.table import TableDataset
from driving_clips.ego_motion import resample
from driving_clips.errors import ClipError, ClipFailedError, ClipRejectedError

EPOCH_US = 1_700_000_000_000_000


def only_source(folder):
    dataset = TableDataset(str(folder))
    (group,) = dataset.discover().groups
    (source,) = group.sources
    return dataset, source


def read(folder):
    dataset, source = only_source(folder)
    return dataset.read_ego(source)


def failure(folder) -> ClipFailedError:
    with pytest.raises(ClipFailedError) as caught:
        read(folder)
    return caught.value


def test_a_csv_is_read(tmp_path):
    d = lively_drive(1)
    write_csv(tmp_path, "a", d)
    samples = read(tmp_path)
    np.testing.assert_array_equal(samples.t_us, d.t_us)
    np.testing.assert_array_equal(samples.xyz[:, 1], d.y)
    np.testing.assert_array_equal(samples.velocity[:, 0], d.vx)
    np.testing.assert_allclose(np.exp(1j * resample(samples).heading), np.exp(1j * d.yaw), atol=1e-12)


def test_parquet_and_csv_of_the_same_drive_are_the_same(tmp_path):
    d = lively_drive(1)
    write_csv(tmp_path / "csv", "a", d)
    (tmp_path / "parquet").mkdir()
    (tmp_path / "parquet" / "a.parquet").write_bytes(parquet(drive_columns(d)))
    a, b = read(tmp_path / "csv"), read(tmp_path / "parquet")
    for name in ("t_us", "xyz", "quat", "velocity"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_quaternions_instead_of_yaw(tmp_path):
    d = lively_drive(2)
    columns = drive_columns(d)
    yaw = columns.pop("yaw")
    columns |= {"qx": 0 * yaw, "qy": 0 * yaw, "qz": np.sin(yaw / 2), "qw": np.cos(yaw / 2)}
    (tmp_path / "a.csv").write_text(csv_text(columns))
    np.testing.assert_allclose(np.exp(1j * resample(read(tmp_path)).heading), np.exp(1j * d.yaw), atol=1e-12)


def test_height_and_vertical_speed_are_optional(tmp_path):
    d = drive(5.0)
    (tmp_path / "a.csv").write_text(csv_text(drive_columns(d) | {"z": 0 * d.x + 3.0, "vz": 0 * d.x + 0.5}))
    samples = read(tmp_path)
    assert (samples.xyz[:, 2] == 3.0).all()
    assert (samples.velocity[:, 2] == 0.5).all()


def test_without_velocity_columns_there_is_no_velocity(tmp_path):
    write_csv(tmp_path, "a", drive(), velocity=False)
    assert read(tmp_path).velocity is None


def test_whole_numbers_in_columns_are_numbers(tmp_path):
    rows = "".join(f"{k * 100000},{k},0,0\n" for k in range(50))
    (tmp_path / "a.csv").write_text("timestamp_us,x,y,yaw\n" + rows)
    assert resample(read(tmp_path)).velocity[5, 0] == pytest.approx(10.0)


def test_an_epoch_clock_starts_at_zero(tmp_path):
    write_csv(tmp_path, "a", drive(10.0).shifted(EPOCH_US))
    assert read(tmp_path).t_us[[0, -1]].tolist() == [0, 10_000_000]


def test_a_clock_near_zero_is_the_clip_clock(tmp_path):
    write_csv(tmp_path, "a", drive(10.0, start_us=3_000_000))
    assert resample(read(tmp_path)).first_tick == 30


def test_a_long_recording_is_cut(tmp_path):
    write_csv(tmp_path, "a", drive(45.0).shifted(EPOCH_US))
    dataset, source = only_source(tmp_path)
    assert [clip_id for clip_id, _ in dataset.clips_of(source)] == ["a-0", "a-20", "a-40"]


@pytest.mark.parametrize("name", ["a.b.c", "2024-01-01T10.00.00", "x"])
def test_ids_with_dots_stay_whole(tmp_path, name):
    write_csv(tmp_path, name, drive(5.0))
    assert only_source(tmp_path)[1].recording_id == name


def test_side_files_are_no_recordings(tmp_path):
    write_csv(tmp_path, "a", drive(5.0))
    for name in ("a.obstacles.parquet", "a.front.timestamps.parquet", "a.front.blurred_boxes.parquet"):
        (tmp_path / name).write_bytes(b"")
    assert only_source(tmp_path)[1].recording_id == "a"


def test_missing_columns_are_named_with_the_file_and_what_is_there(tmp_path):
    (tmp_path / "a.csv").write_text("timestamp_us,x,heading\n0,1,2\n")
    error = failure(tmp_path)
    assert error.reason == "wrong_schema"
    assert "a.csv: expected columns timestamp_us, x, y and yaw" in str(error)
    assert "found only timestamp_us, x, heading" in str(error)


@pytest.mark.parametrize("cell", ["noon", "1.5"])
def test_a_timestamp_that_is_no_whole_number_is_named(tmp_path, cell):
    (tmp_path / "a.csv").write_text(f"timestamp_us,x,y,yaw\n0,0,0,0\n{cell},1,0,0\n")
    error = failure(tmp_path)
    assert error.reason == "wrong_schema"
    assert "timestamp_us" in str(error)


@pytest.mark.parametrize("cell", ["", "nan"])
def test_a_row_without_a_time_costs_only_itself(tmp_path, cell):
    rows = "".join(f"{t * 100_000},{t},0,0\n" for t in range(20))
    (tmp_path / "a.csv").write_text(f"timestamp_us,x,y,yaw\n{rows}{cell},1,0,0\n")
    assert len(read(tmp_path).t_us) == 20


def test_text_in_a_number_column_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("timestamp_us,x,y,yaw\n0,0,0,0\n100000,1,north,0\n")
    assert "a.csv: expected numbers in column y" in str(failure(tmp_path))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"timestamp_us,x,y,yaw\n0,0\n", b"\0" * 100])
def test_a_csv_that_is_none_is_named(tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    assert "a.csv" in str(failure(tmp_path))


def test_a_column_that_stands_there_twice_is_named_and_not_a_crash(tmp_path):
    (tmp_path / "a.csv").write_text("timestamp_us,x,x,y,yaw\n0,0,0,0,0\n100000,1,1,0,0\n")
    error = failure(tmp_path)
    assert error.reason == "wrong_schema"
    assert "a.csv" in str(error)


def test_a_csv_with_a_header_only_has_nothing_to_label(tmp_path):
    (tmp_path / "a.csv").write_text("timestamp_us,x,y,yaw\n")
    dataset, source = only_source(tmp_path)
    with pytest.raises(ClipError) as caught:
        dataset.clips_of(source)
    assert isinstance(caught.value, ClipRejectedError)


def test_empty_cells_are_dropped_rows(tmp_path):
    d = drive(5.0)
    write_csv(tmp_path, "a", d)
    lines = (tmp_path / "a.csv").read_text().splitlines()
    lines[10] = lines[10].replace(lines[10].split(",")[1], "", 1)
    (tmp_path / "a.csv").write_text("\n".join(lines))
    assert len(read(tmp_path).cleaned().t_us) == len(d) - 1


def test_a_truncated_parquet_is_named(tmp_path):
    (tmp_path / "a.parquet").write_bytes(parquet(drive_columns(drive()))[:-100])
    error = failure(tmp_path)
    assert error.reason == "corrupt_parquet"
    assert "a.parquet" in str(error)


def test_one_recording_in_two_identical_files_is_one(tmp_path):
    for folder in ("one", "two"):
        write_csv(tmp_path / folder, "a", drive())
    assert len(read(tmp_path).t_us) == 201


def test_two_recordings_with_one_id_are_both_named(tmp_path):
    write_csv(tmp_path / "one", "a", drive())
    write_csv(tmp_path / "two", "a", drive(speed=9.0))
    error = failure(tmp_path)
    assert error.reason == "duplicate_id"
    assert "one/a.csv" in str(error)
    assert "two/a.csv" in str(error)


def test_obstacles_share_the_recording_s_clock_and_frame(tmp_path):
    d = drive(40.0, speed=6.0, yaw_rate=0.05)
    write_csv(tmp_path, "a", d.shifted(EPOCH_US))
    box = static_box_seen_from(d, 25.0, 7.0, 0.3)
    for name in ("timestamp_us", "reference_frame_timestamp_us"):
        box[name] = box[name] + EPOCH_US
    (tmp_path / "a.obstacles.parquet").write_bytes(parquet(box))
    dataset, source = only_source(tmp_path)
    tracks = dataset.read_obstacles(source, dataset.read_ego(source))
    np.testing.assert_allclose(tracks.center[:, :2], np.tile([25.0, 7.0], (401, 1)), atol=1e-6)
    assert tracks.t_us[-1] == 40_000_000


def test_without_an_obstacle_file_there_are_no_obstacles(tmp_path):
    write_csv(tmp_path, "a", drive())
    dataset, source = only_source(tmp_path)
    assert dataset.read_obstacles(source, dataset.read_ego(source)) is None


def test_the_video_beside_the_poses_is_found(tmp_path):
    write_csv(tmp_path, "a", drive())
    (tmp_path / "a.front.mp4").write_bytes(b"")
    (tmp_path / "a.front.timestamps.parquet").write_bytes(b"")
    dataset, _ = only_source(tmp_path)
    found = dataset.find_video("a", "front")
    assert (found.path, found.timestamps) == (f"{tmp_path}/a.front.mp4", f"{tmp_path}/a.front.timestamps.parquet")
    assert dataset.find_video("a", "rear") is None


def put(path, *names) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for name in names:
        (path / name).write_bytes(b"")


def test_a_video_is_found_beside_its_recording_in_a_subfolder(tmp_path):
    write_csv(tmp_path / "may" / "trips", "a", drive(10.0).shifted(EPOCH_US))
    put(tmp_path / "may" / "trips", "a.front.mp4", "a.front.mp4.timestamps")
    found = TableDataset(str(tmp_path)).find_video("a", "front")
    assert found.path == f"{tmp_path}/may/trips/a.front.mp4"
    assert found.timestamps == f"{tmp_path}/may/trips/a.front.mp4.timestamps"
    assert (found.clock_zero_us, found.start_us) == (EPOCH_US, 0)


@pytest.mark.parametrize("zero", [0, EPOCH_US])
def test_clips_of_a_recording_share_its_video_each_from_its_start(tmp_path, zero):
    write_csv(tmp_path / "sub", "my-trip", drive(45.0).shifted(zero))
    put(tmp_path / "sub", "my-trip.front.mp4")
    dataset = TableDataset(str(tmp_path))
    for start in (0, 20, 40):
        found = dataset.find_video(f"my-trip-{start}", "front")
        assert found.path == f"{tmp_path}/sub/my-trip.front.mp4"
        assert (found.clock_zero_us, found.start_us) == (zero, start * 1_000_000)
    assert dataset.find_video("my-trip-0", "rear") is None
    assert dataset.find_video("other-20", "front") is None


def test_a_clip_s_own_video_is_on_its_own_clock_and_comes_first(tmp_path):
    write_csv(tmp_path / "sub", "a", drive(45.0).shifted(EPOCH_US))
    put(tmp_path / "sub", "a.front.mp4", "a-20.front.mp4")
    found = TableDataset(str(tmp_path)).find_video("a-20", "front")
    assert found.path == f"{tmp_path}/sub/a-20.front.mp4"
    assert (found.clock_zero_us, found.start_us) == (0, 0)
