"""``coc curate`` on the terminal."""

from batch_runs.terminal import say
from coc_labeling.curate.run import CLIPS_FILE, KEYFRAMES_FILE, SUMMARY_FILE, Curation, CurationRequest, curate
from coc_labeling.curate.statistics import table


def run_curation(request: CurationRequest, *, strict: bool) -> int:
    """Choose what to label and print what was kept and why; returns the exit code.

    Raises:
        CocLabelingError, DatasetError, MetaActionError: nothing can be chosen as asked.
    """
    run = curate(request)
    say(*tell(run))
    return run.tally.exit_code(strict=strict)


def tell(run: Curation) -> list[str]:
    """Return what is said of a curation."""
    return [
        *(f"note: {notice}" for notice in run.notices),
        *run.tally.lines("clips"),
        "",
        *table(run.counts),
        "",
        f"keyframes: {run.path(KEYFRAMES_FILE)}",
        f"clips: {run.path(CLIPS_FILE)}",
        f"summary: {run.path(SUMMARY_FILE)}",
    ]
