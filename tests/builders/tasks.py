"""Functions that worker processes run in tests."""

import os
import time
from pathlib import Path


def tidy(number: int) -> int:
    """Return the square."""
    return number * number


def explode(number: int) -> float:
    """Raise an error of its own."""
    return number / 0


def die_on_deadly(names: tuple[str, ...]) -> tuple[str, ...]:
    """Take the process along where a name is ``deadly``."""
    if "deadly" in names:
        os._exit(42)
    return names


def halves(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Cut a task into its smallest parts."""
    return [(name,) for name in names]


def where_am_i(_: object) -> int:
    """Return this process's id."""
    return os.getpid()


def leave_a_trace(task: tuple[str, float]) -> None:
    """Write a file, then sleep so many seconds."""
    path, seconds = task
    Path(path).touch()
    time.sleep(seconds)
