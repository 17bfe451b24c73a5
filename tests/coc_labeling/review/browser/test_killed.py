"""A server that is killed loses nothing that it has acknowledged."""

import time

from builders.review_browser import ReviewServer
from builders.reviews import unlock

# Judges several tasks at once, over and over, and keeps what was acknowledged.
BURST = """([tasks, csrf]) => {
  window.acknowledged = [];
  window.refused = [];
  const one = async ([task, revision]) => {
    for (;;) {
      const note = `${task}/${revision}`;
      const answer = await fetch(`/api/tasks/${task}/judgement`, {
        method: "POST",
        headers: {"Content-Type": "application/json", "X-CSRF-Token": csrf},
        body: JSON.stringify({revision, judgement: {verdict: "unsure", note}}),
      }).catch(() => null);
      if (!answer) return;
      if (!answer.ok) { window.refused.push(await answer.text()); return; }
      window.acknowledged.push([task, note]);
      revision = (await answer.json()).revision;
    }
  };
  tasks.map(one);
}"""


def test_no_acknowledged_judgement_is_lost_when_the_server_is_killed(serve, desk):
    server = serve("ann")
    store = server.store()
    tasks = [[task, unlock(store, task, "ann")] for task in server.tasks_of("ann")]
    store.close()
    ann = desk(server, "ann")
    ann.goto("/")
    ann.page.evaluate(BURST, [tasks, ann.csrf])
    wait_for(ann.page, 40)
    server.kill()
    ann.page.wait_for_timeout(200)
    assert ann.page.evaluate("window.refused") == []
    tasks = check(server, ann.page.evaluate("window.acknowledged"))
    with ReviewServer(server.run, port=server.port):  # people go on where they were, still signed in
        task, revision = tasks[0]
        assert ann.post(f"/api/tasks/{task}/judgement", {"revision": revision, "judgement": {"verdict": "accept"}}).ok
        ann.goto(f"/tasks/{task}")
        assert ann.phase == "done"


def wait_for(page, count):
    """Wait until that many judgements have been acknowledged."""
    for _ in range(500):
        if page.evaluate("window.acknowledged.length") >= count:
            return
        time.sleep(0.02)
    raise AssertionError(page.evaluate("[window.acknowledged.length, window.refused]"))


def check(server, acknowledged):
    """Assert that all that was acknowledged is stored once; return the tasks with their revisions."""
    store = server.store()
    stored = []
    tasks = []
    for task in server.tasks_of("ann"):
        events = store.history(task)
        tasks.append([task, len(events)])
        assert [event.revision for event in events] == list(range(1, len(events) + 1))
        assert store.view(task, "ann").state.revision == len(events)
        stored += [(task, event.step.judgement.note) for event in events if hasattr(event.step, "judgement")]
    store.close()
    assert len(set(stored)) == len(stored)
    assert {tuple(one) for one in acknowledged} <= set(stored)
    assert len(acknowledged) >= 40
    return tasks
