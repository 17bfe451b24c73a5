import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from playwright.sync_api import Browser, sync_playwright

from builders.review_browser import Desk, ReviewServer, launched
from builders.review_runs import copy_of, fill_queue, review_run
from builders.reviews import PLAIN
from coc_labeling.review.batches.planning import QueueSettings

PLAYS_H264 = """document.createElement("video").canPlayType('video/mp4; codecs="avc1.42E01E"')"""


def missing(reason: str) -> NoReturn:
    """Skip a test for want of something; a failure where everything has to be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} With CI=true that is a failure.")
    pytest.skip(reason)


# Not for longer than this folder's tests: while Playwright runs, nothing else can run an event loop in this thread.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launched(playwright)
        if browser is None:
            missing("No Chromium is installed. Run: make browser.")
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def plays_video(browser: Browser) -> None:
    """Leave out what plays videos where the browser has no H.264."""
    page = browser.new_page()
    plays = page.evaluate(PLAYS_H264)
    page.close()
    if not plays:
        missing("This Chromium plays no H.264; that of Debian does.")


@pytest.fixture(scope="session")
def made_run(tmp_path_factory) -> Path:
    """A run to make copies of; tests do not write there."""
    return review_run(tmp_path_factory.mktemp("review"))


@pytest.fixture(scope="module")
def serve(made_run, tmp_path_factory) -> Iterator[Callable[..., ReviewServer]]:
    """Return what starts a server on a copy of the run, its queue filled for reviewers named in a text."""
    servers = []

    def started(reviewers: str, settings: QueueSettings = PLAIN, prepare=None) -> ReviewServer:
        run = copy_of(made_run, tmp_path_factory.mktemp("served"))
        if prepare:
            prepare(run)
        fill_queue(run, reviewers, settings)
        servers.append(ReviewServer(run))
        return servers[-1]

    yield started
    for server in servers:
        server.kill()


@pytest.fixture
def desk(browser: Browser) -> Iterator[Callable[..., Desk]]:
    """Return what opens a browser for somebody; all are closed after the test."""
    desks = []

    def opened(server: ReviewServer, name: str, *, sign_in: bool = True, **options) -> Desk:
        desks.append(Desk.of(browser, server, name, **options))
        return desks[-1].sign_in() if sign_in else desks[-1]

    yield opened
    for one in desks:
        one.context.close()
