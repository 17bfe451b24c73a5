"""Reading what was seen and driven around labels, a clip after the other in processes, in the order of the labels."""

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import NamedTuple

from batch_runs.parallel import WorkerDied, map_ordered, useful_workers
from coc_labeling.config.schema import RunConfig
from coc_labeling.errors import CocLabelingError
from coc_labeling.export.content import Need, Recordings
from coc_labeling.export.pictures import PictureWriter, in_order
from coc_labeling.export.rows import ExportRow
from coc_labeling.export.scenes import Frame, Missing, Scene
from coc_labeling.export.trajectory import Drive, drive_around
from coc_labeling.windows import Sampling
from driving_clips.datasets import open_dataset
from driving_clips.datasets.base import Dataset, Source, is_cut, recording_of
from driving_clips.ego_motion import EgoSamples
from driving_clips.errors import ClipError, ClipFailedError, ClipRejectedError, DatasetError
from driving_clips.video.locating import VideoFinder
from driving_clips.video.pictures import ImageSettings

log = logging.getLogger(__name__)
CLIPS_PER_TASK = 4  # of one recording, which is read once for them
ALL_CORES = 1_000_000


class ClipMoments(NamedTuple):
    """The keyframes of a clip, in us on its clock."""

    clip_id: str
    t0s_us: tuple[int, ...]


@dataclass(frozen=True)
class SceneTask:
    """Clips of one recording, and where its ego motion is, if that is needed and there."""

    clips: tuple[ClipMoments, ...]
    source: Source | None


@dataclass
class SceneWork:
    """Reads the scenes of tasks; travels to worker processes.

    Attributes:
        dataset: reads ego motion.
        pictures: writes pictures; None where none are needed.
        with_path, with_future: whether ego's path is needed, and that after the keyframe.
    """

    dataset: Dataset
    pictures: PictureWriter | None
    with_path: bool
    with_future: bool
    _read: tuple[Source, Mapping[str, EgoSamples | ClipError]] | None = field(default=None, init=False)

    def __call__(self, task: SceneTask) -> list[list[Scene | Missing]]:
        """Return the scenes of each clip's keyframes."""
        return [self._clip(clip, task.source) for clip in task.clips]

    def _clip(self, clip: ClipMoments, source: Source | None) -> list[Scene | Missing]:
        try:
            drives = self._drives(clip, source) if self.with_path else [None] * len(clip.t0s_us)
            at = [t0 for t0, drive in zip(clip.t0s_us, drives, strict=True) if not isinstance(drive, ClipError)]
            frames = self.pictures.of_clip(clip.clip_id, at) if self.pictures and at else [()] * len(at)
        except (DatasetError, OSError):  # nothing can be read at all, or the disk is full
            raise
        except Exception as error:  # whatever a reader or decoder stumbles over costs this clip only
            log.exception("%s: exporting failed", clip.clip_id)
            failed = ClipFailedError("crashed", f"{clip.clip_id}: {type(error).__name__}: {error}")
            return [_missing(failed)] * len(clip.t0s_us)
        by_moment = dict(zip(at, frames, strict=True))
        return [_scene(drive, by_moment.get(t0, ())) for t0, drive in zip(clip.t0s_us, drives, strict=True)]

    def _drives(self, clip: ClipMoments, source: Source | None) -> list[Drive | ClipError | None]:
        try:
            if source is None:
                raise ClipRejectedError("no ego motion", f"{clip.clip_id}: not in {self.dataset.data_dir} any more.")
            samples = self._samples(source).get(clip.clip_id)
            if samples is None:
                raise ClipFailedError("changed", f"{source}: clip {clip.clip_id} is not in it any more.")
            if isinstance(samples, ClipError):
                raise samples
            cleaned = samples.cleaned()
        except ClipError as error:
            return [error] * len(clip.t0s_us)
        return [self._drive(cleaned, t0) for t0 in clip.t0s_us]

    def _drive(self, samples: EgoSamples, t0_us: int) -> Drive | ClipError:
        try:
            return drive_around(samples, t0_us, with_future=self.with_future)
        except ClipError as error:
            return error

    def _samples(self, source: Source) -> Mapping[str, EgoSamples | ClipError]:
        if self._read is None or self._read[0] != source:
            self._read = source, dict(self.dataset.clips_of(source))
        return self._read[1]


def _scene(drive: Drive | ClipError | None, frames: tuple[Frame, ...] | ClipError) -> Scene | Missing:
    for part in (drive, frames):
        if isinstance(part, ClipError):
            return _missing(part)
    assert not isinstance(drive, ClipError)
    assert not isinstance(frames, ClipError)
    return Scene(frames, drive)


def _missing(error: ClipError) -> Missing:
    reason = error.reason if " " in error.reason else error.reason.replace("_", " ")
    return Missing(reason, str(error), error.outcome == "failed")


class SceneReader:
    """Reads scenes for rows.

    Attributes:
        picture_folder: the folder of the export that pictures are written to; None where none are needed.
        cameras: whose pictures are written, in order.
        offsets_us: when, relative to the keyframe.
        images: how they are encoded.
    """

    def __init__(
        self,
        config: RunConfig,
        recordings: Recordings,
        needs: frozenset[Need],
        root: str,
        folder: str,
        *,
        with_future: bool,
    ) -> None:
        """Prepare to read.

        Args:
            config: of the run whose labels are exported.
            recordings: where the recordings are, and what is taken of them.
            needs: what of them is needed.
            root: the folder of the export.
            folder: the folder in it for pictures.
            with_future: whether ego's path after the keyframe is needed.

        Raises:
            DatasetError, CocLabelingError: there are no recordings, or pictures made otherwise lie in the folder.
        """
        data_dir = recordings.data_dir or config.data.data_dir
        if not data_dir:
            raise CocLabelingError("this format needs the recordings, and the run does not say where. Give --data_dir.")
        dataset = open_dataset(config.data.dataset_name, data_dir)
        video = config.data_loader.video
        self.cameras = in_order(recordings.cameras or video.cameras)
        self.offsets_us = _offsets(recordings, Sampling(video.hist_length_sec, 0.0, video.time_interval))
        self.images = ImageSettings(video.jpeg_quality, video.max_side, video.max_pixels)
        self.picture_folder = folder if Need.FRAMES in needs else None
        pictures = None
        if Need.FRAMES in needs:
            finder = VideoFinder(dataset, recordings.video_dir or config.data.video_dir)
            redactor = config.egress.redactor
            pictures = PictureWriter(root, folder, finder, self.cameras, self.offsets_us, self.images, redactor)
            pictures.claim()
        self._work = SceneWork(dataset, pictures, Need.TRAJECTORY in needs, with_future)
        self._sources = _sources(dataset) if Need.TRAJECTORY in needs else {}
        self._num_workers = recordings.num_workers

    def read(self, rows: Iterable[ExportRow]) -> Iterator[ExportRow | tuple[ExportRow, Missing]]:
        """Yield rows with their scenes, or with why there is none; rows of a clip come together."""
        waiting: deque[list[ExportRow]] = deque()
        workers = useful_workers(self._num_workers, ALL_CORES)
        results = map_ordered(self._work, self._tasks(rows, waiting), workers, _parts)
        pending: list[ExportRow] = []
        for task, result in results:
            while len(pending) < sum(len(clip.t0s_us) for clip in task.clips):
                pending += waiting.popleft()
            died = Missing("crashed", f"{task.clips[0].clip_id}: reading it ended its process.", is_failure=True)
            for number, clip in enumerate(task.clips):
                own, pending = pending[: len(clip.t0s_us)], pending[len(clip.t0s_us) :]
                scenes = [died] * len(own) if isinstance(result, WorkerDied) else result[number]
                for row, scene in zip(own, scenes, strict=True):
                    yield (row, scene) if isinstance(scene, Missing) else replace(row, scene=scene)

    def _tasks(self, rows: Iterable[ExportRow], waiting: deque[list[ExportRow]]) -> Iterator[SceneTask]:
        clips: list[ClipMoments] = []
        held: list[ExportRow] = []
        for clip_id, own in groupby(rows, key=lambda row: row.clip_id):
            of_clip = list(own)
            if clips and (len(clips) >= CLIPS_PER_TASK or not self._is_of_one_recording(clips[-1].clip_id, clip_id)):
                waiting.append(held)
                yield self._task(clips)
                clips, held = [], []
            clips.append(ClipMoments(clip_id, tuple(row.event_start_timestamp for row in of_clip)))
            held += of_clip
        if clips:
            waiting.append(held)
            yield self._task(clips)

    def _task(self, clips: list[ClipMoments]) -> SceneTask:
        first = clips[0].clip_id
        source = self._sources.get(first)
        if source is None and self._work.dataset.cuts_recordings:
            source = self._sources.get(recording_of(first))
        return SceneTask(tuple(clips), source)

    def _is_of_one_recording(self, one: str, other: str) -> bool:
        cuts = self._work.dataset.cuts_recordings and is_cut(one) and is_cut(other)
        return cuts and recording_of(one) == recording_of(other)


def _parts(task: SceneTask) -> list[SceneTask]:
    return [SceneTask((clip,), task.source) for clip in task.clips]


def _offsets(recordings: Recordings, sampling: Sampling) -> tuple[int, ...]:
    if recordings.times_sec is not None:
        return tuple(round(time * 1e6) for time in recordings.times_sec)
    return (*sampling.offsets_us, 0)


def _sources(dataset: Dataset) -> dict[str, Source]:
    """Return where ego motion is by recording: some hundred bytes each."""
    return {source.recording_id: source for group in dataset.discover().groups for source in group.sources}
