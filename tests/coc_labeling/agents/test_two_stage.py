import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.asked import (
    ScriptedAsk,
    agent_of,
    answer,
    decided,
    frames_of,
    labelled,
    listed,
    recorded_window,
)
from builders.driving import drive, lively_drive
from coc_labeling.agents.answers import RepairAnswer
from coc_labeling.agents.base import Labelled
from coc_labeling.agents.two_stage_answers import DECISION_FORMS, HistoryAnswer
from coc_labeling.conversation import CameraFrames, messages
from coc_labeling.errors import CocLabelingError
from coc_labeling.model_clients.vlm_wrappers import DummyWrapper
from coc_labeling.schema import CoCLabel
from meta_action.timeline import Span

LIMIT = 1000
STOP = "Stop behind the lead vehicle."
KEEP = "Keep the speed."


def agent(**settings):
    chosen = {"vlm_agent__agent_name": "TwoStageCoCAgent", "vlm_agent__max_tokens": LIMIT}
    return agent_of(**(chosen | {f"vlm_agent__{key}": value for key, value in settings.items()}))


def prepared_window(own=None, *, check: bool = False):
    own = own or recorded_window(drive(), spans=[Span("lateral", "go_straight", 0, 201)])
    asking = agent(use_metaaction_check_pipeline=check)
    return asking, asking.prepare(own, [frames_of(own)])


def ask_with(*answers, check: bool = False) -> tuple[Labelled, ScriptedAsk]:
    """Return what comes of a window of steady driving at 8 m/s, and the questions."""
    asking, prepared = prepared_window(check=check)
    ask = ScriptedAsk(list(answers))
    result = labelled(asking, prepared, ask)
    assert ask.answers == [], "not every answer was asked for"
    return result, ask


def reason_of(result: Labelled) -> str | None:
    return result.label.abstention and result.label.abstention.reason


def text_of(parts) -> str:
    return "\n".join(part.text for part in parts)


def test_components_are_listed_before_the_decision_is_asked_for():
    result, ask = ask_with(answer(listed("a white van", "a red light")), answer(decided(STOP, "c2", "c1")))
    assert [(purpose, form, limit) for purpose, _, form, limit in ask.asked] == [
        ("components", HistoryAnswer, LIMIT),
        ("label", DECISION_FORMS[2], LIMIT),
    ]
    label = result.label
    assert [(c.id, c.description) for c in label.components] == [("c1", "a white van"), ("c2", "a red light")]
    assert (label.longitudinal.decision, label.longitudinal.cause_ids) == ("stop", ("c2", "c1"))
    assert (label.effect_on_ego_behavior, label.emerged_after) == (STOP, None)


def test_the_first_stage_sees_the_frames_up_to_the_keyframe_the_second_the_others_too():
    _, ask = ask_with(answer(listed()), answer(decided()))
    first, second = ([label for part in parts for label, _ in part.frames] for _, parts, _, _ in ask.asked)
    assert first == ["t=-2.00s", "t=-1.50s", "t=-1.00s", "t=-0.50s", "t=0.00s"]
    assert second == [*first, *(f"t={n / 2:.2f}s" for n in range(1, 12))]


def test_the_first_stage_is_told_motion_up_to_the_keyframe():
    _, ask = ask_with(answer(listed()), answer(decided()))
    known = ask.asked[0][1][1].text
    assert (
        known
        == """\
# History

# Meta-actions
(t=-2.0s) longitudinal: Maintain Speed, lateral: Go Straight, lane: Not Available
(t=-1.5s) longitudinal: Maintain Speed, lateral: Go Straight, lane: Not Available
(t=-1.0s) longitudinal: Maintain Speed, lateral: Go Straight, lane: Not Available
(t=-0.5s) longitudinal: Maintain Speed, lateral: Go Straight, lane: Not Available

# Ego speed (m/s)
(t=-2.0s) longitudinal 8.00, lateral 0.00
(t=-1.5s) longitudinal 8.00, lateral 0.00
(t=-1.0s) longitudinal 8.00, lateral 0.00
(t=-0.5s) longitudinal 8.00, lateral 0.00
(t=0.0s) longitudinal 8.00, lateral 0.00"""
    )


def test_the_second_stage_is_told_the_motion_from_the_keyframe_on():
    _, ask = ask_with(answer(listed()), answer(decided()))
    told = text_of(ask.asked[1][1][len(ask.asked[0][1]) :])
    assert "(t=0.0s) longitudinal: Not Available, lateral: Go Straight" in told
    assert "(t=5.5s) longitudinal: Not Available, lateral: Go Straight" in told
    assert "(t=0.5s) longitudinal 8.00" in told
    assert "(t=6.0s) longitudinal 8.00" in told
    assert "t=-" not in told


def test_the_second_stage_continues_the_conversation_of_the_first():
    first_answer = answer(listed("a white van"))
    _, ask = ask_with(first_answer, answer(decided(STOP, "c1")))
    (_, first, _, _), (_, second, _, _) = ask.asked
    assert second[: len(first)] == first
    assert (second[len(first)].role, second[len(first)].text) == ("assistant", first_answer["text"])
    chat = DummyWrapper("dummy").add_message_seq
    begun, gone_on = chat(messages(first)), chat(messages(second))
    assert gone_on[: len(begun)] == begun
    assert [message["role"] for message in gone_on] == ["system", "user", "assistant", "user"]


def test_the_second_stage_is_reminded_of_the_ids():
    seen = listed("a white\nvan", "a light")
    seen["components"][1] |= {"category": "traffic_light", "relation": None, "side": "left"}
    _, ask = ask_with(answer(seen), answer(decided()))
    assert ask.asked[1][1][-1].text == (
        "# Step 2\nYour components:\nc1: a white van (critical_object, lead)\nc2: a light (traffic_light, left)\n"
        "Name the decision that ego took at t=0 and its causes, as JSON.\n"
    )


def test_without_components_every_cause_is_unobserved():
    result, ask = ask_with(answer(listed()), answer(decided()))
    assert ask.asked[1][2] is DECISION_FORMS[0]
    assert 'You listed no component: every cause is "unobserved".' in ask.asked[1][1][-1].text
    assert result.label.longitudinal.cause_ids == ("unobserved",)


def test_a_cause_that_emerged_later_is_kept_apart():
    later = {"category": "critical_object", "relation": "cut_in", "side": "right", "description": "a car cuts in"}
    result, _ = ask_with(answer(listed("a bus")), answer(decided(emerged_after=later)))
    label = result.label
    assert (label.emerged_after.description, label.emerged_after.relation) == ("a car cuts in", "cut_in")
    assert [component.description for component in label.components] == ["a bus"]
    assert label.longitudinal.cause_ids == ("unobserved",)


@pytest.mark.parametrize("cited", [["c2"], ["c1", "unobserved"], [], ["c0"], ["bus"]])
def test_what_was_not_listed_cannot_be_cited(cited):
    wrong = decided() | {"longitudinal": {"decision": "stop", "cause_ids": cited}}
    result, ask = ask_with(answer(listed("a bus")), answer(wrong), answer(decided(STOP, "c1")))
    assert ask.purposes == ["components", "label", "again"]
    assert result.label.longitudinal.cause_ids == ("c1",)


def test_unreadable_history_ends_it():
    result, ask = ask_with(answer(listed(unreadable=True)))
    assert (reason_of(result), ask.purposes) == ("unreadable_video", ["components"])


def test_more_than_eight_components_are_asked_for_again():
    many = [f"car {n}" for n in range(9)]
    result, ask = ask_with(answer(listed(*many)), answer(listed(*many[:8])), answer(decided(STOP, "c8")))
    assert (len(result.label.components), ask.purposes) == (8, ["components", "again", "label"])


@pytest.mark.parametrize(
    ("answers", "reason", "purposes"),
    [
        ([answer(None, "refusal")], "refused", ["components"]),
        ([answer("no"), answer("no")], "invalid_answer", ["components", "again"]),
        ([answer("{", "length"), answer("{", "length")], "truncated_answer", ["components", "more_tokens"]),
        ([answer(listed()), answer(None)], "empty_answer", ["components", "label"]),
        ([answer(listed()), answer("no"), answer("no")], "invalid_answer", ["components", "label", "again"]),
        ([answer(listed()), answer(decided("null"))], "empty_answer", ["components", "label"]),
        ([answer(listed()), answer(decided("I cannot help."))], "refused", ["components", "label"]),
    ],
)
def test_an_answer_of_either_stage_that_is_none_is_an_abstention(answers, reason, purposes):
    result, ask = ask_with(*answers)
    assert (reason_of(result), ask.purposes) == (reason, purposes)


def test_a_contradiction_is_repaired_with_the_motion_of_the_future():
    repaired = {k: v for k, v in decided(KEEP, "c1").items() if k != "emerged_after"}
    repaired["longitudinal"] = {"decision": "track_speed", "cause_ids": ["unobserved"]}
    result, ask = ask_with(answer(listed("a bus")), answer(decided(STOP, "c1")), answer(repaired), check=True)
    assert (result.repair.before, result.repair.after) == (STOP, KEEP)
    assert [(purpose, form) for purpose, _, form, _ in ask.asked][2] == ("repair", RepairAnswer)
    shown = ask.asked[2][1][1].text
    assert "(t=6.0s) longitudinal 8.00" in shown
    assert "t=-" not in shown
    assert "emerged_after" not in shown


def test_a_short_history_and_a_cut_future_are_told_with_their_true_times():
    own = recorded_window(drive(3.0), 700_000)
    asking = agent()
    frames = frames_of(own)
    there = CameraFrames("front", tuple(shot for shot in frames.shots if 0 <= shot.t_us <= 3_000_000), 10)
    prepared = asking.prepare(own, [there])
    assert prepared.parts[1].text == (
        "# History\nThe recording begins 0.7 s before t=0: there is nothing earlier.\n"
        "3 of 5 frames of front do not exist.\n\n# Meta-actions\nNot Available\n\n# Ego speed (m/s)\nNot Available"
    )
    assert prepared.later[0].text.startswith(
        "# After t=0\nThe recording ends 2.3 s after t=0: what ego does later is not known.\n"
        "7 of 11 frames of front do not exist.\n"
    )


def test_records_know_files_of_all_frames():
    _, prepared = prepared_window()
    assert len(prepared.shots) == 16
    assert {shot.file.endswith(".front.mp4") for shot in prepared.shots} == {True}


def test_two_cameras_are_shown_one_after_the_other_in_each_stage():
    own = recorded_window(lively_drive(), 5_000_000)
    prepared = agent().prepare(own, [frames_of(own, "left"), frames_of(own, "front", missing=5)])
    shown = [part.text for part in (*prepared.parts, *prepared.later) if part.text.startswith("# Frames of")]
    assert shown == ["# Frames of left", "# Frames of left", "# Frames of front"]
    assert [{s.file.split(".")[1] for _, s in part.frames} for part in prepared.later if part.frames] == [
        {"left"},
        {"front"},
    ]


def test_labels_that_are_sentences_alone_are_refused():
    with pytest.raises(CocLabelingError, match="structured_output"):
        agent(structured_output=False)


@given(
    st.lists(
        st.sampled_from(["{", None, listed("a"), decided(STOP, "c1"), decided(), decided("null"), 7, []]),
        min_size=7,
        max_size=7,
    ),
    st.booleans(),
)
def test_whatever_a_model_answers_there_is_a_label_or_an_abstention(contents, check):
    asking, prepared = prepared_window(check=check)
    ask = ScriptedAsk([answer(content, "length" if content == "{" else "stop") for content in contents])
    result = labelled(asking, prepared, ask)
    assert CoCLabel.model_validate(result.label.model_dump()) == result.label
    assert len(ask.asked) <= 7
    assert json.dumps(result.label.model_dump(mode="json"))
