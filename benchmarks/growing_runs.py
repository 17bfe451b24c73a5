"""Runs of growing size from chunk zips to final files, to see whether memory is flat and time linear."""

import statistics
from pathlib import Path

from benchmarks.data import CLIPS_PER_CHUNK, write_chunks
from benchmarks.measuring import MB, ProcessRun, Row, Scale, spread
from benchmarks.meta_actions_from_zips import label

WORKERS = 2


def measure(scale: Scale, folder: Path) -> list[Row]:
    """Label ever more chunks with two workers and sample the memory of all processes."""
    runs: dict[int, list[ProcessRun]] = {}
    written = 0
    for chunks in scale.growing_chunks:
        data = write_chunks(folder / "zips", range(written, chunks))
        written, clips = chunks, chunks * CLIPS_PER_CHUNK
        runs[clips] = [
            label(data, folder / "saved", clips, WORKERS, sample_memory=True) for _ in range(scale.growing_repeats)
        ]
    how = f"`meta-action-autolabel`, {WORKERS} workers, {{}} clips, {scale.growing_repeats} runs"
    rows = []
    for clips, own in runs.items():
        rss, pss = spread([r.peak_rss / MB for r in own], "MB"), spread([r.peak_pss / MB for r in own], "MB")
        rows.append(Row(f"peak memory, {clips:,} clips", "< 600 MB", f"RSS {rss}, PSS {pss}", how.format(f"{clips:,}")))
    per_clip = {clips: statistics.median(r.wall_sec for r in own) / clips for clips, own in runs.items()}
    for clips, own in runs.items():
        seconds = spread([r.wall_sec for r in own], "s", 1)
        rows.append(Row(f"time, {clips:,} clips", "linear", seconds, how.format(f"{clips:,}")))
    small, large = min(runs), max(runs)
    ratio = f"{per_clip[large] / per_clip[small]:.2f} x"
    rows.append(Row("time a clip, largest against smallest run", "1 x", ratio, f"{large:,} against {small:,} clips"))
    return rows
