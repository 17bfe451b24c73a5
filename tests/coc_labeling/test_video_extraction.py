import errno
import logging
import os
import resource
import shutil
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from builders.camera_zips import clip_members, cut_short, mark_encrypted, spoil_member, video_bytes, write_zip
from builders.commands import contents, leftovers, summary
from builders.pai import FRONT, camera_members, zip_members
from builders.runs import write_keyframes
from builders.videos import zip_videos
from coc_labeling.video_extraction import main
from driving_clips.video import opening

SCRIPT = Path(__file__).parents[2] / "scripts" / "extract_pai_videos_from_index.py"
TELE = "camera_front_tele_30fov"


class Place:
    """An index of clips a, b and c, their chunk zips, and the command."""

    def __init__(self, root: Path) -> None:
        self.zips, self.out = root / "zips", root / "out"
        self.zips.mkdir()
        self.index = root / "index.json"
        write_keyframes(self.index, {"stop": [("a", 30), ("b", 50)], "go_straight": [("b", 90), ("c", 20)]})

    def fill(self) -> "Place":
        write_zip(self.zips, 0, ["a", "other"])
        write_zip(self.zips, 1, ["b", "c"])
        return self

    def extract(self, *options) -> int:
        arguments = ["--index-file", self.index, "--video-zip-dir", self.zips, "--output-video-root", self.out]
        return main([str(argument) for argument in (*arguments, *options)])

    def video(self, clip_id: str, camera: str = FRONT) -> Path:
        return self.out / "camera" / f"{clip_id}.{camera}.mp4"

    def sidecar(self, clip_id: str) -> Path:
        return self.out / "camera" / f"{clip_id}.{FRONT}.timestamps.parquet"

    def clips(self) -> list[str]:
        return sorted(path.name.split(".")[0] for path in self.out.glob("camera/*.mp4"))


@pytest.fixture
def empty(tmp_path):
    return Place(tmp_path)


@pytest.fixture
def place(empty):
    return empty.fill()


def test_the_indexed_clips_are_extracted_with_their_timestamps(place, capsys):
    assert place.extract() == 0
    assert set(contents(place.out / "camera")) == {
        f"{clip}.{FRONT}{kind}" for clip in "abc" for kind in (".mp4", ".timestamps.parquet")
    }
    assert place.video("a").read_bytes() == video_bytes("a")
    assert place.sidecar("b").read_bytes() == camera_members("b")[place.sidecar("b").name]
    assert "3 videos done (3 now" in capsys.readouterr().out
    assert summary(place.out)["counts"] == {"done": 3, "rejected": 0, "failed": 0}


def test_zips_lie_anywhere_below_and_members_in_folders(empty):
    members = {f"folder/{name}": content for name, content in clip_members("a").items()}
    zip_members(empty.zips / "deep" / "er" / "any.zip", members)
    write_zip(empty.zips, 1, ["b", "c"])
    assert empty.extract() == 0
    assert empty.clips() == ["a", "b", "c"]


@pytest.mark.parametrize("names", [["stop"], ["[stop]"], ["stop,"], ["[stop,", "Wait]"], ["Wait"]])
def test_only_clips_with_the_filtered_actions_are_extracted(place, names):
    assert place.extract("--meta-action-filter", *names) == 0
    assert place.clips() == ["a", "b"]


@pytest.mark.parametrize("names", [["stop", "go_straight"], ["stop,go_straight"], ["stop go_straight"]])
def test_the_filter_takes_several_actions(place, names):
    assert place.extract("--meta-action-filter", *names) == 0
    assert place.clips() == ["a", "b", "c"]


def test_an_unknown_action_is_answered_with_the_legal_ones(place, capsys):
    assert place.extract("--meta-action-filter", "fly") == 2
    assert "--meta-action-filter: unknown meta-action name: 'fly'. Legal names: all_ego" in capsys.readouterr().err


def test_a_filter_that_leaves_no_clip_is_an_error(place, capsys):
    assert place.extract("--meta-action-filter", "reverse") == 2
    assert "no keyframe of reverse in it, those are of go_straight, stop" in capsys.readouterr().err


def test_an_empty_index_asks_for_nothing(place):
    write_keyframes(place.index, {"stop": []})
    assert place.extract() == 0
    assert place.clips() == []


def test_cameras_are_never_mixed(place, capsys):
    write_zip(place.zips, 0, ["a", "b", "c"], TELE)
    assert place.extract() == 2
    assert f"found {TELE}, {FRONT}. Choose one with --camera-name." in capsys.readouterr().err
    assert not place.out.exists()
    assert place.extract("--camera-name", TELE) == 0
    assert all(TELE in name for name in contents(place.out / "camera"))
    assert len(contents(place.out / "camera")) == 6


def test_a_camera_that_is_not_there_is_answered_with_those_that_are(place, capsys):
    assert place.extract("--camera-name", TELE) == 2
    assert f"--camera-name {TELE}: no video of it in the zips of {place.zips}, only {FRONT}." in capsys.readouterr().err


def test_the_name_of_a_member_counts_as_a_whole(empty):
    zip_members(
        empty.zips / "odd.zip",
        clip_members("b") | clip_members("c") | {f"a.{FRONT}.mp4.bak": b"x", f"xa.{FRONT}.mp4": b"x", "a.txt": b"x"},
    )
    assert empty.extract() == 1
    assert empty.clips() == ["b", "c"]


@pytest.mark.parametrize("name", [f"../../a.{FRONT}.mp4", f"/tmp/a.{FRONT}.mp4"])
def test_a_member_s_path_is_never_written_to(empty, tmp_path, name):
    zip_members(empty.zips / "evil.zip", {name: b"contents"} | clip_members("b") | clip_members("c"))
    assert empty.extract() == 0
    assert empty.video("a").read_bytes() == b"contents"
    assert [p for p in tmp_path.rglob("a.*") if p.parent != empty.out / "camera"] == []


def test_what_is_there_already_is_not_written_again(place, capsys):
    place.extract()
    before = {path: path.stat().st_mtime_ns for path in place.out.glob("camera/*")}
    assert place.extract() == 0
    assert {path: path.stat().st_mtime_ns for path in place.out.glob("camera/*")} == before
    assert "3 videos done (0 now" in capsys.readouterr().out


def test_overwrite_writes_it_again(place):
    place.extract()
    before = place.video("a").stat().st_ino
    assert place.extract("--overwrite") == 0
    assert place.video("a").stat().st_ino != before


@pytest.mark.parametrize("content", [b"", b"half", video_bytes("b")])
def test_another_file_is_replaced_and_this_is_said(place, capsys, content):
    place.extract()
    place.video("a").write_bytes(content)
    capsys.readouterr()
    assert place.extract() == 0
    assert place.video("a").read_bytes() == video_bytes("a")
    captured = capsys.readouterr()
    assert f"note: files that were there with another content, replaced (1): {place.video('a')}" in (captured.err)
    assert "3 videos done (1 now" in captured.out


def test_a_missing_sidecar_is_restored(place):
    place.extract()
    before = place.video("a").stat().st_mtime_ns
    place.sidecar("a").unlink()
    assert place.extract() == 0
    assert place.sidecar("a").is_file()
    assert place.video("a").stat().st_mtime_ns == before


def test_a_text_sidecar_keeps_its_name(empty):
    zip_members(
        empty.zips / "text.zip",
        {f"{clip}.{FRONT}{kind}": b"0 0\n" for clip in "abc" for kind in (".mp4", ".mp4.timestamps")},
    )
    assert empty.extract("--strict") == 0
    assert f"a.{FRONT}.mp4.timestamps" in contents(empty.out / "camera")


def test_a_video_without_timestamps_is_a_notice(empty, capsys):
    write_zip(empty.zips, 0, ["a", "b"])
    write_zip(empty.zips, 1, ["c"], timestamps=False)
    assert empty.extract() == 0
    assert "note: videos without frame timestamps in the zips (1): c" in capsys.readouterr().err
    assert summary(empty.out)["notices"] == ["videos without frame timestamps in the zips (1): c"]


def test_with_strict_a_video_without_timestamps_counts_as_missing(empty, capsys):
    write_zip(empty.zips, 0, ["a", "b"])
    write_zip(empty.zips, 1, ["c"], timestamps=False)
    assert empty.extract("--strict") == 1
    assert empty.clips() == ["a", "b", "c"]
    assert "failed: no_timestamps (1)" in capsys.readouterr().out


def test_timestamps_may_lie_in_another_zip_than_the_video(empty):
    write_zip(empty.zips, 0, ["a", "b", "c"], timestamps=False)
    own = {name: content for name, content in clip_members("a").items() if "timestamps" in name}
    zip_members(empty.zips / "late.zip", own)
    assert empty.extract() == 0
    assert empty.sidecar("a").is_file()


def test_a_dry_run_lists_and_writes_nothing(place, capsys):
    assert place.extract("--dry-run") == 0
    assert not place.out.exists()
    out = capsys.readouterr().out
    chunk = place.zips / f"{FRONT}.chunk_0000.zip"
    assert f"would write {place.video('a')} (3000 bytes) from {chunk}!a.{FRONT}.mp4" in out
    total = 3 * (3000 + len(camera_members("a")[f"a.{FRONT}.timestamps.parquet"]))
    assert f"dry run, nothing written: 6 files, {total} bytes (0.00 GB) for 3 videos; 0 videos there already" in out


def test_a_dry_run_names_what_is_missing_and_what_is_there(place, capsys):
    place.extract()
    place.video("b").unlink()
    (place.zips / f"{FRONT}.chunk_0000.zip").unlink()
    before = contents(place.out)
    capsys.readouterr()
    assert place.extract("--dry-run") == 1
    out = capsys.readouterr().out
    assert "1 files, 3000 bytes" in out
    assert "for 1 videos; 1 videos there already; 1 missing" in out
    assert f"a: a.{FRONT}.mp4: in none of the zips of {place.zips}." in out
    assert contents(place.out) == before


def test_a_clip_in_no_zip_is_named_and_the_others_are_extracted(place, capsys):
    (place.zips / f"{FRONT}.chunk_0000.zip").unlink()
    assert place.extract() == 1
    assert place.clips() == ["b", "c"]
    assert f"a: a.{FRONT}.mp4: in none of the zips of {place.zips}." in capsys.readouterr().out
    assert summary(place.out)["ids"]["failed"] == {"missing": ["a"]}


@pytest.mark.parametrize("dry", [False, True])
@pytest.mark.parametrize("limit", [{"MAX_INFLATION": 1, "SPOOL_BYTES": 0}, {"MAX_UNPACKED_BYTES": 2999}])
def test_a_member_that_would_unpack_to_too_much_is_refused(empty, capsys, monkeypatch, limit, dry):
    for name, value in limit.items():
        monkeypatch.setattr(opening, name, value)
    packed = {name: content for name, content in clip_members("a").items() if name.endswith(".mp4")}
    zip_videos(empty.zips / "packed.zip", packed, deflated=True)
    zip_videos(empty.zips / "stored.zip", clip_members("b") | clip_members("c"))  # these grow by nothing
    assert empty.extract(*(["--dry-run"] if dry else [])) == 1
    out = capsys.readouterr().out
    assert f"packed.zip!a.{FRONT}.mp4: " in out
    assert "bytes claim to inflate to 3000, at most" in out
    assert empty.clips() == ([] if dry else ["b", "c"])


def test_a_member_that_hides_behind_another_of_its_name_is_refused(empty, monkeypatch):
    monkeypatch.setattr(opening, "MAX_UNPACKED_BYTES", 2999)
    ((name, content),) = [item for item in clip_members("a").items() if item[0].endswith(".mp4")]
    path = zip_videos(empty.zips / "twice.zip", {name: content})
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    assert empty.extract() == 2
    assert empty.clips() == []


def test_nothing_of_what_is_asked_for_is_exit_code_2(place):
    write_keyframes(place.index, {"stop": [("x", 30)]})
    assert place.extract() == 2


def test_a_truncated_zip_is_named_and_the_others_are_extracted(place, capsys):
    cut_short(place.zips / f"{FRONT}.chunk_0000.zip")
    assert place.extract() == 1
    assert place.clips() == ["b", "c"]
    captured = capsys.readouterr()
    assert (
        f"note: archives that cannot be read (1): {place.zips}/{FRONT}.chunk_0000.zip: expected a zip" in captured.err
    )
    assert "it may be in one of the 1 that cannot be read" in captured.out


def test_a_truncated_zip_that_nobody_needs_is_only_a_notice(place, capsys):
    cut_short(write_zip(place.zips, 2, ["x"]))
    assert place.extract() == 0
    assert "archives that cannot be read (1)" in capsys.readouterr().err


def test_zips_that_cannot_be_read_at_all_are_exit_code_2(place, capsys):
    for path in place.zips.iterdir():
        cut_short(path)
    assert place.extract() == 2
    assert "no archive can be read. archives that cannot be read (2)" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["mp4", "timestamps.parquet"])
def test_a_member_with_a_wrong_checksum_fails_its_clip_alone(place, capsys, kind):
    spoil_member(place.zips / f"{FRONT}.chunk_0001.zip", f"b.{FRONT}.{kind}")
    assert place.extract() == 1
    assert not (place.out / "camera" / f"b.{FRONT}.{kind}").exists()
    assert {"a", "c"} <= set(place.clips())
    assert "corrupt_member (1)" in capsys.readouterr().out
    assert leftovers(place.out) == []


def test_a_spoilt_member_leaves_the_file_that_was_there(place):
    spoil_member(place.zips / f"{FRONT}.chunk_0001.zip", f"b.{FRONT}.mp4")
    place.video("b").parent.mkdir(parents=True)
    place.video("b").write_bytes(b"mine")
    assert place.extract() == 1
    assert place.video("b").read_bytes() == b"mine"


def test_an_encrypted_member_is_named(place, capsys):
    mark_encrypted(place.zips / f"{FRONT}.chunk_0001.zip", f"b.{FRONT}.mp4")
    assert place.extract() == 1
    assert place.clips() == ["a", "c"]
    assert f"!b.{FRONT}.mp4: is encrypted" in capsys.readouterr().out


def test_the_same_member_in_two_zips_counts_once(place):
    shutil.copy(place.zips / f"{FRONT}.chunk_0001.zip", place.zips / "again.zip")
    assert place.extract() == 0


def test_different_members_of_one_name_fail_naming_both(place, capsys):
    write_zip(place.zips, 7, ["b"], size=2000)
    assert place.extract() == 1
    assert place.clips() == ["a", "c"]
    out = capsys.readouterr().out
    assert "failed: duplicate_id (1)" in out
    assert f"chunk_0001.zip!b.{FRONT}.mp4 and {place.zips}/{FRONT}.chunk_0007.zip!b.{FRONT}.mp4" in out


@contextmanager
def files_up_to(size: int):
    """Let no file of this process grow beyond ``size`` bytes: writes fail as they do on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_ends_the_run_and_leaves_nothing_partial(empty, capsys):
    write_zip(empty.zips, 0, ["a"], size=3000)
    write_zip(empty.zips, 1, ["b", "c"], size=3_000_000)
    with files_up_to(1_000_000):
        assert empty.extract() == 1
    captured = capsys.readouterr()
    assert "error: the disk is full" in captured.err
    assert "1 videos done" in captured.out
    assert empty.clips() == ["a"]
    assert leftovers(empty.out) == []
    assert empty.extract() == 0
    assert empty.clips() == ["a", "b", "c"]


def test_a_file_that_cannot_be_written_fails_its_clip_alone(place, monkeypatch, capsys):
    copy = shutil.copyfileobj

    def fail_for_b(source, sink, size):
        if source.name.startswith("b."):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        copy(source, sink, size)

    monkeypatch.setattr(shutil, "copyfileobj", fail_for_b)
    assert place.extract() == 1
    assert place.clips() == ["a", "c"]
    assert "unwritable (1)" in capsys.readouterr().out


def test_an_output_that_is_a_file_is_named(place, capsys):
    place.out.write_text("")
    assert place.extract() == 2
    assert f"{place.out}/camera: cannot be written to" in capsys.readouterr().err


def test_an_index_that_is_not_there_is_named(place, capsys):
    place.index.unlink()
    assert place.extract() == 2
    assert f"{place.index}: no such keyframe file" in capsys.readouterr().err


def test_a_zip_folder_that_is_missing_or_empty_is_named(empty, capsys):
    assert empty.extract() == 2
    assert f"--video-zip-dir {empty.zips}: no zip archives in it" in capsys.readouterr().err
    empty.zips.rmdir()
    assert empty.extract() == 2
    assert f"--video-zip-dir {empty.zips}: no such folder" in capsys.readouterr().err


def test_zips_without_videos_are_named(empty, capsys):
    zip_members(empty.zips / "labels.zip", {"a.egomotion.parquet": b""})
    assert empty.extract() == 2
    assert "found none. Expected members <clip_id>.<camera>.mp4." in capsys.readouterr().err


def test_the_log_level_names_the_files_written(place, caplog):
    root = logging.getLogger().level
    try:
        assert place.extract("--log-level", "info") == 0
        assert f"written: {place.video('a')} (3000 bytes)" in caplog.messages
    finally:
        logging.getLogger().setLevel(root)


def test_a_log_level_that_there_is_not_is_a_usage_error(place, capsys):
    with pytest.raises(SystemExit) as end:
        place.extract("--log-level", "loud")
    assert end.value.code == 2
    assert "invalid choice: 'LOUD'" in capsys.readouterr().err


def test_zips_are_opened_once_and_those_with_clips_asked_for_once_more(place, monkeypatch):
    opened: list[str] = []
    real = zipfile.ZipFile.__init__

    def counted(self, file, *args, **kwargs):
        opened.append(Path(file).name)
        real(self, file, *args, **kwargs)

    for number in range(2, 12):
        write_zip(place.zips, number, [f"other_{number}"])
    monkeypatch.setattr(zipfile.ZipFile, "__init__", counted)
    assert place.extract() == 0
    times = {name: opened.count(name) for name in opened if name.startswith(FRONT)}
    assert sorted(times.values()) == [1] * 10 + [2] * 2
    assert times[f"{FRONT}.chunk_0000.zip"] == 2


def test_the_script_runs_as_it_lies(place):
    arguments = ["--index-file", place.index, "--video-zip-dir", place.zips, "--output-video-root", place.out]
    done = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert place.clips() == ["a", "b", "c"]
