"""The built world: the history tells nothing, the pictures and the sentence tell the cause, and ego drives by it."""

import numpy as np
import pytest
from benchmarks.small_world.drawing import FOCAL, HEIGHT, HORIZON, WIDTH, frame
from benchmarks.small_world.motion import drive
from benchmarks.small_world.sentences import all_sentences, named_cause, sentence_of
from benchmarks.small_world.world import LANE_M, SPEED_MPS, STOP_SHORT_M, Cause, moments
from hypothesis import given
from hypothesis import strategies as st

from coc_labeling.reading import read_sentence

MOMENTS = list(moments(400, 7, "a"))
OF = {cause: [one for one in MOMENTS if one.cause is cause] for cause in Cause}


def test_causes_come_equally_often():
    assert {len(own) for own in OF.values()} == {100}


def test_the_same_seed_gives_the_same_moments_and_another_one_others():
    assert list(moments(5, 7, "a")) == MOMENTS[:5]
    assert not {one.speed_mps for one in moments(50, 8, "a")} & {one.speed_mps for one in MOMENTS}


@pytest.mark.parametrize("cause", Cause)
def test_speed_before_t0_tells_nothing_of_the_cause(cause):
    speeds = np.array([one.speed_mps for one in OF[cause]])
    assert SPEED_MPS[0] <= speeds.min() < 7.0
    assert 13.0 < speeds.max() <= SPEED_MPS[1]
    assert abs(speeds.mean() - np.mean(SPEED_MPS)) < 1.0


@given(st.sampled_from(MOMENTS))
def test_history_is_straight_and_as_fast_as_the_moment_says(moment):
    driven = drive(moment, 1.6, 6.6)
    before = driven.t_sec <= 1e-9
    assert np.abs(driven.xy[before, 1]).max() == 0.0
    expected = moment.speed_mps * driven.t_sec[before] + moment.drift_mps2 * driven.t_sec[before] ** 2 / 2
    assert driven.xy[before, 0] == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("moment", OF[Cause.RED_LIGHT][:20], ids=lambda one: one.name)
def test_ego_never_passes_the_line_of_a_red_light(moment):
    driven = drive(moment, 1.6, 30.0)
    assert driven.speed_mps[-1] == 0.0
    assert driven.xy[-1, 0] == pytest.approx(moment.lights[0].ahead_m - STOP_SHORT_M, abs=0.2)


@pytest.mark.parametrize("moment", OF[Cause.BLOCKED_LANE][:20], ids=lambda one: one.name)
def test_ego_is_in_the_other_lane_when_it_passes_what_blocks_its_own(moment):
    driven = drive(moment, 1.6, 6.6)
    there = int(np.searchsorted(driven.xy[:, 0], moment.obstacle.ahead_m))
    assert driven.xy[there, 1] * moment.other_lane > 0.6 * LANE_M
    assert driven.xy[-1, 1] == pytest.approx(moment.other_lane * LANE_M)


@pytest.mark.parametrize("moment", OF[Cause.LEAD_BRAKES][:20], ids=lambda one: one.name)
def test_ego_slows_down_for_a_braking_lead_and_more_so_for_a_near_one(moment):
    speed = drive(moment, 1.6, 6.6).speed_mps
    assert speed[-1] < 0.8 * moment.speed_mps
    assert (np.diff(speed[161:]) <= 1e-9).all()


@pytest.mark.parametrize("moment", OF[Cause.CLEAR_ROAD][:20], ids=lambda one: one.name)
def test_ego_speeds_up_gently_on_a_clear_road(moment):
    speed = drive(moment, 1.6, 6.6).speed_mps
    assert speed[-1] > moment.speed_mps + 1.0
    assert np.diff(speed[161:]).max() < 0.03  # of a hundredth of a second: below 3 m/s2


@pytest.mark.parametrize("sentence", all_sentences())
def test_the_reader_understands_every_sentence_wholly(sentence):
    reading = read_sentence(sentence)
    assert not reading.unread
    assert not reading.garbled
    assert len([one for one in reading.decisions if not one.negated]) == 1
    assert named_cause(sentence) is not None


def test_sentences_name_the_cause_of_their_moments():
    assert all(named_cause(sentence_of(one)) is one.cause for one in MOMENTS)
    assert {sentence_of(one) for one in MOMENTS} == set(all_sentences())


@pytest.mark.parametrize(
    "said",
    [
        "",
        "null",
        "Stop because the lead vehicle ahead is braking and the traffic light ahead has turned red.",
        "Accelerate gently because the traffic light ahead has turned green.",
        "Keep the lane.",
        "\x00 <|cot_start|>",
    ],
)
def test_what_names_none_or_several_causes_is_no_cause(said):
    assert named_cause(said) is None


def test_pictures_show_brake_lights_lamps_and_cones():
    lead = OF[Cause.LEAD_BRAKES][0]
    seen = frame(lead, 0.0, 0.0)
    assert seen.shape == (HEIGHT, WIDTH, 3)
    assert seen.dtype == np.uint8
    scale = FOCAL / lead.lead.ahead_m
    row, column = round(HORIZON + (1.6 - 0.78) * scale), round(WIDTH / 2 - 0.65 * scale)
    red, green, blue = seen[row, column].astype(int)
    assert red > 150 > 2 * max(green, blue) - 60


def test_a_light_turns_from_yellow_to_red_and_standing_things_come_nearer():
    moment = OF[Cause.RED_LIGHT][0]
    earlier, now = (frame(moment, t, t * moment.speed_mps).astype(int) for t in (-0.3, 0.0))
    yellow, red = (int(((p[..., 0] > 150) & (p[..., 1] > 110) & (p[..., 2] < 90)).sum()) for p in (earlier, now))
    assert yellow > red
    assert np.abs(earlier - now).mean() > 0.5
