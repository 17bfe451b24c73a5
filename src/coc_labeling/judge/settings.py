"""The configuration that a judge is asked with: the experiment's, without what concerns the model that labelled."""

import contextlib
import copy
from collections.abc import Mapping
from typing import Any

from coc_labeling.checks.inputs import config_of
from coc_labeling.config.loading import PRESETS, load_config
from coc_labeling.config.schema import RunConfig
from coc_labeling.errors import CocLabelingError
from coc_labeling.model_clients.vlm_wrappers.factory import ENTRY_POINTS, MODEL_WRAPPER_REGISTRY
from coc_labeling.results import CONFIG
from coc_labeling.saved_config import default_values, saved_config
from coc_labeling.segment_videos import SegmentVideos
from driving_clips import files, registry

HISTORY_SEC, FUTURE_SEC = 2.0, 6.0
# What a run said about its own model, its own limits and where its frames might go: a judge begins without it.
_OF_THE_LABELLER = (
    "server_ip",
    "openai_compatible",
    "model_path",
    "vllm",
    "price",
    "max_in_flight",
    "max_total_tokens",
    "max_cost_usd",
)
_ALLOWED = "egress.allow_hosts"


def judge_config(run_dir: str, model_name: str, changes: Mapping[str, Any]) -> RunConfig:
    """Return the configuration of an experiment with a judge in place of its model; defaults where it has kept none.

    Args:
        run_dir: the experiment.
        model_name: the judge.
        changes: values by dotted key, which come last.

    Raises:
        CocLabelingError: an unknown key, value or model; nothing says where the drives are.
    """
    defaults = default_values()
    _refuse_unknown(changes, defaults)
    models = registry.names(MODEL_WRAPPER_REGISTRY, ENTRY_POINTS)
    if model_name not in models:
        raise CocLabelingError(f"--model-name {model_name}: unknown; a judge is one of: {', '.join(models)}")
    own = {
        **{key: copy.deepcopy(defaults[key]) for key in _OF_THE_LABELLER},
        _ALLOWED: [],
        "model_name": model_name,
        "shard": None,
        "resume_exp_dir": None,
        "dry_run": False,
        "data_loader.video.hist_length_sec": HISTORY_SEC,
        "data_loader.video.fut_length_sec": FUTURE_SEC,
        "data_loader.video.save_segment_videos": False,
    }
    try:
        return config_of(run_dir, {**own, **changes})
    except CocLabelingError:
        load_config(PRESETS[0], [], settings=changes)  # if it is for a changed value, this names it
        raise


def segment_folder(run_dir: str) -> str | None:
    """Return where an experiment saved its windows as videos, None where it saved none."""
    if not files.exists(files.join(run_dir, CONFIG)):
        return None
    config = saved_config(run_dir, {})
    if not config.data_loader.video.save_segment_videos:
        return None
    with contextlib.suppress(CocLabelingError):
        return SegmentVideos.of(config).folder
    return None


def _refuse_unknown(changes: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    for key in changes:
        section: Any = defaults
        for name in key.split("."):
            if not isinstance(section, Mapping) or name not in section:
                raise CocLabelingError(f"unknown configuration key {key!r}; see docs/configuration.md.")
            section = section[name]
