"""``--dry-run``: what a run would send where, and about what it would cost. Nothing is sent and no record written."""

import base64
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from PIL import Image

from batch_runs.parallel import WorkerDied, map_ordered, useful_workers
from coc_labeling.agents.base import ModelAgent, PreparedWindow
from coc_labeling.asking import Asker
from coc_labeling.budget import Budget
from coc_labeling.config.schema import RunConfig
from coc_labeling.events import EventLog
from coc_labeling.inputs import read_inputs, shard_of
from coc_labeling.job_split import experiment_path
from coc_labeling.keyframes import Keyframe
from coc_labeling.model_clients.pricing import estimate_tokens
from coc_labeling.model_run import make_asker, make_preparer, open_model, price_of
from coc_labeling.preparation import ClipPreparer
from coc_labeling.rehearsal import Asked, KnownFacts, asked_at_least
from coc_labeling.results import ExperimentFolder
from coc_labeling.run import check
from coc_labeling.schema import Usage
from coc_labeling.work import GroupTask, tasks_of
from driving_clips import files

SAMPLE = 24  # windows that are really prepared; the rest is taken to be like them
ANSWER_TOKENS = 300  # of a structured answer, without reasoning

Moment = TypeVar("Moment", bound=Keyframe)


@dataclass(frozen=True)
class WindowSize:
    """What one window sends, all its questions together."""

    requests: int
    pictures: int
    request_bytes: int
    prompt_tokens: int


def dry_run(config: RunConfig) -> list[str]:
    """Return, as lines, what a run of this configuration would do.

    Raises:
        CocLabelingError, DatasetError, MetaActionError: it could not run at all.
    """
    agent = check(config)
    inputs = read_inputs(config)
    due = _due(config, inputs.keyframes)
    lines = [f"note: {notice}" for notice in inputs.notices]
    lines.append(f"dry run: nothing is sent. {len(inputs.keyframes)} windows selected, {len(due)} to label")
    if not isinstance(agent, ModelAgent):
        return [*lines, f"model_name={config.model_name} asks no model: nothing leaves this machine"]
    model = open_model(config)
    sampled = spread(due)
    tasks = tasks_of(inputs.groups, sampled, inputs.timelines, inputs.loader.dataset)
    plan = Plan(make_preparer(config, agent, model, inputs.loader), tasks, len(sampled), len(due))
    return [*lines, *would_send(config, model, plan, lambda window: _asked(agent, window))]


def _asked(agent: ModelAgent, window: PreparedWindow) -> list[Asked]:
    return asked_at_least(agent, replace(window, facts=KnownFacts()))


@dataclass(frozen=True)
class Plan:
    """What a run would work on.

    Attributes:
        preparer: makes windows ready.
        tasks: those that are looked at.
        sampled: how many windows ``tasks`` have.
        due: how many the run has.
    """

    preparer: ClipPreparer
    tasks: Iterator[GroupTask]
    sampled: int
    due: int


def would_send(
    config: RunConfig, model: object, plan: Plan, questions: Callable[[PreparedWindow], Sequence[Asked]]
) -> list[str]:
    """Return, as lines, where requests would go, how many and how large, and what they would cost; sends nothing."""
    runs_here = bool(getattr(model, "takes_model_path", False))  # where it has no hosts
    hosts = ", ".join(getattr(model, "hosts", ())) or ("none, the model runs here" if runs_here else "none known")
    lines = [f"hosts: {hosts}"]
    sizes, problems = _measure(config, model, plan, questions)
    if problems:
        lines.append(f"of {plan.sampled} windows looked at, {len(problems)} cannot be asked about:")
        lines += [f"  {item}: {message}" for _, _, item, message in problems[:5]]
    if not sizes:
        return [*lines, "nothing to send"]
    return [*lines, *_totals(config, sizes, plan.due, plan.sampled)]


def _due(config: RunConfig, keyframes: Sequence[Keyframe]) -> list[Keyframe]:
    path = experiment_path(config)
    if not files.is_dir(path):
        return list(keyframes)
    folder = ExperimentFolder(path, shard_of(config))
    found, _ = folder.finished([(keyframe.clip_id, keyframe.t_us) for keyframe in keyframes])
    return [keyframe for keyframe in keyframes if (keyframe.clip_id, keyframe.t_us) not in found]


def spread(due: Sequence[Moment]) -> list[Moment]:
    """Return windows spread evenly over all of them."""
    if len(due) <= SAMPLE:
        return list(due)
    return [due[i * len(due) // SAMPLE] for i in range(SAMPLE)]


def _measure(
    config: RunConfig, model: object, plan: Plan, questions: Callable[[PreparedWindow], Sequence[Asked]]
) -> tuple[list[WindowSize], list[tuple[str, str, str, str]]]:
    preparer = replace(plan.preparer, footage=replace(plan.preparer.footage, segments=None))
    asker = make_asker(config, model, Budget(), EventLog(None))
    clips: Iterator[GroupTask] = (part for task in plan.tasks for part in task.by_clip())
    sizes, problems = [], []
    workers = useful_workers(config.num_workers, plan.sampled)
    for _, result in map_ordered(preparer, clips, workers, isolated=True):
        if isinstance(result, WorkerDied):
            continue
        problems += result.problems
        for window in result.windows:
            if asked := questions(window):
                sizes.append(_size(asked, asker, _picture_sizes(window), config.model_name))
    return sizes, problems


def _size(asked: Sequence[Asked], asker: Asker, pixels: dict[str, tuple[int, int]], model_name: str) -> WindowSize:
    """Return what questions send, all together; ``pixels`` are width and height of each video's pictures."""
    pictures = size = tokens = 0
    for one in asked:
        shots = [shot for part in one.parts for _, shot in part.frames]
        pictures += len(shots)
        size += _bytes_of(asker.body(one.parts, one.form, one.max_tokens))
        text = sum(len(part.text) for part in one.parts)
        tokens += estimate_tokens(text, [pixels[shot.file] for shot in shots], model_name)
    return WindowSize(len(asked), pictures, size, tokens)


def _bytes_of(body: object) -> int:
    return len(json.dumps(body, ensure_ascii=False, default=str).encode())


def _picture_sizes(window: PreparedWindow) -> dict[str, tuple[int, int]]:
    """Return width and height of the pictures of each video; those of a video are alike."""
    known: dict[str, tuple[int, int]] = {}
    for shot in window.shots:
        if shot.file not in known:
            with Image.open(io.BytesIO(base64.b64decode(shot.data_uri.partition(",")[2]))) as picture:
                known[shot.file] = picture.size
    return known


def _totals(config: RunConfig, sizes: Sequence[WindowSize], windows: int, sampled: int) -> list[str]:
    share = len(sizes) / sampled
    count = round(windows * share)
    requests, pictures, size, prompt = (
        sum(getattr(one, name) for one in sizes) / len(sizes)
        for name in ("requests", "pictures", "request_bytes", "prompt_tokens")
    )
    usage = Usage(prompt_tokens=round(prompt * count), response_tokens=ANSWER_TOKENS * count)
    cost = Budget(price_of(config)).cost_of(usage)
    how = "measured" if sampled == windows else f"estimated from {sampled} windows"
    price = "price unknown: set price.prompt and price.response" if cost is None else f"about {cost:.2f} USD"
    return [
        f"{round(requests * count)} requests, {round(pictures * count)} pictures, {size * count / 1e6:.1f} MB ({how})",
        f"about {usage.prompt_tokens} + {usage.response_tokens} tokens (without the model's reasoning), {price}",
        *_limits(config, usage, cost),
    ]


def _limits(config: RunConfig, usage: Usage, cost: float | None) -> list[str]:
    lines = []
    total = usage.prompt_tokens + usage.response_tokens
    if config.max_total_tokens is not None and total > config.max_total_tokens:
        lines.append(f"max_total_tokens={config.max_total_tokens} will stop the run before its end")
    if config.max_cost_usd is not None and cost is not None and cost > config.max_cost_usd:
        lines.append(f"max_cost_usd={config.max_cost_usd} will stop the run before its end")
    return lines
