import json
from dataclasses import replace

import pytest

from builders.asked import agent_of, decided, frames_of, listed, recorded_window, structured
from builders.driving import drive
from coc_labeling.rehearsal import KnownFacts, asked_again, asked_at_least
from coc_labeling.schema import CoCLabel, ModelCall


def prepared_by(agent):
    own = recorded_window(drive())
    return replace(agent.prepare(own, [frames_of(own)]), facts=KnownFacts())


def call(purpose: str, content, finish_reason: str = "stop") -> ModelCall:
    text = content if isinstance(content, str) else json.dumps(content)
    return ModelCall(purpose=purpose, request_hash="", max_tokens=9, finish_reason=finish_reason, answer=text)


@pytest.mark.parametrize(
    ("name", "purposes"), [("VLMCoCAgent", ["label"]), ("TwoStageCoCAgent", ["components", "label"])]
)
def test_what_a_window_takes_at_least(name, purposes):
    agent = agent_of(vlm_agent__agent_name=name, vlm_agent__use_metaaction_check_pipeline=True)
    assert [asked.purpose for asked in asked_at_least(agent, prepared_by(agent))] == purposes


def test_each_answer_of_a_record_leads_to_the_next_question():
    agent = agent_of(vlm_agent__agent_name="TwoStageCoCAgent")
    calls = [
        call("components", "no"),
        call("again", listed("a bus", "a van")),
        call("label", "{", "length"),
        call("more_tokens", decided("Stop.", "c2")),
    ]
    asked = asked_again(agent, prepared_by(agent), calls)
    assert [one.purpose for one in asked] == [one.purpose for one in calls]
    assert "c2: a van" in asked[-1].parts[-1].text


def test_no_more_is_shown_than_was_asked():
    agent = agent_of()
    asked = asked_again(agent, prepared_by(agent), [call("label", "no")])
    assert [one.purpose for one in asked] == ["label"]


def test_a_repair_is_shown_with_the_contradictions_that_were_found_then():
    agent = agent_of(vlm_agent__use_metaaction_check_pipeline=True)
    prepared = replace(prepared_by(agent), facts=KnownFacts(("it never stopped",)))
    asked = asked_again(agent, prepared, [call("label", structured()), call("repair", "no")])
    assert "- it never stopped" in asked[1].parts[1].text


def test_facts_that_are_not_known_contradict_nothing():
    assert KnownFacts().contradictions(CoCLabel(effect_on_ego_behavior="Stop.")) == []
