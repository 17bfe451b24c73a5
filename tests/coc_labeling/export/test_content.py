import pytest

from coc_labeling.errors import CocLabelingError
from coc_labeling.export.content import (
    Component,
    Content,
    Images,
    Need,
    Recordings,
    parse_cameras,
    parse_components,
    parse_times,
)


def test_components_come_in_the_order_of_the_sequence():
    assert parse_components(" traj_future, cot,prompt ") == (Component.PROMPT, Component.COT, Component.TRAJ_FUTURE)


@pytest.mark.parametrize(
    "text", ["", "cot", "image", "image,prompt", "cot,traj_future", "image,cot,cot", "image,cot,x"]
)
def test_components_that_make_no_conversation(text):
    with pytest.raises(CocLabelingError, match="--components"):
        parse_components(text)


def test_what_components_need():
    assert Content(parse_components("prompt,cot")).needs == frozenset()
    assert Content(parse_components("image,cot")).needs == {Need.FRAMES}
    assert Content(parse_components("prompt,traj_future"), Images.NONE).needs == {Need.TRAJECTORY}


@pytest.mark.parametrize("text", ["0.1", "-0.1,0.5", "x", "", "-0.1,-0.1", "-21", "nan", "-1e9", "--1"])
def test_times_that_are_none_or_show_the_future(text):
    with pytest.raises(CocLabelingError, match="--times"):
        parse_times(text)


@pytest.mark.parametrize("text", ["", "a,a", "../a", "a/b", ".hidden"])
def test_names_that_are_no_cameras(text):
    with pytest.raises(CocLabelingError, match="--cameras"):
        parse_cameras(text)


def test_no_worker_is_none():
    with pytest.raises(CocLabelingError, match="--num_workers"):
        Recordings(num_workers=0)
