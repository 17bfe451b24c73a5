"""Prepared scenes for tests, as a folder or by hand."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from alpamayo_r1.training.prepared import FrameSize, PreparedScene, PreparedSet, PrepareRequest, prepare
from builders.reasoning_scenes import CLIPS, pai_with_cameras

TINY = FrameSize(1024, 4096)  # of tests' tiny model
COTS = ("Stop.", "Stop for the red light ahead, then go on.", "Keep lane since the road is clear.")
MOMENTS_US = (3_000_000, 5_100_000, 9_000_000)


def tiny_dataset(root: Path) -> Path:
    """Write two drives with cameras, and three labels of each."""
    pai_with_cameras(root, CLIPS[:2])
    said = dict(zip(MOMENTS_US, COTS, strict=True))
    write_labels(root, dict.fromkeys(CLIPS[:2], said))
    return root


def write_labels(root: Path, said: Mapping[str, Mapping[int, str]]) -> Path:
    """Write what is said of moments of clips as a reasoning parquet; returns its path."""
    rows = [
        {"clip_id": clip, "events": json.dumps([{"event_start_timestamp": t, "cot": cot} for t, cot in own.items()])}
        for clip, own in said.items()
    ]
    path = root / "reasoning" / "ood_reasoning.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def tiny_set(root: Path, size: FrameSize = TINY) -> PreparedSet:
    """Prepare the scenes of such a dataset."""
    data = str(tiny_dataset(root / "pai"))
    return prepare(PrepareRequest(data, str(root / "prepared"), "pai", data, size=size), lambda _: None)


def scene(
    cot: str = "Stop.", *, number: int = 0, frames: int = 2, height: int = 32, width: int = 64, meta_action=None
) -> PreparedScene:
    """Return a scene of random pictures, straight on at a steady speed."""
    random = np.random.default_rng(number)
    x = np.arange(-15, 65, dtype=np.float32)[:, None] * np.float32([[0.5 + 0.1 * number, 0.0, 0.0]])
    rot = np.broadcast_to(np.eye(3, dtype=np.float32), (80, 3, 3)).copy()
    pictures = random.integers(0, 256, (frames, 3, height, width), dtype=np.uint8)
    name = f"clip{number}"
    return PreparedScene(
        name, 5_100_000, cot, meta_action, None, name, pictures, x[:16], rot[:16], x[16:].copy(), rot[16:].copy()
    )
