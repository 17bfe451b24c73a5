"""When to ask again: exponential pauses with full jitter, and what the provider itself asks for."""

import asyncio
import contextlib
import email.utils
import math
import random
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from weakref import WeakKeyDictionary

from coc_labeling.model_clients.errors import ModelError, ModelUnreachable

BASE_S = 1.0
CAP_S = 60.0
LONGEST_RETRY_AFTER_S = 3600.0
STOPPED = "stopped"  # the code of requests that were given up before they were sent

T = TypeVar("T")


class StopFlag:
    """Says for good that nothing new is sent; whoever sleeps until then wakes up. Any thread may set it."""

    def __init__(self) -> None:
        # Reentrant: a signal's handler may set it while its own thread is in here.
        self._lock = threading.RLock()
        self._is_set = False
        self._events: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Event] = WeakKeyDictionary()

    def set(self) -> None:
        """Wake the sleepers of every loop."""
        with self._lock:
            self._is_set = True
            waiting = list(self._events.items())
        for loop, event in waiting:
            with contextlib.suppress(RuntimeError):  # in a loop that was closed nobody sleeps
                loop.call_soon_threadsafe(event.set)

    def check(self) -> None:
        """Return where something may still be sent.

        Raises:
            ModelUnreachable: the flag is set; its code is ``stopped``.
        """
        if self._is_set:
            raise ModelUnreachable("stopped before it was sent", code=STOPPED)

    async def wait(self) -> None:
        """Return once the flag is set."""
        with self._lock:
            event = self._events.setdefault(asyncio.get_running_loop(), asyncio.Event())
            if self._is_set:
                event.set()
        await event.wait()


@dataclass(frozen=True)
class Timing:
    """Clock, pause and chance; tests bring their own, so that they need not wait.

    Attributes:
        now: the time, in s.
        sleep: waits so many s.
        random: a number in [0, 1).
        stop: ends pauses early.
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random
    stop: StopFlag = field(default_factory=StopFlag)

    async def pause(self, seconds: float) -> None:
        """Wait so many s.

        Raises:
            ModelUnreachable: stopped before or meanwhile.
        """
        self.stop.check()
        sleeping = asyncio.ensure_future(self.sleep(seconds))
        stopped = asyncio.ensure_future(self.stop.wait())
        try:
            await asyncio.wait((sleeping, stopped), return_when=asyncio.FIRST_COMPLETED)
            self.stop.check()
            await sleeping
        finally:
            sleeping.cancel()
            stopped.cancel()


class Gate:
    """Holds back the requests to a server that asked for a pause."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._open_at = -math.inf

    def hold(self, seconds: float) -> None:
        """Let nobody through for a time in s; a longer hold stays."""
        self._open_at = max(self._open_at, self._timing.now() + seconds)

    async def wait(self) -> None:
        """Return once the gate is open, a little later for each so that not all run at once.

        Raises:
            ModelUnreachable: stopped meanwhile.
        """
        while (missing := self._open_at - self._timing.now()) > 0:
            await self._timing.pause(missing + BASE_S * self._timing.random())


async def with_retries(attempt: Callable[[], Awaitable[T]], max_retries: int, timing: Timing) -> T:
    """Return the result of the first attempt that succeeds.

    Args:
        attempt: makes one; errors that are not retryable end it at once.
        max_retries: attempts after the first.
        timing: clock, pause and chance.

    Raises:
        ModelUnreachable: no attempt succeeded; it carries the last error's status and code. Or the flag ``stop`` was
            set before an attempt.
        ModelError: an attempt's own error that is not retryable.
    """
    tries = 0
    while True:
        timing.stop.check()
        try:
            return await attempt()
        except ModelError as error:
            failure = error
        if not failure.retryable:
            raise failure
        if tries >= max_retries:
            raise ModelUnreachable(
                f"{failure} (gave up after {tries + 1} attempts)",
                status=failure.status,
                code=failure.code,
                retryable=True,
                retry_after_s=failure.retry_after_s,
            )
        await timing.pause(pause_s(tries, failure.retry_after_s, timing.random()))
        tries += 1


def pause_s(tries: int, retry_after_s: float | None, chance: float) -> float:
    """Return the pause in s before the next attempt.

    Args:
        tries: retries so far.
        retry_after_s: what the provider asked for, or None; it is honoured beyond the cap.
        chance: a random number in [0, 1).

    Example:
        >>> pause_s(3, None, 0.5), pause_s(30, None, 0.5), pause_s(0, 90.0, 0.5)
        (4.0, 30.0, 90.5)
    """
    backoff = chance * min(CAP_S, BASE_S * 2.0 ** min(tries, 16))
    return backoff if retry_after_s is None else max(backoff, retry_after_s + chance * BASE_S)


def retry_after_s(headers: Mapping[str, str], wall_clock: Callable[[], float] = time.time) -> float | None:
    """Return the pause in s that an answer's headers ask for, at most an hour, or None.

    Read are ``retry-after-ms`` (OpenAI's and Azure's), then ``retry-after`` in seconds or as an HTTP date.
    """
    for name, unit_s in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "nan")) * unit_s
        except ValueError:
            seconds = math.nan
        if math.isfinite(seconds):
            return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_S)
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after", "")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(date - wall_clock(), 0.0), LONGEST_RETRY_AFTER_S)
