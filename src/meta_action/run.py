"""Step 1 over a dataset: which clips, by how many workers, into which files."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from batch_runs.clip_lists import read_clip_list
from batch_runs.journal import Journal
from batch_runs.outcomes import ALREADY_DONE, DONE, FAILED, Tally, write_summary
from batch_runs.parallel import WorkerDied, map_ordered, useful_workers
from batch_runs.progress import progress
from batch_runs.shards import WHOLE, Shard
from driving_clips import files
from driving_clips.datasets import open_dataset
from driving_clips.datasets.base import Dataset, Discovery, SourceGroup, recording_of
from driving_clips.ego_motion import EgoMotion
from driving_clips.errors import ClipError, DatasetError
from driving_clips.trajectories import LoadedClip, TrajectoryLoader, find_groups
from meta_action.errors import MetaActionError
from meta_action.labeling import label_motions
from meta_action.names import BY_NAME, LANE, RANK
from meta_action.recordings import CutClips
from meta_action.results import GONE, JOURNAL_SCHEMA, ResultsFolder
from meta_action.timeline import Span, timeline

DISK_FULL, NOT_REACHED, WORKER_DIED = "disk_full", "not_reached", "worker_died"
SOURCES_PER_WORKER = 200  # fewer are read sooner than another process starts


@dataclass(frozen=True)
class LabelRequest:
    """What Step 1 is asked for.

    Attributes:
        dataset_name: a name of ``driving_clips.datasets``.
        data_dir: the dataset's root.
        save_dir: where results go.
        names: the meta-actions to write, as ``meta_action.names.parse_names`` returns them.
        cache_dir: where resampled trajectories are kept, or None.
        scene_list: a text file of clip ids to label, or None for all.
        num_workers: the most processes to use.
        shard: the part of the clips to label.
        use_lane: whether lane actions are asked for.
    """

    dataset_name: str
    data_dir: str
    save_dir: str
    names: tuple[str, ...]
    cache_dir: str | None = None
    scene_list: str | None = None
    num_workers: int = 32
    shard: Shard = WHOLE
    use_lane: bool = False


@dataclass(frozen=True)
class _GroupLabeller:
    """Labels the clips of one source group and writes their texts; runs in worker processes."""

    loader: TrajectoryLoader
    folder: ResultsFolder
    wanted: frozenset[str] | None
    done: frozenset[str]

    def __call__(self, group: SourceGroup) -> pa.RecordBatch:
        """Return the group's rows for the journal."""
        clips = [due for clip in self.loader.load(group, self._is_due) for due in self._due(clip)]
        motions = [clip.result for clip in clips if isinstance(clip.result, EgoMotion)]
        spans = iter(label_motions(motions))
        rows = [self._finish(clip, next(spans) if isinstance(clip.result, EgoMotion) else []) for clip in clips]
        return pa.RecordBatch.from_pylist(rows, JOURNAL_SCHEMA)

    def _due(self, clip: LoadedClip) -> list[LoadedClip]:
        """Return the clip itself; for a recording that cannot be read, the clips of it that were asked for."""
        if self._is_due(clip.clip_id):
            return [clip]
        asked = (name for name in sorted(self.wanted or ()) if recording_of(name) == clip.clip_id)
        return [replace(clip, clip_id=name) for name in asked if self._is_due(name)]

    def _is_due(self, clip_id: str) -> bool:
        chosen = self.wanted is None or clip_id in self.wanted
        return chosen and clip_id in self.folder.shard and clip_id not in self.done

    def _finish(self, clip: LoadedClip, spans: list[Span]) -> dict:
        """Write or remove one clip's texts and return its row."""
        selected = timeline(clip.clip_id, [span for span in spans if span.name in self.folder.names])
        outcome, reason, detail = DONE, "labelled" if selected.spans else "no_span", ""
        try:
            if isinstance(clip.result, ClipError):
                outcome, reason, detail = clip.result.outcome, clip.result.reason, str(clip.result)
                self.folder.remove_clip(clip.clip_id)
            else:
                self.folder.write_clip(selected)
        except OSError as error:
            outcome, reason = FAILED, DISK_FULL if files.is_disk_full(error) else "unwritable"
            detail = f"{self.folder.save_dir}: writing failed ({error.strerror or error})."
        kept = selected.spans if outcome == DONE else ()
        motion = clip.result if isinstance(clip.result, EgoMotion) else None
        return {
            "clip_id": clip.clip_id,
            "outcome": outcome,
            "reason": reason,
            "detail": detail,
            "source": str(clip.source),
            "source_stamps": clip.stamps,
            "first_tick": motion.first_tick if motion else None,
            "ticks": len(motion) if motion else None,
            "span_names": [RANK[span.name] for span in kept],
            "span_starts": [span.start for span in kept],
            "span_ends": [span.end for span in kept],
        }


def label_dataset(request: LabelRequest) -> tuple[Tally, list[str]]:
    """Label a dataset's clips; returns the counts and notices for the user.

    Raises:
        DatasetError, MetaActionError: nothing can be done as asked.
    """
    folder = ResultsFolder(request.save_dir, request.names, request.shard)
    if request.num_workers < 1:
        raise MetaActionError(f"--num_workers {request.num_workers}: expected at least 1.")
    dataset = open_dataset(request.dataset_name, request.data_dir)
    _refuse_lanes(request, dataset)
    tally = Tally()
    try:
        discovery = dataset.discover()
    except DatasetError as error:
        tally.add(FAILED, "no_data", request.data_dir, str(error))
        files.make_dir(request.save_dir)
        _summarise(request, folder, tally, [])
        raise
    _refuse_other_dataset(request, folder)
    clip_list = read_clip_list(request.scene_list) if request.scene_list else None
    wanted = clip_list.ids if clip_list else None
    notices = clip_list.notices(str(request.scene_list)) if clip_list else []
    for name, problem in discovery.problems.items():
        tally.add(problem.outcome, problem.reason, name, str(problem))
    with folder.opened() as journal:
        if not journal.is_empty():
            notices.append("Taking over what an interrupted run had finished.")
            folder.settle(journal)
        done = _count_finished(folder, dataset, discovery, wanted, tally)
        groups = _due_groups(dataset, discovery, wanted, folder.shard, done)
        skipped = done if dataset.cuts_recordings else frozenset[str]()  # else left out of the groups already
        labeller = _GroupLabeller(TrajectoryLoader(dataset, request.cache_dir), folder, wanted, skipped)
        try:
            with _full_disk_counted(folder, tally):
                _work_through(labeller, groups, request.num_workers, journal, tally)
        finally:
            with _full_disk_counted(folder, tally):  # the journal keeps what is finished
                folder.settle(journal)
        _count_rest(groups, dataset, wanted, folder.shard, tally, request)
        _summarise(request, folder, tally, notices)
    return tally, notices


@contextmanager
def _full_disk_counted(folder: ResultsFolder, tally: Tally) -> Iterator[None]:
    """Count a full disk and give up the reserve, so that the summary can still be written."""
    try:
        yield
    except OSError as error:
        if not files.is_disk_full(error):
            raise
        tally.add(FAILED, DISK_FULL, folder.save_dir, f"{folder.save_dir}: the disk is full ({error}).")
    if DISK_FULL in tally.by_reason[FAILED]:
        folder.release_reserve()


def _refuse_other_dataset(request: LabelRequest, folder: ResultsFolder) -> None:
    """Raise MetaActionError where the folder holds the results of another dataset."""
    path = folder.table_path("run_summary.json")
    if not files.exists(path) or not folder.read_tables()[0].num_rows:
        return
    try:
        earlier = json.loads(files.read_text(path))["config"]["dataset_name"]
    except (ValueError, KeyError, TypeError):
        return  # no summary of ours: the tables alone say what is done
    if earlier != request.dataset_name:
        raise MetaActionError(
            f"{request.save_dir}: holds results of dataset {earlier}, asked for is {request.dataset_name}. "
            "Choose another --save_dir."
        )


def _refuse_lanes(request: LabelRequest, dataset: Dataset) -> None:
    lanes = [name for name in request.names if BY_NAME[name].axis == LANE]
    if (request.use_lane or lanes) and not dataset.has_map:
        asked = "--use_lane" if request.use_lane else f"--meta_action_names {' '.join(lanes)}"
        raise MetaActionError(
            f"{asked}: no map for this dataset ({dataset.name}), so lane actions cannot be told. "
            "Leave it out; the longitudinal and lateral actions need no map."
        )


def _count_finished(
    folder: ResultsFolder, dataset: Dataset, discovery: Discovery, wanted: frozenset[str] | None, tally: Tally
) -> frozenset[str]:
    """Count this run's clips that an earlier run has finished; returns their ids."""
    finished = folder.finished()
    sources = {str(source) for group in discovery.groups for source in group.sources}
    done = set()
    columns = [finished.column(name).to_pylist() for name in ("clip_id", "source", "outcome", "reason", "detail")]
    for clip_id, source, outcome, reason, detail in zip(*columns, strict=True):
        if source not in sources or (wanted is not None and clip_id not in wanted) or clip_id not in folder.shard:
            continue
        done.add(clip_id)
        tally.add(outcome, ALREADY_DONE if outcome == DONE else reason, clip_id, detail)
    return frozenset(done)


def _due_groups(
    dataset: Dataset,
    discovery: Discovery,
    wanted: frozenset[str] | None,
    shard: Shard,
    done: frozenset[str],
) -> list[SourceGroup]:
    """Return the groups and sources that are left to do, as far as that can be told without opening them."""
    groups = discovery.groups
    if wanted is not None:
        groups = find_groups(groups, wanted, cuts_recordings=dataset.cuts_recordings)
    if dataset.cuts_recordings:
        return list(groups)
    due = (
        SourceGroup(g.name, tuple(s for s in g.sources if s.recording_id in shard and s.recording_id not in done))
        for g in groups
    )
    return [group for group in due if group.sources]


def _work_through(
    labeller: _GroupLabeller, groups: list[SourceGroup], num_workers: int, journal: Journal, tally: Tally
) -> None:
    """Label the groups and journal them in order; stops where the disk is full."""
    total = sum(len(group.sources) for group in groups)
    workers = useful_workers(num_workers, min(len(groups), 1 + total // SOURCES_PER_WORKER))
    cuts = CutClips(labeller.folder, labeller.done) if labeller.loader.dataset.cuts_recordings else None
    with progress("meta-actions", total, "clips") as advance:
        for group, batch in map_ordered(labeller, groups, workers, _split):
            if isinstance(batch, WorkerDied):
                _count_dead(group, tally)
                continue
            rows = batch.to_pylist()
            if cuts is not None:
                rows = cuts.settle(group, rows, all_wanted=labeller.wanted is None)
                batch = pa.RecordBatch.from_pylist(rows, JOURNAL_SCHEMA)
            journal.append(batch)
            for row in rows:
                if row["outcome"] != GONE:
                    tally.replace(row["outcome"], row["reason"], row["clip_id"], row["detail"])
            advance(len(group.sources), batch.num_rows)
            if any(row["reason"] == DISK_FULL for row in rows):
                break


def _split(group: SourceGroup) -> list[SourceGroup]:
    return [SourceGroup(group.name, (source,)) for source in group.sources]


def _count_dead(group: SourceGroup, tally: Tally) -> None:
    for source in group.sources:
        message = f"{source}: the process reading it died (out of memory, or a crash in a library)."
        tally.add(FAILED, WORKER_DIED, source.recording_id, message)


def _count_rest(
    groups: list[SourceGroup],
    dataset: Dataset,
    wanted: frozenset[str] | None,
    shard: Shard,
    tally: Tally,
    request: LabelRequest,
) -> None:
    """Count what the run has not come to, and listed clips that do not exist."""
    counted = set(_items(tally))
    full = DISK_FULL in tally.by_reason[FAILED]
    if full:
        for source in (source for group in groups for source in group.sources):
            if source.recording_id not in counted and not dataset.cuts_recordings:
                tally.add(FAILED, NOT_REACHED, source.recording_id, "the run stopped because the disk was full.")
    dead = set(tally.by_reason[FAILED].get(WORKER_DIED, {}))
    for clip_id in sorted((wanted or frozenset()) - set(_items(tally))):
        if clip_id not in shard:
            continue
        if recording_of(clip_id) in dead:
            tally.add(FAILED, WORKER_DIED, clip_id, "the process reading its recording died.")
        elif full:
            tally.add(FAILED, NOT_REACHED, clip_id, "the run stopped because the disk was full.")
        else:
            tally.add(FAILED, "unknown_id", clip_id, f"{request.scene_list}: no clip of this id in {request.data_dir}.")


def _items(tally: Tally) -> Iterator[str]:
    for reasons in tally.by_reason.values():
        for items in reasons.values():
            yield from items


def _summarise(request: LabelRequest, folder: ResultsFolder, tally: Tally, notices: list[str]) -> None:
    config = asdict(request) | {"shard": f"{request.shard.index}/{request.shard.count}", "names": list(request.names)}
    if DISK_FULL in tally.by_reason[FAILED]:
        notices.append(
            f"{request.save_dir}: the disk is full, the run has stopped. Free some room and run the same command "
            "again: it goes on from here."
        )
    span_rows = folder.read_tables()[1]
    counts = pc.value_counts(span_rows.column("name")).to_pylist()
    write_summary(
        folder.table_path("run_summary.json"),
        "meta-action-autolabel",
        config,
        tally,
        unit="clips",
        spans={row["values"]: row["counts"] for row in sorted(counts, key=lambda row: str(row["values"]))},
        notices=notices,
    )
