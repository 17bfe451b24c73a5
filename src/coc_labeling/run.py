"""Step 3 over a selection of keyframes: who labels, where records go, what is kept of the run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from batch_runs.journal import Journal
from batch_runs.outcomes import write_summary
from coc_labeling.agents import create_agent
from coc_labeling.agents.base import Agent, ModelAgent
from coc_labeling.config.schema import RunConfig
from coc_labeling.engine import GroupLabeller, label_windows
from coc_labeling.errors import CocLabelingError
from coc_labeling.inputs import Inputs, RunResult, read_inputs, shard_of
from coc_labeling.job_split import experiment_path
from coc_labeling.model_run import label_with_model, open_model
from coc_labeling.results import SUMMARY, ExperimentFolder, token_totals
from coc_labeling.saved_config import remember_config
from coc_labeling.selection import refuse_unsupported


def label_run(config: RunConfig, agent: ModelAgent | None = None) -> RunResult:
    """Label the selected keyframes into a new or resumed experiment folder.

    Args:
        config: what to label and how.
        agent: who labels, where that is not the one of the configuration.

    Raises:
        CocLabelingError, DatasetError, MetaActionError: nothing can be done as configured.
    """
    configured = check(config)
    return _label(config, configured if agent is None else agent)


def _label(config: RunConfig, agent: Agent | ModelAgent) -> RunResult:
    model = open_model(config) if isinstance(agent, ModelAgent) else None
    inputs = read_inputs(config)
    result = RunResult(ExperimentFolder(experiment_path(config), shard_of(config)), notices=inputs.notices)
    with result.folder.opened() as journal:
        prompt = {"prompt": agent.prompt_hash} if isinstance(agent, ModelAgent) else {}
        kept = config.model_dump(mode="json") | prompt
        remember_config(result.folder, kept)
        result.folder.settle(journal)
        with _settled(result, journal, kept, len(inputs.keyframes)):
            if isinstance(agent, ModelAgent):
                label_with_model(config, agent, model, inputs, journal, result)
            else:
                _label_alone(config, agent, inputs, journal, result)
    return result


@contextmanager
def _settled(result: RunResult, journal: Journal, config: dict[str, Any], keyframes: int) -> Iterator[None]:
    """Write the run's tables and its summary after the block, however it ends."""
    try:
        yield
    except Exception as error:
        result.stopped = result.stopped or f"error: {error}"
        raise
    finally:
        result.folder.settle(journal)
        write_summary(
            result.folder.table_path(SUMMARY),
            "coc_labeling.data_labeling",
            config,
            result.tally,
            unit="windows",
            stopped=result.stopped,
            tokens=token_totals(result.folder.read_table()),
            **result.extra,
            notices=list(result.notices),
            keyframes=keyframes,
        )


def _label_alone(config: RunConfig, agent: Agent, inputs: Inputs, journal: Journal, result: RunResult) -> None:
    window = config.data_loader.video
    labeller = GroupLabeller(
        inputs.loader, agent, result.folder, window.hist_length_sec, window.fut_length_sec, version("coc-toolkit")
    )
    label_windows(
        labeller, inputs.groups, inputs.keyframes, inputs.timelines, config.num_workers, journal, result.tally
    )


def check(config: RunConfig) -> Agent | ModelAgent:
    """Return the agent of a configuration that can be run, as far as that shows without its inputs.

    Raises:
        CocLabelingError: an unknown model or meta-action, a required key that is not set, keys that contradict.
    """
    agent = create_agent(config)
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


# What labelling without a model and without video has no use for; checked, and kept with the run.
WITHOUT_EFFECT = (
    "vlm_agent.",
    "data_loader.video.",
    "data_loader.meta_action.",
    "data_loader.vector.",
    "data.video_dir",
    "verbose.",
    "timeout_sec",
    "save_prompt",
    "server_ip",
    "max_",
    "prepare_memory_mb",
    "response_cache",
    "log_json",
    "openai_compatible.",
    "model_path",
    "vllm.",
    "price.",
    "egress.",
)
_WITH_EFFECT = ("data_loader.video.hist_length_sec", "data_loader.video.fut_length_sec")
# Keys of the released tool that have no meaning here, whoever labels: frames are always found by their timestamps.
MEANINGLESS = (
    "data_loader.vector.trajdata.",
    "data_loader.video.use_fpv",
    "data_loader.video.use_bev",
    "data_loader.video.fps",
    "data_loader.video.event_start_from_source_fps",
    "data_loader.meta_action.fps",
    "data_loader.meta_action.num_total_frames",
    "data_loader.meta_action.debug",
    "data_loader.vector.fps",
)


def without_effect(overrides: Sequence[str], *, asks_model: bool) -> list[str]:
    """Return the keys among Hydra overrides that change nothing."""
    idle = MEANINGLESS if asks_model else (*MEANINGLESS, *WITHOUT_EFFECT)
    keys = (override.split("=", 1)[0].lstrip("+~") for override in overrides)
    return [key for key in keys if key.startswith(idle) and key not in _WITH_EFFECT]
