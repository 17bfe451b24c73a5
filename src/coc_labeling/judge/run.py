"""``coc validate``: the labels of an experiment scored by a model, another than the one that made them."""

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from batch_runs.outcomes import ALREADY_DONE, DONE, FAILED, REJECTED, Tally, write_summary
from batch_runs.shards import WHOLE, Shard
from coc_labeling.budget import Budget
from coc_labeling.config.schema import RunConfig
from coc_labeling.dry_run import Plan, spread, would_send
from coc_labeling.errors import CocLabelingError
from coc_labeling.events import EventLog
from coc_labeling.inputs import open_loader, spent_lines
from coc_labeling.judge.controls import Telling
from coc_labeling.judge.judging import Evaluator, Judging, asked_of, item_of_due
from coc_labeling.judge.labellers import Model, labellers, own_judge
from coc_labeling.judge.questions import Pending, Views, WindowJudge, question_hash
from coc_labeling.judge.results import (
    CONTROLS,
    EVALUATIONS,
    JudgeFolder,
    RowWriter,
    refuse_experiment,
    remember_config,
)
from coc_labeling.judge.rows import Kind, Rows
from coc_labeling.judge.selection import Labels, Selection, labels_of, select
from coc_labeling.judge.settings import judge_config, segment_folder
from coc_labeling.judge.stages import Stage
from coc_labeling.judge.summary import informative, joined, statistics_of
from coc_labeling.model_clients.vlm_wrappers.cloud import COMPATIBLE
from coc_labeling.model_clients.vlm_wrappers.common import BaseWrapper
from coc_labeling.model_engine import INTERRUPTED
from coc_labeling.model_run import VLLM_LOG, make_asker, make_preparer, make_run, open_model, price_of, summary_of
from coc_labeling.preparation import ClipPreparer
from coc_labeling.prompts.window_text import MotionText
from coc_labeling.results import SUMMARY
from coc_labeling.schema import Usage
from coc_labeling.windows import Sampling
from coc_labeling.work import item_of, tasks_of
from driving_clips import files
from driving_clips.datasets.base import SourceGroup
from driving_clips.trajectories import TrajectoryLoader, find_groups
from meta_action.reading import read_spans
from meta_action.timeline import Timeline
from meta_action.timeline_table import TimelineTable

FOLDER = "validation"
CONTROL_LABELS = 20
EVENTS = "events.jsonl"


@dataclass(frozen=True)
class ValidationRequest:
    """What ``coc validate`` is asked for.

    Attributes:
        run_dir: the experiment whose labels are judged; nothing in it is changed.
        model_name: who judges.
        stages: what is judged.
        sample: most labels, spread evenly; None for all.
        controls: how many of them are judged with a planted error as well, and retold without it.
        full_window: the second stage sees the whole window.
        with_motion: the second stage is told ego's measured motion.
        force: the judge may be the model that made the labels.
        out: the folder that is written to, None for ``<run_dir>/validation/<judge>``.
        shard: the part of the clips that is judged.
        changes: of the experiment's configuration, by dotted key.
    """

    run_dir: str
    model_name: str
    stages: tuple[Stage, ...] = tuple(Stage)
    sample: int | None = None
    controls: int = CONTROL_LABELS
    full_window: bool = False
    with_motion: bool = False
    force: bool = False
    out: str | None = None
    shard: Shard = WHOLE
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class ValidationResult:
    """Where the rows are, what became of the questions, and the content of ``validation.json`` without its labels."""

    folder: JudgeFolder
    tally: Tally = field(default_factory=Tally)
    notices: list[str] = field(default_factory=list)
    stopped: str | None = None
    interrupted: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    final: dict[str, Any] = field(default_factory=dict)

    def spent_lines(self) -> list[str]:
        """Return what the run cost and what left the machine, as text."""
        return spent_lines(self.extra)


@dataclass(frozen=True)
class _Setting:
    """A validation as far as it can be put together before anything is asked or written."""

    request: ValidationRequest
    config: RunConfig
    model: Any
    judge: Model
    models: tuple[Model, ...]
    self_judged: bool
    views: Views
    labels: Labels
    selection: Selection
    folder: JudgeFolder

    @property
    def hashes(self) -> dict[Stage, str]:
        """How each stage is asked."""
        return {stage: question_hash(self.config, self.views, stage) for stage in Stage}

    def rows(self) -> Rows:
        """Read what is there already."""
        found = Rows(self.hashes, self.labels.numbers, self.labels.hash_of)
        self.folder.read_into(found)
        return found

    @property
    def max_tokens(self) -> int:
        """Of an answer."""
        return self.config.vlm_agent.max_tokens


def validate(request: ValidationRequest) -> ValidationResult:
    """Judge the labels of an experiment; rows that are there already are kept, and only what is missing is asked.

    Raises:
        CocLabelingError, DatasetError, MetaActionError: nothing can be judged as asked.
    """
    setting = _set_up(request)
    refuse_experiment(setting.folder.path)
    result = ValidationResult(setting.folder, notices=_notices(setting))
    with setting.folder.opened() as writer:
        remember_config(setting.folder, _kept_config(setting))
        due, earlier = _begin(setting, result)
        try:
            _judge(setting, due, earlier, writer, result)
        except Exception as error:
            result.stopped = result.stopped or f"error: {error}"
            raise
        finally:
            _finish(setting, result)
    return result


def _begin(setting: _Setting, result: ValidationResult) -> tuple[list[Pending], Usage]:
    """Return what is to be asked and what this shard's rows have cost; what is finished is counted."""
    rows = setting.rows()
    if rows.torn:
        result.notices.append(f"{rows.torn} lines were half written; their questions are asked again")
    _count_unreadable(setting, result.tally)
    due = _without_finished(setting, rows, result.tally)
    return due, rows.spent(*(setting.folder.file(f"{name}.jsonl") for name in (EVALUATIONS, CONTROLS)))


def dry_run(request: ValidationRequest) -> list[str]:
    """Return, as lines, what a validation would send where and about what it would cost; nothing is sent or written.

    Raises:
        CocLabelingError, DatasetError, MetaActionError: it could not run at all.
    """
    setting = _set_up(request)
    due = _without_finished(setting, setting.rows(), Tally())
    questions = sum(len(moment.due) for moment in due)
    controls = sum(any(one.telling is not Telling.LABEL for one in moment.due) for moment in due)
    lines = [f"note: {notice}" for notice in _notices(setting)]
    lines.append(
        f"dry run: nothing is sent. {len(setting.labels)} labels, {len(due)} to judge in {questions} questions "
        f"at most, {controls} of them as controls as well"
    )
    sampled = spread(due)
    loader, groups, timelines = _inputs(setting, sampled)
    tasks = setting.labels.with_labels(tasks_of(groups, sampled, timelines, loader.dataset))
    plan = Plan(_preparer(setting, loader, sampled), tasks, len(sampled), len(due))
    sent = would_send(setting.config, setting.model, plan, lambda question: asked_of(question, setting.max_tokens))
    return [*lines, *sent]


def _set_up(request: ValidationRequest) -> _Setting:
    labels = labels_of(request.run_dir)
    config = judge_config(request.run_dir, request.model_name, request.changes)
    model = open_model(config)
    judge = Model(config.model_name, str(getattr(model, "model_id", "")))
    models = tuple(labellers(request.run_dir, labels.table))
    own = own_judge(judge, models)
    if own is not None and not request.force:
        raise CocLabelingError(
            f"the judge {judge} is the model that made the labels, {own}: a model finds its own mistakes hard to see. "
            "Choose another --model-name, or --force it; the results then say self_judged."
        )
    video = config.data_loader.video
    views = Views(
        request.stages,
        Sampling(video.hist_length_sec, video.fut_length_sec, video.time_interval),
        request.full_window,
        MotionText.of(config.data_loader) if request.with_motion else None,
    )
    selection = select(labels, request.stages, request.sample, request.controls, request.shard)
    path = request.out or files.join(request.run_dir, FOLDER, _folder_name(config))
    folder = JudgeFolder(path, request.shard)
    return _Setting(request, config, model, judge, models, own is not None, views, labels, selection, folder)


def judge_name(config: RunConfig) -> str:
    """Return what people call the judge: of ``openai_compatible`` its server's name of the model."""
    compatible = config.openai_compatible.model if config.model_name == COMPATIBLE else None
    return compatible or config.model_name


def _folder_name(config: RunConfig) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", judge_name(config)).lstrip(".")[:100] or "judge"


def _notices(setting: _Setting) -> list[str]:
    notices = []
    abstentions = setting.labels.abstentions + setting.selection.abstentions
    if abstentions:
        notices.append(f"{abstentions} records are abstentions: there is nothing to judge in them")
    if not setting.models:
        notices.append("the labels do not say which model made them: whether the judge is another one is not known")
    if setting.self_judged:
        notices.append("the judge is the model that made the labels: the results say self_judged")
    return notices


def _kept_config(setting: _Setting) -> dict[str, Any]:
    request = setting.request
    asked = {
        "run_dir": request.run_dir,
        "stages": [int(stage) for stage in request.stages],
        "sample": request.sample,
        "controls": request.controls,
        "full_window": request.full_window,
        "with_motion": request.with_motion,
        "self_judged": setting.self_judged,
        "question_hashes": {stage.title: setting.hashes[stage] for stage in request.stages},
    }
    return setting.config.model_dump(mode="json") | {"validation": asked}


def _count_unreadable(setting: _Setting, tally: Tally) -> None:
    for item, why in setting.selection.unreadable.items():
        tally.add(FAILED, "unreadable_record", item, why)


def _without_finished(setting: _Setting, rows: Rows, tally: Tally) -> list[Pending]:
    """Return the labels with the questions that have no answer yet; the others are counted as already done."""
    left = []
    for moment in setting.selection.pending:
        due = []
        for one in moment.due:
            item = item_of_due(moment.clip_id, moment.t_us, one)
            match rows.kind(moment.number, one):
                case Kind.EVALUATED:
                    tally.add(DONE, ALREADY_DONE, item)
                case Kind.SKIPPED:
                    reason, _, detail = rows.skipped(moment.number, one).partition(": ")
                    tally.add(REJECTED, reason, item, detail)
                case _:
                    due.append(one)
        if due:
            left.append(moment if len(due) == len(moment.due) else replace(moment, due=tuple(due)))
    return left


def _inputs(
    setting: _Setting, due: Sequence[Pending]
) -> tuple[TrajectoryLoader, list[SourceGroup], Mapping[str, Timeline]]:
    loader = open_loader(setting.config)
    dataset = loader.dataset
    clips = frozenset(moment.clip_id for moment in due)
    groups = find_groups(dataset.discover().groups, clips, cuts_recordings=dataset.cuts_recordings)
    if not setting.request.with_motion:
        return loader, groups, {}
    spans = read_spans(str(setting.config.data.meta_action_dir), setting.request.shard)
    return loader, groups, TimelineTable(spans)


def _preparer(setting: _Setting, loader: TrajectoryLoader, due: Sequence[Pending]) -> ClipPreparer:
    config = setting.config
    video = config.data_loader.video
    needs_frames = bool(getattr(setting.model, "needs_frames", True))
    judge = WindowJudge(
        setting.views,
        cameras=tuple(video.cameras),
        segments=segment_folder(setting.request.run_dir),
        needs_frames=needs_frames,
        needs_tracks=any(one.telling is not Telling.LABEL for moment in due for one in moment.due),
    )
    preparer = make_preparer(config, judge, setting.model, loader)
    footage = replace(preparer.footage, parted=True, sampling=setting.views.sampling)
    return replace(preparer, agent=replace(judge, finder=footage.finder), footage=footage)


def _judge(setting: _Setting, due: list[Pending], earlier: Usage, writer: RowWriter, result: ValidationResult) -> None:
    """Ask what is due; fills ``result``."""
    config, folder, model = setting.config, setting.folder, setting.model
    budget = Budget(price_of(config), config.max_total_tokens, config.max_cost_usd, earlier=earlier)
    with contextlib.closing(EventLog(folder.file(EVENTS) if config.log_json else None)) as events:
        asker = make_asker(config, model, budget, events)
        loader, groups, timelines = _inputs(setting, due)
        backend = str(model.describe()["provider"]) if isinstance(model, BaseWrapper) else type(model).__name__
        work = Judging(
            Evaluator(judge_name(config), backend, setting.hashes, setting.max_tokens),
            folder.path,
            writer,
            setting.labels,
            {item_of(moment.clip_id, moment.t_us): moment for moment in due},
        )
        questions = sum(len(moment.due) for moment in due)
        run = make_run(
            config, model, work, _preparer(setting, loader, due), asker, result.tally, questions, "judgements"
        )
        if isinstance(model, BaseWrapper):
            model.log_path = folder.file(VLLM_LOG)
        try:
            tasks = setting.labels.with_labels(tasks_of(groups, due, timelines, loader.dataset))
            stop = run.ask(tasks) if due else run.stop
            result.stopped = None if stop.reason is None else f"{stop.reason}: {stop.detail}"
            result.interrupted = stop.reason == INTERRUPTED
            _count_unread(work, due, result, loader.dataset.data_dir)
        finally:
            result.extra = summary_of(run, model)


def _count_unread(work: Judging, due: Sequence[Pending], result: ValidationResult, data_dir: str) -> None:
    """Count the questions that nothing came of: no source held their clip, or the run stopped before them."""
    reason, message = "unknown_clip", f"no clip of this id in {data_dir}."
    if result.stopped is not None:
        reason, message = "not_reached", f"the run stopped before it ({result.stopped.partition(':')[0]})."
    for moment in due:
        for one in moment.due:
            if not work.is_counted(moment, one):
                result.tally.add(FAILED, reason, item_of_due(moment.clip_id, moment.t_us, one), message)


def _finish(setting: _Setting, result: ValidationResult) -> None:
    """Write ``validation.json`` from all rows there are, and the summary of this run."""
    rows = setting.rows()
    result.final = _final(setting, rows)
    setting.folder.write_final(result.final, joined(rows))
    write_summary(
        setting.folder.file(SUMMARY),
        "coc validate",
        _kept_config(setting),
        result.tally,
        unit="judgements",
        stopped=result.stopped,
        **result.extra,
        notices=result.notices,
        judge=result.final["judge"],
    )


def _final(setting: _Setting, rows: Rows) -> dict[str, Any]:
    ids = rows.model_ids
    self_judged = setting.self_judged or any(
        Model(setting.judge.name, model_id).is_same(model) for model_id in ids for model in setting.models
    )
    spent = rows.spent()
    price = price_of(setting.config)
    views = setting.views
    return {
        "run": setting.request.run_dir,
        "labellers": [{"name": model.name, "model_id": model.model_id} for model in setting.models],
        "judge": {
            "name": judge_name(setting.config),
            "model_ids": ids,
            "self_judged": self_judged,
            **informative(rows).as_dict(),
        },
        "window": {
            "history_sec": views.window.history_sec,
            "future_sec": views.window.future_sec,
            "interval_sec": views.window.interval_sec,
            "full_window": views.full_window,
            "with_motion": views.motion is not None,
        },
        "summary": statistics_of(rows)
        | {
            "outdated_rows": rows.outdated,
            "tokens": spent.model_dump(),
            "cost_usd": Budget(price).cost_of(spent),
        },
    }
