"""Judging one label: edits, mismatches, reasons, the checklist, undo, and two tabs at once."""

from dataclasses import replace

import pytest

from builders.review_browser import Desk
from builders.reviews import PLAIN, unlock
from coc_labeling.review.judgements import Answer, QaItem, Reason, Verdict
from coc_labeling.review.phases import Phase
from coc_labeling.schema import LateralDecision, LongitudinalDecision


@pytest.fixture(scope="module")
def server(serve):
    return serve("ann")


@pytest.fixture
def store(server):
    store = server.store()
    yield store
    store.close()


@pytest.fixture
def at(server, store, desk):
    """Return what opens the page of a moment in its second phase."""

    def opened(clip_id: str, t_us: int) -> Desk:
        (task,) = server.tasks_of("ann", clip_id=clip_id, t_us=t_us)
        unlock(store, task, "ann")
        ann = desk(server, "ann")
        ann.goto(f"/tasks/{task}")
        assert ann.phase == "future"
        return ann

    return opened


def held(store, task):
    return store.view(task, "ann").state.judgement


def test_an_edit_is_stored_once_its_sentence_fits_its_structure(at, store):
    ann = at("drive_3", 3_000_000)  # "Stop for the red traffic light ahead.", which nobody does there
    task, page = ann.task, ann.page
    ann.press("e")
    page.get_by_role("combobox", name="speed", exact=True).select_option("adapt_speed")
    mismatch = page.locator("#mismatches li", has_text="the sentence says stop")
    mismatch.wait_for()
    page.get_by_role("button", name="Write the sentence").click()
    mismatch.wait_for(state="detached")
    sentence = page.get_by_role("textbox", name="Sentence", exact=True).input_value()
    assert sentence != "Stop for the red traffic light ahead."
    ann.press("Escape")
    ann.press_and_go("Control+Enter")
    judgement = held(store, task)
    assert judgement.verdict is Verdict.EDIT
    assert judgement.edit.longitudinal.decision is LongitudinalDecision.ADAPT_SPEED
    assert judgement.edit.sentence == sentence
    assert store.label(task).longitudinal.decision is LongitudinalDecision.STOP, "the label itself stays"

    ann.goto(f"/tasks/{task}")
    assert sentence in page.inner_text("#judged")
    assert ann.complains_of() == []


def test_an_edit_by_the_keyboard_adds_a_component_and_a_direction(at, store):
    ann = at("drive_1", 3_000_000)
    task, page = ann.task, ann.page
    ann.press("e")
    page.get_by_role("button", name="Add a component").focus()
    ann.press("Enter")
    row = page.locator("#edited-components > li").last
    row.get_by_label("category").select_option("lane")
    row.get_by_label("side").select_option("left")
    row.get_by_label("description").fill("the lane to the left is free")
    page.get_by_role("combobox", name="lane", exact=True).select_option("change_lane")
    page.get_by_role("combobox", name="direction", exact=True).select_option("left")
    causes = page.get_by_role("group", name="Causes of the decision on the lane")
    causes.get_by_label("c2").check()
    causes.get_by_label("c2").blur()
    page.wait_for_timeout(600)  # the server is asked after a pause in typing
    ann.press("w")
    ann.press_and_go("Control+Enter")
    edit = held(store, task).edit
    assert (edit.lateral.decision, edit.lateral.direction) == (LateralDecision.CHANGE_LANE, "left")
    assert edit.lateral.cause_ids == ("c2",)
    assert edit.components[1].description == "the lane to the left is free"
    assert "left" in edit.sentence
    assert ann.complains_of() == []


def test_an_edit_without_a_change_is_not_taken_and_stays_where_it_was(at, store):
    ann = at("drive_0", 12_500_000)
    ann.press("e", "Enter")
    error = ann.page.get_by_role("alert").filter(visible=True)
    error.wait_for()
    assert "Nothing is changed" in error.inner_text()
    assert held(store, ann.task) is None
    assert ann.phase == "future"


def test_a_judgement_is_undone_and_made_anew(at, store):
    ann = at("drive_4", 3_000_000)
    task = ann.task
    ann.press("a")
    ann.press_and_go("Enter")
    ann.press_and_go("k")
    assert (ann.task, ann.phase) == (task, "done")
    ann.press_and_go("z")
    assert (ann.task, ann.phase) == (task, "future")
    assert held(store, task) is None

    ann.press("r", "Enter")
    assert "reason" in ann.page.get_by_role("alert").filter(visible=True).inner_text()
    ann.press("0", *"seen twice", "Escape", "4", "4")
    ann.press_and_go("Enter")
    judgement = held(store, task)
    assert (judgement.verdict, judgement.reason, judgement.note) == (Verdict.REJECT, Reason.OTHER, "seen twice")
    assert judgement.checklist == {QaItem.MINIMALITY: Answer.NO}

    ann.goto(f"/tasks/{task}")
    ann.press("c", "u")
    ann.press_and_go("Enter")
    assert held(store, task).verdict is Verdict.UNSURE
    kinds = [type(event.step).__name__ for event in store.history(task)]
    assert kinds == ["Opened", "HistoryDone", "Judged", "Undone", "Judged", "Judged"]
    ann.goto(f"/tasks/{task}/events")
    told = ann.page.inner_text("main").lower()
    assert [word for word in ("reject", "seen twice", "unsure", "took back") if word not in told] == []
    assert ann.complains_of() == []


def test_a_label_that_breaks_a_rule_is_not_accepted(at, store):
    ann = at("drive_4", 12_500_000)
    ann.press("5", "5", "a", "Enter")
    assert "breaks a rule" in ann.page.get_by_role("alert").filter(visible=True).inner_text()
    assert held(store, ann.task) is None


def test_a_second_tab_that_comes_too_late_is_told_so_and_keeps_what_was_entered(at, store):
    ann = at("drive_2", 12_500_000)
    task, late = ann.task, ann.tab()
    late.goto(ann.page.url)
    late.get_by_label("Note").fill("written meanwhile")
    late.keyboard.press("Escape")
    late.keyboard.press("u")
    ann.press("a")
    ann.press_and_go("Enter")
    late.keyboard.press("Enter")
    error = late.get_by_role("alert").filter(visible=True)
    error.wait_for()
    assert "has been changed since it was loaded" in error.inner_text()
    assert "by ann" in error.inner_text()
    assert late.get_by_label("Note").input_value() == "written meanwhile"
    assert held(store, task).verdict is Verdict.ACCEPT
    assert [type(event.step).__name__ for event in store.history(task)].count("Judged") == 1

    late.on("dialog", lambda dialog: dialog.accept())  # "leave this page?", since something was entered
    with late.expect_navigation():
        error.get_by_role("button", name="Load again").click()
    assert "accept" in late.inner_text("#judged")
    assert ann.complains_of(expected=(409,)) == []


def test_a_step_is_not_lost_while_the_server_does_not_answer(at, store):
    ann = at("drive_1", 12_500_000)
    task = ann.task
    ann.page.route("**/judgement", lambda route: route.abort())
    ann.press("n", *"keep me", "Escape", "u", "Enter")
    error = ann.page.get_by_role("alert").filter(visible=True)
    error.wait_for()
    assert "does not answer" in error.inner_text()
    assert ann.page.get_by_label("Note").input_value() == "keep me"
    ann.page.unroute("**/judgement")
    ann.press_and_go("Enter")
    assert held(store, task).note == "keep me"


def test_a_blank_list_asks_for_what_matters(serve, desk):
    server = serve("ann", replace(PLAIN, blank_share=1))
    ann = desk(server, "ann")
    ann.press_and_go("c")
    task, page = ann.task, ann.page
    assert page.locator("#components > li").count() == 0
    store = server.store()
    label = store.label(task)
    assert not any(component.description in page.content() for component in label.components)
    ann.press("Enter", "n")
    page.get_by_label("category").select_option("critical_object")
    page.get_by_label("relation").select_option("lead")
    page.get_by_label("description").fill("the blue car ahead")
    ann.press("Enter")
    page.locator("#added > li").wait_for()
    ann.press_and_go("Enter")
    (added,) = store.view(task, "ann").state.history.added
    assert (added.relation, added.description) == ("lead", "the blue car ahead")
    assert store.view(task, "ann").state.phase is Phase.FUTURE
    assert "the blue car ahead" in page.inner_text("#told")
    store.close()
