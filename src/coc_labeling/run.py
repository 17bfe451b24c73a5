"""Step 3 over a selection of keyframes: what is read, who labels, where records go."""

from collections.abc import Sequence
from importlib.metadata import version

from batch_runs.outcomes import Tally, write_summary
from batch_runs.shards import WHOLE, parse_shard
from coc_labeling.agents import create_agent
from coc_labeling.agents.base import Agent
from coc_labeling.config.schema import RunConfig
from coc_labeling.engine import GroupLabeller, label_windows
from coc_labeling.errors import CocLabelingError
from coc_labeling.results import (
    SUMMARY,
    ExperimentFolder,
    new_experiment,
    remember_config,
    resumed_experiment,
    token_totals,
)
from coc_labeling.selection import refuse_unsupported, select
from driving_clips.datasets import open_dataset
from driving_clips.trajectories import TrajectoryLoader, find_groups
from meta_action.reading import read_spans
from meta_action.timeline_table import TimelineTable


def label_run(config: RunConfig) -> tuple[ExperimentFolder, Tally]:
    """Label the selected keyframes into a new or resumed experiment folder.

    Raises:
        CocLabelingError, DatasetError, MetaActionError: nothing can be done as configured.
    """
    agent = check(config)
    shard = parse_shard(config.shard) if config.shard else WHOLE
    keyframes = [keyframe for keyframe in select(config) if keyframe.clip_id in shard]
    dataset = open_dataset(config.data.dataset_name, str(config.data.data_dir))
    clip_ids = frozenset(keyframe.clip_id for keyframe in keyframes)
    known = TimelineTable(read_spans(str(config.data.meta_action_dir), shard))
    discovery = dataset.discover()
    groups = find_groups(discovery.groups, clip_ids, cuts_recordings=dataset.cuts_recordings)
    folder = ExperimentFolder(_experiment_path(config), shard)
    tally = Tally()
    window = config.data_loader.video
    with folder.opened() as journal:
        remember_config(folder, config.model_dump(mode="json"))
        folder.settle(journal)
        loader = TrajectoryLoader(dataset, config.data.cache_dir)
        labeller = GroupLabeller(
            loader, agent, folder, window.hist_length_sec, window.fut_length_sec, version("coc-toolkit")
        )
        try:
            label_windows(labeller, groups, keyframes, known, config.num_workers, journal, tally)
        finally:
            folder.settle(journal)
        write_summary(
            folder.table_path(SUMMARY),
            "coc_labeling.data_labeling",
            config.model_dump(mode="json"),
            tally,
            unit="windows",
            tokens=token_totals(folder.read_table()),
            keyframes=len(keyframes),
        )
    return folder, tally


def check(config: RunConfig) -> Agent:
    """Return the agent of a configuration that can be run, as far as that shows without its inputs.

    Raises:
        CocLabelingError: an unknown model or meta-action, a key that is required or not supported yet.
    """
    agent = create_agent(config.model_name)
    refuse_unsupported(config)
    _require(config)
    return agent


def _require(config: RunConfig) -> None:
    """Name the inputs that every run needs and this one lacks."""
    missing = [key for key in ("data_dir", "meta_action_dir") if getattr(config.data, key) is None]
    if missing:
        raise CocLabelingError(
            f"required and not set: {', '.join(f'data.{key}' for key in missing)}. Give them on the command line, for "
            "example data.data_dir=/path/to/data, or in config/data/base.yaml."
        )


def _experiment_path(config: RunConfig) -> str:
    if config.resume_exp_dir is not None:
        return resumed_experiment(config.output_root, config.resume_exp_dir)
    return new_experiment(config.output_root, config.exp_name)


# What labelling without a model and without video has no use for; checked, and kept with the run.
WITHOUT_EFFECT = (
    "vlm_agent.",
    "data_loader.video.",
    "data_loader.meta_action.",
    "data_loader.vector.",
    "data.video_dir",
    "data.wm_file_check",
    "verbose.",
    "timeout_sec",
    "save_prompt",
    "server_ip",
)
_WITH_EFFECT = ("data_loader.video.hist_length_sec", "data_loader.video.fut_length_sec")


def without_effect(overrides: Sequence[str]) -> list[str]:
    """Return the keys among Hydra overrides that change nothing for agents that ask no model."""
    keys = (override.split("=", 1)[0].lstrip("+~") for override in overrides)
    return [key for key in keys if key.startswith(WITHOUT_EFFECT) and key not in _WITH_EFFECT]
