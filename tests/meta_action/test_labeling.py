import json
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.driving import Drive, drive
from builders.golden import GOLDEN, TRAJECTORY_TEXTS, texts, trajectories
from driving_clips.ego_motion import EgoMotion
from driving_clips.geometry import quat_of_yaw
from meta_action.labeling import label_motions, label_trajectories
from meta_action.names import MIRRORED, RANK
from meta_action.timeline import Span, timeline, to_raw_json, to_text


def label(d: Drive) -> list[Span]:
    return label_trajectories(*(getattr(d, name)[None] for name in ("x", "y", "yaw", "vx", "vy")))[0]


def motion_of(d: Drive, first_tick: int = 0) -> EgoMotion:
    zero = np.zeros(len(d))
    return EgoMotion(
        first_tick, np.stack([d.x, d.y, zero], 1), quat_of_yaw(d.yaw), np.stack([d.vx, d.vy, zero], axis=1)
    )


def random_drive(seed: int) -> Drive:
    """Smooth driving with stops, reversing and turns; real-valued, so that no value sits on a threshold."""
    random = np.random.default_rng(seed)
    seconds = float(random.choice([20.0, 20.0, 12.3, 3.0, 0.9]))
    knots = np.linspace(0, 20, int(random.integers(3, 9)))
    speeds = random.uniform(-4, 18, len(knots)) * random.choice([1.0, 1.0, 0.2])
    turns = random.normal(0, 0.15, len(knots))

    def speed(t):
        raw = np.interp(t, knots, speeds)
        return np.where(np.abs(raw) < 0.7, 0.0, raw - np.sign(raw) * 0.7)

    def yaw_rate(t):
        return np.interp(t, knots, turns) * np.clip(np.abs(speed(t)), 0, 1)

    return drive(seconds, speed=speed, yaw_rate=yaw_rate)


def moved(d: Drive, angle: float, east: float, north: float) -> Drive:
    c, s = np.cos(angle), np.sin(angle)
    return Drive(
        d.t_us,
        c * d.x - s * d.y + east,
        s * d.x + c * d.y + north,
        np.angle(np.exp(1j * (d.yaw + angle))),
        c * d.vx - s * d.vy,
        s * d.vx + c * d.vy,
    )


seeds = st.integers(0, 10**6)


@pytest.mark.parametrize("clip_id", sorted(trajectories()))
def test_golden_texts_one_clip_at_a_time(clip_id):
    (spans,) = label_trajectories(*(column[None] for column in trajectories()[clip_id].T))
    assert to_text(timeline(clip_id, spans)) == texts(TRAJECTORY_TEXTS)[clip_id]


def test_golden_texts_batched_by_length():
    by_length = defaultdict(list)
    for clip_id, trajectory in trajectories().items():
        by_length[len(trajectory)].append(clip_id)
    found = {}
    for clip_ids in by_length.values():
        stacked = np.stack([trajectories()[clip_id].T for clip_id in clip_ids], axis=1)
        for clip_id, spans in zip(clip_ids, label_trajectories(*stacked), strict=True):
            found[clip_id] = to_text(timeline(clip_id, spans))
    assert found == texts(TRAJECTORY_TEXTS)


@pytest.mark.parametrize("path", sorted((GOLDEN / "segments").glob("*.json")), ids=lambda path: path.stem)
def test_golden_raw_strings_from_the_trajectory(path):
    (spans,) = label_trajectories(*(column[None] for column in trajectories()[path.stem].T))
    golden = json.loads(path.read_text())
    assert json.loads(to_raw_json(timeline(path.stem, spans))) == golden["raw_strings"]
    assert to_text(timeline(path.stem, spans)) == golden["final_text"]


@given(seeds)
def test_spans_of_an_axis_are_half_open_in_order_and_inside_the_clip(seed):
    """Half of an odd number of ticks is rounded, so neighbours may share or leave out one tick; the golden files do."""
    d = random_drive(seed)
    for axis in ("longitudinal", "lateral"):
        own = [span for span in label(d) if span.axis == axis]
        assert all(0 <= span.start < span.end <= len(d) - 1 for span in own)
        for a, b in pairwise(own):
            assert a.start < b.start
            assert a.end < b.end
            assert a.end - b.start <= 1


@given(seeds)
def test_the_longitudinal_axis_has_no_gap_beyond_rounding(seed):
    d = random_drive(seed)
    own = [span for span in label(d) if span.axis == "longitudinal"]
    assert (own[0].start, own[-1].end) == (0, len(d) - 1)
    assert all(abs(a.end - b.start) <= 1 and a.name != b.name for a, b in pairwise(own))


@given(seeds)
def test_the_lateral_axis_says_nothing_during_a_stop(seed):
    spans = label(random_drive(seed))
    stops = [span for span in spans if span.name == "stop"]
    lateral = [span for span in spans if span.axis == "lateral"]
    assert not [(a, b) for a in stops for b in lateral if a.start < b.end and b.start < a.end]


@given(seeds)
def test_the_lateral_axis_speaks_wherever_there_is_no_stop(seed):
    d = random_drive(seed)
    silent = np.ones(len(d) - 1, bool)
    for span in label(d):
        if span.name == "stop" or span.axis == "lateral":
            silent[span.start : span.end] = False
    assert not (silent[1:] & silent[:-1]).any()


@given(seeds)
def test_mirroring_swaps_left_and_right_and_changes_nothing_else(seed):
    d = random_drive(seed)
    mirrored = Drive(d.t_us, d.x, -d.y, -d.yaw, d.vx, -d.vy)
    expected = [span._replace(name=MIRRORED[span.name]) for span in label(d)]
    assert label(mirrored) == expected


@given(seeds, st.floats(-3, 3), st.floats(-1000, 1000), st.floats(-1000, 1000))
def test_shifting_and_turning_the_frame_changes_nothing(seed, angle, east, north):
    d = random_drive(seed)
    assert label(moved(d, angle, east, north)) == label(d)


@given(seeds, st.integers(1, 100))
def test_a_clip_that_begins_late_is_moved_by_its_first_tick(seed, first_tick):
    d = random_drive(seed)
    (early,), (late,) = label_motions([motion_of(d)]), label_motions([motion_of(d, first_tick)])
    assert late == [span._replace(start=span.start + first_tick, end=span.end + first_tick) for span in early]


@settings(max_examples=20)
@given(st.lists(seeds, min_size=1, max_size=8))
def test_a_clip_s_spans_do_not_depend_on_the_other_clips(some):
    motions = [motion_of(random_drive(seed)) for seed in some]
    assert label_motions(motions) == [label_motions([motion])[0] for motion in motions]


def test_no_clips_have_no_spans():
    assert label_motions([]) == []


def test_ten_ticks_can_be_labelled():
    spans = label(drive(0.9, speed=10.0))
    assert [(s.name, s.start, s.end) for s in spans] == [("maintain_speed", 0, 9), ("go_straight", 0, 9)]


def test_numbers_are_ranked_in_the_order_of_the_command_line():
    assert sorted(RANK, key=RANK.__getitem__)[:2] == ["gentle_acceleration", "strong_acceleration"]
