"""Writing video, behind one function.

PyAV's wheels carry x264 and are GPL-licensed through it; where that matters, a system ffmpeg with an encoder of your
choice of build does the encoding instead: it is preferred wherever it is found.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from driving_clips.errors import ClipFailedError
from driving_clips.video.opening import pyav

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

MICROSECOND = Fraction(1, 1_000_000)
_X264 = {"preset": "veryfast", "crf": "23"}
_MP4 = {"movflags": "+faststart", "fflags": "+bitexact", "brand": "mp42"}

Timed = tuple[int, "VideoFrame"]  # us since the first frame, and the frame


def encode_h264(
    frames: Iterable[Timed],
    path: str,
    fps: float,
    ffmpeg_bin: str | None = "ffmpeg",
    *,
    max_side: int | None = None,
    keyframe_every: int | None = None,
) -> None:
    """Write frames as an mp4 that browsers play: H.264, 4:2:0, even sides, its index at the front.

    Args:
        frames: (us since the first, frame), at least one; the true times are kept, at any frame rate.
        path: of the file to write, whatever its name.
        fps: a hint at the frame rate for the encoder's rate control.
        ffmpeg_bin: an ffmpeg binary to use where it is found; else PyAV's x264 does it in this process.
        max_side: the longer side in pixels at most; frames are never enlarged.
        keyframe_every: so many frames at most from one that stands alone to the next: fewer make jumps quicker and
            the file larger. The encoder's own choice where None.

    Raises:
        ClipFailedError: it cannot be encoded.
    """
    frames = _even(frames, max_side)
    options = _X264 if keyframe_every is None else {**_X264, "g": str(keyframe_every)}
    binary = shutil.which(ffmpeg_bin) if ffmpeg_bin else None
    if binary:
        _with_binary(frames, path, fps, binary, options)
        return
    av = pyav()
    try:
        with av.open(path, "w", format="mp4", options=_MP4) as container:
            _write(container, "libx264", options, frames, fps)
    except (av.error.FFmpegError, ValueError) as error:
        raise ClipFailedError(
            "no_encoding", f"{path}: the video cannot be encoded ({error}). Install ffmpeg with libx264."
        ) from error


def _with_binary(frames: Iterable[Timed], path: str, fps: float, binary: str, options: Mapping[str, str]) -> None:
    """Encode by ffmpeg, which is handed the pictures with their times through a pipe."""
    av = pyav()
    command = [binary, "-hide_banner", "-loglevel", "error", "-nostdin", "-y", "-f", "nut", "-i", "pipe:0"]
    command += ["-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-video_track_timescale", "90000"]
    command += ["-c:v", "libx264", *(word for name, value in options.items() for word in (f"-{name}", value))]
    command += ["-pix_fmt", "yuv420p", "-movflags", "+faststart", "-fflags", "+bitexact", "-f", "mp4", f"file:{path}"]
    with tempfile.TemporaryFile() as messages:  # a pipe that nobody reads meanwhile could fill up
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=messages)  # noqa: S603
        try:
            assert process.stdin is not None
            with av.open(process.stdin, "w", format="nut") as container:
                _write(container, "rawvideo", {}, frames, fps)
        except (av.error.FFmpegError, BrokenPipeError):
            pass  # it has ended early, and says why itself
        except BaseException:
            process.kill()
            process.wait()
            raise
        process.communicate()
        messages.seek(0)
        said = messages.read().decode(errors="replace").strip()
    if process.returncode:
        raise ClipFailedError(
            "no_encoding",
            f"{path}: {binary} cannot encode the video ({said[-300:]}). "
            "It must be ffmpeg 5.1 or later with libx264; or set "
            "data_loader.video.segment_video_ffmpeg_bin to '' for PyAV.",
        )


def _write(container: Any, codec: str, options: Mapping[str, str], frames: Iterable[Timed], fps: float) -> None:
    """Encode all frames, alike in form and size, into a container that is open for writing."""
    stream = None
    for t_us, frame in frames:
        if stream is None:
            stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=dict(options))
            stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
            stream.codec_context.time_base = stream.time_base = MICROSECOND
            stream.codec_context.thread_count = 1  # a process for each core is running already
            for name in ("color_range", "colorspace", "color_trc", "color_primaries"):
                setattr(stream.codec_context, name, getattr(frame, name))
        frame.pts, frame.time_base = t_us, MICROSECOND
        frame.pict_type = 0  # not the source's
        container.mux(stream.encode(frame))
    if stream is not None:
        container.mux(stream.encode())


def _even(frames: Iterable[Timed], max_side: int | None) -> Iterator[Timed]:
    """Yield frames as 8-bit 4:2:0 of even size, all of the first one's size."""
    size: tuple[int, int] | None = None
    for t_us, frame in frames:
        size = size or _even_size(frame.width, frame.height, max_side)
        yield t_us, frame.reformat(*size, "yuv420p", dst_color_range=1, threads=1)


def _even_size(width: int, height: int, max_side: int | None) -> tuple[int, int]:
    scale = 1.0 if max_side is None else min(1.0, max_side / max(width, height))
    return max(2, int(width * scale) & ~1), max(2, int(height * scale) & ~1)
