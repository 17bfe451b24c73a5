"""The labels of one source group, checked in a worker process."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from batch_runs.outcomes import DONE, REJECTED
from coc_labeling.checks.base import TextCounts
from coc_labeling.checks.calibration import RiskMap
from coc_labeling.checks.checking import CheckedLabel, Checker, ClipToCheck, LabelToCheck
from coc_labeling.checks.results import CHECKS_SCHEMA, as_row, checks_path, write_json
from coc_labeling.checks.risk import UNOBSERVED_RISK, Risk, Status
from coc_labeling.errors import RecordError
from coc_labeling.records import RELEASED
from coc_labeling.results import ExperimentFolder
from coc_labeling.scene.facts import scene_facts
from coc_labeling.schema import CoCLabel, FactSource
from coc_labeling.up_to_date import current_row, own_stamp, stamp_of
from coc_labeling.windows import side_of
from coc_labeling.work import GroupTask, Problem, item_of, write_error
from driving_clips import files
from driving_clips.errors import ClipError, ClipFailedError
from driving_clips.trajectories import LoadedClip, TrajectoryLoader
from meta_action.timeline import Timeline

RULES = "RulesAgent"
BAD_RECORD = "bad_record"
CHECKED = "checked"
# What labellers were told whose records do not say it: rules know all there is, models ego's motion as text, the
# released tool's as well.
_TOLD_RULES = frozenset(FactSource)
_TOLD_MODELS = frozenset({FactSource.EGO_MOTION, FactSource.TIMELINE})


@dataclass(frozen=True)
class CheckTask:
    """The labels of one source group.

    Attributes:
        task: where the clips lie, with their keyframes and meta-actions.
        rows: of ``labels.parquet``, by clip.
        texts: how often the run says the same, by clip, a count per row.
    """

    task: GroupTask
    rows: dict[str, list[dict[str, Any]]]
    texts: dict[str, list[TextCounts]]

    def by_source(self) -> "list[CheckTask]":
        """Return the task cut into one per source."""
        return [replace(self, task=task) for task in self.task.by_source()]


def tenth_of(risk: float) -> int:
    """Return the tenth that a risk is counted in, 0 to 9."""
    return min(int(risk * 10), 9)


@dataclass
class Totals:
    """Counts over many labels.

    Attributes:
        findings: by check, verdict, and whether it rests on facts that the labeller was not told.
        status: labels by status.
        risk: labels by tenth of the risk.
        track_problems: clips by what was wrong with their tracks.
    """

    findings: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    status: Counter[str] = field(default_factory=Counter)
    risk: Counter[int] = field(default_factory=Counter)
    track_problems: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def add(self, checked: CheckedLabel) -> None:
        """Count a label."""
        for finding in checked.findings:
            alone = bool(finding.sources) and not finding.shares_facts(checked.told)
            self.findings[finding.check, str(finding.verdict), alone] += 1
        self.status[str(checked.risk.status)] += 1
        self.risk[tenth_of(checked.risk.value)] += 1

    def join(self, other: "Totals") -> None:
        """Add the counts of others."""
        self.findings.update(other.findings)
        self.status.update(other.status)
        self.risk.update(other.risk)
        self.track_problems.update(other.track_problems)


@dataclass(frozen=True)
class GroupChecks:
    """The rows of labels checked, how each was counted, and totals."""

    rows: pa.RecordBatch
    outcomes: list[Problem]
    totals: Totals


@dataclass(frozen=True)
class GroupChecker:
    """Checks the labels of one source group; travels to worker processes."""

    loader: TrajectoryLoader
    run_dir: str
    history_sec: float
    future_sec: float
    risk_map: RiskMap | None = None

    @cached_property
    def _checker(self) -> Checker:
        return Checker()

    def __call__(self, task: CheckTask) -> GroupChecks:
        """Read, check and write; whatever goes wrong costs a label, or the labels of a clip."""
        made = Made(self.run_dir, self.risk_map)
        for loaded in self.loader.load(task.task.group, lambda clip_id: clip_id in task.task.keyframes):
            clip_ids = [loaded.clip_id] if loaded.clip_id in task.rows else _cut_from(task, loaded)
            for clip_id in clip_ids:
                self._clip(clip_id, loaded, task, made)
        return made.whole()

    def _clip(self, clip_id: str, loaded: LoadedClip, task: CheckTask, made: "Made") -> None:
        rows = list(zip(task.rows[clip_id], task.texts[clip_id], strict=True))
        try:
            clip = self._read(clip_id, loaded, task.task.timelines.get(clip_id, Timeline(clip_id, ())))
        except ClipError as error:
            for row, _ in rows:
                made.lost(clip_id, row, error)
            return
        if clip.scene.problems:
            made.totals.track_problems[clip_id] = clip.scene.problems
        for row, texts in rows:
            try:
                own, stamp = label_of(row, self.run_dir, texts)
                checked = self._check(clip, own)
            except ClipError as error:
                made.lost(clip_id, row, error)
                continue
            made.checked(clip, own, checked, stamp)

    def _read(self, clip_id: str, loaded: LoadedClip, timeline: Timeline) -> ClipToCheck:
        if isinstance(loaded.result, ClipError):
            raise loaded.result
        obstacles = self.loader.obstacles(loaded)
        try:
            scene = scene_facts(loaded.result, obstacles, side_of(self.loader.driving_side(clip_id)))
        except Exception as error:  # whatever tracks make it stumble over costs this clip only
            raise ClipFailedError("crashed", f"scene facts: {type(error).__name__}: {error}") from error
        return ClipToCheck(
            clip_id,
            loaded.result,
            timeline,
            obstacles,
            scene,
            self.history_sec,
            self.future_sec,
        )

    def _check(self, clip: ClipToCheck, own: LabelToCheck) -> CheckedLabel:
        try:
            return self._checker.check(clip, own)
        except ClipError:
            raise
        except Exception as error:  # a check of somebody else's, most likely: it costs this label only
            raise ClipFailedError("crashed", f"checks: {type(error).__name__}: {error}") from error


def _cut_from(task: CheckTask, loaded: LoadedClip) -> list[str]:
    """Return the clips that a recording was to be cut into, where it cannot be read."""
    return list(dict.fromkeys(keyframe.clip_id for keyframe in task.task.keyframes_of(loaded)))


@dataclass
class Made:
    """Collects what comes of a task, its risks calibrated where there is a map, and writes a JSON file per label."""

    run_dir: str
    risk_map: RiskMap | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[Problem] = field(default_factory=list)
    totals: Totals = field(default_factory=Totals)

    def checked(
        self, clip: ClipToCheck, own: LabelToCheck, checked: CheckedLabel, stamp: files.FileStamp | None
    ) -> None:
        """Add a label that was checked."""
        item = item_of(clip.clip_id, own.t_us)
        self.add(clip.clip_id, own.t_us, checked, clip.scene.problems, stamp)
        if own.label.abstention is not None:
            reason = f"abstained_{own.label.abstention.reason}"
            self.outcomes.append((REJECTED, reason, item, own.label.abstention.detail))
        else:
            self.outcomes.append((DONE, CHECKED, item, ""))

    def lost(self, clip_id: str, row: Mapping[str, Any], error: ClipError) -> None:
        """Add a label that could not be checked."""
        checked = unchecked(str(error), Status.UNREADABLE if error.reason == BAD_RECORD else Status.UNVERIFIED)
        stamp = own_stamp(row, self.run_dir)
        self.add(clip_id, row["event_start_timestamp"], checked, (), stamp)
        self.outcomes.append((error.outcome, error.reason, item_of(clip_id, row["event_start_timestamp"]), str(error)))

    def whole(self) -> GroupChecks:
        """Return all that was added."""
        return GroupChecks(pa.RecordBatch.from_pylist(self.rows, CHECKS_SCHEMA), self.outcomes, self.totals)

    def add(
        self,
        clip_id: str,
        t_us: int,
        checked: CheckedLabel,
        track_problems: Iterable[str],
        stamp: files.FileStamp | None,
    ) -> None:
        """Add the row and the file of a label, without counting an outcome."""
        checked = calibrated(checked, self.risk_map)
        row = as_row(clip_id, t_us, checked, track_problems, stamp)
        self.rows.append(row)
        self.totals.add(checked)
        try:
            write_json(self.run_dir, row)
        except OSError as error:
            path = checks_path(self.run_dir, row["clip_id"], row["event_start_timestamp"])
            raise write_error(error, path) from error


def calibrated(checked: CheckedLabel, risk_map: RiskMap | None) -> CheckedLabel:
    """Return a label with its risk calibrated; an abstention stays as it is: there is nothing in it to be wrong."""
    if risk_map is None or checked.risk.status is Status.ABSTAINED:
        return checked
    raw = round(checked.risk.value, 4)  # as the table keeps it, from which it is calibrated anew
    return replace(checked, risk=checked.risk.calibrated(risk_map.probability(raw)))


def unchecked(reason: str, status: Status) -> CheckedLabel:
    """Return what stands for a label that could not be checked."""
    return CheckedLabel(Risk(UNOBSERVED_RISK, status, (f"not checked: {reason}",)), ())


def label_of(row: Mapping[str, Any], run_dir: str, texts: TextCounts) -> tuple[LabelToCheck, files.FileStamp | None]:
    """Return the label of a row, from its file where the row is older than it or does not hold the label.

    Raises:
        ClipFailedError: neither row nor file holds a label that can be read.
    """
    t_us = row["event_start_timestamp"]
    path = ExperimentFolder(run_dir).record_path(row["clip_id"], t_us)
    try:
        row = current_row(row, run_dir)
        if row["label"] is None:
            raise ClipFailedError("no_record", f"{path}: this record is in labels.parquet, but its file is gone.")
        label = CoCLabel.model_validate_json(row["label"])
    except RecordError as error:
        raise ClipFailedError(BAD_RECORD, str(error)) from error
    except ValidationError as error:
        raise ClipFailedError(BAD_RECORD, f"{path}: its row in labels.parquet holds no label ({error}).") from error
    unlisted = None if row["unlisted"] is None else frozenset(row["unlisted"])
    return LabelToCheck(t_us, label, told_facts(row), unlisted, row["agent"] == RULES, texts), stamp_of(row)


def told_facts(row: Mapping[str, Any]) -> frozenset[FactSource]:
    """Return the facts that a labeller was told, by its record; older ones, and other tools', say only who labelled.

    Nothing counts as told only where a record of this toolkit says so.
    """
    says_nothing = row["told_facts"] is None or (not row["told_facts"] and row["agent"] in (None, "", RELEASED))
    if not says_nothing:
        return frozenset(FactSource(name) for name in row["told_facts"] if name in set(FactSource))
    return _TOLD_RULES if row["agent"] == RULES else _TOLD_MODELS


def died(task: CheckTask) -> Iterator[tuple[str, dict[str, Any], ClipFailedError]]:
    """Yield the labels of a task that killed its process."""
    error = ClipFailedError("worker_died", "the process checking it died (out of memory, or a crash in a library).")
    for clip_id in task.task.keyframes:
        yield from ((clip_id, row, error) for row in task.rows[clip_id])
