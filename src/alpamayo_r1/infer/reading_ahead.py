"""Scenes read by threads while the model works on earlier ones; decoding video leaves Python's lock to others."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def read_ahead(
    items: Iterable[Item], read: Callable[[Item], Result], ahead: int, threads: int
) -> Iterator[tuple[Item, Result]]:
    """Yield each item with what ``read`` returns of it, in order; at most ``ahead`` are held or under way.

    What ``read`` raises is raised here.
    """
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    with ExitStack() as stack:
        pool = ThreadPoolExecutor(max(1, threads), "scenes")
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        for item in items:
            waiting.append((item, pool.submit(read, item)))
            if len(waiting) >= max(1, ahead):
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()
