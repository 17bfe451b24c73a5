"""Pieces of videos for people to watch, with a list of the frames that a model was shown."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from driving_clips import files
from driving_clips.errors import ClipRejectedError
from driving_clips.video.encoding import encode_h264
from driving_clips.video.opening import own_errors, pyav
from driving_clips.video.packets import packets_from

if TYPE_CHECKING:
    from driving_clips.video.reading import VideoReader

US = 1_000_000
SOURCE_FPS, SAMPLED_FPS = "source_fps", "sampled_fps"
Sampled = tuple[str, int, int]  # name of the video's file, index in it, t_us


def metadata_path(path: str) -> str:
    """Return the path of the list of sampled frames beside a segment video.

    Example:
        >>> metadata_path("out/a_1000.mp4")
        'out/a_1000.sampled_frames.json'
    """
    return f"{path.removesuffix('.mp4')}.sampled_frames.json"


def write_segment_video(
    video: "VideoReader",
    first_us: int,
    last_us: int,
    sampled: Sequence[Sampled],
    path: str,
    *,
    source_fps: bool = True,
    web_compatible: bool = True,
    ffmpeg_bin: str | None = "ffmpeg",
    metadata: Mapping[str, Any] | None = None,
    skip_existing: bool = False,
    sampled_interval_sec: float = 0.5,
) -> bool:
    """Write a piece of a video as mp4, and the list of its sampled frames beside it; returns whether it was written.

    Args:
        video: an open video.
        first_us: where the piece begins, us on the clip clock.
        last_us: where it ends, inclusive.
        sampled: (file name, index in the video, t_us) of the frames that a model was shown.
        path: of the mp4; its folders are created.
        source_fps: all frames of the piece at their true times; else the sampled ones only, evenly spaced.
        web_compatible: encode for browsers. Else packets are copied: fast, in the source's codec, and it begins at
            the keyframe before, up to a group of pictures earlier. Sampled frames are always encoded.
        ffmpeg_bin: an ffmpeg binary that encodes where it is found; PyAV does elsewhere.
        metadata: clip_id, event_start_timestamp and event_start_frame for the list; None writes no list.
        skip_existing: leave a piece alone that is there already, with its list where one is wanted.
        sampled_interval_sec: time between sampled frames.

    Raises:
        ClipRejectedError: no frame of the video lies in the piece.
        ClipFailedError: a frame that cannot be decoded, or a video that cannot be encoded.
    """
    listed = metadata_path(path)
    if skip_existing and files.is_file(path) and (metadata is None or files.is_file(listed)):
        return False
    indices = _inside(video, first_us, last_us) if source_fps else sorted({index for _, index, _ in sampled})
    if not indices:
        span = f"between {first_us / US:.3f} and {last_us / US:.3f} s"
        raise ClipRejectedError("no_frames", f"{path}: no frame of {video.location} {span}.")
    fps = video.fps if source_fps else 1 / sampled_interval_sec
    files.make_parents(path)
    with files.atomic_path(path) as temporary:
        if source_fps and not web_compatible and _can_be_copied(video):
            _copy(video, indices, temporary)
        else:
            times = _true_times(video, indices) if source_fps else _even_times(indices, sampled_interval_sec)
            frames = ((times[index], frame) for index, frame in video.frames(indices))
            encode_h264(frames, temporary, fps or 1.0, ffmpeg_bin)
    if metadata is not None:
        mode = SOURCE_FPS if source_fps else SAMPLED_FPS
        files.write_atomic(listed, _list_of(metadata, round(fps, 3), mode, sampled))
    return True


def _list_of(metadata: Mapping[str, Any], fps: float, mode: str, sampled: Sequence[Sampled]) -> str:
    frames = [
        {"video_filename": name, "index_in_video": int(index), "timestamp_micros": int(t_us)}
        for name, index, t_us in sampled
    ]
    content = {**metadata, "saved_video_fps": fps, "saved_video_mode": mode, "sampled_frames": frames}
    return json.dumps(content, indent=2) + "\n"


def _inside(video: "VideoReader", first_us: int, last_us: int) -> list[int]:
    return [int(index) for index in np.flatnonzero((video.t_us >= first_us) & (video.t_us <= last_us))]


def _true_times(video: "VideoReader", indices: list[int]) -> dict[int, int]:
    """Return us since the first frame, by index."""
    return {index: int(video.t_us[index] - video.t_us[indices[0]]) for index in indices}


def _even_times(indices: list[int], interval_sec: float) -> dict[int, int]:
    return {index: round(place * interval_sec * US) for place, index in enumerate(indices)}


def _can_be_copied(video: "VideoReader") -> bool:
    """Say whether packets have times; those of a raw stream have none and are encoded anew."""
    return video.table.is_timed


def _copy(video: "VideoReader", indices: list[int], path: str) -> None:
    """Copy packets from the keyframe that the first frame needs to the last frame's."""
    av, table = pyav(), video.table
    positions = table.position_of_frame[indices]
    start, last = min(table.key_before(int(p)) for p in positions), int(positions.max())
    zero = int(table.pts[start : last + 1].min())
    with own_errors(video.location), av.open(path, "w", format="mp4", options={"movflags": "+faststart"}) as output:
        stream = output.add_stream_from_template(video.stream)
        for position, packet in packets_from(video.container, video.stream, table, start):
            if position > last:
                break
            packet.pts = int(table.pts[position]) - zero
            packet.dts = int(table.dts[position]) - zero
            packet.stream = stream
            output.mux(packet)
