"""When to ask again: exponential pauses with full jitter, and what the provider itself asks for."""

import asyncio
import email.utils
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from coc_labeling.model_clients.errors import ModelError, ModelUnreachable

BASE_S = 1.0
CAP_S = 60.0
LONGEST_RETRY_AFTER_S = 3600.0

T = TypeVar("T")


@dataclass(frozen=True)
class Timing:
    """Clock, pause and chance; tests bring their own, so that they need not wait."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random


class Gate:
    """Holds back the requests to a server that asked for a pause."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._open_at = -math.inf

    def hold(self, seconds: float) -> None:
        """Let nobody through for a time in s; a longer hold stays."""
        self._open_at = max(self._open_at, self._timing.now() + seconds)

    async def wait(self) -> None:
        """Return once the gate is open, a little later for each so that not all run at once."""
        while (missing := self._open_at - self._timing.now()) > 0:
            await self._timing.sleep(missing + BASE_S * self._timing.random())


async def with_retries(attempt: Callable[[], Awaitable[T]], max_retries: int, timing: Timing) -> T:
    """Return the result of the first attempt that succeeds.

    Args:
        attempt: makes one; errors that are not retryable end it at once.
        max_retries: attempts after the first.
        timing: clock, pause and chance.

    Raises:
        ModelUnreachable: no attempt succeeded; it carries the last error's status and code.
        ModelError: an attempt's own error that is not retryable.
    """
    tries = 0
    while True:
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
        await timing.sleep(pause_s(tries, failure.retry_after_s, timing.random()))
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
