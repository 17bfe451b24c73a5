import pytest

from meta_action.errors import MetaActionError
from meta_action.names import ALIASES, BY_FILE_NAME, BY_NAME, EGO_NAMES, MIRRORED, parse_names


def test_there_are_23_names_14_of_them_without_a_map():
    assert len(BY_NAME) == 23
    assert len(EGO_NAMES) == 14


def test_file_names_are_camel_case_but_for_lane_keeping():
    assert BY_NAME["gentle_acceleration"].file_name == "GentleAcceleration"
    assert BY_NAME["sharp_steer_left"].file_name == "SharpSteerLeft"
    assert BY_NAME["left_lane_change"].file_name == "LeftLaneChange"
    assert BY_NAME["keep_lane"].file_name == "LaneKeep"


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_old_aliases_are_read(alias, name):
    assert BY_FILE_NAME[alias].name == name
    assert parse_names([alias]) == (name,)


def test_all_ego_stands_for_the_names_that_need_no_map_in_their_order():
    assert parse_names(["all_ego"]) == EGO_NAMES


def test_names_keep_the_order_given_and_are_taken_once():
    assert parse_names(["stop", "reverse", "stop", "Wait"]) == ("stop", "reverse")


def test_unknown_names_are_all_named_with_the_legal_ones():
    with pytest.raises(MetaActionError) as caught:
        parse_names(["stop", "fly", "swim"])
    assert "'fly', 'swim'" in str(caught.value)
    for name in ("all_ego", *BY_NAME):
        assert name in str(caught.value)


def test_no_name_is_an_error():
    with pytest.raises(MetaActionError, match="no meta-action name"):
        parse_names([])


def test_mirroring_twice_is_the_same_and_swaps_sides_only():
    assert {MIRRORED[MIRRORED[name]] for name in BY_NAME} == set(BY_NAME)
    assert MIRRORED["sharp_steer_left"] == "sharp_steer_right"
    assert MIRRORED["left_lane_change"] == "right_lane_change"
    assert MIRRORED["stop"] == "stop"
    assert all(BY_NAME[MIRRORED[name]].axis == BY_NAME[name].axis for name in BY_NAME)
