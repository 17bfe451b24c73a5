"""Clips of 20 s around a vehicle: chosen from a scenario, and written in the layout of the dataset ``table``."""

import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from benchmarks.traffic import demand
from benchmarks.traffic.motion import Floats, smooth_walk
from benchmarks.traffic.recording import STEP_SEC
from benchmarks.traffic.scenes import Scene
from benchmarks.traffic.truth import CLEAR_MPS2, Ego
from driving_clips.ego_motion import TICK_US
from driving_clips.geometry import quat_of_yaw

TICKS = 201
RANGE_M = 100.0
NOISE_M, NOISE_RAD = 0.05, 0.01  # of tracks, as offline tracks of lidar have
FIRST_STEP = 30  # steps of its life before a clip begins
CLASSES = {
    "truck": "heavy_truck",
    "tractor": "other_vehicle",
    "bus": "bus",
    "bicycle": "rider",
    "walker": "person",
}


@dataclass(frozen=True)
class Clip:
    """A stretch of one vehicle's life; ``row`` is the entry that becomes tick 0."""

    clip_id: str
    family: str
    seed: int
    ego: str
    row: int


@dataclass(frozen=True)
class Tracks:
    """A clip's tracks by the simulator's names: their ids, and the ticks they are seen at."""

    ids: dict[str, str]
    ticks: dict[str, frozenset[int]]

    def seen(self, name: str, tick: int) -> bool:
        """Whether it was seen for half a second up to a tick."""
        own = self.ticks.get(name, frozenset())
        return all(t in own for t in range(max(tick - 5, 0), tick + 1))


def choose(scene: Scene, count: int, rng: random.Random, made: Counter[str]) -> list[Clip]:
    """Return clips of a scenario, those with what has been rare so far first; egos do not repeat within a stretch."""
    windows: list[tuple[Ego, int, set[str]]] = []
    for name, driven in scene.recording.driven.items():
        if driven.kind not in demand.CARS:
            continue
        end = len(driven.xy)
        if name in scene.recording.scripted:
            end = min(end, scene.recording.scripted[name] - driven.first_step - 30)
        start = FIRST_STEP + rng.randrange(60)
        while start + TICKS + 40 < end:
            ego = Ego(scene, name)
            windows.append((ego, start, _tags(ego, start)))
            start += 205
    rng.shuffle(windows)
    chosen: list[Clip] = []
    windows = [window for window in windows if window[2]]
    while windows and len(chosen) < count:
        best = min(windows, key=lambda w: min((made[tag] for tag in w[2]), default=10**6))
        windows.remove(best)
        ego, row, tags = best
        made.update(tags)
        clip_id = f"{scene.recording.name}-{scene.recording.seed:03d}-{len(chosen):02d}"
        chosen.append(Clip(clip_id, scene.recording.name, scene.recording.seed, ego.name, row))
    return chosen


def _tags(ego: Ego, start: int) -> set[str]:
    """Return what happens in a stretch while keyframes may be set (2.0 to 13.5 s), from cheap signs."""
    rows = range(start + 20, start + 136)
    name = ego.scene.recording.name
    tags = {f"{m.decision} {m.side}" for m in ego.manoeuvres if rows.start <= m.start <= rows.stop}
    if (ego.motion.speed[start : start + TICKS] < 0.3).sum() > 140:
        return set()  # it only stands
    for k in rows[::6]:
        key, causes, held = ego.reasons.binding(k)
        if key not in ("free", "unexplained") and held > CLEAR_MPS2 and ego.driven.speed[k] > 1.0:
            tags.add(f"{key} {causes[0].relation} {causes[0].what}")
    tags.add(f"drive {name}")
    return tags


def write_clip(scene: Scene, clip: Clip, folder: Path, *, noise: bool = True) -> Tracks:
    """Write ego motion and obstacles of a clip; returns its tracks."""
    motion = scene.motion(clip.ego)
    rows = slice(clip.row, clip.row + TICKS)
    xy, yaw = motion.rear_axle[rows], motion.rear_yaw[rows]
    turn = _rotation(-yaw[0])
    local, heading = (xy - xy[0]) @ turn.T, yaw - yaw[0]
    velocity = np.gradient(motion.rear_axle, STEP_SEC, axis=0)[rows] @ turn.T
    t_us = np.arange(TICKS, dtype=np.int64) * TICK_US
    columns = {"timestamp_us": t_us, "x": local[:, 0], "y": local[:, 1], "yaw": heading}
    columns |= {"vx": velocity[:, 0], "vy": velocity[:, 1]}
    pa.csv.write_csv(pa.table(columns), folder / f"{clip.clip_id}.csv")
    table, tracks = _boxes(scene, clip, xy, yaw, np.random.default_rng([clip.seed, clip.row]) if noise else None)
    pq.write_table(table, folder / f"{clip.clip_id}.obstacles.parquet")
    return tracks


def _boxes(
    scene: Scene, clip: Clip, ego_xy: Floats, ego_yaw: Floats, noise: np.random.Generator | None
) -> tuple[pa.Table, Tracks]:
    first = clip.row + scene.recording.driven[clip.ego].first_step
    parts: list[pa.Table] = []
    tracks = Tracks({}, {})
    for name, driven in scene.recording.driven.items():
        there = np.arange(first, first + TICKS) - driven.first_step
        ticks = np.flatnonzero((there >= 0) & (there < len(driven.xy)))
        if name == clip.ego or len(ticks) < 3:
            continue
        center, yaw = _box_motion(scene, name)
        relative = center[there[ticks]] - ego_xy[ticks]
        near = np.hypot(*relative.T) <= RANGE_M
        if near.sum() < 3:
            continue
        ticks, relative, angle = ticks[near], relative[near], yaw[there[ticks]][near]
        c, s = np.cos(ego_yaw[ticks]), np.sin(ego_yaw[ticks])
        x, y = c * relative[:, 0] + s * relative[:, 1], -s * relative[:, 0] + c * relative[:, 1]
        angle = angle - ego_yaw[ticks]
        if noise is not None:
            x, y = x + noise.normal(0, NOISE_M, len(x)), y + noise.normal(0, NOISE_M, len(y))
            angle = angle + noise.normal(0, NOISE_RAD, len(angle))
        tracks.ids[name], tracks.ticks[name] = str(len(tracks.ids) + 1), frozenset(ticks.tolist())
        parts.append(
            _rows(tracks.ids[name], driven.kind, (driven.length, driven.width, driven.height), ticks, x, y, angle)
        )
    return pa.concat_tables(parts) if parts else _rows("0", "car", (1, 1, 1), *[np.zeros(0)] * 4), tracks


def _box_motion(scene: Scene, name: str) -> tuple[Floats, Floats]:
    driven = scene.recording.driven[name]
    if driven.kind == "walker":
        return smooth_walk(np.array(driven.xy))
    motion = scene.motion(name)
    return motion.center, motion.box_yaw


def _rows(
    track: str, kind: str, size: tuple[float, float, float], ticks: np.ndarray, x: Floats, y: Floats, yaw: Floats
) -> pa.Table:
    t_us, count = ticks.astype(np.int64) * TICK_US, len(ticks)
    quat = quat_of_yaw(yaw)
    columns: dict[str, object] = {"timestamp_us": t_us, "track_id": pa.array([track] * count, pa.string())}
    columns |= {"center_x": x, "center_y": y, "center_z": np.full(count, size[2] / 2)}
    columns |= {f"size_{axis}": np.full(count, float(value)) for axis, value in zip("xyz", size, strict=True)}
    columns |= {f"orientation_{axis}": quat[:, i] for i, axis in enumerate("xyzw")}
    columns |= {"label_class": pa.array([CLASSES.get(kind, "automobile")] * count, pa.string())}
    columns |= {"reference_frame": pa.array(["rig"] * count, pa.string()), "reference_frame_timestamp_us": t_us}
    return pa.table(columns)


def _rotation(angle: float) -> Floats:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
