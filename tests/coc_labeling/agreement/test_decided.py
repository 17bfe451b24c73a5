import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.agreed import decided, decision
from builders.records import labels
from coc_labeling.agreement.decided import DECISIONS, DIRECTIONS, LATERAL_WITH_DIRECTION, Channel, DecidedBuilder, State
from coc_labeling.errors import CocLabelingError
from coc_labeling.results import _causes as causes_of_a_record
from coc_labeling.schema import abstain


@given(st.lists(st.none() | labels(), max_size=5))
def test_columns_hold_what_labels_say(said):
    side = decided({("clip", number): label for number, label in enumerate(said)})
    for row, label in enumerate(said):
        assert side.moment(row) == ("clip", row)
        for channel in Channel:
            own = getattr(label, channel) if label is not None else None
            assert DECISIONS[channel][side.decision[channel][row]] == (own.decision if own else "none")
            if own is not None:
                record = type("Record", (), {"label": label})
                in_order = [c.id for c in label.components if c.id in own.cause_ids] or ["unobserved"]
                assert side.causes[channel].names(row) == causes_of_a_record(record, in_order)
        side_name = label.lateral.direction if label is not None and label.lateral is not None else None
        assert DIRECTIONS[side.direction[row]] == (side_name or "none")


def test_states_tell_why_nothing_is_decided():
    side = decided(
        {
            ("a", 0): decision("stop"),
            ("a", 1): decision(),
            ("a", 2): abstain("no_decision", "reverse"),
            ("a", 3): None,
        }
    )
    assert side.state.tolist() == [*State]


def test_a_lateral_decision_and_its_direction_have_one_name():
    side = decided({("a", 0): decision(lateral="turn", direction="left"), ("a", 1): decision("stop")})
    assert [LATERAL_WITH_DIRECTION[n] for n in side.lateral_with_direction()] == ["turn left", "none"]


def test_a_moment_that_is_there_twice_is_refused():
    builder = DecidedBuilder()
    for _ in range(2):
        builder.add("a", 100_000, decision("stop"))
    with pytest.raises(CocLabelingError, match="run: clip a has two labels at 100000 us"):
        builder.build("run")
