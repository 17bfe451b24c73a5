"""When each frame was taken: the sidecar beside a video, or the container's own times where there is none."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from driving_clips import files
from driving_clips.datasets import columns
from driving_clips.datasets.base import VideoLocation
from driving_clips.errors import ClipFailedError

INDEX_NAMES = ("frame_index", "frame_idx", "index_in_video")
TIME_NAMES = ("timestamp", "timestamp_micros", "timestamp_us", "ts")
FEW_FRAMES = 5  # a sidecar may differ by as many frames, or by ...
FEW_PER_CENT = 10  # ... this share of them, before it is taken for another video's
_PARQUET, _NPY = b"PAR1", b"\x93NUMPY"

Times = NDArray[np.int64]


@dataclass(frozen=True)
class FrameTimes:
    """Times of a video's frames.

    Attributes:
        t_us: (N,) us on the clip clock by frame index in display order, strictly increasing.
        notices: what a user should know about them.
        refused: there is a sidecar that cannot be used; these are the container's times.
    """

    t_us: Times
    notices: tuple[str, ...] = ()
    refused: bool = False


def frame_times(location: VideoLocation, own_us: Times | None, frames: int, declared: int) -> FrameTimes:
    """Join a video's frames and its sidecar.

    Args:
        location: where both lie, and how their clock is to be read.
        own_us: (frames,) the container's times since its first frame, us; None where it has none.
        frames: how many frames can be read.
        declared: how many the container says there are; more than ``frames`` where the file is cut off.

    Raises:
        ClipFailedError: no usable sidecar, and a container without times.
    """
    try:
        if location.timestamps is None:
            raise ClipFailedError("no_frame_times", "there are no frame timestamps beside the video")
        t_us = sidecar_times(_read(location), location.timestamps)
        _check_count(len(t_us), max(frames, declared), location.timestamps)
    except ClipFailedError as error:
        reason = str(error).rstrip(".")
        if own_us is None or (np.diff(own_us) <= 0).any():
            raise ClipFailedError(
                "no_frame_times", f"{location}: {reason}, and the video itself holds no times. Add its timestamps."
            ) from error
        notice = f"{location}: {reason}; the video's own times are used, its first frame as the recording's start."
        return FrameTimes(own_us - location.start_us, (notice,), refused=location.timestamps is not None)
    notices: tuple[str, ...] = ()
    if len(t_us) != max(frames, declared):
        usable = min(len(t_us), frames)
        notices = (f"{location}: {frames} frames, but {len(t_us)} timestamps; the first {usable} of both are used.",)
    return FrameTimes(t_us[:frames] - location.clock_zero_us - location.start_us, notices)


def sidecar_times(content: bytes, origin: str) -> Times:
    """Return (N,) frame times in us by frame index, from parquet, an array of seconds, or lines "index timestamp".

    Raises:
        ClipFailedError: none of these, a frame twice or missing, or times that do not increase.
    """
    if content.startswith(_PARQUET):
        index, t_us = _from_parquet(content, origin)
    elif content.startswith(_NPY):
        index, t_us = None, _from_npy(content, origin)
    else:
        index, t_us = _from_text(content, origin)
    if index is not None:
        order = np.argsort(index, kind="stable")
        index, t_us = index[order], t_us[order]
        if not np.array_equal(index, np.arange(len(index))):
            raise columns.wrong_schema(origin, f"the frames 0 to {len(index) - 1}, each once", _odd_one(index))
    if not len(t_us):
        raise columns.wrong_schema(origin, "frame timestamps", "none")
    backwards = np.flatnonzero(np.diff(t_us) <= 0)
    if len(backwards):
        found = f"{t_us[backwards[0] + 1]} after {t_us[backwards[0]]} at frame {backwards[0] + 1}"
        raise columns.wrong_schema(origin, "increasing timestamps", found)
    return t_us


def nearest(t_us: Times, wanted_us: ArrayLike, tolerance_us: int) -> NDArray[np.int64]:
    """Return for each wanted time the index of the nearest frame, -1 where none is within the tolerance.

    Args:
        t_us: (N,) frame times, increasing.
        wanted_us: (M,) times on the same clock.
        tolerance_us: the largest distance that counts as near.

    Returns:
        (M,) indices; of two frames equally near it is the earlier.

    Example:
        >>> nearest(np.array([0, 100, 200]), np.array([49, 150, 261]), 60).tolist()
        [0, 1, -1]
    """
    wanted = np.asarray(wanted_us, dtype=np.int64)
    if not len(t_us):
        return np.full(wanted.shape, -1, dtype=np.int64)
    after = np.searchsorted(t_us, wanted).clip(0, len(t_us) - 1)
    before = (after - 1).clip(0)
    is_before = np.abs(wanted - t_us[before]) <= np.abs(t_us[after] - wanted)
    index = np.where(is_before, before, after)
    return np.where(np.abs(t_us[index] - wanted) <= tolerance_us, index, -1).astype(np.int64)


def _read(location: VideoLocation) -> bytes:
    assert location.timestamps is not None
    if location.member:
        return files.read_zip_member(location.path, location.timestamps)
    try:
        return files.read_bytes(location.timestamps)
    except OSError as error:
        detail = f"{location.timestamps}: cannot be read ({error.strerror or error})"
        raise ClipFailedError("unreadable", detail) from error


def _check_count(rows: int, frames: int, origin: str) -> None:
    if abs(rows - frames) > max(FEW_FRAMES, frames * FEW_PER_CENT // 100):
        raise columns.wrong_schema(origin, f"about {frames} frame timestamps, one a frame", f"{rows}")


def _from_parquet(content: bytes, origin: str) -> tuple[Times | None, Times]:
    file = columns.open_parquet(content, origin)
    there = file.schema_arrow.names
    index = next((name for name in INDEX_NAMES if name in there), None)
    time = next((name for name in TIME_NAMES if name in there), None)
    if time is None:
        raise columns.wrong_schema(origin, f"one of the columns {', '.join(TIME_NAMES)}", f"only {', '.join(there)}")
    table = columns.read_parquet(file, [time, index] if index else [time], origin)
    return columns.microseconds(table, index, origin) if index else None, columns.microseconds(table, time, origin)


def _from_npy(content: bytes, origin: str) -> Times:
    try:
        seconds = np.load(io.BytesIO(content), allow_pickle=False).astype(np.float64).reshape(-1)
    except (ValueError, EOFError, TypeError) as error:
        raise columns.wrong_schema(origin, "an array of seconds", f"a damaged one ({error})") from error
    if not np.isfinite(seconds).all() or (np.abs(seconds) > 2**40).any():
        raise columns.wrong_schema(origin, "an array of seconds", "values that are no times")
    t_us: Times = np.round(seconds * 1e6).astype(np.int64)
    return t_us


def _from_text(content: bytes, origin: str) -> tuple[Times, Times]:
    try:
        rows = [line.split() for line in content.decode("utf-8-sig").replace(",", " ").splitlines() if line.strip()]
        pairs = np.array([[int(index), int(t)] for index, t in rows], dtype=np.int64).reshape(-1, 2)
    except (ValueError, OverflowError) as error:
        raise columns.wrong_schema(origin, 'parquet, or lines "index timestamp"', f"another text ({error})") from error
    return pairs[:, 0], pairs[:, 1]


def _odd_one(index: Times) -> str:
    place = int(np.flatnonzero(index != np.arange(len(index)))[0])
    return f"frame {index[place]} in place of {place}"
