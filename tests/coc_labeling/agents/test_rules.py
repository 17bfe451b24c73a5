import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.driving import drive
from builders.scenes import (
    NO_BOXES,
    ahead_of,
    boxes,
    braking,
    label_at,
    mirrored,
    mirrored_boxes,
    onset,
    random_boxes,
    random_drive,
    standing_at,
    window_at,
)
from coc_labeling.agents.situation import situation
from coc_labeling.scene import scene_facts, traffic_lines
from coc_labeling.schema import CoCLabel

UNOBSERVED = ("unobserved",)
seeds = st.integers(0, 10**6)


def braking_behind_lead():
    """Ego brakes from 13 to 5 m/s; the lead, 30 m ahead, began to a second sooner."""
    ego = braking(at=8.0)
    lead = braking(at=7.0)
    frame = onset(ego, "strong_deceleration")
    return ego, frame, boxes("41", lead.x + 32.25, 0.0, lead.t_us)


def coming_to_a_stop():
    return braking(to_mps=0.0, from_mps=8.0, at=8.0)


def cause_of(label: CoCLabel, channel: str = "longitudinal"):
    (cause,) = getattr(label, channel).cause_ids
    return next((c for c in label.components if c.id == cause), cause)


def test_braking_behind_a_lead_is_following_it():
    ego, frame, lead = braking_behind_lead()
    label = label_at(ego, frame, lead)
    cause = cause_of(label)
    assert label.longitudinal.decision == "follow_lead"
    assert (cause.category, cause.relation, cause.track_id) == ("critical_object", "lead", "41")
    assert "keep distance to the lead vehicle" in label.effect_on_ego_behavior


def test_distance_and_closing_speed_of_the_lead_are_told_as_they_are():
    ego, frame, lead = braking_behind_lead()
    distance = lead.center[frame, 0] - 2.25 - ego.x[frame]
    rows = slice(frame - 10, frame + 1)
    closing = ego.vx[frame] - np.polyfit(ego.t_us[rows] / 1e6, lead.center[rows, 0], 1)[0]
    cause = cause_of(label_at(ego, frame, lead))
    told = re.fullmatch(r"lead vehicle (\d+) m ahead, ([\d.]+) m/s slower than ego", cause.description)
    assert float(told[1]) == pytest.approx(distance, abs=0.51)
    assert float(told[2]) == pytest.approx(closing, abs=0.051)


def test_stopping_behind_a_stopped_vehicle_is_following_it():
    ego = coming_to_a_stop()
    frame = onset(ego, "strong_deceleration")
    label = label_at(ego, frame, standing_at(ego, ego.x[-1] + 4))
    assert label.longitudinal.decision == "follow_lead"
    assert cause_of(label).description.startswith("stopped lead vehicle ")
    assert "slower" not in label.effect_on_ego_behavior
    assert label.effect_on_ego_behavior.startswith("Decelerate to a stop behind the stopped lead vehicle")


def test_standing_behind_a_stopped_vehicle_is_remaining_stopped():
    ego = coming_to_a_stop()
    label = label_at(ego, 150, standing_at(ego, ego.x[-1] + 4))
    assert label.longitudinal.decision == "follow_lead"
    assert label.effect_on_ego_behavior.startswith("Remain stopped behind the stopped lead vehicle 4 m ahead")


@pytest.mark.parametrize("tracks", [NO_BOXES, None], ids=["nothing-seen", "no-tracks"])
def test_stopping_without_a_lead_is_a_stop_whose_cause_is_unobserved(tracks):
    ego = coming_to_a_stop()
    label = label_at(ego, onset(ego, "strong_deceleration"), tracks)
    assert label.longitudinal.decision == "stop"
    assert label.longitudinal.cause_ids == UNOBSERVED
    assert label.components == ()


def test_without_tracks_the_record_says_so():
    ego = coming_to_a_stop()
    label = label_at(ego, onset(ego, "strong_deceleration"), None)
    assert "there are no obstacle tracks to look at" in label.trace
    assert label.effect_on_ego_behavior.endswith("; no cause was observed.")


def test_with_tracks_but_no_lead_the_record_says_what_was_looked_for():
    ego = coming_to_a_stop()
    label = label_at(ego, onset(ego, "strong_deceleration"), NO_BOXES)
    assert "no vehicle is tracked in ego's path within 100 m" in label.trace


@pytest.mark.parametrize(("rate", "side"), [(0.12, "left"), (-0.12, "right")])
def test_slowing_for_a_tight_curve_is_adapting_the_speed_to_it(rate, side):
    ego = drive(speed=lambda t: np.maximum(7.0, 13.0 - 1.5 * np.maximum(t - 8, 0)), yaw_rate=lambda t: rate * (t > 10))
    labels = (label_at(ego, frame) for frame in range(60, 110))
    label = next(one for one in labels if one.longitudinal.decision == "adapt_speed" and one.components)
    cause = cause_of(label)
    assert (cause.category, cause.side, cause.relation) == ("lane", side, None)
    assert cause.description.startswith((f"{side} curve, radius ", f"{side} turn, radius "))
    assert f"for the {side} " in label.effect_on_ego_behavior


def test_a_wide_curve_is_no_reason_to_slow_down():
    ego = drive(speed=lambda t: np.maximum(10.0, 20.0 - 2 * np.maximum(t - 8, 0)), yaw_rate=0.03)
    label = label_at(ego, onset(ego, "strong_deceleration"))
    assert label.longitudinal.decision == "adapt_speed"
    assert label.longitudinal.cause_ids == UNOBSERVED


@pytest.mark.parametrize(("sign", "side"), [(1, "left"), (-1, "right")])
def test_ninety_degrees_are_a_turn_with_its_direction(sign, side):
    ego = drive(speed=5.0, yaw_rate=lambda t: sign * np.pi / 2 / 4 * ((t > 10) & (t <= 14)))
    label = label_at(ego, 98)
    assert (label.lateral.decision, label.lateral.direction) == ("turn", side)
    assert label.lateral.cause_ids == UNOBSERVED
    assert f"turn {side}" in label.effect_on_ego_behavior


@pytest.mark.parametrize(("sign", "side"), [(1, "left"), (-1, "right")])
def test_a_path_that_shifts_by_a_lane_is_a_lane_change_with_its_direction(sign, side):
    rate = sign * 3.5 * 2 * np.pi / (15.0 * 16)
    ego = drive(speed=15.0, yaw_rate=lambda t: rate * np.sin(2 * np.pi * (t - 8) / 4) * ((t >= 8) & (t < 12)))
    label = label_at(ego, 80)
    assert (label.lateral.decision, label.lateral.direction) == ("change_lane", side)
    assert f"change lane to the {side}" in label.effect_on_ego_behavior


@pytest.mark.parametrize(
    "place", [{"gap": 30.0, "left": 3.6}, {"gap": -20.0}, {"gap": 90.0}], ids=["beside", "behind", "beyond-range"]
)
def test_a_vehicle_that_is_no_lead_causes_nothing(place):
    ego = braking()
    label = label_at(ego, onset(ego, "strong_deceleration"), ahead_of(ego, **place))
    assert label.longitudinal.cause_ids == UNOBSERVED
    assert label.components == ()


def test_a_lead_that_is_seen_only_later_causes_nothing():
    ego = braking()
    frame = onset(ego, "strong_deceleration")
    label = label_at(ego, frame, ahead_of(ego.rows(slice(frame + 1, 201)), 15.0))
    assert label.longitudinal.cause_ids == UNOBSERVED


def test_a_lead_that_speeds_away_does_not_cause_braking():
    ego = braking()
    frame = onset(ego, "strong_deceleration")
    away = boxes("7", 20 + 20 * ego.t_us / 1e6 - 20 * frame / 10 + ego.x[frame], 0.0, ego.t_us)
    assert label_at(ego, frame, away).longitudinal.cause_ids == UNOBSERVED


def test_a_lead_that_drives_away_does_not_cause_a_stop():
    ego = coming_to_a_stop()
    frame = onset(ego, "strong_deceleration")
    away = boxes("7", ego.x[frame] + 12 + 14 * (ego.t_us / 1e6 - frame / 10), 0.0, ego.t_us)
    label = label_at(ego, frame, away)
    assert label.longitudinal.decision == "stop"
    assert label.longitudinal.cause_ids == UNOBSERVED


def test_steady_driving_behind_a_near_lead_is_following_it():
    ego = drive(speed=10.0)
    label = label_at(ego, 100, ahead_of(ego, 20.0))
    assert label.longitudinal.decision == "follow_lead"
    assert label.effect_on_ego_behavior.startswith("Keep the speed behind the lead vehicle 20 m ahead")


def test_steady_driving_far_behind_another_is_keeping_the_speed():
    ego = drive(speed=10.0)
    label = label_at(ego, 100, ahead_of(ego, 60.0))
    assert label.longitudinal.decision == "track_speed"
    assert label.longitudinal.cause_ids == UNOBSERVED


def test_driving_backwards_is_an_abstention():
    ego = drive(speed=-3.0)
    label = label_at(ego, 100)
    assert label.abstention.reason == "no_decision"
    assert label.longitudinal is None


def test_a_moment_without_a_meta_action_is_an_abstention():
    label = label_at(drive(2.0, speed=10.0), 20)
    assert label.abstention is not None
    assert label.abstention.reason == "no_meta_action"


def test_the_trace_tells_speeds_as_they_are():
    ego = braking(from_mps=13.0, to_mps=5.0, at=8.0)
    label = label_at(ego, 70)
    assert label.trace.startswith("Ego drives 13.0 m/s.")
    assert "5.0 m/s" not in label.trace  # what only the future shows


def test_no_label_speculates():
    ego, frame, lead = braking_behind_lead()
    for label in (label_at(ego, frame, lead), label_at(ego, frame)):
        text = f"{label.trace} {label.effect_on_ego_behavior}".lower()
        assert not {"might", "likely", "potential", "probably", "may"} & set(text.replace(".", " ").split())


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(0, 200), st.booleans())
def test_whatever_is_driven_the_label_validates_and_cites_all_its_components(seed, frame, with_tracks):
    d = random_drive(seed)
    label = label_at(d, frame, random_boxes(seed, d) if with_tracks else None)
    assert CoCLabel.model_validate_json(label.model_dump_json()) == label
    cited = {c for channel in (label.longitudinal, label.lateral) if channel for c in channel.cause_ids}
    assert {component.id for component in label.components} == cited - {"unobserved"}


def swapped(label: CoCLabel) -> dict:
    text = json.dumps(label.model_dump(mode="json"))
    return json.loads(text.replace("left", "\0").replace("right", "left").replace("\0", "right"))


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(0, 200))
def test_the_mirrored_scene_has_the_mirrored_label(seed, frame):
    d = random_drive(seed)
    tracks = random_boxes(seed, d)
    label = label_at(d, frame, tracks)
    assert label_at(mirrored(d), frame, mirrored_boxes(tracks)).model_dump(mode="json") == swapped(label)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(0, 200))
def test_boxes_after_the_keyframe_tell_what_ego_does_and_not_why(seed, frame):
    """They may show a lane change of ego, by the lines that others drive; all else rests on the boxes before."""
    d = random_drive(seed)
    tracks = random_boxes(seed, d)
    known, history = (window_at(d, frame, own) for own in (tracks, tracks.select(tracks.t_us <= frame * 100_000)))
    lines = traffic_lines(scene_facts(known.ego, tracks))
    assert situation(known, lines) == situation(history, lines)


@pytest.mark.parametrize(("size", "decision"), [((4.5, 1.9, 1.6), "nudge_in_lane"), ((np.nan,) * 3, "keep_lane")])
def test_ego_keeps_clear_only_of_what_has_a_known_width(size, decision):
    inside = lambda t: (t >= 8) & (t < 11)  # noqa: E731
    rate = 0.9 * 2 * np.pi / (10.0 * 9)
    ego = drive(speed=10.0, yaw_rate=lambda t: rate * np.sin(2 * np.pi * (t - 8) / 3) * inside(t))
    parked = standing_at(ego, ego.x[100], -1.9, size=size)
    assert label_at(ego, 80, parked).lateral.decision == decision
