import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from builders.driving import drive
from builders.scenes import motion_of
from coc_labeling.pictures.story import ClipStory, EgoStates
from coc_labeling.report.clips import Keyframe
from meta_action.timeline import Span, Timeline

EGO = motion_of(drive(20.0))


def keyframes(*seconds: float) -> tuple[Keyframe, ...]:
    return tuple(Keyframe(number, t, {"status": "label"}, None) for number, t in enumerate(seconds, start=1))


def story(*seconds: float, spans=()) -> ClipStory:
    return ClipStory("a", EGO, Timeline("a", tuple(spans)), None, keyframes(*seconds))


def number_at(told: ClipStory, t_sec: float) -> int | None:
    keyframe = told.label_at(round(t_sec * 1e6))
    return keyframe.number if keyframe else None


def test_a_label_speaks_from_its_keyframe_to_the_next():
    told = story(2.0, 4.5)
    assert [number_at(told, t) for t in (1.99, 2.0, 4.49, 4.5)] == [None, 1, 1, 2]


def test_a_label_speaks_for_six_seconds_at_most():
    told = story(2.0, 15.0)
    assert [number_at(told, t) for t in (7.99, 8.0, 14.9, 20.0)] == [1, None, None, 2]


@given(st.lists(st.integers(0, 200), max_size=6, unique=True), st.integers(0, 200))
def test_at_most_one_label_speaks_and_never_before_its_keyframe(ticks, tick):
    told = story(*(t / 10 for t in sorted(ticks)))
    shown = told.label_at(tick * 100_000)
    inside = [k for k in told.keyframes if k.t_sec <= tick / 10 < k.t_sec + 6.0]
    assert shown == (inside[-1] if inside else None)


def test_no_labels_say_nothing():
    assert ClipStory("a", EGO, Timeline("a", ())).label_at(0) is None


def test_moments_cover_the_clip():
    assert story().times_us(10).tolist() == list(range(0, 20_000_001, 100_000))
    late = ClipStory("a", motion_of(drive(3.0), first_tick=7), Timeline("a", ()))
    assert late.times_us(2).tolist() == [700_000, 1_200_000, 1_700_000, 2_200_000, 2_700_000, 3_200_000, 3_700_000]


def test_spans_are_half_open():
    told = story(spans=[Span("longitudinal", "stop", 10, 20), Span("longitudinal", "reverse", 20, 30)])
    names = [told.spans_at(t).get("longitudinal", Span("", "", 0, 0)).name for t in (999_999, 1_000_000, 2_000_000)]
    assert names == ["", "stop", "reverse"]


def test_ego_is_interpolated_across_the_back():
    ego = motion_of(drive(5.0, yaw_rate=1.5))  # its heading passes 180 degrees
    states = EgoStates.of(ego, np.array([0, 2_050_000, 5_000_000]))
    assert np.allclose(states.heading, [0.0, 1.5 * 2.05, 7.5], atol=1e-6)
    assert np.allclose(states.speed, 8.0)
