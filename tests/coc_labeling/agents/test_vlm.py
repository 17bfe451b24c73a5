import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.asked import ScriptedAsk, agent_of, answer, facts, frames_of, labelled, structured, window
from builders.driving import drive
from coc_labeling.agents.answers import RepairAnswer, SentenceAnswer, StructuredAnswer
from coc_labeling.agents.base import Labelled
from coc_labeling.agents.vlm import VLMCoCRemoteAgent
from coc_labeling.conversation import messages
from coc_labeling.model_clients.errors import ModelUnreachable
from coc_labeling.schema import CoCLabel
from meta_action.timeline import Span

LIMIT = 1000
STOP = "Stop behind the lead vehicle."
SLOW = "Keep distance to the lead vehicle."
REASON = "it says that ego stops, but ego keeps moving, never slower than 8.0 m/s"
REPAIRED = {
    "longitudinal": {"decision": "follow_lead", "cause_ids": ["c1"]},
    "lateral": None,
    "trace": "",
    "effect_on_ego_behavior": SLOW,
}


def agent(*, check: bool = False, structured: bool = True):
    return agent_of(
        vlm_agent__use_metaaction_check_pipeline=check,
        vlm_agent__structured_output=structured,
        vlm_agent__max_tokens=LIMIT,
    )


def ask_with(*answers, check: bool = False, form: str = "structured", own=None) -> tuple[Labelled, ScriptedAsk]:
    """Return what comes of a window of steady driving at 8 m/s, and the questions."""
    own = own or window(spans=[Span("lateral", "go_straight", 0, 201)])
    asking = agent(check=check, structured=form == "structured")
    ask = ScriptedAsk(list(answers))
    result = labelled(asking, asking.prepare(own, [frames_of(own)]), ask)
    assert ask.answers == [], "not every answer was asked for"
    return result, ask


def sentence(text: str) -> dict:
    return {"unreadable": False, "effect_on_ego_behavior": text}


def reason_of(result: Labelled) -> str | None:
    return result.label.abstention and result.label.abstention.reason


def test_a_good_answer_is_asked_for_once():
    result, ask = ask_with(answer(structured(STOP)))
    assert result.label.effect_on_ego_behavior == STOP
    assert [(purpose, form, limit) for purpose, _, form, limit in ask.asked] == [("label", StructuredAnswer, LIMIT)]


def test_everything_that_was_prepared_is_asked():
    own = window()
    asking = agent()
    prepared = asking.prepare(own, [frames_of(own)])
    ask = ScriptedAsk([answer(structured(STOP))])
    labelled(asking, prepared, ask)
    assert ask.asked[0][1] == prepared.parts


def test_the_sentence_alone_has_its_own_form():
    result, ask = ask_with(answer(sentence(STOP)), form="sentence")
    assert result.label == CoCLabel(effect_on_ego_behavior=STOP)
    assert [(purpose, form) for purpose, _, form, _ in ask.asked] == [("label", SentenceAnswer)]


@pytest.mark.parametrize("content", ['{"unreadable": fal', None, ""])
def test_an_answer_that_is_cut_off_is_asked_for_once_more_with_twice_the_tokens(content):
    result, ask = ask_with(answer(content, "length"), answer(structured(STOP)))
    assert result.label.effect_on_ego_behavior == STOP
    assert [(purpose, limit) for purpose, _, _, limit in ask.asked] == [("label", LIMIT), ("more_tokens", 2 * LIMIT)]
    assert ask.asked[0][1] == ask.asked[1][1]


@pytest.mark.parametrize("content", ['{"unreadable": fal', None, ""])
def test_an_answer_that_is_cut_off_twice_is_an_abstention(content):
    result, ask = ask_with(answer(content, "length"), answer(content, "length"))
    assert reason_of(result) == "truncated_answer"
    assert ask.purposes == ["label", "more_tokens"]


def test_an_answer_at_the_limit_that_is_whole_is_whole():
    result, ask = ask_with(answer(structured(STOP), "length"))
    assert (result.label.effect_on_ego_behavior, ask.purposes) == (STOP, ["label"])


def test_an_answer_that_is_whole_but_wrong_at_the_second_limit_is_cut_off():
    result, _ = ask_with(answer("{", "length"), answer('{"a": 1} and', "length"))
    assert reason_of(result) == "truncated_answer"


def test_an_answer_that_cannot_be_used_is_asked_again_with_what_was_wrong():
    wrong = structured(STOP, longitudinal={"decision": "stop", "cause_ids": ["c2"]})
    result, ask = ask_with(answer(wrong), answer(structured(STOP)))
    assert result.label.effect_on_ego_behavior == STOP
    assert [(purpose, limit) for purpose, _, _, limit in ask.asked] == [("label", LIMIT), ("again", LIMIT)]
    first, second = ask.asked[0][1], ask.asked[1][1]
    assert second[: len(first)] == first  # so that a server's prefix cache holds it
    said, problem = second[len(first) :]
    assert (said.role, said.text) == ("assistant", json.dumps(wrong))
    assert problem.role == "user"
    assert problem.text.startswith("Your last answer could not be used: ")
    assert "cause_ids c2 are no components; there are: c1" in problem.text


def test_words_that_are_no_json_are_asked_again():
    result, ask = ask_with(answer("Stop behind the van!"), answer(structured(STOP)))
    assert result.label.effect_on_ego_behavior == STOP
    assert "it was not a JSON object." in ask.asked[1][1][-1].text


@pytest.mark.parametrize("second", ["nonsense", "{}", json.dumps(structured() | {"more": 1})])
def test_a_second_answer_that_cannot_be_used_is_an_abstention(second):
    result, ask = ask_with(answer("nonsense"), answer(second))
    assert reason_of(result) == "invalid_answer"
    assert ask.purposes == ["label", "again"]


def test_cut_off_then_wrong_then_right():
    result, ask = ask_with(answer("{", "length"), answer("nonsense"), answer(structured(STOP)))
    assert (result.label.effect_on_ego_behavior, ask.purposes) == (STOP, ["label", "more_tokens", "again"])


def test_an_answer_is_shown_back_only_in_part_where_it_is_very_long():
    _, ask = ask_with(answer("x" * 100_000), answer(structured(STOP)))
    assert all(len(part.text) <= 8_000 for part in ask.asked[1][1][-2:])


@pytest.mark.parametrize("reason", ["refusal", "content_filter"])
@pytest.mark.parametrize("content", [None, "", "I can't help with that.", structured(STOP)])
def test_refusals_are_abstentions_and_not_asked_again(reason, content):
    result, ask = ask_with(answer(content, reason))
    assert reason_of(result) == "refused"
    assert reason in result.label.abstention.detail
    assert ask.purposes == ["label"]


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_no_answer_at_all_is_an_abstention(content):
    result, ask = ask_with(answer(content))
    assert (reason_of(result), ask.purposes) == ("empty_answer", ["label"])


def test_a_refusal_of_the_second_question_is_an_abstention():
    result, ask = ask_with(answer("nonsense"), answer(None, "content_filter"))
    assert (reason_of(result), ask.purposes) == ("refused", ["label", "again"])


@pytest.mark.parametrize(("text", "reason"), [("", "empty_answer"), ("null", "empty_answer"), ("I cannot.", "refused")])
def test_a_sentence_that_says_nothing_is_an_abstention_and_not_asked_again(text, reason):
    result, ask = ask_with(answer(structured(text)))
    assert (reason_of(result), ask.purposes) == (reason, ["label"])


def test_an_error_of_the_model_is_the_window_s():
    with pytest.raises(ModelUnreachable):
        ask_with(ModelUnreachable("gone"))


def test_without_the_check_a_contradiction_stays():
    result, ask = ask_with(answer(structured(STOP)))
    assert (result.label.effect_on_ego_behavior, result.repair, ask.purposes) == (STOP, None, ["label"])


def test_with_the_check_a_label_that_agrees_is_not_repaired():
    result, ask = ask_with(answer(structured(SLOW, longitudinal=None)), check=True)
    assert (result.repair, ask.purposes) == (None, ["label"])


def test_an_abstention_is_not_repaired():
    result, ask = ask_with(answer(structured("null")), check=True)
    assert (result.repair, ask.purposes) == (None, ["label"])


def test_a_contradiction_is_repaired_and_both_texts_and_the_reason_are_kept():
    result, ask = ask_with(answer(structured(STOP)), answer(REPAIRED), check=True)
    assert result.label.effect_on_ego_behavior == SLOW
    assert result.label.longitudinal.decision == "follow_lead"
    repair = result.repair
    assert (repair.outcome, repair.reasons, repair.before, repair.after) == ("repaired", (REASON,), STOP, SLOW)
    assert [(purpose, form, limit) for purpose, _, form, limit in ask.asked][1] == ("repair", RepairAnswer, LIMIT)


def test_a_repair_is_asked_for_without_the_scene():
    _, ask = ask_with(answer(structured(STOP)), answer(REPAIRED), check=True)
    label, repair = ask.asked[0][1], ask.asked[1][1]
    assert [part.role for part in repair] == ["system", "user"]
    assert not any(part.frames for part in repair)
    text = repair[1].text
    assert f"# Contradiction\n- {REASON}\n\n# Meta-actions\n(t=-2.0s)" in text
    assert '"cause_ids": [\n   "c1"\n  ]' in text
    assert STOP in text
    assert label[1].text in text  # the motion, as it was told
    assert "schema_version" not in text


def test_a_sentence_is_repaired_as_a_sentence():
    result, ask = ask_with(answer(sentence(STOP)), answer(sentence(SLOW)), check=True, form="sentence")
    assert result.label == CoCLabel(effect_on_ego_behavior=SLOW)
    assert ask.asked[1][2] is SentenceAnswer
    assert ask.asked[1][1][1].text.startswith(
        '# Label\n{\n "effect_on_ego_behavior": "Stop behind the lead vehicle."\n}'
    )


FAILED = {
    "no json": (answer("sorry"), "The repair could not be used"),
    "nothing": (answer(None), "The repair could not be used"),
    "refused": (answer(None, "refusal"), "The repair could not be used: refusal"),
    "cut off": (answer('{"longitud', "length"), "The repair could not be used"),
    "a new cause": (answer(REPAIRED | {"effect_on_ego_behavior": "Slow down for the cyclist."}), "cyclist"),
    "a new component": (answer(REPAIRED | {"components": []}), "components: Extra inputs"),
    "no label": (answer(REPAIRED | {"effect_on_ego_behavior": "null"}), "'null'"),
}


@pytest.mark.parametrize(("second", "detail"), FAILED.values(), ids=FAILED)
def test_a_repair_that_fails_is_an_abstention(second, detail):
    result, ask = ask_with(answer(structured(STOP)), second, check=True)
    assert reason_of(result) == "contradicts_motion"
    assert result.label.abstention.detail.startswith(REASON)
    assert detail in result.label.abstention.detail
    repair = result.repair
    assert (repair.outcome, repair.reasons, repair.before, repair.after) == ("failed", (REASON,), STOP, None)
    assert ask.purposes == ["label", "repair"]


def test_a_repair_that_still_contradicts_is_an_abstention_that_keeps_both_texts():
    still = REPAIRED | {"effect_on_ego_behavior": "Brake to a halt behind the lead vehicle."}
    result, ask = ask_with(answer(structured(STOP)), answer(still), check=True)
    assert reason_of(result) == "contradicts_motion"
    assert "After the repair still: it says that ego stops" in result.label.abstention.detail
    assert (result.repair.outcome, result.repair.after) == ("failed", still["effect_on_ego_behavior"])
    assert ask.purposes == ["label", "repair"]


def test_a_repair_is_never_repaired_again_and_never_asked_for_with_more_tokens():
    _, ask = ask_with(answer(structured(STOP)), answer("{", "length"), check=True)
    assert ask.purposes == ["label", "repair"]


def test_what_contradicts_is_told_whole():
    own = window(d=drive(speed=8.0), spans=[Span("lateral", "steer_right", 40, 110)])
    text = "Stop, then turn left behind the lead vehicle."
    result, _ = ask_with(answer(structured(text)), answer(None), check=True, own=own)
    assert len(result.repair.reasons) == 2


@given(
    st.lists(st.sampled_from(["{", None, structured(STOP), structured("null"), 7, []]), min_size=5, max_size=5),
    st.booleans(),
)
def test_whatever_a_model_answers_it_is_asked_four_times_at_most(contents, check):
    own = window()
    asking = agent(check=check)
    ask = ScriptedAsk([answer(content, "length" if content == "{" else "stop") for content in contents])
    result = labelled(asking, asking.prepare(own, [frames_of(own)]), ask)
    assert CoCLabel.model_validate(result.label.model_dump()) == result.label
    assert len(ask.asked) <= 4


def test_facts_are_prepared_with_the_window():
    own = window(spans=[Span("lateral", "steer_left", 50, 90)])
    prepared = agent().prepare(own, [frames_of(own)])
    assert prepared.facts == facts("steer_left", speed=(8.0, 8.0))
    assert prepared.starting[0].name == "steer_left"
    assert prepared.keyframe == own.keyframe


def test_the_remote_agent_asks_the_same():
    own = window()
    remote = agent_of(vlm_agent__agent_name="VLMCoCRemoteAgent", server_ip="127.0.0.1", model_name="qwen3.5_35b")
    assert isinstance(remote, VLMCoCRemoteAgent)
    shown = [frames_of(own)]
    assert messages(remote.prepare(own, shown).parts) == messages(agent().prepare(own, shown).parts)
    assert remote.prompt_hash == agent().prompt_hash
