"""Frames of windows as pictures, from a 20 s video of 1080p: CPU time of the process, time by the clock, memory."""

import json
import os
import resource
import statistics
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from benchmarks.measuring import FULL, MB, Row, Scale, run_process, spread
from driving_clips.datasets.base import VideoLocation
from driving_clips.video.pictures import ImageSettings
from driving_clips.video.reading import VideoReader

WIDTH, HEIGHT, FPS, FRAMES, GOP = 1920, 1080, 30, 600, 30
USUAL, HEAVY = 2_500_000, 8_000_000  # bits per second; decoding all of the usual file takes about 3 s of CPU
SCENES = 120  # pictures that are drawn; the video shows them forwards and backwards
NAME = "clip.front.mp4"
STEP_SEC, BEFORE, AFTER = 0.5, 4, 11  # a window: t0 - 2.0 s to t0 + 5.5 s
SPREAD_SEC = (2.0, 5.3, 8.1, 11.4, 14.2)
NEAR_SEC = (6.0, 6.5, 7.0, 7.5, 8.0)
PHASE_SEC = 0.1  # the runs' windows fall differently on groups of pictures
WINDOW = 1 + BEFORE + AFTER


def measure(scale: Scale, folder: Path) -> list[Row]:
    """Read windows in fresh processes, one after the other."""
    preset = "medium" if scale is FULL else "superfast"
    path, heavy = (write_video(folder / str(rate), preset, rate) for rate in (USUAL, HEAVY))
    archive = folder / "front.chunk_0000.zip"
    with zipfile.ZipFile(archive, "w") as chunk:
        chunk.write(path, NAME)
    runs = {name: [_run(name, path, archive, i) for i in range(max(2, scale.repeats))] for name in CASES}
    runs["heavy"] = [_run("window", heavy, archive, i) for i in range(max(2, scale.repeats))]
    how = f"{WINDOW} frames, H.264 {_rate(path):.1f} Mbit/s, {scale.repeats} fresh processes"
    return [
        _row("a window as pictures of 1280 x 720", "<= 0.9 s CPU, < 300 MB", runs["window"], how),
        _row("a window as pictures of 1920 x 1080", "", runs["full size"], how),
        _row(
            "of a file of 8 Mbit/s, 1280 x 720",
            "",
            runs["heavy"],
            how.replace(f"{_rate(path):.1f}", f"{_rate(heavy):.1f}"),
        ),
        _row("all 600 frames, decoded only", "", runs["decoder"], how.replace(f"{WINDOW} frames", f"{FRAMES} frames")),
        _row("a window from a chunk zip, stored", "nothing written", runs["zip"], how),
        _ratio("chunk zip : file", "<= 1.1", runs["zip"], runs["window"], "CPU time"),
        _ratio("five windows over the clip : five calls", "<= 0.8", runs["spread"], runs["spread apart"], "CPU time"),
        _ratio("five windows within 2 s : one", "<= 1.6", runs["near"], runs["window"], "CPU time, 20 frames"),
    ]


def _rate(path: Path) -> float:
    return path.stat().st_size * 8 / (FRAMES / FPS) / 1e6


def _row(what: str, reach: str, runs: Sequence[dict[str, float]], how: str) -> Row:
    cpu, wall = (spread([run[name] for run in runs], "s", 2) for name in ("cpu", "wall"))
    peak = spread([run["rss"] / MB for run in runs], "MB")
    written = max(run["written"] for run in runs)
    return Row(what, reach, f"{cpu} CPU, {wall} wall, {peak} peak, {written:.0f} bytes written", how)


def _ratio(
    what: str, reach: str, runs: Sequence[dict[str, float]], others: Sequence[dict[str, float]], how: str
) -> Row:
    cpu, other = ([run["cpu"] for run in group] for group in (runs, others))
    medians, least = statistics.median(cpu) / statistics.median(other), min(cpu) / min(other)
    return Row(what, reach, f"{medians:.2f} of medians, {least:.2f} of the least", how)


def _run(name: str, path: Path, archive: Path, number: int) -> dict[str, float]:
    result = path.with_name("result.json")
    run_process([sys.executable, "-m", "benchmarks.frames", name, str(path), str(archive), str(number), str(result)])
    values: dict[str, float] = json.loads(result.read_text())
    return values


def window(t0_sec: float) -> list[int]:
    """Return the times of a window's frames in us."""
    return [round((t0_sec + step * STEP_SEC) * 1e6) for step in range(-BEFORE, AFTER + 1)]


def read(location: VideoLocation, t0s_sec: Sequence[float], settings: ImageSettings) -> int:
    """Read the frames of some windows at once; returns the bytes of their pictures."""
    with VideoReader(location) as video:
        wanted = sorted({t for t0 in t0s_sec for t in window(t0)})
        indices = video.nearest(wanted, 20_000)
        return sum(len(picture.jpeg) for picture in video.pictures(indices, settings))


def _one(file: VideoLocation, _: VideoLocation, phase: float) -> None:
    read(file, [6.0 + phase], ImageSettings())


def _full_size(file: VideoLocation, _: VideoLocation, phase: float) -> None:
    read(file, [6.0 + phase], ImageSettings(max_side=None))


def _zip(_: VideoLocation, member: VideoLocation, phase: float) -> None:
    read(member, [6.0 + phase], ImageSettings())


def _spread(file: VideoLocation, _: VideoLocation, phase: float) -> None:
    read(file, [t0 + phase / 5 for t0 in SPREAD_SEC], ImageSettings())


def _spread_apart(file: VideoLocation, _: VideoLocation, phase: float) -> None:
    for t0 in SPREAD_SEC:
        read(file, [t0 + phase / 5], ImageSettings())


def _near(file: VideoLocation, _: VideoLocation, phase: float) -> None:
    read(file, [t0 + phase for t0 in NEAR_SEC], ImageSettings())


def _decoder(file: VideoLocation, _: VideoLocation, phase: float) -> None:
    """Decode one frame after the other, as a reader does that knows no better."""
    with VideoReader(file) as video:
        for _frame in video.frames(range(FRAMES)):
            pass


CASES: dict[str, Callable[[VideoLocation, VideoLocation, float], None]] = {
    "window": _one,
    "full size": _full_size,
    "zip": _zip,
    "spread": _spread,
    "spread apart": _spread_apart,
    "near": _near,
    "decoder": _decoder,
}


def write_video(folder: Path, preset: str, bits_per_sec: int = USUAL) -> Path:
    """Write the video, unless it is there: a road of texture that comes closer, with the grain of a sensor."""
    import av

    path = folder / NAME
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    scenes = list(_scenes())
    order = [*range(SCENES), *range(SCENES - 2, 0, -1)]
    options = {"preset": preset, "b": str(bits_per_sec), "maxrate": str(2 * bits_per_sec), "bufsize": "16000000"}
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = WIDTH, HEIGHT, "yuv420p", GOP
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(scenes[order[number % len(order)]], format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    t_us = "".join(f"{i} {round(i * 1e6 / FPS)}\n" for i in range(FRAMES))
    path.with_suffix(".timestamps").write_text(t_us)
    os.sync()
    return path


def _scenes() -> Iterator[np.ndarray]:
    from PIL import Image

    rng = np.random.default_rng(1)
    size = 2048
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.rfftfreq(size), indexing="ij"))
    frequency[0, 0] = 1
    texture = np.fft.irfft2(np.exp(2j * np.pi * rng.random(frequency.shape)) / frequency**1.1, s=(size, size))
    values = (texture - texture.mean()) / texture.std() * 35 + 120
    image = Image.fromarray(values.clip(16, 235).astype(np.uint8))
    grain = rng.normal(0, 1.5, (HEIGHT + 64, WIDTH + 64)).astype(np.float32)
    for number in range(SCENES):
        width = 1600 * (0.9 - 0.3 * number / SCENES)
        height, middle = width * HEIGHT / WIDTH, 1024 + 100 * np.sin(number / 30)
        box = (middle - width / 2, 1024 - height / 2, middle + width / 2, 1024 + height / 2)
        x, y = rng.integers(0, 64, 2)
        luma = np.asarray(image.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, box=box)).astype(np.float32)
        luma = (luma + grain[y : y + HEIGHT, x : x + WIDTH]).clip(16, 235).astype(np.uint8)
        quarter = luma[::2, ::2].astype(np.int16) - 120
        chroma = [(128 + quarter // 8).astype(np.uint8), (130 - quarter // 6).astype(np.uint8)]
        yield np.concatenate([luma.ravel(), *(c.ravel() for c in chroma)]).reshape(HEIGHT * 3 // 2, WIDTH)


def _written() -> int:
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:  # not on this system
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def _peak_rss() -> int:
    """Return this process's own peak in bytes; what rusage says includes the process it was forked from."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


def main() -> None:
    """Run one case in this process and write what it took."""
    import av  # noqa: F401 - imports are no part of what is measured
    from PIL import Image

    Image.init()
    name, path, archive, number, result = sys.argv[1:]
    file = VideoLocation("front", path, "", str(Path(path).with_suffix(".timestamps")))
    member = VideoLocation("front", archive, NAME, None)
    before, written, started = resource.getrusage(resource.RUSAGE_SELF), _written(), time.perf_counter()
    CASES[name](file, member, int(number) * PHASE_SEC)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    values = {"cpu": cpu, "wall": wall, "rss": _peak_rss(), "written": _written() - written}
    Path(result).write_text(json.dumps(values))


if __name__ == "__main__":
    main()
