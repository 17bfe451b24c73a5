import multiprocessing
import os
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from builders.driving import drive, lively_drive
from builders.odd_datasets import CountingDataset, use_cache_again_and_again
from builders.table import write_csv
from driving_clips import files
from driving_clips.datasets.base import SourceGroup
from driving_clips.datasets.table import TableDataset
from driving_clips.ego_motion import EgoMotion
from driving_clips.errors import ClipFailedError, ClipRejectedError
from driving_clips.trajectories import TrajectoryLoader, find_groups


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    for i in range(4):
        write_csv(folder, f"drive{i}", lively_drive(i))
    write_csv(folder, "short", drive(0.5))
    (folder / "broken.csv").write_text("not,what,is\nex,pec,ted\n")
    return folder


def one_group(dataset) -> SourceGroup:
    """All sources in one group, so that they share one cache file."""
    sources = [source for group in dataset.discover().groups for source in group.sources]
    return SourceGroup("all", tuple(sorted(sources, key=lambda source: source.recording_id)))


def only(group: SourceGroup, *ids: str) -> SourceGroup:
    return replace(group, sources=tuple(source for source in group.sources if source.recording_id in ids))


def load(data, cache, *ids) -> tuple[dict, list[str]]:
    """Load through the cache; returns results by clip and the recordings that were really read."""
    dataset = CountingDataset(str(data))
    group = one_group(dataset)
    loaded = TrajectoryLoader(dataset, str(cache)).load(only(group, *ids) if ids else group)
    return {clip.clip_id: clip.result for clip in loaded}, dataset.read


def assert_same(a: dict, b: dict):
    assert a.keys() == b.keys()
    for clip_id, result in a.items():
        if isinstance(result, EgoMotion):
            assert result.first_tick == b[clip_id].first_tick
            for name in ("xyz", "quat", "velocity"):
                np.testing.assert_array_equal(getattr(result, name), getattr(b[clip_id], name))
        else:
            assert (type(result), result.reason, str(result)) == (
                type(b[clip_id]),
                b[clip_id].reason,
                str(b[clip_id]),
            )


def cache_files(cache):
    return sorted(cache.rglob("*.arrow"))


def test_a_hit_returns_the_same_motion_without_reading(data, tmp_path):
    first, _ = load(data, tmp_path / "cache")
    second, read = load(data, tmp_path / "cache")
    assert_same(second, first)
    assert read == ["broken"]  # failures are tried again


def test_rejections_are_remembered_with_their_message(data, tmp_path):
    load(data, tmp_path / "cache", "short")
    again, read = load(data, tmp_path / "cache", "short")
    assert read == []
    assert isinstance(again["short"], ClipRejectedError)
    assert again["short"].reason == "too_short"
    assert "6 ticks" in str(again["short"])


def test_failures_are_tried_again_and_mended_files_are_read(data, tmp_path):
    failed, _ = load(data, tmp_path / "cache")
    assert isinstance(failed["broken"], ClipFailedError)
    write_csv(data, "broken", lively_drive(9))
    mended, read = load(data, tmp_path / "cache")
    assert isinstance(mended["broken"], EgoMotion)
    assert read == ["broken"]


def test_a_changed_source_is_read_again_and_only_that(data, tmp_path):
    load(data, tmp_path / "cache")
    write_csv(data, "drive1", lively_drive(7))
    changed, read = load(data, tmp_path / "cache")
    assert read == ["broken", "drive1"]
    assert_same(changed, load(data, tmp_path / "other")[0])


def test_a_source_with_the_same_size_and_another_time_is_read_again(data, tmp_path):
    load(data, tmp_path / "cache", "drive0")
    os.utime(data / "drive0.csv", ns=(1, 1))
    assert load(data, tmp_path / "cache", "drive0")[1] == ["drive0"]


def test_partial_requests_add_to_the_cache(data, tmp_path):
    load(data, tmp_path / "cache", "drive0")
    load(data, tmp_path / "cache", "drive1", "drive2")
    assert load(data, tmp_path / "cache", "drive0", "drive1", "drive2")[1] == []


def test_a_partial_request_by_wanted_adds_to_the_cache(tmp_path, data):
    class Whole(CountingDataset):
        cuts_recordings = False

    def read(*ids):
        dataset = Whole(str(data))
        TrajectoryLoader(dataset, str(tmp_path / "cache")).load(one_group(dataset), lambda clip_id: clip_id in ids)
        return dataset.read

    assert read("drive0") == ["drive0"]
    assert read("drive0", "drive1") == ["drive1"]
    assert read("drive0", "drive1") == []


def test_a_deleted_cache_folder_does_no_harm(data, tmp_path):
    first, _ = load(data, tmp_path / "cache")
    for path in cache_files(tmp_path / "cache"):
        path.unlink()
        path.parent.rmdir()
    assert_same(load(data, tmp_path / "cache")[0], first)


@pytest.mark.parametrize("damage", ["empty", "text", "torn", "head", "flipped_schema"])
def test_a_damaged_cache_file_is_made_again(data, tmp_path, damage):
    first, _ = load(data, tmp_path / "cache", "drive0", "drive1", "short")
    (path,) = cache_files(tmp_path / "cache")
    content = path.read_bytes()
    torn = {
        "empty": b"",
        "text": b"no arrow file",
        "torn": content[: len(content) // 2],
        "head": content[:8],
        "flipped_schema": content[:40] + bytes(64) + content[104:],
    }
    path.write_bytes(torn[damage])
    assert_same(load(data, tmp_path / "cache", "drive0", "drive1", "short")[0], first)
    assert load(data, tmp_path / "cache", "drive0", "drive1", "short")[1] == []


def test_a_cache_file_damaged_anywhere_never_stops_a_run(data, tmp_path):
    load(data, tmp_path / "cache", "drive0", "short")
    (path,) = cache_files(tmp_path / "cache")
    content = path.read_bytes()
    metadata = [at for at in range(0, len(content), 61) if not 3000 < at < len(content) - 3000]
    for at in metadata:
        damaged = bytearray(content)
        damaged[at : at + 4] = b"\xff\xff\xff\x7f"
        path.write_bytes(damaged)
        results, _ = load(data, tmp_path / "cache", "drive0", "short")
        assert sorted(results) == ["drive0", "short"]
        path.write_bytes(content)


def test_a_cache_that_cannot_be_written_costs_time_and_no_labels(data, tmp_path):
    (tmp_path / "file").write_text("")
    results, _ = load(data, tmp_path / "file" / "cache")
    assert_same(results, load(data, tmp_path / "cache")[0])


def test_two_datasets_with_one_cache_folder_do_not_mix(data, tmp_path):
    other = tmp_path / "other" / "data"
    write_csv(other, "drive0", lively_drive(8))
    load(data, tmp_path / "cache", "drive0")
    mixed, read = load(other, tmp_path / "cache", "drive0")
    assert read == ["drive0"]
    assert_same(mixed, load(other, tmp_path / "fresh", "drive0")[0])


def test_clips_of_a_cut_recording_come_back_from_the_cache_in_order(tmp_path):
    write_csv(tmp_path / "data", "long", lively_drive(1, 50.3))
    first, _ = load(tmp_path / "data", tmp_path / "cache")
    second, read = load(tmp_path / "data", tmp_path / "cache")
    assert list(second) == ["long-0", "long-20", "long-40"]
    assert read == []
    assert_same(second, first)


def test_two_processes_that_write_one_cache_at_once_do_no_harm(data, tmp_path):
    expected, _ = load(data, tmp_path / "other")
    context = multiprocessing.get_context("spawn")
    begun = context.Barrier(2)
    other = context.Process(target=use_cache_again_and_again, args=(str(data), str(tmp_path / "cache"), begun))
    other.start()
    begun.wait()
    while other.is_alive():
        assert_same(load(data, tmp_path / "cache")[0], expected)
    other.join()
    assert other.exitcode == 0
    assert not list((tmp_path / "cache").rglob("*.tmp"))


def test_what_a_killed_run_left_in_the_cache_folder_is_removed(data, tmp_path):
    load(data, tmp_path / "cache", "drive0")
    (path,) = cache_files(tmp_path / "cache")
    process = subprocess.Popen(["true"])
    process.wait()
    leftover = path.parent / f".{path.name}.{files._HOST}-{process.pid}.tmp"
    leftover.write_bytes(b"half a file")
    load(data, tmp_path / "cache")
    assert not leftover.exists()


def test_groups_are_cut_down_to_the_sources_of_the_wanted_clips(data):
    dataset = TableDataset(str(data))
    groups = [one_group(dataset)]
    (found,) = find_groups(groups, frozenset({"drive1", "drive2-40"}), cuts_recordings=True)
    assert [source.recording_id for source in found.sources] == ["drive1", "drive2"]
    assert find_groups(groups, frozenset({"none"}), cuts_recordings=True) == []


def test_ego_motion_as_it_was_recorded_is_read_beside_the_cache(tmp_path):
    d = lively_drive(1, hz=100)
    write_csv(tmp_path / "data", "clip", d)
    for _ in range(2):  # the second time trajectories come from the cache
        loader = TrajectoryLoader(TableDataset(str(tmp_path / "data")), str(tmp_path / "cache"))
        (clip,) = loader.load(one_group(loader.dataset))
        samples = loader.samples(clip)
        assert (samples.t_us == d.t_us).all()
        assert (samples.xyz[:, 0] == d.x).all()


def test_a_part_of_a_recording_has_its_own_clock(tmp_path):
    write_csv(tmp_path / "data", "long", lively_drive(1, seconds=45, hz=10))
    loader = TrajectoryLoader(TableDataset(str(tmp_path / "data")))
    clips = loader.load(one_group(loader.dataset))
    assert [clip.clip_id for clip in clips[:2]] == ["long-0", "long-20"]
    for clip in clips[:2]:
        samples = loader.samples(clip)
        assert samples.t_us[0] <= 0 < samples.t_us[-1]
        assert abs(samples.cleaned().poses_at(np.array([0]))[0][0] - clip.result.xyz[0]).max() < 1e-9


def test_a_clip_that_is_gone_since_is_named(tmp_path):
    path = write_csv(tmp_path / "data", "clip", lively_drive(1))
    loader = TrajectoryLoader(TableDataset(str(tmp_path / "data")))
    (clip,) = loader.load(one_group(loader.dataset))
    path.unlink()
    with pytest.raises(ClipFailedError, match="clip"):
        loader.samples(clip)
