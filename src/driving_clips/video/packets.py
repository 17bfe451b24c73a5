"""What a video's packets say without decoding: which frame is where, and what must be decoded to see it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from driving_clips.errors import ClipFailedError
from driving_clips.video.opening import pyav

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream


MAX_PACKETS = 5_000_000  # of a video, two days at 30 Hz; each takes some 150 bytes of memory


@dataclass(frozen=True)
class Run:
    """Packets to decode in one go, positions in decode order.

    Attributes:
        start: a keyframe's position.
        wanted: positions of the packets whose frames are wanted, ascending.
    """

    start: int
    wanted: tuple[int, ...]


@dataclass(frozen=True)
class PacketTable:
    """A video's packets in decode order.

    Attributes:
        pts: (P,) presentation times in units of the stream's time base, no two alike; where the container has no
            such times (a raw stream), the packets' positions.
        dts: (P,) decoding times in the same unit.
        is_key: (P,) whether decoding can start there.
        is_shown: (P,) whether the frame is part of the video; an edit list hides others.
        is_timed: whether the container has times.
        fault: what ended the reading too early, or "".
    """

    pts: NDArray[np.int64]
    dts: NDArray[np.int64]
    is_key: NDArray[np.bool_]
    is_shown: NDArray[np.bool_]
    is_timed: bool
    fault: str = ""

    @cached_property
    def position_of_frame(self) -> NDArray[np.int64]:
        """(N,) position of the packet of each frame, frames in display order."""
        shown = np.flatnonzero(self.is_shown)
        return shown[np.argsort(self.pts[shown], kind="stable")]

    @cached_property
    def position_of_pts(self) -> dict[int, int]:
        """Position of the packet with a presentation time."""
        return {pts: position for position, pts in enumerate(self.pts.tolist())}

    @cached_property
    def _keys(self) -> NDArray[np.int64]:
        keys = np.flatnonzero(self.is_key)
        return keys if len(keys) and keys[0] == 0 else np.concatenate([[0], keys])

    def key_before(self, position: int, earlier: int = 0) -> int:
        """Return the keyframe from which a packet's frame can be decoded, or one that lies ``earlier`` by as many.

        A frame that is shown before the last keyframe but comes after it needs the pictures before that keyframe too.
        """
        place = int(np.searchsorted(self._keys, position, side="right")) - 1
        if self.pts[position] < self.pts[self._keys[place]]:
            place -= 1
        return int(self._keys[max(0, place - earlier)])

    def leads(self, position: int, start: int) -> bool:
        """Say whether a packet belongs to a frame that cannot be decoded from ``start``."""
        return self.key_before(position) < start

    def runs(self, positions: Iterable[int]) -> list[Run]:
        """Plan the decoding of the packets at ``positions``: on within a group of pictures, afresh at a later one."""
        runs: list[Run] = []
        for position in sorted(positions):
            start = self.key_before(position)
            if runs and start <= runs[-1].wanted[-1] + 1:
                runs[-1] = Run(runs[-1].start, (*runs[-1].wanted, position))
            else:
                runs.append(Run(start, (position,)))
        return runs


def read_table(container: "InputContainer", stream: "VideoStream", place: object = "the video") -> PacketTable:
    """Read all packets of a video, from where the container stands, without decoding any.

    A file that is cut off or damaged gives the packets before that place.

    Raises:
        ClipFailedError: more than ``MAX_PACKETS`` packets in ``place``.
    """
    av = pyav()
    rows: list[tuple[int | None, int | None, bool, bool]] = []
    fault = ""
    try:
        packets = islice(usable(container.demux(stream)), MAX_PACKETS + 1)
        rows = [(p.pts, p.dts, p.is_keyframe, not p.is_discard) for p in packets]
    except (av.error.FFmpegError, OSError) as error:
        fault = str(error)
    if len(rows) > MAX_PACKETS:
        raise ClipFailedError("corrupt_video", f"{place}: more than {MAX_PACKETS:,} packets. Cut the video into parts.")
    return table_of(rows, fault)


def table_of(rows: list[tuple[int | None, int | None, bool, bool]], fault: str = "") -> PacketTable:
    """Return the table of (pts, dts, is keyframe, is shown) in decode order."""
    times = [row[0] for row in rows if row[0] is not None]
    is_timed = len(times) == len(rows) and len(set(times)) == len(rows)
    pts = np.array(times if is_timed else range(len(rows)), dtype=np.int64)
    dts = np.array([p if row[1] is None else row[1] for p, row in zip(pts.tolist(), rows, strict=True)], dtype=np.int64)
    is_key, is_shown = (np.array([row[i] for row in rows], dtype=np.bool_) for i in (2, 3))
    return PacketTable(pts, dts if is_timed else pts, is_key, is_shown, is_timed, fault)


def usable(packets: "Iterable[Packet[VideoStream]]") -> "Iterator[Packet[VideoStream]]":
    """Yield the packets that hold something, up to the first that the container says is incomplete."""
    for packet in packets:
        if packet.is_corrupt:
            return
        if packet.size:
            yield packet


def packets_from(
    container: "InputContainer", stream: "VideoStream", table: PacketTable, start: int
) -> "Iterator[tuple[int, Packet[VideoStream]]]":
    """Yield (position, packet) from a position on; the decoder is reset.

    The container is asked for that place, and read from its beginning where it answers with a later one.
    """
    for seeks in (True, False):
        position = 0
        if table.is_timed and start and seeks:
            container.seek(int(table.dts[start]), stream=stream, backward=True)
            position = -1
        else:
            rewind(container, stream, table)
        for packet in usable(container.demux(stream)):
            if not table.is_timed:
                packet.pts = packet.dts = position
            elif position < 0:
                position = table.position_of_pts.get(packet.pts if packet.pts is not None else -1, start + 1)
                if position > start:
                    break  # not where it was asked to be
            if position >= len(table.pts):
                return
            if position >= start:
                yield position, packet
            position += 1
        else:
            return


def rewind(container: "InputContainer", stream: "VideoStream", table: PacketTable) -> None:
    """Go back to the first packet; the decoder is reset."""
    first = min(0, int(table.dts.min()), int(table.pts.min())) if table.is_timed else 0
    try:
        container.seek(first, stream=stream, backward=True)
    except pyav().error.FFmpegError:  # a raw stream knows no times
        container.seek(0, stream=stream, unsupported_byte_offset=True)
