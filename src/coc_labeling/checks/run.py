"""Checking a whole run: labels and drives in, a table and a JSON file per label out; labels stay as they are."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from batch_runs.outcomes import FAILED, Tally, write_summary
from batch_runs.parallel import WorkerDied, map_ordered, useful_workers
from batch_runs.progress import progress
from batch_runs.shards import WHOLE, Shard
from coc_labeling.checks import CHECKS_VERSION
from coc_labeling.checks.base import Verdict
from coc_labeling.checks.calibration import CALIBRATION, Calibration, RiskMap, calibration_of, read_calibration
from coc_labeling.checks.checking import CheckedLabel
from coc_labeling.checks.finished import fingerprint, finished
from coc_labeling.checks.inputs import Drives, Unread, config_of, of_shard, open_drives, read_labels_of, rows_by_clip
from coc_labeling.checks.repeats import Repeats, count_repeats
from coc_labeling.checks.results import (
    CHECK_SUMMARY,
    CHECKS_TABLE,
    ChecksWriter,
    checks_writer,
    histogram,
    remove_whole,
    table_path,
    with_precision,
)
from coc_labeling.checks.risk import UNOBSERVED_RISK, Risk, Status
from coc_labeling.checks.work import CheckTask, GroupChecker, GroupChecks, Made, Totals, died
from coc_labeling.errors import CocLabelingError
from coc_labeling.keyframes import Keyframe
from coc_labeling.results import keyframe_of
from coc_labeling.work import GroupTask, item_of, tasks_of
from driving_clips import files
from driving_clips.datasets.base import is_legal_id
from driving_clips.errors import ClipFailedError

LABELS_PER_WORKER = 200  # fewer are checked sooner than another process starts
RISKIEST = 5
CLIPS_IN_SUMMARY = 1000


@dataclass
class CheckRun:
    """What came of checking a run.

    Attributes:
        run_dir: the experiment.
        shard: the part of its clips that was checked.
        tally: how each label was counted.
        totals: findings, statuses and risks.
        riskiest: risk, clip and keyframe, reasons; the riskiest first.
        notices: what the user should know.
        risk_map: what risks are calibrated with; None where they are not.
    """

    run_dir: str
    shard: Shard = WHOLE
    tally: Tally = field(default_factory=Tally)
    totals: Totals = field(default_factory=Totals)
    riskiest: list[tuple[float, str, list[str]]] = field(default_factory=list)
    notices: tuple[str, ...] = ()
    risk_map: RiskMap | None = None

    @property
    def table(self) -> str:
        """Where the rows are."""
        return table_path(self.run_dir, CHECKS_TABLE, self.shard)

    @property
    def summary(self) -> str:
        """Where the summary is."""
        return table_path(self.run_dir, CHECK_SUMMARY, self.shard)

    def take(self, result: GroupChecks, writer: ChecksWriter) -> None:
        """Add the checks of a group."""
        writer.add(result.rows)
        for outcome in result.outcomes:
            self.tally.add(*outcome)
        self.totals.join(result.totals)
        columns = (
            result.rows.column(name).to_pylist() for name in ("risk", "clip_id", "event_start_timestamp", "reasons")
        )
        found = ((risk, item_of(clip, t_us), reasons) for risk, clip, t_us, reasons in zip(*columns, strict=True))
        self.riskiest = heapq.nsmallest(RISKIEST, [*self.riskiest, *found], key=lambda row: (-row[0], row[1]))


def check_run(
    run_dir: str,
    changes: Mapping[str, Any] | None = None,
    *,
    shard: Shard = WHOLE,
    num_workers: int = 32,
    resume: bool = False,
    calibration: str | None = None,
) -> CheckRun:
    """Check all labels of a run, or of a shard of its clips; an earlier ``checks.parquet`` is replaced at the end.

    Args:
        run_dir: the experiment, or a folder of record files that another tool wrote.
        changes: of its configuration, by dotted key, such as where its data lie now.
        shard: the part of its clips to check.
        num_workers: most processes to use.
        resume: take over the checks of an earlier call where nothing that they rest on has changed.
        calibration: a file that risks are calibrated with; the run's own by default, where it has one.

    Raises:
        CocLabelingError, DatasetError, MetaActionError: nothing can be checked.
    """
    if not files.is_dir(run_dir):
        raise CocLabelingError(f"{run_dir}: no such folder. Expected an experiment folder of Step 3.")
    config = config_of(run_dir, changes or {})
    labels = read_labels_of(run_dir)
    repeats = count_repeats(labels.table)
    own = of_shard(labels, shard)
    drives = open_drives(config, own, shard)
    found = calibration_of(run_dir) if calibration is None else read_calibration(calibration)
    notices = drives.notices if found is None else (*drives.notices, *_about(found))
    run = CheckRun(run_dir, shard, notices=notices, risk_map=found.map if found is not None else None)
    mark = fingerprint(config, own, run_dir, drives)
    if resume and (earlier := finished(run.summary, run.table, mark, run.risk_map)) is not None:
        run.tally, run.totals = earlier
        return run
    unread = [one for one in labels.unread if one[1].partition("/")[0] in shard]
    window = config.data_loader.video
    checker = GroupChecker(drives.loader, run_dir, window.hist_length_sec, window.fut_length_sec, run.risk_map)
    with files.exclusive(files.join(run_dir, f".checks{shard.suffix}.lock")), checks_writer(run.table) as writer:
        _check_all(run, checker, own, drives, repeats, num_workers, writer)
        run.take(_unreadable(run, unread), writer)
    _summarise(run, config.model_dump(mode="json"), mark)
    if shard != WHOLE:
        remove_whole(run_dir)
    return run


def _check_all(
    run: CheckRun,
    checker: GroupChecker,
    labels: pa.Table,
    drives: Drives,
    repeats: Repeats,
    num_workers: int,
    writer: ChecksWriter,
) -> None:
    rows_of = rows_by_clip(labels)
    keyframes = [Keyframe(*moment) for moment in zip(*_moments(labels), strict=True)]
    tasks = tasks_of(drives.groups, keyframes, drives.timelines, drives.loader.dataset)
    workers = useful_workers(num_workers, min(len(drives.groups), 1 + len(labels) // LABELS_PER_WORKER))
    left = dict(rows_of)
    with progress("checks", len(labels), "labels") as advance:
        filled = (_filled(task, labels, rows_of, repeats) for task in tasks)
        for task, result in map_ordered(checker, filled, workers, CheckTask.by_source):
            if isinstance(result, WorkerDied):
                result = _lost(run, died(task))
            run.take(result, writer)
            for clip_id in task.task.keyframes:
                left.pop(clip_id, None)
            advance(result.rows.num_rows, result.rows.num_rows)
    unknown = ClipFailedError("unknown_clip", f"no clip of this id in {drives.loader.dataset.data_dir}.")
    for clip_id, place in left.items():
        run.take(_lost(run, ((clip_id, row, unknown) for row in labels.slice(*place).to_pylist())), writer)


def _moments(labels: pa.Table) -> Iterator[list]:
    return (labels.column(name).to_pylist() for name in ("clip_id", "event_start_timestamp"))


def _filled(task: GroupTask, labels: pa.Table, rows_of: Mapping[str, tuple[int, int]], repeats: Repeats) -> CheckTask:
    """Return a task with the rows of its labels, made only when it is due."""
    rows = {clip_id: labels.slice(*rows_of[clip_id]).to_pylist() for clip_id in task.keyframes}
    texts = {clip_id: repeats.of_clip([row["sentence"] for row in own]) for clip_id, own in rows.items()}
    return CheckTask(task, rows, texts)


def _lost(run: CheckRun, labels: Iterator[tuple[str, dict[str, Any], ClipFailedError]]) -> GroupChecks:
    made = Made(run.run_dir, run.risk_map)
    for clip_id, row, error in labels:
        made.lost(clip_id, row, error)
    return made.whole()


def _unreadable(run: CheckRun, unread: Sequence[Unread]) -> GroupChecks:
    """Return the rows of records that cannot be read; one whose file is not named after a keyframe is only counted."""
    made = Made(run.run_dir, run.risk_map)
    for _, item, message in unread:
        clip_id, _, name = item.partition("/")
        t_us = keyframe_of(name)
        if t_us is None or not is_legal_id(clip_id):
            continue
        checked = CheckedLabel(Risk(UNOBSERVED_RISK, Status.UNREADABLE, (message,)), ())
        made.add(clip_id, t_us, checked, (), files.stamp_or_none(f"{run.run_dir}/{item}"))
    made.outcomes += [(FAILED, *one) for one in unread]
    return made.whole()


def _about(calibration: Calibration) -> Iterator[str]:
    yield f"risks are calibrated by {calibration.judged:,} reviewed labels ({CALIBRATION} of {calibration.made})"
    if calibration.checks_version != CHECKS_VERSION:
        yield (
            f"the calibration was made for version {calibration.checks_version} of the checks, these are "
            f"{CHECKS_VERSION}: make it anew with coc check --calibrate"
        )


def _summarise(run: CheckRun, config: dict[str, Any], mark: str) -> None:
    totals = run.totals
    problems = dict(sorted(totals.track_problems.items())[:CLIPS_IN_SUMMARY])
    write_summary(
        run.summary,
        "coc check",
        config,
        run.tally,
        unit="labels",
        checks_version=CHECKS_VERSION,
        fingerprint=mark,
        notices=list(run.notices),
        status=dict(sorted(totals.status.items())),
        risk_histogram=histogram(totals.risk),
        calibration=run.risk_map.model_dump() if run.risk_map is not None else None,
        checks=by_check(totals),
        clips_with_track_problems=len(totals.track_problems),
        track_problems={clip_id: list(said) for clip_id, said in problems.items()},
    )


def by_check(totals: Totals) -> dict[str, dict[str, Any]]:
    """Return per check how often each verdict was found, and by independent facts, with the share supported there."""
    names = list(dict.fromkeys(check for check, _, _ in totals.findings))
    return {name: with_precision(_figures(name, totals)) for name in names}


def _figures(name: str, totals: Totals) -> dict[str, Any]:
    every = {str(v): totals.findings[name, v, True] + totals.findings[name, v, False] for v in Verdict}
    return {**every, "independent": {str(v): totals.findings[name, v, True] for v in Verdict}}
