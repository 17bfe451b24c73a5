"""Joining the shards of Step 1 into one results folder."""

from collections.abc import Sequence

import pyarrow as pa

from batch_runs.merging import find_run_shards, read_summaries
from batch_runs.outcomes import Tally, write_summary
from meta_action.errors import MetaActionError
from meta_action.names import parse_names
from meta_action.results import CLIPS_SCHEMA, ResultsFolder, read_table, selection_metadata
from meta_action.timeline_table import SPANS_SCHEMA


def merge_results(folders: Sequence[str], out: str) -> tuple[Tally, list[int]] | None:
    """Join the shards of a Step 1 run; returns the counts and the missing shards, or None where there are none.

    Texts that ``out`` does not hold, or holds of an earlier state, are written from the spans.

    Raises:
        DatasetError, MetaActionError: the shards do not belong together.
    """
    found = find_run_shards(folders, (("clips", "parquet"), ("meta_actions", "parquet"), ("run_summary", "json")))
    if found is None:
        return None
    (clips, spans, summaries), missing = found
    tables = [_table(path, SPANS_SCHEMA) for path in spans.paths.values()]
    rows = [_table(path, CLIPS_SCHEMA) for path in clips.paths.values()]
    kinds = {
        f"{said.get('selection')} (labels {said.get('label_version')})"
        for said in map(selection_metadata, spans.paths.values())
    }
    if len(kinds) != 1:
        raise MetaActionError(f"the shards hold different selections of meta-actions: {', '.join(sorted(kinds))}.")
    tally, configs = read_summaries(summaries)
    datasets = sorted({str(config.get("dataset_name")) for config in configs})
    if len(datasets) > 1:
        raise MetaActionError(f"the shards are of different datasets: {', '.join(datasets)}. Merge shards of one run.")
    folder = ResultsFolder(out, parse_names(configs[0]["names"]))
    with folder.opened():
        folder.write_tables(rows, tables)
        folder.rewrite_texts()
        config = configs[0] | {"save_dir": out, "shard": "0/1"}
        write_summary(
            folder.table_path("run_summary.json"),
            "coc merge",
            config,
            tally,
            unit="clips",
            merged_shards=sorted(clips.paths),
            missing_shards=missing,
        )
    return tally, missing


def _table(path: str, schema: pa.Schema) -> pa.Table:
    table = read_table(path, schema)
    if table is None:
        raise MetaActionError(f"{path}: expected a shard's table, found a damaged file. Run this shard again.")
    return table.replace_schema_metadata(None)
