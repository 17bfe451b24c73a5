"""``coc export-rerun`` on the terminal."""

from batch_runs.terminal import complain, say
from coc_labeling.export.rerun import RerunRequest, export_rerun


def run_rerun_export(request: RerunRequest) -> int:
    """Write recordings and print what came of it; returns the exit code.

    Raises:
        CocLabelingError, DatasetError, MetaActionError: nothing can be done as asked.
    """
    result = export_rerun(request)
    for notice in result.notices:
        complain(f"note: {notice}")
    say(*result.tally.lines("clips"), f"recordings: {request.out}", f"summary: {result.summary_path}")
    return result.tally.exit_code(strict=False)
