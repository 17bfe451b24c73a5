import pytest
from hypothesis import given
from hypothesis import strategies as st

from coc_labeling.planting import KINDS, WORDINGS, Error, Known, compose, plant
from coc_labeling.schema import (
    NEED_DIRECTION,
    NO_DIRECTION,
    UNOBSERVED,
    Category,
    CoCLabel,
    Component,
    Lateral,
    LateralDecision,
    Longitudinal,
    LongitudinalDecision,
    Relation,
    Side,
    abstain,
)

LEAD = Component(id="c1", category=Category.CRITICAL_OBJECT, relation=Relation.LEAD, description="lead vehicle")
PARKED = Component(
    id="c2",
    category=Category.CRITICAL_OBJECT,
    relation=Relation.PARKED,
    side=Side.RIGHT,
    description="parked car on the right",
    track_id="7",
)
LATER = Component(
    id="c1",
    category=Category.CRITICAL_OBJECT,
    relation=Relation.CUT_IN,
    side=Side.LEFT,
    description="vehicle cutting in from the left",
    track_id="9",
)
FREE = Known(stands=False, has_lead=False)


def label(
    speed: LongitudinalDecision = LongitudinalDecision.TRACK_SPEED,
    lane: LateralDecision = LateralDecision.KEEP_LANE,
    side: Side | None = None,
    components: tuple[Component, ...] = (),
    speed_cause: str = UNOBSERVED,
    lane_cause: str = UNOBSERVED,
    wording: int = 0,
) -> CoCLabel:
    longitudinal = Longitudinal(decision=speed, cause_ids=(speed_cause,))
    lateral = Lateral(decision=lane, direction=side, cause_ids=(lane_cause,))
    return CoCLabel(
        longitudinal=longitudinal,
        lateral=lateral,
        components=components,
        effect_on_ego_behavior=compose(longitudinal, lateral, components, wording),
    )


@st.composite
def labels(draw: st.DrawFn) -> CoCLabel:
    lane = draw(st.sampled_from(LateralDecision))
    sides = st.sampled_from(Side) if lane in NEED_DIRECTION else st.none() | st.sampled_from(Side)
    components = draw(st.sampled_from([(), (LEAD,), (PARKED,), (LEAD, PARKED)]))
    causes = st.sampled_from([UNOBSERVED, *(component.id for component in components)])
    return label(
        draw(st.sampled_from(LongitudinalDecision)),
        lane,
        None if lane in NO_DIRECTION else draw(sides),
        components,
        draw(causes),
        draw(causes),
        draw(st.integers(0, WORDINGS - 1)),
    )


knowns = st.builds(
    Known,
    stands=st.booleans(),
    has_lead=st.booleans(),
    changes_lane=st.none() | st.sampled_from(Side),
    turns=st.none() | st.sampled_from(Side),
    later=st.none() | st.just(LATER),
    path_known=st.booleans(),
)


@given(labels(), st.sampled_from(Error), knowns)
def test_a_planted_label_is_valid_and_differs_in_structure_and_sentence(original, error, known):
    wrong = plant(original, error, known)
    if wrong is None:
        return
    assert CoCLabel.model_validate(wrong.model_dump()) == wrong
    assert wrong.effect_on_ego_behavior != original.effect_on_ego_behavior
    structure = [(each.longitudinal, each.lateral, each.components) for each in (original, wrong)]
    assert structure[0] != structure[1]
    written = [compose(wrong.longitudinal, wrong.lateral, wrong.components, wording) for wording in range(WORDINGS)]
    assert wrong.effect_on_ego_behavior in written


@given(labels(), st.sampled_from(Error), knowns)
def test_an_error_touches_one_channel_only(original, error, known):
    wrong = plant(original, error, known)
    if wrong is None:
        return
    if error in (Error.FLIPPED_DIRECTION, Error.WRONG_MANOEUVRE, Error.MISSED_LANE_CHANGE, Error.WRONG_SIDE):
        assert wrong.longitudinal == original.longitudinal
    if error in (Error.PHANTOM_LEAD, Error.STOP_WHILE_MOVING, Error.FUTURE_CAUSE, Error.WRONG_SIDE):
        assert wrong.lateral == original.lateral


@given(labels(), knowns)
def test_flipping_twice_gives_the_label_back(original, known):
    once = plant(original, Error.FLIPPED_DIRECTION, known)
    if once is not None:
        assert plant(once, Error.FLIPPED_DIRECTION, known) == original


@pytest.mark.parametrize("error", KINDS)
def test_nothing_is_planted_in_an_abstention(error):
    assert plant(abstain("no_decision", "ego drives backwards"), error, FREE) is None


def test_a_foreign_sentence_keeps_its_words_but_for_the_side():
    turn = label(lane=LateralDecision.TURN, side=Side.LEFT).model_copy(
        update={"effect_on_ego_behavior": "Sweep LEFT at the junction, unhurried."}
    )
    wrong = plant(turn, Error.FLIPPED_DIRECTION, FREE)
    assert wrong.effect_on_ego_behavior == "Sweep RIGHT at the junction, unhurried."


def test_a_foreign_sentence_with_two_sides_is_written_anew():
    nudge = label(lane=LateralDecision.NUDGE_IN_LANE, side=Side.LEFT, components=(PARKED,), lane_cause="c2").model_copy(
        update={"effect_on_ego_behavior": "Move left for the car on the right."}
    )
    wrong = plant(nudge, Error.FLIPPED_DIRECTION, FREE)
    expected = "Keep the set speed and nudge to the right within the lane because of the parked car on the right."
    assert wrong.effect_on_ego_behavior == expected


def test_a_wrong_side_moves_the_cause_and_not_ego():
    nudge = label(lane=LateralDecision.NUDGE_IN_LANE, side=Side.LEFT, components=(PARKED,), lane_cause="c2")
    wrong = plant(nudge, Error.WRONG_SIDE, FREE)
    assert wrong.components[0].side is Side.LEFT
    assert wrong.effect_on_ego_behavior.endswith(
        "nudge to the left within the lane because of the parked car on the left."
    )


def test_a_phantom_lead_needs_an_empty_lane():
    assert plant(label(), Error.PHANTOM_LEAD, Known(stands=False, has_lead=True)) is None
    wrong = plant(label(), Error.PHANTOM_LEAD, FREE)
    assert wrong.longitudinal.decision is LongitudinalDecision.FOLLOW_LEAD
    assert wrong.components[0].relation is Relation.LEAD
    assert wrong.effect_on_ego_behavior == "Keep distance to the lead vehicle."


def test_a_stop_is_only_wrong_of_an_ego_that_moves():
    following = label(LongitudinalDecision.FOLLOW_LEAD, components=(LEAD,), speed_cause="c1")
    assert plant(following, Error.STOP_WHILE_MOVING, Known(stands=True, has_lead=True)) is None
    wrong = plant(following, Error.STOP_WHILE_MOVING, Known(stands=False, has_lead=True))
    assert wrong.effect_on_ego_behavior == "Stop for the lead vehicle."


def test_a_missed_lane_change_keeps_the_lane_and_forgets_its_cause():
    change = label(lane=LateralDecision.CHANGE_LANE, side=Side.LEFT, components=(LEAD,), lane_cause="c1", wording=1)
    assert plant(change, Error.MISSED_LANE_CHANGE, FREE) is None
    wrong = plant(change, Error.MISSED_LANE_CHANGE, Known(stands=False, has_lead=True, changes_lane=Side.LEFT))
    assert wrong.lateral == Lateral(decision="keep_lane", cause_ids=(UNOBSERVED,))
    assert wrong.components == ()
    assert wrong.effect_on_ego_behavior == "Resume the wanted speed and stay in the lane."


def test_a_manoeuvre_is_only_wrong_where_the_path_shows_another():
    keeping = label()
    assert plant(keeping, Error.WRONG_MANOEUVRE, Known(stands=False, has_lead=False, path_known=False)) is None
    assert plant(keeping, Error.WRONG_MANOEUVRE, Known(stands=True, has_lead=False)) is None
    assert plant(keeping, Error.WRONG_MANOEUVRE, Known(stands=False, has_lead=False, turns=Side.LEFT)) is None
    assert plant(keeping, Error.WRONG_MANOEUVRE, FREE).lateral.decision is LateralDecision.TURN


def test_a_later_cause_replaces_the_true_one():
    following = label(LongitudinalDecision.FOLLOW_LEAD, components=(LEAD,), speed_cause="c1")
    assert plant(following, Error.FUTURE_CAUSE, FREE) is None
    wrong = plant(following, Error.FUTURE_CAUSE, Known(stands=False, has_lead=True, later=LATER))
    assert [component.track_id for component in wrong.components] == ["9"]
    assert wrong.effect_on_ego_behavior == "Keep distance to the vehicle cutting in from the left."


def test_the_right_of_way_is_no_side():
    tram = PARKED.model_copy(update={"description": "tram with right of way on the right"})
    waiting = label(LongitudinalDecision.YIELD, components=(tram,), speed_cause="c2")
    wrong = plant(waiting, Error.WRONG_SIDE, FREE)
    assert wrong.effect_on_ego_behavior == "Yield to the tram with right of way on the left."
