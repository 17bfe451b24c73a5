"""comma2k19: minutes of highway with global poses, CAN speed and radar (Schafer et al., arXiv 1812.05752; MIT)."""

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from driving_clips import files
from driving_clips.datasets.base import (
    Dataset,
    Discovery,
    Source,
    VideoLocation,
    collect,
    is_cut,
    recording_of,
    start_of,
)
from driving_clips.datasets.columns import wrong_schema
from driving_clips.driving_sides import DrivingSide
from driving_clips.ego_motion import EgoSamples
from driving_clips.errors import ClipFailedError, ClipRejectedError, DatasetError
from driving_clips.geometry import Floats, enu_axes, quat_of_matrix, yaw_of
from driving_clips.obstacles import ObstacleTracks

_POSITIONS = "global_pose/frame_positions"
_FRAME_TIMES = "global_pose/frame_times"
_CAMERAS = ("video", "camera_front_wide_120fov")

# The radar sits in the front bumper, 1.52 m ahead of the camera that the poses belong to (openpilot's radard).
RADAR_AHEAD_OF_CAMERA_M = 1.52
STABLE_SEC = 1.0  # a radar return seen for less is noise
SAME_TRACK_GAP_SEC = 0.3  # the radar reports at 20 Hz
SAME_TRACK_JUMP_M = 3.0
MOVING_MPS = 2.0  # over ground; slower returns cannot be told from signs and guard rails
TWIN_M = 0.5  # the radar reports some vehicles at two addresses


class Comma2k19Dataset(Dataset):
    """Segments as ``<route>/<number>/global_pose`` and ``processed_log``; ids are ``<route>_<number>``.

    A ``|`` in a route's name becomes ``_``. Positions are in east, north, up with the origin at the segment's
    first pose; speed is the car's own (CAN) along its heading.
    """

    name = "comma2k19"
    cuts_recordings = True

    def discover(self) -> Discovery:
        """List the segments below the folder, each a group of its own."""
        discovery = Discovery()
        collect(discovery, [(name, Source(name, folder)) for name, folder in _segment_folders(self.data_dir)])
        if not discovery.groups and not discovery.problems:
            raise DatasetError(f"{self.data_dir}: no comma2k19 segments. Expected <route>/<number>/{_POSITIONS}.")
        return discovery

    def stamped_paths(self, source: Source) -> tuple[str, ...]:
        """A segment is a folder of arrays; poses and speed say whether it has changed."""
        parts = (_POSITIONS, "global_pose/frame_orientations", "processed_log/CAN/speed/value")
        return tuple(path for part in parts if files.exists(path := files.join(source.path, part)))

    def read_place(self, source: Source) -> bytes:
        """Return what a segment is told from another by: its positions."""
        return super().read_place(Source(source.recording_id, files.join(source.path, _POSITIONS)))

    def driving_side(self, clip_id: str) -> DrivingSide:
        """Return the right side: all of it was recorded in California."""
        return "right"

    def read_ego(self, source: Source) -> EgoSamples:
        """Read poses and CAN speed; the clock's zero is the first frame."""
        if source.repeats:
            self.read_source(source)  # raises where they differ
        t = _array(source, _FRAME_TIMES)
        position = _array(source, _POSITIONS, 3)
        wxyz = _array(source, "global_pose/frame_orientations", 4)
        speed_t = _array(source, "processed_log/CAN/speed/t")
        speed = _array(source, "processed_log/CAN/speed/value")
        if not len(t) == len(position) == len(wxyz) or len(speed_t) != len(speed):
            found = f"{len(t)} times, {len(position)} positions, {len(wxyz)} orientations"
            raise wrong_schema(source, "as many frame times as poses, as many speeds as their times", found)
        timed = np.isfinite(t)
        placed = timed & np.isfinite(position).all(axis=1)
        measured = np.isfinite(speed_t) & np.isfinite(speed)
        if not placed.any() or not measured.any():
            raise ClipRejectedError(
                "no_finite_samples", f"{source}: no finite pose or no finite speed: nothing to label."
            )
        origin = position[placed][0]
        enu = enu_axes(origin)
        quat = _vehicle_rotation(wxyz, enu)
        heading = yaw_of(quat)
        along = np.interp(t, speed_t[measured], speed[measured])
        velocity = np.stack([along * np.cos(heading), along * np.sin(heading), np.zeros_like(along)], axis=1)
        xyz = (position - origin) @ enu.T
        t_us = _micros(t[timed], t[timed][0])
        # The speed at a pose is interpolated with the next one measured, which may come after the pose.
        following = np.searchsorted(speed_t[measured], t[timed]).clip(0, measured.sum() - 1)
        known_us = _micros(speed_t[measured][following], t[timed][0])
        return EgoSamples(t_us, xyz[timed], quat[timed], velocity[timed], known_us=known_us)

    def read_obstacles(self, source: Source, ego: EgoSamples) -> ObstacleTracks | None:
        """Turn radar returns that are stable and move over ground into tracks without size or orientation."""
        if not files.exists(files.join(source.path, "processed_log/CAN/radar/value")):
            return None
        t = _array(source, "processed_log/CAN/radar/t")
        rows = _array(source, "processed_log/CAN/radar/value", 7)
        if len(t) != len(rows):
            raise wrong_schema(source, "as many radar rows as their times", f"{len(rows)} rows, {len(t)} times")
        frame_times = _array(source, _FRAME_TIMES)
        zero = float(frame_times[np.isfinite(frame_times)][0])
        return radar_tracks(_micros(t, zero), rows, ego)

    def find_video(self, clip_id: str, camera: str) -> VideoLocation | None:
        """Locate the segment's ``video.hevc``, a raw stream whose times are those of its poses.

        It is the one front camera there is, so that it answers to ``video`` and to the default camera's name.
        """
        folders = _segments(self.data_dir)
        name = clip_id if clip_id in folders or not is_cut(clip_id) else recording_of(clip_id)
        path = files.join(folders[name], "video.hevc") if name in folders and camera in _CAMERAS else ""
        if not path or not files.exists(path):
            return None
        times = _array(Source(name, folders[name]), _FRAME_TIMES)
        finite = times[np.isfinite(times)]
        return VideoLocation(
            camera,
            path,
            timestamps=files.join(folders[name], _FRAME_TIMES),
            clock_zero_us=round(float(finite[0]) * 1e6) if len(finite) else 0,
            start_us=start_of(clip_id) if name != clip_id else 0,
        )


def _segment_folders(data_dir: str) -> list[tuple[str, str]]:
    """Return the id and the folder of each segment."""
    found = []
    for path in files.walk_files(data_dir, ("frame_positions",)):
        folder = path.removesuffix(f"/{_POSITIONS}")
        found.append(("_".join(files.relative(folder, data_dir).split("/")[-2:]).replace("|", "_"), folder))
    return found


@lru_cache(maxsize=4)
def _segments(data_dir: str) -> dict[str, str]:
    """Return the segments' folders by id, listed once in a process."""
    return dict(reversed(_segment_folders(data_dir)))


def radar_tracks(t_us: NDArray[np.int64], rows: Floats, ego: EgoSamples) -> ObstacleTracks:
    """Join radar returns into tracks.

    Args:
        t_us: (N,) times on ego's clock.
        rows: (N, 7) forward m, left m, relative speed m/s, -, -, address, new track.
        ego: poses and velocity of the camera.
    """
    ego = ego.cleaned()
    keep = np.isfinite(rows[:, :3]).all(axis=1) & (t_us >= ego.t_us[0]) & (t_us <= ego.t_us[-1])
    t_us, rows = t_us[keep], rows[keep]
    position, rotation = ego.poses_at(t_us)
    heading = yaw_of(rotation)
    forward, left = rows[:, 0] + RADAR_AHEAD_OF_CAMERA_M, rows[:, 1]
    center = position.copy()
    center[:, 0] += forward * np.cos(heading) - left * np.sin(heading)
    center[:, 1] += forward * np.sin(heading) + left * np.cos(heading)
    ego_speed = np.interp(t_us, ego.t_us, np.hypot(*ego.velocity[:, :2].T)) if ego.velocity is not None else 0.0
    over_ground = ego_speed + rows[:, 2]
    tracks: list[NDArray[np.intp]] = []
    for address in np.unique(rows[:, 5]):
        own = np.flatnonzero(rows[:, 5] == address)
        own = own[np.argsort(t_us[own], kind="stable")]
        for track in _split(own, t_us, rows):
            stable = t_us[track[-1]] - t_us[track[0]] >= STABLE_SEC * 1e6
            if stable and np.median(np.abs(over_ground[track])) >= MOVING_MPS:
                tracks.append(track)
    tracks = _without_twins(tracks, t_us, rows)
    chosen = np.concatenate(tracks) if tracks else np.zeros(0, dtype=np.intp)
    ids = [f"radar-{rows[track[0], 5]:.0f}-{t_us[track[0]] // 1000}" for track in tracks]
    unknown = np.full(len(chosen), np.nan)
    return ObstacleTracks(
        t_us[chosen],
        np.repeat(np.array(ids, dtype=np.str_), [len(track) for track in tracks]),
        np.full(len(chosen), "other_vehicle"),
        center[chosen],
        unknown,
        np.full((len(chosen), 3), np.nan),
    )


def _split(own: NDArray[np.intp], t_us: NDArray[np.int64], rows: Floats) -> list[NDArray[np.intp]]:
    """Split one address's returns where the radar says so, at gaps, and at jumps no vehicle makes."""
    moved = np.hypot(np.diff(rows[own, 0]), np.diff(rows[own, 1]))
    breaks = (rows[own[1:], 6] > 0) | (np.diff(t_us[own]) > SAME_TRACK_GAP_SEC * 1e6) | (moved > SAME_TRACK_JUMP_M)
    return np.split(own, np.flatnonzero(breaks) + 1)


def _without_twins(tracks: list[NDArray[np.intp]], t_us: NDArray[np.int64], rows: Floats) -> list[NDArray[np.intp]]:
    """Drop the shorter of two tracks that stay within half a metre of each other for most of the shorter one."""
    kept: list[NDArray[np.intp]] = []
    for track in sorted(tracks, key=lambda track: (-len(track), t_us[track[0]])):
        if not any(_is_twin(track, other, t_us, rows) for other in kept):
            kept.append(track)
    return sorted(kept, key=lambda track: (int(t_us[track[0]]), float(rows[track[0], 5])))


def _is_twin(short: NDArray[np.intp], long: NDArray[np.intp], t_us: NDArray[np.int64], rows: Floats) -> bool:
    inside = short[(t_us[short] >= t_us[long[0]]) & (t_us[short] <= t_us[long[-1]])]
    if 2 * len(inside) < len(short):
        return False
    other = np.stack([np.interp(t_us[inside], t_us[long], rows[long, i]) for i in (0, 1)], axis=1)
    return bool(np.median(np.hypot(*(rows[inside, :2] - other).T)) < TWIN_M)


def _vehicle_rotation(wxyz: Floats, enu: Floats) -> Floats:
    """Return the rotation (N, 4) of forward-left-up in ENU; the dataset's columns are forward, right, down in ECEF."""
    norm = np.linalg.norm(wxyz, axis=1)
    unknown = ~np.isfinite(norm) | (norm < 1e-6)
    w, x, y, z = np.where(unknown[:, None], np.array([1.0, 0, 0, 0]), wxyz / np.where(unknown, 1.0, norm)[:, None]).T
    frd = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    flu = enu @ np.moveaxis(frd, 2, 0) * np.array([1.0, -1.0, -1.0])
    quat = quat_of_matrix(flu)
    quat[unknown] = np.nan
    return quat


def _micros(t_sec: Floats, zero_sec: float) -> NDArray[np.int64]:
    t_us: NDArray[np.int64] = np.round((t_sec - zero_sec) * 1e6).astype(np.int64)
    return t_us


def _array(source: Source, part: str, width: int | None = None) -> Floats:
    """Load one array of a segment, (N,) or (N, width); the files are npy without the ending, and never pickles."""
    path = files.join(source.path, part)
    try:
        array: Floats = np.load(io.BytesIO(files.read_bytes(path)), allow_pickle=False).astype(np.float64)
    except (OSError, ValueError, EOFError) as error:
        raise ClipFailedError("corrupt_array", f"{path}: expected a numpy array ({error}).") from error
    if width is None and array.shape[1:] in ((), (1,)):
        return array.reshape(-1)
    if array.ndim != 2 or width is None or array.shape[1] < width:
        raise wrong_schema(path, f"an array of shape (N, {width or 1})", f"shape {array.shape}")
    return array[:, :width]
