"""What other sites, other people and labels themselves may try."""

import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from builders.review_browser import everything_said, wait_for_scene
from builders.review_runs import rewrite
from builders.reviews import unlock
from coc_labeling.review.judgements import Judgement
from coc_labeling.schema import Category, CoCLabel, Component, Longitudinal

ACCEPT = {"verdict": "accept"}
EVIL = """<script>document.title="taken"</script><img src=x onerror='document.title="taken"'>{{7*7}} </textarea>"""
HOSTILE = CoCLabel(
    longitudinal=Longitudinal(decision="yield", cause_ids=("c1",)),
    components=(Component(id="c1", category=Category.ROAD_EVENT, description=f"roadworks {EVIL}"),),
    effect_on_ego_behavior=f"Yield to the roadworks {EVIL}",
)


@pytest.fixture(scope="module")
def server(serve):
    return serve("ann bob", prepare=lambda run: rewrite(run, "drive_0", 30, HOSTILE))


@pytest.fixture
def before(server):
    """Return phase and revision of all tasks; asked again at the end, they have to be the same."""

    def now() -> list[tuple]:
        store = server.store()
        found = [tuple(row) for row in store.database.rows("SELECT id, phase, revision FROM tasks ORDER BY id")]
        store.close()
        return found

    found = now()
    yield found
    assert now() == found


@pytest.fixture
def elsewhere(tmp_path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address of another site that serves it."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        yield tmp_path, f"http://127.0.0.1:{site.server_address[1]}"
        site.shutdown()


def first_of(server, name):
    return server.tasks_of(name)[0]


@pytest.mark.usefixtures("before")
def test_what_is_sent_without_the_session_s_proof_changes_nothing(server, desk):
    ann = desk(server, "ann")
    task = first_of(server, "ann")
    path = f"/api/tasks/{task}/judgement"
    content = {"revision": 0, "judgement": ACCEPT}
    answers = [
        ann.post(path, content, csrf=""),
        ann.post(path, content, csrf="no such proof"),
        ann.post(path, content, csrf=server.access.csrf(server.access.session("bob"))),
        ann.post(path, content, Origin="http://elsewhere.example"),
        ann.post(path, content, Origin="null"),
        ann.post(f"/tasks/{task}/open", csrf=""),
        ann.post("/batches/1/assign", csrf=""),
        ann.post("/sign-out", csrf=""),
    ]
    assert [answer.status for answer in answers] == [403] * len(answers)
    assert ann.get("/") == 200


@pytest.mark.usefixtures("before")
def test_tasks_of_somebody_else_and_of_nobody_are_out_of_reach(server, desk):
    ann, other = desk(server, "ann"), first_of(server, "bob")
    for task in (other, 10_000):
        paths = ("", "/scene.json", "/history.mp4", "/window.mp4", "/frames/0.jpg", "/events")
        assert {ann.get(f"/tasks/{task}{path}") for path in paths} <= {403, 404}
        for step, content in (
            ("history", {"revision": 0, "answer": {}}),
            ("judgement", {"revision": 0, "judgement": ACCEPT}),
            ("undo", {"revision": 0}),
            ("mismatches", {"edit": {"sentence": "Stop."}}),
        ):
            assert ann.post(f"/api/tasks/{task}/{step}", content).status == 404, step
        assert ann.post(f"/tasks/{task}/open").status == 404
    assert ann.goto(f"/tasks/{other}").status == 404
    assert "no task of" in ann.page.inner_text("main")


@pytest.mark.usefixtures("before")
def test_nobody_who_has_not_signed_in_sees_or_changes_anything(server, desk):
    nobody, task = desk(server, "nobody", sign_in=False), first_of(server, "ann")
    for path in ("/", f"/tasks/{task}", "/overview"):
        nobody.goto(path)
        assert nobody.page.url.endswith("/sign-in"), path
    assert nobody.get(f"/tasks/{task}/scene.json") == 401
    assert nobody.get(f"/tasks/{task}/frames/0.jpg") == 401
    assert nobody.post(f"/api/tasks/{task}/undo", {"revision": 0}, csrf="x").status == 401


@pytest.mark.usefixtures("before")
def test_a_page_of_another_site_can_neither_send_nor_read(server, desk, elsewhere):
    folder, address = elsewhere
    ann, task = desk(server, "ann"), first_of(server, "ann")
    (folder / "form.html").write_text(
        f'<form method="post" action="{server.url}/tasks/{task}/open"><button>win</button></form>'
        f'<iframe src="{server.url}/"></iframe>'
    )
    ann.page.goto(f"{address}/form.html")
    assert ann.page.frames[1].locator("main").count() == 0  # it is not shown within others
    with ann.page.expect_navigation():
        ann.page.click("text=win")
    assert ann.page.url == f"{server.url}/tasks/{task}/open"
    assert "another site" in ann.page.inner_text("main")

    ann.page.goto(f"{address}/form.html")
    read = ann.page.evaluate(
        """async ([url, task]) => {
          const answers = [];
          const ask = (path, options) => fetch(url + path, {credentials: "include", ...options})
            .then((answer) => answer.text(), () => "refused");
          for (const path of ["/", `/tasks/${task}/scene.json`]) {
            answers.push(await ask(path), await ask(path, {mode: "no-cors"}));
          }
          for (const type of ["application/json", "text/plain"]) {
            const sent = {method: "POST", body: JSON.stringify({revision: 0}), headers: {"Content-Type": type}};
            answers.push(await ask(`/api/tasks/${task}/undo`, sent));
          }
          return answers;
        }""",
        [server.url, task],
    )
    assert set(read) <= {"refused", ""}


@pytest.mark.usefixtures("before")
def test_other_names_of_the_host_are_refused(server, desk):
    ann = desk(server, "ann")
    assert ann.context.request.get(server.url, headers={"Host": "elsewhere.example"}).status == 400


def test_labels_are_shown_as_text(server, desk):
    name, task = next(
        (name, task) for name in ("ann", "bob") for task in server.tasks_of(name, clip_id="drive_0", t_us=3_000_000)
    )
    one = desk(server, name)
    store = server.store()
    store.open(task, name, 0)
    one.goto(f"/tasks/{task}")
    wait_for_scene(one.page)
    assert EVIL in everything_said(one.page)
    revision = unlock(store, task, name)
    one.goto(f"/tasks/{task}")
    wait_for_scene(one.page)
    one.press("e")
    assert EVIL in everything_said(one.page)
    store.judge(task, name, revision, Judgement(verdict="reject", reason="other", note=EVIL))
    store.close()
    for path in ("/", f"/tasks/{task}", f"/tasks/{task}/events"):
        one.goto(path)
        assert EVIL.split("{{")[0] in everything_said(one.page), path
        assert one.page.title() != "taken"
        assert one.page.locator("img[src=x]").count() == 0
    assert one.complains_of() == []
