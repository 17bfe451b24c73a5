"""``coc export`` on the terminal."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from batch_runs.outcomes import EXIT_FAILED
from batch_runs.terminal import complain, say
from coc_labeling.errors import CocLabelingError
from coc_labeling.export.balance import BalanceBy
from coc_labeling.export.content import (
    Content,
    Images,
    Recordings,
    parse_cameras,
    parse_components,
    parse_times,
)
from coc_labeling.export.dataset import ExportRequest, export_dataset
from coc_labeling.export.selection import Selection, Text
from coc_labeling.export.sources import Only
from coc_labeling.export.splits import GroupBy, Splits, parse_shares

Choice = TypeVar("Choice", bound=StrEnum)
SHOWN = 5


@dataclass(frozen=True)
class ExportOptions:
    """The options of ``coc export`` that say what is exported, as they were typed; see its help."""

    format_name: str
    only: str
    text: str
    max_risk: float | None
    status: str | None
    splits: str
    seed: int
    group_by: str
    balance: str
    components: str
    images: str
    cameras: str | None
    times: str | None


def run_export(
    run_dir: str, out: str, options: ExportOptions, data_dir: str | None, video_dir: str | None, num_workers: int
) -> int:
    """Export a run's labels and print what came of it; returns the exit code, 1 where something is broken.

    Raises:
        CocLabelingError, DatasetError: nothing can be exported as asked.
    """
    cameras = parse_cameras(options.cameras) if options.cameras is not None else None
    times = parse_times(options.times) if options.times is not None else None
    request = ExportRequest(
        run_dir,
        out,
        options.format_name,
        Splits(parse_shares(options.splits), options.seed, _choice("--group-by", options.group_by, GroupBy)),
        _choice("--only", options.only, Only),
        _selection(options),
        _choice("--balance", options.balance, BalanceBy),
        Content(parse_components(options.components), _choice("--images", options.images, Images)),
        Recordings(data_dir, video_dir, cameras, times, num_workers),
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


def _selection(options: ExportOptions) -> Selection:
    statuses = tuple(part.strip() for part in options.status.split(",")) if options.status else ()
    return Selection(_choice("--text", options.text, Text), options.max_risk, statuses)


def _choice(option: str, given: str, choices: type[Choice]) -> Choice:
    try:
        return choices(given)
    except ValueError as error:
        raise CocLabelingError(f"{option} {given!r}: expected {', '.join(choices)}.") from error
