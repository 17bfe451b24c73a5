import io
import json
from types import SimpleNamespace

import av
import pytest
from fastapi import FastAPI, Header
from fastapi.testclient import TestClient

from builders.material import write_clip, write_run
from builders.reviews import ACCEPT, filled, review, unlock
from builders.videos import number_of
from coc_labeling.review.material import Material, MaterialError
from coc_labeling.review.store import Role
from coc_labeling.review.web.context import Person, signed_in
from coc_labeling.review.web.media_routes import router

TASK = 1  # of ann; its keyframe is at 5 s
FUTURE = ("window.mp4", "frames/5.jpg", "frames/15.jpg", "frames/99.jpg")
PAST = ("scene.json", "history.mp4", "frames/0.jpg", "frames/4.jpg")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("data"), "clip00000")


@pytest.fixture
def store(tmp_path, data):
    run = write_run(tmp_path / "run", data)
    store = filled(run, 1, people="ann bob")
    yield store
    store.close()


@pytest.fixture
def material(tmp_path, data, store):
    material = Material.of_run(str(tmp_path / "run"), cache_dir=str(tmp_path / "cache"))
    yield material
    material.close()


@pytest.fixture
def site(store, material):
    return SimpleNamespace(store=store, material=material)


@pytest.fixture
def browser(site):
    """Asks as ann, or as whom the header ``who`` names."""

    def who(who: str = Header("ann")) -> Person:
        return Person(who, Role.REVIEWER)

    app = FastAPI()
    app.state.site = site
    app.include_router(router)
    app.dependency_overrides[signed_in] = who
    with TestClient(app) as client:
        yield client


@pytest.fixture
def get(browser):
    return lambda what, task=TASK, **headers: browser.get(f"/tasks/{task}/{what}", headers=headers)


def opened(store) -> None:
    store.open(TASK, "ann", 0)


def test_before_a_task_is_open_nothing_of_it_is_sent(get):
    assert {get(what).status_code for what in (*PAST, *FUTURE)} == {403}


def test_before_the_future_unlocks_only_the_history_is_sent(get, store):
    opened(store)
    assert {get(what).status_code for what in PAST} == {200}
    assert {get(what).status_code for what in FUTURE} == {403}
    scene = get("scene.json").json()
    assert (scene["end"], scene["video"]["url"], scene["spans"]) == (5.0, "history.mp4", [])
    assert [one["url"] for one in scene["frames"]] == [f"frames/{n}.jpg" for n in range(5)]


def test_once_it_unlocks_all_is_sent(get, store):
    opened(store)
    unlock(store, TASK, "ann")
    assert {get(what).status_code for what in (*PAST, *FUTURE[:3])} == {200}
    scene = get("scene.json").json()
    assert (scene["end"], scene["video"]["url"]) == (11.0, "window.mp4")
    assert scene["spans"]
    review(store, TASK, "ann", ACCEPT)
    assert get("window.mp4").status_code == 200


def test_an_undone_judgement_locks_nothing_again(get, store):
    revision = review(store, TASK, "ann")
    store.undo(TASK, "ann", revision)
    assert get("window.mp4").status_code == 200


@pytest.mark.parametrize("what", [*PAST, *FUTURE])
def test_nobody_gets_another_s_task(get, store, what):
    review(store, TASK, "ann")
    assert get(what, who="bob").status_code == 404
    assert get(what, who="aud").status_code == 404
    assert get(what, task=99).status_code == 404


@pytest.mark.parametrize("task", ["0", "-1", "x", "1.5", "9" * 30, "9" * 5000, "%2e%2e"])
def test_no_number_is_no_task(get, task):
    assert get("scene.json", task=task).status_code in (404, 422)


@pytest.mark.parametrize("number", ["-1", "x", "..%2f..%2fetc%2fpasswd", "9" * 30, "1e3"])
def test_no_number_is_no_frame(get, store, number):
    review(store, TASK, "ann")
    assert get(f"frames/{number}.jpg").status_code in (404, 422)


def test_a_frame_that_is_not_there_is_told(get, store):
    review(store, TASK, "ann")
    answer = get("frames/99.jpg")
    assert (answer.status_code, "sampled time 99" in answer.text) == (404, True)


def test_a_video_that_cannot_be_made_is_told(get, store, material, monkeypatch):
    def fail(*_args, **_named):
        raise MaterialError("no video of camera front. Start coc review with --video_dir")

    monkeypatch.setattr(material, "video", fail)
    opened(store)
    answer = get("history.mp4")
    assert (answer.status_code, "--video_dir" in answer.text) == (404, True)


def test_nothing_is_kept_by_browsers(get, store):
    review(store, TASK, "ann")
    for what, kind in (
        ("scene.json", "application/json"),
        ("history.mp4", "video/mp4"),
        ("window.mp4", "video/mp4"),
        ("frames/3.jpg", "image/jpeg"),
    ):
        answer = get(what)
        assert (answer.headers["cache-control"], answer.headers["content-type"]) == ("no-store", kind)
    for asked in ("bytes=0-5", "bytes=999999999-"):
        assert get("history.mp4", range=asked).headers["cache-control"] == "no-store"


def test_the_video_of_the_history_is_that(get, store):
    opened(store)
    with av.open(io.BytesIO(get("history.mp4").content)) as container:
        assert [number_of(frame) for frame in container.decode(video=0)] == list(range(30, 51))


@pytest.fixture
def video(get, store) -> bytes:
    opened(store)
    whole = get("history.mp4")
    assert (whole.status_code, whole.headers["accept-ranges"]) == (200, "bytes")
    assert int(whole.headers["content-length"]) == len(whole.content) > 1000
    return whole.content


@pytest.mark.parametrize(
    ("asked", "first", "stop"),
    [
        ("bytes=0-99", 0, 100),
        ("bytes=0-0", 0, 1),
        ("bytes=100-", 100, None),
        ("bytes=0-", 0, None),
        ("bytes=-10", -10, None),
        ("bytes=-999999999", 0, None),
        ("bytes=500-999999999", 500, None),
    ],
)
def test_a_range_is_answered_with_that_part(get, video, asked, first, stop):
    answer = get("history.mp4", range=asked)
    expected = video[first:stop]
    start = first % len(video)
    assert (answer.status_code, answer.content) == (206, expected)
    assert answer.headers["content-range"] == f"bytes {start}-{start + len(expected) - 1}/{len(video)}"
    assert int(answer.headers["content-length"]) == len(expected)
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-type"] == "video/mp4"


@pytest.mark.parametrize("asked", ["bytes=999999999-", "bytes=999999999-9999999999", "bytes=-0"])
def test_a_range_behind_the_end_cannot_be_answered(get, video, asked):
    answer = get("history.mp4", range=asked)
    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.headers["content-range"] == f"bytes */{len(video)}"


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,5-6", "bytes=5-2", "bytes=-", "bytes=a-b", "lines=0-1", "", "bytes=" + "9" * 40]
)
def test_any_other_range_is_answered_with_all(get, video, asked):
    answer = get("history.mp4", range=asked)
    assert (answer.status_code, answer.content) == (200, video)


def test_parts_put_together_are_the_whole(get, video):
    step = len(video) // 3
    parts = [get("history.mp4", range=f"bytes={n}-{n + step - 1}").content for n in range(0, len(video), step)]
    assert b"".join(parts) == video


def test_a_scene_holds_no_number_that_json_does_not_know(get, store, material, monkeypatch):
    review(store, TASK, "ann")
    json.loads(get("scene.json").text, parse_constant=lambda name: pytest.fail(name))
