"""Curating a whole dataset: keyframes and drives in, a shorter list of keyframes out, and why it is that list."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_runs.clip_lists import read_clip_list
from batch_runs.outcomes import Tally, write_summary
from batch_runs.parallel import WorkerDied, map_ordered, useful_workers
from batch_runs.progress import progress
from coc_labeling.curate.choosing import Candidate, Choice, Fate, choose
from coc_labeling.curate.conditions import read_conditions
from coc_labeling.curate.moments import (
    Moment,
    decision_proxies,
    keyframes_of_file,
    keyframes_of_run,
    moments_of,
    write_chosen,
)
from coc_labeling.curate.rules import THRESHOLDS, Mask, Scene
from coc_labeling.curate.statistics import count, table
from coc_labeling.curate.work import SEEN_SCHEMA, GroupViewer, Seen, SeenMoments, died
from coc_labeling.errors import CocLabelingError
from coc_labeling.keyframes import Keyframe, Keyframes
from coc_labeling.work import GroupTask, tasks_of
from driving_clips import files
from driving_clips.datasets import open_dataset
from driving_clips.errors import ClipFailedError
from driving_clips.trajectories import TrajectoryLoader, find_groups

KEYFRAMES_FILE = "keyframes.json"
CLIPS_FILE = "clips.txt"
MOMENTS_TABLE = "moments.parquet"
SUMMARY_FILE = "curate_summary.json"
TABLE_FILE = "curate_summary.txt"
MOMENTS_PER_WORKER = 500  # fewer are looked at sooner than another process starts

MOMENTS_SCHEMA = pa.schema(
    [
        *SEEN_SCHEMA,
        ("meta_action", pa.string()),
        ("country", pa.string()),
        ("day_part", pa.string()),
        ("fate", pa.string()),
    ]
)


@dataclass(frozen=True)
class CurationRequest:
    """What curation is asked for.

    Attributes:
        dataset_name: a name of ``driving_clips.datasets``.
        data_dir: the dataset's root.
        out: where the lists go.
        meta_action_dir: the ``final_outputs`` folder of Step 1; its keyframes are those that Step 2 finds by default.
        keyframes: a keyframe file to choose from, instead.
        choice: how much of what is kept.
        allowed: faults that do not exclude a moment.
        cache_dir: where resampled trajectories are kept, or None.
        scene_list: a text file of clip ids to choose from, or None for all.
        num_workers: the most processes to use.
    """

    dataset_name: str
    data_dir: str
    out: str
    meta_action_dir: str | None = None
    keyframes: str | None = None
    choice: Choice = field(default_factory=Choice)
    allowed: frozenset[Mask] = frozenset()
    cache_dir: str | None = None
    scene_list: str | None = None
    num_workers: int = 32


@dataclass
class Curation:
    """What came of it.

    Attributes:
        out: the folder with the lists.
        tally: how each clip was counted.
        counts: what was there, kept and dropped (``statistics.count``).
        notices: what the user should know.
    """

    out: str
    tally: Tally = field(default_factory=Tally)
    counts: dict[str, Any] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)

    def path(self, name: str) -> str:
        """Return the path of one of the files."""
        return files.join(self.out, name)


def curate(request: CurationRequest) -> Curation:
    """Choose moments and write the lists; files of an earlier call are replaced.

    Raises:
        CocLabelingError, DatasetError, MetaActionError: nothing can be chosen as asked.
    """
    _refuse(request)
    run = Curation(request.out)
    loader = TrajectoryLoader(open_dataset(request.dataset_name, request.data_dir), request.cache_dir)
    listed = _listed(request)
    moments = _of_list(listed, request, run.notices)
    conditions = read_conditions(request.data_dir, {moment.clip_id for moment in moments})
    files.make_dir(request.out)
    with files.exclusive(run.path(".curate.lock")):
        seen = _look(moments, loader, request.num_workers, run.tally)
        where = [conditions.of(moment.clip_id) for moment in moments]
        seen = (
            seen.append_column("meta_action", pa.array(decision_proxies(moments), pa.string()))
            .append_column("country", pa.array([own.country for own in where], pa.string()))
            .append_column("day_part", pa.array([own.day_part for own in where], pa.string()))
        )
        fates = choose(list(_candidates(seen, request.allowed)), request.choice)
        chosen = seen.append_column("fate", pa.array([str(fate) for fate in fates], pa.string()))
        _write(run, request, chosen, listed)
    return run


def _refuse(request: CurationRequest) -> None:
    if request.num_workers < 1:
        raise CocLabelingError(f"--num_workers {request.num_workers}: expected at least 1.")
    if request.meta_action_dir is None and request.keyframes is None:
        raise CocLabelingError(
            "--meta_action_dir: required, the final_outputs folder of Step 1 (or --keyframes, a file of Step 2)."
        )
    target = files.join(request.out, KEYFRAMES_FILE)
    if request.keyframes is not None and files.absolute(request.keyframes) == files.absolute(target):
        raise CocLabelingError(f"--out {request.out}: {request.keyframes} would be overwritten. Choose another folder.")


def _listed(request: CurationRequest) -> list[Keyframes]:
    if request.keyframes is not None:
        return keyframes_of_file(request.keyframes)
    return keyframes_of_run(str(request.meta_action_dir))


def _of_list(listed: Sequence[Keyframes], request: CurationRequest, notices: list[str]) -> list[Keyframe]:
    """Return the moments to choose from."""
    clips = None
    if request.scene_list is not None:
        own = read_clip_list(request.scene_list)
        notices += own.notices(request.scene_list)
        clips = own.ids
    moments = moments_of(listed, clips)
    if not moments:
        origin = request.keyframes or request.meta_action_dir
        within = f" of the clips in {request.scene_list}" if request.scene_list else ""
        raise CocLabelingError(f"{origin}: no keyframe{within} to choose from.")
    if clips is not None and (without := clips - {moment.clip_id for moment in moments}):
        notices.append(f"{request.scene_list}: {len(without)} clips have no keyframe, such as {min(without)}")
    return moments


def _look(moments: Sequence[Keyframe], loader: TrajectoryLoader, num_workers: int, tally: Tally) -> pa.Table:
    """Look at all moments; returns a row each, in their order."""
    dataset = loader.dataset
    clip_ids = frozenset(moment.clip_id for moment in moments)
    groups = find_groups(dataset.discover().groups, clip_ids, cuts_recordings=dataset.cuts_recordings)
    workers = useful_workers(num_workers, min(len(groups), 1 + len(moments) // MOMENTS_PER_WORKER))
    batches = []
    with progress("curate", len(moments), "moments") as advance:
        tasks = tasks_of(groups, moments, {}, dataset)
        for task, result in map_ordered(GroupViewer(loader, THRESHOLDS), tasks, workers, GroupTask.by_source):
            own = died(task) if isinstance(result, WorkerDied) else result
            batches.append(_take(own, tally))
            advance(own.rows.num_rows, own.rows.num_rows)
    seen = pa.Table.from_batches(batches, SEEN_SCHEMA)
    found = frozenset(pc.unique(seen.column("clip_id")).to_pylist())
    rest = Seen()
    unknown = ClipFailedError("unknown_clip", f"no clip of this id in {dataset.data_dir}.")
    rest.lost([moment for moment in moments if moment.clip_id not in found], unknown)
    seen = pa.concat_tables([seen, pa.Table.from_batches([_take(rest.whole(), tally)])])
    return _in_order(seen, moments)


def _take(seen: SeenMoments, tally: Tally) -> pa.RecordBatch:
    for outcome in seen.outcomes:
        tally.add(*outcome)
    return seen.rows


def _in_order(seen: pa.Table, moments: Sequence[Keyframe]) -> pa.Table:
    """Return the rows in the order of the moments."""
    columns = (seen.column(name).to_pylist() for name in ("clip_id", "event_start_frame"))
    at = {moment: row for row, moment in enumerate(zip(*columns, strict=True))}
    order = [at[moment.clip_id, moment.frame] for moment in moments]
    return seen.take(pa.array(np.array(order, dtype=np.int64)))


def _candidates(seen: pa.Table, allowed: frozenset[Mask]) -> Iterator[Candidate]:
    names = ("clip_id", "event_start_frame", "meta_action", "country", "day_part", "scene", "masks")
    columns = (seen.column(name).to_pylist() for name in names)
    for clip_id, frame, decision, country, part, scene, masks in zip(*columns, strict=True):
        faulty = not allowed.issuperset(masks)
        yield Candidate(clip_id, frame, decision, (country, part), scene and Scene(scene), faulty)


def _write(run: Curation, request: CurationRequest, moments: pa.Table, listed: Sequence[Keyframes]) -> None:
    kept = moments.filter(pc.equal(moments.column("fate"), str(Fate.KEPT)))
    chosen: set[Moment] = set(zip(*(kept.column(n).to_pylist() for n in ("clip_id", "event_start_frame")), strict=True))
    write_chosen(run.path(KEYFRAMES_FILE), listed, chosen)
    clips = sorted({clip_id for clip_id, _ in chosen})
    files.write_atomic(run.path(CLIPS_FILE), "".join(f"{clip_id}\n" for clip_id in clips))
    with files.atomic_path(run.path(MOMENTS_TABLE)) as path:
        pq.write_table(moments, path)
    run.counts = count(moments, request.choice.keep_rates)
    if not chosen:
        run.notices.append("nothing is kept: the lists are empty, see the table for why")
    files.write_atomic(run.path(TABLE_FILE), "".join(f"{line}\n" for line in table(run.counts)))
    config = asdict(request) | {"allowed": sorted(request.allowed), "choice": asdict(request.choice)}
    write_summary(
        run.path(SUMMARY_FILE),
        "coc curate",
        config,
        run.tally,
        unit="clips",
        notices=run.notices,
        thresholds=asdict(THRESHOLDS),
        **run.counts,
    )
