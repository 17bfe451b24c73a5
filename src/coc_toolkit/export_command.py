"""``coc export`` on the terminal."""

from enum import StrEnum
from typing import TypeVar

from batch_runs.outcomes import EXIT_FAILED
from batch_runs.terminal import complain, say
from coc_labeling.errors import CocLabelingError
from coc_labeling.export.dataset import ExportRequest, export_dataset
from coc_labeling.export.selection import Selection, Text
from coc_labeling.export.sources import Only
from coc_labeling.export.splits import GroupBy, Splits, parse_shares

Choice = TypeVar("Choice", bound=StrEnum)
SHOWN = 5


def run_export(
    run_dir: str,
    out: str,
    format_name: str,
    only: str,
    text: str,
    max_risk: float | None,
    status: str | None,
    splits: str,
    seed: int,
    group_by: str,
) -> int:
    """Export a run's labels and print what came of it; returns the exit code, 1 where records cannot be read.

    Raises:
        CocLabelingError, DatasetError: nothing can be exported as asked.
    """
    statuses = tuple(part.strip() for part in status.split(",")) if status else ()
    request = ExportRequest(
        run_dir,
        out,
        format_name,
        Splits(parse_shares(splits), seed, _choice("--group-by", group_by, GroupBy)),
        _choice("--only", only, Only),
        Selection(_choice("--text", text, Text), max_risk, statuses),
    )
    result = export_dataset(request)
    for notice in result.notices[:SHOWN]:
        complain(f"note: {notice}")
    if len(result.notices) > SHOWN:
        complain(f"note: ... and {len(result.notices) - SHOWN:,} more")
    counts = result.counts
    shares = ", ".join(f"{name} {counts.labels[name]:,}" for name in request.splits.shares)
    say(f"{counts.exported:,} labels of {counts.clips.total():,} clips exported: {shares}")
    say(*(f"  left out: {reason} ({number:,})" for reason, number in sorted(counts.left_out.items())))
    say(f"dataset: {out}", f"card: {out}/README.md")
    return EXIT_FAILED if counts.failed else 0


def _choice(option: str, given: str, choices: type[Choice]) -> Choice:
    try:
        return choices(given)
    except ValueError as error:
        raise CocLabelingError(f"{option} {given!r}: expected {', '.join(choices)}.") from error
