from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.driving import drive
from builders.scenes import NO_BOXES, motion_of
from coc_labeling.keyframes import Keyframe
from coc_labeling.windows import Sampling, make_window
from driving_clips.errors import ClipRejectedError
from meta_action.timeline import Span, timeline

STOP = Span("longitudinal", "stop", 30, 60)
STRAIGHT = Span("lateral", "go_straight", 30, 90)
LATER = Span("longitudinal", "gentle_acceleration", 60, 90)


def window(frame: int, seconds: float = 20.0, first_tick: int = 0, t_us: int | None = None):
    ego = motion_of(drive(seconds), first_tick)
    keyframe = Keyframe("clip", frame * 100_000 if t_us is None else t_us)
    return make_window(keyframe, ego, timeline("clip", [STOP, STRAIGHT, LATER]), NO_BOXES, 2.0, 6.0)


def missing(own) -> tuple[float, float]:
    return own.info.missing_history_sec, own.info.missing_future_sec


def test_a_window_within_the_clip_misses_nothing():
    assert missing(window(100)) == (0.0, 0.0)


def test_a_window_says_how_far_it_reaches():
    info = window(100).info
    assert (info.history_sec, info.future_sec) == (2.0, 6.0)


@pytest.mark.parametrize(
    ("frame", "expected"), [(0, (2.0, 0.0)), (13, (0.7, 0.0)), (20, (0.0, 0.0)), (140, (0.0, 0.0)), (141, (0.0, 0.1))]
)
def test_what_the_clip_s_ends_cut_off_is_marked(frame, expected):
    assert missing(window(frame)) == expected


def test_the_last_tick_has_no_future():
    assert missing(window(200)) == (0.0, 6.0)


def test_both_ends_can_be_cut_off():
    assert missing(window(10, seconds=3.0)) == (1.0, 4.0)


def test_a_late_first_tick_counts():
    own = window(60, seconds=10.0, first_tick=50)
    assert missing(own) == (1.0, 0.0)
    assert own.ego.t_sec[own.row] == pytest.approx(6.0)


def test_the_last_row_is_the_window_s_end_or_the_clip_s():
    assert window(100).last_row == 160
    assert window(180).last_row == 200


@pytest.mark.parametrize("frame", [49, 151, 201, 10_000])
def test_a_keyframe_that_ego_motion_does_not_cover_is_rejected_with_both_times(frame):
    with pytest.raises(ClipRejectedError, match=rf"keyframe {frame} .* covers 5\.0 to 15\.0 s") as caught:
        window(frame, seconds=10.0, first_tick=50)
    assert caught.value.reason == "outside_clip"


@pytest.mark.parametrize("frame", [50, 150])
def test_the_first_and_last_tick_are_covered(frame):
    assert window(frame, seconds=10.0, first_tick=50).keyframe.frame == frame


def test_all_meta_actions_that_start_at_the_keyframe_are_told():
    assert {(span.axis, span.name) for span in window(30).starting} == {STOP[:2], STRAIGHT[:2]}
    assert [span.name for span in window(60).starting] == ["gentle_acceleration"]
    assert window(31).starting == ()


def test_a_timestamp_between_ticks_belongs_to_the_tick_before():
    own = window(0, t_us=3_099_999)
    assert own.row == 30
    assert own.t0_us == 3_099_999


def test_the_default_window_has_sixteen_times_of_which_the_fifth_is_the_keyframe():
    offsets = Sampling(2, 6, 0.5).offsets_us
    assert offsets == tuple(range(-2_000_000, 6_000_000, 500_000))
    assert (len(offsets), offsets[4], offsets[-1]) == (16, 0, 5_500_000)
    assert Sampling(2, 6, 0.5).edges_us[-1] == 6_000_000


@pytest.mark.parametrize(
    ("sampling", "offsets", "end_us"),
    [
        (Sampling(0, 0.5, 0.5), (0,), 500_000),
        (Sampling(0.5, 0, 0.5), (-500_000,), 0),
        (Sampling(0, 0, 0.5), (), 0),
        (Sampling(0.3, 0.3, 0.1), (-300_000, -200_000, -100_000, 0, 100_000, 200_000), 300_000),
        (Sampling(1, 1, 0.4), (-800_000, -400_000, 0, 400_000), 800_000),
        (Sampling(0.1, 0.1, 0.25), (), 0),
        (Sampling(0, 0.1, 1 / 30), (0, 33_333, 66_667), 100_000),
    ],
)
def test_times_are_whole_intervals_from_the_keyframe(sampling, offsets, end_us):
    assert (sampling.offsets_us, sampling.edges_us[-1]) == (offsets, end_us)


@given(st.floats(0, 20), st.floats(0, 20), st.floats(0.01, 5))
def test_sampled_times_lie_in_the_window_and_are_evenly_spaced(history, future, interval):
    sampling = Sampling(history, future, interval)
    offsets = sampling.edges_us
    assert -history * 1e6 - 1 <= offsets[0]
    assert offsets[-1] <= future * 1e6 + 1
    assert all(abs(b - a - interval * 1e6) <= 1 for a, b in pairwise(offsets))
    assert len(offsets) == int(history / interval + 1e-9) + int(future / interval + 1e-9) + 1


@given(st.integers(0, 20_000_000))
def test_what_is_missing_is_what_the_times_lack(t_us):
    own = window(0, t_us=t_us)
    behind, ahead = missing(own)
    assert behind == pytest.approx(max(0.0, 2.0 - t_us / 1e6), abs=0.1)
    assert ahead == pytest.approx(max(0.0, t_us / 1e6 - 14.0), abs=0.1)
    assert own.row <= own.last_row < len(own.ego)
