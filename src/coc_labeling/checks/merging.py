"""Joining the checks of a run's shards into one table."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from batch_runs.merging import find_run_shards, read_summaries
from batch_runs.outcomes import Tally, write_summary
from coc_labeling.checks.results import (
    CHECK_SUMMARY,
    CHECKS_TABLE,
    checks_path,
    checks_writer,
    read_checks,
    table_path,
    with_precision,
)
from coc_labeling.errors import CocLabelingError
from driving_clips import files

_ADDED_UP = ("status", "risk_histogram", "checks", "clips_with_track_problems")


def merge_checks(folders: Sequence[str], out: str) -> tuple[Tally, list[int]] | None:
    """Join the checks of a run's shards; returns the counts and the missing shards, or None where there are none.

    Raises:
        DatasetError, CocLabelingError: the shards do not belong together, or a table is damaged.
    """
    found = find_run_shards(folders, (("checks", "parquet"), ("check_summary", "json")))
    if found is None:
        return None
    (checks, summaries), missing = found
    tally, configs = read_summaries(summaries)
    with checks_writer(table_path(out, CHECKS_TABLE)) as writer:
        for _, path in sorted(checks.paths.items()):
            table = read_checks(path)
            _bring(table.select(["clip_id", "event_start_timestamp"]).to_pylist(), files.parent(path), out)
            for batch in table.to_batches():
                writer.add(batch)
    kept = [json.loads(files.read_text(path)) for _, path in sorted(summaries.paths.items())]
    added = {name: _sum([summary[name] for summary in kept]) for name in _ADDED_UP}
    write_summary(
        table_path(out, CHECK_SUMMARY),
        "coc merge",
        configs[0],
        tally,
        unit="labels",
        checks_version=kept[0]["checks_version"],
        calibration=_one_calibration(found_in=out, of=[summary.get("calibration") for summary in kept]),
        notices=list(dict.fromkeys(notice for summary in kept for notice in summary["notices"])),
        **added | {"checks": {name: with_precision(figures) for name, figures in added["checks"].items()}},
        track_problems={clip_id: said for summary in kept for clip_id, said in summary["track_problems"].items()},
        merged_shards=sorted(checks.paths),
        missing_shards=missing,
    )
    return tally, missing


def _one_calibration(found_in: str, of: Sequence[Any]) -> Any:
    """Return what all shards were calibrated with; raises CocLabelingError where they differ."""
    if any(one != of[0] for one in of):
        raise CocLabelingError(
            f"{found_in}: its shards were checked with different calibrations. Run coc check --shard again for each."
        )
    return of[0]


def _sum(parts: Sequence[Any]) -> Any:
    """Add up numbers, key by key where they are in mappings; what is no number stays out."""
    if not all(isinstance(part, Mapping) for part in parts):
        return sum(part for part in parts if isinstance(part, int))
    keys = dict.fromkeys(key for part in parts for key in part)
    return {key: _sum([part[key] for part in parts if key in part]) for key in keys}


def _bring(moments: Sequence[Mapping[str, Any]], source: str, target: str) -> None:
    """Copy the JSON files of labels to another folder, as far as they are there."""
    if files.absolute(source) == files.absolute(target):
        return
    for moment in moments:
        path, copy = (checks_path(run, moment["clip_id"], moment["event_start_timestamp"]) for run in (source, target))
        if files.exists(path):
            files.copy(path, copy)
