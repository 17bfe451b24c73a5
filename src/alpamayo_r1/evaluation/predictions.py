"""Predictions as ``coc infer`` writes them: a line of JSON per scene, checked before anything is measured.

Frames: ego's at t0, x forward and y left, m and rad; one pose every 0.1 s, the first at t0 + 0.1 s.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from alpamayo_r1.evaluation.errors import EvaluationError
from driving_clips import files
from driving_clips.datasets.base import is_legal_id
from driving_clips.ego_motion import LAST_TICK, TICK_SEC, TICK_US
from driving_clips.geometry import Floats

PREDICTIONS = "predictions.jsonl"
LEAST_STEPS, LEAST_HISTORY = 10, 2  # meta-actions need a second of motion
MOST_STEPS = 200
FURTHEST_M = 100_000.0
MOST_OFF_ORIGIN_M = 0.1  # of the pose at t0: further off, it is another frame, such as the world's
_SHOWN = 160  # characters of a message that pydantic writes


def _sane(value: float) -> float:
    if abs(value) > FURTHEST_M:
        raise ValueError(f"expected m or rad of at most {FURTHEST_M:,.0f}")
    return value


Number = Annotated[FiniteFloat, AfterValidator(_sane)]
Points = list[tuple[Number, Number]]


class _Model(BaseModel):
    name: str = ""
    checkpoint: str = ""


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    schema_version: Literal[1]
    clip_id: str
    t0_us: int = Field(ge=0, le=LAST_TICK * TICK_US * 1_000)
    model: _Model = _Model()
    cot: list[list[str]]
    stopped: list[list[bool]]
    pred_xy: list[list[Points]]
    pred_yaw: list[list[list[Number]]]
    dt: float
    history_xy: Points
    future_xy: Points | None
    future_yaw: list[Number] | None = None
    problems: list[Any] = []


@dataclass(frozen=True)
class Scene:
    """One scene: N sets of K samples each, of T steps of 0.1 s.

    Attributes:
        clip_id, t0_us: which moment.
        model: name and checkpoint, as the file says.
        cot: N * K sentences, set after set.
        stopped: (N, K) whether a sample's text ended by itself.
        pred_xy: (N, K, T, 2) m.
        pred_yaw: (N, K, T) rad.
        history_xy: (H, 2) m, the last at t0.
        future_xy: (D, 2) m, what was driven, as far as recorded; None where nothing was.
        future_yaw: (D,) rad; None where not given.
        problems: what the model's run noted.
    """

    clip_id: str
    t0_us: int
    model: str
    cot: tuple[str, ...]
    stopped: NDArray[np.bool_]
    pred_xy: Floats
    pred_yaw: Floats
    history_xy: Floats
    future_xy: Floats | None
    future_yaw: Floats | None
    problems: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, int]:
        """Clip id and t0 in us: what tells scenes apart."""
        return self.clip_id, self.t0_us

    @property
    def flat_xy(self) -> Floats:
        """All samples of all sets, (N * K, T, 2)."""
        return self.pred_xy.reshape(-1, *self.pred_xy.shape[2:])

    @property
    def flat_yaw(self) -> Floats:
        """Their headings, (N * K, T)."""
        return self.pred_yaw.reshape(-1, self.pred_yaw.shape[2])


class RawLine(NamedTuple):
    """A line as it stands in a file."""

    path: str
    number: int
    content: bytes

    def __str__(self) -> str:
        return f"{self.path}, line {self.number}"


class BadLineError(ValueError):
    """A line that is no prediction; the message names file, line, and what was expected and found."""


def prediction_files(path: str) -> list[str]:
    """Return the files of one run of a model: the file itself, or those in the folder of ``coc infer``.

    Raises:
        EvaluationError: no such file, or a folder without predictions.
    """
    if files.is_file(path):
        return [path]
    if not files.is_dir(path):
        raise EvaluationError(
            f"{path}: no such file. Expected {PREDICTIONS}, or the folder that coc infer wrote it to."
        )
    whole = files.join(path, PREDICTIONS)
    if files.is_file(whole):
        return [whole]
    shards = [name for name in files.list_names(path, ".jsonl") if name.startswith("predictions.")]
    if not shards:
        raise EvaluationError(f"{path}: no {PREDICTIONS} in it. Run coc infer first, or name the file.")
    return [files.join(path, name) for name in sorted(shards)]


def lines_of(paths: list[str]) -> Iterator[RawLine]:
    """Yield the lines of files, one after the other; blank ones are left out."""
    for path in paths:
        for number, content in enumerate(files.lines_of(path), start=1):
            if content.strip():
                yield RawLine(path, number, content)


def parse(line: RawLine) -> Scene:
    """Return the scene of a line.

    Raises:
        BadLineError: it is no JSON, a field is missing or of another kind, a number is not finite, or shapes differ.
    """
    try:
        own = _Line.model_validate_json(line.content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the line"
        found = f", found {repr(first['input'])[:_SHOWN]}" if first["type"] != "json_invalid" else ""
        raise BadLineError(f"{line}: {where}: {first['msg'][:_SHOWN]}{found}.") from error
    if not is_legal_id(own.clip_id):
        raise BadLineError(f"{line}: clip_id: {own.clip_id[:80]!r} is no clip id.")
    if not math.isclose(own.dt, TICK_SEC):
        raise BadLineError(f"{line}: dt: expected steps of {TICK_SEC} s, found {own.dt}.")
    try:
        return _scene(own)
    except ValueError as error:
        raise BadLineError(f"{line}: clip {own.clip_id}: {error}") from error


def _scene(own: _Line) -> Scene:
    sets, samples, steps = _shape(own)
    shape = (sets, samples, steps)
    xy = np.array(own.pred_xy, dtype=np.float64).reshape(*shape, 2)
    yaw = np.array(own.pred_yaw, dtype=np.float64).reshape(shape)
    if len(own.history_xy) < LEAST_HISTORY:
        raise ValueError(f"history_xy: expected at least {LEAST_HISTORY} poses, found {len(own.history_xy)}.")
    if math.hypot(*(last := own.history_xy[-1])) > MOST_OFF_ORIGIN_M:
        raise ValueError(f"history_xy: expected the last pose at t0, which is [0, 0] in ego's frame, found {[*last]}.")
    future = np.array(own.future_xy, dtype=np.float64).reshape(-1, 2) if own.future_xy else None
    headings = np.array(own.future_yaw, dtype=np.float64) if own.future_yaw and future is not None else None
    if future is not None and headings is not None and len(headings) != len(future):
        raise ValueError(f"future_yaw: expected {len(future)} headings as in future_xy, found {len(headings)}.")
    return Scene(
        own.clip_id,
        own.t0_us,
        f"{own.model.name} {own.model.checkpoint}".strip(),
        tuple(text for texts in own.cot for text in texts),
        np.array(own.stopped, dtype=np.bool_).reshape(sets, samples),
        xy,
        yaw,
        np.array(own.history_xy, dtype=np.float64),
        future,
        headings,
        tuple(str(problem)[:_SHOWN] for problem in own.problems),
    )


def _shape(own: _Line) -> tuple[int, int, int]:
    """Return sets, samples and steps; raises ValueError where they are not the same throughout."""
    sets, samples = len(own.pred_xy), len(own.pred_xy[0]) if own.pred_xy else 0
    if not samples:
        raise ValueError("pred_xy: expected at least one set with one sample, found none.")
    steps = len(own.pred_xy[0][0])
    if not LEAST_STEPS <= steps <= MOST_STEPS:
        raise ValueError(f"pred_xy: expected {LEAST_STEPS} to {MOST_STEPS} steps of {TICK_SEC} s, found {steps}.")
    for name, one in (("pred_xy", own.pred_xy), ("pred_yaw", own.pred_yaw)):
        lengths = [[len(sample) for sample in samples_of] for samples_of in one]
        if lengths != [[steps] * samples] * sets:
            found = f"by set and sample {str(lengths)[:_SHOWN]} steps"
            raise ValueError(f"{name}: expected {sets} sets of {samples} samples of {steps} steps, found {found}.")
    for name, texts in (("cot", own.cot), ("stopped", own.stopped)):
        if (counts := [len(row) for row in texts]) != [samples] * sets:
            found = f"{str(counts)[:_SHOWN]} samples by set"
            raise ValueError(f"{name}: expected {sets} sets of {samples} samples as in pred_xy, found {found}.")
    return sets, samples, steps
