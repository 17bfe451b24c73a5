"""Pieces of videos for people to watch, with a list of the frames that a model was shown."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from driving_clips import files
from driving_clips.errors import ClipRejectedError
from driving_clips.video.encoding import Timed, encode_h264
from driving_clips.video.opening import own_errors, pyav
from driving_clips.video.packets import packets_from
from driving_clips.video.pictures import Redact, redacted_frame, redactor_name

if TYPE_CHECKING:
    from driving_clips.video.reading import VideoReader

US = 1_000_000
_SAMPLED = "sampled_frames"
SOURCE_FPS, SAMPLED_FPS = "source_fps", "sampled_fps"
Sampled = tuple[str, int, int]  # name of the video's file, index in it, t_us


def metadata_path(path: str) -> str:
    """Return the path of the list of sampled frames beside a segment video.

    Example:
        >>> metadata_path("out/a_1000.mp4")
        'out/a_1000.sampled_frames.json'
    """
    return f"{path.removesuffix('.mp4')}.sampled_frames.json"


@dataclass(frozen=True)
class SegmentSettings:
    """How a piece of a video is written.

    Attributes:
        source_fps: all frames of the piece at their true times; else the sampled ones only, evenly spaced.
        web_compatible: encode for browsers. Else packets are copied: fast, in the source's codec, and it begins at
            the keyframe before, up to a group of pictures earlier. Sampled and redacted frames are always encoded.
        ffmpeg_bin: an ffmpeg binary that encodes where it is found; PyAV does elsewhere.
        skip_existing: leave a video alone that is there already and, where a list is wanted, has the same list.
        sampled_interval_sec: time between sampled frames.
    """

    source_fps: bool = True
    web_compatible: bool = True
    ffmpeg_bin: str | None = "ffmpeg"
    skip_existing: bool = False
    sampled_interval_sec: float = 0.5


def write_segment_video(
    video: "VideoReader",
    first_us: int,
    last_us: int,
    sampled: Sequence[Sampled],
    path: str,
    settings: SegmentSettings | None = None,
    *,
    metadata: Mapping[str, Any] | None = None,
    redact: Redact | None = None,
) -> bool:
    """Write a piece of a video as mp4, and the list of its sampled frames beside it.

    Args:
        video: an open video.
        first_us: where the piece begins, us on the clip clock.
        last_us: where it ends, inclusive.
        sampled: (file name, index in the video, t_us) of the frames that a model was shown.
        path: of the mp4; its folders are created, and what killed runs left beside it is removed.
        settings: the default ones where None.
        metadata: clip_id, event_start_timestamp and event_start_frame for the list; None writes no list.
        redact: changes every frame (H, W, 3 uint8 RGB, camera, t_us) before it is encoded.

    Returns:
        Whether the video was written.

    Raises:
        ClipRejectedError: no frame of the video lies in the piece.
        ClipFailedError: a frame that cannot be decoded or redacted, or a video that cannot be encoded.
    """
    piece = _Piece.of(video, first_us, last_us, sampled, path, settings or SegmentSettings(), redact)
    wanted = None if metadata is None else piece.list_of(metadata, sampled)
    if piece.settings.skip_existing and _is_there(path, wanted, redact):
        return False
    piece.write(path)
    if wanted is not None:
        _write_list(path, wanted)
    return True


@dataclass(frozen=True)
class _Piece:
    """Frames of a video, by their indices in it, and how they are to be written."""

    video: "VideoReader"
    indices: list[int]
    settings: SegmentSettings
    redact: Redact | None

    @classmethod
    def of(
        cls,
        video: "VideoReader",
        first_us: int,
        last_us: int,
        sampled: Sequence[Sampled],
        path: str,
        settings: SegmentSettings,
        redact: Redact | None,
    ) -> "_Piece":
        """Return all frames between two times, or the sampled ones; raises ClipRejectedError without any."""
        within = settings.source_fps
        indices = _inside(video, first_us, last_us) if within else sorted({index for _, index, _ in sampled})
        if not indices:
            span = f"between {first_us / US:.3f} and {last_us / US:.3f} s"
            raise ClipRejectedError("no_frames", f"{path}: no frame of {video.location} {span}.")
        return cls(video, indices, settings, redact)

    @property
    def fps(self) -> float:
        return self.video.fps if self.settings.source_fps else 1 / self.settings.sampled_interval_sec

    def list_of(self, metadata: Mapping[str, Any], sampled: Sequence[Sampled]) -> dict[str, Any]:
        """Return the list's content. It also says what the video shows, for a later run to tell if it still fits."""
        settings = self.settings
        content = {**metadata, "saved_video_fps": round(self.fps, 3)}
        content["saved_video_mode"] = SOURCE_FPS if settings.source_fps else SAMPLED_FPS
        if settings.source_fps:
            content["saved_video_frames"] = [self.indices[0], self.indices[-1]]
        if self.redact is not None:
            content["saved_video_redactor"] = redactor_name(self.redact)
        content[_SAMPLED] = [
            {"video_filename": name, "index_in_video": int(index), "timestamp_micros": int(t_us)}
            for name, index, t_us in sampled
        ]
        return content

    def write(self, path: str) -> None:
        """Write the video, whole or not at all."""
        settings, video = self.settings, self.video
        files.make_parents(path)
        files.remove_leftovers(files.parent(path))
        with files.atomic_path(path) as temporary:
            copies = settings.source_fps and not settings.web_compatible and self.redact is None
            if copies and _can_be_copied(video):
                _copy(video, self.indices, temporary)
            else:
                encode_h264(self._frames(), temporary, self.fps or 1.0, settings.ffmpeg_bin)
            # Before the video takes its place: a run that is killed in between must not leave another one's list.
            files.remove(metadata_path(path))

    def _frames(self) -> Iterator[Timed]:
        """Yield (us since the first frame, frame), redacted where that is asked for."""
        video, indices, settings = self.video, self.indices, self.settings
        even = _even_times(indices, settings.sampled_interval_sec)
        times = _true_times(video, indices) if settings.source_fps else even
        for index, frame in video.frames(indices):
            if self.redact is not None:
                frame = redacted_frame(frame, self.redact, video.location.camera, int(video.t_us[index]))
            yield times[index], frame


def _is_there(path: str, wanted: Mapping[str, Any] | None, redact: Redact | None) -> bool:
    """Say whether a video is there that need not be written again; its list is brought up to date."""
    if not files.is_file(path):
        return False
    if wanted is None:
        return redact is None  # nothing but a list says whether a video is redacted
    found = _read_list(path)
    if found is None or not (found == wanted or _is_same_video(found, wanted)):
        return False
    if found != wanted:
        _write_list(path, wanted)
    return True


def _is_same_video(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Say whether two lists of sampled frames belong to the same video, which shows all frames of a piece."""
    if wanted["saved_video_mode"] != SOURCE_FPS or _sources(found) != _sources(wanted):
        return False
    return {**found, _SAMPLED: None} == {**wanted, _SAMPLED: None}


def _sources(content: Mapping[str, Any]) -> set[str]:
    """Return the names of the videos that a list's frames are of."""
    return {str(frame.get("video_filename")) for frame in content[_SAMPLED] if isinstance(frame, Mapping)}


def _read_list(path: str) -> dict[str, Any] | None:
    """Return the list beside a video, or None where there is none that can be read."""
    try:
        content = json.loads(files.read_text(metadata_path(path)))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and isinstance(content.get(_SAMPLED), list) else None


def _write_list(path: str, content: Mapping[str, Any]) -> None:
    files.write_atomic(metadata_path(path), json.dumps(content, indent=2) + "\n")


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
