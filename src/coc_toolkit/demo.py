"""``coc demo``: the whole pipeline on the real drives that ship with the repository."""

from pathlib import Path

from batch_runs.terminal import say
from coc_labeling.report import build_report
from coc_labeling.results import LABEL, load_labels
from coc_toolkit.pipeline import PipelineRequest, run_pipeline
from driving_clips import files
from driving_clips.errors import DatasetError

DATASETS = ("comma2k19", "boreas")
LABELS_SHOWN = 3


def run_demo(data: str | None, out: str) -> int:
    """Label the demo drives into ``out``, write one report, show three labels; returns the exit code.

    Raises:
        DatasetError: the demo's data is not there.
    """
    data = data or str(Path(__file__).resolve().parents[2] / "demo_data")
    if not files.is_dir(data):
        raise DatasetError(
            f"{data}: no demo data. It ships with the repository: clone it, or give the folder with --data."
        )
    results = [
        run_pipeline(PipelineRequest(dataset, files.join(data, dataset), files.join(out, dataset)))
        for dataset in DATASETS
    ]
    runs = [result.run_dir for result in results]
    report = build_report(runs, files.join(out, "report.html"))
    say("", f"{LABELS_SHOWN} of the labels:", *_examples(runs))
    say("", *(f"labels: {run}" for run in runs), f"report: {files.absolute(report)}")
    return max(result.exit_code for result in results)


def _examples(runs: list[str]) -> list[str]:
    """Return labels as text, of different decisions, those with an observed cause first."""
    rows = [row for run in runs for row in load_labels(run).to_pylist() if row["status"] == LABEL]
    rows.sort(key=lambda row: ("unobserved" in row["longitudinal_causes"], "unobserved" in row["lateral_causes"]))
    chosen: dict[tuple, dict] = {}
    for row in rows:
        chosen.setdefault((row["longitudinal"], row["lateral"]), row)
    return [
        f"  {row['clip_id']} at {row['event_start_timestamp'] / 1e6:.1f} s: {row['longitudinal'] or 'none'} / "
        f"{row['lateral'] or 'none'}\n    {row['sentence']}\n    {row['trace']}"
        for row in list(chosen.values())[:LABELS_SHOWN]
    ]
