"""Whole batches, by the keyboard alone."""

from collections import Counter
from dataclasses import replace

import pytest

from builders.review_browser import Desk
from builders.reviews import PLAIN
from coc_labeling.review.judgements import Answer, QaItem, Reason, Verdict
from coc_labeling.review.phases import Phase

# What is pressed to judge, and what is stored of it.
WAYS = (
    ("a", (Verdict.ACCEPT, None, "", {})),
    ("u", (Verdict.UNSURE, None, "", {})),
    ("r 3", (Verdict.REJECT, Reason.LANE_CHANGE_MISSED, "", {})),
    ("1 6 6 u", (Verdict.UNSURE, None, "", {QaItem.CAUSAL_COVERAGE: Answer.YES, QaItem.FACTS_ONLY: Answer.NO})),
)


@pytest.fixture(scope="module")
def server(serve):
    return serve("ann bob", replace(PLAIN, batch_size=7))


def test_two_reviewers_finish_their_batches_at_once_by_the_keyboard(server, desk):
    desks = [desk(server, name) for name in ("ann", "bob")]
    said: dict[int, tuple] = {}
    for one in desks:
        one.press_and_go("c")
    while working := [one for one in desks if "/tasks/" in one.page.url]:
        for one in working:  # a step of the one, then a step of the other
            take_a_step(one, said)
    store = server.store()
    for one in desks:
        assert "All is judged" in one.page.inner_text("main")
        for task in server.tasks_of(one.name):
            view = store.view(task, one.name)
            judgement = view.state.judgement
            assert view.state.phase is Phase.DONE
            found = judgement.verdict, judgement.reason, judgement.note, judgement.checklist
            assert found == said.pop(task)
            assert {event.actor for event in store.history(task)} == {one.name}
        assert one.complains_of() == []
    assert said == {}
    skipped = Counter(view.state.history is None for view in views(server, store))
    assert skipped[False] >= 10
    store.close()


def views(server, store):
    return [store.view(task, name) for name in ("ann", "bob") for task in server.tasks_of(name)]


def take_a_step(desk: Desk, said: dict[int, tuple]) -> None:
    """Finish the phase that is shown; keep in ``said`` what the store has to hold of it."""
    if desk.phase == "history":
        for number in range(desk.page.locator("#components > li").count()):
            desk.press(str(number + 1))
    else:
        keys, content = WAYS[len(said) % len(WAYS)]
        desk.press(*keys.split())
        said[desk.task] = content
    desk.press_and_go("Enter")
