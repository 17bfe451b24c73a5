import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.asked import CLIP, agent_of, frames_of, window
from builders.driving import drive
from builders.scenes import braking, mirrored
from coc_labeling.prompts.window_text import meta_action_text, seconds, speed_text, window_text
from coc_labeling.windows import Sampling
from meta_action.timeline import Span

DEFAULT = Sampling(2, 6, 0.5)
CRUISE = Span("longitudinal", "maintain_speed", 0, 52)
BRAKE = Span("longitudinal", "gentle_deceleration", 52, 80)
STRAIGHT = Span("lateral", "go_straight", 0, 201)
SHIFT = Span("lane", "slightly_shift_left", 60, 75)
SPANS = (CRUISE, BRAKE, STRAIGHT, SHIFT)

WHOLE = """\
# Meta-actions
(t=-2.0s) longitudinal: Maintain Speed, lateral: Go Straight, lane: Not Available
(t=-1.5s) longitudinal: Maintain Speed, lateral: Go Straight, lane: Not Available
(t=-1.0s) longitudinal: Maintain Speed, lateral: Go Straight, lane: Not Available
(t=-0.5s) longitudinal: Maintain Speed, lateral: Go Straight, lane: Not Available
(t=0.0s) longitudinal: Maintain Speed, lateral: Go Straight, lane: Not Available
(t=0.5s) longitudinal: Gentle Deceleration, lateral: Go Straight, lane: Not Available
(t=1.0s) longitudinal: Gentle Deceleration, lateral: Go Straight, lane: Slightly Shift Left
(t=1.5s) longitudinal: Gentle Deceleration, lateral: Go Straight, lane: Slightly Shift Left
(t=2.0s) longitudinal: Gentle Deceleration, lateral: Go Straight, lane: Slightly Shift Left
(t=2.5s) longitudinal: Gentle Deceleration, lateral: Go Straight, lane: Not Available
(t=3.0s) longitudinal: Not Available, lateral: Go Straight, lane: Not Available
(t=3.5s) longitudinal: Not Available, lateral: Go Straight, lane: Not Available
(t=4.0s) longitudinal: Not Available, lateral: Go Straight, lane: Not Available
(t=4.5s) longitudinal: Not Available, lateral: Go Straight, lane: Not Available
(t=5.0s) longitudinal: Not Available, lateral: Go Straight, lane: Not Available
(t=5.5s) longitudinal: Not Available, lateral: Go Straight, lane: Not Available

# Ego speed (m/s)
(t=-2.0s) longitudinal 13.00, lateral 0.00
(t=-1.5s) longitudinal 13.00, lateral 0.00
(t=-1.0s) longitudinal 13.00, lateral 0.00
(t=-0.5s) longitudinal 13.00, lateral 0.00
(t=0.0s) longitudinal 13.00, lateral 0.00
(t=0.5s) longitudinal 12.00, lateral 0.00
(t=1.0s) longitudinal 11.00, lateral 0.00
(t=1.5s) longitudinal 10.00, lateral 0.00
(t=2.0s) longitudinal 9.00, lateral 0.00
(t=2.5s) longitudinal 8.00, lateral 0.00
(t=3.0s) longitudinal 7.00, lateral 0.00
(t=3.5s) longitudinal 6.00, lateral 0.00
(t=4.0s) longitudinal 5.00, lateral 0.00
(t=4.5s) longitudinal 5.00, lateral 0.00
(t=5.0s) longitudinal 5.00, lateral 0.00
(t=5.5s) longitudinal 5.00, lateral 0.00
(t=6.0s) longitudinal 5.00, lateral 0.00"""


def known_of(own, agent=None) -> str:
    """Return the text of a window, as the agent of the default configuration says it."""
    return (agent or agent_of()).prepare(own, [frames_of(own)]).parts[1].text


def speeds(own, sampling: Sampling = DEFAULT) -> dict[float, tuple[float, float]]:
    found = re.findall(r"\(t=(.+)s\) longitudinal (.+), lateral (.+)", speed_text(own, sampling.edges_us))
    return {float(t): (float(along), float(left)) for t, along, left in found}


def actions(own, sampling: Sampling = DEFAULT, *, as_words: bool = True, with_times: bool = True) -> list[str]:
    return meta_action_text(own, sampling.offsets_us, as_words=as_words, with_times=with_times).splitlines()


def test_a_window_is_told_to_the_byte():
    assert known_of(window(d=braking(at=5.0), spans=SPANS)) == WHOLE


def test_sixteen_lines_of_meta_actions_and_seventeen_of_speed_by_default():
    own = window(spans=SPANS)
    assert len(actions(own)) == 16
    told = list(speeds(own))
    assert [t for t in told if t <= 0] == [-2.0, -1.5, -1.0, -0.5, 0.0]
    assert [t for t in told if t > 0] == [0.5 * step for step in range(1, 13)]


def test_meta_actions_without_times():
    assert actions(window(spans=SPANS), with_times=False)[0] == (
        "longitudinal: Maintain Speed, lateral: Go Straight, lane: Not Available"
    )


def test_meta_actions_as_they_stand_in_files():
    lines = actions(window(spans=SPANS), as_words=False)
    assert lines[0] == "(t=-2.0s) longitudinal: MaintainSpeed, lateral: GoStraight, lane: Not Available"
    assert lines[6] == "(t=1.0s) longitudinal: GentleDeceleration, lateral: GoStraight, lane: SlightlyShiftLeft"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"data_loader__meta_action__add_ts_prefix": False}, "# Meta-actions\nlongitudinal: Maintain Speed, lateral"),
        ({"data_loader__meta_action__convert2text": False}, "# Meta-actions\n(t=-2.0s) longitudinal: MaintainSpeed"),
        ({"data_loader__meta_action__hist_length_sec": 1.0}, "# Meta-actions\n(t=-1.0s) longitudinal: "),
        ({"data_loader__vector__hist_length_sec": 0.5}, "# Ego speed (m/s)\n(t=-0.5s) longitudinal "),
        ({"data_loader__vector__time_interval": 1.0}, "(t=-2.0s) longitudinal 8.00, lateral 0.00\n(t=-1.0s) long"),
    ],
)
def test_the_configuration_says_how_motion_is_shown(settings, expected):
    assert expected in known_of(window(spans=SPANS), agent_of(**settings))


@pytest.mark.parametrize(
    ("slip", "expected"), [(1.5, "lateral 1.50"), (-1.5, "lateral -1.50")], ids=["to the left", "to the right"]
)
@pytest.mark.parametrize("heading", [0.0, 2.0, -1.0])
def test_lateral_speed_is_positive_to_the_left(slip, expected, heading):
    d = drive(speed=6.0)
    forward, left = 6.0, slip
    turned = replace(
        d,
        yaw=np.full(len(d), heading),
        vx=np.full(len(d), forward * np.cos(heading) - left * np.sin(heading)),
        vy=np.full(len(d), forward * np.sin(heading) + left * np.cos(heading)),
    )
    assert set(speeds(window(d=turned)).values()) == {(6.0, slip)}
    assert expected in speed_text(window(d=turned), DEFAULT.edges_us)


def test_speed_is_negative_backwards():
    assert set(speeds(window(d=drive(speed=-3.0, yaw_rate=0.1))).values()) == {(-3.0, 0.0)}


def test_speed_in_a_curve_is_that_along_the_heading():
    assert set(speeds(window(d=drive(speed=8.0, yaw_rate=0.3))).values()) == {(8.0, 0.0)}


def test_the_mirrored_drive_has_the_opposite_lateral_speed():
    d = replace(drive(speed=8.0, yaw_rate=0.2), vy=np.linspace(-2, 2, 201))
    for t, (along, left) in speeds(window(d=d)).items():
        assert speeds(window(d=mirrored(d)))[t] == (along, -left)


@pytest.mark.parametrize("speed", [-0.004, -1e-12, -0.0, 0.004])
def test_there_is_no_minus_zero(speed):
    d = replace(drive(speed=speed), vy=np.full(201, speed))
    assert "-0.00" not in speed_text(window(d=d), DEFAULT.edges_us)
    assert seconds(-4_000, 2) == "t=0.00s"
    assert seconds(-40_000, 1) == "t=0.0s"


@pytest.mark.parametrize(
    ("offset_us", "digits", "expected"),
    [(-1_983_000, 2, "t=-1.98s"), (500_000, 1, "t=0.5s"), (0, 1, "t=0.0s"), (5_500_000, 2, "t=5.50s")],
)
def test_times_are_told_relative_to_the_keyframe(offset_us, digits, expected):
    assert seconds(offset_us, digits) == expected


def test_speeds_between_ticks_are_those_of_the_true_time():
    d = drive(speed=lambda t: t)
    told = speeds(window(5_030_000, d=d))
    assert told[0.0] == (5.03, 0.0)
    assert told[-2.0] == (3.03, 0.0)
    assert told[6.0] == (11.03, 0.0)


def test_meta_actions_between_ticks_are_those_of_the_tick_that_is_running():
    own = window(5_199_999, spans=SPANS)  # the deceleration begins at 5.2 s
    assert "Maintain Speed" in actions(own)[4]
    assert "Gentle Deceleration" in actions(window(5_200_000, spans=SPANS))[4]


def test_times_that_are_no_tenths_are_told_in_full():
    own = window(spans=SPANS)
    sampling = Sampling(0.5, 0.5, 0.25)
    assert [line.partition(" ")[0] for line in actions(own, sampling)] == [
        "(t=-0.5s)",
        "(t=-0.25s)",
        "(t=0.0s)",
        "(t=0.25s)",
    ]
    assert list(speeds(own, sampling)) == [-0.5, -0.25, 0.0, 0.25, 0.5]


@pytest.mark.parametrize(
    ("t0_us", "first", "said"),
    [
        (1_300_000, -1.0, "The recording begins 1.3 s before t=0: there is nothing earlier."),
        (0, 0.0, "The recording begins 0.0 s before t=0: there is nothing earlier."),
    ],
)
def test_what_lies_before_the_clip_is_not_told_and_the_prompt_says_so(t0_us, first, said):
    own = window(t0_us, spans=SPANS)
    assert min(speeds(own)) == first
    assert actions(own)[0].startswith(f"(t={first}s)")
    assert known_of(own).startswith(f"# Window\n{said}\n\n# Meta-actions\n")


@pytest.mark.parametrize(
    ("t0_us", "last", "said"),
    [
        (17_300_000, 2.5, "The recording ends 2.7 s after t=0: what ego does later is not known."),
        (20_000_000, 0.0, "The recording ends 0.0 s after t=0: what ego does later is not known."),
    ],
)
def test_what_lies_after_the_clip_is_not_told_and_the_prompt_says_so(t0_us, last, said):
    own = window(t0_us, spans=SPANS)
    assert max(speeds(own)) == last
    assert actions(own)[-1].startswith(f"(t={last}s)")
    assert known_of(own).startswith(f"# Window\n{said}\n\n# Meta-actions\n")


def test_a_late_start_of_ego_motion_is_a_start():
    own = window(6_000_000, first_tick=50, spans=SPANS)
    assert min(speeds(own)) == -1.0
    assert window_text(own.info, []).startswith("The recording begins 1.0 s before t=0")


def test_both_ends_and_missing_frames_are_told_together():
    own = window(1_000_000, d=drive(3.0))
    assert window_text(own.info, ["There is no frame of front."]).splitlines() == [
        "The recording begins 1.0 s before t=0: there is nothing earlier.",
        "The recording ends 2.0 s after t=0: what ego does later is not known.",
        "There is no frame of front.",
    ]


def test_nothing_is_said_of_a_whole_window():
    assert window_text(window().info, []) == ""


def test_the_last_speed_of_a_whole_window_is_there():
    assert max(speeds(window(14_000_000))) == 6.0


@given(st.integers(0, 20_000_000), st.integers(0, 3))
def test_no_text_names_the_clip_or_a_time_on_its_clock(t0_us, cameras):
    own = window(t0_us, spans=SPANS)
    shown = [frames_of(own, f"camera_{number}", missing=number) for number in range(cameras)]
    prepared = agent_of().prepare(own, shown)
    said = [part.text for part in prepared.parts[1:]] + [label for part in prepared.parts for label, _ in part.frames]
    for text in said:
        assert CLIP not in text
        assert ".mp4" not in text
        times = [float(t) for t in re.findall(r"t=(-?\d+\.\d+)s", text)]
        assert all(-2.0 <= t <= 6.0 for t in times)
        assert not re.search(r"\d{6}", text)


def test_the_last_hundredths_of_a_second_are_said_to_be_missing():
    own = window(14_050_000)  # 6 s later the clip is over
    assert max(speeds(own)) == 5.5
    assert window_text(own.info, [])


def test_a_time_is_told_where_ego_motion_begins_just_then():
    own = window(2_300_000, d=drive(15.0), first_tick=3)
    assert speed_text(own, [-2_000_000]).startswith("(t=-2.0s)")
