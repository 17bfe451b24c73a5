"""``coc merge``: joining the shards of whichever step wrote the folders."""

from batch_runs.outcomes import EXIT_FAILED, EXIT_NOTHING
from batch_runs.shards import shard_of_file
from batch_runs.terminal import complain, say
from coc_labeling.checks.merging import merge_checks
from coc_labeling.judge.results import refuse_merging
from coc_labeling.merging import merge_labels
from driving_clips import files
from meta_action.merging import merge_results


def merge_folders(folders: list[str], out: str) -> int:
    """Join the shards in ``folders`` into ``out`` and name the missing ones; returns the exit code.

    Raises:
        DatasetError, MetaActionError, CocLabelingError: the shards do not belong together.
    """
    for folder in folders:
        refuse_merging(folder)
        if not any(shard_of_file(name) for name in files.list_names(folder)):
            complain(f"error: no shards in {folder}. Expected a folder written with --shard i/n; leave others out.")
            return EXIT_NOTHING
    merged, complete = False, True
    for unit, join in (("clips", merge_results), ("windows", merge_labels), ("labels", merge_checks)):
        result = join(folders, out)
        if result is None:
            continue
        merged = True
        tally, missing = result
        say(*tally.lines(unit), f"merged into: {out}")
        if missing:
            complete = False
            complain(f"missing shards: {', '.join(map(str, missing))}. Run them, then merge again.")
    if not merged:
        complain(f"error: no shards of Step 1 or 3 in {', '.join(folders)}. Expected folders written with --shard i/n.")
        return EXIT_NOTHING
    return 0 if complete else EXIT_FAILED
