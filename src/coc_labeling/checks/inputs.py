"""What ``coc check`` reads: a run's labels, and the drives they are about."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_runs.shards import Shard
from coc_labeling.config.loading import PRESETS, load_config
from coc_labeling.config.schema import RunConfig
from coc_labeling.errors import CocLabelingError, RecordError
from coc_labeling.inputs import open_loader
from coc_labeling.records import from_yaml
from coc_labeling.results import CONFIG, LABELS_SCHEMA, as_row, keyframe_of, load_labels
from coc_labeling.saved_config import saved_config
from driving_clips import files
from driving_clips.datasets.base import SourceGroup, is_legal_id
from driving_clips.trajectories import TrajectoryLoader, find_groups
from meta_action.reading import read_spans
from meta_action.timeline_table import SPANS_SCHEMA, TimelineTable

COLUMNS = (
    "clip_id",
    "event_start_timestamp",
    "status",
    "sentence",
    "agent",
    "told_facts",
    "unlisted",
    "label",
    "file_size",
    "file_mtime_ns",
)

Unread = tuple[str, str, str]  # reason, item (<clip_id>/<name>), message


@dataclass(frozen=True)
class RunLabels:
    """The labels of a run, or of a shard of it.

    Attributes:
        table: the columns of ``labels.parquet`` that are needed, by clip.
        unread: records that could not be read.
    """

    table: pa.Table
    unread: tuple[Unread, ...]


def read_labels_of(run_dir: str) -> RunLabels:
    """Return the labels of a run: its table, or where it has none its record files, whichever tool wrote them.

    Raises:
        CocLabelingError: neither is there.
    """
    if any(name.startswith("labels.") for name in files.list_names(run_dir, ".parquet")):
        return RunLabels(load_labels(run_dir).select(COLUMNS).sort_by([("clip_id", "ascending")]), ())
    unread: list[Unread] = []
    rows = list(_record_rows(run_dir, unread))
    if not rows and not unread:
        raise CocLabelingError(
            f"{run_dir}: expected an experiment folder with labels.parquet, or folders <clip_id> with "
            "cot_<timestamp>.yaml; found neither."
        )
    return RunLabels(pa.Table.from_pylist(rows, LABELS_SCHEMA).select(COLUMNS), tuple(unread))


def _record_rows(run_dir: str, unread: list[Unread]) -> Iterator[dict[str, Any]]:
    """Yield the rows of record files; those that cannot be read are added to ``unread``."""
    for clip_id in files.list_folders(run_dir):
        for name in sorted(files.list_names(files.join(run_dir, clip_id), ".yaml")):
            if not name.startswith("cot_"):
                continue
            path, item = f"{run_dir}/{clip_id}/{name}", f"{clip_id}/{name}"
            try:
                yield as_row(from_yaml(files.read_text(path), path, clip_id, keyframe_of(name)), files.stamp(path))
            except (RecordError, OSError, UnicodeDecodeError) as error:
                unread.append(("bad_record", item, str(error)))


def of_shard(labels: RunLabels, shard: Shard) -> pa.Table:
    """Return the labels of a shard's clips, of clips whose id may name a folder."""
    ids = pc.unique(labels.table.column("clip_id")).to_pylist()
    own = [clip_id for clip_id in ids if clip_id in shard and is_legal_id(clip_id)]
    if len(own) == len(ids):
        return labels.table
    return labels.table.filter(pc.is_in(labels.table.column("clip_id"), pa.array(own, pa.string())))


def config_of(run_dir: str, changes: Mapping[str, Any]) -> RunConfig:
    """Return the configuration that a run was made with, some keys changed; defaults where it has kept none.

    Raises:
        CocLabelingError: it does not fit, or does not say where the drives are.
    """
    if files.exists(files.join(run_dir, CONFIG)):
        config = saved_config(run_dir, changes)
    else:
        config = load_config(PRESETS[1], [], settings=_known(changes))
    if config.data.data_dir is None:
        raise CocLabelingError(
            f"{run_dir}: it does not say which drives it labels (no {CONFIG}). Give data.data_dir=..., and "
            "data.dataset_name=... where that is not pai; data.meta_action_dir=... where Step 1 has been run."
        )
    return config


def _known(changes: Mapping[str, Any]) -> Mapping[str, Any]:
    keys = load_config(PRESETS[1], []).model_dump()
    for key in changes:
        section: Any = keys
        for part in key.split("."):
            if not isinstance(section, dict) or part not in section:
                raise CocLabelingError(f"unknown configuration key {key!r}. See docs/configuration.md for all keys.")
            section = section[part]
    return changes


@dataclass(frozen=True)
class Drives:
    """Where the clips of a run are read from.

    Attributes:
        loader: reads them.
        groups: the sources that can hold them.
        spans: meta-actions, empty where the run names none.
        notices: what the user should know.
    """

    loader: TrajectoryLoader
    groups: list[SourceGroup]
    spans: pa.Table
    notices: tuple[str, ...]

    @cached_property
    def timelines(self) -> TimelineTable:
        """The meta-actions by clip."""
        return TimelineTable(self.spans)


def open_drives(config: RunConfig, labels: pa.Table, shard: Shard) -> Drives:
    """Find the clips that labels are about.

    Raises:
        DatasetError, MetaActionError: the dataset or the meta-actions cannot be read.
    """
    loader, notices = open_loader(config), []
    if config.data.meta_action_dir is None:
        spans = SPANS_SCHEMA.empty_table()
        notices.append("data.meta_action_dir is not set: lane changes are told from ego's path and the tracks")
    else:
        spans = read_spans(config.data.meta_action_dir, shard)
    ids = frozenset(pc.unique(labels.column("clip_id")).to_pylist())
    dataset = loader.dataset
    groups = find_groups(dataset.discover().groups, ids, cuts_recordings=dataset.cuts_recordings)
    return Drives(loader, groups, spans, tuple(notices))


def rows_by_clip(labels: pa.Table) -> dict[str, tuple[int, int]]:
    """Return where the rows of each clip lie: first row and count. They stand together."""
    ids = labels.column("clip_id").combine_chunks()
    if not len(ids):
        return {}
    changes = pc.not_equal(ids.slice(1), ids.slice(0, len(ids) - 1)).to_numpy(zero_copy_only=False)
    starts = np.flatnonzero(np.concatenate([[True], changes]))
    counts = np.diff(starts, append=len(ids))
    return dict(
        zip(ids.take(pa.array(starts)).to_pylist(), zip(starts.tolist(), counts.tolist(), strict=True), strict=True)
    )
