"""Video, chart, scene and frames of the label page show one time, and each of them moves the others."""

import pytest

from builders.review_browser import wait_for_scene
from builders.reviews import unlock

pytestmark = pytest.mark.usefixtures("plays_video")
FRAME_SEC = 0.1


@pytest.fixture(scope="module")
def server(serve):
    return serve("ann")


@pytest.fixture
def shown(server, desk):
    """Return what opens the page of a moment whose future is unlocked, its video at the keyframe."""

    def opened(clip_id="drive_1", t_us=3_000_000):
        (task,) = server.tasks_of("ann", clip_id=clip_id, t_us=t_us)
        store = server.store()
        unlock(store, task, "ann")
        store.close()
        ann = desk(server, "ann")
        ann.goto(f"/tasks/{task}")
        wait_for_scene(ann.page)
        settled(ann.page, 2.0)
        return ann

    return opened


def settled(page, t: float) -> None:
    """Wait until the video stands at a time from its start on, with a picture."""
    state = None
    for _ in range(100):
        state = page.evaluate("(({currentTime, readyState, seeking}) => [currentTime, readyState, seeking])(video)")
        if abs(state[0] - t) <= FRAME_SEC / 2 and state[1] >= 2 and not state[2]:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"expected the video at {t} s, found currentTime, readyState, seeking = {state}")


def cursor_of(page) -> float:
    """Return where the chart's cursor is, in px."""
    return float(page.locator("#chart line").last.get_attribute("x1"))


def at_time(page, t: float) -> float:
    """Return where a time from the window's start on is in the chart, by the grid's lines, in px."""
    marks = page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll("#chart text[text-anchor=middle]")]
          .map((text) => [text.textContent, Number(text.getAttribute("x"))]))"""
    )
    second = marks["+1 s"] - marks["keyframe"]
    return marks["keyframe"] + (t - 2.0) * second


def test_the_video_plays_from_the_keyframe_to_the_end(shown):
    page = shown().page
    assert page.locator(".at-keyframe").count() == 1
    assert page.evaluate("video.error") is None
    assert page.evaluate("video.duration") == pytest.approx(8.0, abs=0.15)
    before = cursor_of(page)
    page.keyboard.press("Space")
    page.wait_for_function("() => video.currentTime > 2.6")
    frames = page.evaluate("video.getVideoPlaybackQuality()")
    assert page.evaluate("video.getVideoPlaybackQuality().totalVideoFrames") > 3, frames
    page.keyboard.press("Space")
    page.wait_for_function("() => video.paused")
    assert cursor_of(page) > before
    assert page.locator(".at-keyframe").count() == 0
    page.keyboard.press("Home")
    settled(page, 2.0)
    assert cursor_of(page) == pytest.approx(before, abs=0.5)


def test_a_click_on_a_curve_seeks_the_video(shown):
    page = shown().page
    chart = page.locator("#chart svg").bounding_box()
    for t in (5.0, 1.0, 7.5):
        page.mouse.click(chart["x"] + at_time(page, t), chart["y"] + chart["height"] / 3)
        settled(page, t)
        assert cursor_of(page) == pytest.approx(at_time(page, t), abs=2)


def test_the_bar_the_keys_and_the_frames_move_the_cursor_and_the_video(shown):
    page = shown().page
    page.get_by_role("slider", name="Time").fill("6.5")  # on the clip clock; the window starts at 1 s
    settled(page, 5.5)
    assert cursor_of(page) == pytest.approx(at_time(page, 5.5), abs=2)
    page.get_by_role("slider", name="Time").blur()
    page.keyboard.press("ArrowRight")
    settled(page, 5.6)
    page.keyboard.press("Shift+ArrowLeft")
    settled(page, 5.1)
    page.get_by_role("button", name="Frame of the keyframe").click()
    settled(page, 2.0)
    page.get_by_role("button", name="Frame at +3.0 s").click()
    settled(page, 5.0)
    assert cursor_of(page) == pytest.approx(at_time(page, 5.0), abs=2)


def test_the_picture_of_the_video_is_that_of_its_time(shown):
    """The frames of the strip and the video come by different ways; what they show at a time is the same."""
    page = shown().page
    page.get_by_role("button", name="Frame at +3.0 s").click()
    settled(page, 5.0)
    differences = page.evaluate(
        """async () => {
          const grey = (source) => {
            const canvas = document.createElement("canvas");
            Object.assign(canvas, {width: 80, height: 48});
            const context = canvas.getContext("2d");
            context.drawImage(source, 0, 0, 80, 48);
            const {data} = context.getImageData(0, 0, 80, 48);
            return Array.from({length: 80 * 48}, (_, i) => (data[4 * i] + data[4 * i + 1] + data[4 * i + 2]) / 3);
          };
          const now = grey(video);
          const images = [...document.querySelectorAll("#strip img")];
          await Promise.all(images.map((image) => image.decode()));
          const away = (other) => other.reduce((sum, value, i) => sum + Math.abs(value - now[i]), 0) / now.length;
          return images.map((image) => away(grey(image)));
        }"""
    )
    assert differences.index(min(differences)) == 10  # 0.5 s apart, from 2 s before the keyframe on
    assert min(differences) < 3


def test_without_a_video_time_passes_nonetheless(server, desk):
    store = server.store()
    (task,) = server.tasks_of("ann", clip_id="drive_2", t_us=3_000_000)
    unlock(store, task, "ann")
    store.close()
    ann = desk(server, "ann")
    ann.page.route("**/*.mp4", lambda route: route.abort())
    ann.goto(f"/tasks/{task}")
    wait_for_scene(ann.page)
    ann.page.locator("#no-video").wait_for()
    ann.press("Shift+ArrowLeft")
    before = cursor_of(ann.page)
    ann.press("Space")
    ann.page.wait_for_timeout(300)
    assert cursor_of(ann.page) > before
