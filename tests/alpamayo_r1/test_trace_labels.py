import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpamayo_r1.trace_labels import label_of_trace
from coc_labeling.schema import Category, Lateral, LongitudinalDecision, Relation, Side


def test_a_sentence_that_is_read_whole_becomes_a_structured_label():
    label = label_of_trace("Slow down to keep a safe distance from the lead vehicle.")
    assert label.effect_on_ego_behavior == label.trace == "Slow down to keep a safe distance from the lead vehicle."
    assert [(c.id, c.category, c.relation) for c in label.components] == [
        ("c1", Category.CRITICAL_OBJECT, Relation.LEAD)
    ]
    assert label.longitudinal is None or label.longitudinal.cause_ids == ("c1",)
    stop = label_of_trace("Stop for the red light ahead.")
    assert stop.longitudinal.decision is LongitudinalDecision.STOP
    nudge = label_of_trace("Nudge left to pass the parked car on the right.")
    assert isinstance(nudge.lateral, Lateral)
    assert (nudge.lateral.direction, nudge.lateral.cause_ids) == (Side.LEFT, ("c1",))


def test_a_trace_with_words_that_are_not_understood_stays_a_sentence():
    label = label_of_trace("Stop for the flurbing zwocket ahead.")
    assert label.effect_on_ego_behavior == "Stop for the flurbing zwocket ahead."
    assert (label.longitudinal, label.lateral, label.components) == (None, None, ())


def test_what_is_said_to_be_absent_is_no_cause():
    label = label_of_trace("Keep the speed since there is no pedestrian ahead.")
    assert label.components == ()
    if label.longitudinal is not None:
        assert label.longitudinal.cause_ids == ("unobserved",)


def test_a_reasoning_that_ended_counts_even_if_what_follows_it_did_not():
    assert label_of_trace("Stop for the red light ahead.", whole=False).longitudinal is not None


@pytest.mark.parametrize(
    ("text", "whole", "reason"),
    [
        ("", True, "empty_answer"),
        ("...", True, "empty_answer"),
        ("", False, "truncated_answer"),
        ("A pedestrian stands on the pavement.", True, "no_decision"),
        ("I'm sorry, I cannot help with that.", True, "refused"),
    ],
)
def test_what_is_no_label_is_an_abstention_with_a_reason(text, whole, reason):
    assert label_of_trace(text, whole=whole).abstention.reason == reason


@given(st.text(max_size=300), st.booleans())
def test_any_text_gives_a_label_or_an_abstention(text, whole):
    label = label_of_trace(text, whole=whole)
    assert (label.abstention is None) == bool(label.effect_on_ego_behavior)
