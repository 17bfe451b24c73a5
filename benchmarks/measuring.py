"""Timing of functions and of whole processes, memory of a process tree, and the rows of the table."""

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_EVERY_SEC = 0.2
MB = 1e6


@dataclass(frozen=True)
class Scale:
    """How much is measured: ``FULL`` for numbers to quote, ``QUICK`` to see that everything runs."""

    motions: int  # clips in memory
    chunks: int  # of a run from chunk zips
    growing_chunks: tuple[int, ...]  # of the runs whose times and memory are compared
    keyframe_clips: int
    rate_clips: int  # five windows each, labelled by a model
    finished_records: int  # of the experiment that is resumed
    real_clips: int  # of 1080p, labelled by a model
    vllm_clips: int  # five windows each, labelled by a tiny model
    checked_clips: int  # of 40 tracks
    repeats: int
    growing_repeats: int


FULL = Scale(4_000, 104, (52, 104, 208), 30_000, 800, 100_000, 100, 30, 300, 5, 2)
QUICK = Scale(1_000, 4, (2, 4, 8), 3_000, 20, 500, 3, 4, 6, 2, 1)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    reach: str
    measured: str
    how: str


@dataclass(frozen=True)
class ProcessRun:
    """What a whole process took, start-up and all its children included."""

    wall_sec: float
    cpu_sec: float
    peak_rss: int  # bytes, summed over the process tree; shared pages count once for each process
    peak_pss: int  # bytes, shared pages counted once


def table(rows: Sequence[Row]) -> str:
    """Return the rows as one markdown table."""
    lines = ["| what | reach | measured: median (min-max) | how |", "|---|---|---|---|"]
    lines += [f"| {row.what} | {row.reach} | {row.measured} | {row.how} |" for row in rows]
    return "\n".join(lines)


def spread(values: Sequence[float], unit: str, digits: int = 0) -> str:
    """Return ``median (min-max) unit``."""
    middle, low, high = (f"{v:,.{digits}f}" for v in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({low}-{high}) {unit}".strip()


def time_calls(function: Callable[[], object], repeats: int) -> list[float]:
    """Return the seconds of each call; one more call comes first and is not counted."""
    seconds = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return seconds[1:]


def run_process(command: Sequence[str], *, sample_memory: bool = False) -> ProcessRun:
    """Run a command to its end; raises RuntimeError with its output where its exit code is not 0."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    peak = _Peak(process.pid)
    if sample_memory:
        peak.start()
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    peak.stop()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{output}")
    return ProcessRun(wall, usage.ru_utime + usage.ru_stime, peak.rss, peak.pss)


def output_of(command: Sequence[str]) -> str:
    """Run a command to its end and return the JSON object that it prints; raises RuntimeError where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return next(line for line in reversed(done.stdout.splitlines()) if line.startswith("{"))  # among logs


def script(name: str) -> str:
    """Return the path of a console script of the running environment."""
    return str(Path(sys.executable).with_name(name))


class _Peak(threading.Thread):
    """Samples a process tree's memory until stopped."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._ended = threading.Event()
        self.rss = self.pss = 0

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_EVERY_SEC):
            sizes = [_memory(pid) for pid in _tree(self._pid)]
            self.rss = max(self.rss, sum(rss for rss, _ in sizes))
            self.pss = max(self.pss, sum(pss for _, pss in sizes))

    def stop(self) -> None:
        self._ended.set()
        if self.is_alive():
            self.join()


def _tree(pid: int) -> list[int]:
    """Return a process and its descendants."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in children.read_text().split()]
            except OSError:  # the thread has ended since it was listed
                continue
    return found


def _memory(pid: int) -> tuple[int, int]:
    """Return (RSS, PSS) in bytes; zeros for a process that has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0, 0
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}
    return sizes.get("Rss", 0), sizes.get("Pss", 0)
