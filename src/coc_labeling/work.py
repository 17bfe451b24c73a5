"""What there is to do in Step 3: keyframes without a record, by the source of their clips; and what became of them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from batch_runs.journal import Journal
from batch_runs.outcomes import ALREADY_DONE, DONE, REJECTED, Tally
from coc_labeling.keyframes import Keyframe
from coc_labeling.results import ABSTENTION, LABELS_SCHEMA, ExperimentFolder
from driving_clips import files
from driving_clips.datasets.base import Dataset, SourceGroup, recording_of
from driving_clips.errors import ClipError, ClipFailedError
from driving_clips.trajectories import LoadedClip
from meta_action.timeline import Timeline

DISK_FULL = "disk_full"

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

    @property
    def all_keyframes(self) -> list[Keyframe]:
        """The moments of all clips."""
        return [keyframe for keyframes in self.keyframes.values() for keyframe in keyframes]

    def by_source(self) -> "list[GroupTask]":
        """Return the task cut into one per source."""
        parts = []
        for source in self.group.sources:
            name = source.recording_id
            keyframes = {clip: own for clip, own in self.keyframes.items() if name in (clip, recording_of(clip))}
            parts.append(replace(self, group=replace(self.group, sources=(source,)), keyframes=keyframes))
        return parts

    def by_clip(self) -> "list[GroupTask]":
        """Return the task cut into one per clip, with only what the clip needs."""
        return [
            replace(
                task,
                keyframes={clip: keyframes},
                timelines={clip: self.timelines[clip]} if clip in self.timelines else {},
            )
            for task in self.by_source()
            for clip, keyframes in task.keyframes.items()
        ]


def without_finished(
    folder: ExperimentFolder, keyframes: Sequence[Keyframe], journal: Journal, tally: Tally
) -> list[Keyframe]:
    """Return the keyframes that have no valid record yet; the others are counted as already done."""
    found, unindexed = folder.finished([(k.clip_id, k.t_us) for k in keyframes])
    if unindexed:
        journal.append(pa.RecordBatch.from_pylist(unindexed, LABELS_SCHEMA))
    for (clip_id, t_us), row in found.items():
        count_row(row, item_of(clip_id, t_us), tally, ALREADY_DONE)
    return [keyframe for keyframe in keyframes if (keyframe.clip_id, keyframe.t_us) not in found]


def tasks_of(
    groups: Sequence[SourceGroup], due: Sequence[Keyframe], timelines: Mapping[str, Timeline], dataset: Dataset
) -> Iterator[GroupTask]:
    """Yield the windows to label by source group, each with only the sources they need."""
    by_clip: dict[str, list[Keyframe]] = defaultdict(list)
    for keyframe in due:
        by_clip[keyframe.clip_id].append(keyframe)
    clips_of = _clips_of(by_clip, cuts_recordings=dataset.cuts_recordings)
    for group in groups:
        sources = tuple(source for source in group.sources if source.recording_id in clips_of)
        clips = [clip for source in sources for clip in clips_of[source.recording_id]]
        if clips:
            yield GroupTask(
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


def item_of(clip_id: str, t_us: int) -> str:
    """Return the name that a window is counted by."""
    return f"{clip_id}/cot_{t_us}.yaml"


def count_row(row: Mapping, item: str, tally: Tally, reason: str) -> None:
    """Count a window that has a record: a label, or an abstention."""
    tally.add(*outcome_of(row, item, reason))


def outcome_of(row: Mapping, item: str, reason: str) -> Problem:
    """Return how a window that has a record is counted; ``reason`` is that of a label."""
    if row["status"] == ABSTENTION:
        return REJECTED, f"abstained_{row['abstention_reason']}", item, row["abstention_detail"] or ""
    return DONE, reason, item, ""


def problem_of(error: ClipError, keyframe: Keyframe) -> Problem:
    """Return why a window has no record."""
    return error.outcome, error.reason, item_of(keyframe.clip_id, keyframe.t_us), str(error)


def write_error(error: OSError, path: str) -> ClipFailedError:
    """Return the failure of a record that could not be written."""
    reason = DISK_FULL if files.is_disk_full(error) else "unwritable"
    return ClipFailedError(reason, f"{path}: writing failed ({error.strerror or error}).")


def worker_died(task: GroupTask) -> list[Problem]:
    """Return the failures of all windows of a task that killed its process."""
    error = ClipFailedError("worker_died", "the process reading it died (out of memory, or a crash in a library).")
    return [problem_of(error, keyframe) for keyframe in task.all_keyframes]


def count_unread(due: Sequence[Keyframe], tally: Tally, dataset: Dataset, stopped: str | None) -> None:
    """Count the windows that nothing was counted for: no source held them, or the run ``stopped`` before them."""
    counted = {item for reasons in tally.by_reason.values() for items in reasons.values() for item in items}
    error = ClipFailedError("unknown_clip", f"no clip of this id in {dataset.data_dir}.")
    if stopped is not None:
        error = ClipFailedError("not_reached", f"the run stopped before it ({stopped.partition(':')[0]}).")
    for keyframe in due:
        if item_of(keyframe.clip_id, keyframe.t_us) not in counted:
            tally.add(*problem_of(error, keyframe))
