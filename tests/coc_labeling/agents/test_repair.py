import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.asked import structured
from coc_labeling.agents.answers import RepairAnswer, SentenceAnswer, StructuredAnswer, UnusableAnswerError, to_label
from coc_labeling.agents.repair import _OWN_WORDS, _SHORT_CAUSES, repaired_label
from coc_labeling.schema import CoCLabel, LateralDecision, LongitudinalDecision

VAN = {"id": "c1", "category": "critical_object", "relation": "lead", "side": None, "description": "a white van"}
LIGHT = {"id": "c2", "category": "traffic_light", "relation": None, "side": None, "description": "a red light"}
FIRST = to_label(
    structured("Stop behind the lead vehicle at the red light.", components=[VAN, LIGHT]), StructuredAnswer
)


def answer(sentence: str = "Decelerate behind the lead vehicle.", **changes) -> dict:
    own = {
        "longitudinal": {"decision": "follow_lead", "cause_ids": ["c1"]},
        "lateral": None,
        "trace": "",
        "effect_on_ego_behavior": sentence,
    }
    return own | changes


def sentence_of(text: str) -> dict:
    return {"unreadable": False, "effect_on_ego_behavior": text}


def problem_of(content, form=RepairAnswer) -> str:
    with pytest.raises(UnusableAnswerError) as caught:
        repaired_label(FIRST, content, form)
    return str(caught.value)


def test_decision_and_wording_are_the_repair_s():
    after = repaired_label(FIRST, answer(), RepairAnswer)
    assert (after.longitudinal.decision, after.effect_on_ego_behavior) == (
        "follow_lead",
        "Decelerate behind the lead vehicle.",
    )


def test_components_stay_the_first_label_s_as_far_as_they_are_cited():
    after = repaired_label(FIRST, answer(), RepairAnswer)
    assert after.components == FIRST.components[:1]
    both = answer(longitudinal={"decision": "stop", "cause_ids": ["c2", "c1"]})
    assert repaired_label(FIRST, both, RepairAnswer).components == FIRST.components
    unobserved = answer("Decelerate.", longitudinal={"decision": "adapt_speed", "cause_ids": ["unobserved"]})
    assert repaired_label(FIRST, unobserved, RepairAnswer).components == ()


def test_an_answer_as_text_is_read():
    assert repaired_label(FIRST, f"```json\n{json.dumps(answer())}\n```", RepairAnswer).longitudinal is not None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("no json", "RepairAnswer"),
        (None, "RepairAnswer"),
        ([], "RepairAnswer"),
        (answer(components=[VAN]), "components: Extra inputs"),
        (answer(longitudinal={"decision": "stop", "cause_ids": ["c3"]}), "cause_ids c3 are no components"),
        (answer(longitudinal={"decision": "fly", "cause_ids": ["c1"]}), "longitudinal.decision"),
        (answer(""), "''"),
        (answer("null"), "'null'"),
        ({"longitudinal": None}, "Field required"),
    ],
)
def test_what_cannot_be_used_is_said(content, problem):
    assert problem in problem_of(content)


@pytest.mark.parametrize(
    "sentence",
    [
        "Slow down for the pedestrian.",
        "Slow down for the pedestrians.",
        "Slow down for the truck ahead.",
        "Slow down at the crosswalk.",
        "Slow down for the curve.",
        "Slow down for the green light.",
        "Slow down behind the BUS.",
        "Slow down for the buses.",
        "Slow down for the construction.",
        "Slow down for the police.",
    ],
)
def test_a_cause_that_the_first_label_did_not_name_is_refused(sentence):
    assert "it names what the first label did not: " in problem_of(answer(sentence))


@pytest.mark.parametrize(
    "sentence",
    [
        "Keep distance to the lead vehicle.",
        "Keep distance to the lead vehicles.",
        "Slow down for the red light.",
        "Slow down for the traffic light.",
        "Slow down behind the van.",
        "Slow down for the white object ahead.",
        "Slow down gently, then turn left.",
    ],
)
def test_causes_that_the_first_label_named_may_be_said_again(sentence):
    assert repaired_label(FIRST, answer(sentence), RepairAnswer).effect_on_ego_behavior == sentence


def test_a_trace_may_not_bring_a_cause_either():
    assert "cyclist" in problem_of(answer(trace="A cyclist crosses."))


# Names of things: nobody can list them all, so none may be among the words that a repair may bring.
_CAUSES = """
    vehicle car truck bus van taxi motorcycle motorcyclist bicycle cyclist bike rider pedestrian person people child
    animal dog light signal sign red green yellow amber crosswalk crossing intersection junction roundabout construction
    roadwork cone barrier debris bump pothole curve bend ramp traffic queue obstacle ambulance police parked oncoming
    lead railroad gate fog stroller tram scooter deer tunnel bridge wheelchair skateboarder jogger ball crane flagger
    pylon puddle snow rain glare train tracks trolley crash accident barricade bollard gravel ice mud cow hill crest
    line closure merger trailer tractor bear driver driveway school worker 歩行者 Straßenbahn
"""
CAUSES = _CAUSES.split()


@pytest.mark.parametrize("word", sorted({*CAUSES, *_SHORT_CAUSES.split()}))
def test_no_word_for_a_cause_gets_in(word):
    plain = CoCLabel(effect_on_ego_behavior="Slow down.")
    for said in (word, word.upper(), f"{word}s"):
        with pytest.raises(UnusableAnswerError, match=r"it names what the first label did not: \w+"):
            repaired_label(plain, sentence_of(f"Stop for the {said}."), SentenceAnswer)
    named = CoCLabel(effect_on_ego_behavior=f"Slow down for the {word}.")
    assert repaired_label(named, sentence_of(f"Stop for the {word}."), SentenceAnswer)


@pytest.mark.parametrize(
    ("sentence", "added"),
    [
        ("Stop behind the lead vehicle at the railroad gate in heavy fog.", "fog, gate, heavy, railroad"),
        ("Stop for the stroller.", "stroller"),
        ("Slow down as the lane ends.", "ends"),
        ("Stop at the all-way stop.", "way"),
        ("Stop at the four-way stop.", "four, way"),
        ("Proceed as the path is clear.", "clear, path"),
        ("Yield to others.", "others"),
    ],
)
def test_what_was_added_is_told(sentence, added):
    assert problem_of(answer(sentence)).endswith(f"did not: {added}")


@pytest.mark.parametrize(
    "sentence",
    [
        "Keep the lane and maintain the current speed.",
        "Nudge slightly to the left within the lane, then continue straight ahead.",
        "Gently decelerate without stopping while steering right.",
        "Resume speed after having waited.",
        "Change lanes to the left, accelerating smoothly.",
        "Remain stopped, then proceed slowly.",
        "The ego vehicle keeps its distance.",
        "Yield, then merge to the right.",
        "Brake strongly to a halt.",
        "Turn right at reduced speed.",
        "Continue to follow the lane at a steady pace.",
    ],
)
def test_decision_and_motion_have_words_of_their_own(sentence):
    plain = CoCLabel(effect_on_ego_behavior="Stop.")
    assert repaired_label(plain, sentence_of(sentence), SentenceAnswer).effect_on_ego_behavior == sentence


def test_the_repair_s_own_words_name_no_thing():
    things = {word.lower() for word in CAUSES}
    assert not things & {form for word in _OWN_WORDS.split() for form in (word, f"{word}s", f"{word}es")}


def test_the_ego_vehicle_makes_no_vehicle_known():
    plain = CoCLabel(effect_on_ego_behavior="The ego vehicle stops.")
    with pytest.raises(UnusableAnswerError, match="vehicle"):
        repaired_label(plain, sentence_of("Slow down behind the vehicle."), SentenceAnswer)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("the buses", "the bus"),
        ("pedestrians", "a pedestrian"),
        ("a cyclist", "cyclists"),
        ("a turning truck that blocks the lane", "the truck blocking the lane"),
        ("the blocked lanes", "the lane that blocks"),
        ("two bodies", "a body"),
    ],
)
def test_singular_and_plural_are_one(before, after):
    label = CoCLabel(effect_on_ego_behavior=f"Stop for {before}.")
    content = {"unreadable": False, "effect_on_ego_behavior": f"Yield to {after}."}
    assert repaired_label(label, content, SentenceAnswer)


@pytest.mark.parametrize(
    "sentence",
    ["I'm sorry, no.", "", "Unable to see the frames.", "null"],
    ids=["refused", "empty", "unreadable", "null"],
)
def test_a_sentence_that_is_an_abstention_repairs_nothing(sentence):
    problem_of({"unreadable": False, "effect_on_ego_behavior": sentence}, SentenceAnswer)


@pytest.mark.parametrize("sentence", ["I'm sorry, I can't help.", "Unable to see the frames."])
def test_a_structured_repair_that_declines_repairs_nothing(sentence):
    problem_of(answer(sentence, longitudinal=None))


def test_a_repair_is_one_short_sentence():
    assert "at most 400 characters" in problem_of(answer("Stop. " * 100, longitudinal=None))


ids = st.sampled_from(["c1", "c2", "c3", "unobserved"])
sides = st.sampled_from(["left", "right", None])
words = st.sampled_from(
    ["stop", "slow", "for", "the", "van", "truck", "pedestrians", "light", "lead", "left", "null", ""]
)
answers = st.fixed_dictionaries(
    {
        "longitudinal": st.none()
        | st.fixed_dictionaries(
            {"decision": st.sampled_from(LongitudinalDecision), "cause_ids": st.lists(ids, max_size=2)}
        ),
        "lateral": st.none()
        | st.fixed_dictionaries(
            {"decision": st.sampled_from(LateralDecision), "direction": sides, "cause_ids": st.lists(ids, max_size=2)}
        ),
        "trace": st.lists(words, max_size=4).map(" ".join),
        "effect_on_ego_behavior": st.lists(words, max_size=6).map(" ".join),
    },
    optional={"components": st.just([VAN])},
)


@given(answers)
def test_no_repair_adds_a_component_or_a_cause(content):
    try:
        after = repaired_label(FIRST, content, RepairAnswer)
    except UnusableAnswerError:
        return
    assert CoCLabel.model_validate(after.model_dump()) == after
    assert set(after.components) <= set(FIRST.components)
    said = set(f"{after.effect_on_ego_behavior} {after.trace or ''}".split())
    assert not said & {"truck", "pedestrians"}
