"""Boreas: post-processed poses of the camera at 10 Hz (Burnett et al., arXiv 2203.10168; CC BY 4.0)."""

import gzip
import zlib

import numpy as np

from driving_clips import files
from driving_clips.datasets import columns
from driving_clips.datasets.base import Dataset, Discovery, Source, collect
from driving_clips.driving_sides import DrivingSide
from driving_clips.ego_motion import EgoSamples
from driving_clips.errors import ClipFailedError, DatasetError
from driving_clips.geometry import Floats, quat_of_matrix

_POSES = "camera_poses.csv"
_POSITION = ("easting", "northing", "altitude")
_VELOCITY = ("vel_east", "vel_north", "vel_up")
_ANGLES = ("roll", "pitch", "heading")


class BoreasDataset(Dataset):
    """Sequences as ``<sequence>/applanix/camera_poses.csv`` or ``<sequence>.camera_poses.csv``, plain or gzipped.

    Position and velocity are in ENU axes with the origin at the sequence's first pose.
    """

    name = "boreas"
    cuts_recordings = True

    def discover(self) -> Discovery:
        """List the sequences below the folder, each a group of its own."""
        discovery = Discovery()
        found = []
        for path in files.walk_files(files.absolute(self.data_dir), (_POSES, f"{_POSES}.gz")):
            name = files.base_name(path).removesuffix(".gz").removesuffix(_POSES).removesuffix(".")
            name = name or path.split("/")[-3]  # <sequence>/applanix/camera_poses.csv
            found.append((name, Source(name, path)))
        collect(discovery, found)
        if not discovery.groups and not discovery.problems:
            raise DatasetError(f"{self.data_dir}: no Boreas poses. Expected <sequence>/applanix/{_POSES}.")
        return discovery

    def read_place(self, source: Source) -> bytes:
        """Return the CSV, unpacked where it is gzipped."""
        content = super().read_place(source)
        if not source.path.endswith(".gz"):
            return content
        try:
            return gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ClipFailedError("corrupt_csv", f"{source}: damaged gzip file ({error}).") from error

    def driving_side(self, clip_id: str) -> DrivingSide:
        """Return the right side: all of it was recorded in Toronto."""
        return "right"

    def read_ego(self, source: Source) -> EgoSamples:
        """Read the poses; the clock's zero is the first pose."""
        table = columns.read_csv(self.read_source(source), source)
        names = ("GPSTime", *_POSITION, *_VELOCITY, *_ANGLES)
        missing = [name for name in names if name not in table.column_names]
        if missing:
            raise columns.wrong_schema(source, f"columns {', '.join(missing)}", f"only {', '.join(table.column_names)}")
        t_us = columns.microseconds(table, "GPSTime", source)
        position = columns.floats_2d(table, _POSITION, source)
        finite = position[np.isfinite(position).all(axis=1)]
        origin = finite[0] if len(finite) else np.zeros(3)
        return EgoSamples(
            t_us - (int(t_us.min()) if len(t_us) else 0),
            position - origin,
            vehicle_rotation(columns.floats_2d(table, _ANGLES, source)),
            columns.floats_2d(table, _VELOCITY, source),
        )


def vehicle_rotation(roll_pitch_heading: Floats) -> Floats:
    """Return the vehicle's rotation (N, 4) in ENU from the camera's angles (N, 3) in rad.

    C_enu_camera = Rx(roll) Ry(pitch) Rz(heading) with passive matrices (T. Barfoot, State Estimation for
    Robotics, 2017). The camera looks along its z axis with x to the right and y down, so the vehicle's
    forward, left and up are the camera's z, -x and -y.
    """
    (c1, c2, c3), (s1, s2, s3) = np.cos(roll_pitch_heading).T, np.sin(roll_pitch_heading).T
    zero, one = np.zeros_like(c1), np.ones_like(c1)
    rx = _matrices([[one, zero, zero], [zero, c1, s1], [zero, -s1, c1]])
    ry = _matrices([[c2, zero, -s2], [zero, one, zero], [s2, zero, c2]])
    rz = _matrices([[c3, s3, zero], [-s3, c3, zero], [zero, zero, one]])
    camera = rx @ ry @ rz
    vehicle = np.stack([camera[:, :, 2], -camera[:, :, 0], -camera[:, :, 1]], axis=2)
    unknown = ~np.isfinite(vehicle).all(axis=(1, 2))
    vehicle[unknown] = np.eye(3)
    quat = quat_of_matrix(vehicle)
    quat[unknown] = np.nan
    return quat


def _matrices(rows: list[list[Floats]]) -> Floats:
    return np.moveaxis(np.array(rows), 2, 0)
