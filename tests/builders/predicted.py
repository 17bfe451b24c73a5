"""Predictions as ``coc infer`` writes them: made up, over synthetic and over real drives."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from driving_clips.datasets import open_dataset
from driving_clips.ego_motion import EgoMotion
from driving_clips.geometry import Floats
from driving_clips.trajectories import TrajectoryLoader

HISTORY, STEPS, DT = 16, 64, 0.1
DEMO_DATA = Path(__file__).resolve().parents[2] / "demo_data"


def arc(speed: float = 10.0, curvature: float = 0.0, accel: float = 0.0, steps: int = STEPS) -> tuple[Floats, Floats]:
    """Return positions (T, 2) and headings (T,) of a drive from the origin; it stops where its speed comes to 0."""
    fine = np.arange(steps * 10 + 1) * DT / 10
    v = np.maximum(speed + accel * fine, 0.0)
    s = np.concatenate([[0.0], np.cumsum((v[1:] + v[:-1]) / 2 * DT / 10)])
    yaw = curvature * s
    middle = (yaw[1:] + yaw[:-1]) / 2
    step = np.diff(s)
    xy = np.cumsum(np.stack([step * np.cos(middle), step * np.sin(middle)], axis=1), axis=0)
    return xy[9::10], yaw[10::10]


def straight_history(speed: float = 10.0) -> Floats:
    """Return the poses (16, 2) of a straight drive that ends in the origin."""
    x = np.arange(-HISTORY + 1, 1) * DT * speed
    return np.stack([x, np.zeros_like(x)], axis=1)


def scene_line(
    samples: list[tuple[Floats, Floats]],
    driven: tuple[Floats, Floats] | None = None,
    cot: list[str] | str = "Keep the lane and drive on.",
    *,
    history: Floats | None = None,
    sets: int = 1,
    **changes: Any,
) -> dict[str, Any]:
    """Return a line of predictions; samples are shared out over sets in their order."""
    texts = [cot] * len(samples) if isinstance(cot, str) else cot
    size = len(samples) // sets
    groups = [slice(first, first + size) for first in range(0, len(samples), size)]
    line: dict[str, Any] = {
        "schema_version": 1,
        "clip_id": "clip",
        "t0_us": 5_100_000,
        "model": {"name": "made-up", "checkpoint": "none", "sampling": {"top_p": 0.98}, "seed": 0},
        "cot": [texts[group] for group in groups],
        "meta_action": None,
        "stopped": [[True] * size] * sets,
        "pred_xy": [[xy.round(5).tolist() for xy, _ in samples[group]] for group in groups],
        "pred_yaw": [[yaw.round(6).tolist() for _, yaw in samples[group]] for group in groups],
        "dt": DT,
        "history_xy": (straight_history() if history is None else history).round(5).tolist(),
        "future_xy": None if driven is None else driven[0].round(5).tolist(),
        "future_yaw": None if driven is None else driven[1].round(6).tolist(),
        "problems": [],
    }
    return line | changes


def write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> Path:
    """Write predictions.jsonl."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def real_scenes(dataset: str, every_sec: float = 4.0) -> Iterator[tuple[str, int, Floats, Floats, Floats, float]]:
    """Yield clip id, t0 in us, history, driven path, its headings, and speed at t0, of the drives in demo_data."""
    reader = open_dataset(dataset, str(DEMO_DATA / dataset))
    loader = TrajectoryLoader(reader)
    for group in reader.discover().groups:
        for clip in loader.load(group):
            if not isinstance(clip.result, EgoMotion):
                continue
            for row in range(HISTORY + 4, len(clip.result) - STEPS, round(every_sec / DT)):
                t0_us = (clip.result.first_tick + row) * 100_000
                yield clip.clip_id, t0_us, *_in_ego_frame(clip.result, row)


def _in_ego_frame(ego: EgoMotion, row: int) -> tuple[Floats, Floats, Floats, float]:
    heading = np.unwrap(ego.heading)
    turn = np.array([[np.cos(heading[row]), np.sin(heading[row])], [-np.sin(heading[row]), np.cos(heading[row])]])
    xy = (ego.xyz[:, :2] - ego.xyz[row, :2]) @ turn.T
    yaw = heading - heading[row]
    ahead = slice(row + 1, row + 1 + STEPS)
    return xy[row + 1 - HISTORY : row + 1], xy[ahead], yaw[ahead], float(ego.longitudinal_speed[row])


_SAID = (
    "Keep the lane and drive on at the set speed.",
    "Slow down for the lead vehicle ahead.",
    "Stop for the red traffic light.",
    "Turn left at the junction.",
    "Turn right at the junction.",
    "Nudge left around the parked car.",
    "",
    "Adapt speed for the right curve.",
)


def made_up(dataset: str, samples: int = 6, seed: int = 0, spread: float = 1.0) -> Iterator[dict[str, Any]]:
    """Yield made-up predictions over real drives: arcs of about the speed at t0, with sentences drawn at random."""
    random = np.random.default_rng(seed)
    for clip_id, t0_us, history, xy, yaw, speed in real_scenes(dataset):
        arcs = [
            arc(max(speed, 0.0), random.normal(0, 0.003 * spread), random.normal(0, 0.5 * spread))
            for _ in range(samples)
        ]
        said = [str(text) for text in random.choice(_SAID, samples)]
        stopped = [(random.random(samples) < 0.95).tolist()]
        yield scene_line(arcs, (xy, yaw), said, history=history, clip_id=clip_id, t0_us=t0_us, stopped=stopped)
