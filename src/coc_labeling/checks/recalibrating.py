"""Checks that have been made already, under another calibration: what was measured stays, risks and statuses change."""

import json
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from batch_runs.shards import WHOLE, shard_of_file
from coc_labeling.checks.calibration import RiskMap
from coc_labeling.checks.results import (
    CHECK_SUMMARY,
    CHECKS_SCHEMA,
    checks_writer,
    histogram,
    read_checks_by_group,
    table_names,
    table_path,
    write_json,
)
from coc_labeling.checks.risk import Status, status_of
from coc_labeling.checks.work import tenth_of
from coc_labeling.errors import CocLabelingError
from driving_clips import files


def recalibrate(run_dir: str, risk_map: RiskMap) -> Counter[str]:
    """Rewrite the risks of a run's checks, of its shards where they are not merged; return the labels by status.

    Raises:
        CocLabelingError: its labels have not been checked, or a table is damaged.
    """
    total = Counter[str]()
    for name in table_names(run_dir):
        shard = shard_of_file(name) or WHOLE
        with files.exclusive(files.join(run_dir, f".checks{shard.suffix}.lock")):
            status, tenths = _rewrite(run_dir, files.join(run_dir, name), risk_map)
            _bring_summary(table_path(run_dir, CHECK_SUMMARY, shard), status, tenths, risk_map)
        total += status
    return total


def _rewrite(run_dir: str, path: str, risk_map: RiskMap) -> tuple[Counter[str], Counter[int]]:
    """Rewrite one table and the JSON files of its labels; return the labels by status and by tenth of the risk."""
    status, tenths = Counter[str](), Counter[int]()
    with checks_writer(path) as writer:
        for table in read_checks_by_group(path):
            changed = _calibrated(table, risk_map)
            for row in changed.to_pylist():
                write_json(run_dir, _with_numbers(row))
                status[row["status"]] += 1
                tenths[tenth_of(row["risk"])] += 1
            for batch in changed.to_batches():
                writer.add(batch)
    return status, tenths


def _calibrated(table: pa.Table, risk_map: RiskMap) -> pa.Table:
    """Return rows with risks calibrated from the raw ones; an abstention keeps its own."""
    raw = table.column("raw_risk").to_numpy()
    statuses = [Status(one) for one in table.column("status").to_pylist()]
    abstained = np.array([one is Status.ABSTAINED for one in statuses], bool)
    risk = np.where(abstained, raw, np.round(risk_map.probabilities(raw), 4))
    now = [str(status_of(value, status)) for value, status in zip(risk, statuses, strict=True)]
    columns = {"risk": pa.array(risk), "status": pa.array(now, pa.string())}
    arrays = [columns.get(name, table.column(name)) for name in CHECKS_SCHEMA.names]
    return pa.Table.from_arrays(arrays, schema=CHECKS_SCHEMA)


def _with_numbers(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of a table as one that can be written as JSON: pyarrow gives a map as a list of pairs."""
    return row | {"findings": [finding | {"numbers": dict(finding["numbers"])} for finding in row["findings"]]}


def _bring_summary(path: str, status: Counter[str], tenths: Counter[int], risk_map: RiskMap) -> None:
    """Bring a summary up to date; it is written after its table, as one that belongs to it."""
    if not files.is_file(path):
        return
    try:
        summary = dict(json.loads(files.read_text(path)))
    except (ValueError, TypeError) as error:
        raise CocLabelingError(f"{path}: expected a summary of checks ({error}). Run coc check again.") from error
    changed = {
        "status": dict(sorted(status.items())),
        "risk_histogram": histogram(tenths),
        "calibration": risk_map.model_dump(),
    }
    files.write_atomic(path, json.dumps(summary | changed, indent=2, ensure_ascii=False) + "\n")
