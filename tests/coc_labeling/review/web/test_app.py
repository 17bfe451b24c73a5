import logging
import socket
import time
from http.client import HTTPConnection

import httpx2
import pytest

from builders.review_web import Served
from builders.reviews import filled
from coc_labeling.review.errors import ReviewError
from coc_labeling.review.web.guards import HEADERS

PAGES = ("/", "/overview", "/tasks/1", "/tasks/1/events")


def refuses_to_sign_in(answer):
    return answer.status_code, "set-cookie" in answer.headers


def test_a_link_signs_in_and_its_token_leaves_the_address(served):
    visitor = served.stranger()
    answer = visitor.get(f"/?phase=done&token={served.access.token('ann')}&batch=2")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?phase=done&batch=2")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/" in cookie
    assert "ann" in visitor.page("/").said


def test_any_page_takes_a_link(served):
    answer = served.stranger().get(f"/overview?token={served.access.token('dora')}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/overview")


def test_a_pasted_link_signs_in_as_well(served):
    visitor = served.stranger()
    answer = visitor.submit("/sign-in", token=f"  {served.url}/?token={served.access.token('bob')} ")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "bob" in visitor.page("/").said


@pytest.mark.parametrize("token", ["", "x", "ä" * 50, "A" * 43, "%00"])
def test_a_wrong_token_gets_the_sign_in_page(served, token):
    answer = served.stranger().get(f"/?token={token}")
    assert refuses_to_sign_in(answer) == (401, False)
    assert "This token is not right" in answer.text
    assert 'name="token"' in answer.text


def test_after_ten_wrong_tokens_one_has_to_wait(served):
    visitor = served.stranger()
    assert {visitor.submit("/sign-in", token=f"guess{n}").status_code for n in range(10)} == {401}
    assert refuses_to_sign_in(visitor.get(f"/?token={served.access.token('ann')}")) == (429, False)
    assert visitor.submit("/sign-in", token="guess").status_code == 429


def test_signing_out_ends_the_session(served):
    visitor = served.person("ann")
    answer = visitor.submit("/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert visitor.get("/").headers["location"] == "/sign-in"


def test_who_is_signed_in_needs_no_form(served):
    assert served.person("ann").get("/sign-in").headers["location"] == "/"
    assert "Sign in" in served.stranger().page("/sign-in").said


@pytest.mark.parametrize("path", PAGES)
def test_strangers_are_led_to_the_sign_in_page(served, path):
    answer = served.stranger().get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


@pytest.mark.parametrize("path", ["/tasks/1/scene.json", "/tasks/1/history.mp4", "/tasks/1/frames/0.jpg"])
def test_strangers_get_no_data(served, path):
    answer = served.stranger().get(path)
    assert (answer.status_code, "signed in" in answer.json()["error"]) == (401, True)


@pytest.mark.parametrize(
    "path", ["/tasks/1/open", "/batches/1/assign", "/sign-out", "/api/tasks/1/judgement", "/api/tasks/1/undo"]
)
def test_strangers_change_nothing(served, path):
    assert served.stranger().post(path, {}).status_code == 401
    assert served.store.history(1) == []


def test_every_answer_carries_the_headers(served):
    ann = served.person("ann")
    answers = [
        *(
            ann.get(path)
            for path in ("/", "/overview", "/tasks/1", "/nothing", "/static/x/nothing.css", "/tasks/1/next")
        ),
        served.stranger().get("/sign-in"),
        ann.get("/", Host="evil.example"),
        ann.post("/api/tasks/1/undo", {}, csrf="wrong"),
        ann.client.put("/", content=b""),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 404, 404, 303, 200, 400, 403, 405]
    for answer in answers:
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
        assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in HEADERS["Content-Security-Policy"]
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


def test_style_and_scripts_are_kept_by_browsers_as_long_as_they_are_the_same(served):
    url = served.site.assets.url("style.css")
    answer = served.stranger().get(url)
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
    older = served.stranger().get("/static/0000/style.css")
    assert (older.status_code, older.headers["cache-control"]) == (200, "no-store")
    with pytest.raises(KeyError):
        served.site.assets.url("nothing.css")


@pytest.mark.parametrize("name", ["../app.py", "..%2fapp.py", "%2e%2e/app.py", "/etc/passwd", "label/../../app.py", ""])
def test_no_path_leads_out_of_the_static_files(served, name):
    connection = HTTPConnection("127.0.0.1", served.port, timeout=20)  # it sends paths as they are
    connection.request("GET", f"/static/{served.site.assets.version}/{name}")
    answer = connection.getresponse()
    assert (answer.status, b"FastAPI" in answer.read()) == (404, False)
    connection.close()


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "", "localhost@evil.example"]
)
def test_only_known_hosts_are_answered(served, host):
    answer = served.person("ann").get("/", Host=host)
    assert (answer.status_code, "Your queue" in answer.text) == (400, False)


def test_a_proxy_has_a_name_of_its_own(tmp_path):
    with Served(filled(str(tmp_path), 3), str(tmp_path), "review.example") as served:
        ann = served.person("ann")
        cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in ann.client.cookies.items())}
        assert httpx2.get(f"{served.url}/", headers={"Host": "review.example", **cookie}).status_code == 200
        sent = {"Host": "review.example", "Origin": "https://review.example", "X-CSRF-Token": ann.csrf, **cookie}
        assert httpx2.post(f"{served.url}/tasks/1/open", headers=sent).status_code == 303


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://127.0.0.1:1",
        "http://127.0.0.1",
        "http://[",
        "file://",
        "https://localhost",
    ],
)
def test_other_origins_change_nothing(served, origin):
    ann = served.person("ann")
    answer = ann.post("/tasks/1/open", "", Origin=origin)
    assert (answer.status_code, "another site" in answer.text) == (403, True)
    assert (
        ann.client.post("/sign-in", data={"token": served.access.token("ann")}, headers={"Origin": origin}).status_code
        == 403
    )
    assert served.store.history(1) == []


def test_our_own_origin_may(served):
    assert served.person("ann").post("/tasks/1/open", "", Origin=served.url).status_code == 303


def test_without_the_proof_of_the_session_nothing_changes(served):
    ann, again = served.person("ann"), served.access.csrf("another session")
    for csrf in ("", "wrong", "ä", again, served.person("bob").csrf):
        assert ann.submit("/tasks/1/open", csrf=csrf).status_code == 403
    assert ann.post("/tasks/1/open", "", csrf="").status_code == 403
    assert served.store.history(1) == []
    assert ann.submit("/tasks/1/open").status_code == 303


def test_a_form_that_cannot_be_read_changes_nothing(served):
    ann = served.person("ann")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for content in (b"\xff\xfe=1", "&".join(f"a{n}=1" for n in range(200)).encode()):
        assert ann.client.post("/sign-in", content=content, headers=form).status_code == 422
        assert ann.client.post("/tasks/1/open", content=content, headers=form).status_code == 422
    multipart = ann.client.post("/tasks/1/open", files={"csrf": ann.csrf.encode()})
    assert multipart.status_code == 403


def test_too_much_at_once_is_refused(served):
    ann = served.person("ann")
    much = b"x" * (256 * 1024 + 1)
    answer = ann.post("/api/tasks/1/judgement", much.decode())
    assert (answer.status_code, "256 kB" in answer.json()["error"]) == (413, True)
    headers = {"X-CSRF-Token": ann.csrf}
    chunked = ann.client.post("/api/tasks/1/judgement", content=iter([much[:200_000], much[200_000:]]), headers=headers)
    assert (chunked.status_code, "256 kB" in chunked.json()["error"]) == (413, True)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert ann.client.post("/sign-in", content=iter([much]), headers=form).status_code == 413


@pytest.mark.parametrize(
    "path", ["/nothing", "/tasks/abc", "/tasks/1e3/events", f"/tasks/{10**30}/events", "/tasks/-1/next"]
)
def test_pages_that_are_not_there(served, path):
    answer = served.person("ann").get(path)
    assert answer.status_code == 404
    assert "<h1>Not found</h1>" in answer.text


def test_an_unexpected_error_is_logged_and_not_told(served, monkeypatch, caplog):
    def broken(task, reviewer):
        raise RuntimeError("inside: /home/somebody")

    ann = served.person("ann")
    monkeypatch.setattr(served.store, "view", broken)
    monkeypatch.setattr(served.store, "undo", lambda *arguments: broken(*arguments[:2]))
    with caplog.at_level(logging.ERROR):
        page, data = ann.get("/tasks/1"), ann.post("/api/tasks/1/undo", {"revision": 1})
    assert (page.status_code, data.status_code) == (500, 500)
    assert page.headers["content-type"].startswith("text/plain")
    assert page.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]
    assert "somebody" not in page.text + data.text
    assert "Traceback" not in page.text + data.text
    assert "Something went wrong" in data.json()["error"]
    assert "somebody" in caplog.text


def test_who_leaves_in_the_middle_of_a_request_fills_no_log(served, caplog):
    ann = served.person("ann")
    head = (
        f"POST /api/tasks/1/judgement HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nX-CSRF-Token: {ann.csrf}\r\n"
        f"Cookie: {served.access.cookie}={ann.client.cookies.get(served.access.cookie)}\r\nContent-Length: 9\r\n\r\n"
    )
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", served.port)) as connection:
            connection.sendall(head.encode() + b"{")
            time.sleep(0.05)
    assert ann.get("/").status_code == 200
    assert caplog.text == ""


def test_a_full_disk_is_said_without_paths(served, monkeypatch, caplog):
    def full(*_arguments):
        raise ReviewError("/home/somebody/reviews.sqlite: cannot be written")

    ann = served.person("ann")
    monkeypatch.setattr(served.store, "undo", full)
    answer = ann.post("/api/tasks/1/undo", {"revision": 1})
    assert (answer.status_code, "somebody" in answer.text) == (500, False)
    assert "Nothing of this step is stored" in answer.json()["error"]
    assert "somebody" in caplog.text


def test_tokens_are_never_logged(served, monkeypatch, caplog, capfd):
    ann = served.person("ann")
    monkeypatch.setattr(served.site.assets.__class__, "url", lambda *_: 1 / 0)
    with caplog.at_level(logging.DEBUG, "uvicorn"):
        assert served.stranger().get("/?token=wrongwrongwrong").status_code == 500
        ann.get(f"/?token={served.access.token('ann')}")
    told = capfd.readouterr()
    logged = caplog.text + told.out + told.err
    assert "ZeroDivisionError" in logged
    assert served.access.token("ann") not in logged
    assert "wrongwrongwrong" not in logged


def test_somebody_who_is_no_longer_known_is_a_stranger(served, monkeypatch):
    ann = served.person("ann")
    monkeypatch.setattr(served.store, "people", lambda *_: {})
    assert ann.get("/").headers["location"] == "/sign-in"
    assert ann.post("/tasks/1/open", "").status_code == 401
