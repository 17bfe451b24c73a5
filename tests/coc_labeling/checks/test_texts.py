import pytest

from builders.checked import checked, lane, road_user, said, speed, verdicts
from builders.driving import drive
from coc_labeling.checks.base import TextCounts
from coc_labeling.schema import abstain

D = drive(speed=10.0)


def found(label, check, **known):
    return verdicts(checked(label, D, 80, **known), check)


def test_an_abstention_says_why_and_has_no_risk():
    own = checked(abstain("empty_answer", "the sentence is ''"), D, 80)
    assert verdicts(own, "abstention") == ["not_observable"]
    assert (own.risk.status, own.risk.value) == ("abstained", 0.0)
    assert {finding.check for finding in own.findings} == {"abstention"}


def test_a_sentence_that_can_be_read():
    assert found(said("Keep the speed on the open road."), "readable") == ["supported"]


@pytest.mark.parametrize("sentence", ["Purple monkeys ponder quietly.", "Hello world, how are you?"])
def test_a_sentence_that_says_nothing_of_driving(sentence):
    own = checked(said(sentence), D, 80)
    assert own.risk.status == "unreadable"


def test_structure_and_sentence_must_agree():
    label = said("Turn right at the junction.", lateral=lane("turn", "left"))
    assert found(label, "structure") == ["contradicted"]
    assert found(said("Turn left at the junction.", lateral=lane("turn", "left")), "structure") == ["supported"]


def test_guesses_are_noted():
    assert found(said("Slow down for a pedestrian who might cross."), "wording") == ["contradicted"]
    assert found(said("Slow down for the pedestrian."), "wording") == []


@pytest.mark.parametrize(
    ("counts", "count"),
    [
        (TextCounts(60, 60, 60, 100), 1),
        (TextCounts(1, 1, 60, 100), 1),
        (TextCounts(5, 5, 5, 100), 0),
        (TextCounts(9, 9, 9, 10), 0),
        (TextCounts(45, 15, 15, 15, 3, 3), 1),
        (TextCounts(10, 5, 5, 12), 1),
        (TextCounts(10, 4, 4, 4, 3, 3), 0),
        (TextCounts(12, 5, 5, 15), 0),
        (TextCounts(30, 1, 1, 1, 30, 30), 1),
        (TextCounts(5, 1, 1, 1, 5, 5), 1),
        (TextCounts(4, 1, 1, 1, 4, 4), 0),
        (TextCounts(5, 1, 1, 1, 5, 11), 0),
    ],
)
def test_a_sentence_that_many_clips_have(counts, count):
    label = said("Keep the speed on the open road.")
    assert len(found(label, "repetition", texts=counts)) == count
    assert found(label, "repetition", texts=counts, by_rules=True) == []


def test_each_decision_has_a_cause_or_says_that_there_is_none():
    cited = said(
        "Yield.", longitudinal=speed("yield", "c1"), lateral=lane("keep_lane"), components=[road_user("a bus")]
    )
    assert found(cited, "coverage") == ["supported", "not_observable"]
    assert found(said("Turn left."), "coverage") == ["contradicted"]
    assert found(said("Slow down for the bus."), "coverage") == ["supported"]


def test_many_causes_of_one_decision_are_too_many():
    components = [road_user("a bus") | {"id": f"c{n}"} for n in range(1, 6)]
    label = said("Yield.", longitudinal=speed("yield", "c1", "c2", "c3", "c4", "c5"), components=components)
    assert found(label, "minimality") == ["contradicted"]
