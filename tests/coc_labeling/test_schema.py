import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from builders.records import full_record, labels, records
from coc_labeling.schema import (
    CoCLabel,
    Component,
    Lateral,
    LateralDecision,
    Longitudinal,
    LongitudinalDecision,
    ModelCall,
    PromptMessage,
    Provenance,
    Record,
    Repair,
    Usage,
    WindowInfo,
    abstain,
    is_empty_answer,
    released_content,
    released_sentence,
)

LEAD = {"id": "c1", "category": "critical_object", "relation": "lead", "description": "a car"}
SENTENCE = "Keep distance to the lead vehicle."


def label(**fields) -> CoCLabel:
    return CoCLabel.model_validate({"effect_on_ego_behavior": SENTENCE, **fields})


def record(**changes) -> Record:
    own = label()
    fields = {
        "clip_id": "clip",
        "event_start_frame": 126,
        "event_start_timestamp": 12_600_000,
        "final_content": released_content(own),
        "label": own,
    }
    return Record.model_validate(fields | changes)


def test_a_cause_is_a_component():
    followed = label(longitudinal={"decision": "follow_lead", "cause_ids": ["c1"]}, components=[LEAD])
    assert followed.longitudinal.cause_ids == ("c1",)


def test_a_cause_that_is_no_component_is_refused_and_named():
    with pytest.raises(ValidationError, match="cause_ids c2 are no components; there are: c1"):
        label(longitudinal={"decision": "follow_lead", "cause_ids": ["c2"]}, components=[LEAD])


def test_a_cause_may_be_unobserved():
    assert label(lateral={"decision": "keep_lane", "cause_ids": ["unobserved"]}).lateral.cause_ids == ("unobserved",)


@pytest.mark.parametrize("channel", [{"longitudinal": {"decision": "stop"}}, {"lateral": {"decision": "keep_lane"}}])
def test_causes_are_never_both_observed_and_unobserved(channel):
    (name, fields), *_ = channel.items()
    with pytest.raises(ValidationError, match="not both"):
        label(**{name: fields | {"cause_ids": ["c1", "unobserved"]}}, components=[LEAD])


@pytest.mark.parametrize("model", [Longitudinal, Lateral])
def test_a_decision_without_a_cause_is_refused(model):
    with pytest.raises(ValidationError, match="cause_ids"):
        model(decision="stop" if model is Longitudinal else "keep_lane", cause_ids=())


def test_a_cause_counts_once():
    with pytest.raises(ValidationError, match="repeat"):
        label(longitudinal={"decision": "stop", "cause_ids": ["c1", "c1"]}, components=[LEAD])


def test_component_ids_do_not_repeat():
    with pytest.raises(ValidationError, match="component ids repeat: c1, c1"):
        label(components=[LEAD, LEAD])


@pytest.mark.parametrize("bad", ["", "c0", "c01", "1", "unobserved", "C1", "c1\n"])
def test_component_ids_are_c_and_a_number(bad):
    with pytest.raises(ValidationError, match="id"):
        Component(id=bad, category="lane", description="a lane")


@pytest.mark.parametrize("decision", ["nudge_in_lane", "nudge_out_of_lane", "change_lane", "turn"])
def test_some_decisions_need_a_direction(decision):
    with pytest.raises(ValidationError, match=f"{decision} needs a direction, left or right"):
        Lateral(decision=decision, cause_ids=("unobserved",))


def test_keeping_the_lane_has_no_direction():
    with pytest.raises(ValidationError, match="keep_lane has no direction"):
        Lateral(decision="keep_lane", direction="left", cause_ids=("unobserved",))


@pytest.mark.parametrize("decision", ["merge", "split", "pull_over", "abort_manoeuvre"])
@pytest.mark.parametrize("direction", [None, "left", "right"])
def test_the_other_decisions_may_have_one(decision, direction):
    assert Lateral(decision=decision, direction=direction, cause_ids=("unobserved",)).direction == direction


@pytest.mark.parametrize(
    "sentence",
    [
        *[None, "", "  ", "null", "NULL", " None. ", '"null"', "nan", "N/A", "unknown", "...", "-", "\n"],
        *["Not available", "not_applicable", "None observed.", "No label", "TBD", "string", "{}", "<sentence>", "🚗"],
        *["null, null", "<your sentence here>", "No driving decision.", "Effect on ego behavior", "12.5"],
    ],
)
def test_a_sentence_that_says_nothing_is_refused(sentence):
    assert is_empty_answer(sentence)
    with pytest.raises(ValidationError, match="effect_on_ego_behavior"):
        CoCLabel(effect_on_ego_behavior=sentence)


@pytest.mark.parametrize(
    "sentence",
    ["Stop.", "None of the lanes is blocked.", "Unknown debris ahead: stop.", "dummy", "null and void", "停车"],
)
def test_a_sentence_that_says_something_is_taken(sentence):
    assert CoCLabel(effect_on_ego_behavior=sentence).effect_on_ego_behavior == sentence


@pytest.mark.parametrize(
    "extra",
    [
        {"longitudinal": {"decision": "stop", "cause_ids": ["unobserved"]}},
        {"lateral": {"decision": "keep_lane", "cause_ids": ["unobserved"]}},
        {"components": [LEAD]},
        {"trace": "Ego stands."},
        {"effect_on_ego_behavior": SENTENCE},
    ],
    ids=lambda extra: next(iter(extra)),
)
def test_an_abstention_carries_nothing_else(extra):
    with pytest.raises(ValidationError, match="an abstention carries no"):
        CoCLabel.model_validate({"abstention": {"reason": "no_frames", "detail": "no video"}, **extra})


@pytest.mark.parametrize("reason", ["", "No Frames", "no-frames", "1st", "no_frames\n"])
def test_an_abstention_s_reason_is_a_key_to_count_by(reason):
    with pytest.raises(ValidationError, match="reason"):
        abstain(reason, "detail")


def test_an_abstention_says_what_happened():
    with pytest.raises(ValidationError, match="detail"):
        abstain("no_frames", " ")


@pytest.mark.parametrize("field", ["schema_version", "taxonomy_version"])
def test_a_label_of_another_version_is_refused(field):
    with pytest.raises(ValidationError, match=field):
        label(**{field: 9})


def test_unknown_fields_are_refused():
    with pytest.raises(ValidationError, match="confidence"):
        label(confidence=0.9)


def test_a_label_does_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        label().trace = "other"


@settings(max_examples=60, deadline=None)
@given(labels())
def test_every_valid_label_is_read_back_from_json(own):
    assert CoCLabel.model_validate_json(own.model_dump_json()) == own


def test_the_taxonomy_is_the_one_of_the_spec():
    assert list(LongitudinalDecision) == [
        "track_speed",
        "follow_lead",
        "adapt_speed",
        "search_gap",
        "overtake",
        "yield",
        "stop",
    ]
    lateral = "keep_lane merge split nudge_out_of_lane nudge_in_lane change_lane pull_over turn abort_manoeuvre"
    assert list(LateralDecision) == lateral.split()


@pytest.mark.parametrize(("frame", "t_us"), [(126, 12_600_000), (126, 12_699_999), (0, 0)])
def test_frame_and_timestamp_of_a_record_agree(frame, t_us):
    assert record(event_start_frame=frame, event_start_timestamp=t_us).event_start_frame == frame


@pytest.mark.parametrize(("frame", "t_us"), [(127, 12_600_000), (126, 12_700_000), (126, 126)])
def test_a_frame_that_is_not_the_timestamp_s_is_refused(frame, t_us):
    with pytest.raises(ValidationError, match=f"event_start_frame {frame} is not event_start_timestamp {t_us} us"):
        record(event_start_frame=frame, event_start_timestamp=t_us)


def test_time_does_not_start_before_the_clip():
    with pytest.raises(ValidationError, match="event_start_timestamp"):
        record(event_start_frame=-1, event_start_timestamp=-100_000)


def test_a_record_belongs_to_a_clip():
    with pytest.raises(ValidationError, match="clip_id"):
        record(clip_id="")


def test_the_released_sentence_and_the_label_s_must_agree():
    other = {"ego_behavior_schema": {"effect_on_ego_behavior": "Stop."}}
    with pytest.raises(ValidationError, match="they must agree"):
        record(final_content=other)


def test_an_abstention_has_no_released_content():
    assert released_content(abstain("no_frames", "no video")) == {}
    with pytest.raises(ValidationError, match="they must agree"):
        record(label=abstain("no_frames", "no video"))


@pytest.mark.parametrize("content", [None, [], "text", {}, {"ego_behavior_schema": None}, {"ego_behavior_schema": {}}])
def test_released_content_without_a_sentence_gives_none(content):
    assert released_sentence(content) is None


def test_a_full_record_is_valid():
    assert Record.model_validate(full_record().model_dump()) == full_record()


def test_what_came_with_calls_is_empty_where_there_were_none():
    own = record()
    assert (own.calls, own.repair, own.usage.cached_tokens) == ((), None, 0)
    assert (WindowInfo(history_sec=2, future_sec=6).frames, WindowInfo(history_sec=2, future_sec=6).notes) == (0, ())
    assert (Provenance(agent="a", model="b").model_id, Provenance(agent="a", model="b").images) == ("", {})


@pytest.mark.parametrize("outcome", ["", "done", None])
def test_a_repair_is_made_or_failed(outcome):
    with pytest.raises(ValidationError, match="outcome"):
        Repair(outcome=outcome, reasons=(), before="a")


@pytest.mark.parametrize("model", [ModelCall, Repair, Usage, WindowInfo, Provenance, PromptMessage])
def test_unknown_fields_are_refused_below_a_record_too(model):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        model.model_validate({"nonsense": 1})


@pytest.mark.parametrize("text", ["half a \ud83d pair", "x" * 100_001])
def test_answers_that_no_file_should_hold_are_refused(text):
    with pytest.raises(ValidationError, match="answer"):
        ModelCall(purpose="label", request_hash="aa", max_tokens=1, answer=text)
    with pytest.raises(ValidationError, match="before"):
        Repair(outcome="failed", reasons=(), before=text)


@given(records())
def test_every_valid_record_is_read_back_from_json(own):
    assert Record.model_validate_json(own.model_dump_json()) == own
