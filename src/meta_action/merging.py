"""Joining the shards of Step 1 into one results folder."""

from collections.abc import Sequence

import pyarrow as pa

from batch_runs.merging import find_shards, read_summaries
from batch_runs.outcomes import Tally, write_summary
from driving_clips import files
from meta_action.errors import MetaActionError
from meta_action.names import parse_names
from meta_action.reading import timelines
from meta_action.results import CLIPS_SCHEMA, SPANS_SCHEMA, ResultsFolder, read_table, selection_metadata


def merge_results(folders: Sequence[str], out: str) -> tuple[Tally, list[int]] | None:
    """Join the shards of a Step 1 run; returns the counts and the missing shards, or None where there are none.

    Texts that ``out`` does not hold yet are written from the spans.

    Raises:
        DatasetError, MetaActionError: the shards do not belong together.
    """
    clips = find_shards(folders, "clips", "parquet")
    spans = find_shards(folders, "meta_actions", "parquet")
    summaries = find_shards(folders, "run_summary", "json")
    if clips is None or spans is None or summaries is None:
        return None
    tables = [_table(path, SPANS_SCHEMA) for path in spans.paths.values()]
    rows = [_table(path, CLIPS_SCHEMA) for path in clips.paths.values()]
    selections = {selection_metadata(path).get("selection", "") for path in spans.paths.values()}
    if len(selections) != 1:
        raise MetaActionError(f"the shards hold different selections of meta-actions: {', '.join(sorted(selections))}.")
    tally, configs = read_summaries(summaries)
    folder = ResultsFolder(out, parse_names(configs[0]["names"]))
    with folder.opened():
        folder.write_tables(rows, tables)
        there = set(files.list_names(folder.final_dir, ".txt"))
        for line in (line for table in tables for line in timelines(table)):
            if f"{line.clip_id}.txt" not in there:
                folder.write_clip(line)
        config = configs[0] | {"save_dir": out, "shard": "0/1"}
        write_summary(
            folder.table_path("run_summary.json"),
            "coc merge",
            config,
            tally,
            unit="clips",
            merged_shards=sorted(clips.paths),
            missing_shards=clips.missing,
        )
    return tally, clips.missing


def _table(path: str, schema: pa.Schema) -> pa.Table:
    table = read_table(path, schema)
    if table is None:
        raise MetaActionError(f"{path}: expected a shard's table, found a damaged file. Run this shard again.")
    return table.replace_schema_metadata(None)
