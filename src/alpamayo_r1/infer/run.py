"""Clips through the model: scenes are read ahead of it, put together to batches, and written one by one."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.infer.asked import Asked, Plan
from alpamayo_r1.infer.picture import draw
from alpamayo_r1.infer.projection import OTHER_LENSES
from alpamayo_r1.infer.reading_ahead import read_ahead
from alpamayo_r1.infer.request import InferRequest, SamplingOptions, scene_seed
from alpamayo_r1.infer.results import SUMMARY, InferFolder, ModelInfo, Prediction, RowFile, row_of
from alpamayo_r1.scenes import Scene, SceneReader
from batch_runs.outcomes import ALREADY_DONE, DONE, FAILED, REJECTED, Tally, write_summary
from batch_runs.parallel import useful_workers
from batch_runs.progress import progress
from driving_clips import files
from driving_clips.datasets import open_dataset
from driving_clips.errors import ClipError, ClipFailedError, DatasetError

log = logging.getLogger(__name__)

PREDICTED = "predicted"
ALIKE_AT_START = 4  # so many scenes that the model fails on, and none before: every one would
_READERS = 4  # threads that decode; more are of no use to a model that takes seconds a scene


class Predictor(Protocol):
    """A model that predicts scenes."""

    def predict(self, scenes: Sequence[Scene], sampling: SamplingOptions, seeds: Sequence[int]) -> list[Prediction]:
        """Return what it says of each scene; a scene's seed is its own."""

    def describe(self) -> dict[str, Any]:
        """Return what it runs on: device, dtype, attention."""


class GivenUpError(Exception):
    """The model fails on every scene."""


@dataclass
class InferResult:
    """Where a run's predictions are, what became of its scenes, and why it ended early, if it did."""

    folder: InferFolder
    tally: Tally = field(default_factory=Tally)
    notices: tuple[str, ...] = ()
    stopped: str | None = None
    pictures: int = 0


def infer(request: InferRequest, open_predictor: Callable[[InferRequest], Predictor]) -> InferResult:
    """Predict the scenes of a request that are not in its folder yet.

    Args:
        request: what is asked for.
        open_predictor: loads the model; called only once there is something to do.

    Raises:
        DatasetError, CocLabelingError: a dataset, list or keyframe file that cannot be read.
        AlpamayoError: no checkpoint, or a folder whose predictions were made otherwise.
    """
    settings = request.settings()
    reader = SceneReader(open_dataset(request.dataset, request.data_dir), request.cameras)
    plan = Plan.of(reader, request)
    total = len(plan)
    result = InferResult(InferFolder(request.out, request.shard), notices=plan.notices)
    with result.folder.opened() as rows:
        if done := result.folder.done():
            result.folder.refuse_other(settings)
        _Run(request, plan, rows, result).go(open_predictor, settings, done, total)
    return result


@dataclass
class _Run:
    request: InferRequest
    plan: Plan
    rows: RowFile
    result: InferResult
    _answered: bool = False
    _failed: int = 0

    def go(
        self,
        open_predictor: Callable[[InferRequest], Predictor],
        settings: dict[str, Any],
        done: set[tuple[str, int]],
        total: int,
    ) -> None:
        """Predict what is not ``done``; ``total`` clips are gone through."""
        predictor: Predictor | None = None
        told: dict[str, Any] = {}
        try:
            with progress("inference", total, "scenes") as advance:
                clips: set[str] = set()
                for batch in self._batches(done):
                    if predictor is None:
                        predictor = open_predictor(self.request)
                        told = {"checkpoint": files.absolute(self.request.checkpoint), **predictor.describe()}
                        self.result.folder.remember(settings, told)
                    self._predict(predictor, batch)
                    fresh = {scene.clip_id for scene in batch} - clips
                    clips |= fresh
                    advance(len(fresh), len(batch))
        except GivenUpError as error:
            self.result.stopped = str(error)
        finally:
            self._summarise(settings, told)

    def _batches(self, done: set[tuple[str, int]]) -> Iterator[list[Scene]]:
        """Yield scenes in batches; those that are there or cannot be read are counted."""
        size = self.request.batch_size
        due = (asked for asked in self.plan.scenes() if not self._counted(asked, done))
        scenes = self._readable(read_ahead(due, self._read, size + _READERS, useful_workers(_READERS, _READERS)))
        while batch := list(islice(scenes, size)):
            yield batch

    def _counted(self, asked: Asked, done: set[tuple[str, int]]) -> bool:
        """Count what needs no reading; a scene that is asked for twice is read once."""
        if asked.problem is not None:
            self._count(asked, asked.problem)
            return True
        if (asked.clip_id, asked.t0_us) in done:
            self.result.tally.add(DONE, ALREADY_DONE, asked.item)
            return True
        done.add((asked.clip_id, asked.t0_us))
        return False

    def _read(self, asked: Asked) -> Scene | ClipError:
        try:
            scene = self.plan.reader.read(asked.clip_id, asked.t0_us)
            _ = scene.frame_size  # one for all: the model is shown them together
            return scene
        except ClipError as error:
            return error
        except DatasetError:  # nothing can be decoded at all
            raise
        except Exception as error:  # whatever a reader stumbles over costs this scene only
            log.exception("%s: reading failed", asked.item)
            return ClipFailedError("crashed", f"{asked.item}: reading: {type(error).__name__}: {error}")

    def _readable(self, read: Iterator[tuple[Asked, Scene | ClipError]]) -> Iterator[Scene]:
        for asked, scene in read:
            if isinstance(scene, ClipError):
                self._count(asked, scene)
            else:
                yield scene

    def _predict(self, predictor: Predictor, batch: list[Scene]) -> None:
        """Predict and write a batch; where it fails as a whole, each scene for itself."""
        seeds = [scene_seed(scene.clip_id, scene.t0_us, self.request.seed) for scene in batch]
        try:
            predictions = predictor.predict(batch, self.request.sampling, seeds)
        except Exception as error:  # whatever a model stumbles over costs the scenes that it stumbles over
            if len(batch) > 1:
                said = f"{type(error).__name__}: {error}"
                log.warning("%d scenes at once failed, now one by one (%s)", len(batch), said)
                for scene in batch:
                    self._predict(predictor, [scene])
                return
            if not isinstance(error, AlpamayoError):  # that one says all there is to know
                log.exception("%s: predicting failed", batch[0].clip_id)
            self._fail(batch[0], error)
            return
        for scene, prediction in zip(batch, predictions, strict=True):
            self._write(scene, prediction)

    def _write(self, scene: Scene, prediction: Prediction) -> None:
        request = self.request
        model = ModelInfo(files.base_name(files.absolute(request.checkpoint)), request.sampling.arguments())
        try:
            row = row_of(scene, prediction, model, self.plan.reader.shape.step_sec)
        except ValueError as error:
            self._fail(scene, error)
            return
        self.rows.write(row)
        self._answered = True
        self.result.tally.add(DONE, PREDICTED, f"{scene.clip_id}/{scene.t0_us}")
        if self.result.pictures < request.pictures:
            self._draw(scene, prediction)

    def _draw(self, scene: Scene, prediction: Prediction) -> None:
        path = self.result.folder.picture(scene.clip_id, scene.t0_us)
        try:
            draw(scene, prediction, path, on_frame=self.request.dataset not in OTHER_LENSES)
            self.result.pictures += 1
        except OSError as error:  # a picture is no prediction
            log.warning("%s: the picture cannot be written (%s)", path, error)

    def _fail(self, scene: Scene, error: Exception) -> None:
        item = f"{scene.clip_id}/{scene.t0_us}"
        said = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        self.result.tally.add(FAILED, "model", item, said)
        self._failed += 1
        if not self._answered and self._failed >= ALIKE_AT_START:
            raise GivenUpError(f"the model failed on the first {self._failed} scenes, the last time: {said}")

    def _count(self, asked: Asked, problem: ClipError) -> None:
        outcome = REJECTED if problem.outcome == REJECTED else FAILED
        said = str(problem).removeprefix(f"{asked.clip_id}: ")  # the item names it
        self.result.tally.add(outcome, problem.reason, asked.item, said)

    def _summarise(self, settings: dict[str, Any], told: dict[str, Any]) -> None:
        request, result = self.request, self.result
        config = {
            **settings,
            "data_dir": request.data_dir,
            "scene_list": request.scene_list,
            "batch_size": request.batch_size,
            "shard": f"{request.shard.index}/{request.shard.count}",
            **told,
        }
        path = result.folder.file(SUMMARY, "json")
        write_summary(path, "coc infer", config, result.tally, unit="scenes", stopped=result.stopped)
