"""Two stages through the command, against servers."""

import json

import pytest

from builders.asked import decided, listed
from builders.fake_openai import FakeOpenAI, Ok, Status
from builders.model_runs import MANY, MOMENTS

AGENT = {"vlm_agent__agent_name": "TwoStageCoCAgent"}


def both(request) -> str:
    if request.json["response_format"]["json_schema"]["name"] == "HistoryAnswer":
        return json.dumps(listed("a white van", "a light"))
    return json.dumps(decided("Stop behind the van.", "c1"))


def conversation(request) -> str:
    """What tells the requests of one window: the first texts and pictures that the user says."""
    return json.dumps(request.json["messages"][1]["content"])


def test_labels_have_their_causes_from_the_first_stage(model, server):
    server.answer = both
    assert model(**AGENT) == 0
    model.check()
    for record in model.records().values():
        assert [component.description for component in record.label.components] == ["a white van", "a light"]
        assert record.label.longitudinal.cause_ids == ("c1",)
        assert [call.purpose for call in record.calls] == ["components", "label"]
        assert record.provenance.agent == "TwoStageCoCAgent"
        assert record.provenance.prompt_version == "coc_two_stage/1"
        assert record.window.frames == 16


def test_both_stages_of_a_window_go_to_the_same_server(model, server):
    with FakeOpenAI() as other:
        for one in (server, other):
            one.answer = both
        addresses = f"[127.0.0.1:{server.port},127.0.0.1:{other.port}]"
        assert model(MANY, model_name="qwen3_vl_235b_awq", server_ip=addresses, **AGENT) == 0
        asked = [[conversation(request) for request in one.requests] for one in (server, other)]
    assert sorted(asked[0] + asked[1]) == sorted(2 * list(dict.fromkeys(asked[0] + asked[1])))
    assert not set(asked[0]) & set(asked[1])
    assert all(len(own) >= 2 for own in asked)


def test_what_is_finished_is_not_asked_again(model, server):
    server.answer = both
    assert model(MOMENTS[:2], **AGENT) == 0
    assert model.resume(MOMENTS, **AGENT) == 0
    model.check()
    assert model.asked == 2 * len(MOMENTS)


def test_a_stage_that_fails_leaves_the_window_to_the_next_run_which_asks_only_what_is_missing(model, server):
    server.script = [Ok(json.dumps(listed("a van"))), Status(400)]
    assert model(MOMENTS[:1], **AGENT) == 2
    server.answer = both
    assert model.resume(MOMENTS[:1], **AGENT) == 0
    assert model.asked == 3  # the first stage's answer was kept
    (record,) = model.records().values()
    assert [call.from_cache for call in record.calls] == [True, False]


def test_an_experiment_of_one_agent_is_not_gone_on_with_by_another(model, server, capfd):
    server.answer = both
    assert model(MOMENTS[:1], **AGENT) == 0
    assert model.resume(MOMENTS[:2]) == 2
    assert "vlm_agent" in capfd.readouterr().err


@pytest.mark.parametrize("kind", ["json_object", "text"])
def test_servers_that_know_no_schemas_are_told_the_form_in_words(model, server, kind):
    server.answer = lambda request: (
        json.dumps(decided()) if "# Step 2" in request.body.decode() else json.dumps(listed())
    )
    assert model(MOMENTS[:1], openai_compatible__response_format=kind, **AGENT) == 0
    said = server.requests[0].json["messages"][0]["content"][0]["text"]
    for word in ("unreadable", "components", "category", "emerged_after", "cause_ids", "effect_on_ego_behavior"):
        assert word in said


def test_the_static_part_comes_first_and_is_the_same_in_all_requests(model, server):
    server.answer = both
    assert model(**AGENT) == 0
    systems = {json.dumps(request.json["messages"][0]) for request in server.requests}
    assert len(systems) == 1
