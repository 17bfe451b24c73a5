"""Runs made once for all tests of the report: comma2k19's demo, and synthetic traffic with hostile texts."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from batch_runs.outcomes import FAILED, REJECTED, Tally, write_summary
from builders.commands import autolabel
from builders.driving import lively_drive
from builders.pai import ego_parquet, obstacle_columns, parquet, write_unpacked
from coc_labeling.results import LABELS_SCHEMA, ExperimentFolder
from coc_labeling.schema import (
    CoCLabel,
    Component,
    EmergedAfter,
    Lateral,
    Longitudinal,
    Record,
    abstain,
    released_content,
)

DEMO = Path(__file__).parents[3] / "demo_data" / "comma2k19"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> {{ 7*7 }} $\\frac{a}{b}$"


@dataclass(frozen=True)
class Runs:
    """Folders of one dataset's runs."""

    data: Path
    meta_actions: Path
    experiment: Path


def _label(clip_id: str, t_us: int, label: CoCLabel) -> Record:
    return Record(
        clip_id=clip_id,
        event_start_frame=t_us // 100_000,
        event_start_timestamp=t_us,
        final_content=released_content(label),
        label=label,
    )


def write_experiment(path: Path, records: list[Record], config: dict, failures: int = 0) -> None:
    """Write an experiment folder as Step 3 does."""
    folder, tally = ExperimentFolder(str(path)), Tally()
    rows = [folder.write(record) for record in records]
    with folder.opened() as journal:
        journal.append(pa.RecordBatch.from_pylist(rows, LABELS_SCHEMA))
        folder.settle(journal)
    for record in records:
        item = f"{record.clip_id}/cot_{record.event_start_timestamp}.yaml"
        if record.label.abstention:
            tally.add(REJECTED, f"abstained_{record.label.abstention.reason}", item)
        else:
            tally.add("done", "labelled", item)
    for i in range(failures):
        tally.add(FAILED, "server_refused", f"clip-{i}/cot_0.yaml", f"HTTP 503 {HOSTILE}")
    write_summary(f"{path}/run_summary.json", "coc_labeling.data_labeling", config, tally, unit="windows")


def _config(dataset: str, data: Path, save_dir: Path) -> dict:
    texts = str(save_dir / "final_outputs")
    return {"data": {"dataset_name": dataset, "data_dir": str(data), "cache_dir": None, "meta_action_dir": texts}}


def _lead(track_id: str | None, description: str) -> CoCLabel:
    component = Component(
        id="c1", category="critical_object", relation="lead", description=description, track_id=track_id
    )
    return CoCLabel(
        longitudinal=Longitudinal(decision="follow_lead", cause_ids=("c1",)),
        lateral=Lateral(decision="change_lane", direction="left", cause_ids=("unobserved",)),
        components=(component,),
        emerged_after=EmergedAfter(category="road_event", description=f"later {description}"),
        trace=f"trace {description}",
        effect_on_ego_behavior=f"sentence {description}",
    )


@pytest.fixture(scope="session")
def comma(tmp_path_factory) -> Runs:
    """The demo's comma2k19: meta-actions by the real Step 1, records of every kind."""
    root = tmp_path_factory.mktemp("comma")
    data, save_dir, experiment = root / "data", root / "ma", root / "exp" / "20260101_000000_comma"
    shutil.copytree(DEMO, data)
    assert autolabel(data, save_dir, dataset="comma2k19") == 0
    clip = "b0c9d2329ad1606b_2018-08-02--08-34-47_40"
    records = [
        _label(f"{clip}-0", 2_500_000, _lead("radar-531-40", "plain")),
        _label(f"{clip}-0", 2_900_000, _lead("no-such-track", "again")),
        _label(f"{clip}-20", 4_000_000, abstain("no_decision", "nothing that taxonomy 1 names")),
        _label(f"{clip}-40", 5_000_000, CoCLabel(effect_on_ego_behavior="Only a sentence, as released.")),
    ]
    write_experiment(experiment, records, _config("comma2k19", data, save_dir), failures=5)
    return Runs(data, save_dir, experiment)


def _traffic(tracks: int) -> bytes:
    """Return obstacle rows of cars around ego, one of them with a hostile id."""
    t_us = np.arange(201) * 100_000
    parts = []
    for i in range(tracks):
        center = np.column_stack([np.full(201, 8.0 * (i % 15) - 30), np.full(201, 3.5 * (i // 15) - 7), np.zeros(201)])
        name = HOSTILE if i == 3 else str(i)
        parts.append(obstacle_columns(t_us, center, np.zeros(201), track=name))
    return parquet({key: np.concatenate([np.asarray(part[key]) for part in parts]) for key in parts[0]})


@pytest.fixture(scope="session")
def traffic(tmp_path_factory) -> Runs:
    """A clip in dense traffic, whose label and failures say hostile things."""
    root = tmp_path_factory.mktemp("traffic")
    data, save_dir, experiment = root / "data", root / "ma", root / "exp" / "20260102_000000_traffic"
    write_unpacked(data, {"dense": ego_parquet(lively_drive(1)), "bad": b"no parquet"})
    write_unpacked(data, {"dense": _traffic(150)}, feature="obstacle.offline")
    assert autolabel(data, save_dir, dataset="pai") == 1
    records = [_label("dense", (2 + 2 * i) * 1_000_000, _lead(HOSTILE, HOSTILE)) for i in range(9)]
    write_experiment(experiment, records, _config("pai", data, save_dir))
    return Runs(data, save_dir, experiment)
