import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.scenes import random_drive, window_at
from coc_labeling.agents import RulesAgent
from coc_labeling.reading import differences, read_sentence
from coc_labeling.schema import UNOBSERVED, CoCLabel, Component, Lateral, Longitudinal, abstain


def label(sentence: str, speed: str = "", lane: str = "", **cause) -> CoCLabel:
    """Return a label of a sentence, decisions ("turn/left") and one cause."""
    causes = ("c1",) if cause else (UNOBSERVED,)
    component = Component(id="c1", **{"description": "something", **cause}) if cause else None
    decision, _, direction = lane.partition("/")
    return CoCLabel(
        longitudinal=Longitudinal(decision=speed, cause_ids=causes) if speed else None,
        lateral=Lateral(decision=decision, direction=direction or None, cause_ids=causes) if lane else None,
        components=(component,) if component else (),
        effect_on_ego_behavior=sentence,
    )


def found(own: CoCLabel) -> list[str]:
    return [d.what for d in differences(own, read_sentence(own.effect_on_ego_behavior))]


LEAD = {"category": "critical_object", "relation": "lead"}
LIGHT = {"category": "traffic_light", "description": "red traffic light"}
CURVE = {"category": "lane", "side": "right", "description": "right curve"}
PARKED = {"category": "critical_object", "relation": "parked", "side": "right", "description": "parked van"}

AGREE = [
    label("Stop behind the lead vehicle.", "follow_lead", **LEAD),
    label("Stop behind the lead vehicle.", "stop", **LEAD),
    label("Decelerate to a stop behind the stopped lead vehicle 9 m ahead.", "follow_lead", **LEAD),
    label("Decelerate gently.", "adapt_speed"),
    label("Decelerate gently.", "follow_lead", **LEAD),
    label("Turn left.", "follow_lead", "turn/left", **LEAD),
    label("Stop for the red light.", "stop", **LIGHT),
    label("Slow down for the light.", "stop", **LIGHT),
    label("Wait at the red light, then proceed when it turns green.", "stop", **LIGHT),
    label("Wait at the light, then proceed when it turns green.", "stop", **LIGHT),
    label("Slow down for the right curve.", "adapt_speed", "keep_lane", **CURVE),
    label("Nudge left to pass the parked van on the right.", "", "nudge_in_lane/left", **PARKED),
    label("Nudge left to pass the parked van.", "", "nudge_out_of_lane/left", **PARKED),
    label("Stop for the crossing pedestrian.", "yield", category="critical_object", relation="crossing"),
    label("Merge into the left lane.", "", "change_lane/left"),
    label("Nudge left around the van, then return to the right.", "", "nudge_in_lane/left", **PARKED),
    label("Decelerate gently and steer slightly left.", "adapt_speed", "keep_lane"),
    label("Stop behind the bus stopped ahead.", "stop", category="critical_object", relation="parked"),
    label("Stop for the zeppelin.", "stop", **LIGHT),
    label("Keep lane since the road is clear.", "track_speed", "keep_lane"),
    label("See the sky.", "stop", "turn/left", **LIGHT),
    label("Turn left right left left the the.", "", "turn/right"),
]


@pytest.mark.parametrize("own", AGREE, ids=[own.effect_on_ego_behavior for own in AGREE])
def test_a_sentence_that_says_the_same_or_less_has_no_difference(own):
    assert found(own) == []


DIFFER = [
    (label("Accelerate to resume speed.", "stop"), ["decision"]),
    (label("Accelerate.", "yield"), ["motion"]),
    (label("Remain stopped at the red light.", "track_speed", **LIGHT), ["decision"]),
    (label("Stop for the red light.", "follow_lead", **LIGHT), ["decision"]),
    (label("Proceed without stopping.", "stop"), ["decision", "decision"]),
    (label("Turn left.", "", "turn/right"), ["direction"]),
    (label("Turn left.", "", "change_lane/left"), ["decision"]),
    (label("Steer left around the van.", "", "nudge_in_lane/right", **PARKED), ["direction"]),
    (label("Change lanes to the left.", "", "keep_lane"), ["decision"]),
    (label("Keep the lane and do not turn.", "", "turn/left"), ["decision", "decision"]),
    (label("Stop for the green light.", "stop", **LIGHT), ["colour"]),
    (label("Slow down for the left curve.", "adapt_speed", **CURVE), ["side"]),
    (label("Nudge left to pass the parked van on the left.", "", "nudge_in_lane/left", **PARKED), ["side"]),
    (label("Yield to the oncoming bus.", "yield", category="critical_object", relation="crossing"), ["relation"]),
    (label("Stop for the red light.", "stop", category="road_event", description="roadworks"), ["cause"]),
    (label("Keep the speed since no lead vehicle is present.", "track_speed", **LEAD), ["cause"]),
]


@pytest.mark.parametrize(("own", "what"), DIFFER, ids=[own.effect_on_ego_behavior for own, _ in DIFFER])
def test_a_sentence_that_says_something_else_differs(own, what):
    assert found(own) == what


def test_a_difference_tells_both_sides_in_words():
    own = label("Turn left at the junction.", "", "turn/right")
    (difference,) = differences(own, read_sentence(own.effect_on_ego_behavior))
    assert str(difference) == "direction: structured right, but the sentence says left ('turn left')"


def test_an_abstention_and_a_garbled_sentence_differ_from_nothing():
    assert differences(abstain("no_decision", "none"), read_sentence("Turn left.")) == ()
    assert found(label("Turn left.<|im_end|>", "", "turn/right")) == []


@given(st.integers(0, 10**6), st.integers(0, 200))
def test_what_the_rules_agent_says_is_what_it_structures(seed, frame):
    own = RulesAgent().label(window_at(random_drive(seed), frame))
    if own.effect_on_ego_behavior is not None:
        assert found(own) == []
        reading = read_sentence(own.effect_on_ego_behavior)
        assert (reading.unread, reading.garbled) == ((), ())
        assert reading.longitudinal is not None
