"""Many windows at once: each source group's clips are read, their windows labelled, their records written."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from batch_runs.journal import Journal
from batch_runs.outcomes import ALREADY_DONE, DONE, FAILED, REJECTED, Tally
from batch_runs.parallel import WorkerDied, map_ordered, useful_workers
from batch_runs.progress import progress
from coc_labeling.agents.base import Agent
from coc_labeling.keyframes import Keyframe
from coc_labeling.results import ABSTENTION, LABELS_SCHEMA, ExperimentFolder
from coc_labeling.schema import Record, released_content
from coc_labeling.windows import Window, make_window
from driving_clips import files
from driving_clips.datasets.base import SourceGroup, recording_of
from driving_clips.ego_motion import EgoMotion
from driving_clips.errors import ClipError, ClipFailedError
from driving_clips.obstacles import ObstacleTracks
from driving_clips.trajectories import LoadedClip, TrajectoryLoader
from meta_action.timeline import Timeline

DISK_FULL = "disk_full"
WINDOWS_PER_WORKER = 200  # fewer are labelled sooner than another process starts

Problem = tuple[str, str, str, str]  # outcome, reason, item, message


@dataclass(frozen=True)
class GroupTask:
    """The windows of one source group.

    Attributes:
        group: the sources that hold the clips.
        keyframes: the moments to label, by clip.
        timelines: the meta-actions of those clips, by clip; a clip without spans has none.
    """

    group: SourceGroup
    keyframes: dict[str, list[Keyframe]]
    timelines: dict[str, Timeline]

    def keyframes_of(self, clip: LoadedClip) -> list[Keyframe]:
        """Return a clip's keyframes; for a recording that cannot be read, those of all clips cut from it."""
        if clip.clip_id in self.keyframes:
            return self.keyframes[clip.clip_id]
        cut = (keyframes for clip_id, keyframes in self.keyframes.items() if recording_of(clip_id) == clip.clip_id)
        return [keyframe for keyframes in cut for keyframe in keyframes]


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
                problems += [_problem(error, keyframe) for keyframe in keyframes]
                continue
            self.folder.remove_leftovers(clip.clip_id)
            timeline = task.timelines.get(clip.clip_id, Timeline(clip.clip_id, ()))
            for keyframe in keyframes:
                try:
                    rows.append(self._label(keyframe, ego, timeline, obstacles))
                except ClipError as error:
                    problems.append(_problem(error, keyframe))
        return GroupResult(pa.RecordBatch.from_pylist(rows, LABELS_SCHEMA), problems)

    def _read(self, clip: LoadedClip) -> tuple[EgoMotion, ObstacleTracks | None]:
        if isinstance(clip.result, ClipError):
            raise clip.result
        return clip.result, self.loader.obstacles(clip)

    def _label(
        self, keyframe: Keyframe, ego: EgoMotion, timeline: Timeline, obstacles: ObstacleTracks | None
    ) -> dict[str, Any]:
        window = make_window(keyframe, ego, timeline, obstacles, self.history_sec, self.future_sec)
        record = self._record(window)
        try:
            return self.folder.write(record)
        except OSError as error:
            reason = DISK_FULL if files.is_disk_full(error) else "unwritable"
            raise ClipFailedError(reason, f"{self.folder.path}: writing failed ({error.strerror or error}).") from error

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
    due = _without_finished(labeller.folder, keyframes, journal, tally)
    by_clip: dict[str, list[Keyframe]] = defaultdict(list)
    for keyframe in due:
        by_clip[keyframe.clip_id].append(keyframe)
    clips_of = _clips_of(by_clip, cuts_recordings=labeller.loader.dataset.cuts_recordings)
    tasks = (task for group in groups if (task := _task(group, clips_of, by_clip, timelines)))
    workers = useful_workers(num_workers, min(len(groups), 1 + len(due) // WINDOWS_PER_WORKER))
    with progress("labels", len(due), "windows") as advance:
        for task, result in map_ordered(labeller, tasks, workers, _split):
            if isinstance(result, WorkerDied):
                result = GroupResult(pa.RecordBatch.from_pylist([], LABELS_SCHEMA), list(_dead(task)))
            _count(result, journal, tally)
            finished = result.rows.num_rows + len(result.problems)
            advance(finished, finished)
            if DISK_FULL in tally.by_reason[FAILED]:
                break
    _count_unread(due, tally, labeller)


def _without_finished(
    folder: ExperimentFolder, keyframes: Sequence[Keyframe], journal: Journal, tally: Tally
) -> list[Keyframe]:
    found, unindexed = folder.finished([(k.clip_id, k.t_us) for k in keyframes])
    if unindexed:
        journal.append(pa.RecordBatch.from_pylist(unindexed, LABELS_SCHEMA))
    for (clip_id, t_us), row in found.items():
        _count_row(row, f"{clip_id}/cot_{t_us}.yaml", tally, ALREADY_DONE)
    return [keyframe for keyframe in keyframes if (keyframe.clip_id, keyframe.t_us) not in found]


def _task(
    group: SourceGroup,
    clips_of: Mapping[str, Sequence[str]],
    by_clip: dict[str, list[Keyframe]],
    timelines: Mapping[str, Timeline],
) -> GroupTask | None:
    """Return the windows that a group may hold, with only the sources they need.

    ``clips_of`` gives, by recording, the clips with keyframes that may come from it.
    """
    sources = tuple(source for source in group.sources if source.recording_id in clips_of)
    clips = [clip for source in sources for clip in clips_of[source.recording_id]]
    if not clips:
        return None
    return GroupTask(
        replace(group, sources=sources),
        {clip: by_clip[clip] for clip in clips},
        {clip: timelines[clip] for clip in clips if clip in timelines},
    )


def _clips_of(by_clip: Iterable[str], *, cuts_recordings: bool) -> dict[str, list[str]]:
    """Return the clips by the recordings they may come from: their own id, or what they would be cut from."""
    clips_of: dict[str, list[str]] = defaultdict(list)
    for clip in by_clip:
        clips_of[clip].append(clip)
        if cuts_recordings:
            clips_of[recording_of(clip)].append(clip)
    return clips_of


def _split(task: GroupTask) -> list[GroupTask]:
    """Cut a task into one per source."""
    parts = []
    for source in task.group.sources:
        name = source.recording_id
        keyframes = {clip: own for clip, own in task.keyframes.items() if name in (clip, recording_of(clip))}
        parts.append(replace(task, group=replace(task.group, sources=(source,)), keyframes=keyframes))
    return parts


def _count(result: GroupResult, journal: Journal, tally: Tally) -> None:
    if result.rows.num_rows:
        journal.append(result.rows)
    for row in result.rows.to_pylist():
        _count_row(row, f"{row['clip_id']}/cot_{row['event_start_timestamp']}.yaml", tally, "labelled")
    for outcome, reason, item, message in result.problems:
        tally.add(outcome, reason, item, message)


def _count_row(row: dict, item: str, tally: Tally, reason: str) -> None:
    if row["status"] == ABSTENTION:
        tally.add(REJECTED, f"abstained_{row['abstention_reason']}", item, row["abstention_detail"] or "")
    else:
        tally.add(DONE, reason, item)


def _problem(error: ClipError, keyframe: Keyframe) -> Problem:
    return error.outcome, error.reason, f"{keyframe.clip_id}/cot_{keyframe.t_us}.yaml", str(error)


def _dead(task: GroupTask) -> Iterable[Problem]:
    error = ClipFailedError("worker_died", "the process labelling it died (out of memory, or a crash in a library).")
    return (_problem(error, keyframe) for keyframes in task.keyframes.values() for keyframe in keyframes)


def _count_unread(due: Sequence[Keyframe], tally: Tally, labeller: GroupLabeller) -> None:
    """Count the windows that no source held: unknown clips, or windows left when the disk was full."""
    counted = {item for reasons in tally.by_reason.values() for items in reasons.values() for item in items}
    full = DISK_FULL in tally.by_reason[FAILED]
    for keyframe in due:
        if f"{keyframe.clip_id}/cot_{keyframe.t_us}.yaml" in counted:
            continue
        if full:
            error = ClipFailedError("not_reached", "the run stopped because the disk was full.")
        else:
            where = labeller.loader.dataset.data_dir
            error = ClipFailedError("unknown_clip", f"no clip of this id in {where}.")
        tally.add(*_problem(error, keyframe))
