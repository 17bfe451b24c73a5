import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from coc_labeling.review.material import MaterialError
from coc_labeling.review.material.video_cache import IN_USE_SEC, VideoCache, default_folder


def writer(size: int = 10, made: list | None = None):
    def encode(path: str) -> None:
        if made is not None:
            made.append(path)
        Path(path).write_bytes(b"v" * size)

    return encode


def age(path: str, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_what_is_there_is_not_made_again(tmp_path):
    made: list[str] = []
    first = VideoCache(str(tmp_path / "c")).get(["a", 1], writer(made=made))
    assert Path(first).read_bytes() == b"v" * 10
    assert VideoCache(str(tmp_path / "c")).get(["a", 1], writer(made=made)) == first
    assert VideoCache(str(tmp_path / "c")).get(["a", 2], writer(made=made)) != first
    assert len(made) == 2


def test_a_file_that_was_deleted_is_made_again(tmp_path):
    cache, made = VideoCache(str(tmp_path)), []
    path = cache.get("a", writer(made=made))
    Path(path).unlink()
    assert cache.get("a", writer(made=made)) == path
    assert len(made) == 2


def test_one_thread_makes_it_for_all(tmp_path):
    cache, made, gate = VideoCache(str(tmp_path)), [], threading.Event()

    def encode(path: str) -> None:
        gate.wait(5)
        writer(made=made)(path)

    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(cache.get, "a", encode) for _ in range(6)]
        gate.set()
        assert len({one.result() for one in asked}) == 1
    assert len(made) == 1


def test_the_ones_not_asked_for_longest_make_room(tmp_path):
    cache = VideoCache(str(tmp_path), most_bytes=30)
    old, older, used = (cache.get(name, writer()) for name in ("old", "older", "used"))
    for path, seconds in ((old, 200), (older, 300), (used, 400)):
        age(path, IN_USE_SEC + seconds)
    assert cache.get("used", writer()) == used  # which makes it the last one used
    cache.get("new", writer())
    left = {str(path) for path in tmp_path.iterdir()}
    assert {old, used} < left
    assert older not in left


def test_what_is_being_watched_stays_even_where_it_is_too_much(tmp_path):
    cache = VideoCache(str(tmp_path), most_bytes=5)
    paths = [cache.get(name, writer()) for name in range(3)]
    assert all(Path(path).exists() for path in paths)


def test_a_failure_leaves_nothing_and_is_told_again(tmp_path):
    cache, tries = VideoCache(str(tmp_path)), []

    def fail(path: str) -> None:
        tries.append(path)
        Path(path).write_bytes(b"half")
        raise MaterialError("the disk is full")

    for _ in range(2):
        with pytest.raises(MaterialError, match="the disk is full"):
            cache.get("a", fail)
    assert len(tries) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(MaterialError, match="file"):
        VideoCache(str(tmp_path / "file" / "c")).get("a", writer())


@pytest.mark.parametrize(
    ("said", "folder"),
    [
        ("/x/cache", "/x/cache/coc-toolkit/review"),
        ("", "/h/.cache/coc-toolkit/review"),
        ("rel", "/h/.cache/coc-toolkit/review"),
    ],
)
def test_the_user_s_cache_folder(monkeypatch, said, folder):
    monkeypatch.setenv("HOME", "/h")
    assert default_folder({"XDG_CACHE_HOME": said}) == folder
