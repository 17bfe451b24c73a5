import json
import re
from dataclasses import replace

import pytest

from builders.review_web import Served
from builders.reviews import ACCEPT, PLAIN, UNSURE, unlock
from coc_labeling.review.batches.intake import LabelRow, add_labels
from coc_labeling.review.batches.planning import QueueSettings
from coc_labeling.review.batches.queue import enlarge
from coc_labeling.review.judgements import Edit, HistoryAnswer, Judgement, QaItem, Reason, Verdict
from coc_labeling.review.store import ReviewStore, Role
from coc_labeling.review.web.label_page import RULES, Checks, checks_of
from coc_labeling.schema import Category, CoCLabel, Component, EmergedAfter, Lateral, Longitudinal, Relation, Side

CLIP, T_US = "a_clip", 5_400_000
# Words that no page has of its own.
LABEL = CoCLabel(
    longitudinal=Longitudinal(decision="search_gap", cause_ids=("c1",)),
    lateral=Lateral(decision="pull_over", direction="right", cause_ids=("unobserved",)),
    components=(
        Component(
            id="c1",
            category=Category.CRITICAL_OBJECT,
            relation=Relation.CUT_IN,
            side=Side.LEFT,
            description="zebrawords </script><b>bold",
            track_id="quaggatrack",
        ),
        Component(id="c2", category=Category.ROAD_EVENT, description="okapiwords"),
    ),
    emerged_after=EmergedAfter(category=Category.LANE, description="gnuwords"),
    trace="elandwords </script><img src=x>",
    effect_on_ego_behavior="Search a gap for kuduwords <script>alert(1)</script>.",
)
COMPONENTS = ("zebrawords", "okapiwords", "quaggatrack")
SEARCHED = ("search gap", "search_gap", "pull over", "pull_over", "turn_left")
HIDDEN = (*SEARCHED, "kuduwords", "elandwords", "gnuwords", "impalareason", "0.875", "0.88", "unverified")
REASONS = ("impalareason <i>",)


@pytest.fixture
def make(tmp_path):
    """Return what serves the label at some keyframes of a clip to ann, as tasks 1, 2 and so on."""
    sites = []

    def served(*times: int, settings: QueueSettings = PLAIN) -> Served:
        store = ReviewStore.of_run(str(tmp_path))
        store.add_person("ann", Role.REVIEWER)
        store.add_person("aud", Role.AUDITOR)
        checks = (0.875, "unverified", REASONS)
        add_labels(store, [LabelRow(CLIP, t_us, LABEL, "model", *checks) for t_us in times or (T_US,)])
        enlarge(store, settings)
        sites.append(Served(store, str(tmp_path)).__enter__())
        return sites[-1]

    yield served
    for site in sites:
        site.__exit__(None, None, None)


def page_of(site: Served, task: int = 1, person: str = "ann"):
    return site.person(person).page(f"/tasks/{task}")


def data_of(page) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page.html, re.DOTALL)[1])


def has(page, words) -> list[str]:
    return [word for word in words if word in page.html]


def test_a_task_that_waits_shows_nothing_of_its_label(make):
    page = page_of(make())
    assert has(page, (*HIDDEN, *COMPONENTS, "scene.json", ".mp4")) == []
    assert CLIP in page.said
    assert "/tasks/1/open" in page.links
    assert data_of(page) == {"task": 1, "revision": 0, "phase": "waiting", "blank": False}


def test_phase_one_shows_components_and_nothing_else_of_the_label(make):
    site = make()
    site.store.open(1, "ann", 0)
    page = page_of(site)
    assert has(page, HIDDEN) == []
    assert has(page, COMPONENTS) == list(COMPONENTS)
    assert "Phase 1 of 2" in page.said
    assert sorted(data_of(page)) == ["blank", "components", "phase", "revision", "scene", "task"]


def test_a_blank_list_shows_no_component(make):
    site = make(settings=replace(PLAIN, blank_share=1))
    site.store.open(1, "ann", 0)
    page = page_of(site)
    assert has(page, (*HIDDEN, *COMPONENTS)) == []
    assert data_of(page)["blank"]


def test_phase_two_shows_all_of_the_label(make):
    site = make()
    unlock(site.store, 1, "ann")
    page = page_of(site)
    said = page.said
    for words in ("Search a gap for kuduwords", "pull over right", "elandwords", "gnuwords", "risk 0.88, unverified"):
        assert words in said
    assert "impalareason <i>" in said
    assert "no cause observed" in said
    assert said.count("you confirmed") == 2
    assert all(rule in said for rule in RULES.values())
    assert CoCLabel.model_validate(data_of(page)["label"]) == LABEL


def test_what_was_said_in_phase_one_stands_beside_the_components(make):
    site = make()
    revision = site.store.open(1, "ann", 0)
    added = Component(id="c3", category=Category.LANE, description="bongowords")
    answer = HistoryAnswer(confirmed=("c2",), struck=("c1",), added=(added,))
    site.store.finish_history(1, "ann", revision, answer)
    page = page_of(site)
    assert page.said.index("zebrawords") < page.said.index("you struck") < page.said.index("okapiwords")
    assert page.said.index("okapiwords") < page.said.index("you confirmed") < page.said.index("bongowords")
    assert [component["description"] for component in data_of(page)["added"]] == ["bongowords"]


def test_who_has_seen_the_future_starts_with_phase_two(make):
    site = make(T_US, T_US + 1_000_000)
    site.store.open(2, "ann", 0)
    unlock(site.store, 1, "ann")
    page = page_of(site, 2)
    assert "straight to phase 2" in page.said
    assert "/tasks/2/open" in page.links
    assert has(page, (*HIDDEN, *COMPONENTS)) == []
    assert site.person("ann").submit("/tasks/2/open").headers["location"] == "/tasks/2"
    assert "kuduwords" in page_of(site, 2).said


def test_text_of_labels_is_escaped(make):
    site = make()
    site.store.open(1, "ann", 0)
    history = page_of(site)
    unlock(site.store, 1, "ann")
    for page in (history, page_of(site)):
        assert "<script>alert" not in page.html
        assert "<b>bold" not in page.html
        assert "<img" not in page.html
        assert page.html.count("</script>") == page.html.count("<script")


@pytest.mark.parametrize("phase", ["waiting", "history", "future", "done"])
def test_nothing_is_inline_and_every_field_has_a_name(make, phase):
    site = make()
    if phase == "history":
        site.store.open(1, "ann", 0)
    elif phase != "waiting":
        revision = unlock(site.store, 1, "ann")
        if phase == "done":
            site.store.judge(1, "ann", revision, ACCEPT)
    page = page_of(site)
    for tag, attributes in page.elements:
        assert "style" not in attributes
        assert [name for name in attributes if name.startswith("on")] == []
        assert tag != "script" or "src" in attributes or attributes["type"] == "application/json"
    assert {name for name, _ in page.elements} >= {"h1", "main"}


def test_a_judgement_is_shown_with_its_reason_note_and_checklist(make):
    site = make()
    judgement = Judgement(
        verdict=Verdict.REJECT, reason=Reason.OTHER, note="dikdikwords", checklist={QaItem.MINIMALITY: "no"}
    )
    site.store.judge(1, "ann", unlock(site.store, 1, "ann"), judgement)
    page = page_of(site)
    assert "dikdikwords" in page.said
    assert "minimality: no" in page.said
    assert "/tasks/1/events" in page.links
    assert data_of(page)["judgement"]["reason"] == "other"


def test_an_edit_is_shown_and_given_to_be_changed(make):
    site = make()
    edit = Edit(longitudinal=LABEL.longitudinal, components=LABEL.components, sentence="Search an oryxgap.")
    site.store.judge(1, "ann", unlock(site.store, 1, "ann"), Judgement(verdict=Verdict.EDIT, edit=edit))
    page = page_of(site)
    assert "edited to: Search an oryxgap." in page.said
    assert Edit.model_validate(data_of(page)["judgement"]["edit"]) == edit


def test_an_auditor_sees_what_is_audited_once_they_have_judged(make):
    site = make(settings=replace(PLAIN, audit_share=1))
    noted = Judgement(verdict=Verdict.ACCEPT, note="the note of ann")
    site.store.judge(1, "ann", unlock(site.store, 1, "ann"), noted)
    revision = unlock(site.store, 2, "aud")
    assert "the note of ann" not in page_of(site, 2, "aud").html
    site.store.judge(2, "aud", revision, UNSURE)
    assert "the note of ann" in page_of(site, 2, "aud").said


@pytest.mark.parametrize("person", ["aud", "dora"])
def test_others_have_no_such_task(make, person):
    answer = make().person(person).get("/tasks/1")
    assert answer.status_code == 404
    assert CLIP not in answer.text


def test_a_label_that_was_not_checked_has_no_risk_and_no_reasons(make):
    site = make()
    add_labels(site.store, [LabelRow("other", T_US, LABEL)])
    enlarge(site.store, PLAIN)
    assert checks_of(site.site, 2) == Checks(None, None, ())
