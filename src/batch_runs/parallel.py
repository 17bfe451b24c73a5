"""Work in processes: results in the order of the tasks, bounded memory, and no crash takes others along."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

IN_FLIGHT_PER_WORKER = 3
_WORKER_NAME = "SpawnProcess-"


class WorkerDied:
    """Takes a result's place where working on a task killed its process (out of memory, a crash in native code)."""


def useful_workers(asked: int, tasks: int) -> int:
    """Return how many processes are worth starting: never more than asked for, than cores, or than tasks."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        cores = os.cpu_count() or 1
    return max(1, min(asked, cores, tasks))


def map_ordered(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    workers: int,
    split: Callable[[Task], list[Task]] = lambda task: [task],
    *,
    isolated: bool = False,
    ahead: int = IN_FLIGHT_PER_WORKER,
    stopped: Callable[[], bool] = lambda: False,
) -> Generator[tuple[Task, Result | WorkerDied]]:
    """Yield (task, result) in the order of ``tasks``; with one worker in this process.

    ``isolated`` uses a worker process also where there is only one; ``ahead`` is how many tasks a worker may have begun
    or finished before their results are taken. Once ``stopped`` says so, worker processes that died (``stop_workers``)
    end the whole.

    Where a worker process dies, the tasks in flight are tried again alone, and one that dies again is cut by ``split``
    into its smallest parts, so that only the guilty part is given up.
    """
    if workers == 1 and not isolated:
        for task in tasks:
            yield task, function(task)
        return
    remaining = iter(tasks)
    suspects: deque[Task] = deque()
    while True:
        in_flight: deque[tuple[Task, Future[Result]]] = deque()
        try:
            with _pool(function, workers) as pool:
                yield from _stream(pool, remaining, in_flight, workers * ahead)
                return
        except BrokenProcessPool:
            if stopped():
                return
            suspects.extend(task for task, _ in in_flight)
        while suspects:
            if stopped():
                return
            task = suspects.popleft()
            result, parts = _alone(function, task), split(task)
            if isinstance(result, WorkerDied) and len(parts) > 1:
                suspects.extendleft(reversed(parts))
            else:
                yield task, result


def _stream(
    pool: ProcessPoolExecutor,
    tasks: Iterator[Task],
    in_flight: deque[tuple[Task, "Future[Result]"]],
    limit: int,
) -> Iterator[tuple[Task, Result]]:
    while True:
        while len(in_flight) < limit:
            try:
                task = next(tasks)
            except StopIteration:
                break
            in_flight.append((task, Future()))  # a task is never lost, even if submitting it fails
            in_flight[-1] = (task, pool.submit(_work, task))
        if not in_flight:
            return
        task, future = in_flight[0]
        result = future.result()
        in_flight.popleft()
        yield task, result


def _alone(function: Callable[[Task], Result], task: Task) -> Result | WorkerDied:
    try:
        with _pool(function, 1) as pool:
            result: Result = pool.submit(_work, task).result()
            return result
    except BrokenProcessPool:
        return WorkerDied()


def stop_workers() -> None:
    """End all worker processes of this process at once: what they are working on is not wanted any more.

    Workers bear the name that multiprocessing gives; a child with a name of its own, such as the engine of a model in
    this process, is not one of them.
    """
    for child in multiprocessing.active_children():
        if child.name.startswith(_WORKER_NAME):
            child.kill()


class _Pool(ProcessPoolExecutor):
    """A pool that, when its block is left early, drops what has not begun instead of finishing it."""

    def __exit__(self, *exception: object) -> None:
        self.shutdown(wait=True, cancel_futures=True)


def _pool(function: Callable, workers: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")  # forking a process with threads can deadlock
    return _Pool(workers, mp_context=context, initializer=_start_worker, initargs=(function,))


_function: Callable | None = None


def _start_worker(function: Callable) -> None:
    global _function
    _function = function
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides how a run ends
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker when its parent is gone, however it went."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _work(task: Any) -> Any:
    assert _function is not None
    return _function(task)
