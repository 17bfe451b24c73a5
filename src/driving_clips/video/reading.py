"""Reading the frames of a video at exact times, with no more decoding than they need."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from driving_clips.datasets.base import VideoLocation
from driving_clips.errors import ClipFailedError
from driving_clips.video.opening import check_pixels, open_video, own_errors, pyav
from driving_clips.video.packets import PacketTable, Run, packets_from, read_table, rewind, usable
from driving_clips.video.pictures import ImageSettings, Picture, Redact, to_picture
from driving_clips.video.timestamps import frame_times, nearest

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

__all__ = ["VideoReader", "nearest"]

US = 1_000_000
# How many keyframes earlier a frame is tried again that did not come out; what fails then is decoded from the start.
EARLIER_KEYS = (1,)
_HOLE_BYTES = 4


class VideoReader:
    """An open video whose frames are asked for by their index in display order.

    Attributes:
        location: where it lies.
        t_us: (N,) us on the clip clock of each frame that has a time, strictly increasing.
        notices: what a user should know: times without a sidecar, a file that is cut off.
        refused_times: there is a sidecar that cannot be used; ``notices`` begin with why.
        fps: frames a second, on average.
        codec: name of the codec, such as "h264".

    Example:
        >>> with VideoReader(location) as video:  # doctest: +SKIP
        ...     indices = video.nearest(np.array([0, 500_000]), 50_000)
        ...     frames = dict(video.frames(indices[indices >= 0]))
    """

    def __init__(self, location: VideoLocation) -> None:
        """Open a video.

        Raises:
            ClipFailedError: no video, no frame in it, or no way to know their times.
            DatasetError: PyAV is not installed.
        """
        self.location = location
        with ExitStack() as stack:
            self.container, self.stream = stack.enter_context(open_video(location))
            with own_errors(location):
                self.table = read_table(self.container, self.stream, location)
            self.t_us, self.notices, self.refused_times = self._times()
            self.codec: str = self.stream.codec_context.name
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    @property
    def fps(self) -> float:
        """Frames a second, on average; 0 where there is but one frame."""
        spans = len(self.t_us) - 1
        return spans * US / float(self.t_us[-1] - self.t_us[0]) if spans else 0.0

    def nearest(self, wanted_us: ArrayLike, tolerance_us: int) -> NDArray[np.int64]:
        """Return for each wanted time (M,) the index of the nearest frame, -1 where none is within the tolerance."""
        return nearest(self.t_us, wanted_us, tolerance_us)

    def frames(self, indices: Iterable[int]) -> "Iterator[tuple[int, VideoFrame]]":
        """Yield (index, frame) for each of the given indices once, in one pass.

        They come in display order, but for frames that needed a second attempt. Frames that are not wanted are
        decoded only where others depend on them.

        Raises:
            IndexError: an index that is no frame's.
            ClipFailedError: a frame that cannot be decoded; the message names it.
        """
        wanted = sorted({int(index) for index in indices})
        if wanted and not 0 <= wanted[0] <= wanted[-1] < len(self.t_us):
            raise IndexError(f"{self.location}: frames {wanted[0]} to {wanted[-1]} of {len(self.t_us)}")
        with own_errors(self.location):
            if not self.table.is_timed and self.stream.codec_context.has_b_frames:
                yield from self._counted(wanted)
            else:
                yield from self._planned(wanted)

    def pictures(
        self, indices: Iterable[int], settings: ImageSettings | None = None, redact: Redact | None = None
    ) -> Iterator[Picture]:
        """Yield the frames at the given indices as JPEG pictures, as ``frames`` does.

        Args:
            indices: of the frames, in any order.
            settings: size and quality; the default ones where None.
            redact: changes each picture (H, W, 3 uint8 RGB, camera, t_us) at full size before it is encoded.
        """
        camera, chosen = self.location.camera, settings or ImageSettings()
        for index, frame in self.frames(indices):
            yield to_picture(frame, index, int(self.t_us[index]), chosen, redact, camera)

    def _times(self) -> tuple[NDArray[np.int64], list[str], bool]:
        """Return the frames' times, what is to be said about them, and whether a sidecar was refused."""
        table, location = self.table, self.location
        frames = len(table.position_of_frame)
        if not frames:
            raise ClipFailedError("corrupt_video", f"{location}: expected a video, found no frame in it.{_so(table)}")
        own_us = None
        if table.is_timed and self.stream.time_base is not None:
            pts = table.pts[table.position_of_frame]
            base = self.stream.time_base
            own_us = np.round((pts - pts[0]) * (base.numerator * US / base.denominator)).astype(np.int64)
        hidden = len(table.pts) - frames
        declared = max(frames, self.stream.frames - hidden)
        times = frame_times(location, own_us, frames, declared)
        notices = list(times.notices)
        if declared > frames or table.fault:
            whole = f" of {declared}" if declared > frames else ""
            notices.append(f"{location}: cut off or damaged, {frames} frames{whole} can be read.{_so(table)}")
        return times.t_us, notices, times.refused

    def _planned(self, wanted: list[int]) -> "Iterator[tuple[int, VideoFrame]]":
        table = self.table
        index_of = {int(table.position_of_frame[index]): index for index in wanted}
        for run in table.runs(index_of):
            missing = set(run.wanted)
            for position, frame in self._decode(run):
                missing.discard(position)
                yield index_of[position], frame
            for position in sorted(missing):
                yield index_of[position], self._again(position, index_of[position])

    def _again(self, position: int, index: int) -> "VideoFrame":
        """Decode one frame from earlier keyframes, and from the start in the end."""
        starts = [self.table.key_before(position, earlier) for earlier in EARLIER_KEYS]
        for start in dict.fromkeys([*starts, 0]):
            for _, frame in self._decode(Run(start, (position,)), skips=False):
                return frame
        raise self._undecodable(index)

    def _decode(self, run: Run, *, skips: bool = True) -> "Iterator[tuple[int, VideoFrame]]":
        """Yield (position, frame) of what comes out of a run whole; frames that depend on a damaged one do not."""
        table, wanted = self.table, set(run.wanted)
        damage: list[int] = []
        for position, frame in self._frames_of_run(run, skips):
            if frame is None or frame.is_corrupt:
                if not table.leads(position, run.start):
                    damage.append(position)
            elif position in wanted:
                key = table.key_before(position)
                if not any(key <= place < position for place in damage):
                    wanted.discard(position)
                    yield position, frame

    def _frames_of_run(self, run: Run, skips: bool) -> "Iterator[tuple[int, VideoFrame | None]]":
        """Yield (position, frame) of all that is decoded, and (position, None) for packets that cannot be."""
        context, wanted = self.stream.codec_context, set(run.wanted)
        # Frames that no other depends on need not be decoded unless they are wanted themselves. Where there are none,
        # the decoder is better left to complain of every packet that it cannot make a frame of.
        skips = skips and context.has_b_frames
        for position, packet in packets_from(self.container, self.stream, self.table, run.start):
            context.skip_frame = "NONREF" if skips and position not in wanted else "DEFAULT"
            frames = None if is_hole(packet) else decode(self.stream, packet)
            if frames is None:
                self._check_size()
                yield position, None
            for frame in frames or ():
                yield self._position(frame), frame
            if position >= run.wanted[-1]:
                break
        for frame in decode(self.stream, None) or ():
            yield self._position(frame), frame

    def _position(self, frame: "VideoFrame") -> int:
        return self.table.position_of_pts.get(-1 if frame.pts is None else frame.pts, -1)

    def _counted(self, wanted: list[int]) -> "Iterator[tuple[int, VideoFrame]]":
        """Yield the frames of a raw stream whose frames are reordered: only counting from the start can tell them."""
        if not wanted:
            return
        left, index = set(wanted), 0
        self.stream.codec_context.skip_frame = "DEFAULT"
        rewind(self.container, self.stream, self.table)
        for packet in chain(usable(self.container.demux(self.stream)), [None]):
            frames = decode(self.stream, packet)
            if frames is None:
                self._check_size()
                raise self._undecodable(min(left))
            for frame in frames:
                if frame.is_corrupt:
                    raise self._undecodable(min(left))
                if index in left:
                    left.discard(index)
                    yield index, frame
                index += 1
            if not left:
                return
        raise self._undecodable(min(left))

    def _check_size(self) -> None:
        """Say so where the decoder has refused a frame for its size, which its headers have just told it."""
        context = self.stream.codec_context
        check_pixels(self.location, context.width, context.height)

    def _undecodable(self, index: int) -> ClipFailedError:
        return ClipFailedError(
            "corrupt_video",
            f"{self.location}: frame {index} at {self.t_us[index] / US:.3f} s cannot be decoded, not even from the "
            "start of the file: it is damaged there. Download it again.",
        )


def decode(stream: "VideoStream", packet: "Packet[VideoStream] | None") -> "list[VideoFrame] | None":
    """Decode a packet, or with None what the decoder still holds; returns None where it cannot be decoded."""
    try:
        return list(stream.codec_context.decode(packet))
    except pyav().error.FFmpegError:
        return None


def is_hole(packet: "Packet[VideoStream]") -> bool:
    """Say whether a packet lies where a file was never written: the decoder would pass over it without a word."""
    return bytes(memoryview(packet)[:_HOLE_BYTES]) == bytes(_HOLE_BYTES)


def _so(table: PacketTable) -> str:
    return f" ({table.fault})" if table.fault else ""
