"""A run with a model, put together from the configuration."""

import contextlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from batch_runs.journal import Journal
from batch_runs.outcomes import Tally
from batch_runs.parallel import useful_workers
from batch_runs.terminal import complain
from coc_labeling.agents.base import ModelAgent
from coc_labeling.asking import Asker
from coc_labeling.budget import Budget, add
from coc_labeling.config.schema import RunConfig
from coc_labeling.errors import CocLabelingError
from coc_labeling.events import EventLog
from coc_labeling.footage import Footage, find_redactor
from coc_labeling.inputs import Inputs, RunResult
from coc_labeling.job_split import response_cache_dir
from coc_labeling.keyframes import Keyframe
from coc_labeling.model_clients.pricing import PRICES, Price
from coc_labeling.model_clients.vlm_wrappers.common import BaseWrapper, LocalSettings, ModelSettings
from coc_labeling.model_clients.vlm_wrappers.factory import create_model_wrapper
from coc_labeling.model_engine import INTERRUPTED, ModelRun
from coc_labeling.model_work import Labelling, ModelWork
from coc_labeling.preparation import ClipPreparer, Teller
from coc_labeling.recording import Recorder, sent_sampling
from coc_labeling.response_cache import ResponseCache
from coc_labeling.results import SUMMARY, ExperimentFolder, token_totals
from coc_labeling.schema import Provenance, Usage
from coc_labeling.segment_videos import SegmentVideos
from coc_labeling.status import RunStatus
from coc_labeling.windows import Sampling
from coc_labeling.work import count_unread, tasks_of, without_finished
from driving_clips import files
from driving_clips.trajectories import TrajectoryLoader
from driving_clips.video.locating import VideoFinder
from driving_clips.video.pictures import ImageSettings

PROMPT_EXAMPLE, EVENTS, VLLM_LOG = "prompt_example.txt", "events.jsonl", "vllm.log"
_STAGES = 2  # in which an agent may show the videos of all cameras
_DEFAULT_IN_FLIGHT = 8  # of a wrapper that does not say what it likes


def open_model(config: RunConfig) -> Any:
    """Return the wrapper that reaches the model; nothing is sent yet.

    Raises:
        CocLabelingError: credentials, addresses, permissions or folders are missing.
        DatasetError: an unknown redactor.
    """
    if config.egress.redactor is not None:
        find_redactor(config.egress.redactor)
    if config.data_loader.video.save_segment_videos:
        SegmentVideos.of(config)
    price_of(config)
    model = create_model_wrapper(config.model_name, config.server_ip, config.timeout_sec, model_settings(config))
    if config.model_path is not None and not getattr(model, "takes_model_path", False):
        raise CocLabelingError(
            f"model_path={config.model_path} is for models that run here, and model_name={config.model_name} does "
            "not. Leave model_path out, or choose model_name=qwen3.5_35b or alpamayo_r1."
        )
    return model


def model_settings(config: RunConfig) -> ModelSettings:
    """Return what of the configuration concerns wrappers."""
    compatible = config.openai_compatible
    return ModelSettings(
        allow_hosts=tuple(config.egress.allow_hosts),
        max_retries=config.max_retries,
        base_url=compatible.base_url,
        model=compatible.model,
        api_key_env=compatible.api_key_env,
        response_format=compatible.response_format,
        token_parameter=compatible.token_parameter,
        omit_parameters=tuple(compatible.omit_parameters),
        extra_body=compatible.extra_body,
        local=LocalSettings(
            model_path=config.model_path,
            videos_per_prompt=_STAGES * len(config.data_loader.video.cameras),
            **config.vllm.model_dump(),
        ),
    )


def price_of(config: RunConfig) -> Price | None:
    """Return what the model's tokens cost; the configuration's price comes first, then the list price.

    Raises:
        CocLabelingError: a limit on cost, and no price to count by.
    """
    own, listed = config.price, PRICES.get(config.model_name)
    prompt = listed.usd_per_million_prompt if own.prompt is None and listed else own.prompt
    response = listed.usd_per_million_response if own.response is None and listed else own.response
    if prompt is not None and response is not None:
        cached = listed.usd_per_million_cached if own.prompt is None and listed else prompt
        return Price(prompt, response, cached if own.cached_prompt is None else own.cached_prompt)
    if config.max_cost_usd is not None or any(own.model_dump().values()):
        raise CocLabelingError(
            f"the price of model_name={config.model_name} is not known, or not in full. Set price.prompt and "
            "price.response in USD per million tokens, or limit max_total_tokens instead of max_cost_usd."
        )
    return None


def label_with_model(
    config: RunConfig, agent: ModelAgent, model: Any, inputs: Inputs, journal: Journal, result: RunResult
) -> None:
    """Label the windows of ``inputs`` that have no record yet; fills ``result``."""
    dataset = inputs.loader.dataset
    due = without_finished(result.folder, inputs.keyframes, journal, result.tally)
    result.folder.settle(journal)
    budget = Budget(price_of(config), config.max_total_tokens, config.max_cost_usd, earlier=spent_before(result.folder))
    with contextlib.closing(EventLog(_event_path(config, result))) as events:
        asker = make_asker(config, model, budget, events)
        work = Labelling(agent, _recorder(config, agent, asker, inputs.loader, result), journal)
        preparer = make_preparer(config, agent, model, inputs.loader)
        run = make_run(config, model, work, preparer, asker, result.tally, len(due))
        run.example_path = _example_path(config, result)
        events.write("run_started", windows=len(due), keyframes=len(inputs.keyframes), model=config.model_name)
        if isinstance(model, BaseWrapper):
            model.log_path = result.folder.table_path(VLLM_LOG)
        _say_data(config, inputs, due)
        try:
            stop = run.ask(tasks_of(inputs.groups, due, inputs.timelines, dataset)) if due else run.stop
            result.stopped = None if stop.reason is None else f"{stop.reason}: {stop.detail}"
            result.interrupted = stop.reason == INTERRUPTED
            count_unread(due, result.tally, dataset, result.stopped)
        finally:
            result.extra = summary_of(run, model)
            events.write("run_finished", stopped=result.stopped, counts=run.status.counts())


def make_run(
    config: RunConfig,
    model: Any,
    work: ModelWork,
    preparer: ClipPreparer,
    asker: Asker,
    tally: Tally,
    due: int,
    unit: str = "labels",
) -> ModelRun:
    """Return a run of ``due`` windows that is ready to ask; ``unit`` is what its progress line counts."""
    verbose = config.verbose
    return ModelRun(
        preparer,
        work,
        asker,
        tally,
        RunStatus(due, asker.budget, verbose.verbose_speed, verbose.verbose_result, unit),
        workers=useful_workers(config.num_workers, due),
        max_in_flight=_in_flight(config, model),
        prepare_bytes=config.prepare_memory_mb * 2**20,
    )


def spent_before(folder: ExperimentFolder) -> Usage:
    """Return what an experiment has cost so far: its records, and what its last run spent on windows without one."""
    by_records = {f"{kind}_tokens": count for kind, count in token_totals(folder.read_table()).items()}
    try:
        kept = json.loads(files.read_text(folder.table_path(SUMMARY)))["experiment"]
        by_summary = {name: int(kept[name]) for name in Usage.model_fields}
    except (OSError, ValueError, KeyError, TypeError):
        by_summary = {}
    return Usage(**{name: max(by_records[name], by_summary.get(name, 0)) for name in Usage.model_fields})


def make_asker(config: RunConfig, model: Any, budget: Budget, events: EventLog) -> Asker:
    """Return what puts questions to the model."""
    settings = config.vlm_agent
    sampling = {
        "seed": settings.seed,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "repetition_penalty": settings.repetition_penalty,
    }
    cache = ResponseCache(response_cache_dir(config) if config.response_cache else None)
    threads = None if isinstance(model, BaseWrapper) else ThreadPoolExecutor(_in_flight(config, model), "asking")
    return Asker(model, sampling, cache, budget, events, threads)


def make_preparer(config: RunConfig, agent: Teller, model: Any, loader: TrajectoryLoader) -> ClipPreparer:
    """Return what makes windows ready in worker processes."""
    video = config.data_loader.video
    return ClipPreparer(
        loader,
        agent,
        replace(make_footage(config, loader, agent), parted=agent.needs_history),
        video.hist_length_sec,
        video.fut_length_sec,
        needs_frames=bool(getattr(model, "needs_frames", True)),
    )


def make_footage(config: RunConfig, loader: TrajectoryLoader, agent: Teller) -> Footage:
    """Return what brings the frames of windows, as the agent wants them."""
    video = config.data_loader.video
    configured = Footage(
        VideoFinder(loader.dataset, config.data.video_dir),
        tuple(video.cameras),
        Sampling(video.hist_length_sec, video.fut_length_sec, video.time_interval),
        ImageSettings(video.jpeg_quality, video.max_side, video.max_pixels),
        config.egress.redactor,
        SegmentVideos.of(config) if video.save_segment_videos else None,
    )
    return agent.footage(configured) if isinstance(agent, ModelAgent) else configured


def _recorder(
    config: RunConfig, agent: ModelAgent, asker: Asker, loader: TrajectoryLoader, result: RunResult
) -> Recorder:
    images = make_footage(config, loader, agent).images
    made_by = Provenance(
        agent=agent.name,
        model=config.model_name,
        prompt_version=agent.prompt_version,
        prompt_hash=agent.prompt_hash,
        sampling=sent_sampling(asker.body([], None, config.vlm_agent.max_tokens)),
        images={"jpeg_quality": images.quality, "max_side": images.max_side, "max_pixels": images.max_pixels},
        code_version=version("coc-toolkit"),
        dataset=loader.dataset.name,
        told_facts=agent.told_facts,
    )
    return Recorder(result.folder, agent, made_by, config.save_prompt)


def _in_flight(config: RunConfig, model: Any) -> int:
    return config.max_in_flight or int(getattr(model, "preferred_in_flight", _DEFAULT_IN_FLIGHT))


def _event_path(config: RunConfig, result: RunResult) -> str | None:
    return result.folder.table_path(EVENTS) if config.log_json else None


def _example_path(config: RunConfig, result: RunResult) -> str | None:
    return result.folder.table_path(PROMPT_EXAMPLE) if config.verbose.verbose_prompt else None


def _say_data(config: RunConfig, inputs: Inputs, due: Sequence[Keyframe]) -> None:
    if config.verbose.verbose_data:
        clips = len({keyframe.clip_id for keyframe in due})
        complain(f"{len(inputs.keyframes)} windows selected, {len(due)} to label, of {clips} clips")


def summary_of(run: ModelRun, model: Any) -> dict[str, Any]:
    """Return what a run with a model adds to its summary."""
    spent, budget = run.asker.budget.spent, run.asker.budget
    log = getattr(model, "egress", None)
    return {
        "model": model.describe() if isinstance(model, BaseWrapper) else {"wrapper": type(model).__name__},
        "max_in_flight": run.max_in_flight,
        "workers": run.workers,
        "this_run": {
            "requests": budget.requests,
            "answered_from_cache": run.asker.cache.hits,
            f"{run.status.unit}_per_minute": round(run.status.average_per_minute, 1),
            **spent.model_dump(),
            "cost_usd": budget.cost_of(spent),
        },
        "experiment": add(budget.earlier, spent).model_dump(),
        "cost_usd": budget.total_cost(),
        "egress": log.summary() if log is not None else {},
        **_measured(model),
        "windows_with_video_notes": run.status.noted,
    }


def _measured(model: Any) -> dict[str, Any]:
    found = model.measured() if isinstance(model, BaseWrapper) else {}
    return {"engine": found} if found else {}
