"""Opening a video for PyAV: files and stored zip members in place, deflated members through a bounded spool.

Videos come from elsewhere and are not trusted. PyAV sees nothing but the bytes of the one video: it opens no path and
no address by itself, and only formats that hold video rather than point to it.
"""

import tempfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import IO, TYPE_CHECKING, Any, cast

from isal import isal_zlib

from driving_clips import files
from driving_clips.datasets.base import VideoLocation
from driving_clips.errors import ClipFailedError, DatasetError
from driving_clips.file_parts import FilePart

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

MB = 1 << 20
SPOOL_BYTES = 64 * MB  # of a deflated video in memory; what is beyond goes to a temporary file without a name
MAX_INFLATION = 20  # times a member's packed size: videos hardly deflate, so that more is an attack
MAX_UNPACKED_BYTES = 4 << 30  # of a deflated member, whatever its packed size: it must fit a disk for temporary files
MAX_PIXELS = 64_000_000  # of a frame, twice 8K; a header of a few bytes can ask for GBs
_CHUNK = 4 * MB
_READ_AHEAD = 256 << 10
# Opening would decode some frames to learn what they look like: a twentieth of a window's time. Headers say it as well.
_UNDECODED = [{"skip_frame": "all"}] * 16  # streams; a video has fewer
_OPTIONS = {"format_whitelist": "mov,mp4,matroska,webm,avi,mpegts,hevc,h264"}


def pyav() -> Any:
    """Return the module ``av``; raises DatasetError where it is not installed."""
    try:
        import av
    except ImportError as error:
        raise DatasetError("reading video needs PyAV: pip install 'coc-toolkit[vlm]'") from error
    return av


@contextmanager
def own_errors(place: object) -> Iterator[None]:
    """Turn PyAV's and the system's errors while reading ``place`` into ClipFailedError."""
    av = pyav()
    try:
        yield
    except (av.error.FFmpegError, OSError, EOFError) as error:
        raise ClipFailedError("corrupt_video", f"{place}: the video cannot be read ({_short(error)}).") from error


@contextmanager
def open_video(location: VideoLocation) -> Iterator[tuple["InputContainer", "VideoStream"]]:
    """Yield PyAV's container and its video stream, set to decode in the calling thread.

    Raises:
        ClipFailedError: no video, a damaged archive, no video stream in it, or one of too large frames.
        DatasetError: PyAV is not installed.
    """
    av = pyav()
    limit = {"max_pixels": str(MAX_PIXELS)}
    with closing(open_bytes(location)) as content:
        try:
            container = av.open(
                content,
                mode="r",
                options=_OPTIONS | limit,
                stream_options=_UNDECODED,
                buffer_size=_READ_AHEAD,
                metadata_errors="ignore",
            )
        except (av.error.FFmpegError, OSError, EOFError, ValueError) as error:
            size = content.seek(0, 2)
            raise ClipFailedError(
                "corrupt_video",
                f"{location}: expected a video (mp4 or the like), found {size} bytes that are none ({_short(error)}). "
                "Download it again.",
            ) from error
        with container:
            stream = container.streams.best("video")
            if stream is None or stream.codec_context is None:
                raise ClipFailedError("corrupt_video", f"{location}: expected a video, found no video stream in it.")
            check_pixels(location, stream.codec_context.width, stream.codec_context.height)
            # A frame may be larger than the container says: the decoder refuses it before it makes room for it.
            stream.codec_context.options = limit
            # Runs have a process for each core; more threads cost a sixth more and are only sooner done alone.
            stream.codec_context.thread_type = "NONE"
            stream.codec_context.thread_count = 1
            yield container, stream


def check_pixels(place: object, width: int, height: int) -> None:
    """Raise ClipFailedError for frames of more than ``MAX_PIXELS``; sides in pixels."""
    if width * height > MAX_PIXELS:
        raise ClipFailedError(
            "corrupt_video",
            f"{place}: frames of {width} x {height} pixels, at most {MAX_PIXELS / 1e6:g} megapixels are read. "
            "Scale the video down.",
        )


def inflation_fault(packed_size: int, size: int) -> str:
    """Return why a deflated member of these sizes in bytes is not unpacked, or "".

    Example:
        >>> inflation_fault(1000, 4000)
        ''
        >>> inflation_fault(1000, 80_000_000)
        '1000 bytes claim to inflate to 80000000, at most 67128864 are believed'
    """
    most = min(MAX_INFLATION * packed_size + SPOOL_BYTES, MAX_UNPACKED_BYTES)
    return f"{packed_size} bytes claim to inflate to {size}, at most {most} are believed" if size > most else ""


def open_bytes(location: VideoLocation) -> IO[bytes]:
    """Return a video's bytes as a seekable file; raises ClipFailedError."""
    if location.member:
        place = files.place_of_member(location.path, location.member)
        return _stored(location, place) if place.stored else _inflated(location, place)
    try:
        return cast("IO[bytes]", FilePart(location.path))
    except OSError as error:
        raise ClipFailedError(
            "corrupt_video", f"{location}: the video cannot be opened ({error.strerror or error})."
        ) from error


def _stored(location: VideoLocation, place: files.MemberPlace) -> IO[bytes]:
    """Return a stored member in place. Its checksum costs a few ms and is all that tells some damage from a picture."""
    part = FilePart(location.path, place.offset, place.size)
    checksum = 0
    while chunk := part.read(_CHUNK):
        checksum = isal_zlib.crc32(chunk, checksum)
    if checksum != place.checksum:
        part.close()
        raise _damaged(location, "wrong checksum")
    part.seek(0)
    return cast("IO[bytes]", part)


def _inflated(location: VideoLocation, place: files.MemberPlace) -> IO[bytes]:
    """Return a deflated member, inflated into memory or, where it is large, into a temporary file."""
    if fault := inflation_fault(place.packed_size, place.size):
        raise _damaged(location, fault)
    spool = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - the caller closes it
    try:
        size = checksum = 0
        for piece in _pieces(location, place):
            size += len(piece)
            checksum = isal_zlib.crc32(piece, checksum)
            if size > place.size:
                break
            spool.write(piece)
        if size != place.size or checksum != place.checksum:
            raise _damaged(location, f"wrong size or checksum, {place.size} bytes expected, {size} found")
    except (zlib.error, isal_zlib.IsalError) as error:  # type: ignore[misc]  # its stub calls the class an instance
        spool.close()
        raise _damaged(location, str(error)) from error
    except BaseException:
        spool.close()
        raise
    spool.seek(0)
    return cast("IO[bytes]", spool)


def _pieces(location: VideoLocation, place: files.MemberPlace) -> Iterator[bytes]:
    unpacker = isal_zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    with closing(FilePart(location.path, place.offset, place.packed_size)) as part:
        while not unpacker.eof and (packed := part.read(_CHUNK)):
            while packed and not unpacker.eof:
                yield unpacker.decompress(packed, _CHUNK)
                packed = unpacker.unconsumed_tail
    yield unpacker.flush()


def _damaged(location: VideoLocation, found: str) -> ClipFailedError:
    detail = f"{location.path}: member {location.member} is damaged ({found}). Download the archive again."
    return ClipFailedError("corrupt_zip", detail)


def _short(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:160]
