"""A progress bar on a terminal, a line now and then elsewhere; always on standard error."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from batch_runs.terminal import harmless

LINE_EVERY_SEC = 30.0


class Advance(Protocol):
    """Reports progress: sources finished, and the clips or windows they gave."""

    def __call__(self, sources: int, items: int) -> None:
        """Add to what is finished."""


@contextmanager
def progress(description: str, total: int, unit: str) -> Iterator[Advance]:
    """Show progress over ``total`` sources; the rate is of ``unit``, the clips or windows that they hold."""
    # Here, because worker processes, which show no progress, start sooner without it.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    started = time.monotonic()
    done = items_done = 0
    last_line = started

    if not console.is_terminal:

        def report(sources: int, items: int) -> None:
            nonlocal done, items_done, last_line
            done, items_done = done + sources, items_done + items
            now = time.monotonic()
            if now - last_line >= LINE_EVERY_SEC:
                last_line = now
                rate = items_done / (now - started)
                left = (total - done) * (now - started) / max(done, 1)
                console.print(f"{description}: {done}/{total}, {rate:.0f} {unit}/s, {left:.0f} s left")

        yield report
        return

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.0f} " + unit + "/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(description, total=total, rate=0.0)

        def advance(sources: int, items: int) -> None:
            nonlocal items_done
            items_done += items
            bar.update(task, advance=sources, rate=items_done / max(time.monotonic() - started, 1e-9))

        yield advance


@contextmanager
def live(lines: Callable[[], list[str]]) -> Iterator[None]:
    """Show what ``lines`` returns while the block runs: in place on a terminal, else the first line now and then."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True, markup=False, highlight=False)
    ended = threading.Event()
    if console.is_terminal:

        def show() -> Text:
            return Text(harmless("\n".join(lines())))

        with Live(console=console, get_renderable=show, refresh_per_second=4, transient=True):
            yield
        return

    def report() -> None:
        while not ended.wait(LINE_EVERY_SEC):
            console.print(harmless(lines()[0]), soft_wrap=True)

    ticker = threading.Thread(target=report, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        ended.set()
        ticker.join()
