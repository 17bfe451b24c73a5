import errno
import os
import struct
import subprocess
import sys

import pytest

from builders.pai import zip_members
from driving_clips import files
from driving_clips.errors import ClipFailedError, DatasetError


def names_in(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_whole_and_nothing_else_is_left(tmp_path):
    files.write_atomic(str(tmp_path / "a.txt"), "häuser\n")
    assert (tmp_path / "a.txt").read_text() == "häuser\n"
    assert names_in(tmp_path) == ["a.txt"]


def test_a_write_that_fails_keeps_the_old_content_and_leaves_no_temporary_file(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(descriptor, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "write", full)
    with pytest.raises(OSError, match="No space") as caught:
        files.write_atomic(str(path), "new")
    monkeypatch.undo()
    assert files.is_disk_full(caught.value)
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["a.txt"]


def test_a_write_in_pieces_is_completed(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(files.os, "write", lambda descriptor, data: write(descriptor, bytes(data[:3])))
    files.write_atomic(str(tmp_path / "a.txt"), "0123456789")
    assert (tmp_path / "a.txt").read_text() == "0123456789"


def test_a_relative_path_without_folder_can_be_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files.write_atomic("a.txt", "text")
    assert (tmp_path / "a.txt").read_text() == "text"


def test_the_longest_legal_clip_id_can_be_written_on_a_host_with_a_long_name(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_HOST", "h" * 63)  # a Kubernetes pod's name may be as long
    files.write_atomic(str(tmp_path / f"{'c' * 200}.json"), "[]")
    assert names_in(tmp_path) == [f"{'c' * 200}.json"]


def test_leftovers_of_dead_processes_go_and_those_of_living_ones_stay(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    gone = tmp_path / f".a.txt.{files._HOST}-{dead.pid}.tmp"
    own = tmp_path / f".b.txt.{files._HOST}-{os.getpid()}.tmp"
    elsewhere = tmp_path / f".c.txt.otherhost-{dead.pid}.tmp"
    for path in (gone, own, elsewhere):
        path.write_text("")
    assert files.remove_leftovers(str(tmp_path)) == 1
    assert names_in(tmp_path) == sorted([own.name, elsewhere.name])


def test_a_dead_process_that_nobody_has_reaped_yet_counts_as_dead(tmp_path):
    """Workers of a killed run become children of process 1, which in containers may reap them late or never."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
    (tmp_path / f".a.txt.{files._HOST}-{dead.pid}.tmp").write_text("")
    assert files.remove_leftovers(str(tmp_path)) == 1
    dead.wait()


def test_files_are_found_in_folders_sorted_and_hidden_ones_are_not(tmp_path):
    for name in ("b/2.csv", "a/1.csv", ".hidden/3.csv", "a/.4.csv", "a/5.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert files.walk_files(str(tmp_path), (".csv",)) == [f"{tmp_path}/a/1.csv", f"{tmp_path}/b/2.csv"]


def test_a_second_run_in_one_folder_is_refused(tmp_path):
    path = str(tmp_path / "lock")
    with files.exclusive(path), pytest.raises(DatasetError, match="another run"), files.exclusive(path):
        pass
    with files.exclusive(path):  # free again
        pass


def test_a_folder_below_a_file_cannot_be_made_and_the_message_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match=r"file/folder: cannot be written to .*another folder"):
        files.make_dir(str(tmp_path / "file" / "folder"))


def test_a_byte_order_mark_is_dropped(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfabc")
    assert files.read_text(str(tmp_path / "a.txt")) == "abc"


def test_an_archive_that_was_replaced_is_opened_anew(tmp_path):
    path = zip_members(tmp_path / "a.zip", {"m": b"old"})
    assert files.read_zip_member(str(path), "m") == b"old"
    zip_members(path, {"m": b"newer"})
    assert files.read_zip_member(str(path), "m") == b"newer"


def test_a_file_that_is_no_archive_is_named(tmp_path):
    (tmp_path / "a.zip").write_text("no zip")
    with pytest.raises(ClipFailedError, match=r"a\.zip: expected a zip archive") as caught:
        files.open_zip(str(tmp_path / "a.zip"))
    assert caught.value.reason == "corrupt_zip"


def test_an_archive_of_an_unknown_version_is_a_failed_file_and_not_a_crash(tmp_path):
    path = zip_members(tmp_path / "a.zip", {"m": b"content"})
    damaged = bytearray(path.read_bytes())
    at = damaged.index(b"PK\x01\x02")
    damaged[at + 6 : at + 8] = struct.pack("<H", 999)
    path.write_bytes(damaged)
    with pytest.raises(ClipFailedError, match=r"a\.zip"):
        files.open_zip(str(path))


@pytest.mark.parametrize("damage", ["content", "method", "encrypted", "header"])
def test_a_damaged_member_is_named_with_its_archive(tmp_path, damage):
    path = zip_members(tmp_path / "a.zip", {"member": b"content" * 100})
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02")
    if damage == "content":
        data[100] ^= 0xFF
    elif damage == "method":
        data[central + 10] = 99
    elif damage == "encrypted":
        data[central + 8] |= 1
        data[6] |= 1
    else:
        data[0:4] = b"\0\0\0\0"
    path.write_bytes(data)
    with pytest.raises(ClipFailedError, match=r"a\.zip: member member cannot be read"):
        files.read_zip_member(str(path), "member")


def test_a_missing_member_is_named(tmp_path):
    path = zip_members(tmp_path / "a.zip", {"m": b""})
    with pytest.raises(ClipFailedError, match=r"a\.zip: member other"):
        files.read_zip_member(str(path), "other")
