"""Command ``coc``: every step as a subcommand."""

import sys
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer

from coc_toolkit.default_command import DEFAULT, DefaultCommand, DefaultGroup

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

    _end(lambda: run_demo(data, out))


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

    _end(choose)


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
    _end(lambda: run_and_report(request).exit_code)


@app.command()
def infer(
    checkpoint: Annotated[str, typer.Option(help="folder of the reasoning model")],
    data_dir: Annotated[str, typer.Option("--data_dir", help="the dataset's root folder")],
    out: Annotated[str, typer.Option(help="folder for predictions; the same command again goes on there")],
    dataset: Annotated[str, typer.Option(help="pai, comma2k19, boreas or table")] = "pai",
    scene_list: Annotated[str | None, typer.Option("--scene_list", help="text file, one clip id per line")] = None,
    keyframes: Annotated[str | None, typer.Option(help="the moments of Step 2: its folder, or a file of it")] = None,
    t0_us: Annotated[
        list[int] | None, typer.Option("--t0_us", help="this moment of every clip (default: 5100000); repeatable")
    ] = None,
    every: Annotated[float | None, typer.Option(help="a moment every so many seconds of each clip")] = None,
    num_traj_samples: Annotated[int, typer.Option("--num_traj_samples", help="trajectories of a set")] = 6,
    num_traj_sets: Annotated[int, typer.Option("--num_traj_sets", help="sets of trajectories")] = 1,
    top_p: Annotated[float, typer.Option("--top_p", help="nucleus sampling: share of probability to draw from")] = 0.98,
    top_k: Annotated[int | None, typer.Option("--top_k", help="most tokens to draw from (default: no limit)")] = None,
    temperature: Annotated[float, typer.Option(help="lower: likelier words")] = 0.6,
    max_generation_length: Annotated[
        int, typer.Option("--max_generation_length", help="tokens of the reasoning and its special tokens")
    ] = 256,
    batch_size: Annotated[int, typer.Option("--batch_size", help="scenes at once")] = 1,
    seed: Annotated[int, typer.Option(help="of all drawing")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto (the checkpoint's), bfloat16 or float32")] = "auto",
    attn_implementation: Annotated[
        str, typer.Option("--attn_implementation", help="auto, sdpa, eager or flash_attention_2")
    ] = "auto",
    cameras: Annotated[str | None, typer.Option(help="joined by commas (default: the released model's four)")] = None,
    pictures: Annotated[int, typer.Option(help="most pictures to draw", min=0)] = 100,
    shard: Annotated[str, typer.Option(help="do the I-th of N parts, I/N")] = "0/1",
) -> None:
    """Let the reasoning model say what it sees and where it would drive: a line of JSON and a picture per moment."""
    from coc_toolkit.infer_command import InferOptions, request_of, run_inference

    options = InferOptions(
        num_traj_samples,
        num_traj_sets,
        top_p,
        top_k,
        temperature,
        max_generation_length,
        batch_size,
        seed,
        device,
        dtype,
        attn_implementation,
        cameras,
        pictures,
        shard,
    )
    _end(
        lambda: run_inference(
            request_of(checkpoint, dataset, data_dir, out, scene_list, (keyframes, t0_us or [], every), options)
        )
    )


@app.command()
def evaluate(
    predictions: Annotated[
        list[str], typer.Argument(help="predictions.jsonl, or a folder of coc infer; further ones are compared")
    ],
    labels: Annotated[
        str | None, typer.Option(help="an experiment folder whose labels the sentences are compared with")
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="folder for tables and page (default: evaluation beside the predictions)")
    ] = None,
) -> None:
    """Measure predictions: distance, comfort, sentences against labels and trajectories; compare models."""
    from coc_toolkit.evaluate_command import run_evaluation

    _end(lambda: run_evaluation(predictions, labels, out))


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

    _end(lambda: print_requests(record, data_dir, video_dir, full=full))


@app.command("negative-control")
def negative_control(
    run_dir: Annotated[str, typer.Argument(help="an experiment of TwoStageCoCAgent")],
    sample: Annotated[int, typer.Option(help="most windows to ask about", min=2)] = 200,
    changes: Annotated[list[str] | None, typer.Argument(help="key=value, where the configuration has changed")] = None,
) -> None:
    """Ask stage 2 again with another clip's components; exit code 1 unless most causes are then unobserved."""
    from coc_toolkit.controls import run_control

    _end(lambda: run_control(run_dir, sample, changes or []))


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

    _end(judge)


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
        _end(lambda: run_calibration(run_dir, reviews or [], calibrate=calibrate, others=others))
    _end(lambda: run_checks(run_dir, changes or [], shard, num_workers, strict=strict, calibration=calibration))


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

    _end(lambda: run_agreement(side_a, side_b, CompareOptions(tolerance, resamples, seed, examples), out, pairs))


@app.command()
def quality(
    run_dir: Annotated[str, typer.Argument(help="an experiment folder whose labels have been reviewed")],
    out: Annotated[str | None, typer.Option(help="JSON file for all that was measured")] = None,
) -> None:
    """Estimate how right the labels are that nobody has reviewed, from those reviewed at random; by decision."""
    from coc_toolkit.quality_command import run_quality

    _end(lambda: run_quality(run_dir, out))


@app.command()
def merge(
    folders: Annotated[list[str], typer.Argument(help="results folders of Step 1, or experiment folders of Step 3")],
    out: Annotated[str | None, typer.Option(help="where the whole goes (default: the first folder)")] = None,
) -> None:
    """Join the shards of a run and name the missing ones."""
    from coc_toolkit.merging import merge_folders

    _end(lambda: merge_folders(folders, out or folders[0]))


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

    _end(write)


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
    _end(lambda: run_export(run_dir, out, options, data_dir, video_dir, num_workers))


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

    _end(lambda: run_rerun_export(RerunRequest(run_dir, out, data_dir, video_dir, scene_list, num_workers)))


review = typer.Typer(cls=DefaultGroup, help="Review labels in the browser; `backup` copies what has been decided.")
app.add_typer(review, name="review")


@review.command(
    DEFAULT, cls=DefaultCommand, epilog="`coc review backup RUN_DIR TARGET` copies what has been decided into one file."
)
def review_serve(
    run_dir: Annotated[str, typer.Argument(help="an experiment folder; its labels are never changed")],
    reviewer: Annotated[list[str] | None, typer.Option(help="somebody who reviews; repeatable")] = None,
    auditor: Annotated[list[str] | None, typer.Option(help="somebody who re-checks a share; repeatable")] = None,
    admin: Annotated[list[str] | None, typer.Option(help="somebody who sees all and assigns; repeatable")] = None,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 for any that is free", min=0, max=65535)] = 8321,
    allow_host: Annotated[
        list[str] | None, typer.Option("--allow-host", help="another name of this server, as a proxy's; repeatable")
    ] = None,
    data_dir: Annotated[
        str | None, typer.Option("--data_dir", help="where the dataset is now, if it has moved")
    ] = None,
    video_dir: Annotated[str | None, typer.Option("--video_dir", help="where the videos are now")] = None,
    camera: Annotated[str | None, typer.Option(help="whose video is shown (default: the run's first)")] = None,
    dataset_name: Annotated[
        str | None, typer.Option("--dataset_name", help="of records of another tool: pai, comma2k19, boreas or table")
    ] = None,
    cache_dir: Annotated[
        str | None, typer.Option("--cache_dir", help="keeps videos for the browser (default: the user's cache folder)")
    ] = None,
    gold: Annotated[
        str | None, typer.Option(help="a run known to be right, to plant from (default: what two people accepted)")
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", help="labels of a batch", min=1)] = 50,
    random_share: Annotated[float, typer.Option("--random-share", help="of a batch, drawn uniformly from all")] = 0.1,
    second_share: Annotated[
        float | None,
        typer.Option("--second-share", help="given blind to a second reviewer (default: 0.1 if there is one)"),
    ] = None,
    audit_share: Annotated[
        float | None, typer.Option("--audit-share", help="given to an auditor (default: 0.05 if there is one)")
    ] = None,
    planted_share: Annotated[float, typer.Option("--planted-share", help="labels with a known answer, on top")] = 0.04,
    blank_share: Annotated[float, typer.Option("--blank-share", help="whose components are listed from nothing")] = 0.1,
    seed: Annotated[int, typer.Option(help="another one draws other labels", min=0)] = 0,
) -> None:
    """Review labels in the browser: starts a server on this machine and prints a link for each person."""
    from coc_labeling.review.batches.planning import QueueSettings
    from coc_toolkit.review_command import Address, People, Places, ReviewRequest, serve

    def start() -> int:
        people = People(tuple(reviewer or ()), tuple(auditor or ()), tuple(admin or ()))
        address = Address(host, port, tuple(allow_host or ()))
        settings = QueueSettings(
            batch_size, random_share, planted_share=planted_share, blank_share=blank_share, seed=seed
        )
        places = Places(data_dir, video_dir, camera, dataset_name, cache_dir)
        return serve(ReviewRequest(run_dir, people, address, settings, second_share, audit_share, gold, places))

    _end(start)


@review.command("backup")
def review_backup(
    run_dir: Annotated[str, typer.Argument(help="an experiment folder with reviews")],
    target: Annotated[str, typer.Argument(help="file that does not exist yet")],
) -> None:
    """Copy what has been decided into one file, while people go on working."""
    from coc_toolkit.review_command import run_backup

    _end(lambda: run_backup(run_dir, target))


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


def _end(command: Callable[[], int]) -> NoReturn:
    """Run a command and leave with its exit code."""
    from batch_runs.terminal import run_command
    from coc_labeling.errors import CocLabelingError
    from driving_clips.errors import DatasetError
    from meta_action.errors import MetaActionError

    raise typer.Exit(run_command(command, DatasetError, MetaActionError, CocLabelingError))


def main() -> None:
    """Run the command."""
    sys.exit(app())
