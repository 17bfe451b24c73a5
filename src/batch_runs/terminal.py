"""What commands say: results on standard output, problems on standard error, and one way to end."""

import logging
import re
import sys
from collections.abc import Callable

from batch_runs.outcomes import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_NOTHING
from driving_clips import files

# All but tab and line feed: a terminal obeys them, and a model's answer or a file's name may hold them.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def harmless(text: str) -> str:
    """Return a text with its control characters replaced, fit for a terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def say(*lines: str) -> None:
    """Print lines of a command's result, as they are."""
    for line in lines:
        _print(line, stderr=False)


def complain(message: str) -> None:
    """Print an error or notice to standard error, as it is."""
    _print(message, stderr=True)


def _print(text: str, *, stderr: bool) -> None:
    from rich.console import Console  # worker processes start a third sooner without it

    Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=True).print(harmless(text))


def run_command(command: Callable[[], int], *usage_errors: type[Exception]) -> int:
    """Run a command and return its exit code.

    2 with a message for its usage errors, 1 where the disk is full, 130 after Ctrl-C.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        return command()
    except usage_errors as error:
        complain(f"error: {error}")
        return EXIT_NOTHING
    except OSError as error:
        if not files.is_disk_full(error):
            raise
        complain(
            f"error: the disk is full ({error}). Free some room and run the same command again: it goes on from here."
        )
        return EXIT_FAILED
    except KeyboardInterrupt:
        complain("Interrupted. What is finished is kept; the same command goes on from there.")
        return EXIT_INTERRUPTED
