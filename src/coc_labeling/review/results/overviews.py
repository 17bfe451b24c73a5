"""The numbers of a review for who looks at them often: counted anew when somebody has done something since.

Of many reviews that takes seconds. It then happens in the background, and who looks meanwhile gets the numbers as they
were, with the time that they are of.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from coc_labeling.review.results.statistics import Overview, overview
from coc_labeling.review.store import ReviewStore

log = logging.getLogger(__name__)

PATIENCE_SEC = 0.15  # numbers that are counted within it are never old


@dataclass(frozen=True)
class Counted:
    """Numbers, and what they are of.

    Attributes:
        state: how far the file was.
        numbers: the overview.
        at: when they were counted, UTC.
        took_sec: how long that took.
    """

    state: tuple[int, ...]
    numbers: Overview
    at: datetime
    took_sec: float


@dataclass(frozen=True)
class Look:
    """What somebody who looks now is shown; ``older`` is the time it is of, where something was done since, UTC."""

    numbers: Overview
    older: datetime | None


class Overviews:
    """The numbers of one review. All of it may be asked for by several threads."""

    def __init__(self, store: ReviewStore, count: Callable[[ReviewStore], Overview] = overview) -> None:
        self._store, self._count = store, count
        self._made: Counted | None = None
        self._counting: Future[Counted] | None = None
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, "overview")  # its thread has a connection of its own, which it keeps

    def begin(self) -> None:
        """Count in the background, so that who looks first need not wait so long."""
        self._in_background()

    def look(self) -> Look:
        """Return the numbers: those of now, or older ones where counting takes long, which then has begun.

        Results of checks that came in since do not count as doing: they show with the next step of a reviewer.
        """
        made, state = self._made, _state_of(self._store)
        if made is not None and _reaches(made, state):
            return Look(made.numbers, None)
        counting = self._in_background()
        if made is None or made.took_sec <= PATIENCE_SEC:
            made = counting.result()
            if not _reaches(made, state):  # it had begun before the last step
                made = self._in_background().result()
        return Look(made.numbers, None if _reaches(made, state) else made.at)

    def close(self) -> None:
        """Stop counting; what is being counted is finished."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _in_background(self) -> "Future[Counted]":
        """Return a count that is under way, or one that begins now."""
        with self._lock:
            if self._counting is None or self._counting.done():
                self._counting = self._worker.submit(self._counted)
            return self._counting

    def _counted(self) -> Counted:
        state, began = _state_of(self._store), time.perf_counter()
        try:
            numbers = self._count(self._store)
        except Exception:
            log.exception("the numbers of the overview cannot be counted")
            raise
        self._made = Counted(state, numbers, datetime.now(UTC), time.perf_counter() - began)
        return self._made


def _reaches(made: Counted, state: tuple[int, ...]) -> bool:
    """Say whether all that was done up to a state is in the numbers; each number of a state only ever rises."""
    return all(own >= other for own, other in zip(made.state, state, strict=True))


def _state_of(store: ReviewStore) -> tuple[int, ...]:
    return tuple(store.database.rows(_STATE)[0])


_STATE = """
    SELECT coalesce((SELECT max(id) FROM events), 0), coalesce((SELECT max(id) FROM assignments), 0),
        coalesce((SELECT max(id) FROM tasks), 0), coalesce((SELECT max(id) FROM labels), 0),
        (SELECT count(*) FROM reviewers)
"""
