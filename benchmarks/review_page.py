"""The label page of ``coc review``: how long a reviewer waits from a key until the next label is there.

``python -m benchmarks.review_page`` prints it. Needs Chromium (``make browser``).
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measuring import FULL, Row, Scale, spread, table

if TYPE_CHECKING:
    from builders.review_browser import Desk

TESTS = Path(__file__).resolve().parent.parent / "tests"
LABELS_A_CLIP = 2
SETTLES_MS = 700  # a reviewer looks at a label for longer; the server makes the next one's material meanwhile

# Notes when the key was pressed, and on the page that follows when the frame with each part of it was painted.
WATCH = """
addEventListener("keydown", (event) => {
  if (event.key === "Enter") sessionStorage.setItem("pressed", performance.timeOrigin + event.timeStamp);
}, true);
const parts = {
  form: () => document.querySelector("#history, #verdict")?.offsetHeight > 0,
  scene: () => document.querySelector("#chart line") && document.querySelector("#strip img"),
  picture: () => document.querySelector("#video")?.readyState >= 2,
};
const pressed = Number(sessionStorage.getItem("pressed"));
window.waited = {};
const look = () => {
  for (const [name, isThere] of Object.entries(parts)) {
    if (name in window.waited || !isThere()) continue;
    window.waited[name] = null;
    requestAnimationFrame(() => { window.waited[name] = performance.timeOrigin + performance.now() - pressed; });
  }
  if (Object.keys(window.waited).length < 3) requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
ALL_THERE = "() => ['form', 'scene', 'picture'].every((name) => window.waited[name])"


def measure(scale: Scale, folder: Path) -> list[Row]:
    """Review a batch by the keyboard and return how long each next page took."""
    sys.path.insert(0, str(TESTS))
    from playwright.sync_api import sync_playwright

    from builders.review_browser import Desk, ReviewServer, launched
    from builders.review_runs import copy_of, fill_queue, review_run
    from builders.reviews import PLAIN

    clips = scale.checked_clips // 15 + 6
    run = copy_of(review_run(folder, clips), folder)
    fill_queue(run, "ann", replace(PLAIN, batch_size=clips * LABELS_A_CLIP + 2))
    with sync_playwright() as playwright, ReviewServer(run) as server:
        browser = launched(playwright)
        if browser is None:
            return [Row("next label", "< 150 ms", "not measured: run `make browser`", "")]
        waits = _through_the_batch(Desk.of(browser, server, "ann").sign_in())
        browser.close()
    how = f"Chromium, {clips} clips of 320 x 192, the server on the same machine"
    return [
        Row(
            f"{what}, {part}",
            "< 150 ms" if part != "picture" else "-",
            spread(found, "ms"),
            f"{len(found)} pages, {how}",
        )
        for (what, part), found in waits.items()
    ]


def _through_the_batch(desk: "Desk") -> dict[tuple[str, str], list[float]]:
    """Confirm all components, then accept; return ms by what was led to and which part of it was there."""
    waits: dict[tuple[str, str], list[float]] = {}
    desk.page.add_init_script(WATCH)
    desk.press_and_go("c")
    while True:
        desk.page.wait_for_function(ALL_THERE)
        desk.page.wait_for_timeout(SETTLES_MS)
        if desk.phase == "history":
            what = "from phase one to phase two"
            desk.press(*(str(number + 1) for number in range(desk.page.locator("#components > li").count())))
        else:
            what = "from a judgement to the next label"
            desk.press("a")
        desk.press_and_go("Enter")
        if "/tasks/" not in desk.page.url:
            return waits
        desk.page.wait_for_function(ALL_THERE)
        for part, waited in desk.page.evaluate("window.waited").items():
            waits.setdefault((what, part), []).append(waited)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="coc-benchmark-") as work:
        print(table(measure(FULL, Path(work) / "review_page")))
