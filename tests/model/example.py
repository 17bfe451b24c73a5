"""Writes what the page on the reasoning model is tried out with: a tiny checkpoint and three drives with video.

Usage: PYTHONPATH=tests python tests/model/example.py FOLDER
"""

import sys
from pathlib import Path

from builders.reasoning_scenes import pai_with_cameras
from tiny_model import ACTION_SPACE, PARTS, tiny_model, write_base

WHOLE_HORIZON = {**ACTION_SPACE, "n_waypoints": 64}  # 6.4 s, as the released model


def write_example(folder: Path) -> None:
    """Write ``tiny_model/checkpoint`` with random weights, and ``pai`` in the layout of the Physical AI dataset."""
    base = write_base(folder / "tiny_model" / "base")
    tokenizer = {**PARTS["traj_tokenizer_cfg"], "action_space_cfg": WHOLE_HORIZON}
    model = tiny_model(base, action_space_cfg=WHOLE_HORIZON, traj_tokenizer_cfg=tokenizer, tokens_per_future_traj=128)
    model.save_pretrained(folder / "tiny_model" / "checkpoint")
    pai_with_cameras(folder / "pai")


if __name__ == "__main__":
    write_example(Path(sys.argv[1]))
