"""Labels from a model behind HTTP: how near to the server's own speed, resuming a large run, 100 clips of 1080p."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks import frames
from benchmarks.data import CLIPS_PER_CHUNK, clip_id, golden_members
from benchmarks.measuring import MB, ProcessRun, Row, Scale, run_process, spread
from coc_labeling.records import to_yaml
from coc_labeling.results import LABELS, LABELS_SCHEMA, as_row
from coc_labeling.schema import CoCLabel, Record, released_content
from driving_clips.files import stamp
from meta_action.names import EGO_NAMES
from meta_action.results import CLIPS_SCHEMA, ResultsFolder
from meta_action.timeline_table import SPANS_SCHEMA

SERVER = Path(__file__).resolve().parent.parent / "tests" / "builders" / "fake_openai.py"
CAMERA = "camera_front_wide_120fov"
LATENCY_SEC, ROOM = 0.5, 32
PER_CLIP = 5
GOLDEN_CLIPS = 40  # whose ego motion is repeated


def keyframes_of(number: int) -> list[int]:
    """Return a clip's keyframes in ticks of 0.1 s: others than those of clips with the same ego motion.

    The response cache would answer a window that was asked about before.
    """
    return [25 + number // GOLDEN_CLIPS % 21 + 21 * k for k in range(PER_CLIP)]


def measure(scale: Scale, folder: Path) -> list[Row]:
    """Label tiny frames as fast as the server lets, resume a large experiment, label 100 clips of 1080p."""
    return [*_rate(scale, folder / "rate"), *_resume(scale, folder / "resume"), *_hundred(scale, folder / "hundred")]


def _rate(scale: Scale, folder: Path) -> list[Row]:
    inputs = Inputs(folder)
    clips = inputs.write(scale.rate_clips, tiny_video())
    windows = clips * PER_CLIP
    rates, steady = [], []
    for _ in range(scale.growing_repeats + 1):
        with server(LATENCY_SEC, ROOM) as url:
            run = inputs.label(url, num_workers=2)
        rates.append(windows / run.wall_sec)
        steady.append(inputs.last_summary()["this_run"]["labels_per_minute"] / 60)
    best = ROOM / LATENCY_SEC
    how = f"`coc label`, {windows:,} windows of {clips} clips, 144 x 96, server apart, {len(rates)} runs"
    return [
        Row("labels/s, the run's own time", f">= {0.9 * best:.1f}", spread(steady, "labels/s", 1), how),
        Row("labels/s, start-up and tables included", "", spread(rates, "labels/s", 1), how),
    ]


def _resume(scale: Scale, folder: Path) -> list[Row]:
    inputs = Inputs(folder)
    inputs.write(scale.finished_records // PER_CLIP + 2, tiny_video(), with_video=2)
    run_dir = inputs.finish(scale.finished_records)
    seconds = []
    for _ in range(scale.growing_repeats + 1):
        with server(0.0, ROOM) as url:
            started = time.time()
            inputs.label(url, num_workers=2, resume_exp_dir=str(run_dir), log_json="true", response_cache="false")
        seconds.append(_first_answer(run_dir) - started)
        inputs.forget(run_dir, scale.finished_records)
    how = f"from the command to the first answer of a server without latency, {len(seconds)} runs"
    return [Row(f"resume over {scale.finished_records:,} records", "< 20 s", spread(seconds, "s", 1), how)]


def _hundred(scale: Scale, folder: Path) -> list[Row]:
    inputs = Inputs(folder)
    video = frames.write_video(folder / "video", "veryfast").read_bytes()
    clips = inputs.write(scale.real_clips, video)
    windows = clips * PER_CLIP
    with server(2.0, ROOM) as url:
        run = inputs.label(url, num_workers=32, sample_memory=True, save_prompt="reference")
    torch = "torch imported" if _imports_torch() else "no torch"
    measured = f"{run.wall_sec:.0f} s, {windows / run.wall_sec:.1f} labels/s, peak {run.peak_pss / MB:,.0f} MB, {torch}"
    how = f"{clips} clips of 1080p in chunk zips, {windows} windows, server with 2 s latency, 1 run"
    return [Row("100 clips end to end with a hosted model", "fits 8 GB, no torch", measured, how)]


class Inputs:
    """A dataset with video, its meta-actions and keyframes, in the layout of the Physical AI AV dataset."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.meta_actions = ResultsFolder(str(folder / "meta_actions"), EGO_NAMES)
        self.keyframes = folder / "keyframes.json"
        self.out = folder / "experiments"

    def write(self, clips: int, video: bytes, with_video: int | None = None) -> int:
        """Write clips that all look alike; only the last ``with_video`` have ego motion that can be read, and video."""
        first = 0 if with_video is None else clips - with_video
        for chunk in range(-(-clips // CLIPS_PER_CHUNK)):
            self._write_chunk(
                chunk, range(chunk * CLIPS_PER_CHUNK, min((chunk + 1) * CLIPS_PER_CHUNK, clips)), first, video
            )
        spans = [(clip_id(n), "longitudinal", "maintain_speed", 0, 200) for n in range(clips)]
        columns = [pa.array(c, field.type) for c, field in zip(zip(*spans, strict=True), SPANS_SCHEMA, strict=True)]
        Path(self.meta_actions.final_dir).mkdir(parents=True)
        self.meta_actions.write_tables([CLIPS_SCHEMA.empty_table()], [pa.table(columns, schema=SPANS_SCHEMA)])
        entries = [{"clip_id": clip_id(n), "event_start_frame": tick} for n in range(clips) for tick in keyframes_of(n)]
        self.keyframes.write_text(json.dumps({"maintain_speed": entries}))
        os.sync()
        return clips

    def _write_chunk(self, chunk: int, numbers: range, first: int, video: bytes) -> None:
        import zipfile
        import zlib

        ego, cameras = self.data / "labels" / "egomotion", self.data / "camera" / CAMERA
        members = golden_members()
        for folder in (ego, cameras):
            folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(ego / f"egomotion.chunk_{chunk:04d}.zip", "w") as archive:
            for number in numbers:
                member = members[number % len(members)]
                content = zlib.decompress(member.deflated, -15) if number >= first else b"not needed"
                archive.writestr(f"{clip_id(number)}.egomotion.parquet", content)
        with zipfile.ZipFile(cameras / f"{CAMERA}.chunk_{chunk:04d}.zip", "w") as archive:
            for number in numbers:
                if number >= first:
                    archive.writestr(f"{clip_id(number)}.{CAMERA}.mp4", video)
                    archive.writestr(f"{clip_id(number)}.{CAMERA}.timestamps", _times())

    def label(self, url: str, *, sample_memory: bool = False, **settings: object) -> ProcessRun:
        """Run Step 3 as a process."""
        command = [sys.executable, "-m", "coc_labeling.data_labeling", *self.overrides(url, **settings)]
        return run_process(command, sample_memory=sample_memory)

    def overrides(self, url: str, **settings: object) -> list[str]:
        """Return what the command is told."""
        given = {
            "model_name": "openai_compatible",
            "openai_compatible.base_url": url,
            "openai_compatible.model": "fake",
            "data.data_dir": self.data,
            "data.meta_action_dir": self.meta_actions.final_dir,
            "data.segment_config_path": self.keyframes,
            "data_loader.video.save_segment_videos": "false",
            "output_root": self.out,
            "response_cache_dir": self.out / f"cache-{time.time_ns()}",
            **settings,
        }
        return [f"{key}={value}" for key, value in given.items()]

    def last_summary(self) -> dict:
        """Return what the latest run kept of itself."""
        latest = max(self.out.glob("2*/run_summary.json"), key=lambda path: path.stat().st_mtime)
        return json.loads(latest.read_text())

    def finish(self, records: int) -> Path:
        """Write an experiment with so many finished records, as a run would have left it."""
        run_dir = self.out / "20260101_000000_finished"
        rows = []
        label = CoCLabel(effect_on_ego_behavior="Keep the speed.")
        for number in range(records):
            clip, tick = clip_id(number // PER_CLIP), keyframes_of(number // PER_CLIP)[number % PER_CLIP]
            record = Record(
                clip_id=clip,
                event_start_frame=tick,
                event_start_timestamp=tick * 100_000,
                final_content=released_content(label),
                label=label,
            )
            path = run_dir / clip / f"cot_{tick * 100_000}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(to_yaml(record))
            rows.append(as_row(record, stamp(str(path))))
        pa.parquet.write_table(pa.Table.from_pylist(rows, LABELS_SCHEMA), run_dir / LABELS)
        os.sync()
        return run_dir

    def forget(self, run_dir: Path, records: int) -> None:
        """Delete what a resumed run has added."""
        for number in range(records // PER_CLIP, records // PER_CLIP + 2):
            for path in (run_dir / clip_id(number)).glob("*.yaml"):
                path.unlink()
        (run_dir / "events.jsonl").unlink()


@contextmanager
def server(latency: float, room: int) -> Iterator[str]:
    """Run the fake server as a process of its own; yields its address."""
    command = [sys.executable, str(SERVER), "--latency", str(latency), "--room", str(room)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def _first_answer(run_dir: Path) -> float:
    for line in (run_dir / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "answer":
            return float(event["time"])
    raise RuntimeError(f"{run_dir}: no answer came")


def _times() -> str:
    return "".join(f"{i} {round(i * 1e6 / frames.FPS)}\n" for i in range(frames.FRAMES))


def tiny_video() -> bytes:
    """Return a video of 20 s of 144 x 96 pixels."""
    import io
    from fractions import Fraction

    import av

    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=frames.FPS, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 144, 96, "yuv420p", frames.GOP
        shade = np.arange(96)[:, None] + np.arange(144)[None, :]
        for number in range(frames.FRAMES):
            planes = np.full((144, 144), 128, np.uint8)
            planes[:96] = (shade + number) % 200 + 20
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, frames.FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return sink.getvalue()


def _imports_torch() -> bool:
    code = (
        "import sys, coc_labeling.data_labeling, coc_labeling.model_run, openai, av; sys.exit('torch' in sys.modules)"
    )
    return bool(subprocess.run([sys.executable, "-c", code], check=False).returncode)
