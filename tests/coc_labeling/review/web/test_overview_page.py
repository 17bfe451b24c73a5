from dataclasses import replace

import pytest

from builders.review_web import Served
from builders.reviews import ACCEPT, PLAIN, UNSURE, filled, review
from coc_labeling.review.batches.queue import next_task
from coc_labeling.review.judgements import HistoryAnswer, Judgement, Verdict
from coc_labeling.review.web.overview_page import bar
from coc_labeling.schema import Category, Component

REJECT = Judgement(verdict=Verdict.REJECT, reason="hazard_missed")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Labels reviewed once, twice and audited, with planted ones among them."""
    folder = str(tmp_path_factory.mktemp("reviews"))
    shares = replace(PLAIN, second_share=0.5, audit_share=0.5, planted_share=0.3)
    store = filled(folder, 24, shares, people="ann bob")
    for who in ("ann", "bob", "aud"):
        for number in range(200):
            task = next_task(store, who)
            if task is None:
                break
            review(store, task, who, (ACCEPT, ACCEPT, REJECT, UNSURE)[(number + len(who)) % 4])
    with Served(store, folder) as served:
        yield served


def test_before_anything_is_done_nothing_is_claimed(served):
    seen = served.person("dora").page("/overview")
    assert "0 of 20 labels reviewed" in seen.said
    assert "not yet" in seen.said
    assert "Not yet: no label has been judged by two people" in seen.said
    for nonsense in ("nan", "None", "inf"):
        assert nonsense not in seen.said


@pytest.mark.parametrize("who", ["dora", "aud"])
def test_admin_and_auditor_see_everybody(measured, who):
    seen = measured.person(who).page("/overview")
    for words in ("People", "ann", "bob", "aud", "Errors found", "Right ones accepted", "Agreement by decision"):
        assert words in seen.said
    assert "24 of 24 labels reviewed" in seen.said
    assert "hazard missed" in seen.said


def test_a_reviewer_sees_their_own_row_alone(measured):
    """Totals leave planted labels out: seen before and after a judgement they would tell one."""
    seen = measured.person("ann").page("/overview")
    assert "labels reviewed" not in seen.said
    assert "Your own work" in seen.said
    for words in ("bob", "aud ", "Errors found", "Right ones accepted", "planted", "Agreement by decision", "Kappa"):
        assert words not in seen.said


def test_no_number_of_a_reviewer_tells_a_planted_label(tmp_path):
    """Each judgement moves all of them, whatever the label is."""
    store = filled(str(tmp_path), 10, replace(PLAIN, planted_share=1, blank_share=1))
    with Served(store, str(tmp_path)) as served:
        ann, moved = served.person("ann"), []
        while (task := next_task(store, "ann")) is not None:
            before = ann.page("/overview").said.partition("Lacking")[2]
            revision = store.open(task, "ann", 0)
            thing = Component(id="c9", category=Category.LANE, description="the lane")
            revision = store.finish_history(task, "ann", revision, HistoryAnswer(added=(thing,)))
            moved.append(ann.page("/overview").said.partition("Lacking")[2] != before)
            store.judge(task, "ann", revision, ACCEPT)
    assert moved == [True] * 20


def test_each_number_says_of_how_many(measured):
    seen = measured.person("dora").page("/overview")
    values = seen.html.count('class="value"')
    assert values > 5
    assert seen.said.count("n = ") >= values


def test_a_bar_is_as_long_as_all_verdicts():
    parts = bar({Verdict.ACCEPT: 5, Verdict.EDIT: 0, Verdict.REJECT: 3, Verdict.UNSURE: 2})
    assert [(part.name, part.start, part.width, part.count) for part in parts] == [
        ("accept", 0, 50, 5),
        ("reject", 50, 30, 3),
        ("unsure", 80, 20, 2),
    ]
    assert bar(dict.fromkeys(Verdict, 0)) == []
