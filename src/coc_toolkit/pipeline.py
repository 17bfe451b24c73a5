"""All steps in a row: clips -> meta-actions -> keyframes -> labels -> checks -> report."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from batch_runs.clip_lists import read_clip_list
from batch_runs.shards import Shard, parse_shard
from batch_runs.terminal import say
from coc_labeling.checks.risk import Status
from coc_labeling.checks.run import CheckRun, check_run
from coc_labeling.config.loading import load_config
from coc_labeling.config.schema import RunConfig
from coc_labeling.data_labeling import exit_code, tell
from coc_labeling.errors import CocLabelingError
from coc_labeling.keyframes import SAMPLED_FILE, KeyframeRules, select_keyframes, write_keyframes
from coc_labeling.report import build_report
from coc_labeling.run import check, label_run
from driving_clips import files
from meta_action.names import ALL_EGO, BY_NAME, parse_names
from meta_action.reading import read_spans
from meta_action.results import ResultsFolder
from meta_action.run import LabelRequest, label_dataset

EXP_PREFIX = "coc_run"


@dataclass(frozen=True)
class PipelineRequest:
    """What ``coc run`` is asked for; ``overrides`` go to Step 3 as they are."""

    dataset: str
    data_dir: str
    out: str
    model_name: str = "rules"
    scene_list: str | None = None
    num_workers: int = 32
    shard: str = "0/1"
    strict: bool = False
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class PipelineResult:
    """Where things are, and how it went."""

    run_dir: str
    meta_action_dir: str
    exit_code: int


def run_pipeline(request: PipelineRequest) -> PipelineResult:
    """Run Steps 1 to 4; running it again goes on where it stopped.

    Raises:
        DatasetError, MetaActionError, CocLabelingError: nothing can be done as asked.
    """
    names = parse_names([ALL_EGO])
    folder = ResultsFolder(files.join(request.out, "meta_actions"), names, parse_shard(request.shard))
    keyframe_dir = files.join(request.out, f"keyframes{folder.shard.suffix}")
    config = _step_3(request, folder.final_dir, files.join(keyframe_dir, SAMPLED_FILE))
    check(config)

    say(f"Step 1: meta-actions of {request.dataset}")
    tally, notices = label_dataset(
        LabelRequest(
            dataset_name=request.dataset,
            data_dir=request.data_dir,
            save_dir=folder.save_dir,
            names=names,
            cache_dir=files.join(request.out, "cache"),
            scene_list=request.scene_list,
            num_workers=request.num_workers,
            shard=folder.shard,
        )
    )
    say(*(f"note: {notice}" for notice in notices), *tally.lines("clips"))
    codes = [tally.exit_code(strict=request.strict)]

    say("Step 2: keyframes")
    spans = _asked_for(read_spans(folder.final_dir, folder.shard), request, folder.shard)
    keyframes = select_keyframes(spans, KeyframeRules(actions=tuple(BY_NAME)))
    write_keyframes(keyframes, KeyframeRules.target_count, files.make_dir(keyframe_dir))
    say(f"{sum(len(own) for own in keyframes)} keyframes")

    say(f"Step 3: labels by {config.model_name}")
    result = label_run(config)
    say(*tell(result))
    codes.append(exit_code(result, strict=request.strict))
    if not result.interrupted:
        say("Step 4: checks")
        checked = check_run(result.folder.path, shard=folder.shard, num_workers=request.num_workers, resume=True)
        say(*_tell_checks(checked))
        codes.append(checked.tally.exit_code(strict=request.strict))
    return PipelineResult(result.folder.path, folder.final_dir, max(codes))


def _tell_checks(run: CheckRun) -> list[str]:
    """Return what is said of the checks; ``coc check`` and the report say more."""
    counts = ", ".join(f"{run.totals.status[status]} {status}" for status in Status if run.totals.status[status])
    lines = [f"note: {notice}" for notice in run.notices] + run.tally.lines("labels")
    lines += [f"by risk: {counts}"] if counts else []
    if problems := run.totals.track_problems:
        lines.append(f"tracks of {len(problems)} clips have problems: see the report")
    return lines


def run_and_report(request: PipelineRequest) -> PipelineResult:
    """Run the pipeline and write the report into its ``out`` folder."""
    result = run_pipeline(request)
    name = f"report{parse_shard(request.shard).suffix}.html"
    report = build_report([result.run_dir], files.join(request.out, name))
    say(f"labels: {result.run_dir}", f"report: {report}")
    return result


def _asked_for(spans: pa.Table, request: PipelineRequest, shard: Shard) -> pa.Table:
    """Return the spans of the clips of this run: the folder may hold others of earlier ones."""
    if request.scene_list:
        listed = pa.array(sorted(read_clip_list(request.scene_list).ids), pa.string())
        spans = spans.filter(pc.is_in(spans.column("clip_id"), listed))
    if shard.count > 1:
        own = [clip_id for clip_id in pc.unique(spans.column("clip_id")).to_pylist() if clip_id in shard]
        spans = spans.filter(pc.is_in(spans.column("clip_id"), pa.array(own, pa.string())))
    return spans


def _step_3(request: PipelineRequest, meta_action_dir: str, keyframe_file: str) -> RunConfig:
    output_root = files.join(request.out, "experiments")
    # A shard has a folder of its own: others may be running, on this machine or another.
    exp_name = f"{EXP_PREFIX}_{request.model_name}{parse_shard(request.shard).suffix}"
    earlier = [name for name in files.list_folders(output_root) if name.endswith(f"_{exp_name}")]
    taken = [o for o in request.overrides if o.split("=", 1)[0] in ("exp_name", "resume_exp_dir", "output_root")]
    if taken:
        raise CocLabelingError(
            f"{' '.join(taken)}: coc run keeps its own experiments below --out. Choose another --out, or run the steps "
            "one by one."
        )
    settings = {
        "model_name": request.model_name,
        "exp_name": exp_name,
        "resume_exp_dir": files.absolute(files.join(output_root, earlier[-1])) if earlier else None,
        "output_root": output_root,
        "num_workers": request.num_workers,
        "shard": request.shard,
        "strict": request.strict,
        "data.dataset_name": request.dataset,
        "data.data_dir": files.absolute(request.data_dir),
        "data.cache_dir": files.absolute(files.join(request.out, "cache")),
        "data.meta_action_dir": files.absolute(meta_action_dir),
        "data.segment_config_path": files.absolute(keyframe_file),
        "data_loader.video.segment_video_output_dir": files.absolute(files.join(request.out, "video_segment")),
    }
    return load_config("base_config_vlm_rel_ts", request.overrides, settings=settings)
