"""Own recordings: a CSV or parquet of poses each, with optional obstacles and video beside it."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pyarrow as pa

from driving_clips import files
from driving_clips.datasets import columns
from driving_clips.datasets.base import (
    CLIP_US,
    Dataset,
    Discovery,
    Source,
    VideoLocation,
    collect,
    find_sidecar,
    is_cut,
    recording_of,
    start_of,
)
from driving_clips.datasets.loose import bucket
from driving_clips.datasets.pai import read_boxes
from driving_clips.ego_motion import EgoSamples
from driving_clips.errors import DatasetError
from driving_clips.geometry import quat_of_yaw
from driving_clips.obstacles import ObstacleTracks

_OBSTACLES = ".obstacles.parquet"
_NOT_POSES = (_OBSTACLES, ".timestamps.parquet", ".blurred_boxes.parquet")
_POSES = (".csv", ".parquet")
_QUAT = ("qx", "qy", "qz", "qw")
_VELOCITY = ("vx", "vy")


class TableDataset(Dataset):
    """A folder of ``<id>.csv`` or ``<id>.parquet`` with columns timestamp_us, x, y and yaw (or qx qy qz qw).

    Optional columns: z, and vx, vy (vz) in the frame of x and y. A clock that does not start within 20 s of
    zero (epoch, boot time) is shifted so that the first sample is at zero; any other is the clip clock itself.
    """

    name = "table"
    cuts_recordings = True

    def discover(self) -> Discovery:
        """List the recordings below the folder."""
        discovery = Discovery()
        collect(discovery, [(bucket(source.recording_id), source) for source in _pose_files(self.data_dir)])
        if not discovery.groups and not discovery.problems:
            raise DatasetError(
                f"{self.data_dir}: no recordings found. Expected <id>.csv or <id>.parquet files with the columns "
                "timestamp_us, x, y and yaw (or qx, qy, qz, qw)."
            )
        return discovery

    def read_ego(self, source: Source) -> EgoSamples:
        """Read the poses; angles in rad, metres, m/s."""
        samples = self._read_own_clock(source)
        return samples.shifted(_clock_zero(samples.t_us))

    def read_obstacles(self, source: Source, ego: EgoSamples) -> ObstacleTracks | None:
        """Read ``<id>.obstacles.parquet`` beside the poses, on the same clock as they are."""
        path = f"{source.path.rsplit('.', 1)[0]}{_OBSTACLES}"
        if not files.exists(path):
            return None
        zero = _clock_zero(self._read_own_clock(source).t_us)
        return read_boxes(files.read_bytes(path), path, ego, offset_us=zero)

    def find_video(self, clip_id: str, camera: str) -> VideoLocation | None:
        """Locate ``<clip_id>.<camera>.mp4`` beside its recording, or that of the recording the clip was cut from.

        A recording's own video is on the recording's clock; a video of one clip of it is on the clip's.
        """
        recordings = _recordings(self.data_dir)
        if clip_id in recordings:
            return self._recording_s_video(recordings[clip_id], camera, 0)
        own = self._video(self.data_dir, clip_id, camera)
        if own or not is_cut(clip_id) or recording_of(clip_id) not in recordings:
            return own
        source = recordings[recording_of(clip_id)]
        own = self._video(files.parent(source.path), clip_id, camera)
        return own or self._recording_s_video(source, camera, start_of(clip_id))

    def _recording_s_video(self, source: Source, camera: str, start_us: int) -> VideoLocation | None:
        for folder in (files.parent(source.path), self.data_dir):
            found = self._video(folder, source.recording_id, camera)
            if found:
                zero = _zero_of_file(source.path, files.stamp(source.path))
                return replace(found, clock_zero_us=zero, start_us=start_us)
        return None

    def _video(self, folder: str, name: str, camera: str) -> VideoLocation | None:
        path = files.join(folder, f"{name}.{camera}.mp4")
        return VideoLocation(camera, path, "", find_sidecar(path, files.exists)) if files.exists(path) else None

    def _read_own_clock(self, source: Source) -> EgoSamples:
        table = self._read_table(source)
        there = set(table.column_names)
        rotation = ("yaw",) if "yaw" in there else _QUAT
        missing = [name for name in ("timestamp_us", "x", "y", *rotation) if name not in there]
        if missing:
            wanted = "timestamp_us, x, y and yaw (or qx, qy, qz, qw)"
            raise columns.wrong_schema(source, f"columns {wanted}", f"only {', '.join(table.column_names)}")
        table = columns.timed_rows(table, "timestamp_us")
        rows = table.num_rows
        xyz = np.zeros((rows, 3))
        xyz[:, :2] = columns.floats_2d(table, ("x", "y"), source)
        if "z" in there:
            xyz[:, 2] = columns.floats(table, "z", source)
        velocity = None
        if all(name in there for name in _VELOCITY):
            velocity = np.zeros((rows, 3))
            velocity[:, :2] = columns.floats_2d(table, _VELOCITY, source)
            if "vz" in there:
                velocity[:, 2] = columns.floats(table, "vz", source)
        t_us = columns.microseconds(table, "timestamp_us", source)
        if rotation == ("yaw",):
            yaw = columns.floats(table, "yaw", source)
            return EgoSamples(t_us, xyz, quat_of_yaw(yaw), velocity, yaw)
        return EgoSamples(t_us, xyz, columns.floats_2d(table, rotation, source), velocity)

    def _read_table(self, source: Source) -> pa.Table:
        content = self.read_source(source)
        if source.path.endswith(".csv"):
            return columns.read_csv(content, source)
        file = columns.open_parquet(content, source)
        return columns.read_parquet(file, file.schema_arrow.names, source)


def _clock_zero(t_us: np.ndarray) -> int:
    """Return the reading of the recording's clock that becomes zero."""
    start = int(t_us.min()) if len(t_us) else 0
    return 0 if abs(start) <= CLIP_US else start


def _pose_files(folder: str) -> list[Source]:
    paths = [path for path in files.walk_files(folder, _POSES) if not path.endswith(_NOT_POSES)]
    return [Source(files.base_name(path).rsplit(".", 1)[0], path) for path in paths]


@lru_cache(maxsize=4)
def _recordings(folder: str) -> dict[str, Source]:
    """Return the recordings by id, listed once in a process."""
    return {source.recording_id: source for source in reversed(_pose_files(folder))}


@lru_cache(maxsize=64)
def _zero_of_file(path: str, _stamp: files.FileStamp) -> int:
    """Return ``_clock_zero`` of a recording's file, read once for all the clips that are cut from it."""
    folder = TableDataset(files.parent(path))
    return _clock_zero(folder._read_own_clock(Source("", path)).t_us)
