"""Whole trainings of the tiny model on scenes made by hand."""

import json
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from alpamayo_r1.models.base_model import ReasoningVLA
from alpamayo_r1.training.data import TrainingData
from alpamayo_r1.training.run import TrainResult, train
from alpamayo_r1.training.settings import Stage, TrainSettings, load_settings
from hand_made import InMemory, Told, told

QUICK = ("train.precision=float32", "train.warmup_steps=2", "train.lr=1e-3", "train.gradient_checkpointing=false")


def settings_of(stage: str, model: Path, out: Path, *overrides: str) -> TrainSettings:
    """Return settings for a quick training."""
    asked = [f"out={out}", f"model.path={model}", "data.labels=made_by_hand", *QUICK, *overrides]
    return load_settings(stage, asked)


class Scenes:
    """Gives batches of scenes to a training."""

    def __init__(self, scenes: list[Told], validation: list[Told] | None = None) -> None:
        self.scenes, self.validation = scenes, validation

    def __call__(self, settings: TrainSettings, model: ReasoningVLA, accelerator: Accelerator) -> TrainingData:
        for_expert = settings.stage is Stage.EXPERT
        size = settings.train.batch_size
        share: dict[str, Any] = {"rank": accelerator.process_index, "processes": accelerator.num_processes}
        train_batches = InMemory(model, self.scenes, size, for_expert=for_expert, **share)
        held = None
        if self.validation:
            held = InMemory(model, self.validation, size, for_expert=for_expert, shuffle=False, **share)
        return TrainingData(train_batches, held, {"train": len(self.scenes), "validation": len(self.validation or [])})


def run(settings: TrainSettings, scenes: list[Told] | None = None, validation: list[Told] | None = None) -> TrainResult:
    """Train on scenes, by default on six."""
    return train(settings, Scenes(told(6) if scenes is None else scenes, validation))


def losses(out: Path, key: str = "loss") -> dict[int, float]:
    """Return what a training measured, by step."""
    lines = [json.loads(line) for line in (out / "losses.jsonl").read_text().splitlines()]
    return {line["step"]: line[key] for line in lines if key in line}
