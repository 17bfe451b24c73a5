"""What is costly to make is made once, by one thread, and remembered while there is room."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from coc_labeling.review.material.errors import MaterialError

RETRY_SEC = 20.0  # a failure is told again for so long, then it is tried anew

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass
class _Entry(Generic[Value]):
    made: Future[Value] = field(default_factory=Future)
    tried_again_at: float | None = None


class Remembered(Generic[Key, Value]):
    """The values of the last keys that were asked for.

    Example:
        >>> squares: Remembered[int, int] = Remembered(limit=2)
        >>> squares.get(3, lambda: 9)
        9
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Remember up to ``limit`` values; ``clock`` counts seconds."""
        self._limit, self._clock = limit, clock
        self._entries: OrderedDict[Key, _Entry[Value]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """Return the value of a key, made by ``make`` where it is not remembered.

        Other threads that ask for the same key meanwhile wait for it.

        Raises:
            MaterialError: ``make`` has raised it, now or less than ``RETRY_SEC`` ago.
        """
        entry, is_new = self._entry(key)
        if is_new:
            self._make(key, entry, make)
        try:
            return entry.made.result()
        except MaterialError as error:  # one that is raised in several threads would gather all their tracebacks
            raise MaterialError(str(error)) from error

    def forget(self, key: Key) -> None:
        """Make it anew the next time."""
        with self._lock:
            self._entries.pop(key, None)

    def _entry(self, key: Key) -> tuple[_Entry[Value], bool]:
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and (entry.tried_again_at is None or self._clock() < entry.tried_again_at):
                self._entries.move_to_end(key)
                return entry, False
            entry = self._entries[key] = _Entry()
            self._entries.move_to_end(key)
            while len(self._entries) > self._limit:
                self._entries.popitem(last=False)
            return entry, True

    def _make(self, key: Key, entry: _Entry[Value], make: Callable[[], Value]) -> None:
        try:
            entry.made.set_result(make())
        except MaterialError as error:
            entry.tried_again_at = self._clock() + RETRY_SEC
            entry.made.set_exception(error)
        except BaseException as error:  # whoever waits must not wait for ever
            self.forget(key)
            entry.made.set_exception(error)
            raise
