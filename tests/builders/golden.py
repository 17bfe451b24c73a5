"""Where the golden files lie: inputs and the outputs that must be matched to the byte."""

from functools import cache
from pathlib import Path

import numpy as np

TESTS = Path(__file__).resolve().parents[1]
GOLDEN = TESTS / "data" / "golden"
DEMO = TESTS.parent / "demo_data"
TRAJECTORY_TEXTS = GOLDEN / "trajectories" / "final_outputs"
PAI_TEXTS = GOLDEN / "pai_final_outputs"


@cache
def trajectories() -> dict[str, np.ndarray]:
    """Return (T, 5) x, y, heading, vx, vy by clip id."""
    with np.load(GOLDEN / "trajectories" / "clips.npz") as clips:
        return {name: clips[name] for name in clips.files}


def texts(folder: Path) -> dict[str, str]:
    """Return the text files of a folder by clip id."""
    return {path.stem: path.read_text() for path in folder.glob("*.txt")}
