import pytest

from builders.agreed import decision
from builders.reviews import ACCEPT, UNSURE, follows, turns
from coc_labeling.agreement.decided import Channel
from coc_labeling.review.batches.planning import Kind
from coc_labeling.review.judgements import Edit, Judgement, Reason, Verdict
from coc_labeling.review.results.faults import Finding, differs, found_in, lacks
from coc_labeling.review.results.outcomes import Outcome, Review
from coc_labeling.schema import Component

REJECT = Judgement(verdict=Verdict.REJECT, reason=Reason.WRONG_DIRECTION)
BOTH = decision("stop", "turn", "left", ("lead@7",))
SPEED, LANE = Channel.LONGITUDINAL, Channel.LATERAL


def outcome(judgement: Judgement, label=BOTH) -> Outcome:
    return Outcome("clip", 1, label, (Review(1, "ann", Kind.FIRST, judgement),), None, None, 1)


def edit(label) -> Judgement:
    changed = Edit(
        longitudinal=label.longitudinal,
        lateral=label.lateral,
        components=label.components,
        sentence=label.effect_on_ego_behavior,
    )
    return Judgement(verdict=Verdict.EDIT, edit=changed)


@pytest.mark.parametrize(
    ("judgement", "whole", "speed", "lane"),
    [
        (ACCEPT, "right", "right", "right"),
        (REJECT, "wrong", "wrong", "wrong"),
        (UNSURE, "unsure", "unsure", "unsure"),
        (edit(decision("stop", "turn", "left", ("lead@7",), "Stop.")), "reworded", "reworded", "reworded"),
        (edit(decision("stop", "turn", "right", ("lead@7",))), "wrong", "reworded", "wrong"),
        (edit(decision("yield", "turn", "left", ("lead@7",))), "wrong", "wrong", "reworded"),
        (edit(decision("stop", None, None, ("lead@7",))), "wrong", "reworded", "wrong"),
        (edit(decision("stop", "turn", "left", ("crossing@7",))), "wrong", "wrong", "wrong"),
        (edit(decision("stop", "turn", "left", ("lead@8",))), "wrong", "wrong", "wrong"),
        (edit(decision("stop", "turn", "left", ("lead",))), "reworded", "reworded", "reworded"),
    ],
)
def test_what_people_found_of_a_label_and_of_each_decision(judgement, whole, speed, lane):
    found = outcome(judgement)
    assert [found_in(found), found_in(found, SPEED), found_in(found, LANE)] == [
        Finding(x) for x in (whole, speed, lane)
    ]


def test_a_component_that_causes_nothing_may_change():
    one, other = follows(), follows()
    light = Component(id="c9", category="traffic_light", description="the light")
    other = other.model_copy(update={"components": (*other.components, light)})
    assert not differs(one, other, SPEED)
    assert differs(follows(), turns(), SPEED)


@pytest.mark.parametrize(
    ("listed", "lacking"),
    [
        ((), False),
        (({"category": "critical_object", "relation": "lead"},), False),
        (({"category": "critical_object", "relation": "lead", "side": "left"},), False),
        (({"category": "critical_object", "relation": "cut_in"},), True),
        (({"category": "traffic_light"},), True),
    ],
)
def test_a_label_lacks_what_people_list_and_it_has_not(listed, lacking):
    added = tuple(Component(id=f"c{n}", description="it", **one) for n, one in enumerate(listed, 1))
    assert lacks(follows(), added) is lacking


def test_a_component_on_the_other_side_is_another_one():
    components = [Component(id="c1", category="lane", side=side, description="the lane") for side in ("left", "right")]
    label = follows().model_copy(update={"components": (components[0],)})
    assert not lacks(label, (components[0],))
    assert lacks(label, (components[1],))
