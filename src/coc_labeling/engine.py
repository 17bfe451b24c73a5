"""Windows labelled by agents that ask no model: read, labelled and written in worker processes, a source group each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from batch_runs.journal import Journal
from batch_runs.outcomes import FAILED, Tally
from batch_runs.parallel import WorkerDied, map_ordered, useful_workers
from batch_runs.progress import progress
from coc_labeling.agents.base import Agent
from coc_labeling.keyframes import Keyframe
from coc_labeling.results import LABELS_SCHEMA, ExperimentFolder
from coc_labeling.schema import Record, released_content
from coc_labeling.windows import Window, make_window, side_of
from coc_labeling.work import (
    DISK_FULL,
    GroupTask,
    Problem,
    count_row,
    count_unread,
    item_of,
    problem_of,
    tasks_of,
    without_finished,
    worker_died,
    write_error,
)
from driving_clips.datasets.base import SourceGroup
from driving_clips.ego_motion import EgoMotion
from driving_clips.errors import ClipError, ClipFailedError
from driving_clips.obstacles import ObstacleTracks
from driving_clips.trajectories import LoadedClip, TrajectoryLoader
from meta_action.timeline import Timeline

WINDOWS_PER_WORKER = 200  # fewer are labelled sooner than another process starts


@dataclass(frozen=True)
class GroupResult:
    """The rows of the records written, and what became of the other windows."""

    rows: pa.RecordBatch
    problems: list[Problem]


@dataclass(frozen=True)
class GroupLabeller:
    """Labels the windows of one source group; runs in worker processes."""

    loader: TrajectoryLoader
    agent: Agent
    folder: ExperimentFolder
    history_sec: float
    future_sec: float
    code_version: str

    def __call__(self, task: GroupTask) -> GroupResult:
        """Read, label and write; a window that gives no record gives a problem."""
        rows: list[dict] = []
        problems: list[Problem] = []
        clips = self.loader.load(task.group, lambda clip_id: clip_id in task.keyframes)
        for clip in clips:
            keyframes = task.keyframes_of(clip)
            try:
                ego, obstacles = self._read(clip)
            except ClipError as error:
                problems += [problem_of(error, keyframe) for keyframe in keyframes]
                continue
            self.folder.remove_leftovers(clip.clip_id)
            timeline = task.timelines.get(clip.clip_id, Timeline(clip.clip_id, ()))
            for keyframe in keyframes:
                try:
                    rows.append(self._label(keyframe, ego, timeline, obstacles))
                except ClipError as error:
                    problems.append(problem_of(error, keyframe))
        return GroupResult(pa.RecordBatch.from_pylist(rows, LABELS_SCHEMA), problems)

    def _read(self, clip: LoadedClip) -> tuple[EgoMotion, ObstacleTracks | None]:
        if isinstance(clip.result, ClipError):
            raise clip.result
        return clip.result, self.loader.obstacles(clip)

    def _label(
        self, keyframe: Keyframe, ego: EgoMotion, timeline: Timeline, obstacles: ObstacleTracks | None
    ) -> dict[str, Any]:
        side = side_of(self.loader.driving_side(keyframe.clip_id))
        window = make_window(keyframe, ego, timeline, obstacles, self.history_sec, self.future_sec, driving_side=side)
        record = self._record(window)
        try:
            return self.folder.write(record)
        except OSError as error:
            raise write_error(error, self.folder.path) from error

    def _record(self, window: Window) -> Record:
        try:
            label = self.agent.label(window)
            return Record(
                clip_id=window.keyframe.clip_id,
                event_start_frame=window.keyframe.frame,
                event_start_timestamp=window.keyframe.t_us,
                final_content=released_content(label),
                label=label,
                meta_actions=window.starting,
                window=window.info,
                provenance=self.agent.provenance(self.loader.dataset.name, self.code_version),
            )
        except Exception as error:
            # whatever an agent stumbles over costs this window only
            raise ClipFailedError("crashed", f"{self.agent.name}: {type(error).__name__}: {error}") from error


def label_windows(
    labeller: GroupLabeller,
    groups: Sequence[SourceGroup],
    keyframes: Sequence[Keyframe],
    timelines: Mapping[str, Timeline],
    num_workers: int,
    journal: Journal,
    tally: Tally,
) -> None:
    """Label the keyframes that have no valid record yet; counts all of them in ``tally``."""
    dataset = labeller.loader.dataset
    due = without_finished(labeller.folder, keyframes, journal, tally)
    tasks = tasks_of(groups, due, timelines, dataset)
    workers = useful_workers(num_workers, min(len(groups), 1 + len(due) // WINDOWS_PER_WORKER))
    with progress("labels", len(due), "windows") as advance:
        for task, result in map_ordered(labeller, tasks, workers, GroupTask.by_source):
            if isinstance(result, WorkerDied):
                result = GroupResult(pa.RecordBatch.from_pylist([], LABELS_SCHEMA), worker_died(task))
            _count(result, journal, tally)
            finished = result.rows.num_rows + len(result.problems)
            advance(finished, finished)
            if DISK_FULL in tally.by_reason[FAILED]:
                break
    count_unread(due, tally, dataset, "the disk was full." if DISK_FULL in tally.by_reason[FAILED] else None)


def _count(result: GroupResult, journal: Journal, tally: Tally) -> None:
    if result.rows.num_rows:
        journal.append(result.rows)
    for row in result.rows.to_pylist():
        count_row(row, item_of(row["clip_id"], row["event_start_timestamp"]), tally, "labelled")
    for outcome, reason, item, message in result.problems:
        tally.add(outcome, reason, item, message)
