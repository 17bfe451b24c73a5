"""Small videos whose frames carry their number, and the files beside them."""

import io
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np

from builders.pai import parquet

BITS = 12
TICKS = 90_000  # a second, in a container's units
CODECS = {"h264": "libx264", "hevc": "libx265"}
CLIP = "0a0b0c0d-1111-2222-3333-444455556666"


def numbered_picture(number: int, width: int, height: int) -> np.ndarray:
    """Return planes (height * 3 / 2, width) with the number as black and white blocks below a moving pattern."""
    y = (np.arange(width)[None, :] * 3 + np.arange(height)[:, None] * 2 + number * 5) % 180 + 30
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    planes[:height] = y
    step = width // BITS
    for bit in range(BITS):
        planes[height // 2 : height, bit * step : (bit + 1) * step] = 225 if number >> bit & 1 else 25
    return planes


def number_of(frame: av.VideoFrame | np.ndarray) -> int:
    """Return the number that a frame, or an RGB or grey array, carries."""
    luma = frame.reformat(format="gray").to_ndarray() if isinstance(frame, av.VideoFrame) else frame
    luma = luma.mean(axis=2) if luma.ndim == 3 else luma
    height, width = luma.shape
    step, row = width // BITS, slice(height * 5 // 8, height * 7 // 8)
    blocks = [luma[row, bit * step + step // 4 : (bit + 1) * step - step // 4].mean() for bit in range(BITS)]
    return sum(int(block > 125) << bit for bit, block in enumerate(blocks))


@lru_cache(maxsize=64)
def video_bytes(
    frames: int = 60,
    *,
    codec: str = "h264",
    fps: Fraction | int = 30,
    gop: int = 30,
    b_frames: int = 0,
    pyramid: bool = False,
    open_gop: bool = False,
    ticks: tuple[int, ...] = (),
    size: tuple[int, int] = (144, 96),
    form: str = "mp4",
    options: tuple[tuple[str, str], ...] = (),
    numbers: tuple[int, ...] = (),
) -> bytes:
    """Return a video file.

    ``ticks`` are the frames' times in 1/90,000 s where the rate varies, ``numbers`` what the frames carry where that is
    not 0, 1, 2 and so on.
    """
    flags = {"movflags": "+faststart"} if form == "mp4" else {}  # which needs a file that can be read again
    with tempfile.NamedTemporaryFile() as sink:
        with av.open(sink.name, "w", format=form, options=flags) as container:
            _encode(
                container,
                numbers or range(frames),
                codec,
                fps,
                ticks,
                size,
                _options(codec, gop, b_frames, pyramid, open_gop) | dict(options),
            )
        return Path(sink.name).read_bytes()


def _encode(container, numbers, codec, fps, ticks, size, options) -> None:
    stream = container.add_stream(CODECS[codec], rate=fps)
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = Fraction(1, TICKS)
    stream.codec_context.thread_count = 1
    stream.options = options
    for index, number in enumerate(numbers):
        frame = av.VideoFrame.from_ndarray(numbered_picture(number, *size), format="yuv420p")
        frame.pts = ticks[index] if ticks else round(index * TICKS / fps)
        frame.time_base = Fraction(1, TICKS)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def _options(codec: str, gop: int, b_frames: int, pyramid: bool, open_gop: bool) -> dict[str, str]:
    shared = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={b_frames}:b-adapt=0:open-gop={int(open_gop)}"
    if codec == "hevc":
        pools = "pools=none:frame-threads=1:log-level=none"
        return {"preset": "ultrafast", "crf": "20", "x265-params": f"{shared}:b-pyramid={int(pyramid)}:{pools}"}
    params = f"{shared}:b-pyramid={'normal' if pyramid else 'none'}:weightp=0"
    return {"preset": "veryfast", "crf": "20", "x264-params": params}


def with_edit_list(content: bytes, hidden: int) -> bytes:
    """Return an mp4 whose edit list hides its first frames, as cutting without encoding leaves it."""
    sink = io.BytesIO()
    with av.open(io.BytesIO(content)) as source, av.open(sink, "w", format="mp4") as target:
        stream = source.streams.video[0]
        copied = target.add_stream_from_template(stream)
        step = round(1 / stream.average_rate / stream.time_base)
        for packet in source.demux(stream):
            if packet.size:
                packet.pts -= hidden * step
                packet.dts -= hidden * step
                packet.stream = copied
                target.mux(packet)
    return sink.getvalue()


def audio_bytes() -> bytes:
    """Return an mp4 with a second of silence and no video."""
    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=44_100)
        for number in range(20):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44_100, number * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return sink.getvalue()


def times_of(frames: int, fps: float = 30.0, start_us: int = 0) -> np.ndarray:
    """Return frame times in us."""
    return start_us + np.round(np.arange(frames) * 1e6 / fps).astype(np.int64)


def text_times(t_us: Sequence[int]) -> bytes:
    """Return a text sidecar."""
    return "".join(f"{index} {t}\n" for index, t in enumerate(t_us)).encode()


def write_video(folder: Path, content: bytes, t_us: Sequence[int] | None = None, name: str = "a.front.mp4") -> Path:
    """Write a video, and its times as parquet beside it where there are any."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    if t_us is not None:
        sidecar = folder / f"{name.removesuffix('.mp4')}.timestamps.parquet"
        sidecar.write_bytes(parquet({"timestamp": np.asarray(t_us, np.int64)}))
    return path


def zip_videos(path: Path, members: Mapping[str, bytes], *, deflated: bool = False) -> Path:
    """Write a chunk zip, its members stored or deflated."""
    path.parent.mkdir(parents=True, exist_ok=True)
    method = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("first.txt", b"so that the video does not lie at the start")
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def tamper(
    path: Path, name: str, *, size: int | None = None, encrypted: bool = False, packed: int | None = None
) -> None:
    """Make a zip's central directory lie about a member."""
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\x01\x02", 0, content.rindex(name.encode()))
    if encrypted:
        content[place + 8] |= 1
    for offset, value in ((20, packed), (24, size)):
        if value is not None:
            content[place + offset : place + offset + 4] = value.to_bytes(4, "little")
    path.write_bytes(content)
