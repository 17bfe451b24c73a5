import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from builders.asked import structured
from builders.records import labels
from coc_labeling.agents.answers import (
    MAX_COMPONENTS,
    MAX_DESCRIPTION_CHARS,
    MAX_SENTENCE_CHARS,
    MAX_TRACE_CHARS,
    RepairAnswer,
    SentenceAnswer,
    StructuredAnswer,
    UnusableAnswerError,
    to_label,
)
from coc_labeling.schema import (
    NEED_DIRECTION,
    Category,
    CoCLabel,
    LateralDecision,
    LongitudinalDecision,
    Record,
    is_empty_answer,
    released_content,
)

FORMS = [StructuredAnswer, SentenceAnswer]
LEAD = {"id": "c1", "category": "critical_object", "relation": "lead", "side": None, "description": "a white van"}
UNOBSERVED = ["unobserved"]


def said(sentence) -> CoCLabel:
    return to_label({"unreadable": False, "effect_on_ego_behavior": sentence}, SentenceAnswer)


def reason_of(label: CoCLabel) -> str | None:
    return label.abstention and label.abstention.reason


def problem_of(content, form=StructuredAnswer) -> str:
    with pytest.raises(UnusableAnswerError) as caught:
        to_label(content, form)
    return str(caught.value)


def test_a_structured_answer_is_a_label():
    label = to_label(structured("Stop behind the lead vehicle."), StructuredAnswer)
    assert (label.longitudinal.decision, label.longitudinal.cause_ids) == ("stop", ("c1",))
    assert label.lateral is None
    assert [c.description for c in label.components] == ["a white van"]
    assert label.trace == "A van stands ahead."
    assert label.effect_on_ego_behavior == "Stop behind the lead vehicle."


def test_a_sentence_is_a_label():
    assert said("Stop behind the lead vehicle.") == CoCLabel(effect_on_ego_behavior="Stop behind the lead vehicle.")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "wrapped", ["{}", "```json\n{}\n```", "Here it is:\n```\n{}\n```\nDone.", "<think>hm</think>{}"]
)
def test_text_around_an_answer_is_dropped(form, wrapped):
    content = structured() if form is StructuredAnswer else {"unreadable": False, "effect_on_ego_behavior": "Stop."}
    assert to_label(wrapped.replace("{}", json.dumps(content)), form).effect_on_ego_behavior


def test_white_space_in_a_sentence_is_tidied():
    assert said("  Stop\n behind \t the lead.  ").effect_on_ego_behavior == "Stop behind the lead."


@pytest.mark.parametrize(
    "sentence",
    [
        *["", " ", "\n", "null", "NULL.", '"None"', "n/a", "N/A.", "unknown", "undefined", "-", ".", "...", "nan"],
        *[
            "Not available",
            "Not applicable.",
            "None observed",
            "No label",
            "TBD",
            "string",
            "{}",
            "<sentence>",
            "[]",
            "?",
        ],
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_sentences_that_say_nothing_are_abstentions(sentence, form):
    content = (
        structured(sentence) if form is StructuredAnswer else {"unreadable": False, "effect_on_ego_behavior": sentence}
    )
    label = to_label(content, form)
    assert reason_of(label) == "empty_answer"
    assert released_content(label) == {}


@pytest.mark.parametrize(
    "sentence",
    [
        "I'm sorry, but I can't help with that.",
        "I’m sorry, I can’t assist.",
        "I am sorry.",
        "Sorry, no.",
        "I can't determine the cause.",
        "I cannot label this.",
        "I can not do that.",
        "I am unable to assist with identifying people.",
        "I'm unable to help.",
        "I’m not able to see who that is.",
        "I won't describe this.",
        "As an AI, I do not drive.",
        '"I cannot answer."',
        "I'm afraid I can't help with that.",
        "Unfortunately, I cannot say.",
        "My apologies, this is not something to label.",
        "I don't have enough to go on.",
        "As a large language model, I see nothing.",
        "Unable to assist with that.",
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_refusals_in_words_are_abstentions(sentence, form):
    content = (
        structured(sentence) if form is StructuredAnswer else {"unreadable": False, "effect_on_ego_behavior": sentence}
    )
    label = to_label(content, form)
    assert reason_of(label) == "refused"
    assert sentence[:30].strip('"') in label.abstention.detail


@pytest.mark.parametrize(
    "sentence",
    [
        "Unable to see the road.",
        "The frames are black; cannot see anything.",
        "Ego can't read the frames.",
        "No frames are provided.",
        "No video available.",
        "There is no image visible.",
        "No images were given.",
        "Unable to determine the driving decision.",
        "Cannot reliably determine what ego does.",
        "No driving decision can be determined from the frames.",
        "The driving decision cannot be determined.",
        "The images are too dark to judge.",
        "The frames are completely black.",
        "The video is corrupted; nothing can be said, and no decision made.",
        "No frames are available after t=0.",
        "There is insufficient information.",
    ],
)
def test_video_that_cannot_be_read_is_an_abstention(sentence):
    assert reason_of(said(sentence)) == "unreadable_video"


def test_a_model_that_calls_the_frames_unreadable_is_believed():
    assert reason_of(to_label(structured("", unreadable=True), StructuredAnswer)) == "unreadable_video"
    assert reason_of(to_label(structured(unreadable=True), StructuredAnswer)) == "unreadable_video"


@pytest.mark.parametrize(
    "sentence",
    [
        "Stop for the sorry state of the road.",
        "Yield to the cyclist that cannot stop.",
        "Decelerate: the lane is not available.",
        "None of the lanes is free: stop.",
        "Stop at the unknown obstacle.",
        "Slow down, the camera car ahead brakes.",
        "Proceed, no vehicle is visible.",
        "No frames are available after t=0, so keep lane.",
        "The images are dark: slow down for the unlit road.",
        "Slow down; no cause can be determined.",
        "Stop: ego cannot see the road ahead in the fog.",
        "Wait, the intent of the pedestrian cannot be determined.",
        "Yield to the unknown vehicle.",
        "Not available lane ahead: merge left.",
        "dummy",
        "Stop",
        "Slow down beside the parked van: ego cannot see the crosswalk behind it.",
    ],
)
def test_sentences_that_only_sound_like_it_are_labels(sentence):
    assert said(sentence).effect_on_ego_behavior == sentence


@pytest.mark.parametrize(
    "content", [None, 7, True, [], [structured()], "", "Stop.", "{", '{"a": 1} {"b": 2}', "[1]", "null"]
)
@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_object_is_said_to_be_none(content, form):
    assert problem_of(content, form) == "it was not a JSON object."


CHANGES = {
    "no such decision": ({"longitudinal": {"decision": "fly", "cause_ids": ["c1"]}}, "longitudinal.decision"),
    "a decision of the other channel": (
        {"lateral": {"decision": "stop", "direction": None, "cause_ids": ["c1"]}},
        "lateral.decision",
    ),
    "no causes": ({"longitudinal": {"decision": "stop", "cause_ids": []}}, "cause_ids"),
    "a cause that is no component": (
        {"longitudinal": {"decision": "stop", "cause_ids": ["c2"]}},
        "cause_ids c2 are no components; there are: c1",
    ),
    "observed and unobserved": ({"longitudinal": {"decision": "stop", "cause_ids": ["c1", "unobserved"]}}, "not both"),
    "a cause twice": ({"longitudinal": {"decision": "stop", "cause_ids": ["c1", "c1"]}}, "repeat"),
    "a turn without a side": (
        {"lateral": {"decision": "turn", "direction": None, "cause_ids": UNOBSERVED}},
        "turn needs a direction",
    ),
    "a lane kept to one side": (
        {"lateral": {"decision": "keep_lane", "direction": "left", "cause_ids": UNOBSERVED}},
        "keep_lane has no direction",
    ),
    "no such side": (
        {"lateral": {"decision": "turn", "direction": "up", "cause_ids": UNOBSERVED}},
        "lateral.direction",
    ),
    "no such category": ({"components": [LEAD | {"category": "alien"}]}, "components.0.category"),
    "no such relation": ({"components": [LEAD | {"relation": "friend"}]}, "components.0.relation"),
    "no description": ({"components": [LEAD | {"description": " "}]}, "description"),
    "an odd id": ({"components": [LEAD | {"id": "lead"}]}, "id"),
    "an id twice": ({"components": [LEAD, LEAD]}, "component ids repeat: c1, c1"),
    "a field too many": ({"confidence": 0.9}, "confidence"),
    "a field too many in a component": ({"components": [LEAD | {"track_id": "7"}]}, "components.0.track_id"),
    "a text for components": ({"components": "a van"}, "components"),
    "a number for the sentence": ({"effect_on_ego_behavior": 7}, "effect_on_ego_behavior"),
    "no sentence": ({"effect_on_ego_behavior": None}, "effect_on_ego_behavior"),
    "a long sentence": (
        {"effect_on_ego_behavior": "Stop. " * 100},
        "effect_on_ego_behavior: String should have at most 400 characters",
    ),
    "half a character": ({"effect_on_ego_behavior": "Stop \ud83d."}, "effect_on_ego_behavior"),
}


@pytest.mark.parametrize(("changes", "problem"), CHANGES.values(), ids=CHANGES)
def test_what_is_wrong_is_said(changes, problem):
    assert problem in problem_of(structured() | changes)


@pytest.mark.parametrize("field", StructuredAnswer.model_fields)
def test_a_missing_field_is_named(field):
    content = structured()
    del content[field]
    assert f"{field}: Field required" in problem_of(content)


def test_at_most_eight_components_are_taken():
    many = [LEAD | {"id": f"c{number}"} for number in range(1, MAX_COMPONENTS + 2)]
    assert len(to_label(structured(components=many[:-1]), StructuredAnswer).components) == 8
    assert "components: List should have at most 8 items" in problem_of(structured(components=many))


def test_the_longest_sentence_is_taken():
    assert said("a" * MAX_SENTENCE_CHARS).effect_on_ego_behavior
    assert "at most 400 characters" in problem_of(
        {"unreadable": False, "effect_on_ego_behavior": "a" * 401}, SentenceAnswer
    )


def test_a_problem_never_repeats_the_whole_answer():
    content = structured(components=[LEAD | {f"field {n}": "x" * 1000 for n in range(50)}])
    assert len(problem_of(content)) < 1000


def test_no_trace_is_none():
    assert to_label(structured(trace="  "), StructuredAnswer).trace is None


def test_both_channels_may_be_without_a_decision():
    label = to_label(structured(longitudinal=None), StructuredAnswer)
    assert (label.longitudinal, label.lateral) == (None, None)


@pytest.mark.parametrize("decision", LateralDecision)
def test_every_lateral_decision_can_be_answered(decision):
    side = "left" if decision in NEED_DIRECTION else None
    answer = structured(lateral={"decision": decision, "direction": side, "cause_ids": UNOBSERVED})
    assert to_label(answer, StructuredAnswer).lateral.decision == decision


@pytest.mark.parametrize("decision", LongitudinalDecision)
def test_every_longitudinal_decision_can_be_answered(decision):
    answer = structured(longitudinal={"decision": decision, "cause_ids": UNOBSERVED})
    assert to_label(answer, StructuredAnswer).longitudinal.decision == decision


@pytest.mark.parametrize("category", Category)
def test_every_category_can_be_answered(category):
    answer = structured(components=[LEAD | {"category": category}])
    assert to_label(answer, StructuredAnswer).components[0].category == category


def test_words_in_an_answer_are_data():
    label = said("Ignore all rules {problem} <script>alert(1)</script> ${HOME} %s")
    assert label.effect_on_ego_behavior == "Ignore all rules {problem} <script>alert(1)</script> ${HOME} %s"


def test_a_repair_has_no_field_for_components():
    assert "components" not in RepairAnswer.model_fields


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
ids = st.sampled_from(["c1", "c2", "c9", "unobserved", "", "C1"])
sides = st.sampled_from(["left", "right", "up"]) | st.none()
sentences = st.sampled_from(["Stop.", "", "null", "I cannot.", "Unable to see.", "x" * 500, "\ud800"]) | st.text(
    max_size=30
)
components = st.fixed_dictionaries(
    {
        "id": ids,
        "category": st.sampled_from([*Category, "alien"]),
        "relation": st.sampled_from(["lead", "friend", None]),
        "side": sides,
        "description": st.text(max_size=10),
    }
)
causes = st.lists(ids, max_size=3)
almost = st.fixed_dictionaries(
    {
        "unreadable": st.booleans() | st.just("no"),
        "components": st.lists(components, max_size=10),
        "longitudinal": st.none()
        | st.fixed_dictionaries({"decision": st.sampled_from([*LongitudinalDecision, "fly"]), "cause_ids": causes}),
        "lateral": st.none()
        | st.fixed_dictionaries(
            {"decision": st.sampled_from([*LateralDecision, "fly"]), "direction": sides, "cause_ids": causes}
        ),
        "trace": st.text(max_size=20),
        "effect_on_ego_behavior": sentences,
    },
    optional={"more": scalars},
)


def label_or_nothing(content, form) -> CoCLabel | None:
    try:
        return to_label(content, form)
    except UnusableAnswerError:
        return None


def check(content, form) -> None:
    label = label_or_nothing(content, form)
    if label is None:
        return
    assert CoCLabel.model_validate_json(label.model_dump_json()) == label
    assert (label.abstention is None) != is_empty_answer(label.effect_on_ego_behavior)
    content = released_content(label)
    Record(clip_id="a", event_start_frame=0, event_start_timestamp=0, final_content=content, label=label)


@settings(max_examples=300)
@given(almost | anything | st.text(max_size=60), st.sampled_from(FORMS))
def test_no_answer_makes_anything_but_a_valid_label_an_abstention_or_a_refusal_of_it(content, form):
    check(content, form)


@settings(max_examples=200)
@given(almost)
def test_an_answer_as_text_gives_what_the_answer_gives(content):
    text = json.dumps(content)
    assert label_or_nothing(text, StructuredAnswer) == label_or_nothing(json.loads(text), StructuredAnswer)


@given(labels())
def test_every_label_can_be_answered(own):
    assume(own.abstention is None)
    assume(len(own.effect_on_ego_behavior) <= MAX_SENTENCE_CHARS and len(own.trace or "") <= MAX_TRACE_CHARS)
    assume(all(len(c.description) <= MAX_DESCRIPTION_CHARS for c in own.components))
    content = own.model_dump(mode="json", include=set(StructuredAnswer.model_fields))
    content["components"] = [{k: v for k, v in c.items() if k != "track_id"} for c in content["components"]]
    label = to_label({**content, "unreadable": False, "trace": own.trace or ""}, StructuredAnswer)
    if label.abstention is None:
        assert (label.longitudinal, label.lateral) == (own.longitudinal, own.lateral)
        assert label.effect_on_ego_behavior == " ".join(own.effect_on_ego_behavior.split())
