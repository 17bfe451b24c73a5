"""Runs of Step 3 against the fake model server: small videos, answers that follow from requests, and what is left."""

import asyncio
import hashlib
import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from builders import runs
from builders.commands import contents, leftovers, summary
from builders.fake_openai import Behaviour, FakeOpenAI, Ok, Request, Writer
from builders.runs import Inputs, config, only_run, prepare, records_in, rows_of, write_keyframes
from builders.videos import times_of, video_bytes, write_video
from coc_labeling import data_labeling, dry_run, model_engine
from coc_labeling.config.schema import RunConfig
from coc_labeling.data_labeling import main
from coc_labeling.model_clients.retrying import Timing
from coc_labeling.records import from_yaml
from coc_labeling.results import LABELS_SCHEMA, as_row
from coc_labeling.schema import Record
from driving_clips import files

KEY_NAME, KEY = "COC_TEST_MODEL_KEY", "q7Zp-the-only-key-of-this-test-8813"
CAMERA = "camera_front_wide_120fov"
FPS, FRAMES, SIZE = 10, 200, (96, 64)
MOMENTS = [(f"clip_{number}", frame) for number in range(3) for frame in (60, 100)]
MANY = [(f"clip_{number}", frame) for number in range(4) for frame in range(30, 130, 20)]
PLENTY = [(f"clip_{number}", frame) for number in range(4) for frame in range(30, 130, 10)]


def prepare_with_videos(root: Path, clips: int = 4) -> Inputs:
    """Return inputs of Step 3 whose clips each have a small video."""
    inputs = prepare(root, clips)
    for number in range(clips):
        add_video(inputs.data_dir, f"clip_{number}")
    return inputs


def add_video(folder: Path, clip_id: str, content: bytes | None = None) -> Path:
    """Write a clip's video, 20 s of numbered frames, and their times."""
    content = content if content is not None else small_video()
    return write_video(folder, content, times_of(FRAMES, float(FPS)), f"{clip_id}.{CAMERA}.mp4")


def small_video(**options) -> bytes:
    """Return 20 s of video in 26 kB."""
    return video_bytes(FRAMES, fps=FPS, gop=FPS, size=SIZE, **options)


def answer(sentence: str = "Keep the speed; the road is clear.", **fields: Any) -> str:
    """Return a valid structured answer, some fields changed."""
    content = {
        "unreadable": False,
        "components": [],
        "longitudinal": {"decision": "track_speed", "cause_ids": ["unobserved"]},
        "lateral": {"decision": "keep_lane", "direction": None, "cause_ids": ["unobserved"]},
        "trace": "Nothing is near.",
        "effect_on_ego_behavior": sentence,
    }
    return json.dumps(content | fields)


def own_answer(request: Request) -> str:
    """Return an answer that only this request gets, and gets every time."""
    return answer(f"Keep the speed, says {hashlib.sha256(request.body).hexdigest()[:12]}.")


class Pauses:
    """A clock that pauses move on; they take no time, and are remembered."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.taken: list[float] = []
        self.timing = Timing(now=lambda: self.time, sleep=self._sleep, random=lambda: 0.5)

    async def _sleep(self, seconds: float) -> None:
        self.taken.append(seconds)
        self.time += seconds
        await asyncio.sleep(0)


@dataclass
class Sticky:
    """One fate for the first ``count`` different requests that come, every time they come; the others are answered."""

    fate: Behaviour
    count: int = 1
    otherwise: Behaviour | None = None
    _struck: set[bytes] = field(default_factory=set)

    async def respond(self, request: Request, writer: Writer) -> None:
        """Answer as the request's fate has it."""
        body = hashlib.sha256(request.body).digest()
        if len(self._struck) < self.count:
            self._struck.add(body)
        if body in self._struck:
            await self.fate.respond(request, writer)
        else:
            await (self.otherwise or Ok(own_answer(request))).respond(request, writer)


class Held:
    """Requests wait until they are released; ``arrived`` is set when ``expected`` of them wait."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.arrived, self._released = threading.Event(), threading.Event()
        self.waiting = 0

    async def respond(self, request: Request, writer: Writer) -> None:
        """Wait, then answer."""
        self.waiting += 1
        if self.waiting >= self.expected:
            self.arrived.set()
        while not self._released.is_set():  # an event of threads in a loop: the test's own thread releases it
            await asyncio.sleep(0.005)
        await Ok(own_answer(request)).respond(request, writer)

    def release(self) -> None:
        """Let all go, and those that come later."""
        self._released.set()


@contextmanager
def in_this_process() -> Iterator[None]:
    """Let the command work in this process, quickly.

    Windows are prepared here, for starting a worker costs a second, and the preset is composed once: Hydra takes 0.2 s
    each time. Most tests are of what comes after; those that are not use the command as it is.
    """
    in_workers = model_engine.map_ordered

    def here(*arguments: Any, isolated: bool = False, **options: Any) -> Any:
        return in_workers(*arguments, isolated=False, **options)

    with pytest.MonkeyPatch.context() as patch:
        for user in (model_engine, dry_run):
            patch.setattr(user, "map_ordered", here)
        patch.setattr(data_labeling, "load_config", _quick_config)
        yield


def _quick_config(preset: str, overrides: Sequence[str], config_dir: str | None = None) -> RunConfig:
    assert (preset, config_dir) == ("base_config_vlm_rel_ts", None)
    pairs = (override.partition("=") for override in overrides)
    return config(**{key.replace(".", "__"): yaml.safe_load(value) for key, _, value in pairs})


@dataclass
class ModelCommand:
    """The command of Step 3 against a server, run again and again below one output folder."""

    inputs: Inputs
    root: Path
    server: FakeOpenAI
    pauses: Pauses | None = None

    @property
    def out(self) -> Path:
        """Where experiments are written."""
        return self.root / "experiments"

    @property
    def folder(self) -> Path:
        """The one experiment."""
        return only_run(self.out)

    def overrides(self, moments: list[tuple[str, int]] | None = None, **settings: Any) -> list[str]:
        """Return the command's arguments."""
        keyframes = write_keyframes(self.root / "keyframes.json", {"stop": MOMENTS if moments is None else moments})
        default = {
            "model_name": "openai_compatible",
            "openai_compatible__base_url": self.server.base_url,
            "openai_compatible__model": "fake-model",
            "openai_compatible__api_key_env": KEY_NAME,
            "data__segment_config_path": str(keyframes),
            "data_loader__video__save_segment_videos": "false",
        }
        return self.inputs.overrides(self.out, **default | settings)

    def __call__(self, moments: list[tuple[str, int]] | None = None, **settings: Any) -> int:
        """Run; returns the exit code."""
        return main(self.overrides(moments, **settings))

    def resume(self, moments: list[tuple[str, int]] | None = None, **settings: Any) -> int:
        """Run again in the experiment's folder."""
        return self(moments, resume_exp_dir=str(self.folder), **settings)

    def dry_run(self, moments: list[tuple[str, int]] | None = None, **settings: Any) -> int:
        """Run with ``--dry-run``."""
        return main(["--dry-run", *self.overrides(moments, **settings)])

    def start(self, moments: list[tuple[str, int]] | None = None, **settings: Any) -> subprocess.Popen:
        """Run as a process of its own; its standard error can be read."""
        command = [sys.executable, "-m", "coc_labeling.data_labeling", *self.overrides(moments, **settings)]
        return subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=self.root,
            env=os.environ | {KEY_NAME: KEY},
        )

    def fork(self, moments: list[tuple[str, int]] | None = None, **settings: Any) -> "ForkedRun":
        """Run as a process of its own that starts at once, for it is forked from one that has imported everything."""
        return ForkedRun(self.overrides(moments, **settings), self.root)

    @property
    def asked(self) -> int:
        """How many chat requests the server got."""
        return len(self.server.requests)

    def told(self) -> dict[str, Any]:
        """Return the run's summary."""
        return summary(self.folder)

    def reasons(self) -> dict[str, int]:
        """Return how many windows ended how, as ``outcome: reason``."""
        return {f"{o}: {r}": n for o, rs in self.told()["reasons"].items() for r, n in rs.items() if n}

    def records(self) -> dict[str, Record]:
        """Return the records by ``<clip>/<file>``; each must be whole and valid."""
        files_of = records_in(self.folder)
        return {name: from_yaml(text.decode(), name, name.split("/")[0]) for name, text in files_of.items()}

    def only_record(self) -> Record:
        """Return the run's one record."""
        (record,) = self.records().values()
        return record

    def told_in_order(self) -> list[Record]:
        """Return the records in the order in which their windows were answered, by the run's JSON log."""
        events = map(json.loads, (self.folder / "events.jsonl").read_text().splitlines())
        ended = (e for e in events if e["event"] in ("label", "abstention"))
        records = self.records()
        return [records[f"{e['clip_id']}/cot_{e['event_start_timestamp']}.yaml"] for e in ended]

    def check(self, moments: list[tuple[str, int]] | None = None) -> None:
        """Every window is counted once, no record is doubled or half-written, the table agrees with the files."""
        selected = MOMENTS if moments is None else moments
        names = sorted(f"{clip}/cot_{frame * 100_000}.yaml" for clip, frame in selected)
        told = self.told()
        counted = sorted(i for reasons in told["ids"].values() for items in reasons.values() for i in items)
        same("windows that were counted", counted, names)
        same("sum of counts", sum(told["counts"].values()), len(names))
        same("keyframes", told["keyframes"], len(names))
        records = self.records()
        same("files", sorted(records), sorted(_windows_with_record(told)))
        same("leftovers", leftovers(self.folder), [])
        self._check_table(records)

    def _check_table(self, records: dict[str, Record]) -> None:
        table = pq.read_table(self.folder / "labels.parquet", partitioning=None)
        same("columns", table.schema.names, LABELS_SCHEMA.names)
        rows = {f"{row['clip_id']}/cot_{row['event_start_timestamp']}.yaml": row for row in table.to_pylist()}
        same("rows", table.num_rows, len(rows))
        same("windows in the table", sorted(rows), sorted(records))
        for name, record in records.items():
            same(name, rows[name], as_row(record, files.stamp(str(self.folder / name))))


class ForkedRun:
    """The command in a forked process, with what tests use of ``subprocess.Popen``."""

    def __init__(self, arguments: list[str], folder: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_IMPORTED)
        reader, writer = context.Pipe(duplex=False)
        told = (arguments, str(folder), runs._preset(), writer)
        self._process = context.Process(target=_run_forked, args=told, daemon=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))  # or the first process finds no builders
            self._process.start()
        writer.close()
        self.stderr = os.fdopen(os.dup(reader.fileno()))
        reader.close()

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once it has ended, minus the signal's number where one ended it."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("the forked run", timeout or 0)
        return self._process.exitcode


_IMPORTED = ["pytest", "av", "pyarrow.parquet", "builders.model_runs", "coc_labeling.model_clients.transport"]


def _run_forked(arguments: list[str], folder: str, preset: str, writer: Connection) -> None:
    runs._preset = lambda: preset
    os.chdir(folder)
    os.environ[KEY_NAME] = KEY
    os.dup2(writer.fileno(), 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    writer.close()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with in_this_process():
        code = main(arguments)
    sys.stderr.flush()
    os._exit(code)


def same(what: str, found: object, expected: object) -> None:
    """Assert that two things are equal; the message shows both."""
    if found != expected:
        raise AssertionError(f"{what}: found {found!r}, expected {expected!r}")


def _windows_with_record(told: dict[str, Any]) -> list[str]:
    """Return the windows that a model was asked about with success: labels and its abstentions."""
    reasons = [("done", reason) for reason in told["ids"].get("done", {})]
    reasons += [("rejected", r) for r in told["ids"].get("rejected", {}) if r.startswith("abstained_")]
    return [item for outcome, reason in reasons for item in told["ids"][outcome][reason]]


def labels_of(run: Path) -> list[dict[str, Any]]:
    """Return the rows of a run without what calls cost: that differs where an answer came from the cache."""
    cost = ("prompt_tokens", "response_tokens", "reasoning_tokens", "cached_tokens", "file_size")
    return [{key: value for key, value in row.items() if key not in cost} for row in rows_of(run)]


def secrets_in(root: Path, secrets: tuple[str, ...], *texts: str) -> list[str]:
    """Return where one of the secrets is seen: in files below a folder, their names, or texts."""
    found = [f"text {number}" for number, text in enumerate(texts) if any(s in text for s in secrets)]
    for name, content in contents(root).items():
        if any(s.encode() in content or s in name for s in secrets):
            found.append(name)
    return found


def log_text(records: list[logging.LogRecord]) -> str:
    """Return everything that log records hold: messages, arguments and tracebacks."""
    formatter = logging.Formatter()
    return "\n".join(f"{formatter.format(r)} {r.args!r}" for r in records)


def on_arrival(number: int, act: Callable[[], object]) -> Callable[[Request], str]:
    """Return what answers requests and calls ``act`` when the given one arrives."""
    seen = [0]

    def answering(request: Request) -> str:
        seen[0] += 1
        if seen[0] == number:
            act()
        return own_answer(request)

    return answering
