"""Sampling with known noise and known words."""

from collections.abc import Sequence
from typing import Any

from alpamayo_r1.models.alpamayo_r1 import AlpamayoR1
from tiny_model import scripted

END = "<|traj_future_start|>"
TEXT = [*"brakes", "<|cot_end|>", END]


def sample(
    model: AlpamayoR1, data: dict[str, Any], script: Sequence[str] = (), samples: int = 1, **arguments: Any
) -> Any:
    """Sample; with a script, the rows of every scene write it."""
    arguments = {"top_k": 1, "max_generation_length": 12, "return_extra": True} | arguments
    scenes = len(data["ego_history_xyz"]) * samples * arguments.get("num_traj_sets", 1)
    with scripted(model, [script] * scenes):
        return model.sample_trajectories_from_data_with_vlm_rollout(data, num_traj_samples=samples, **arguments)
