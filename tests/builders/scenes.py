"""Windows of built scenes: ego drives as told, vehicles are where they are put, meta-actions come from Step 1."""

from dataclasses import replace

import numpy as np

from builders.driving import Drive, drive
from coc_labeling.agents import RulesAgent
from coc_labeling.keyframes import Keyframe
from coc_labeling.schema import CoCLabel
from coc_labeling.windows import Window, make_window
from driving_clips.ego_motion import EgoMotion
from driving_clips.geometry import quat_of_yaw
from driving_clips.obstacles import ObstacleTracks
from meta_action.labeling import label_motions
from meta_action.timeline import timeline

CAR = (4.5, 1.9, 1.6)


def motion_of(d: Drive, first_tick: int = 0) -> EgoMotion:
    """Return a 10 Hz drive as ego motion."""
    zero = np.zeros(len(d))
    velocity = np.stack([d.vx, d.vy, zero], axis=1)
    return EgoMotion(first_tick, np.stack([d.x, d.y, zero], axis=1), quat_of_yaw(d.yaw), velocity)


def boxes(track_id: str, x, y, t_us, *, label: str = "automobile", size=CAR) -> ObstacleTracks:
    """Return one track; ``x`` and ``y`` are m in the clip's frame, numbers or (N,)."""
    n = len(t_us)
    center = np.zeros((n, 3))
    center[:, 0], center[:, 1] = x, y
    return ObstacleTracks(
        np.asarray(t_us, np.int64),
        np.full(n, track_id),
        np.full(n, label),
        center,
        np.zeros(n),
        np.tile(np.asarray(size, float), (n, 1)),
    )


def together(*tracks: ObstacleTracks) -> ObstacleTracks:
    """Return several tracks as one table."""
    names = ("t_us", "track_id", "label_class", "center", "yaw", "size")
    return ObstacleTracks(*(np.concatenate([getattr(track, name) for track in tracks]) for name in names))


NO_BOXES = boxes("none", 0, 0, [])


def ahead_of(d: Drive, gap: float, *, left: float = 0.0, track_id: str = "7", **options) -> ObstacleTracks:
    """Return a car whose rear stays ``gap`` m ahead of a straight-driving ego."""
    return boxes(track_id, d.x + gap + CAR[0] / 2, left, d.t_us, **options)


def standing_at(d: Drive, x: float, y: float = 0.0, *, track_id: str = "7", **options) -> ObstacleTracks:
    """Return a car that stands with its rear at ``x``."""
    return boxes(track_id, x + CAR[0] / 2, y, d.t_us, **options)


def window_at(d: Drive, frame: int, obstacles: ObstacleTracks | None = None, future_sec: float = 6.0) -> Window:
    """Return the window at a frame, with the meta-actions that Step 1 finds."""
    ego = motion_of(d)
    return make_window(
        Keyframe("clip", frame * 100_000), ego, timeline("clip", label_motions([ego])[0]), obstacles, 2.0, future_sec
    )


def onset(d: Drive, name: str) -> int:
    """Return the first frame at which a meta-action starts, past the clip's own start."""
    spans = label_motions([motion_of(d)])[0]
    starts = [span.start for span in spans if span.name == name and span.start > 5]
    assert starts, f"{name} does not start in {spans}"
    return starts[0]


def label_at(d: Drive, frame: int, obstacles: ObstacleTracks | None = None) -> CoCLabel:
    """Return what the rules say."""
    return RulesAgent().label(window_at(d, frame, obstacles))


def braking(to_mps: float = 5.0, from_mps: float = 13.0, at: float = 8.0, by: float = 2.0) -> Drive:
    """Drive straight on and slow down from some time on."""
    return drive(speed=lambda t: np.maximum(to_mps, from_mps - by * np.maximum(t - at, 0)))


def mirrored(d: Drive) -> Drive:
    """Return the drive with left and right swapped."""
    return replace(d, y=-d.y, yaw=-d.yaw, vy=-d.vy)


def mirrored_boxes(tracks: ObstacleTracks | None) -> ObstacleTracks | None:
    """Return tracks with left and right swapped."""
    return None if tracks is None else replace(tracks, center=tracks.center * [1, -1, 1], yaw=-tracks.yaw)


def random_drive(seed: int) -> Drive:
    """Drive smoothly at random, with stops, turns and now and then backwards."""
    random = np.random.default_rng(seed)
    knots = np.linspace(0, 20, int(random.integers(3, 9)))
    speeds = random.uniform(-2, 18, len(knots)) * random.choice([1.0, 1.0, 0.2])
    turns = random.normal(0, 0.15, len(knots))

    def speed(t):
        raw = np.interp(t, knots, speeds)
        return np.where(np.abs(raw) < 0.7, 0.0, raw - np.sign(raw) * 0.7)

    return drive(speed=speed, yaw_rate=lambda t: np.interp(t, knots, turns) * np.clip(np.abs(speed(t)), 0, 1))


def random_boxes(seed: int, d: Drive) -> ObstacleTracks:
    """Return some vehicles that drive about near ego, as a sensor sees them: now and then, for a while."""
    random = np.random.default_rng(seed + 1)
    tracks = []
    for number in range(int(random.integers(0, 5))):
        start, length = random.integers(0, 150), random.integers(1, 100)
        seen = d.rows(slice(start, start + length))
        ahead, left = random.uniform(-20, 60), random.normal(0, 2.5)
        x = seen.x + ahead * np.cos(seen.yaw) - left * np.sin(seen.yaw)
        y = seen.y + ahead * np.sin(seen.yaw) + left * np.cos(seen.yaw)
        drift = random.normal(0, 3) * (seen.t_us - seen.t_us[0]) / 1e6
        label = str(random.choice(["automobile", "heavy_truck", "person", "bus"]))
        size = CAR if random.random() < 0.7 else (np.nan, np.nan, np.nan)
        tracks.append(
            boxes(
                str(number),
                x + drift * np.cos(seen.yaw),
                y + drift * np.sin(seen.yaw),
                seen.t_us,
                label=label,
                size=size,
            )
        )
    return together(NO_BOXES, *tracks)
