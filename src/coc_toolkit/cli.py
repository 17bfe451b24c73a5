"""Command ``coc``: every step as a subcommand."""

import sys
from typing import Annotated

import typer

from batch_runs.outcomes import EXIT_FAILED, EXIT_NOTHING
from batch_runs.terminal import complain, run_command, say
from coc_labeling.errors import CocLabelingError
from driving_clips.errors import DatasetError
from meta_action.errors import MetaActionError

USAGE_ERRORS = (DatasetError, MetaActionError, CocLabelingError)
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}

app = typer.Typer(
    name="coc",
    help="Turns recorded driving into Chain-of-Causation training data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def demo(
    out: Annotated[str, typer.Option(help="folder for the results")] = "demo_out",
    data: Annotated[str | None, typer.Option(help="folder of the demo drives")] = None,
) -> None:
    """Label the real drives that ship with the repository and write a report."""
    from coc_toolkit.demo import run_demo

    raise typer.Exit(run_command(lambda: run_demo(data, out), *USAGE_ERRORS))


@app.command("meta-actions", context_settings=PASS_ON, add_help_option=False)
def meta_actions(context: typer.Context) -> None:
    """Step 1: ego motion to meta-actions (the same as meta-action-autolabel)."""
    from meta_action.data_labeling import main as label

    raise typer.Exit(label(context.args))


@app.command(context_settings=PASS_ON, add_help_option=False)
def keyframes(context: typer.Context) -> None:
    """Step 2: meta-actions to keyframes (the same as python -m coc_labeling.keyframe_auto_select)."""
    from coc_labeling.keyframe_auto_select import main as select

    raise typer.Exit(select(context.args))


@app.command(context_settings=PASS_ON, add_help_option=False)
def label(context: typer.Context) -> None:
    """Step 3: keyframes to CoC labels (the same as python -m coc_labeling.data_labeling)."""
    from coc_labeling.data_labeling import main as label_windows

    raise typer.Exit(label_windows(context.args))


@app.command()
def run(
    data_dir: Annotated[str, typer.Option("--data_dir", help="the dataset's root folder")],
    out: Annotated[str, typer.Option(help="folder for everything that is written")],
    dataset: Annotated[str, typer.Option(help="pai, comma2k19, boreas or table")] = "pai",
    model_name: Annotated[str, typer.Option("--model_name", help="who labels: rules or dummy")] = "rules",
    scene_list: Annotated[str | None, typer.Option("--scene_list", help="text file, one clip id per line")] = None,
    num_workers: Annotated[int, typer.Option("--num_workers", help="most processes to use")] = 32,
    shard: Annotated[str, typer.Option(help="do the I-th of N parts, I/N")] = "0/1",
    strict: Annotated[bool, typer.Option("--strict", help="count rejected clips and windows as failed")] = False,
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value for Step 3")] = None,
) -> None:
    """All steps: clips to labels and a report. The same command again goes on where it stopped."""
    from coc_toolkit.pipeline import PipelineRequest, run_and_report

    request = PipelineRequest(
        dataset, data_dir, out, model_name, scene_list, num_workers, shard, strict, tuple(overrides or ())
    )
    raise typer.Exit(run_command(lambda: run_and_report(request).exit_code, *USAGE_ERRORS))


@app.command()
def merge(
    folders: Annotated[list[str], typer.Argument(help="results folders of Step 1, or experiment folders of Step 3")],
    out: Annotated[str | None, typer.Option(help="where the whole goes (default: the first folder)")] = None,
) -> None:
    """Join the shards of a run and name the missing ones."""
    raise typer.Exit(run_command(lambda: _merge(folders, out or folders[0]), *USAGE_ERRORS))


def _merge(folders: list[str], out: str) -> int:
    from coc_labeling.merging import merge_labels
    from meta_action.merging import merge_results

    merged = False
    missing: list[int] = []
    for unit, join in (("clips", merge_results), ("windows", merge_labels)):
        result = join(folders, out)
        if result is None:
            continue
        merged = True
        tally, missing = result
        say(*tally.lines(unit), f"merged into: {out}")
        if missing:
            complain(f"missing shards: {', '.join(map(str, missing))}. Run them, then merge again.")
    if not merged:
        complain(f"error: no shards in {', '.join(folders)}. Expected folders written with --shard i/n.")
        return EXIT_NOTHING
    return EXIT_FAILED if missing else 0


@app.command()
def report(
    run_dirs: Annotated[list[str], typer.Argument(help="experiment folders, or results folders of Step 1")],
    out: Annotated[str | None, typer.Option(help="the HTML file (default: report.html in the first folder)")] = None,
    sample: Annotated[int, typer.Option(help="how many clips to show in detail", min=0)] = 12,
) -> None:
    """Write one self-contained HTML page about a run."""
    from coc_labeling.report import build_report

    def write() -> int:
        say(f"report: {build_report(run_dirs, out, sample)}")
        return 0

    raise typer.Exit(run_command(write, *USAGE_ERRORS))


@app.command()
def doctor() -> None:
    """Say what is installed, which extras and credentials are there, and what each would enable."""
    from coc_toolkit.doctor import examine

    findings = examine()
    section = ""
    for finding in findings:
        if finding.section != section:
            section = finding.section
            say("", section)
        mark = {True: "ok  ", False: "BAD ", None: "-   "}[finding.ok]
        say(f"  {mark}{finding.text}")
    raise typer.Exit(EXIT_FAILED if any(finding.ok is False for finding in findings) else 0)


def main() -> None:
    """Run the command."""
    sys.exit(app())
