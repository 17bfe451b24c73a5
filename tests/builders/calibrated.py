"""A run of many labels with checks, and reviewers who know which of them are wrong."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from builders.agreed import decision, write_run
from builders.reviews import ACCEPT, review
from coc_labeling.checks.base import EGO, Finding, Verdict
from coc_labeling.checks.calibration import JudgedRisks
from coc_labeling.checks.checking import CheckedLabel
from coc_labeling.checks.results import CHECKS_SCHEMA, as_row, checks_writer, write_json
from coc_labeling.checks.risk import Risk, Status, status_of
from coc_labeling.review.batches.intake import add_run
from coc_labeling.review.batches.planning import QueueSettings
from coc_labeling.review.batches.queue import Filters, enlarge, page
from coc_labeling.review.judgements import Judgement, Reason
from coc_labeling.review.judgements import Verdict as Word
from coc_labeling.review.store import ReviewStore, Role
from driving_clips import files

T_US = 5_000_000
REJECT = Judgement(verdict=Word.REJECT, reason=Reason.HAZARD_MISSED)
QUEUE = QueueSettings(batch_size=20, random_share=0.3, second_share=0, audit_share=0, planted_share=0, blank_share=0)


def checked_run(folder: Path, count: int, seed: int = 0) -> tuple[Path, set[str]]:
    """Write a run whose labels are wrong half as often as their risk says; return it and the clips that are wrong."""
    random = np.random.default_rng(seed)
    risks = np.round(random.uniform(0.05, 0.95, count), 4)
    clips = [f"clip{number:04d}" for number in range(count)]
    write_run(folder, {(clip, T_US): decision("stop", "keep_lane") for clip in clips})
    rows = [row_of(folder, clip, risk) for clip, risk in zip(clips, risks, strict=True)]
    with checks_writer(str(folder / "checks.parquet")) as writer:
        writer.add(pa.RecordBatch.from_pylist(rows, CHECKS_SCHEMA))
    wrong = random.random(count) < risks / 2
    return folder, {clip for clip, is_wrong in zip(clips, wrong, strict=True) if is_wrong}


def row_of(folder: Path, clip: str, risk: float) -> dict:
    """Write the JSON file of a label's checks and return its row; over 0.5 the check of the speed contradicts."""
    verdict = Verdict.CONTRADICTED if risk > 0.5 else Verdict.SUPPORTED
    found = Finding("speed", verdict, "stops", "it drives on", {"slowest_mps": 3.5}, EGO, risk if risk > 0.5 else 0.0)
    checked = CheckedLabel(Risk(float(risk), status_of(float(risk), Status.LOW), ("it drives on",)), (found,))
    row = as_row(clip, T_US, checked, (), files.stamp(f"{folder}/{clip}/cot_{T_US}.yaml"))
    write_json(str(folder), row)
    return row


def reviewed(folder: Path, wrong: set[str], tasks: int, settings: QueueSettings = QUEUE) -> Path:
    """Let one reviewer judge the first tasks of a run's queue by what is true."""
    store = ReviewStore.of_run(str(folder))
    store.add_person("ann", Role.REVIEWER)
    add_run(store, str(folder))
    enlarge(store, settings)
    for task in page(store, Filters(), limit=tasks).tasks:
        review(store, task.task, "ann", REJECT if task.clip_id in wrong else ACCEPT)
    store.close()
    return folder


def judged(count: int, seed: int = 0, factor: float = 0.4, per_clip: int = 1) -> JudgedRisks:
    """Labels that are wrong as often as ``factor`` times their risk."""
    random = np.random.default_rng(seed)
    risk = random.uniform(0.02, 0.98, count)
    wrong = random.random(count) < factor * risk
    names = [frozenset({"speed"}) if one > 0.5 else frozenset[str]() for one in risk]
    return JudgedRisks([f"clip{n // per_clip}" for n in range(count)], risk, wrong, np.ones(count), names)
