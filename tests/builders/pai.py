"""Files of the Physical AI AV dataset in their real layout, with synthetic content."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from builders.driving import Drive

_OLD = "EgomotionEstimate"
FRONT = "camera_front_wide_120fov"


def parquet(columns: Mapping[str, object]) -> bytes:
    """Return a table as parquet bytes."""
    sink = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), sink)
    return sink.getvalue()


def ego_columns(drive: Drive, *, z: float = 0.0, velocity: bool = True) -> dict[str, np.ndarray]:
    """Return egomotion columns under today's names."""
    zero = np.zeros(len(drive))
    columns = {
        "timestamp": drive.t_us,
        "qx": zero,
        "qy": zero,
        "qz": np.sin(drive.yaw / 2),
        "qw": np.cos(drive.yaw / 2),
        "x": drive.x,
        "y": drive.y,
        "z": zero + z,
    }
    if velocity:
        columns |= {"vx": drive.vx, "vy": drive.vy, "vz": zero, "ax": zero, "ay": zero, "az": zero, "curvature": zero}
    return columns


def ego_parquet(drive: Drive, **options) -> bytes:
    """Return an egomotion member."""
    return parquet(ego_columns(drive, **options))


def old_ego_parquet(drive: Drive) -> bytes:
    """Return an egomotion member under the column names of older files."""
    new = ego_columns(drive)
    old = {"key.timestamp_micros": new["timestamp"]}
    old |= {f"{_OLD}.location.{n}": new[n] for n in "xyz"}
    old |= {f"{_OLD}.orientation.{n}": new[f"q{n}"] for n in "xyzw"}
    old |= {f"{_OLD}.velocity.{n}": new[f"v{n}"] for n in "xyz"}
    return parquet(old)


def offline_parquet(drive: Drive) -> bytes:
    """Return an egomotion.offline member: no velocity."""
    return ego_parquet(drive, velocity=False)


def zip_members(path: Path, members: Mapping[str, bytes]) -> Path:
    """Write a zip with members at its root."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def write_chunk(
    root: Path, clips: Mapping[str, bytes], *, feature: str = "egomotion", name: str = "chunk_0000", folder: str = ""
) -> Path:
    """Write one chunk zip of a label feature."""
    path = root / "labels" / (folder or feature) / f"{feature}.{name}.zip"
    return zip_members(path, {f"{clip_id}.{feature}.parquet": content for clip_id, content in clips.items()})


def write_unpacked(root: Path, clips: Mapping[str, bytes], *, feature: str = "egomotion") -> None:
    """Write the unpacked layout of a label feature."""
    folder = root / "labels" / feature
    folder.mkdir(parents=True, exist_ok=True)
    for clip_id, content in clips.items():
        (folder / f"{clip_id}.{feature}.parquet").write_bytes(content)


def camera_members(clip_id: str, camera: str = FRONT, frames: int = 605) -> dict[str, bytes]:
    """Return the members of one clip's camera; the video itself is a stand-in."""
    timestamps = np.round(np.arange(frames) * 1e6 / 30).astype(np.int64)
    return {
        f"{clip_id}.{camera}.mp4": b"not a real video",
        f"{clip_id}.{camera}.timestamps.parquet": parquet({"timestamp": timestamps}),
        f"{clip_id}.{camera}.blurred_boxes.parquet": parquet({"frame_index": np.zeros(0, np.int64)}),
    }


def obstacle_columns(t_us, center, yaw, *, track="1", label="automobile", size=(4.5, 1.9, 1.6)) -> dict[str, object]:
    """Return obstacle.offline columns for one track; ``center`` (N, 3) and ``yaw`` (N,) are in the rig frame."""
    n = len(t_us)
    center, yaw = np.asarray(center, float), np.asarray(yaw, float)
    zero = np.zeros(n)
    columns: dict[str, object] = {"timestamp_us": np.asarray(t_us, np.int64), "track_id": [track] * n}
    columns |= {f"center_{axis}": center[:, i] for i, axis in enumerate("xyz")}
    columns |= {f"size_{axis}": zero + size[i] for i, axis in enumerate("xyz")}
    quat = (zero, zero, np.sin(yaw / 2), np.cos(yaw / 2))
    columns |= {f"orientation_{axis}": quat[i] for i, axis in enumerate("xyzw")}
    columns |= {"label_class": [label] * n, "reference_frame": ["rig"] * n}
    columns["reference_frame_timestamp_us"] = np.asarray(t_us, np.int64)
    return columns


def static_box_seen_from(drive: Drive, x: float, y: float, yaw: float) -> dict[str, object]:
    """Return obstacle rows of one box that stands still in the drive's frame, as the moving rig sees it."""
    dx, dy = x - drive.x, y - drive.y
    cos, sin = np.cos(drive.yaw), np.sin(drive.yaw)
    center = np.stack([cos * dx + sin * dy, -sin * dx + cos * dy, np.full(len(drive), 0.8)], axis=1)
    return obstacle_columns(drive.t_us, center, yaw - drive.yaw)
