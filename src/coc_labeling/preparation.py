"""The windows of a source, made ready for a model: clips read, frames decoded and encoded. Runs in worker processes."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from coc_labeling.agents.base import PreparedWindow
from coc_labeling.conversation import CameraFrames
from coc_labeling.footage import Footage
from coc_labeling.keyframes import Keyframe
from coc_labeling.windows import Window, make_window, side_of
from coc_labeling.work import GroupTask, Problem, problem_of
from driving_clips.errors import ClipError, ClipFailedError, ClipRejectedError, DatasetError
from driving_clips.obstacles import ObstacleTracks
from driving_clips.trajectories import LoadedClip, TrajectoryLoader
from meta_action.timeline import Timeline

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedClips:
    """What became of a task: windows to ask about, and those that there is nothing to ask about."""

    windows: list[PreparedWindow]
    problems: list[Problem]

    @property
    def picture_bytes(self) -> int:
        """How much memory the pictures take, each counted once."""
        pictures = {id(shot.data_uri): len(shot.data_uri) for window in self.windows for shot in window.shots}
        return sum(pictures.values())


class Teller(Protocol):
    """Says what a model is told of windows; see ``agents.base.ModelAgent``."""

    @property
    def needs_history(self) -> bool:
        """Whether windows come with their ego motion as recorded, and frames up to the keyframe or after it."""

    @property
    def needs_tracks(self) -> bool:
        """Whether windows come with the tracks of road users, where there are some."""

    def prepared(self, window: Window, cameras: Sequence[CameraFrames]) -> Iterable[PreparedWindow]:
        """Return what is asked about a window; raises ClipError where that cannot be done."""


@dataclass(frozen=True)
class ClipPreparer:
    """Prepares the windows of a task.

    Attributes:
        loader: reads ego motion and obstacles.
        agent: says what a model is told.
        footage: brings the frames.
        history_sec, future_sec: the window around a keyframe.
        needs_frames: windows without any frame are rejected.
    """

    loader: TrajectoryLoader
    agent: Teller
    footage: Footage
    history_sec: float
    future_sec: float
    needs_frames: bool

    def __call__(self, task: GroupTask) -> PreparedClips:
        """Read and prepare; a window that cannot be asked about gives a problem."""
        prepared = PreparedClips([], [])
        for clip in self.loader.load(task.group, lambda clip_id: clip_id in task.keyframes):
            keyframes = task.keyframes_of(clip)
            try:
                windows = self._windows(clip, keyframes, task, prepared.problems)
                self._prepare(clip.clip_id, windows, prepared)
            except ClipError as error:
                prepared.problems.extend(problem_of(error, keyframe) for keyframe in keyframes)
            except DatasetError:  # nothing can be decoded at all
                raise
            except Exception as error:  # whatever a decoder stumbles over costs this clip only
                log.exception("%s: preparing failed", clip.clip_id)
                failed = ClipFailedError("crashed", f"{clip.clip_id}: preparing: {type(error).__name__}: {error}")
                prepared.problems.extend(problem_of(failed, keyframe) for keyframe in keyframes)
        return prepared

    def _windows(
        self, clip: LoadedClip, keyframes: Sequence[Keyframe], task: GroupTask, problems: list[Problem]
    ) -> list[Window]:
        if isinstance(clip.result, ClipError):
            raise clip.result
        timeline = task.timelines.get(clip.clip_id, Timeline(clip.clip_id, ()))
        samples = self.loader.samples(clip) if self.agent.needs_history else None
        tracks = self._tracks(clip) if self.agent.needs_tracks else None
        side = side_of(self.loader.driving_side(clip.clip_id))
        windows = []
        for keyframe in keyframes:
            try:
                windows.append(
                    make_window(
                        keyframe, clip.result, timeline, tracks, self.history_sec, self.future_sec, samples, side
                    )
                )
            except ClipError as error:
                problems.append(problem_of(error, keyframe))
        return windows

    def _tracks(self, clip: LoadedClip) -> ObstacleTracks | None:
        try:
            return self.loader.obstacles(clip)
        except ClipError as error:  # what a model is told does not depend on them
            log.warning("%s: no tracks of road users (%s)", clip.clip_id, error)
            return None

    def _prepare(self, clip_id: str, windows: Sequence[Window], prepared: PreparedClips) -> None:
        frames = self.footage.of_clip(clip_id, [window.t0_us for window in windows])
        for window, cameras in zip(windows, frames, strict=True):
            try:
                prepared.windows.extend(self.agent.prepared(window, self._usable(cameras, clip_id)))
            except ClipError as error:
                prepared.problems.append(problem_of(error, window.keyframe))

    def _usable(self, cameras: Sequence[CameraFrames] | ClipError, clip_id: str) -> Sequence[CameraFrames]:
        if isinstance(cameras, ClipError):
            raise cameras
        if self.needs_frames and not any(frames.shots for frames in cameras):
            names = ", ".join(frames.camera for frames in cameras)
            said = " ".join(dict.fromkeys(note for frames in cameras for note in frames.notes))
            raise ClipRejectedError("no_frames", f"{clip_id}: no frame of {names} in this window. {said}".strip())
        return cameras
