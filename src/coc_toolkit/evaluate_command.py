"""``coc evaluate`` on the terminal."""

from collections.abc import Sequence

from alpamayo_r1.evaluation.run import Evaluation, evaluate
from alpamayo_r1.evaluation.tables import tables
from batch_runs.terminal import complain, say

_WIDTH = 200  # where the output is no terminal, lines are not folded at 80


def run_evaluation(predictions: Sequence[str], labels: str | None, out: str | None) -> int:
    """Evaluate predictions, print what came of it and write it; returns the exit code.

    Raises:
        CocLabelingError: nothing can be evaluated as asked.
    """
    found = evaluate(predictions, labels, out)
    for notice in found.notices:
        complain(f"note: {notice}")
    for own in found.summaries:
        _tell_lines(own.evaluated.name, own.evaluated.tally.lines("scenes"))
    _print_tables(found)
    say(*(f"{name}: {path}" for name, path in found.written.items()))
    return found.exit_code


def _tell_lines(name: str, lines: Sequence[str]) -> None:
    say(f"{name}: {lines[0]}")
    for line in lines[1:]:
        complain(line)


def _print_tables(found: Evaluation) -> None:
    from rich.console import Console

    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    for table in tables(found.summaries, found.comparisons):
        console.print(table)
