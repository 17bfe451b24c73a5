"""Own recordings as CSV files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from builders.driving import Drive


def csv_text(columns: Mapping[str, np.ndarray]) -> str:
    """Return columns as CSV text, floats in full precision."""
    lines = [",".join(columns)]
    lines += [
        ",".join(repr(value) for value in row) for row in zip(*(c.tolist() for c in columns.values()), strict=True)
    ]
    return "\n".join(lines) + "\n"


def drive_columns(drive: Drive, *, velocity: bool = True) -> dict[str, np.ndarray]:
    """Return a drive under the table dataset's column names."""
    columns = {"timestamp_us": drive.t_us, "x": drive.x, "y": drive.y, "yaw": drive.yaw}
    return columns | ({"vx": drive.vx, "vy": drive.vy} if velocity else {})


def write_csv(folder: Path, recording_id: str, drive: Drive, *, velocity: bool = True) -> Path:
    """Write ``<recording_id>.csv``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{recording_id}.csv"
    path.write_text(csv_text(drive_columns(drive, velocity=velocity)))
    return path


def write_trajectory(folder: Path, clip_id: str, trajectory: np.ndarray) -> Path:
    """Write a (T, 5) x, y, heading, vx, vy trajectory at 10 Hz."""
    t_us = np.arange(len(trajectory)) * 100_000
    return write_csv(folder, clip_id, Drive(t_us, *trajectory.T))
