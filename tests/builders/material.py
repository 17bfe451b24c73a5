"""What reviewers are shown is made from this: drives with boxes and videos, and the run folders that name them."""

import json
from pathlib import Path

import numpy as np

from builders.driving import Drive, lively_drive
from builders.pai import parquet, static_box_seen_from
from builders.runs import config
from builders.table import write_csv
from builders.videos import times_of, video_bytes, write_video
from coc_labeling.results import CONFIG

CAMERA = "camera_front_wide_120fov"
FPS, SECONDS, SIZE = 10, 20, (96, 64)
FRAMES = FPS * SECONDS


def write_clip(
    folder: Path,
    clip_id: str = "clip_0",
    ego: Drive | None = None,
    *,
    boxes: Drive | None = None,
    video: bytes | None = None,
    t_us: np.ndarray | None = None,
) -> Path:
    """Write a clip of the dataset ``table``: ego motion, one parked car, and a video of numbered frames."""
    ego = lively_drive(1) if ego is None else ego
    write_csv(folder, clip_id, ego)
    columns = static_box_seen_from(ego if boxes is None else boxes, 30.0, 4.0, 0.3)
    (folder / f"{clip_id}.obstacles.parquet").write_bytes(parquet(columns))
    content = video_bytes(FRAMES, fps=FPS, gop=FPS, size=SIZE) if video is None else video
    write_video(folder, content, times_of(FRAMES, float(FPS)) if t_us is None else t_us, f"{clip_id}.{CAMERA}.mp4")
    return folder


def write_run(folder: Path, data_dir: Path, **changes) -> str:
    """Write an experiment folder that keeps its configuration and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"data__dataset_name": "table", "data__data_dir": str(data_dir), **changes}
    (folder / CONFIG).write_text(json.dumps(config(model_name="rules", **settings).model_dump(mode="json")))
    return str(folder)
