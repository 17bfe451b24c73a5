"""Command ``coc``: every step as a subcommand."""

import sys
from typing import Annotated

import typer

from coc_toolkit.cli_model import evaluate, infer, train
from coc_toolkit.cli_review import review
from coc_toolkit.ending import end

PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}

# Imports stand in the functions: help is quick, and the doctor works where another package shadows ours.
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
    """Label the real drives that ship with the repository, check the labels and write a report."""
    from coc_toolkit.demo import run_demo

    end(lambda: run_demo(data, out))


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


@app.command()
def curate(
    data_dir: Annotated[str, typer.Option("--data_dir", help="the dataset's root folder")],
    out: Annotated[str, typer.Option(help="folder for the lists and the summary")],
    dataset: Annotated[str, typer.Option(help="pai, comma2k19, boreas or table")] = "pai",
    meta_action_dir: Annotated[
        str | None, typer.Option("--meta_action_dir", help="the final_outputs folder of Step 1")
    ] = None,
    keyframes: Annotated[str | None, typer.Option(help="choose from this file of Step 2 instead")] = None,
    budget: Annotated[int | None, typer.Option(help="most moments to keep (default: no limit)")] = None,
    seed: Annotated[int, typer.Option(help="another one chooses other moments")] = 0,
    keep: Annotated[list[str] | None, typer.Option(help="SCENE=RATE, the share of a scene to keep; repeatable")] = None,
    allow: Annotated[list[str] | None, typer.Option(help="a fault that excludes no moment; repeatable")] = None,
    scene_list: Annotated[str | None, typer.Option("--scene_list", help="text file, one clip id per line")] = None,
    cache_dir: Annotated[str | None, typer.Option("--cache_dir", help="keeps resampled trajectories")] = None,
    num_workers: Annotated[int, typer.Option("--num_workers", help="most processes to use")] = 32,
    strict: Annotated[bool, typer.Option("--strict", help="count rejected clips as failed")] = False,
) -> None:
    """Choose what to label before paying for it: a shorter keyframe list for Step 3, and why it is that list."""
    from coc_labeling.curate.choosing import Choice
    from coc_labeling.curate.rules import parse_keep_rates, parse_masks
    from coc_labeling.curate.run import CurationRequest
    from coc_toolkit.curate_command import run_curation

    def choose() -> int:
        choice = Choice(parse_keep_rates(keep or []), budget, seed)
        allowed = parse_masks(allow or [])
        request = CurationRequest(
            dataset, data_dir, out, meta_action_dir, keyframes, choice, allowed, cache_dir, scene_list, num_workers
        )
        return run_curation(request, strict=strict)

    end(choose)


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
    model_name: Annotated[
        str, typer.Option("--model_name", help="who labels: rules, or a model such as gpt5.5")
    ] = "rules",
    scene_list: Annotated[str | None, typer.Option("--scene_list", help="text file, one clip id per line")] = None,
    num_workers: Annotated[int, typer.Option("--num_workers", help="most processes to use")] = 32,
    shard: Annotated[str, typer.Option(help="do the I-th of N parts, I/N")] = "0/1",
    strict: Annotated[bool, typer.Option("--strict", help="count rejected clips and windows as failed")] = False,
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value for Step 3")] = None,
) -> None:
    """All steps: clips to labels, their checks and a report. The same command again goes on where it stopped."""
    from coc_toolkit.pipeline import PipelineRequest, run_and_report

    request = PipelineRequest(
        dataset, data_dir, out, model_name, scene_list, num_workers, shard, strict, tuple(overrides or ())
    )
    end(lambda: run_and_report(request).exit_code)


app.add_typer(train, name="train")
app.command()(infer)
app.command()(evaluate)


@app.command("show-request")
def show_request(
    record: Annotated[str, typer.Argument(help="a cot_<timestamp>.yaml in its experiment folder")],
    data_dir: Annotated[
        str | None, typer.Option("--data_dir", help="where the dataset is now, if it has moved")
    ] = None,
    video_dir: Annotated[str | None, typer.Option("--video_dir", help="where the videos are now")] = None,
    full: Annotated[bool, typer.Option("--full", help="with the pictures, as base64 text")] = False,
) -> None:
    """Rebuild the exact requests behind a record, as JSON; exit code 1 where they differ from what was sent."""
    from coc_toolkit.requests import print_requests

    end(lambda: print_requests(record, data_dir, video_dir, full=full))


@app.command("negative-control")
def negative_control(
    run_dir: Annotated[str, typer.Argument(help="an experiment of TwoStageCoCAgent")],
    sample: Annotated[int, typer.Option(help="most windows to ask about", min=2)] = 200,
    changes: Annotated[list[str] | None, typer.Argument(help="key=value, where the configuration has changed")] = None,
) -> None:
    """Ask stage 2 again with another clip's components; exit code 1 unless most causes are then unobserved."""
    from coc_toolkit.controls import run_control

    end(lambda: run_control(run_dir, sample, changes or []))


@app.command()
def validate(
    run_dir: Annotated[str, typer.Argument(help="the experiment whose labels are judged; nothing in it changes")],
    model_name: Annotated[str, typer.Option("--model-name", "--model_name", help="the judge, such as gpt5.5")],
    stages: Annotated[str, typer.Option(help="1 evidence, 2 behaviour, 3 cause")] = "1,2,3",
    sample: Annotated[int | None, typer.Option(help="most labels to judge (default: all)", min=1)] = None,
    controls: Annotated[int, typer.Option(help="labels that are judged with a planted error as well", min=0)] = 20,
    full_window: Annotated[bool, typer.Option("--full-window", help="stage 2 sees the history too")] = False,
    with_motion: Annotated[bool, typer.Option("--with-motion", help="stage 2 is told ego's measured motion")] = False,
    force: Annotated[bool, typer.Option("--force", help="let a model judge its own labels")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be sent where; send nothing")] = False,
    shard: Annotated[str, typer.Option(help="do the I-th of N parts, I/N")] = "0/1",
    out: Annotated[str | None, typer.Option(help="folder (default: RUN_DIR/validation/<judge>)")] = None,
    changes: Annotated[list[str] | None, typer.Argument(help="key=value, how the judge is reached")] = None,
) -> None:
    """Have another model score the labels of an experiment, and find out whether its scores mean anything."""
    from batch_runs.shards import parse_shard
    from coc_labeling.judge.run import ValidationRequest
    from coc_labeling.judge.stages import parse_stages
    from coc_toolkit.controls import parse_changes
    from coc_toolkit.validation import run_validation

    def judge() -> int:
        request = ValidationRequest(
            run_dir,
            model_name,
            parse_stages(stages),
            sample,
            controls,
            full_window,
            with_motion,
            force,
            out,
            parse_shard(shard),
            parse_changes(changes or []),
        )
        return run_validation(request, only_tell=dry_run)

    end(judge)


@app.command()
def check(
    run_dir: Annotated[str, typer.Argument(help="an experiment folder, or record files of another tool")],
    num_workers: Annotated[int, typer.Option("--num-workers", "--num_workers", help="most processes to use")] = 32,
    shard: Annotated[str, typer.Option(help="do the I-th of N parts, I/N")] = "0/1",
    strict: Annotated[bool, typer.Option("--strict", help="count rejected labels and abstentions as failed")] = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="fit the risks of a checked run to its reviews; nothing is measured")
    ] = False,
    reviews: Annotated[
        list[str] | None, typer.Option(help="another reviewed run to calibrate with; repeatable")
    ] = None,
    calibration: Annotated[
        str | None, typer.Option(help="a risk_calibration.json (default: RUN_DIR's own, where it has one)")
    ] = None,
    changes: Annotated[list[str] | None, typer.Argument(help="key=value, such as data.data_dir=...")] = None,
) -> None:
    """Compare labels with ego motion and obstacle tracks; each gets a risk and its reasons. Labels stay as they are."""
    from coc_toolkit.checking import run_checks

    if calibrate or reviews:
        from coc_toolkit.calibrating import run_calibration

        others = {"--calibration": calibration, "--shard": shard != "0/1", "key=value": changes}
        end(lambda: run_calibration(run_dir, reviews or [], calibrate=calibrate, others=others))
    end(lambda: run_checks(run_dir, changes or [], shard, num_workers, strict=strict, calibration=calibration))


@app.command()
def agree(
    side_a: Annotated[str, typer.Argument(help="RUN_DIR, RUN_DIR@people, or RUN_DIR@NAME for one reviewer")],
    side_b: Annotated[str, typer.Argument(help="another one with the same moments; people: those of A's run")],
    out: Annotated[str | None, typer.Option(help="JSON file for all that was measured")] = None,
    pairs: Annotated[str | None, typer.Option(help="CSV file with a row per pair")] = None,
    tolerance: Annotated[int, typer.Option(help="ticks of 0.1 s that keyframes may be apart", min=0)] = 0,
    examples: Annotated[int, typer.Option(help="most disagreements to show", min=0)] = 6,
    resamples: Annotated[int, typer.Option(help="of the bootstrap", min=100)] = 2000,
    seed: Annotated[int, typer.Option(help="of the bootstrap and of the examples", min=0)] = 0,
) -> None:
    """Compare labels of two runs, or of a run and people: agreement, Cohen's kappa, confusions, causes, examples."""
    from coc_labeling.agreement.comparing import CompareOptions
    from coc_toolkit.agree_command import run_agreement

    end(lambda: run_agreement(side_a, side_b, CompareOptions(tolerance, resamples, seed, examples), out, pairs))


@app.command()
def quality(
    run_dir: Annotated[str, typer.Argument(help="an experiment folder whose labels have been reviewed")],
    out: Annotated[str | None, typer.Option(help="JSON file for all that was measured")] = None,
) -> None:
    """Estimate how right the labels are that nobody has reviewed, from those reviewed at random; by decision."""
    from coc_toolkit.quality_command import run_quality

    end(lambda: run_quality(run_dir, out))


@app.command()
def merge(
    folders: Annotated[list[str], typer.Argument(help="results folders of Step 1, or experiment folders of Step 3")],
    out: Annotated[str | None, typer.Option(help="where the whole goes (default: the first folder)")] = None,
) -> None:
    """Join the shards of a run and name the missing ones."""
    from coc_toolkit.merging import merge_folders

    end(lambda: merge_folders(folders, out or folders[0]))


@app.command()
def report(
    run_dirs: Annotated[list[str], typer.Argument(help="experiment folders, or results folders of Step 1")],
    out: Annotated[str | None, typer.Option(help="the HTML file (default: report.html in the first folder)")] = None,
    sample: Annotated[int, typer.Option(help="how many clips to show in detail", min=0)] = 12,
) -> None:
    """Write one self-contained HTML page about a run."""
    from batch_runs.terminal import say
    from coc_labeling.report import build_report

    def write() -> int:
        say(f"report: {build_report(run_dirs, out, sample)}")
        return 0

    end(write)


@app.command()
def export(
    run_dir: Annotated[str, typer.Argument(help="an experiment folder; nothing in it changes")],
    format_name: Annotated[
        str,
        typer.Option("--format", help="jsonl, csv, reasoning-parquet, sft-chat, hf, webdataset or label-studio"),
    ],
    out: Annotated[str, typer.Option(help="folder of the dataset; an earlier export there is replaced")],
    only: Annotated[str, typer.Option(help="all, reviewed or accepted")] = "all",
    text: Annotated[str, typer.Option(help="the training text: sentence or trace")] = "sentence",
    max_risk: Annotated[float | None, typer.Option("--max-risk", help="leave out labels of a higher risk")] = None,
    status: Annotated[str | None, typer.Option(help="take these check statuses only, such as low,medium")] = None,
    splits: Annotated[str, typer.Option(help="names and shares")] = "sft=0.8,rl=0.1,evaluation=0.1",
    seed: Annotated[int, typer.Option(help="another seed, other splits")] = 0,
    group_by: Annotated[str, typer.Option("--group-by", help="what stays in one split: drive or clip")] = "drive",
    balance: Annotated[str, typer.Option(help="decision: fewer labels of frequent decisions; none: all")] = "none",
    components: Annotated[
        str | None,
        typer.Option(
            help="of sft-chat: some of image,traj_history,prompt,cot,meta_action,traj_future (default: all but "
            "meta_action)"
        ),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(
            help="of hf: pictures as bytes (default), paths or none; of webdataset: bytes or none; of label-studio: "
            "paths or none"
        ),
    ] = None,
    cameras: Annotated[str | None, typer.Option(help="whose frames, joined by commas (default: the run's)")] = None,
    times: Annotated[
        str | None,
        typer.Option(help="of frames, s from the keyframe, such as -0.2,-0.1,0 (default: the run's history)"),
    ] = None,
    data_dir: Annotated[
        str | None, typer.Option("--data_dir", help="where the dataset is now, if it has moved")
    ] = None,
    video_dir: Annotated[str | None, typer.Option("--video_dir", help="where the videos are now")] = None,
    num_workers: Annotated[int, typer.Option("--num_workers", help="most processes to use")] = 8,
) -> None:
    """Write a run's labels as a dataset with splits, provenance and a card; one that was killed goes on."""
    from coc_toolkit.export_command import ExportOptions, run_export

    options = ExportOptions(
        format_name, only, text, max_risk, status, splits, seed, group_by, balance, components, images, cameras, times
    )
    end(lambda: run_export(run_dir, out, options, data_dir, video_dir, num_workers))


@app.command("export-rerun")
def export_rerun(
    run_dir: Annotated[str, typer.Argument(help="an experiment folder")],
    out: Annotated[str, typer.Option(help="folder to write <clip_id>.rrd to")],
    data_dir: Annotated[
        str | None, typer.Option("--data_dir", help="where the dataset is now, if it has moved")
    ] = None,
    video_dir: Annotated[str | None, typer.Option("--video_dir", help="where the videos are now")] = None,
    scene_list: Annotated[str | None, typer.Option("--scene_list", help="text file, one clip id per line")] = None,
    num_workers: Annotated[int, typer.Option("--num_workers", help="most processes to use")] = 8,
) -> None:
    """Write a recording of each clip for the Rerun viewer: path, boxes, video, curves, meta-actions and labels."""
    from coc_labeling.export.rerun import RerunRequest
    from coc_toolkit.exporting import run_rerun_export

    end(lambda: run_rerun_export(RerunRequest(run_dir, out, data_dir, video_dir, scene_list, num_workers)))


app.add_typer(review, name="review")


@app.command()
def doctor() -> None:
    """Say what is installed, which extras and credentials are there, and what each would enable."""
    from coc_toolkit.doctor import examine

    findings = examine()
    section = ""
    for finding in findings:
        if finding.section != section:
            section = finding.section
            typer.echo(f"\n{section}")
        mark = {True: "ok  ", False: "BAD ", None: "-   "}[finding.ok]
        typer.echo(f"  {mark}{finding.text}")
    raise typer.Exit(1 if any(finding.ok is False for finding in findings) else 0)


def main() -> None:
    """Run the command."""
    sys.exit(app())
