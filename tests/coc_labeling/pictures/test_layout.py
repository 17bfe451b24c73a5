from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from coc_labeling.pictures.layout import Layout
from meta_action.names import AXES


def panels(layout: Layout):
    lanes = [layout.lane(number) for number in range(len(AXES))]
    curves = [layout.speed, layout.heading]
    return [layout.header, layout.scene, layout.now, layout.label, layout.marks, *curves, *lanes, layout.time_axis]


@given(st.integers(90, 1200).map(lambda half: 2 * half))
def test_panels_lie_in_the_picture_and_do_not_overlap(height):
    layout = Layout(height)
    assert layout.width % 2 == 0
    for box in panels(layout):
        assert 0 <= box.left < box.right <= layout.width
        assert 0 <= box.top < box.bottom <= height
    for one, other in combinations(panels(layout), 2):
        apart = one.right <= other.left or other.right <= one.left or one.bottom <= other.top or other.bottom <= one.top
        assert apart, (one, other)


def test_the_scene_has_the_shape_of_a_camera_picture():
    assert Layout().scene.width * 9 == Layout().scene.height * 16
