"""Batches to train the tiny model on, made by hand: a prompt, what is to be written after it, and the path driven."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from alpamayo_r1.geometry import rot_of_yaw
from alpamayo_r1.models.base_model import ReasoningVLA
from tiny_model import SceneSpec, data_of

WAYPOINTS, FUTURE_TOKENS = 8, 16


@dataclass(frozen=True)
class Told:
    """A scene, what is said of it, and how it goes on: speed and curvature stay, the speed changes by ``accel``."""

    name: str
    cot: str
    scene: SceneSpec = field(default_factory=SceneSpec)
    accel: float = 0.0
    t0_us: int = 1_600_000
    cot_ends: bool = True
    has_future_start: bool = True
    after: str = ""  # its future's start token, where that ends what is written

    @property
    def future(self) -> tuple[Tensor, Tensor]:
        """Positions (1, 8, 3) and rotations (1, 8, 3, 3)."""
        t = 0.1 * (torch.arange(WAYPOINTS) + 1)
        s = self.scene.speed_mps * t + self.accel * t**2 / 2
        yaw = self.scene.curvature * s
        xyz = torch.stack([s, self.scene.curvature * s**2 / 2, torch.zeros_like(s)], dim=-1)
        return xyz[None], rot_of_yaw(yaw)[None]

    def answer(self, *, for_expert: bool) -> str:
        """What is written after ``<|cot_start|>``."""
        said = self.cot + ("<|cot_end|>" if self.cot_ends else "")
        if self.has_future_start:
            said += "<|traj_future_start|>"
        if for_expert:
            return said + self.after
        return said + "<|traj_future|>" * FUTURE_TOKENS + "<|traj_future_end|><|im_end|>"


def batch_of(model: ReasoningVLA, *rows: Told, for_expert: bool = False) -> dict[str, Any]:
    """Return a batch as the collator gives it; the loss is on everything after the prompt."""
    singles = [data_of(model, row.scene)["tokenized_data"] for row in rows]
    prompts = [single["input_ids"][0] for single in singles]
    answers = [
        torch.tensor(model.tokenizer(row.answer(for_expert=for_expert), add_special_tokens=False)["input_ids"])
        for row in rows
    ]
    whole = [torch.cat(parts) for parts in zip(prompts, answers, strict=True)]
    length = max(map(len, whole))
    pad = model.tokenizer.pad_token_id
    ids = torch.stack([torch.cat([torch.full((length - len(own),), pad), own]) for own in whole])
    mask = torch.stack([torch.arange(length) >= length - len(own) for own in whole])
    # cot_start is the prompt's last token
    loss = torch.stack([torch.arange(length) >= length - len(answer) - 1 for answer in answers])
    poses = [(*row.scene.history, *row.future) for row in rows]
    names = ("ego_history_xyz", "ego_history_rot", "ego_future_xyz", "ego_future_rot")
    return {
        "tokenized_data": {
            "input_ids": ids,
            "attention_mask": mask.long(),
            "pixel_values": torch.cat([single["pixel_values"] for single in singles]),
            "image_grid_thw": torch.cat([single["image_grid_thw"] for single in singles]),
        },
        **{name: torch.stack(part) for name, part in zip(names, zip(*poses, strict=True), strict=True)},
        "loss_mask": loss,
        "names": [(row.name, row.t0_us) for row in rows],
        "problems": [],
    }


def told(count: int, **changes: Any) -> list[Told]:
    """Return scenes that differ in pictures, speed, text and future."""
    texts = ("Stop for the red light.", "Go on, the road is clear.", "Brake for the lead.", "Pass the parked car.")
    return [
        replace(
            Told(
                f"clip_{number}", texts[number % 4], SceneSpec(seed=number, speed_mps=5.0 + number % 3), number % 4 - 2
            ),
            **changes,
        )
        for number in range(count)
    ]


class InMemory:
    """Batches of a list of scenes, in an order that the epoch decides; ``rank`` of ``processes`` gets its share."""

    def __init__(
        self,
        model: ReasoningVLA,
        scenes: Sequence[Told],
        size: int,
        *,
        for_expert: bool = False,
        shuffle: bool = True,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.model, self.scenes, self.size = model, list(scenes), size
        self.for_expert, self.shuffle, self.rank, self.processes = for_expert, shuffle, rank, processes

    def __len__(self) -> int:
        return -(-len(self.scenes) // self.size) // self.processes

    def epoch(self, number: int, skip: int = 0) -> Iterator[dict[str, Any]]:
        order = list(range(len(self.scenes)))
        if self.shuffle:
            order = torch.randperm(len(order), generator=torch.Generator().manual_seed(number)).tolist()
        groups = [order[start : start + self.size] for start in range(0, len(order), self.size)]
        own = groups[self.rank :: self.processes][: len(self)]
        for group in own[skip:]:
            yield batch_of(self.model, *(self.scenes[i] for i in group), for_expert=self.for_expert)

    def close(self) -> None:
        pass
