"""Keyframes of a whole run, as a process: from the run's table, and from its text files."""

import sys
from itertools import cycle, islice
from pathlib import Path

import pyarrow as pa

from benchmarks.data import GOLDEN, clip_id
from benchmarks.measuring import Row, Scale, run_process, spread
from meta_action.names import EGO_NAMES
from meta_action.reading import read_spans
from meta_action.results import CLIPS_SCHEMA, ResultsFolder
from meta_action.timeline import to_text
from meta_action.timeline_table import SPANS_SCHEMA, timelines


def measure(scale: Scale, folder: Path) -> list[Row]:
    """Choose keyframes first with the run's table beside the texts, then without it."""
    results = ResultsFolder(str(folder / "run"), EGO_NAMES)
    write_run(results, scale.keyframe_clips)
    command = [sys.executable, "-m", "coc_labeling.keyframe_auto_select"]
    command += ["--meta_action_dir", results.final_dir, "--output_dir", str(folder / "keyframes")]
    how = f"`coc_labeling.keyframe_auto_select`, {scale.keyframe_clips:,} clips, start-up included, "
    rows = []
    for source, reach in (("the table", "< 1 s"), ("text files", "< 2 s")):
        if source == "text files":
            Path(results.table_path("meta_actions.parquet")).unlink()
        runs = [run_process(command) for _ in range(scale.repeats + 1)][1:]
        seconds = spread([run.wall_sec for run in runs], "s", 2)
        rows.append(Row(f"keyframes from {source}", reach, seconds, f"{how}{scale.repeats} runs after one"))
    return rows


def write_run(results: ResultsFolder, clips: int) -> None:
    """Write the text files and tables of a run whose timelines are the golden ones, repeated."""
    golden = list(timelines(read_spans(str(GOLDEN / "trajectories" / "final_outputs"))))
    folder = Path(results.final_dir)
    folder.mkdir(parents=True)
    rows = []
    for number, timeline in enumerate(islice(cycle(golden), clips)):
        (folder / f"{clip_id(number)}.txt").write_text(to_text(timeline))
        rows += [(clip_id(number), *span) for span in timeline.spans]
    columns = [pa.array(c, field.type) for c, field in zip(zip(*rows, strict=True), SPANS_SCHEMA, strict=True)]
    results.write_tables([CLIPS_SCHEMA.empty_table()], [pa.table(columns, schema=SPANS_SCHEMA)])
