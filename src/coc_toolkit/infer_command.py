"""``coc infer`` on the terminal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from alpamayo_r1 import extras
from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.infer.predictor import open_predictor
from alpamayo_r1.infer.request import Attention, Dtype, InferRequest, Moments, SamplingOptions
from alpamayo_r1.infer.results import PICTURES, PREDICTIONS, SUMMARY
from alpamayo_r1.infer.run import InferResult, infer
from alpamayo_r1.scenes import MODEL_CAMERAS, sorted_cameras
from batch_runs.outcomes import DONE, EXIT_FAILED, EXIT_NOTHING, FAILED, REJECTED
from batch_runs.shards import WHOLE, parse_shard
from batch_runs.terminal import say
from coc_labeling.errors import CocLabelingError
from driving_clips import files

Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True)
class InferOptions:
    """The options of ``coc infer`` that say how it predicts, as they were typed; see its help."""

    num_traj_samples: int
    num_traj_sets: int
    top_p: float
    top_k: int | None
    temperature: float
    max_generation_length: int
    batch_size: int
    seed: int
    device: str
    dtype: str
    attn_implementation: str
    cameras: str | None
    pictures: int
    shard: str


def request_of(
    checkpoint: str,
    dataset: str,
    data_dir: str,
    out: str,
    scene_list: str | None,
    moments: tuple[str | None, Sequence[int], float | None],
    options: InferOptions,
) -> InferRequest:
    """Return what was asked for; ``moments`` are --keyframes, --t0_us and --every.

    Raises:
        CocLabelingError, DatasetError: options that cannot be used.
    """
    keyframes, t0s_us, every = moments
    names = options.cameras.split(",") if options.cameras is not None else MODEL_CAMERAS
    sampling = (
        options.num_traj_samples,
        options.num_traj_sets,
        options.top_p,
        options.top_k,
        options.temperature,
        options.max_generation_length,
    )
    try:
        return InferRequest(
            checkpoint,
            dataset,
            data_dir,
            out,
            Moments(keyframes, tuple(t0s_us), _microseconds(every)),
            SamplingOptions(*sampling),
            sorted_cameras([name.strip() for name in names]),
            scene_list,
            options.batch_size,
            options.seed,
            options.device,
            _choice("--dtype", options.dtype, Dtype),
            _choice("--attn_implementation", options.attn_implementation, Attention),
            options.pictures,
            parse_shard(options.shard),
        )
    except AlpamayoError as error:
        raise CocLabelingError(str(error)) from error


def _microseconds(every: float | None) -> int | None:
    if every is None:
        return None
    if not math.isfinite(every):
        raise AlpamayoError(f"--every {every}: expected s between moments, at least 0.001.")
    return round(every * 1e6)


def run_inference(request: InferRequest) -> int:
    """Predict and print what came of it; returns the exit code, 1 where scenes failed, 2 where none was done.

    Raises:
        DatasetError, CocLabelingError: nothing can be done as asked.
    """
    extras.require()
    try:
        result = infer(request, open_predictor)
    except AlpamayoError as error:
        raise CocLabelingError(str(error)) from error
    if _nothing_asked(request, result):
        say("note: no scene is asked for: --keyframes and --scene_list have no moment of a clip in common.")
    say(*tell(result))
    if result.stopped is not None:
        return EXIT_FAILED if result.tally.count(DONE) else EXIT_NOTHING
    if not result.tally.count(DONE) and (result.tally.count(REJECTED) or _nothing_asked(request, result)):
        return EXIT_NOTHING  # a rejected scene is an honest no, but nothing came of the whole command
    return result.tally.exit_code(strict=False)


def _nothing_asked(request: InferRequest, result: InferResult) -> bool:
    """Return whether there was no scene at all, which one of many shards may honestly find."""
    return request.shard == WHOLE and not any(result.tally.count(outcome) for outcome in (DONE, REJECTED, FAILED))


def tell(result: InferResult) -> list[str]:
    """Return what is said of a run when it has ended."""
    lines = [f"note: {notice}" for notice in result.notices]
    lines += result.tally.lines("scenes")
    if result.stopped is not None:
        lines.append(f"stopped early: {result.stopped}")
    if result.tally.by_reason[REJECTED].get("no_camera") and not result.tally.count(DONE):
        lines.append(
            "Name the cameras that the clips have: --cameras roof,rear. docs/video.md says where videos are looked for."
        )
    lines.append(f"predictions: {result.folder.file(PREDICTIONS, 'jsonl')}")
    if result.pictures:
        lines.append(f"pictures: {files.join(result.folder.path, PICTURES)} ({result.pictures} new)")
    lines.append(f"summary: {result.folder.file(SUMMARY, 'json')}")
    return lines


def _choice(option: str, given: str, choices: type[Choice]) -> Choice:
    try:
        return choices(given)
    except ValueError as error:
        raise CocLabelingError(f"{option} {given!r}: expected {', '.join(choices)}.") from error
