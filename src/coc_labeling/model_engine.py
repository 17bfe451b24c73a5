"""Windows asked about with a model: prepared in worker processes ahead of it, asked about many at once, then written.

One event loop asks and writes. A thread takes prepared clips from the workers and waits where enough pictures are held.
"""

import asyncio
import contextlib
import functools
import logging
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from batch_runs.outcomes import Tally
from batch_runs.parallel import WorkerDied, map_ordered, stop_workers
from batch_runs.progress import live
from batch_runs.terminal import complain
from coc_labeling.agents.base import PreparedWindow
from coc_labeling.asking import Asker, WindowAsk
from coc_labeling.budget import BudgetReachedError
from coc_labeling.model_clients.errors import ModelError, ModelUnusable
from coc_labeling.model_clients.retrying import STOPPED
from coc_labeling.model_work import ModelWork
from coc_labeling.preparation import ClipPreparer, PreparedClips
from coc_labeling.status import RunStatus
from coc_labeling.work import (
    DISK_FULL,
    GroupTask,
    Problem,
    item_of,
    problem_of,
    worker_died,
    write_error,
)
from driving_clips import files
from driving_clips.errors import ClipError, ClipFailedError

log = logging.getLogger(__name__)

PREPARED_AHEAD = 2  # clips per worker that are begun or wait to be taken
BESIDE = 4  # windows, or half as many as are in flight: made ready or written while the others wait for answers
ALIKE_AT_START = 8  # so many failures of one kind, and nothing else: every request would fail so
ALIKE_LATER = 50  # the same in a row, after some went well
KILL_AGAIN_SEC = 0.2
INTERRUPTED = "interrupted"


@dataclass
class Stop:
    """Why a run ends early; the first reason counts, and calls ``then``."""

    reason: str | None = None
    detail: str = ""
    then: Callable[[], None] = lambda: None

    def is_set(self) -> bool:
        """Say whether the run ends early."""
        return self.reason is not None

    def __call__(self, reason: str, detail: str) -> None:
        """End the run once what is in flight is finished."""
        if self.reason is None:
            self.reason, self.detail = reason, detail
            self.then()


@dataclass
class ModelRun:
    """A run with a model.

    Attributes:
        preparer: makes windows ready, in ``workers`` processes.
        work: what is asked about them, and what is kept of the answers.
        asker: reaches the model.
        tally: counts what became of each window.
        max_in_flight: requests under way at once.
        prepare_bytes: pictures held ahead of the model.
        example_path: where the first prompt is written for people to read, or None.
    """

    preparer: ClipPreparer
    work: ModelWork
    asker: Asker
    tally: Tally
    status: RunStatus
    workers: int
    max_in_flight: int
    prepare_bytes: int
    example_path: str | None = None
    stop: Stop = field(default_factory=Stop)
    _alike: deque[str] = field(default_factory=deque)
    _answered: bool = False
    _interrupts: int = 0
    _writing: set[asyncio.Task] = field(default_factory=set)

    def ask(self, tasks: Iterator[GroupTask]) -> Stop:
        """Ask about the windows of ``tasks``; returns why it ended early, if it did."""
        with live(self._lines):
            asyncio.run(self._run(tasks))
        return self.stop

    def _lines(self) -> list[str]:
        self.status.in_flight = self.asker.in_flight
        self.status.stopping = self.stop.detail if self.stop.is_set() else ""
        return self.status.lines()

    async def _run(self, tasks: Iterator[GroupTask]) -> None:
        loop = asyncio.get_running_loop()
        shelf = _Shelf(self.prepare_bytes, self.workers * PREPARED_AHEAD)
        asking: set[asyncio.Task] = set()
        self.stop.then = functools.partial(self._drop_what_is_not_sent, shelf)
        with _interrupts(loop, self._interrupt, asking), ThreadPoolExecutor(1, "preparation") as thread:
            feeding = loop.run_in_executor(thread, self._feed, tasks, shelf, loop)
            feeding.add_done_callback(lambda _: shelf.end())
            try:
                await self._ask_all(shelf, asking)
            finally:
                shelf.close()
                await asyncio.gather(*asking, return_exceptions=True)
                await asyncio.gather(*self._writing, return_exceptions=True)
                try:
                    await self._until_fed(feeding)  # it needs this loop: before anything that may fail
                finally:
                    await self._close()

    async def _until_fed(self, feeding: "asyncio.Future[None]") -> None:
        """Wait for the preparation's end.

        A worker that starts just as the others are killed may wait for ever for a lock that one of them held: so what
        has started since is ended as well, until nothing is left.
        """
        while not feeding.done():
            if self.stop.is_set():
                stop_workers()
            await asyncio.wait([feeding], timeout=KILL_AGAIN_SEC)
        await feeding

    async def _close(self) -> None:
        try:
            await self.asker.close()
        finally:
            self.work.index()

    def _drop_what_is_not_sent(self, shelf: "_Shelf") -> None:
        """Give up windows that are prepared or wait to be sent; requests on their way are finished."""
        shelf.close()
        self.asker.stop()
        stop_workers()

    def _interrupt(self, asking: set[asyncio.Task]) -> None:
        self._interrupts += 1
        if self._interrupts > 1:
            for task in asking:
                task.cancel()
            return
        self.stop(INTERRUPTED, "Ctrl-C.")
        complain("Finishing what is in flight. Press Ctrl-C again to drop it.")

    def _feed(self, tasks: Iterator[GroupTask], shelf: "_Shelf", loop: asyncio.AbstractEventLoop) -> None:
        """Move prepared clips from the workers to the shelf; runs in a thread."""
        results = map_ordered(
            self.preparer,
            (part for task in tasks for part in task.by_clip()),
            self.workers,
            GroupTask.by_clip,
            isolated=True,
            ahead=PREPARED_AHEAD,
            stopped=self.stop.is_set,
        )
        with contextlib.closing(results):
            for task, result in results:
                clips = PreparedClips([], worker_died(task)) if isinstance(result, WorkerDied) else result
                if not asyncio.run_coroutine_threadsafe(shelf.put(clips), loop).result():
                    return

    async def _ask_all(self, shelf: "_Shelf", asking: set[asyncio.Task]) -> None:
        self.asker.slots = asyncio.Semaphore(self.max_in_flight)
        # One at a time means one window after the other.
        beside = max(BESIDE, self.max_in_flight // 2) if self.max_in_flight > 1 else 0
        free = asyncio.Semaphore(self.max_in_flight + beside)
        while not self.stop.is_set() and (batch := await shelf.take()) is not None:
            for problem in batch.clips.problems:
                self._count(self.work.fail(problem))
            for clip_id in dict.fromkeys(window.keyframe.clip_id for window in batch.clips.windows):
                self.work.begin(clip_id)
            for window in batch.clips.windows:
                await free.acquire()
                if self.stop.is_set():
                    return
                task = asyncio.create_task(self._ask(window))
                asking.add(task)
                task.add_done_callback(asking.discard)
                task.add_done_callback(lambda _: free.release())
                task.add_done_callback(functools.partial(shelf.give_back, batch))

    async def _ask(self, window: PreparedWindow) -> None:
        """Ask about one window; whatever happens is counted, and nothing is raised but a cancellation."""
        keyframe = window.keyframe
        asked = self.asker.about(keyframe.clip_id, keyframe.t_us)
        self.status.noted += bool(window.info.notes)
        try:
            self._write_example(window)
            answer = await self.work.ask(window, asked)
            writing = asyncio.create_task(self._write(window, answer, asked))
            self._writing.add(writing)
            writing.add_done_callback(self._writing.discard)
            await asyncio.shield(writing)  # what is begun is finished and counted
        except BudgetReachedError as error:
            self.stop("budget", str(error))
        except ClipError as error:
            self._fail(error, window, asked)
            if error.reason == DISK_FULL:
                self.stop(DISK_FULL, "the disk was full.")
        except ModelError as error:
            if self.stop.is_set() and error.code == STOPPED:  # it was never sent
                return
            self._fail(ClipFailedError(_reason(error), str(error)), window, asked)
            self._watch(error, f"{type(error).__name__} {error.status} {error.code}")
        except Exception as error:  # whatever an agent stumbles over costs this window only
            log.exception("%s: asking failed", item_of(keyframe.clip_id, keyframe.t_us))
            self._fail(ClipFailedError("crashed", f"{self.work.name}: {type(error).__name__}: {error}"), window, asked)
            self._watch(error, type(error).__name__)

    async def _write(self, window: PreparedWindow, answer: Any, asked: WindowAsk) -> None:
        if asked.calls:
            self._answered = True
            self._alike.clear()
        try:
            written = await asyncio.to_thread(self.work.write, window, answer, asked)
        except OSError as error:
            raise write_error(error, self.work.path) from error
        kept = self.work.keep(written)
        self.tally.add(*kept.problem)
        self.status.finish(kept.kind, kept.latest)
        self.asker.events.write(kept.event, window.keyframe.clip_id, window.keyframe.t_us, **kept.told)
        try:
            self.work.index(wait_for_more=True)
        except OSError as error:
            self.stop(
                DISK_FULL if files.is_disk_full(error) else "journal", f"the journal cannot be written ({error})."
            )

    def _write_example(self, window: PreparedWindow) -> None:
        path, self.example_path = self.example_path, None
        if path is None:
            return
        said = (f"--- {part.role}\n{part.reference().content}" for part in (*window.parts, *window.later))
        try:
            files.write_atomic(path, "\n".join(said) + "\n")
        except OSError as error:  # an example is no label
            log.warning("%s: the example of a prompt cannot be written (%s)", path, error)

    def _fail(self, error: ClipError, window: PreparedWindow, asked: WindowAsk) -> None:
        self._count(self.work.fail(problem_of(error, window.keyframe), window, asked))

    def _count(self, problems: Iterable[Problem]) -> None:
        for outcome, reason, item, message in problems:
            self.tally.add(outcome, reason, item, message)
            self.status.finish(outcome)
            self.asker.events.write(outcome, item=item, reason=reason, message=message)

    def _watch(self, error: Exception, kind: str) -> None:
        """Stop where every request would fail in the same way."""
        if isinstance(error, ModelUnusable):
            self.stop("model", str(error))
            return
        if self._alike and self._alike[-1] != kind:
            self._alike.clear()
        self._alike.append(kind)
        if len(self._alike) >= (ALIKE_LATER if self._answered else ALIKE_AT_START):
            self.stop("model", f"{len(self._alike)} windows in a row failed in the same way, the last one: {error}")


def _reason(error: ModelError) -> str:
    """Return the key that a failed request is counted by."""
    return f"http_{error.status}" if error.status else error.code or "model_error"


@dataclass
class _Batch:
    """The prepared windows of a clip, and how many of them are still needed."""

    clips: PreparedClips
    size: int
    left: int


class _Shelf:
    """Prepared clips that wait for the model: no more bytes than fit, or one clip.

    Clips that workers have finished and nobody has taken yet need room as well: ``ahead`` of them, of average size.
    """

    def __init__(self, room: int, ahead: int = 0) -> None:
        self._room, self._ahead = room, ahead
        self._held = self._put_bytes = self._put = 0
        self._batches: deque[_Batch] = deque()
        self._changed = asyncio.Event()
        self._ended = self._closed = False

    async def put(self, clips: PreparedClips) -> bool:
        """Add a clip once there is room; False where nothing is wanted any more."""
        size = clips.picture_bytes
        self._put, self._put_bytes = self._put + 1, self._put_bytes + size
        ahead = self._ahead * self._put_bytes // self._put
        while not self._closed and self._held and self._held + size + ahead > self._room:
            await self._change()
        if self._closed:
            return False
        self._held += size
        self._batches.append(_Batch(clips, size, len(clips.windows)))
        self._changed.set()
        return True

    async def take(self) -> _Batch | None:
        """Return the next clip, waiting for it; None after the last."""
        while not self._closed:
            if self._batches:
                return self._batches.popleft()
            if self._ended:
                break
            await self._change()
        return None

    def give_back(self, batch: _Batch, _: object = None) -> None:
        """Count a window of a clip as done with; after its last one its pictures make room."""
        batch.left -= 1
        if batch.left == 0:
            self._held -= batch.size
            self._changed.set()

    def end(self) -> None:
        """Nothing more will be put."""
        self._ended = True
        self._changed.set()

    def close(self) -> None:
        """Nothing more is wanted."""
        self._closed = True
        self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


@contextlib.contextmanager
def _interrupts(loop: asyncio.AbstractEventLoop, interrupt: "object", asking: set[asyncio.Task]) -> Iterator[None]:
    """Have Ctrl-C call ``interrupt`` for the length of the block, where this thread may receive signals."""
    try:
        loop.add_signal_handler(signal.SIGINT, interrupt, asking)  # type: ignore[arg-type]
    except (ValueError, NotImplementedError, RuntimeError):  # not the main thread
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
