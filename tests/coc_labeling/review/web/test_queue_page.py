from dataclasses import replace

import pytest

from builders.review_web import Served
from builders.reviews import PLAIN, filled, follows, review, unlock
from coc_labeling.review.batches.intake import LabelRow, add_labels
from coc_labeling.review.batches.queue import Filters, enlarge, next_task, page
from coc_labeling.review.store import ReviewStore, Role

HOSTILE = "Keep distance to the <script>alert(1)</script> \" onmouseover='x' {{ 'z' * 9 }} vehicle."
HIDDEN = ("Keep distance", "Turn left", "follow lead", 'class="risk', 'class="chip', "planted", "random")


def rows_of(seen):
    """Numbers of the tasks in the list."""
    return [int(link.split("/")[2]) for link in seen.links if link.startswith("/tasks/") and not link.endswith("/open")]


def test_a_queue_hides_what_is_not_to_be_known_yet(served):
    seen = served.person("ann").page("/")
    table = seen.html[seen.html.index("<tbody>") :]
    assert seen.said.count("shown after phase one") == 10
    assert not [word for word in HIDDEN if word in table]
    assert rows_of(seen) == [task.task for task in page(served.store, Filters(reviewer="ann")).tasks]


def test_it_shows_what_has_been_unlocked(served):
    task = next_task(served.store, "ann")
    unlock(served.store, task, "ann")
    seen = served.person("ann").page("/")
    assert seen.said.count("shown after phase one") == 9
    assert served.store.label(task).effect_on_ego_behavior in seen.said


def test_progress_and_the_way_on(served):
    ann = served.person("ann")
    task = next_task(served.store, "ann")
    review(served.store, task, "ann")
    seen = ann.page("/")
    assert "1 of 10 judged" in seen.said
    following = next_task(served.store, "ann")
    assert f"Continue with task {following}" in seen.said
    assert f"/tasks/{following}/open" in seen.links
    for _ in range(9):
        review(served.store, next_task(served.store, "ann"), "ann")
    assert "All is judged" in ann.page("/").said


def test_nobody_sees_the_tasks_of_others(served):
    ann = served.person("ann")
    own = {task.task for task in page(served.store, Filters(reviewer="ann")).tasks}
    for path in ("/", "/?reviewer=bob", "/?kind=first", "/?batch=1", "/?batch=2"):
        assert set(rows_of(ann.page(path))) <= own


@pytest.mark.parametrize("query", ["decision=turn", "check_status=low", "text=Turn", "decision=turn&phase=waiting"])
def test_filters_find_nothing_that_is_hidden(served, query):
    assert "No task fits" in served.person("ann").page(f"/?{query}").said


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("phase=done", 1),
        ("phase=waiting", 9),
        ("verdict=accept", 1),
        ("verdict=reject", 0),
        ("reason=other", 0),
        ("clip_id=clip00001", 1),
        ("clip_id=clip", 0),
        ("text=%25", 0),
        ("phase=&verdict=&text=", 10),
    ],
)
def test_filters_of_a_reviewer(served, query, number):
    review(served.store, 1, reviewer := page(served.store, Filters()).tasks[0].reviewer)
    visitor = served.person(reviewer)
    found = len(rows_of(visitor.page(f"/?{query}")))
    if query.startswith("clip_id=clip0"):
        found += len(rows_of(served.person("bob" if reviewer == "ann" else "ann").page(f"/?{query}")))
    assert found == number


@pytest.mark.parametrize(
    "query", ["phase=gone", "verdict=maybe", "batch=one", "batch=-1", f"batch={10**30}", "reason=x"]
)
def test_filters_that_there_are_not(served, query):
    answer = served.person("ann").get(f"/?{query}")
    assert (answer.status_code, "Choose another one" in answer.text) == (422, True)


@pytest.mark.parametrize("after", ["x", "-1", str(10**30)])
def test_pages_that_there_are_not(served, after):
    assert served.person("ann").get(f"/?after={after}").status_code == 422


def test_long_queues_come_page_by_page(tmp_path):
    with Served(filled(str(tmp_path), 130), str(tmp_path)) as served:
        ann, where, seen = served.person("ann"), "/?phase=waiting", []
        while where:
            shown = ann.page(where)
            seen += rows_of(shown)
            assert "130 tasks fit" in shown.said or "from here on" in shown.said
            where = next((link for link in shown.links if "after=" in link), None)
        assert seen == list(range(1, 131))
        assert "more than 500" not in ann.page("/").said


def test_the_admin_sees_all_and_why(served):
    seen = served.person("dora").page("/?reviewer=bob&kind=first")
    assert "10 tasks fit" in seen.said
    assert "first risk" in seen.said
    assert all(link.endswith("/events") for link in seen.links if link.startswith("/tasks/"))
    assert "Continue" not in seen.said


def test_the_admin_gives_a_batch_to_somebody_else(served):
    dora = served.person("dora")
    batch = page(served.store, Filters(reviewer="ann")).tasks[0].batch
    seen = dora.page(f"/?batch={batch}")
    assert f"/batches/{batch}/assign" in seen.links
    review(served.store, next_task(served.store, "ann"), "ann")
    answer = dora.submit(f"/batches/{batch}/assign", reviewer="bob")
    assert answer.status_code == 303
    told = dora.page(answer.headers["location"]).said
    assert f"Batch {batch}: 9 tasks given away. 1 task already begun, not given." in told
    assert len(page(served.store, Filters(reviewer="bob")).tasks) == 19
    assert "1 of 1 judged" in served.person("ann").page("/").said


@pytest.mark.parametrize("who", ["ann", "aud"])
def test_others_give_nothing_away(served, who):
    answer = served.person(who).submit("/batches/1/assign", reviewer="ann")
    assert (answer.status_code, "for the role admin" in answer.text) == (403, True)


@pytest.mark.parametrize(
    ("batch", "reviewer", "status"),
    [(1, "nobody", 422), (1, "", 422), (1, "dora", 422), (99, "ann", 422), ("x", "ann", 404)],
)
def test_what_cannot_be_given(served, batch, reviewer, status):
    assert served.person("dora").submit(f"/batches/{batch}/assign", reviewer=reviewer).status_code == status


def test_a_link_can_say_nothing_but_numbers(served):
    said = served.person("dora").page("/?batch=1&given=<b>all</b>&begun=0&known=0").said
    assert "given away" not in said


def hostile(folder):
    """Labels, a clip and a person with names and words that mean harm."""
    store = ReviewStore.of_run(folder)
    store.add_person("ann", Role.REVIEWER)
    add_labels(store, [LabelRow("<img src=x onerror=alert(1)>", 5_000_000, follows(HOSTILE), "<b>m</b>", 0.5, "high")])
    enlarge(store, PLAIN)
    unlock(store, 1, "ann")
    return store


@pytest.mark.parametrize("path", ["/", '/?text="><script>alert(2)</script>', "/tasks/1/events", "/overview"])
def test_words_of_labels_and_addresses_are_escaped(tmp_path, path):
    with Served(hostile(str(tmp_path)), str(tmp_path)) as served:
        for who in ("ann", "dora"):
            answer = served.person(who).get(path)
            if answer.status_code == 403:  # no history before a judgement
                review(served.store, 1, "ann")
                answer = served.person(who).get(path)
            assert answer.status_code == 200
            for harm in ("<script>alert", "<img src=x", "<b>m</b>", "zzzzzzzzz", "onmouseover='x'"):
                assert harm not in answer.text


def test_fields_have_labels_and_the_page_its_marks(served):
    for who in ("ann", "dora"):
        seen = served.person(who).page("/")
        labelled = {attributes["for"] for tag, attributes in seen.elements if tag == "label"}
        assert {field["id"] for field in seen.fields()} <= labelled
        assert ("html", {"lang": "en"}) in seen.elements
        assert any(tag == "main" and attributes["id"] == "main" for tag, attributes in seen.elements)
        assert "#main" in seen.links
        assert not [
            name for _, attributes in seen.elements for name in attributes if name == "style" or name[:2] == "on"
        ]


def test_an_auditor_sees_their_audits_alone(tmp_path):
    store = filled(str(tmp_path), 6, replace(PLAIN, audit_share=1.0))
    with Served(store, str(tmp_path)) as served:
        aud = served.person("aud")
        assert len(rows_of(aud.page("/"))) == 6
        assert "Nothing to do for you now" in aud.page("/").said
        review(store, next_task(store, "ann"), "ann")
        assert "Continue with task" in aud.page("/").said
