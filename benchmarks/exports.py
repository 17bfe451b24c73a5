"""Exports: seconds of the whole process, and its memory, for two sizes of run; without frames, and with them."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.frames import write_video
from benchmarks.measuring import FULL, MB, ProcessRun, Row, Scale, run_process
from coc_labeling.checks.results import CHECKS_SCHEMA
from coc_labeling.results import LABELS_SCHEMA
from coc_labeling.schema import CoCLabel, Component, Longitudinal

FORMATS = ("jsonl", "csv", "reasoning-parquet")
WITH_FRAMES = ("sft-chat", "hf")
LABELS_PER_CLIP = 3
FRAMES_PER_LABEL = 5  # of one camera, from 2 s before the keyframe to it
CAMERA = "camera_front_wide_120fov"
COMMAND = [sys.executable, "-c", "from coc_toolkit.cli import main; main()", "export"]


def measure(scale: Scale, folder: Path) -> list[Row]:
    """Export labels in each format, and compare memory with half of them."""
    return [*_without_frames(scale, folder), *_with_frames(scale, folder)]


def _without_frames(scale: Scale, folder: Path) -> list[Row]:
    """Export tables of runs without their record files."""
    rows = []
    sizes = (scale.finished_records // 2, scale.finished_records)
    runs = {labels: _write_run(folder / str(labels), labels) for labels in sizes}
    for name in FORMATS:
        found = []
        for labels, run in runs.items():
            own = [*COMMAND, str(run), "--format", name, "--out", str(folder / f"{name}-{labels}")]
            found.append(run_process(own, sample_memory=True))
        how = f"`coc export --format {name}`, {sizes[1]:,} labels, records' files not there"
        rows.append(Row(f"export {name}", "< 60 s", f"{found[1].wall_sec:.1f} s", how))
        rows.append(_memory(name, found, f"{sizes[0]:,} and {sizes[1]:,} labels"))
    return rows


def _with_frames(scale: Scale, folder: Path) -> list[Row]:
    """Export labels with frames of 1080p, and once more what is there already."""
    video = write_video(folder / "video", "medium" if scale is FULL else "superfast", 2_500_000)
    sizes = (max(1, scale.real_clips // 4), max(2, scale.real_clips // 2))
    runs = {clips: _write_filmed(folder / f"filmed-{clips}", clips, video) for clips in sizes}
    workers = len(os.sched_getaffinity(0))
    rows = []
    for name in WITH_FRAMES:
        found = []
        for clips, run in runs.items():
            own = [*COMMAND, str(run), "--format", name, "--out", str(folder / f"{name}-{clips}")]
            own += ["--num_workers", str(workers)]
            own += ["--components", "image,prompt,cot"] if name == "sft-chat" else []
            found.append(run_process(own, sample_memory=True))
        frames = sizes[1] * LABELS_PER_CLIP * FRAMES_PER_LABEL
        said = f"{frames / found[1].wall_sec:.0f} frames/s, {found[1].cpu_sec / frames * 1000:.0f} ms of CPU a frame"
        how = f"{sizes[1]} clips of 1080p, {frames:,} frames at 1280 x 720, {workers} workers, start-up included"
        rows.append(Row(f"export {name} with frames", "", said, how))
        rows.append(_memory(f"{name} with frames", found, f"{sizes[0]} and {sizes[1]} clips, all processes"))
        if name == "sft-chat":
            again = run_process(own)
            said = f"{again.cpu_sec:.1f} s of CPU, {again.wall_sec:.1f} s"
            how = f"nothing decoded; the first time {found[1].cpu_sec:.1f} s of CPU, {found[1].wall_sec:.1f} s"
            rows.append(Row(f"export {name} again", "", said, how))
    return rows


def _memory(name: str, found: Sequence[ProcessRun], how: str) -> Row:
    return Row(
        f"memory of export {name}", "flat", " -> ".join(f"{one.peak_rss / MB:.0f}" for one in found) + " MB", how
    )


def _write_filmed(folder: Path, clips: int, video: Path) -> Path:
    """Write a run whose clips all have one video."""
    run = _write_run(folder / "run", clips * LABELS_PER_CLIP)
    (folder / "videos").mkdir()
    for number in range(clips):
        (folder / "videos" / f"clip-{number:08d}.{CAMERA}.mp4").hardlink_to(video)
    data = {"dataset_name": "pai", "data_dir": str(folder), "video_dir": str(folder / "videos")}
    (run / "run_config.json").write_text(json.dumps({"data": data}))
    return run


def _write_run(folder: Path, labels: int) -> Path:
    folder.mkdir(parents=True)
    sentence, lead = "Decelerate: the lead vehicle ahead stands.", "stopped lead vehicle 12 m ahead"
    label = CoCLabel(
        longitudinal=Longitudinal(decision="follow_lead", cause_ids=("c1",)),
        components=(Component(id="c1", category="critical_object", relation="lead", description=lead),),
        effect_on_ego_behavior=sentence,
    ).model_dump_json(exclude_none=True)
    same = {"status": "label", "longitudinal": "follow_lead", "longitudinal_causes": ["critical_object:lead"]}
    same |= {"sentence": sentence, "agent": "RulesAgent", "model": "rules", "label": label, "schema_version": 3}
    moments = [(f"clip-{n // LABELS_PER_CLIP:08d}", (n % LABELS_PER_CLIP + 1) * 4_000_000) for n in range(labels)]
    keys = [{"clip_id": clip, "event_start_timestamp": t, "event_start_frame": t // 100_000} for clip, t in moments]
    stamp = {"file_size": 1, "file_mtime_ns": 1}
    pq.write_table(pa.Table.from_pylist([k | same | stamp for k in keys], LABELS_SCHEMA), folder / "labels.parquet")
    found = {"risk": 0.2, "status": "low", **stamp}
    pq.write_table(pa.Table.from_pylist([k | found for k in keys], CHECKS_SCHEMA), folder / "checks.parquet")
    (folder / "run_config.json").write_text(json.dumps({"data": {"dataset_name": "pai"}}))
    return folder
