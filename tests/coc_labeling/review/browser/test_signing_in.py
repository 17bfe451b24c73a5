"""Signing in by link and by token, signing out, and what each role sees."""

import re

import pytest

from builders.review_browser import Desk


@pytest.fixture(scope="module")
def server(serve):
    return serve("ann bob")


def test_a_printed_link_signs_in_and_leaves_the_address(server, desk):
    (link,) = re.findall(r"ann +(http://\S+)", server.said)
    ann = desk(server, "ann", sign_in=False)
    ann.page.goto(link)
    assert ann.page.url == f"{server.url}/"
    assert "Your queue" in ann.page.inner_text("h1")
    (cookie,) = ann.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    assert "token" not in ann.page.content()
    assert ann.complains_of() == []


def test_a_typed_token_signs_in_and_a_wrong_one_says_so(server, desk):
    ann = desk(server, "ann", sign_in=False)
    ann.goto("/")
    assert ann.page.url.endswith("/sign-in")
    sign_in_by(ann, "no such token")
    assert "not right" in ann.page.get_by_role("alert").inner_text()
    sign_in_by(ann, server.token("ann"))
    assert "Your queue" in ann.page.inner_text("h1")
    assert ann.complains_of(expected=(401,)) == []


def sign_in_by(desk: Desk, token: str) -> None:
    desk.page.get_by_label("token").fill(token)
    desk.press_and_go("Enter")


def test_signing_out_ends_it(server, desk):
    ann = desk(server, "ann")
    before = ann.cookies()
    with ann.page.expect_navigation():
        ann.page.get_by_role("button", name="Sign out").click()
    assert ann.page.url.endswith("/sign-in")
    assert ann.cookies() == {} != before
    ann.goto("/overview")
    assert ann.page.url.endswith("/sign-in")


@pytest.mark.parametrize("name", ["ann", "aud"])
def test_who_is_no_admin_sees_nothing_of_admins(server, desk, name):
    one = desk(server, name)
    task = server.tasks_of("bob")[0]
    for path in ("/", "/overview"):
        one.goto(path)
        assert "bob" not in one.page.inner_text("table") if one.page.locator("table").count() and path == "/" else True
        assert one.page.locator("form[action*=assign]").count() == 0
    assert one.post("/batches/1/assign").status == 403
    assert one.get(f"/tasks/{task}") == 404
    assert (one.get(f"/tasks/{task}/events") == 200) == (name == "aud")


def test_an_admin_sees_all_tasks_and_judges_none(server, desk):
    adm, task = desk(server, "adm"), server.tasks_of("ann")[0]
    assert "All tasks" in adm.page.inner_text("h1")
    assert {"ann", "bob"} <= set(adm.page.inner_text("table").split())
    assert adm.page.locator("form[action*=assign]").count() > 0
    assert adm.get(f"/tasks/{task}/events") == 200
    assert adm.post(f"/tasks/{task}/open").status == 404
    assert adm.get(f"/tasks/{task}/scene.json") in (403, 404)
