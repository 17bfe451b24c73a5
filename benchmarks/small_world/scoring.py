"""What predictions on held-out moments are worth: the right cause, and paths against those of constant velocity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alpamayo_r1.evaluation.corridor import off_path
from alpamayo_r1.evaluation.displacement import best_at, distances
from alpamayo_r1.evaluation.predictions import PREDICTIONS, Scene, lines_of, parse
from benchmarks.small_world.folder import Truth
from benchmarks.small_world.sentences import named_cause
from benchmarks.small_world.world import Cause
from driving_clips.geometry import Floats


@dataclass(frozen=True)
class Scored:
    """One held-out moment.

    Attributes:
        clip_id: which.
        cause: the true one.
        right: share of samples whose sentence names it.
        named: what the first sample's sentence names, or None.
        min_ade_m, ade_m: of the best sample, and of all.
        constant_m: the mean distance of driving straight on at the speed of the history's last step.
        off_path: share of samples that leave the corridor around what was driven.
    """

    clip_id: str
    cause: Cause
    right: float
    named: Cause | None
    min_ade_m: float
    ade_m: float
    constant_m: float
    off_path: float


def scored(folder: Path, truths: Mapping[str, Truth]) -> list[Scored]:
    """Return the scores of a folder of ``coc infer``, by clip id."""
    scenes = [parse(line) for line in lines_of([str(folder / PREDICTIONS)])]
    return sorted((score(scene, truths[scene.clip_id]) for scene in scenes), key=lambda one: one.clip_id)


def score(scene: Scene, truth: Truth) -> Scored:
    """Return the scores of one moment."""
    assert scene.future_xy is not None, f"{scene.clip_id}: the world is driven to its end"
    named = [named_cause(sentence) for sentence in scene.cot]
    steps = scene.pred_xy.shape[2]
    off = distances(scene.pred_xy, scene.future_xy[:steps])
    leaves, _ = off_path(scene.flat_xy, scene.history_xy, scene.future_xy)
    return Scored(
        scene.clip_id,
        truth.cause,
        float(np.mean([one is truth.cause for one in named])),
        named[0],
        float(best_at(off, steps).mean()),
        float(off.mean()),
        constant_velocity_m(scene.history_xy, scene.future_xy[:steps]),
        float(leaves.mean()),
    )


def constant_velocity_m(history_xy: Floats, driven_xy: Floats) -> float:
    """Return the mean distance in m of a path that goes on as the last two poses of a history (H, 2) say."""
    step = history_xy[-1] - history_xy[-2]
    straight = history_xy[-1] + step * np.arange(1, len(driven_xy) + 1)[:, None]
    return float(np.linalg.norm(straight - driven_xy, axis=1).mean())


@dataclass(frozen=True)
class Summary:
    """Means over moments; see ``Scored``."""

    scenes: int
    right: float
    min_ade_m: float
    ade_m: float
    constant_m: float
    off_path: float

    @property
    def times_better(self) -> float:
        """How many times smaller the best sample's distance is than that of constant velocity."""
        return self.constant_m / self.min_ade_m


def summary(scores: Sequence[Scored]) -> Summary:
    """Return the means of at least one score."""
    names = ("right", "min_ade_m", "ade_m", "constant_m", "off_path")
    return Summary(len(scores), *(float(np.mean([getattr(one, name) for one in scores])) for name in names))
