"""The dashboard, and batches that an admin gives to somebody else."""

import re
from dataclasses import replace

import pytest

from builders.reviews import ACCEPT, PLAIN, UNSURE, review
from coc_labeling.review.judgements import Judgement
from coc_labeling.review.results.statistics import overview

REJECT = Judgement(verdict="reject", reason="not_there")


@pytest.fixture(scope="module")
def server(serve):
    """Reviews of which all were made twice; ann and bob agree on most of them."""
    server = serve("ann bob", replace(PLAIN, batch_size=7, second_share=1, audit_share=0.5))
    store = server.store()
    for name in ("ann", "bob", "aud"):
        for task in server.tasks_of(name):
            view = store.view(task, name)
            place = sum(map(ord, view.clip_id)) + view.t_us // 500_000
            said = (ACCEPT, REJECT, ACCEPT, UNSURE)[place % 4]
            review(store, task, name, ACCEPT if name == "bob" and place % 7 == 0 else said)
    store.close()
    return server


def test_the_dashboard_shows_how_far_people_have_come_and_agree(server, desk):
    store = server.store()
    found = overview(store)
    store.close()
    kappa = found.second.verdict.kappa
    adm = desk(server, "adm")
    adm.goto("/overview")
    said = adm.page.inner_text("main")
    assert re.search(rf"{found.totals.reviewed}\s+of {found.totals.labels} labels reviewed", said)
    assert 0 < kappa.value < 1
    row = adm.page.get_by_role("row", name=re.compile("Second reviews, blind")).inner_text()
    assert f"{kappa.value:.2f}" in row
    assert f"{kappa.low:.2f}" in row
    for name in ("ann", "bob", "aud"):
        (of_person,) = (one for one in found.reviewers if one.name == name)
        told = adm.page.get_by_role("row", name=re.compile(rf"^{name}\b")).inner_text()
        assert f"{of_person.done} of {of_person.tasks}" in told
    assert "not there" in said.lower()
    assert adm.complains_of() == []


def test_a_reviewer_sees_their_own_row_only(server, desk):
    ann = desk(server, "ann")
    ann.goto("/overview")
    assert "ann" in ann.page.inner_text("table.people")
    assert "bob" not in ann.page.inner_text("main")
    assert "planted" not in ann.page.inner_text("main")


def test_an_admin_gives_what_is_not_begun_to_somebody_else(serve, desk):
    server = serve("ann bob", replace(PLAIN, batch_size=7))
    before = {name: server.tasks_of(name) for name in ("ann", "bob")}
    store = server.store()
    review(store, before["ann"][0], "ann")
    store.close()
    adm = desk(server, "adm")
    form = adm.page.locator("form[action='/batches/1/assign']")
    form.get_by_label("give them to").select_option("bob")
    with adm.page.expect_navigation():
        form.get_by_role("button").click()
    assert "6 tasks given away" in adm.page.locator(".notice").inner_text()
    assert server.tasks_of("ann") == before["ann"][:1]
    assert set(server.tasks_of("bob")) == {*before["bob"], *before["ann"][1:]}
    bob = desk(server, "bob")
    bob.goto(f"/tasks/{before['ann'][1]}")
    assert bob.phase == "waiting"
    ann = desk(server, "ann")
    assert ann.get(f"/tasks/{before['ann'][1]}") == 404
    adm.goto(f"/tasks/{before['ann'][1]}/events")
    assert all(word in adm.page.inner_text("main") for word in ("adm", "ann", "bob"))
    assert adm.complains_of() == []
