"""Checks that an earlier run has made and that would not turn out otherwise, since nothing they rest on has changed."""

import hashlib
import json
from collections import Counter
from importlib.metadata import version

import pyarrow as pa

from batch_runs.merging import ShardFiles, read_summaries
from batch_runs.outcomes import ALREADY_DONE, DONE, FAILED, Tally
from coc_labeling.checks import CHECKS_VERSION, all_checks
from coc_labeling.checks.calibration import RiskMap
from coc_labeling.checks.inputs import Drives
from coc_labeling.checks.work import Totals
from coc_labeling.config.schema import RunConfig
from coc_labeling.results import KEY
from coc_labeling.up_to_date import STAMP, stamps_now
from driving_clips import files
from driving_clips.errors import DatasetError

ROWS_AT_ONCE = 100_000


def fingerprint(config: RunConfig, labels: pa.Table, run_dir: str, drives: Drives) -> str:
    """Return a hash of what checks rest on: code, configuration, records, meta-actions and files of ego motion.

    Obstacle tracks are not part of it: only reading a clip tells which files they lie in.
    """
    dataset = drives.loader.dataset
    rest = {
        "version": version("coc-toolkit"),
        "checks": [CHECKS_VERSION, *(check.name for check in all_checks())],
        "config": config.model_dump(mode="json"),
    }
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode())
    for group in drives.groups:
        for source in group.sources:
            digest.update(f"{source}\t{dataset.stamps(source)}\n".encode())
    records = labels.select(list(KEY))
    for name, values in zip(STAMP, stamps_now(labels, run_dir), strict=True):
        records = records.append_column(name, pa.array(values))
    for table in (records, drives.spans):
        for batch in table.combine_chunks().to_batches(ROWS_AT_ONCE):
            digest.update(batch.serialize())
    return digest.hexdigest()


def finished(
    summary_path: str, table_path: str, mark: str, risk_map: RiskMap | None = None
) -> tuple[Tally, Totals] | None:
    """Return the counts of earlier checks by their summary; None where they have to be made again.

    That is so where they rest on something else than ``mark`` says, where their risks were calibrated otherwise, where
    some failed, and where they are not whole.
    """
    stamps = files.stamp_or_none(summary_path), files.stamp_or_none(table_path)
    if stamps[0] is None or stamps[1] is None or stamps[0].mtime_ns < stamps[1].mtime_ns:
        return None  # the table is written first: one that is newer has no summary yet
    try:
        summary = json.loads(files.read_text(summary_path))
        calibration = risk_map.model_dump() if risk_map is not None else None
        if summary["fingerprint"] != mark or summary.get("calibration") != calibration:
            return None
        tally, _ = read_summaries(ShardFiles(1, {0: summary_path}))
        totals = Totals(status=Counter(summary["status"]), track_problems=dict(summary["track_problems"]))
    except (DatasetError, OSError, ValueError, KeyError, TypeError):
        return None
    if tally.count(FAILED):
        return None
    done = [item for items in tally.by_reason[DONE].values() for item in items]
    tally.by_reason[DONE] = {ALREADY_DONE: dict.fromkeys(done, "")}
    tally.summary = summary_path
    return tally, totals
