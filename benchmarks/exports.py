"""Exports without frames: seconds of the whole process, and its memory, for two sizes of run."""

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measuring import MB, Row, Scale, run_process
from coc_labeling.checks.results import CHECKS_SCHEMA
from coc_labeling.results import LABELS_SCHEMA
from coc_labeling.schema import CoCLabel, Component, Longitudinal

FORMATS = ("jsonl", "csv", "reasoning-parquet")
LABELS_PER_CLIP = 3


def measure(scale: Scale, folder: Path) -> list[Row]:
    """Write tables of a run without its record files, export each format, and compare memory with half the run."""
    rows = []
    sizes = (scale.finished_records // 2, scale.finished_records)
    runs = {labels: _write_run(folder / str(labels), labels) for labels in sizes}
    command = [sys.executable, "-c", "from coc_toolkit.cli import main; main()", "export"]
    for name in FORMATS:
        found = []
        for labels, run in runs.items():
            own = [*command, str(run), "--format", name, "--out", str(folder / f"{name}-{labels}")]
            found.append(run_process(own, sample_memory=True))
        how = f"`coc export --format {name}`, {sizes[1]:,} labels, records' files not there"
        rows.append(Row(f"export {name}", "< 60 s", f"{found[1].wall_sec:.1f} s", how))
        said = " -> ".join(f"{one.peak_rss / MB:.0f}" for one in found)
        rows.append(Row(f"memory of export {name}", "flat", f"{said} MB", f"{sizes[0]:,} and {sizes[1]:,} labels"))
    return rows


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
    moments = [(f"clip-{n // LABELS_PER_CLIP:08d}", n % LABELS_PER_CLIP * 4_000_000) for n in range(labels)]
    keys = [{"clip_id": clip, "event_start_timestamp": t, "event_start_frame": t // 100_000} for clip, t in moments]
    stamp = {"file_size": 1, "file_mtime_ns": 1}
    pq.write_table(pa.Table.from_pylist([k | same | stamp for k in keys], LABELS_SCHEMA), folder / "labels.parquet")
    found = {"risk": 0.2, "status": "low", **stamp}
    pq.write_table(pa.Table.from_pylist([k | found for k in keys], CHECKS_SCHEMA), folder / "checks.parquet")
    (folder / "run_config.json").write_text(json.dumps({"data": {"dataset_name": "pai"}}))
    return folder
