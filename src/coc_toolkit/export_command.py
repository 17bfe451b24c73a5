"""``coc export`` on the terminal."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from batch_runs.outcomes import EXIT_FAILED
from batch_runs.terminal import complain, say
from coc_labeling.errors import CocLabelingError
from coc_labeling.export.balance import BalanceBy
from coc_labeling.export.base import Exporter
from coc_labeling.export.content import (
    Content,
    Images,
    Need,
    Recordings,
    parse_cameras,
    parse_components,
    parse_times,
)
from coc_labeling.export.dataset import ExportRequest, export_dataset
from coc_labeling.export.formats import EXPORTERS, exporter_class
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
    components: str | None
    images: str | None
    cameras: str | None
    times: str | None


def run_export(
    run_dir: str, out: str, options: ExportOptions, data_dir: str | None, video_dir: str | None, num_workers: int
) -> int:
    """Export a run's labels and print what came of it; returns the exit code, 1 where something is broken.

    Raises:
        CocLabelingError, DatasetError: nothing can be exported as asked.
    """
    content = _content(options)
    _refuse_frames(options, content, video_dir)
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
        content,
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


def _content(options: ExportOptions) -> Content:
    """Read what the format is to hold; options that belong to other formats are refused."""
    exporter = exporter_class(options.format_name)
    content = Content(images=exporter.images[0] if exporter.images else Images.BYTES)
    if options.components is not None:
        if not exporter.takes_components:
            raise _other_format("--components", options, (one for one in EXPORTERS.values() if one.takes_components))
        content = replace(content, components=parse_components(options.components))
    if options.images is not None:
        if not exporter.images:
            raise _other_format("--images", options, (one for one in EXPORTERS.values() if one.images))
        images = _choice("--images", options.images, Images)
        if images not in exporter.images:
            raise CocLabelingError(
                f"--images {images}: {options.format_name} has {' or '.join(exporter.images)} "
                f"({images}: {', '.join(name for name, one in EXPORTERS.items() if images in one.images)})."
            )
        content = replace(content, images=images)
    return content


def _refuse_frames(options: ExportOptions, content: Content, video_dir: str | None) -> None:
    """Refuse what says which frames to take where none are."""
    exporter = exporter_class(options.format_name)
    given = {"--cameras": options.cameras, "--times": options.times, "--video_dir": video_dir}
    named = [name for name, value in given.items() if value is not None]
    if not named or Need.FRAMES in exporter.needs(content):
        return
    if Need.FRAMES in exporter.needs(Content()):
        raise CocLabelingError(
            f"{named[0]}: no frames are exported, by --images or --components. Leave one of them out."
        )
    raise _other_format(named[0], options, (one for one in EXPORTERS.values() if Need.FRAMES in one.needs(Content())))


def _other_format(option: str, options: ExportOptions, takers: Iterable[type[Exporter]]) -> CocLabelingError:
    names = ", ".join(one.name for one in takers)
    return CocLabelingError(f"{option} is no option of --format {options.format_name}; these formats take it: {names}.")


def _selection(options: ExportOptions) -> Selection:
    statuses = tuple(part.strip() for part in options.status.split(",")) if options.status else ()
    return Selection(_choice("--text", options.text, Text), options.max_risk, statuses)


def _choice(option: str, given: str, choices: type[Choice]) -> Choice:
    try:
        return choices(given)
    except ValueError as error:
        raise CocLabelingError(f"{option} {given!r}: expected {', '.join(choices)}.") from error
