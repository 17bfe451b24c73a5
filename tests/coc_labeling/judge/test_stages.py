import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coc_labeling.agents.answers import UnusableAnswerError
from coc_labeling.agents.questions import AbstainedError
from coc_labeling.errors import CocLabelingError
from coc_labeling.judge.stages import (
    Stage,
    answer_form,
    goodness,
    is_evaluation,
    oriented,
    parse_stages,
    read_evaluation,
    scores_asked,
)
from coc_labeling.model_clients.json_schemas import smallest_instance, strict_schema

BOTH = frozenset({"longitudinal", "lateral"})
NOTHING: frozenset[str] = frozenset()


def evidence(**changes) -> dict:
    whole = {
        "unreadable": False,
        "reason": "A van.",
        "visual_evidence_score": 0.5,
        "scene_factor_hallucination_score": 0,
    }
    return {key: value for key, value in (whole | changes).items() if value != "left out"}


@pytest.mark.parametrize("text", ["1,2,3", "3,1,2,2", " 1, 2 ,3"])
def test_stages_are_read_once_each_and_in_order(text):
    assert parse_stages(text) == tuple(Stage)


@pytest.mark.parametrize("text", ["", "0", "4", "evidence", "1;2", "1,"])
def test_other_stages_are_refused(text):
    with pytest.raises(CocLabelingError, match="expected some of 1"):
        parse_stages(text)


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("channels", [NOTHING, BOTH, frozenset({"lateral"})])
def test_the_smallest_answer_of_a_form_can_be_read(stage, channels):
    content = smallest_instance(strict_schema(answer_form(stage, channels)))
    read = read_evaluation(content, stage, channels)
    assert set(read) == {*stage.scores, "reason"}
    assert is_evaluation(read, stage)


def test_the_match_of_a_channel_is_asked_for_only_where_the_label_decides_there():
    asked = scores_asked(Stage.BEHAVIOUR, frozenset({"lateral"}))
    assert asked == ("behavior_match_score", "lateral_match_score", "behavior_hallucination_score")
    assert len({answer_form(Stage.BEHAVIOUR, c).__name__ for c in (NOTHING, BOTH, frozenset({"lateral"}))}) == 3
    assert answer_form(Stage.CAUSE, BOTH).__name__ == answer_form(Stage.CAUSE, NOTHING).__name__


@pytest.mark.parametrize(
    "wrong",
    [
        {"visual_evidence_score": 1.0001},
        {"visual_evidence_score": -0.1},
        {"visual_evidence_score": 100},
        {"visual_evidence_score": "0.5"},
        {"visual_evidence_score": True},
        {"visual_evidence_score": None},
        {"visual_evidence_score": math.nan},
        {"visual_evidence_score": math.inf},
        {"visual_evidence_score": [0.5]},
        {"visual_evidence_score": "left out"},
        {"causal_score": 0.5},
        {"reason": None},
        {"reason": "x" * 401},
        {"unreadable": "perhaps"},
    ],
    ids=str,
)
@pytest.mark.parametrize("as_text", [False, True])
def test_what_is_no_score_is_not_taken_for_one(wrong, as_text):
    content = evidence(**wrong)
    with pytest.raises(UnusableAnswerError):
        read_evaluation(json.dumps(content) if as_text else content, Stage.EVIDENCE, NOTHING)


@given(st.text() | st.none() | st.integers() | st.lists(st.integers()) | st.dictionaries(st.text(), st.floats()))
def test_anything_else_is_unusable_and_nothing_worse(content):
    with pytest.raises(UnusableAnswerError):
        read_evaluation(content, Stage.CAUSE, NOTHING)


def test_a_whole_number_is_a_score():
    assert read_evaluation(evidence(visual_evidence_score=1), Stage.EVIDENCE, NOTHING)["visual_evidence_score"] == 1.0


def test_unreadable_frames_have_no_scores():
    with pytest.raises(AbstainedError) as caught:
        read_evaluation(evidence(unreadable=True), Stage.EVIDENCE, NOTHING)
    assert caught.value.label.abstention.reason == "unreadable_video"


def test_scores_of_invention_count_the_other_way_round():
    assert oriented("visual_evidence_score", 0.75) == 0.75
    assert oriented("causal_hallucination_score", 0.75) == 0.25
    scores = {"behavior_match_score": 1.0, "lateral_match_score": None, "behavior_hallucination_score": 0.5}
    assert goodness(scores, Stage.BEHAVIOUR.scores) == 0.75
