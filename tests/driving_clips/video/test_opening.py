import os
import struct
import tempfile
import zipfile

import numpy as np
import pytest

from builders.pai import parquet
from builders.videos import number_of, tamper, times_of, video_bytes, write_video, zip_videos
from driving_clips.datasets.base import VideoLocation
from driving_clips.errors import ClipFailedError
from driving_clips.video import opening, reading
from driving_clips.video.reading import VideoReader

NAME = "a.front.mp4"
SIDECAR = "a.front.timestamps.parquet"


def chunk(tmp_path, *, deflated: bool = False, content: bytes | None = None):
    members = {NAME: video_bytes() if content is None else content, SIDECAR: parquet({"timestamp": times_of(60)})}
    return zip_videos(tmp_path / "chunk.zip", members, deflated=deflated)


def location(path) -> VideoLocation:
    return VideoLocation("front", str(path), NAME, SIDECAR)


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("spool", [opening.SPOOL_BYTES, 1000])
def test_a_video_in_an_archive_is_read(tmp_path, monkeypatch, deflated, spool):
    monkeypatch.setattr(opening, "SPOOL_BYTES", spool)
    with VideoReader(location(chunk(tmp_path, deflated=deflated))) as video:
        assert video.notices == []
        assert {index: number_of(frame) for index, frame in video.frames([5, 59, 31])} == {5: 5, 31: 31, 59: 59}


def test_a_stored_video_is_read_in_place_and_nothing_is_written(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a temporary file was asked for")

    path = chunk(tmp_path)
    for name in ("SpooledTemporaryFile", "TemporaryFile", "NamedTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, refuse)
    opened = os.open
    monkeypatch.setattr(os, "open", lambda p, flags, *rest: opened(p, readonly(flags), *rest))
    with VideoReader(location(path)) as video:
        assert len(list(video.frames([0, 30]))) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["chunk.zip"]


def readonly(flags: int) -> int:
    assert not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    return flags


def test_the_archive_s_other_bytes_cannot_be_seen(tmp_path):
    with opening.open_bytes(location(chunk(tmp_path))) as content:
        assert content.read() == video_bytes()
        assert content.read(10) == b""
        assert content.seek(-4, os.SEEK_END) == len(video_bytes()) - 4
        assert content.read(100) == video_bytes()[-4:]


def fails(place: VideoLocation, reason: str, words: str) -> None:
    with pytest.raises(ClipFailedError, match=words) as caught, VideoReader(place):
        pass
    assert caught.value.reason == reason
    assert place.path in str(caught.value)


@pytest.mark.parametrize("deflated", [False, True])
def test_an_encrypted_video_is_refused(tmp_path, deflated):
    path = chunk(tmp_path, deflated=deflated)
    tamper(path, NAME, encrypted=True)
    fails(location(path), "corrupt_zip", f"{NAME}.*encrypted")


@pytest.mark.parametrize("size", [10, 5_000_000, 2_000_000_000])
def test_a_deflated_video_that_lies_about_its_size_is_refused(tmp_path, size):
    path = chunk(tmp_path, deflated=True)
    tamper(path, NAME, size=size)
    fails(location(path), "corrupt_zip", NAME)


def test_what_a_lie_makes_of_memory_is_bounded(tmp_path, monkeypatch):
    path = chunk(tmp_path, deflated=True, content=bytes(30_000_000))
    tamper(path, NAME, size=1000)
    sizes = []
    original = tempfile.SpooledTemporaryFile.write
    monkeypatch.setattr(
        tempfile.SpooledTemporaryFile, "write", lambda self, b: (sizes.append(len(b)), original(self, b))[1]
    )
    fails(location(path), "corrupt_zip", "wrong size")
    assert sum(sizes) == 0


@pytest.mark.parametrize(("size", "packed"), [(10, None), (3_000_000, 3_000_000)])
def test_a_stored_video_that_lies_about_its_size_is_refused(tmp_path, size, packed):
    path = chunk(tmp_path)
    tamper(path, NAME, size=size, packed=packed)
    fails(location(path), "corrupt_zip", NAME)


@pytest.mark.parametrize("deflated", [False, True])
def test_a_damaged_member_is_refused(tmp_path, deflated):
    path = chunk(tmp_path, deflated=deflated)
    content = bytearray(path.read_bytes())
    middle = content.index(NAME.encode()) + 3000
    content[middle : middle + 8] = bytes(byte ^ 0x55 for byte in content[middle : middle + 8])
    path.write_bytes(content)
    fails(location(path), "corrupt_zip", "Download the archive again")


def test_headers_that_point_elsewhere_are_refused(tmp_path):
    path = chunk(tmp_path)
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\x01\x02", 0, content.rindex(NAME.encode()))
    content[place + 42 : place + 46] = struct.pack("<I", 7)
    path.write_bytes(content)
    fails(location(path), "corrupt_zip", "contradict|end behind")


def test_another_method_is_refused(tmp_path):
    path = tmp_path / "chunk.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr(NAME, video_bytes())
    fails(location(path), "corrupt_zip", "method 14")


def test_a_member_that_is_gone_is_named(tmp_path):
    path = zip_videos(tmp_path / "chunk.zip", {})
    fails(location(path), "corrupt_zip", NAME)


def test_a_member_that_is_no_video_is_named(tmp_path):
    fails(location(chunk(tmp_path, content=b"no video")), "corrupt_video", f"{NAME}.*found 8 bytes")


def test_times_are_those_of_the_archive(tmp_path):
    with VideoReader(location(chunk(tmp_path))) as video:
        assert np.array_equal(video.t_us, times_of(60))


@pytest.mark.parametrize("size", [4 * 2**30 + 1, 2**32 - 2])
def test_a_deflated_video_is_never_larger_than_4_gib(tmp_path, monkeypatch, size):
    monkeypatch.setattr(opening, "MAX_INFLATION", 10**9)
    monkeypatch.setattr(opening, "MAX_UNPACKED_BYTES", min(opening.MAX_UNPACKED_BYTES, size - 1))
    assert "at most" in opening.inflation_fault(1000, size)
    assert opening.inflation_fault(1000, size - 1) == ""
    if size < 2**32:  # what a directory without zip64 can say
        path = chunk(tmp_path, deflated=True)
        tamper(path, NAME, size=size)
        fails(location(path), "corrupt_zip", f"claim to inflate to {size}, at most")


def test_frames_that_are_too_large_are_refused_before_any_is_decoded(tmp_path, monkeypatch):
    path = write_video(tmp_path, video_bytes(), times_of(60))
    monkeypatch.setattr(opening, "MAX_PIXELS", 144 * 96 - 1)
    monkeypatch.setattr(reading, "decode", None)
    fails(VideoLocation("front", str(path)), "corrupt_video", "frames of 144 x 96 pixels, at most 0.013823 megapixels")


@pytest.mark.parametrize("b_frames", [0, 2])
def test_frames_that_are_larger_than_the_first_are_refused(tmp_path, monkeypatch, b_frames):
    how = {"form": "h264", "b_frames": b_frames, "frames": 10}
    content = video_bytes(**how) + video_bytes(**how, size=(640, 480))
    path = write_video(tmp_path, content, times_of(20))
    monkeypatch.setattr(opening, "MAX_PIXELS", 640 * 480 - 1)
    place = VideoLocation("front", str(path), "", str(path).replace(".mp4", ".timestamps.parquet"))
    with VideoReader(place) as video:
        assert [frame.width for _, frame in video.frames([0, 5])] == [144, 144]
        with pytest.raises(ClipFailedError, match="frames of 640 x 480 pixels"):
            list(video.frames([15]))


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_only_regular_files_are_opened(tmp_path, monkeypatch, kind):
    path = tmp_path / NAME
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    opened, real = [], os.open
    monkeypatch.setattr(os, "open", lambda *args: opened.append(real(*args)) or opened[-1])
    fails(VideoLocation("front", str(path)), "unreadable", f"expected a regular file, found a {kind}")
    (descriptor,) = opened
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
