"""What came after the keyframe does not reach a browser before the history has been judged, as seen on the network."""

import io
import json
import re
from itertools import chain

import av
import pytest

from builders.review_browser import json_of, wait_for_scene
from builders.reviews import answer_for, review
from meta_action.names import BY_NAME

ALL_FRAMES = range(17)  # those of a window and one that is none


@pytest.fixture(scope="module")
def server(serve):
    return serve("ann")


@pytest.fixture
def store(server):
    store = server.store()
    yield store
    store.close()


def times_in(scene: object, name: str = "") -> list[float]:
    """Return all times in a scene, whatever they are times of."""
    if isinstance(scene, dict):
        return list(chain.from_iterable(times_in(value, key) for key, value in scene.items()))
    if isinstance(scene, list):
        return list(chain.from_iterable(times_in(value, name) for value in scene))
    return [scene] if name in ("t", "t0", "start", "end") and scene is not None else []


def assert_nothing_of_the_future(desk, task: int, store, since: int) -> None:
    """Look through all that has reached a browser of a task in its first phase, from an answer on."""
    label, moment = store.label(task), store.view(task, desk.name).t_us / 1e6
    base = f"{desk.server.url}/tasks/{task}"
    answers = [one for one in desk.responses[since:] if one.url == base or one.url.startswith(f"{base}/")]
    paths = [one.url.removeprefix(base) for one in answers if one.ok]
    assert "" in paths
    assert "/window.mp4" not in paths
    for answer in answers:
        if answer.request.method != "GET" or answer.status == 303:
            continue
        path = answer.url.removeprefix(base)
        if path in ("", "/scene.json"):
            scene = json_of(answer) if path else scene_in(answer.text())
            assert max(times_in(scene)) <= moment + 1e-6
            assert scene["spans"] == []
            assert {f"/{frame['url']}" for frame in scene["frames"]} >= {p for p in paths if p.startswith("/frames/")}
        if path in ("", "/scene.json"):
            said = answer.text()
            decisions = [one.decision for one in (label.longitudinal, label.lateral) if one]
            words = [*decisions, *BY_NAME, *(one.replace("_", " ") for one in (*decisions, *BY_NAME)), "risk"]
            assert label.effect_on_ego_behavior not in said
            assert [word for word in words if re.search(rf"\b{word}\b", said)] == []
    assert_is_shut(desk, task)


def scene_in(page: str) -> dict:
    """Return the scene that a label page holds."""
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])["scene"]


def assert_is_shut(desk, task: int) -> None:
    """Ask for what is not to be had yet."""
    statuses = {number: desk.get(f"/tasks/{task}/frames/{number}.jpg") for number in ALL_FRAMES}
    assert {statuses[number] for number in ALL_FRAMES[5:]} == {403}
    assert desk.get(f"/tasks/{task}/window.mp4") == 403
    ranged = desk.context.request.get(f"{desk.server.url}/tasks/{task}/window.mp4", headers={"Range": "bytes=0-99"})
    assert ranged.status == 403
    revision = {"revision": 1}
    assert desk.post(f"/api/tasks/{task}/mismatches", {"edit": {"sentence": "Stop."}}).status == 422
    assert desk.post(f"/api/tasks/{task}/judgement", {**revision, "judgement": {"verdict": "accept"}}).status == 422


def test_the_future_comes_only_after_phase_one_and_of_the_next_label_not_at_all(server, store, desk):
    ann = desk(server, "ann")
    tasks = server.tasks_of("ann")
    for later in tasks:
        for path in ("scene.json", "history.mp4", "window.mp4", "frames/0.jpg"):
            assert ann.get(f"/tasks/{later}/{path}") == 403, "before it is opened nothing is shown"
    ann.goto(f"/tasks/{tasks[0]}")
    assert ann.phase == "waiting"
    assert store.label(tasks[0]).components[0].description not in ann.page.content()
    judged, since = [], len(ann.responses)
    ann.press_and_go("Enter")
    for _ in range(3):
        task = ann.task
        assert ann.phase == "history"
        ann.page.wait_for_load_state("networkidle")
        assert_nothing_of_the_future(ann, task, store, since)
        untouched = set(tasks) - {*judged, task}
        assert not ann.received(lambda one, others=untouched: number_in(one.url) in others)
        assert {ann.get(f"/tasks/{later}/scene.json") for later in untouched} <= {403}

        confirm_all(ann)
        ann.press_and_go("Enter")
        assert (ann.task, ann.phase) == (task, "future")
        wait_for_scene(ann.page)
        assert_all_is_there(ann, task, store)
        ann.press("a")
        since = len(ann.responses)
        ann.press_and_go("Enter")
        judged.append(task)
    assert ann.complains_of() == []


def confirm_all(desk) -> None:
    """Confirm the components of phase one by their numbers."""
    for number in range(desk.page.locator("#components > li").count()):
        desk.press(str(number + 1))


def number_in(url: str) -> int | None:
    found = re.search(r"/tasks/([0-9]+)", url)
    return int(found[1]) if found else None


def assert_all_is_there(desk, task: int, store) -> None:
    label, moment = store.label(task), store.view(task, desk.name).t_us / 1e6
    assert label.effect_on_ego_behavior in desk.page.inner_text("#told")
    scene = desk.context.request.get(f"{desk.server.url}/tasks/{task}/scene.json").json()
    assert max(times_in(scene)) == pytest.approx(moment + 6, abs=0.2)
    assert scene["spans"]
    assert {desk.get(f"/tasks/{task}/frames/{frame['number']}.jpg") for frame in scene["frames"]} == {200}
    assert desk.get(f"/tasks/{task}/window.mp4") == 200


def test_the_video_of_phase_one_holds_no_picture_of_the_future(server, store, desk):
    ann = desk(server, "ann")
    task = next(t for t in server.tasks_of("ann", phase="waiting") if store.view(t, "ann").history_open)
    store.open(task, "ann", 0)
    for path, seconds in (("history.mp4", 2.0), ("window.mp4", 8.0)):
        content = ann.context.request.get(f"{server.url}/tasks/{task}/{path}").body()
        with av.open(io.BytesIO(content)) as video:
            (stream,) = video.streams
            packets = sum(packet.size > 0 for packet in video.demux(stream))
            length = float(stream.duration * stream.time_base)
        assert packets == pytest.approx(10 * seconds + 1, abs=1)  # none is hidden behind an edit list
        assert length == pytest.approx(seconds, abs=0.15)
        if path == "history.mp4":
            store.finish_history(task, "ann", 1, answer_for(store, task, "ann"))


def test_who_has_seen_the_future_in_another_window_skips_phase_one(server, store, desk):
    ann = desk(server, "ann")
    ours = {store.view(task, "ann").t_us: task for task in server.tasks_of("ann", clip_id="drive_5")}
    first, second, third = (ours[t_us] for t_us in (3_000_000, 4_500_000, 6_000_000))
    if not store.view(first, "ann").state.future_unlocked:
        review(store, first, "ann")
    ann.goto(f"/tasks/{second}")
    assert "straight to phase 2" in ann.page.inner_text("h1")
    assert ann.post(f"/api/tasks/{second}/history", {"revision": 0, "answer": {}}).status == 422
    assert ann.get(f"/tasks/{second}/scene.json") == 403, "it has not been opened yet"
    ann.press_and_go("Enter")
    assert (ann.task, ann.phase) == (second, "future")
    assert store.view(second, "ann").state.history is None
    assert "straight to phase 2" in ann.context.request.get(f"{server.url}/tasks/{third}").text()


def test_ranges_of_the_video_are_answered_in_part(server, store, desk):
    ann = desk(server, "ann")
    task = next(t for t in server.tasks_of("ann") if store.view(t, "ann").state.future_unlocked)
    address = f"{server.url}/tasks/{task}/window.mp4"
    whole = ann.context.request.get(address)
    part = ann.context.request.get(address, headers={"Range": "bytes=10-29"})
    assert (part.status, part.body()) == (206, whole.body()[10:30])
    assert part.headers["content-range"] == f"bytes 10-29/{len(whole.body())}"
    beyond = ann.context.request.get(address, headers={"Range": f"bytes={len(whole.body())}-"})
    assert beyond.status == 416
