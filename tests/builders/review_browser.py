"""``coc review`` as people use it: the real process, and a browser for each of them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from playwright.sync_api import APIResponse, Browser, BrowserContext, ConsoleMessage, Page, Playwright, Response

from coc_labeling.review.batches.queue import Filters, page
from coc_labeling.review.store import ReviewStore
from coc_labeling.review.web.access import SECRET, Access

KNOWN_SECRET = "a-secret-of-the-tests-that-outlives-a-restart"
STARTS_WITHIN_SEC = 30.0
NAMES = ("chromium", "chromium-browser", "google-chrome")  # also looked for by browser/install.sh
_PHASES = ("phase-history", "phase-future", "phase-done", "waiting")
_LINK = re.compile(r"http://[^\s/]+:([0-9]+)/\?token=[A-Za-z0-9_-]+")


def launched(playwright: Playwright) -> Browser | None:
    """Return the Chromium of this machine, or else Playwright's own; None where there is neither."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None and not Path(playwright.chromium.executable_path).exists():
        return None
    options = ["--no-sandbox", "--disable-dev-shm-usage"]  # as in containers
    return playwright.chromium.launch(executable_path=found, args=options)


class ReviewServer:
    """A running ``coc review``; leaving its context ends it."""

    def __init__(self, run: Path, *options: object, port: int = 0) -> None:
        self.run, self.options, self.port = run, [str(option) for option in options], port
        self.output: list[str] = []
        self._linked = threading.Event()
        self.process = self._started()

    def _started(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", "from coc_toolkit.cli import main; main()", "review", str(self.run)]
        process = subprocess.Popen(
            [*command, "--port", str(self.port), *self.options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ
            | {SECRET: KNOWN_SECRET, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
            | {"XDG_CACHE_HOME": str(self.run.absolute().parent / "cache")},  # videos that it encodes
        )
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        if not self._linked.wait(STARTS_WITHIN_SEC) or not self.links:
            process.kill()
            raise AssertionError(f"no link was printed by coc review:\n{self.said}")
        return process

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.output.append(line)
            if found := _LINK.search(line):
                self.port = int(found[1])
                self._linked.set()
        self._linked.set()

    @property
    def said(self) -> str:
        """All that was printed."""
        return "".join(self.output)

    @property
    def links(self) -> list[str]:
        """The links that were printed, in order."""
        return [found[0] for line in self.output for found in _LINK.finditer(line)]

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def access(self) -> Access:
        """What knows tokens and sessions as the server does."""
        return Access.of_run(str(self.run), {SECRET: KNOWN_SECRET})

    def token(self, person: str) -> str:
        """Return what signs somebody in."""
        return self.access.token(person)

    def kill(self) -> None:
        """End it by SIGKILL, in the middle of whatever it does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()

    def store(self) -> ReviewStore:
        """Open what it has stored."""
        return ReviewStore.of_run(str(self.run))

    def tasks_of(self, person: str, **wanted: Any) -> list[int]:
        """Return the numbers of somebody's tasks, in order; those that have some properties where they are given."""
        store = self.store()
        found = page(store, Filters(reviewer=person), limit=500).tasks
        store.close()
        return [task.task for task in found if all(getattr(task, name) == value for name, value in wanted.items())]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@dataclass
class Desk:
    """Somebody's browser, and all that reached it.

    Attributes:
        responses: all answers, in order.
        complaints: errors and warnings of the console, violations of the policy among them, and errors of scripts.
    """

    name: str
    server: ReviewServer
    context: BrowserContext
    page: Page
    responses: list[Response] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, browser: Browser, server: ReviewServer, name: str, **options: Any) -> Self:
        """Open a browser of their own; nobody is signed in."""
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        context.set_default_timeout(10_000)
        desk = cls(name, server, context, context.new_page())
        desk.watch(desk.page)
        return desk

    def watch(self, page: Page) -> Page:
        """Remember what a page gets and complains about."""
        page.on("response", lambda response: self.responses.append(response))
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        return page

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def sign_in(self) -> Self:
        """Sign in by their link."""
        self.page.goto(f"{self.server.url}/?token={self.server.token(self.name)}")
        return self

    def complains_of(self, *, expected: tuple[int, ...] = ()) -> list[str]:
        """Return the complaints but those of answers with a status that was to be expected."""
        statuses = tuple(f"the server responded with a status of {status} " for status in expected)
        return [one for one in self.complaints if not any(status in one for status in statuses)]

    def goto(self, path: str) -> Response:
        """Open a page of the server."""
        response = self.page.goto(f"{self.server.url}{path}")
        assert response is not None
        return response

    def tab(self) -> Page:
        """Open a second tab."""
        return self.watch(self.context.new_page())

    def press(self, *keys: str) -> None:
        """Press keys, one after another."""
        for key in keys:
            self.page.keyboard.press(key)

    def press_and_go(self, key: str) -> None:
        """Press a key that leads to another page, and wait until that is there."""
        with self.page.expect_navigation():
            self.page.keyboard.press(key)

    @property
    def task(self) -> int:
        """The number of the task that is shown."""
        return int(self.page.url.rpartition("/tasks/")[2])

    @property
    def phase(self) -> str:
        """The phase of the task that is shown."""
        classes = self.page.locator("#task").get_attribute("class") or ""
        return next(name.removeprefix("phase-") for name in [*classes.split(), "waiting"] if name in _PHASES)

    def get(self, path: str) -> int:
        """Return the status of a request made beside the pages, with the session's cookie."""
        return self.context.request.get(f"{self.server.url}{path}", max_redirects=0).status

    def received(self, wanted: Callable[[Response], bool]) -> list[tuple[str, int]]:
        """Return path and status of the answers that fit."""
        base = len(self.server.url)
        return [(answer.url[base:], answer.status) for answer in self.responses if wanted(answer)]

    def post(self, path: str, data: object = None, *, csrf: str | None = None, **headers: str) -> APIResponse:
        """Send JSON beside the pages, with the session's cookie and proof by default; empty headers are not sent."""
        given = {"X-CSRF-Token": self.csrf if csrf is None else csrf} | headers
        return self.context.request.post(
            f"{self.server.url}{path}", data=data, headers={k: v for k, v in given.items() if v}, max_redirects=0
        )

    @property
    def csrf(self) -> str:
        """The proof that belongs to the session."""
        access = self.server.access
        return access.csrf(self.cookies()[access.cookie])

    def cookies(self) -> dict[str, str]:
        """Return the cookies by name."""
        return {cookie["name"]: cookie["value"] for cookie in self.context.cookies()}


def json_of(response: Response) -> dict[str, Any]:
    """Return the JSON that an answer held."""
    content: dict[str, Any] = json.loads(response.body())
    return content


def wait_for_scene(page: Page) -> None:
    """Wait until a label's page shows all that moves."""
    page.locator("#chart line").first.wait_for(state="attached")
    page.locator("#strip img").first.wait_for()


def everything_said(page: Page) -> str:
    """Return all texts of a page, hidden ones and what stands in fields among them."""
    said: str = page.evaluate(
        """() => [document.body.textContent, ...[...document.querySelectorAll("input, textarea, select")]
          .map((field) => field.value)].join("\\n")"""
    )
    return said


def unreadable_texts(page: Page, least: float = 4.5) -> list[dict[str, Any]]:
    """Return the texts on a page whose contrast to what is behind them is less than WCAG's level AA asks for."""
    found: list[dict[str, Any]] = page.evaluate(_CONTRAST, least)
    return found


def nameless(page: Page) -> list[str]:
    """Return what can be worked with but has no name, by the browser's own accessibility tree."""
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")
    roles = {
        "textbox",
        "searchbox",
        "combobox",
        "listbox",
        "button",
        "checkbox",
        "radio",
        "slider",
        "spinbutton",
        "link",
    }
    found = []
    for node in tree["nodes"]:
        role = node.get("role", {}).get("value")
        if not node.get("ignored") and role in roles and not str(node.get("name", {}).get("value", "")).strip():
            found.append(f"{role} {node.get('properties')}")
    return found


def focus_walk(page: Page, most: int = 200) -> list[dict[str, Any]]:
    """Press Tab until the focus comes round; return what had it: tag, text, and whether one sees that."""
    found: list[dict[str, Any]] = []
    for _ in range(most):
        page.keyboard.press("Tab")
        now = page.evaluate(_FOCUSED)
        if now is not None and now["again"]:
            break
        found += [now] if now is not None else []
    return found


_FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const seenBefore = one.hasAttribute("data-walked");
  one.setAttribute("data-walked", "1");
  const style = getComputedStyle(one);
  const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  const text = (one.getAttribute("aria-label") || one.textContent || one.value || one.name || "").trim().slice(0, 60);
  const visible = outlined || style.boxShadow !== "none";
  return {tag: one.tagName.toLowerCase(), id: one.id, text, again: seenBefore, visible};
}"""

_CONTRAST = """(least) => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = (text) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = "#000";
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const behind = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) {
      const colour = rgba(getComputedStyle(one).backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const luminance = (colour) => {
    const [x, y, z] = colour.slice(0, 3).map((v) => linear(v / 255));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement, text = node.textContent.trim();
    if (!text || element.closest("script, style, template, option, [disabled]") || !element.checkVisibility()) continue;
    const box = element.getBoundingClientRect();
    if (box.width <= 1 || box.height <= 1) continue;
    const style = getComputedStyle(element), size = parseFloat(style.fontSize);
    const drawn = element.namespaceURI.endsWith("svg");
    const below = behind(element);
    const colour = over(rgba(drawn ? style.fill : style.color), below);
    const [high, low] = [luminance(colour), luminance(below)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    const large = size >= 24 || (size >= 18.66 && parseInt(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : least)) found.push({text: text.slice(0, 60), ratio: Math.round(ratio * 100) / 100});
  }
  return found;
}"""
