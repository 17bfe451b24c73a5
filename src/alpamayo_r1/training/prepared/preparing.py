"""Preparing: moments are read, their frames sized, and both written in shards.

A shard is there as a whole or not at all, so that a run that was killed loses the shards that were under way. What has
no scene in a shard is tried when the folder is not complete; a complete one is opened as it is.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.training.examples import LabelReading, TrainingExample, read_labels
from alpamayo_r1.training.prepared.folder import PreparedFolder
from alpamayo_r1.training.prepared.moments import source_of
from alpamayo_r1.training.prepared.prepared_set import PreparedSet
from alpamayo_r1.training.prepared.request import PrepareRequest
from alpamayo_r1.training.prepared.work import Chunk, Work
from batch_runs.outcomes import ALREADY_DONE, DONE, FAILED, REJECTED, Tally, write_summary
from batch_runs.parallel import WorkerDied, map_ordered, useful_workers
from batch_runs.progress import progress
from driving_clips import files
from driving_clips.datasets import open_dataset
from driving_clips.datasets.base import Dataset, Source

SUMMARY = "prepare_summary.json"
SCENES_A_SHARD = 16  # some 50 MB of the released model's 16 frames each
_CHUNKS_AHEAD = 2  # of a worker
_PROBLEMS_SAID = 1000


def prepare(request: PrepareRequest, say: Callable[[str], None]) -> PreparedSet:
    """Prepare what is not in the folder yet, and open it.

    What cannot be read is left out, counted and named in ``prepare_summary.json``; ``say`` is told the counts. The
    same call goes on where an earlier one was killed.

    Raises:
        AlpamayoError: labels or a folder that cannot be used, or nothing to learn from.
        CocLabelingError: a damaged run or export.
        DatasetError: a dataset that cannot be opened, or no video that can be decoded at all.
    """
    reading = read_labels(request.labels, request.dataset)
    if request.dataset is None and not reading.places:
        raise AlpamayoError(
            f"{request.labels}: these labels have no pictures of their own. Give dataset and data_dir, or an export of "
            "--format sft-chat."
        )
    _say_labels(reading, say)
    folder = PreparedFolder(request.out)
    with folder.opened(request.settings(reading.examples)):
        if not folder.is_complete(request.places()):
            _Run(request, reading, folder).go(say)
    return PreparedSet.open(request.out)


def left_out_of(folder: str) -> Counter[str]:
    """Return how many labels a folder has no scenes of, by reason, as its summary says; nothing where that is gone."""
    found: Counter[str] = Counter()
    try:
        content = json.loads(files.read_text(files.join(folder, SUMMARY)))
        for reasons in (content["labels_left_out"], content["reasons"][REJECTED], content["reasons"][FAILED]):
            found.update(reasons)
    except (OSError, ValueError, KeyError, TypeError):
        return Counter()
    return found


def _say_labels(reading: LabelReading, say: Callable[[str], None]) -> None:
    said = f"{len(reading.examples)} labels"
    if reading.left_out:
        why = ", ".join(f"{count} {reason}" for reason, count in reading.left_out.most_common())
        said += f", {reading.left_out.total()} left out: {why}"
    say(said)


@dataclass
class _Run:
    request: PrepareRequest
    reading: LabelReading
    folder: PreparedFolder

    def go(self, say: Callable[[str], None]) -> None:
        """Prepare what no shard has, and write the index."""
        tally = Tally()
        there = self.folder.scenes()
        due = [example for example in self.reading.examples if (example.clip_id, example.t0_us) not in there]
        for clip_id, t0_us in there:
            tally.add(DONE, ALREADY_DONE, f"{clip_id}/{t0_us}")
        self._prepare(due, tally)
        self._summarise(tally)
        for line in tally.lines("scenes"):
            say(line)
        if not tally.count(DONE):
            raise AlpamayoError(
                f"{self.request.out}: none of {len(self.reading.examples)} labels gives a scene to learn from. "
                f"{' '.join(tally.lines('scenes')[1:])} Look at data.dataset, data.data_dir, data.video_dir and "
                "data.cameras."
            )
        self.folder.complete(self.request.places())

    def _prepare(self, due: Sequence[TrainingExample], tally: Tally) -> None:
        workers = useful_workers(self.request.num_workers, len(due))
        size = max(1, min(SCENES_A_SHARD, len(due) // workers))  # so that few scenes keep all workers busy too
        chunks = (self._chunk(due[start : start + size]) for start in range(0, len(due), size))
        results = map_ordered(Work(self.request), chunks, workers, Chunk.parts, ahead=_CHUNKS_AHEAD)
        with progress("preparing", len(due), "scenes") as advance:
            for chunk, left_out in results:
                _count(chunk, left_out, tally)
                advance(len(chunk.examples), len(chunk.examples))

    def _chunk(self, examples: Sequence[TrainingExample]) -> Chunk:
        return Chunk(tuple(examples), self._places(examples))

    def _places(self, examples: Sequence[TrainingExample]) -> dict[Any, Any]:
        if self._dataset is None:
            keys = [(example.clip_id, example.t0_us) for example in examples]
            return {key: self.reading.places[key] for key in keys}
        found = (source_of(self._sources, self._dataset, example.clip_id) for example in examples)
        return {source.recording_id: source for source in found if source is not None}

    @cached_property
    def _dataset(self) -> Dataset | None:
        request = self.request
        if request.dataset is None or request.data_dir is None:
            return None
        return open_dataset(request.dataset, request.data_dir)

    @cached_property
    def _sources(self) -> dict[str, Source]:
        groups = self._dataset.discover().groups if self._dataset else []
        return {source.recording_id: source for group in groups for source in group.sources}

    def _summarise(self, tally: Tally) -> None:
        request, reading = self.request, self.reading
        write_summary(
            files.join(request.out, SUMMARY),
            "prepare",
            {**request.settings(reading.examples), **request.places(), "num_workers": request.num_workers},
            tally,
            unit="scenes",
            labels_left_out=dict(reading.left_out),
            label_problems=list(reading.problems[:_PROBLEMS_SAID]),
        )


def _count(chunk: Chunk, left_out: Any, tally: Tally) -> None:
    if isinstance(left_out, WorkerDied):
        for example in chunk.examples:
            tally.add(FAILED, "crashed", f"{example.clip_id}/{example.t0_us}", "reading it ended its process.")
        return
    missing: Mapping[str, Any] = {own.item: own for own in left_out}
    for example in chunk.examples:
        item = f"{example.clip_id}/{example.t0_us}"
        if item in missing:
            tally.add(*missing[item])
        else:
            tally.add(DONE, "prepared", item)
