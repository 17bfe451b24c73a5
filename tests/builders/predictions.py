"""A stand-in for the reasoning model: it drives on straight, and its words follow from the scene's seed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alpamayo_r1.infer.request import InferRequest, Moments, SamplingOptions
from alpamayo_r1.infer.results import Prediction
from alpamayo_r1.scenes import MODEL_CAMERAS, Scene


class StraightOn:
    """Predicts 6.4 s at the speed of the last step, each sample a little to the side of the one before.

    Attributes:
        calls: the clips of each call.
        bad: clip ids that it fails on, alone or with others.
    """

    def __init__(self, bad: Sequence[str] = ()) -> None:
        self.calls: list[list[str]] = []
        self.bad = set(bad)

    def predict(self, scenes: Sequence[Scene], sampling: SamplingOptions, seeds: Sequence[int]) -> list[Prediction]:
        """Predict."""
        self.calls.append([scene.clip_id for scene in scenes])
        if any(scene.clip_id in self.bad for scene in scenes):
            raise RuntimeError("out of luck")
        return [self._one(scene, sampling, seed) for scene, seed in zip(scenes, seeds, strict=True)]

    def describe(self) -> dict[str, Any]:
        """Say what it is."""
        return {"device": "none"}

    @staticmethod
    def _one(scene: Scene, sampling: SamplingOptions, seed: int) -> Prediction:
        sets, samples = sampling.num_traj_sets, sampling.num_traj_samples
        xyz = np.zeros((sets, samples, 64, 3))
        xyz[..., 0] = -scene.path.history_xyz[-2, 0] * np.arange(1, 65)
        xyz[..., 1] = np.arange(sets * samples).reshape(sets, samples, 1) * 0.5
        words = [[f"Keep the speed, says {seed % 1000} {k}." for k in range(samples)] for _ in range(sets)]
        empty = [[""] * samples for _ in range(sets)]
        return Prediction(words, empty, [[True] * samples] * sets, xyz, np.zeros((sets, samples, 64)), seed)


def tiny_config(folder: Path) -> Path:
    """Write what passes for a checkpoint as long as nobody loads it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "alpamayo_r1"}')
    return folder


def infer_request(checkpoint: Path, data_dir: Path, out: Path, **changes: Any) -> InferRequest:
    """Return a request on a Physical AI folder: one camera, two moments of each clip."""
    settings: dict[str, Any] = {
        "checkpoint": str(checkpoint),
        "dataset": "pai",
        "data_dir": str(data_dir),
        "out": str(out),
        "moments": Moments(t0s_us=(5_100_000, 8_000_000)),
        "sampling": SamplingOptions(num_traj_samples=2),
        "cameras": MODEL_CAMERAS[1:2],
        "pictures": 0,
    }
    return InferRequest(**settings | changes)
