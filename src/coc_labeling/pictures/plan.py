"""Which clips are to be shown, what is there of them, and the way through all of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from batch_runs.clip_lists import read_clip_list
from batch_runs.outcomes import FAILED, Tally
from batch_runs.parallel import WorkerDied, map_ordered, useful_workers
from batch_runs.progress import progress
from coc_labeling.results import load_labels
from driving_clips import files
from driving_clips.datasets import open_dataset
from driving_clips.datasets.base import Dataset, Discovery, SourceGroup, is_legal_id, recording_of
from driving_clips.trajectories import find_groups
from meta_action.reading import read_spans
from meta_action.timeline import Timeline
from meta_action.timeline_table import TimelineTable

CLIPS_PER_TASK = 4  # of one recording: enough that reading it does not count, few enough to keep all workers busy


@dataclass(frozen=True)
class Shown:
    """What is to be shown.

    Attributes:
        dataset: a name of ``driving_clips.datasets``.
        data_dir: the dataset's root.
        meta_action_dir: results of Step 1, its ``save_dir`` or ``final_outputs``.
        labels: an experiment folder of Step 3 whose labels are shown, or None.
        clip_list_path: a text file of clip ids, or None for all clips with meta-actions.
    """

    dataset: str
    data_dir: str
    meta_action_dir: str
    labels: str | None = None
    clip_list_path: str | None = None

    @property
    def texts_dir(self) -> str:
        """The folder to read of Step 1's results: a save_dir has its texts in ``final_outputs``."""
        inside = files.join(self.meta_action_dir, "final_outputs")
        return inside if files.is_dir(inside) else self.meta_action_dir


@dataclass(frozen=True)
class ClipTask:
    """Some clips of one source.

    Attributes:
        group: the source, alone in its group.
        clip_ids: which clips of it.
        timelines: their meta-actions; a clip without any has none.
        labels: their rows of ``labels.parquet``; None where no labels are to be shown.
    """

    group: SourceGroup
    clip_ids: tuple[str, ...]
    timelines: Mapping[str, Timeline]
    labels: Mapping[str, tuple[dict[str, Any], ...]] | None


@dataclass(frozen=True)
class ClipResult:
    """What became of a clip: outcome and reason as runs count them, and what a user should know."""

    clip_id: str
    outcome: str
    reason: str
    message: str = ""
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Which clips are wanted, and what is there of them.

    Attributes:
        dataset: the dataset.
        discovery: its sources.
        wanted: the clips, and ``asked_by``: the file or folder that names them.
        timelines: meta-actions by clip.
        labels: rows of ``labels.parquet`` by clip, in the order of time; None where no labels are to be shown.
        notices: what the user should know of the list of clips.
    """

    dataset: Dataset
    discovery: Discovery
    wanted: frozenset[str]
    asked_by: str
    timelines: Mapping[str, Timeline]
    labels: Mapping[str, Sequence[dict[str, Any]]] | None
    notices: tuple[str, ...]

    @classmethod
    def of(cls, shown: Shown) -> "Plan":
        """Read all that names clips.

        Raises:
            DatasetError, MetaActionError, CocLabelingError: something of it cannot be read.
        """
        dataset = open_dataset(shown.dataset, shown.data_dir)
        timelines = TimelineTable(read_spans(shown.texts_dir))
        wanted, notices = frozenset(timelines), []
        if shown.clip_list_path:
            listed = read_clip_list(shown.clip_list_path)
            wanted, notices = listed.ids, listed.notices(shown.clip_list_path)
        labels = _labels_of(shown.labels, wanted) if shown.labels else None
        asked_by = shown.clip_list_path or shown.meta_action_dir
        return cls(dataset, dataset.discover(), wanted, asked_by, timelines, labels, tuple(notices))

    def carry_out(
        self, work: Callable[[ClipTask], list[ClipResult]], num_workers: int, what: str
    ) -> tuple[Tally, list[str]]:
        """Do the work in processes; returns what became of each clip, and what the user should know.

        ``what`` names the work in the progress bar.
        """
        tally, notices, tasks = Tally(), list(self.notices), list(self._tasks())
        _count(self._unusable(), tally)
        workers = useful_workers(num_workers, len(tasks))
        with progress(what, sum(len(task.clip_ids) for task in tasks), "clips") as advance:
            for task, found in map_ordered(work, tasks, workers, _split):
                results = _dead(task) if isinstance(found, WorkerDied) else found
                _count(results, tally)
                notices += [notice for result in results for notice in result.notices]
                advance(len(task.clip_ids), len(task.clip_ids))
        _count(self._unknown(tally), tally)
        return tally, notices

    def _tasks(self) -> Iterator[ClipTask]:
        """Yield the work in parts: a few clips of one source each."""
        legal = frozenset(clip_id for clip_id in self.wanted if is_legal_id(clip_id))
        cuts = self.dataset.cuts_recordings
        by_recording: dict[str, list[str]] = {}
        for clip_id in sorted(legal):
            for name in {clip_id, recording_of(clip_id)} if cuts else {clip_id}:
                by_recording.setdefault(name, []).append(clip_id)
        for group in find_groups(self.discovery.groups, legal, cuts_recordings=cuts):
            for source in group.sources:
                own = by_recording[source.recording_id]
                for first in range(0, len(own), CLIPS_PER_TASK):
                    yield self._task(SourceGroup(group.name, (source,)), own[first : first + CLIPS_PER_TASK])

    def _task(self, group: SourceGroup, clip_ids: Sequence[str]) -> ClipTask:
        timelines = {clip_id: self.timelines[clip_id] for clip_id in clip_ids if clip_id in self.timelines}
        labels = self.labels
        own = None if labels is None else {clip_id: tuple(labels.get(clip_id, ())) for clip_id in clip_ids}
        return ClipTask(group, tuple(clip_ids), timelines, own)

    def _unusable(self) -> Iterator[ClipResult]:
        """Yield files that cannot be used, and ids that cannot be a clip's."""
        for name, problem in self.discovery.problems.items():
            yield ClipResult(name, problem.outcome, problem.reason, str(problem))
        for clip_id in sorted(self.wanted):
            if not is_legal_id(clip_id):
                yield ClipResult(clip_id, FAILED, "illegal_id", f"{self.asked_by}: {clip_id!r} cannot be a clip id.")

    def _unknown(self, tally: Tally) -> Iterator[ClipResult]:
        """Yield the wanted clips that nothing was said of: no source has them."""
        counted = {item for reasons in tally.by_reason.values() for items in reasons.values() for item in items}
        for clip_id in sorted(self.wanted - counted):
            message = f"{self.asked_by}: no clip of this id in {self.dataset.data_dir}."
            yield ClipResult(clip_id, FAILED, "unknown_id", message)


def _labels_of(run_dir: str, wanted: frozenset[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of ``labels.parquet`` of the wanted clips, in the order of time."""
    table = load_labels(run_dir)
    own = table.filter(pc.is_in(table.column("clip_id"), pa.array(sorted(wanted), pa.string())))
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in own.sort_by("event_start_timestamp").to_pylist():
        rows.setdefault(row["clip_id"], []).append(row)
    return rows


def _count(results: Iterable[ClipResult], tally: Tally) -> None:
    for result in results:
        tally.replace(result.outcome, result.reason, result.clip_id, result.message)


def _split(task: ClipTask) -> list[ClipTask]:
    return [replace(task, clip_ids=(clip_id,)) for clip_id in task.clip_ids]


def _dead(task: ClipTask) -> list[ClipResult]:
    said = "the process working on it died (out of memory, or a crash in a library)."
    return [ClipResult(clip_id, FAILED, "worker_died", f"{clip_id}: {said}") for clip_id in task.clip_ids]
