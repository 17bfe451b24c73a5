"""Coroutines for callers that have no event loop, and things that belong to one loop each."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

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
