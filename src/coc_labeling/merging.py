"""Joining the shards of Step 3 into one experiment folder."""

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from batch_runs.merging import find_run_shards, read_summaries
from batch_runs.outcomes import Tally, write_summary
from coc_labeling.errors import CocLabelingError
from coc_labeling.results import SUMMARY, ExperimentFolder, read_labels, token_totals
from coc_labeling.saved_config import differences, remember_config
from coc_labeling.schema import Usage
from driving_clips import files


def merge_labels(folders: Sequence[str], out: str) -> tuple[Tally, list[int]] | None:
    """Join the shards of a Step 3 run; returns the counts and the missing shards, or None where there are none.

    Records that lie in another folder than ``out`` are copied there, their times kept.

    Raises:
        DatasetError, CocLabelingError: the shards do not belong together, a table is damaged, a record is gone, or
            ``out`` cannot be written to.
    """
    found = find_run_shards(folders, (("labels", "parquet"), ("run_summary", "json")))
    if found is None:
        return None
    (labels, summaries), missing = found
    folder = ExperimentFolder(out)
    tally, configs = read_summaries(summaries)
    spent = _spent([json.loads(files.read_text(path)) for path in summaries.paths.values()])
    for config in configs[1:]:
        if different := differences(configs[0], config):
            raise CocLabelingError(
                f"the shards were not labelled alike: {'; '.join(different)}. Merge those of one run."
            )
    tables: list[pa.Table] = []
    with folder.opened():
        remember_config(folder, configs[0] | {"shard": None})
        for path in labels.paths.values():
            table = read_labels(path)
            _bring(table, ExperimentFolder(files.parent(path)), folder)
            tables.append(table)
            _bring_prompts(files.parent(path), out)
        folder.write_table(tables)
        write_summary(
            folder.table_path(SUMMARY),
            "coc merge",
            configs[0] | {"shard": None},
            tally,
            unit="windows",
            tokens=token_totals(folder.read_table()),
            **spent,
            merged_shards=sorted(labels.paths),
            missing_shards=missing,
        )
    return tally, missing


def _spent(summaries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Add up what shards cost and sent; nothing where no model was asked."""
    with_model = [summary for summary in summaries if "experiment" in summary]
    if not with_model:
        return {}
    egress: dict[str, dict[str, int]] = {}
    for summary in with_model:
        for host, sent in summary.get("egress", {}).items():
            known = egress.setdefault(host, dict.fromkeys(sent, 0))
            for what, count in sent.items():
                known[what] = known.get(what, 0) + count
    costs = [summary.get("cost_usd") for summary in with_model]
    return {
        "experiment": {
            name: sum(summary["experiment"].get(name, 0) for summary in with_model) for name in Usage.model_fields
        },
        "cost_usd": None if None in costs else sum(cost for cost in costs if cost),
        "egress": egress,
    }


def _bring_prompts(source: str, target: str) -> None:
    """Copy the static prompts that records refer to."""
    if files.absolute(source) != files.absolute(target):
        for name in files.list_names(source, ".txt"):
            if name.startswith("prompt."):
                files.copy(files.join(source, name), files.join(target, name))


def _bring(table: pa.Table, source: ExperimentFolder, target: ExperimentFolder) -> None:
    if files.absolute(source.path) == files.absolute(target.path):
        return
    keys = (table.column(name).to_pylist() for name in ("clip_id", "event_start_timestamp"))
    for clip_id, t_us in zip(*keys, strict=True):
        path = source.record_path(clip_id, t_us)
        try:
            files.copy(path, target.record_path(clip_id, t_us))
        except FileNotFoundError as error:
            raise CocLabelingError(
                f"{path}: this record is in the shard's table, but its file is gone. Run the shard again with "
                "resume_exp_dir, then merge."
            ) from error
