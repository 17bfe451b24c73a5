import re
from dataclasses import replace

import numpy as np
import pytest

from builders.driving import drive
from builders.scenes import ahead_of, motion_of, standing_at, together
from coc_labeling.scene import Kind, scene_facts
from driving_clips.ego_motion import EgoMotion

CRUISE = drive(speed=10.0)
T = CRUISE.t_us / 1e6


def facts_of(tracks, d=CRUISE):
    return scene_facts(motion_of(d), tracks)


def test_sound_tracks_have_no_problem():
    assert facts_of(together(ahead_of(CRUISE, 20.0), standing_at(CRUISE, 80.0, 3.0, track_id="8"))).problems == ()


def clock_off_by(seconds: float, d, tracks):
    """Tracks as they are placed when their clock reads ``seconds`` too much: by ego's pose at that later time."""
    ego = motion_of(d)
    rows = np.arange(len(d), dtype=float)

    def pose(at):
        x, y = (np.interp(at, rows, ego.xyz[:, k]) for k in (0, 1))
        return x, y, np.interp(at, rows, np.unwrap(ego.heading))

    row = tracks.t_us / 1e5
    (x, y, h), (later_x, later_y, later_h) = pose(row), pose(np.clip(row + seconds * 10, 0, len(d) - 1))
    dx, dy = tracks.center[:, 0] - x, tracks.center[:, 1] - y
    ahead, left = dx * np.cos(h) + dy * np.sin(h), -dx * np.sin(h) + dy * np.cos(h)
    center = tracks.center.copy()
    center[:, 0] = later_x + ahead * np.cos(later_h) - left * np.sin(later_h)
    center[:, 1] = later_y + ahead * np.sin(later_h) + left * np.cos(later_h)
    return replace(tracks, t_us=tracks.t_us + round(seconds * 1e6), center=center)


TURNING = drive(speed=lambda t: 8 + 4 * np.sin(0.7 * t), yaw_rate=lambda t: 0.35 * np.sin(0.5 * t))
STREET = together(
    *(standing_at(TURNING, 12.0 * n, 30.0 * (-1) ** n, track_id=f"s{n}") for n in range(8)), ahead_of(TURNING, 20.0)
)


@pytest.mark.parametrize("seconds", [0.5, -0.5, 0.3])
def test_a_clock_that_is_off_is_said_and_nothing_is_claimed(seconds):
    facts = facts_of(clock_off_by(seconds, TURNING, STREET), TURNING)
    assert not facts.has_tracks
    said = float(re.search(r"off by about ([+-][0-9.]+) s", facts.problems[-1])[1])
    assert said == pytest.approx(seconds, abs=0.15)
    assert facts.roles == ()


def test_a_right_clock_is_right():
    facts = facts_of(STREET, TURNING)
    assert facts.has_tracks
    assert facts.problems == ()


def test_noise_of_the_tracker_is_no_clock_that_is_off():
    random = np.random.default_rng(1)
    noisy = replace(STREET, center=STREET.center + random.normal(0, 0.1, STREET.center.shape))
    assert facts_of(noisy, TURNING).has_tracks


def test_boxes_of_unknown_size_and_heading_are_points():
    tracks = ahead_of(CRUISE, 20.0, size=(np.nan, np.nan, np.nan))
    facts = facts_of(replace(tracks, yaw=np.full(len(tracks), np.nan)))
    (role,) = [role for role in facts.roles if role.kind == Kind.LEAD]
    assert role.distance_m == pytest.approx(22.25)


def test_one_row_of_ego_motion_is_enough():
    ego = motion_of(CRUISE)
    short = EgoMotion(0, ego.xyz[:1], ego.quat[:1], ego.velocity[:1])
    assert scene_facts(short, ahead_of(CRUISE, 20.0)).tracks[0].track_id == "7"
