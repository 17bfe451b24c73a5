"""Basics of accessibility on every page: names, headings, language, contrast, focus that is seen and reaches all."""

import pytest

from builders.review_browser import Desk, focus_walk, nameless, unreadable_texts, wait_for_scene
from builders.reviews import review, unlock


@pytest.fixture(scope="module")
def server(serve):
    server = serve("ann")
    store = server.store()
    waiting, opened, unlocked, judged = (
        server.tasks_of("ann", clip_id=clip_id, t_us=3_000_000)[0]
        for clip_id in ("drive_0", "drive_1", "drive_3", "drive_4")
    )
    store.open(opened, "ann", 0)
    unlock(store, unlocked, "ann")
    review(store, judged, "ann")
    store.close()
    server.shown = {"start": waiting, "history": opened, "future": unlocked, "done": judged}
    return server


def at(desk, server, name: str) -> Desk:
    """Open a page by its name."""
    if name == "sign-in":
        ann = desk(server, "ann", sign_in=False)
        ann.goto("/sign-in")
        return ann
    ann = desk(server, "adm" if name == "all tasks" else "ann")
    task = server.shown.get(name.removesuffix(" edited"))
    paths = {"all tasks": "/", "queue": "/", "overview": "/overview", "missing": "/tasks/9999"}
    ann.goto(paths.get(name) or (f"/tasks/{server.shown['done']}/events" if name == "events" else f"/tasks/{task}"))
    if name.split()[0] in ("history", "future", "done"):
        wait_for_scene(ann.page)
    if name == "future edited":
        ann.press("r", "e")
    return ann


LABEL_PAGES = ("start", "history", "future", "future edited", "done")
PAGES = ("sign-in", "queue", "all tasks", *LABEL_PAGES, "events", "overview", "missing")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_read_and_worked_with_by_everybody(server, desk, name):
    one = at(desk, server, name)
    page = one.page
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("h1:visible").count() == 1
    assert page.locator("main").count() == 1
    assert nameless(page) == []
    assert unreadable_texts(page) == []
    walked = focus_walk(page)
    assert walked
    assert [stop for stop in walked if not stop["visible"]] == []
    assert one.complains_of(expected=(404,)) == []


def test_the_focus_reaches_all_that_judges(server, desk):
    page = at(desk, server, "future").page
    walked = [(stop["tag"], stop["id"]) for stop in focus_walk(page)]
    page.locator("[name=verdict]").first.focus()
    verdicts = []
    for _ in range(4):
        verdicts.append(page.evaluate("document.activeElement.value"))
        page.keyboard.press("ArrowRight")
    assert verdicts == ["accept", "edit", "reject", "unsure"]
    for stop in (("button", "play"), ("input", "scrub"), ("textarea", "note"), ("button", "submit")):
        assert stop in walked
    assert walked.index(("button", "play")) < walked.index(("textarea", "note")) < walked.index(("button", "submit"))


def test_the_list_of_keys_opens_and_gives_the_focus_back(server, desk):
    page = at(desk, server, "future").page
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    assert unreadable_texts(page) == []
    said = dialog.inner_text()
    assert all(words in said for words in ("accept, edit, reject, unsure", "play, pause", "undo"))
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    page.keyboard.press("a")
    assert page.get_by_role("radio", name="accept").is_checked()


@pytest.mark.parametrize("name", ["queue", "history", "future edited", "overview"])
def test_a_page_fits_a_small_window(server, desk, name):
    one = at(desk, server, name)
    one.page.set_viewport_size({"width": 1024, "height": 700})
    assert one.page.evaluate("document.documentElement.scrollWidth") <= 1024
