"""From run folders to one HTML file."""

from collections.abc import Sequence

from coc_labeling.errors import CocLabelingError
from coc_labeling.report.page import render
from coc_labeling.report.runs import find_runs
from coc_labeling.report.sections import gather
from driving_clips import files

REPORT = "report.html"
SAMPLE = 12


def build_report(run_dirs: Sequence[str], output: str | None = None, sample: int = SAMPLE) -> str:
    """Write the report of one or more runs and return its path.

    Args:
        run_dirs: experiment folders of Step 3, or ``save_dir`` folders of Step 1; several are shown together.
        output: the file to write; ``report.html`` in the first run folder by default.
        sample: how many clips to show with figures and label texts; at least one of every run, 0 for none.

    Raises:
        CocLabelingError: no folder given, a folder that is no run, or a file that cannot be written.

    Example:
        >>> build_report(["experiments/20260101_120000_demo"])  # doctest: +SKIP
        'experiments/20260101_120000_demo/report.html'
    """
    runs = find_runs(run_dirs)
    page = render(gather(runs, sample))
    path = output or files.join(runs[0].path, REPORT)
    try:
        files.make_parents(path)
        files.write_atomic(path, page.encode("utf-8", errors="replace"))
    except OSError as error:
        raise CocLabelingError(
            f"{path}: the report cannot be written ({error.strerror or error}). Choose another file as output."
        ) from error
    return path
