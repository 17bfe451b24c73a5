import pytest
from hypothesis import given
from hypothesis import strategies as st

from coc_labeling.curate.rules import KEEP_RATES, RARE_ACTIONS, VULNERABLE, Mask, Scene, parse_keep_rates, parse_masks
from coc_labeling.errors import CocLabelingError
from driving_clips.obstacles import LABEL_CLASSES
from meta_action.names import BY_NAME


def test_names_are_those_that_the_data_have():
    assert set(BY_NAME) >= RARE_ACTIONS
    assert LABEL_CLASSES >= VULNERABLE


@given(st.dictionaries(st.sampled_from(list(Scene)), st.integers(0, 100).map(lambda n: n / 100)))
def test_rates_named_change_and_others_stay(changes):
    rates = parse_keep_rates(f"{scene}={rate}" for scene, rate in changes.items())
    assert rates == {**KEEP_RATES, **changes}


@pytest.mark.parametrize("entry", ["", "empty", "empty=", "empty=1.1", "empty=-1", "empty=..", "full=1", "empty=nan"])
def test_anything_else_is_refused(entry):
    with pytest.raises(CocLabelingError, match=r"--keep .*: expected SCENE=RATE"):
        parse_keep_rates([entry])


def test_masks_are_parsed_by_name():
    assert parse_masks(["unjustified_stop"]) == {Mask.STOP}
    with pytest.raises(CocLabelingError, match="--allow 'stop': expected one of localisation_jump"):
        parse_masks(["stop"])
