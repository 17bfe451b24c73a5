import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.asked import decided, listed
from builders.json_instances import instances
from coc_labeling.agents.answers import UnusableAnswerError
from coc_labeling.agents.two_stage_answers import DECISION_FORMS, HistoryAnswer, read_components, read_decision
from coc_labeling.model_clients.json_schemas import response_format, strict_schema
from coc_labeling.schema import CoCLabel, LateralDecision

FORMS = [strict_schema(form, bounded=True) for form in DECISION_FORMS]


def components(count: int):
    return read_components(listed(*(f"thing {n}" for n in range(count))))


@given(instances(strict_schema(HistoryAnswer, bounded=True)))
def test_whatever_the_form_allows_is_a_list_of_components(content):
    found = read_components(json.dumps(content))
    if content["unreadable"]:
        assert found is None
    else:
        assert [component.id for component in found] == [f"c{n + 1}" for n in range(len(found))]
        assert len(found) <= len(content["components"])


@given(st.data(), st.integers(0, 8))
def test_whatever_the_form_allows_is_a_label_that_cites_what_was_listed(data, count):
    content = data.draw(instances(FORMS[count]))
    label = read_decision(json.dumps(content), components(count))
    assert CoCLabel.model_validate(label.model_dump()) == label
    if label.abstention is None:
        known = {"unobserved", *(component.id for component in label.components)}
        assert all(set(one.cause_ids) <= known for one in (label.longitudinal, label.lateral) if one)


def test_there_are_nine_forms_and_each_is_compiled_once():
    assert len({form.__name__ for form in DECISION_FORMS}) == 9
    assert response_format(DECISION_FORMS[3]) is response_format(DECISION_FORMS[3])


@pytest.mark.parametrize("count", range(9))
def test_a_form_knows_only_the_ids_that_were_listed(count):
    text = json.dumps(FORMS[count])
    assert {name for name in (f"c{n}" for n in range(12)) if f'"{name}"' in text} == {f"c{n + 1}" for n in range(count)}
    assert '"unobserved"' in text


def lateral(decision: str, direction: str | None):
    return decided(lateral={"decision": decision, "direction": direction, "cause_ids": ["unobserved"]})


@pytest.mark.parametrize("decision", LateralDecision)
@pytest.mark.parametrize("direction", ["left", None])
def test_a_side_stands_where_it_belongs(decision, direction):
    needs = decision in ("turn", "change_lane", "nudge_in_lane", "nudge_out_of_lane")
    fits = direction is not None if needs else direction is None or decision != "keep_lane"
    if fits:
        assert read_decision(lateral(decision, direction), ()).lateral.direction == direction
    else:
        with pytest.raises(UnusableAnswerError, match=f"lateral.{decision}.direction"):
            read_decision(lateral(decision, direction), ())


def test_a_cause_named_twice_is_one_cause():
    assert read_decision(decided("Stop.", "c2", "c1", "c2"), components(3)).longitudinal.cause_ids == ("c2", "c1")


@pytest.mark.parametrize("nothing", ["", " ", "none", "N/A", "-"])
def test_what_is_described_with_nothing_is_nothing(nothing):
    assert [c.description for c in read_components(listed(nothing, "a van"))] == ["a van"]
    later = {"category": "lane", "relation": None, "side": None, "description": nothing}
    assert read_decision(decided(emerged_after=later), ()).emerged_after is None


@pytest.mark.parametrize("content", ["", "no", "[]", None, 7, {}, {"components": []}, listed(more=1)])
def test_what_is_no_list_of_components_is_said_to_be_none(content):
    with pytest.raises(UnusableAnswerError):
        read_components(content)


def test_what_is_wrong_is_named():
    with pytest.raises(UnusableAnswerError, match=r"components\.0\.category"):
        read_components({"unreadable": False, "components": [{"category": "ghost"}]})
