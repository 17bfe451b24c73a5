import io
import threading
import time

import pytest
import rich.console

from batch_runs import progress as progress_module
from batch_runs.progress import live, progress


@pytest.fixture
def shown(monkeypatch):
    """What is shown, on a terminal or not."""

    def choose(*, terminal: bool) -> io.StringIO:
        sink = io.StringIO()
        console = rich.console.Console

        def made(**options):
            options.pop("stderr")
            return console(file=sink, force_terminal=terminal, width=120, **options)

        monkeypatch.setattr(rich.console, "Console", made)
        return sink

    return choose


def wait_for(condition) -> None:
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    assert condition()


def test_elsewhere_than_on_a_terminal_a_line_comes_now_and_then(shown, monkeypatch):
    sink = shown(terminal=False)
    monkeypatch.setattr(progress_module, "LINE_EVERY_SEC", 0.02)
    with live(lambda: ["labels: 3/9", "  second line"]):
        wait_for(lambda: sink.getvalue().count("labels: 3/9") >= 2)
    assert set(sink.getvalue().splitlines()) == {"labels: 3/9"}


def test_a_long_line_stays_one_line(shown, monkeypatch):
    sink = shown(terminal=False)
    monkeypatch.setattr(progress_module, "LINE_EVERY_SEC", 0.02)
    with live(lambda: ["x" * 500]):
        wait_for(sink.getvalue)
    assert "x" * 500 in sink.getvalue()


def test_brackets_of_a_sentence_are_no_markup(shown, monkeypatch):
    sink = shown(terminal=False)
    monkeypatch.setattr(progress_module, "LINE_EVERY_SEC", 0.02)
    with live(lambda: ["[bold]Stop[/nonsense] :smile:"]):
        wait_for(sink.getvalue)
    assert "[bold]Stop[/nonsense]" in sink.getvalue()


def test_a_terminal_shows_all_lines_in_place(shown):
    sink = shown(terminal=True)
    with live(lambda: ["labels: 3/9", "  [red]Stop behind the lead vehicle.[/nonsense]"]):
        pass
    assert "labels: 3/9" in sink.getvalue()
    assert "[red]Stop behind the lead vehicle.[/nonsense]" in sink.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_an_error_passes_and_the_line_ends(shown, terminal, monkeypatch):
    monkeypatch.setattr(progress_module, "LINE_EVERY_SEC", 0.01)
    shown(terminal=terminal)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt), live(lambda: ["line"]):
        raise KeyboardInterrupt
    wait_for(lambda: threading.active_count() <= before)


def test_a_short_run_says_nothing(shown):
    sink = shown(terminal=False)
    with live(lambda: ["line"]):
        pass
    assert sink.getvalue() == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_sources_and_items_are_counted(shown, terminal, monkeypatch):
    sink = shown(terminal=terminal)
    monkeypatch.setattr(progress_module, "LINE_EVERY_SEC", 0.0)
    with progress("Labelling", 10, "clips") as advance:
        for _ in range(10):
            advance(1, 5)
    assert "10/10" in sink.getvalue()
    assert "clips/s" in sink.getvalue()
