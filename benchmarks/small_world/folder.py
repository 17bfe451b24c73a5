"""Writes moments of the world as a Physical AI dataset: ego motion, small videos, and the reasoning labels."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.small_world.drawing import frame
from benchmarks.small_world.motion import STEP_SEC, drive
from benchmarks.small_world.sentences import sentence_of
from benchmarks.small_world.world import Cause, Moment
from driving_clips.geometry import quat_of_yaw
from driving_clips.video.encoding import encode_h264

CAMERA = "camera_front_wide_120fov"
T0_US = 2_000_000
AFTER_SEC = 6.6  # the model drives 6.4 s on
SAMPLE_SEC = 0.05
FRAMES, FRAME_SEC = 4, 0.1  # what the model is shown, and no more: nothing after t0 is ever drawn
LABELS = Path("reasoning") / "ood_reasoning.parquet"
TRUTH = "truth.json"
_AT_ONCE = 64  # moments that a process writes before it reports


@dataclass(frozen=True)
class Truth:
    """What is known of a clip, for scoring only.

    Attributes:
        cause: of what ego does next.
        other_lane: the side of the second lane, 1 for left.
        sentence: what the label says.
    """

    cause: Cause
    other_lane: int
    sentence: str


def write_folder(folder: Path, moments: Sequence[Moment], workers: int = 1) -> Path:
    """Write a clip for each moment, their labels and, beside the dataset, the truth; returns the folder.

    All clips' moments are at ``T0_US``. What is written depends on the moments alone.
    """
    for name in ("labels/egomotion", f"camera/{CAMERA}", LABELS.parent):
        (folder / name).mkdir(parents=True, exist_ok=True)
    parts = [moments[start : start + _AT_ONCE] for start in range(0, len(moments), _AT_ONCE)]
    if workers > 1:
        with ProcessPoolExecutor(workers) as pool:
            list(pool.map(partial(_write_clips, folder), parts))
    else:
        for part in parts:
            _write_clips(folder, part)
    _write_labels(folder / LABELS, moments)
    truth = {m.name: {"cause": m.cause, "other_lane": m.other_lane, "sentence": sentence_of(m)} for m in moments}
    (folder / TRUTH).write_text(json.dumps(truth, indent=1) + "\n", "utf-8")
    return folder


def read_truth(folder: Path) -> dict[str, Truth]:
    """Return what is known of each clip of a folder, by its id."""
    content = json.loads((folder / TRUTH).read_text("utf-8"))
    return {
        name: Truth(Cause(row["cause"]), int(row["other_lane"]), str(row["sentence"])) for name, row in content.items()
    }


def _write_clips(folder: Path, moments: Sequence[Moment]) -> None:
    for moment in moments:
        _write_ego(folder / "labels" / "egomotion" / f"{moment.name}.egomotion.parquet", moment)
        _write_video(folder / "camera" / CAMERA / f"{moment.name}.{CAMERA}", moment)


def _write_ego(path: Path, moment: Moment) -> None:
    """Write the motion from the clip's start to its end, in a frame that begins where ego does."""
    driven = drive(moment, T0_US / 1e6, AFTER_SEC)
    rows = slice(None, None, round(SAMPLE_SEC / STEP_SEC))
    t_us = np.round(driven.t_sec[rows] * 1e6).astype(np.int64) + T0_US
    xy, yaw, speed = driven.xy[rows] - driven.xy[0], driven.yaw[rows], driven.speed_mps[rows]
    zero = np.zeros_like(yaw)
    columns: dict[str, Any] = {"timestamp": t_us}
    columns |= dict(zip(("qx", "qy", "qz", "qw"), quat_of_yaw(yaw).T, strict=True))
    columns |= {"x": xy[:, 0], "y": xy[:, 1], "z": zero}
    columns |= {"vx": speed * np.cos(yaw), "vy": speed * np.sin(yaw), "vz": zero}
    pq.write_table(pa.table(columns), path)


def _write_video(stem: Path, moment: Moment) -> None:
    offsets = [(number - FRAMES + 1) * FRAME_SEC for number in range(FRAMES)]
    pictures = [frame(moment, t, _advance_m(moment, t)) for t in offsets]
    timed = [
        (round(number * FRAME_SEC * 1e6), av.VideoFrame.from_ndarray(picture, format="rgb24"))
        for number, picture in enumerate(pictures)
    ]
    encode_h264(timed, f"{stem}.mp4", 1 / FRAME_SEC, ffmpeg_bin=None)
    t_us = [T0_US + round(t * 1e6) for t in offsets]
    pq.write_table(pa.table({"timestamp": pa.array(t_us, pa.int64())}), f"{stem}.timestamps.parquet")


def _advance_m(moment: Moment, t_sec: float) -> float:
    """Return where ego is before t0, in its frame at t0."""
    return moment.speed_mps * t_sec + moment.drift_mps2 * t_sec**2 / 2


def _write_labels(path: Path, moments: Sequence[Moment]) -> None:
    rows = [(moment.name, json.dumps(list(_events(moment)))) for moment in moments]
    table = pa.table({"clip_id": [name for name, _ in rows], "events": [events for _, events in rows]})
    pq.write_table(table, path)


def _events(moment: Moment) -> Iterator[dict[str, Any]]:
    yield {"event_start_timestamp": T0_US, "cot": sentence_of(moment)}
