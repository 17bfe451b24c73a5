"""Scene facts and checks: labels a second on one core with 40 tracks a clip, and the memory of two sizes of run."""

import statistics
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measuring import MB, Row, Scale, run_process, spread
from coc_labeling.checks.checking import Checker, ClipToCheck, LabelToCheck
from coc_labeling.results import load_labels
from coc_labeling.scene import scene_facts
from coc_labeling.schema import CoCLabel
from coc_toolkit.pipeline import PipelineRequest, run_pipeline
from driving_clips.datasets import open_dataset
from driving_clips.trajectories import TrajectoryLoader
from meta_action.labeling import label_motions
from meta_action.timeline import timeline

TRACKS, TICKS, TICK_SEC = 40, 201, 0.1
KINDS = (("parked", 15), ("along", 15), ("oncoming", 5), ("walking", 5))


def measure(scale: Scale, folder: Path) -> list[Row]:
    """Make clips, label them by rules, then check: in memory, and as a process with one worker at two sizes."""
    sizes = (scale.checked_clips // 2, scale.checked_clips)
    runs = {clips: _labelled(folder / str(clips), clips) for clips in sizes}
    rows = [_in_memory(folder / str(sizes[1]), runs[sizes[1]], scale.repeats)]
    command = [sys.executable, "-c", "from coc_toolkit.cli import main; main()", "check"]
    found = {}
    for clips, run_dir in runs.items():
        own = [*command, run_dir, "--num-workers", "1"]
        found[clips] = [run_process(own, sample_memory=True) for _ in range(scale.growing_repeats)]
    labels = {clips: load_labels(run_dir).num_rows for clips, run_dir in runs.items()}
    rates = [labels[sizes[1]] / run.wall_sec for run in found[sizes[1]]]
    how = f"`coc check --num-workers 1`, {labels[sizes[1]]} labels of {sizes[1]} clips, all of it"
    rows.append(Row("labels checked as a process", ">= 100/s", spread(rates, "/s"), how))
    peaks = [statistics.median(run.peak_rss for run in found[clips]) / MB for clips in sizes]
    said = f"{peaks[0]:.0f} -> {peaks[1]:.0f} MB"
    rows.append(Row("memory of checking, clips doubled", "flat", said, f"{sizes[0]} and {sizes[1]} clips, peak RSS"))
    return rows


def _in_memory(folder: Path, run_dir: str, repeats: int) -> Row:
    loader = TrajectoryLoader(open_dataset("table", str(folder / "clips")))
    clips = [clip for group in loader.dataset.discover().groups for clip in loader.load(group)][:40]
    given = [(clip.clip_id, clip.result, loader.obstacles(clip)) for clip in clips]
    spans = {name: timeline(name, label_motions([ego])[0]) for name, ego, _ in given}
    labels: dict[str, list[LabelToCheck]] = {}
    for row in load_labels(run_dir).select(["clip_id", "event_start_timestamp", "label"]).to_pylist():
        own = LabelToCheck(row["event_start_timestamp"], CoCLabel.model_validate_json(row["label"]))
        labels.setdefault(row["clip_id"], []).append(own)
    rates = []
    for _ in range(repeats + 1):
        started, done = time.perf_counter(), 0
        checker = Checker()
        for name, ego, obstacles in given:
            scene = scene_facts(ego, obstacles)
            clip = ClipToCheck(name, ego, spans[name], obstacles, scene, 2.0, 6.0)
            for own in labels.get(name, ()):
                checker.check(clip, own)
                done += 1
        rates.append(done / (time.perf_counter() - started))
    how = (
        f"`scene_facts` and all checks, {len(given)} clips of {TRACKS} tracks, {done} labels, {repeats} runs after one"
    )
    return Row("labels checked in memory, one core", ">= 100/s", spread(rates[1:], "/s"), how)


def _labelled(folder: Path, clips: int) -> str:
    """Write clips and label them by rules; returns the experiment folder."""
    (folder / "clips").mkdir(parents=True)
    for number in range(clips):
        write_clip(folder / "clips", f"clip-{number:05d}", number)
    result = run_pipeline(PipelineRequest("table", str(folder / "clips"), str(folder / "run"), num_workers=2))
    return result.run_dir


def write_clip(folder: Path, name: str, seed: int) -> None:
    """Write one clip of 20 s: ego that speeds up, slows down and turns, and road users of all kinds around it."""
    random = np.random.default_rng(seed)
    t = np.arange(TICKS) * TICK_SEC
    speed = np.maximum(6.0 + 6.0 * np.sin(0.4 * t + seed), 0.0)
    yaw = np.cumsum(0.12 * np.sin(0.3 * t + 2.0 * seed) * (speed > 0)) * TICK_SEC
    x, y = (np.cumsum(speed * f(yaw)) * TICK_SEC for f in (np.cos, np.sin))
    us = np.round(t * 1e6).astype(np.int64)
    pq.write_table(pa.table({"timestamp_us": us, "x": x, "y": y, "yaw": yaw}), folder / f"{name}.parquet")
    boxes = [_track(kind, random, t, x, y, yaw) for kind, count in KINDS for _ in range(count)]
    ahead, left, turned = (np.concatenate([box[k] for box in boxes]) for k in range(3))
    zero = np.zeros_like(ahead)
    size = {
        "along": (4.6, 1.9, 1.6),
        "parked": (4.6, 1.9, 1.6),
        "oncoming": (4.6, 1.9, 1.6),
        "walking": (0.6, 0.6, 1.7),
    }
    kinds = [kind for kind, count in KINDS for _ in range(count)]
    per_box = np.repeat([size[kind] for kind in kinds], TICKS, axis=0)
    columns = {
        "timestamp_us": np.tile(us, TRACKS),
        "track_id": np.repeat([str(n) for n in range(TRACKS)], TICKS),
        "center_x": ahead,
        "center_y": left,
        "center_z": zero,
        **{f"size_{axis}": per_box[:, k] for k, axis in enumerate("xyz")},
        "orientation_x": zero,
        "orientation_y": zero,
        "orientation_z": np.sin(turned / 2),
        "orientation_w": np.cos(turned / 2),
        "label_class": np.repeat(["person" if kind == "walking" else "automobile" for kind in kinds], TICKS),
        "reference_frame": np.full(len(ahead), "rig"),
        "reference_frame_timestamp_us": np.tile(us, TRACKS),
    }
    pq.write_table(pa.table(columns), folder / f"{name}.obstacles.parquet")


def _track(
    kind: str, random: np.random.Generator, t: np.ndarray, x: np.ndarray, y: np.ndarray, yaw: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a road user's place relative to ego (m ahead, m to the left) and its heading relative to ego's."""
    row, side = int(random.integers(0, TICKS)), random.choice([-1.0, 1.0])
    if kind == "along":
        ahead, left = random.uniform(-20, 60) + random.normal(0, 1) * t, side * random.choice([0.0, 3.5, 7.0])
        return ahead + np.zeros(TICKS), left + np.zeros(TICKS), np.zeros(TICKS)
    away = side * random.uniform(2.5, 8.0)
    spot = np.array([x[row] - away * np.sin(yaw[row]), y[row] + away * np.cos(yaw[row])])
    speed, course = {"parked": (0.0, yaw[row]), "oncoming": (9.0, yaw[row] + np.pi)}.get(kind, (1.4, yaw[row] + 1.6))
    at = spot[:, None] + speed * (t - t[row]) * np.array([np.cos(course), np.sin(course)])[:, None]
    dx, dy = at[0] - x, at[1] - y
    return dx * np.cos(yaw) + dy * np.sin(yaw), -dx * np.sin(yaw) + dy * np.cos(yaw), course - yaw
