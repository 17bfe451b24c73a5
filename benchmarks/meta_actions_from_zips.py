"""From chunk zips to final files, as a whole process: clips a second of a core, and what a second worker gives."""

import tempfile
from pathlib import Path

from benchmarks.data import CLIPS_PER_CHUNK, write_chunks
from benchmarks.measuring import ProcessRun, Row, Scale, run_process, script, spread


def measure(scale: Scale, folder: Path) -> list[Row]:
    """Run with one and with two workers in turns, everything cold but the operating system's file cache."""
    runs = scale.growing_repeats + 1
    clips = scale.chunks * CLIPS_PER_CHUNK
    data = write_chunks(folder / "zips", range(scale.chunks))
    turns = [[label(data, folder / "saved", clips, workers) for workers in (1, 2)] for _ in range(runs)]
    one, two = zip(*turns, strict=True)
    how = f"`meta-action-autolabel`, {clips:,} clips, cold cache and results, {runs} runs"
    return [
        Row(
            "PAI zips to final files, 1 worker",
            ">= 300 clips/s",
            spread([clips / run.wall_sec for run in one], "clips/s"),
            how,
        ),
        Row("the same, processor time", "-", spread([run.cpu_sec / clips * 1e3 for run in one], "ms/clip", 2), how),
        Row(
            "PAI zips to final files, 2 workers",
            "-",
            spread([clips / run.wall_sec for run in two], "clips/s"),
            how,
        ),
        Row(
            "2 workers against 1",
            ">= 1.7 x",
            spread([a.wall_sec / b.wall_sec for a, b in turns], "x", 2),
            "the runs above in pairs",
        ),
    ]


def label(data: Path, saved: Path, clips: int, workers: int, *, sample_memory: bool = False) -> ProcessRun:
    """Label all clips below ``data`` into a new folder below ``saved``, and check that all are there."""
    saved.mkdir(parents=True, exist_ok=True)
    own = Path(tempfile.mkdtemp(dir=saved))
    command = [script("meta-action-autolabel"), "--data_dir", str(data), "--meta_action_names", "all_ego"]
    command += ["--cache_dir", str(own / "cache"), "--save_dir", str(own), "--num_workers", str(workers)]
    run = run_process(command, sample_memory=sample_memory)
    written = sum(1 for _ in (own / "final_outputs").glob("*.txt"))
    if written != clips:
        raise RuntimeError(f"{written} of {clips} clips have a final file")
    return run
