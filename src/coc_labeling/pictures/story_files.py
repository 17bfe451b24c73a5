"""One file for each clip, made of its story: what is read, what is left alone, and what is said of it."""

import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from batch_runs.outcomes import ALREADY_DONE, DONE, FAILED
from coc_labeling.checks.results import checks_path
from coc_labeling.pictures.plan import ClipResult, ClipTask, Shown
from coc_labeling.pictures.story import ClipStory
from coc_labeling.report.clips import read_keyframe
from coc_labeling.up_to_date import own_stamp
from driving_clips import files
from driving_clips.ego_motion import EgoMotion
from driving_clips.errors import ClipError, ClipFailedError, DatasetError
from driving_clips.trajectories import LoadedClip, TrajectoryLoader
from meta_action.timeline import Timeline

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoryFiles(ABC):
    """Writes ``<folder>/<clip_id><ending>``; small, so that it travels to worker processes.

    Attributes:
        loader: reads ego motion and obstacles.
        shown: where labels and meta-actions are.
        folder: where to write.
    """

    ending: ClassVar[str]

    loader: TrajectoryLoader
    shown: Shown
    folder: str

    @abstractmethod
    def write(self, story: ClipStory, path: str, notices: list[str]) -> str:
        """Write a clip's file to a temporary path; returns what it holds, as the reason that it is counted by.

        Raises:
            ClipError: it cannot be made.
        """

    def path(self, clip_id: str) -> str:
        """Return the path of a clip's file."""
        return f"{self.folder}/{clip_id}{self.ending}"

    def __call__(self, task: ClipTask) -> list[ClipResult]:
        """Write what is missing of a task; a clip that cannot be shown gives a result that says why."""
        due = [clip_id for clip_id in task.clip_ids if not self._is_current(clip_id, task)]
        results = [ClipResult(name, DONE, ALREADY_DONE) for name in task.clip_ids if name not in due]
        if not due:
            return results
        for clip in self.loader.load(task.group, due.__contains__):
            if clip.clip_id in due:
                results.append(self._result(clip, task))
            elif isinstance(clip.result, ClipError):  # the recording cannot be read, and with it none of its clips
                results += [_problem(clip_id, clip.result) for clip_id in due]
        return results

    def _is_current(self, clip_id: str, task: ClipTask) -> bool:
        """Say whether a file is there that is no older than the labels, checks and meta-actions that it shows."""
        own = files.stamp_or_none(self.path(clip_id))
        rows, run_dir = (task.labels or {}).get(clip_id, ()), str(self.shown.labels)
        shown = [checks_path(run_dir, clip_id, row["event_start_timestamp"]) for row in rows]
        stamps = [files.stamp_or_none(path) for path in (*shown, f"{self.shown.texts_dir}/{clip_id}.txt")]
        stamps += [own_stamp(row, run_dir) for row in rows]
        latest_ns = max((stamp.mtime_ns for stamp in stamps if stamp is not None), default=0)
        return own is not None and own.size > 0 and own.mtime_ns >= latest_ns

    def _result(self, clip: LoadedClip, task: ClipTask) -> ClipResult:
        try:
            if isinstance(clip.result, ClipError):
                raise clip.result
            notices: list[str] = []
            story = self._story(clip, clip.result, task, notices)
            with files.atomic_path(self.path(clip.clip_id)) as temporary:
                reason = self.write(story, temporary, notices)
            return ClipResult(clip.clip_id, DONE, reason, notices=tuple(notices))
        except ClipError as error:
            return _problem(clip.clip_id, error)
        except OSError as error:
            if files.is_disk_full(error):
                raise
            detail = f"{self.path(clip.clip_id)}: cannot be written ({error.strerror or error})."
            return ClipResult(clip.clip_id, FAILED, "unwritable", detail)
        except DatasetError:  # nothing can be shown at all
            raise
        except Exception as error:  # whatever a decoder or a letter stumbles over costs this clip only
            log.exception("%s: showing it failed", clip.clip_id)
            return ClipResult(clip.clip_id, FAILED, "crashed", f"{clip.clip_id}: {type(error).__name__}: {error}")

    def _story(self, clip: LoadedClip, ego: EgoMotion, task: ClipTask, notices: list[str]) -> ClipStory:
        """Return what is shown; obstacles and records that cannot be read are left out, and it is said."""
        obstacles = None
        try:
            obstacles = self.loader.obstacles(clip)
        except ClipFailedError as error:
            notices.append(f"{clip.clip_id}: other road users are left out: {error}")
        keyframes = None
        if task.labels is not None:
            rows = enumerate(task.labels[clip.clip_id], start=1)
            keyframes = tuple(read_keyframe(number, row, str(self.shown.labels)) for number, row in rows)
            unread = sum(keyframe.record is None for keyframe in keyframes)
            if unread:
                notices.append(f"{clip.clip_id}: {unread} records cannot be read; shown from labels.parquet.")
        timeline = task.timelines.get(clip.clip_id, Timeline(clip.clip_id, ()))
        return ClipStory(clip.clip_id, ego, timeline, obstacles, keyframes)


def _problem(clip_id: str, error: ClipError) -> ClipResult:
    return ClipResult(clip_id, error.outcome, error.reason, str(error))
