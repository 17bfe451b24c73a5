"""What a run of Step 3 reads and what comes of it: keyframes, timelines and sources in; a folder and a tally out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from batch_runs.outcomes import Tally
from batch_runs.shards import WHOLE, Shard, parse_shard
from coc_labeling.config.schema import RunConfig
from coc_labeling.keyframes import Keyframe
from coc_labeling.results import ExperimentFolder
from coc_labeling.selection import select
from driving_clips.datasets import open_dataset
from driving_clips.datasets.base import SourceGroup
from driving_clips.trajectories import TrajectoryLoader, find_groups
from meta_action.reading import read_spans
from meta_action.timeline_table import TimelineTable


@dataclass(frozen=True)
class Inputs:
    """What a run reads.

    Attributes:
        keyframes: the moments of this shard that pass the filters.
        timelines: meta-actions by clip.
        groups: the sources that can hold the clips.
        loader: reads them.
        notices: what the user should know of the selection.
    """

    keyframes: list[Keyframe]
    timelines: TimelineTable
    groups: list[SourceGroup]
    loader: TrajectoryLoader
    notices: tuple[str, ...]


@dataclass
class RunResult:
    """Where a run's records are, what became of its windows, and why it ended early, if it did."""

    folder: ExperimentFolder
    tally: Tally = field(default_factory=Tally)
    notices: tuple[str, ...] = ()
    stopped: str | None = None
    interrupted: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    def spent_lines(self) -> list[str]:
        """Return what the run cost and what left the machine, as text; nothing where no model was asked."""
        lines = spent_lines(self.extra)
        if lines and (noted := self.extra["windows_with_video_notes"]):
            said = f"note: something was odd with the video of {noted} windows, see window.notes of their records"
            lines.insert(1, said)
        return lines


def spent_lines(extra: Mapping[str, Any]) -> list[str]:
    """Return what a run cost and what left the machine, as text; nothing where no model was asked.

    Args:
        extra: what a run with a model adds to its summary.
    """
    spent = extra.get("this_run")
    if not spent:
        return []
    cost = "" if spent["cost_usd"] is None else f", {spent['cost_usd']:.4g} USD"
    lines = [
        f"{spent['requests']} requests answered, {spent['answered_from_cache']} from the cache, "
        f"{spent['prompt_tokens']} + {spent['response_tokens']} tokens{cost}"
    ]
    for host, sent in extra["egress"].items():
        lines.append(f"  sent to {host}: {sent['images']} pictures, {sent['bytes'] / 1e6:.1f} MB")
    return lines


def read_inputs(config: RunConfig) -> Inputs:
    """Read keyframes and meta-actions and find the clips' sources.

    Raises:
        CocLabelingError, DatasetError, MetaActionError: one of them cannot be read.
    """
    shard = shard_of(config)
    selection = select(config)
    keyframes = [keyframe for keyframe in selection.keyframes if keyframe.clip_id in shard]
    loader = open_loader(config)
    dataset = loader.dataset
    timelines = TimelineTable(read_spans(str(config.data.meta_action_dir), shard))
    clip_ids = frozenset(keyframe.clip_id for keyframe in keyframes)
    groups = find_groups(dataset.discover().groups, clip_ids, cuts_recordings=dataset.cuts_recordings)
    return Inputs(keyframes, timelines, groups, loader, tuple(selection.notices))


def open_loader(config: RunConfig) -> TrajectoryLoader:
    """Return what reads the dataset's clips; raises DatasetError where there is no such dataset."""
    side = None if config.data.driving_side == "auto" else config.data.driving_side
    dataset = open_dataset(config.data.dataset_name, str(config.data.data_dir))
    return TrajectoryLoader(dataset, config.data.cache_dir, side)


def shard_of(config: RunConfig) -> Shard:
    """Return the part of the clips that this run labels."""
    return parse_shard(config.shard) if config.shard else WHOLE
