"""Small experiment folders to export: records and their table, checks, the configuration."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from builders.driving import lively_drive
from builders.pai import FRONT, ego_parquet, parquet, write_chunk
from builders.records import plain_record
from builders.videos import times_of, video_bytes, zip_videos
from coc_labeling.checks.results import CHECKS_SCHEMA, CHECKS_TABLE
from coc_labeling.export.dataset import ExportRequest, ExportResult, export_dataset
from coc_labeling.export.splits import Splits, parse_shares
from coc_labeling.results import CONFIG, LABELS_SCHEMA, ExperimentFolder
from coc_labeling.schema import abstain

MOMENTS_US = (4_000_000, 12_600_000)


def experiment(folder: Path, clips: list[str], dataset: str = "pai", *, checked: bool = True) -> Path:
    """Write a run with two labels a clip; the second of the last clip is an abstention; risks are 0.1, 0.2, ..."""
    run = ExperimentFolder(str(folder / "run"))
    moments = [(clip, t_us) for clip in sorted(clips) for t_us in MOMENTS_US]
    rows, checks = [], []
    for number, (clip, t_us) in enumerate(moments):
        record = plain_record().model_copy(
            update={"clip_id": clip, "event_start_timestamp": t_us, "event_start_frame": t_us // 100_000}
        )
        if number == len(moments) - 1:
            record = record.model_copy(update={"label": abstain("no_decision", "reverse"), "final_content": {}})
        rows.append(run.write(record))
        stamp = {name: rows[-1][name] for name in ("file_size", "file_mtime_ns")}
        risk = round(0.1 * (number % 10 + 1), 1)
        status = "low" if risk < 0.3 else "high"
        checks.append(
            {"clip_id": clip, "event_start_timestamp": t_us, "risk": risk, "status": status, "reasons": [], **stamp}
        )
    run.write_table([pa.Table.from_pylist(rows, LABELS_SCHEMA)])
    if checked:
        pq.write_table(pa.Table.from_pylist(checks, CHECKS_SCHEMA), folder / "run" / CHECKS_TABLE)
    (folder / "run" / CONFIG).write_text(json.dumps({"data": {"dataset_name": dataset}}))
    return folder / "run"


def filmed(folder: Path, clips: list[str], *, unfilmed: tuple[str, ...] = (), redactor: str | None = None) -> Path:
    """Write a dataset of drives with small videos, and a run with labels of its clips; returns the run's folder."""
    data, frames = folder / "data", 140
    write_chunk(data, {clip: ego_parquet(lively_drive(number)) for number, clip in enumerate(clips)})
    content, times = video_bytes(frames, fps=10, gop=10, size=(96, 54)), parquet({"timestamp": times_of(frames, 10)})
    members = {
        name: own
        for clip in clips
        if clip not in unfilmed
        for name, own in ((f"{clip}.{FRONT}.mp4", content), (f"{clip}.{FRONT}.timestamps.parquet", times))
    }
    zip_videos(data / "camera" / FRONT / f"{FRONT}.chunk_0000.zip", members)
    run = experiment(folder, clips)
    config = {"data": {"dataset_name": "pai", "data_dir": str(data)}, "egress": {"redactor": redactor}}
    (run / CONFIG).write_text(json.dumps(config))
    return run


def exported(run: Path, out: Path, format_name: str = "jsonl", splits: str = "sft=1", **changes) -> ExportResult:
    """Export a run."""
    how = Splits(parse_shares(splits), **{k: changes.pop(k) for k in ("seed", "group_by") if k in changes})
    return export_dataset(ExportRequest(str(run), str(out), format_name, how, **changes))
