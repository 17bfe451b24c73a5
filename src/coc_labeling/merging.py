"""Joining the shards of Step 3 into one experiment folder."""

from collections.abc import Sequence

import pyarrow as pa

from batch_runs.merging import find_run_shards, read_summaries
from batch_runs.outcomes import Tally, write_summary
from coc_labeling.errors import CocLabelingError
from coc_labeling.results import SUMMARY, ExperimentFolder, differences, read_labels, remember_config
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
        folder.write_table(tables)
        write_summary(
            folder.table_path(SUMMARY),
            "coc merge",
            configs[0] | {"shard": None},
            tally,
            unit="windows",
            merged_shards=sorted(labels.paths),
            missing_shards=missing,
        )
    return tally, missing


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
