"""Coroutines for callers that have no event loop, things that belong to one loop each, and work that is shared."""

import asyncio
import copy
import math
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from coc_labeling.model_clients.errors import ModelError

T = TypeVar("T")

_lock = threading.Lock()
_background: tuple[threading.Thread, asyncio.AbstractEventLoop] | None = None


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns, run on a loop in a thread of its own.

    The thread is shared and stays, so connections live on from call to call; and it works inside notebooks, whose
    own loop is already running.
    """
    future = asyncio.run_coroutine_threadsafe(coroutine, _loop())
    try:
        return future.result()
    finally:
        future.cancel()


def _loop() -> asyncio.AbstractEventLoop:
    global _background
    with _lock:
        # After a fork the thread is gone though the variable is there.
        if _background is None or not _background[0].is_alive():
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever, name="model-requests", daemon=True)
            thread.start()
            _background = (thread, loop)
        return _background[1]


class PerLoop(Generic[T]):
    """One thing for each event loop: connections and locks cannot be shared between loops."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: WeakKeyDictionary[asyncio.AbstractEventLoop, T] = WeakKeyDictionary()

    def get(self) -> T:
        """Return the running loop's one, made at its first use."""
        loop = asyncio.get_running_loop()
        if loop not in self._made:
            self._made[loop] = self._make()
        return self._made[loop]

    def pop(self) -> T | None:
        """Forget the running loop's one and return it."""
        return self._made.pop(asyncio.get_running_loop(), None)


class Shared(Generic[T]):
    """Work that is done once for all who wait for it, its failure included. It belongs to one event loop.

    Args:
        now: the time, in s.
        keep_failure_s: how long after a failure it is told again before the work is tried again, in s.
    """

    def __init__(self, now: Callable[[], float], keep_failure_s: float = 0.0) -> None:
        self._now = now
        self._keep_failure_s = keep_failure_s
        self._failure: ModelError | None = None
        self._failed_at = -math.inf
        self._task: asyncio.Task[T | ModelError] | None = None
        self._waiting = 0

    async def result(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what the work under way returns; where none is, ``work`` is begun.

        Raises:
            ModelError: the work's own; each who waits gets one of its own, for tracebacks grow where one is shared.
        """
        if self._failure is not None and self._now() - self._failed_at < self._keep_failure_s:
            raise copy.copy(self._failure)
        if self._task is None:
            self._task = asyncio.create_task(self._outcome(work))
        task = self._task
        self._waiting += 1
        try:
            outcome = await asyncio.shield(task)
        finally:
            self._waiting -= 1
            if self._waiting == 0:
                self._task = None
                task.cancel()  # nobody wants it any more; no more than a word where it is done
        if isinstance(outcome, ModelError):
            raise copy.copy(outcome)
        return outcome

    async def _outcome(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T | ModelError:
        self._failure = None
        try:
            return await work()
        except ModelError as error:
            self._failure, self._failed_at = copy.copy(error), self._now()
            return self._failure
