"""One model's predictions, all scenes of them: read, measured in worker processes, and kept as columns."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from alpamayo_r1.evaluation.errors import EvaluationError
from alpamayo_r1.evaluation.labels import Labels
from alpamayo_r1.evaluation.measures import KEYS
from alpamayo_r1.evaluation.measuring import SceneResult, measured
from alpamayo_r1.evaluation.predictions import BadLineError, RawLine, lines_of, prediction_files
from alpamayo_r1.evaluation.sentences import NOTHING, Decisions
from batch_runs.outcomes import DONE, FAILED, Tally
from batch_runs.parallel import WorkerDied, map_ordered, useful_workers
from batch_runs.progress import progress
from driving_clips import files
from driving_clips.geometry import Floats

LINES_AT_ONCE = 20
BYTES_PER_WORKER = 4_000_000  # fewer are measured sooner than another process starts
MOST_WORKERS = 32


@dataclass(frozen=True)
class Evaluated:
    """S scenes of one model, by clip and time.

    Attributes:
        name: how it is called in tables.
        paths: its files.
        scenes: what was measured of each.
        labels: what the label of each scene decides; None where there is none.
        values: (S, M) by the keys of ``measures``, NaN where a scene does not have one.
        clip: (S,) a number for each clip, in the order of their ids.
        tally: how each line was counted.
    """

    name: str
    paths: tuple[str, ...]
    scenes: tuple[SceneResult, ...]
    labels: tuple[Decisions | None, ...]
    values: Floats
    clip: NDArray[np.intp]
    tally: Tally = field(compare=False)

    def __len__(self) -> int:
        return len(self.scenes)

    @property
    def clips(self) -> int:
        """How many clips there are."""
        return len(np.unique(self.clip))

    @property
    def models(self) -> list[str]:
        """The models that the files name."""
        return sorted({scene.model for scene in self.scenes})

    @property
    def shapes(self) -> Counter[tuple[int, int, int]]:
        """How many scenes have so many sets, samples and steps."""
        return Counter(scene.shape for scene in self.scenes)

    def column(self, key: str) -> Floats:
        """Return a measure (S,) of all scenes, NaN where a scene does not have it."""
        values: Floats = self.values[:, KEYS.index(key)]
        return values


class Lines:
    """Measures lines; travels to worker processes."""

    def __call__(self, lines: Sequence[RawLine]) -> list[SceneResult | str]:
        """Return what was measured of each line, or what is wrong with it."""
        return [self._one(line) for line in lines]

    def _one(self, line: RawLine) -> SceneResult | str:
        try:
            return measured(line)
        except BadLineError as error:
            return str(error)


def evaluate_files(path: str, name: str, labels: Labels | None) -> Evaluated:
    """Measure all scenes of a model.

    Args:
        path: its predictions.jsonl, or the folder of ``coc infer``.
        name: how it is called in tables.
        labels: what its sentences are compared with, or None.

    Raises:
        EvaluationError: no such file, or no line of it can be used.
    """
    paths = prediction_files(path)
    tally, found = Tally(), dict[tuple[str, int], SceneResult]()
    for line, result in _results(paths, name):
        item = f"{files.base_name(line.path)}:{line.number}"
        if isinstance(result, str):
            tally.add(FAILED, "bad_line", item, result)
        elif (earlier := found.setdefault(result.key, result)) is not result:
            where = f"clip {result.clip_id} at {result.t0_us} us stands in line {earlier.line.number} already."
            tally.add(FAILED, "repeated", item, f"{line}: {where}")
        else:
            tally.add(DONE, "measured", item)
    if not found:
        problems = [message for reasons in tally.by_reason[FAILED].values() for message in reasons.values()]
        raise EvaluationError(
            problems[0] if problems else f"{path}: no scene in it. Expected a line of JSON per scene."
        )
    scenes = tuple(found[key] for key in sorted(found))
    own = tuple(None if labels is None else labels.at(*scene.key) for scene in scenes)
    _, clip = np.unique([scene.clip_id for scene in scenes], return_inverse=True)
    return Evaluated(name, tuple(paths), scenes, own, _columns(scenes, own), clip, tally)


def _results(paths: Sequence[str], name: str) -> Iterator[tuple[RawLine, SceneResult | str]]:
    size = sum(files.stamp(path).size for path in paths)
    workers = useful_workers(MOST_WORKERS, 1 + size // BYTES_PER_WORKER)
    lines_left = lines_of(list(paths))
    tasks = iter(lambda: list(islice(lines_left, LINES_AT_ONCE)), [])
    with progress(f"evaluate {name}", size, "scenes") as advance:
        for lines, results in map_ordered(Lines(), tasks, workers, lambda task: [[line] for line in task]):
            if isinstance(results, WorkerDied):
                results = [f"{line}: the process measuring it died (out of memory?)." for line in lines]
            advance(sum(len(line.content) for line in lines), len(lines))
            yield from zip(lines, results, strict=True)


def _columns(scenes: Sequence[SceneResult], labels: Sequence[Decisions | None]) -> Floats:
    values = np.full((len(scenes), len(KEYS)), np.nan)
    place = {key: column for column, key in enumerate(KEYS)}
    for row, (scene, label) in enumerate(zip(scenes, labels, strict=True)):
        for key, value in (scene.values | _agreeing(scene, label)).items():
            values[row, place[key]] = value
    return values


def _agreeing(scene: SceneResult, label: Decisions | None) -> dict[str, float]:
    """Return the shares of samples whose sentence decides what the label does; one that cannot be read does not."""
    if label is None:
        return {}
    speed = [own != NOTHING and own.longitudinal == label.longitudinal for own in scene.decisions]
    lane = [own != NOTHING and own[1:] == label[1:] for own in scene.decisions]
    return {"longitudinal_agrees": sum(speed) / len(speed), "lateral_agrees": sum(lane) / len(lane)}
