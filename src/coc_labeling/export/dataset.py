"""``coc export``: the labels of a run as a dataset, with splits and a card."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from coc_labeling.errors import CocLabelingError
from coc_labeling.export.base import Exporter
from coc_labeling.export.card import Facts, render_card
from coc_labeling.export.check_index import CheckIndex, LabelCheck, open_checks
from coc_labeling.export.clip_lists import ClipLists
from coc_labeling.export.counts import Counts
from coc_labeling.export.drives import Drives
from coc_labeling.export.folder import opened
from coc_labeling.export.formats import exporter_class
from coc_labeling.export.rows import EXPORT_VERSION, ExportRow, provenance_of, whole_label
from coc_labeling.export.selection import Selection
from coc_labeling.export.sources import LabelSource, Only, SourcedLabel, open_source
from coc_labeling.export.splits import Splits
from coc_labeling.saved_config import saved_config
from driving_clips import files


@dataclass(frozen=True)
class ExportRequest:
    """What is to be exported.

    Attributes:
        run_dir: an experiment folder of Step 3.
        out: the folder of the dataset; an earlier export there is replaced.
        format: the format's name.
        splits: how clips are shared out.
        only: which labels, by what people said of them.
        selection: which of those.
    """

    run_dir: str
    out: str
    format: str
    splits: Splits
    only: Only = Only.ALL
    selection: Selection = field(default_factory=Selection)


@dataclass(frozen=True)
class ExportResult:
    """What came of it: the folder, and what was counted; ``notices`` are for people."""

    out: str
    counts: Counts
    notices: tuple[str, ...]


def export_dataset(request: ExportRequest) -> ExportResult:
    """Write a dataset; the same request on the same run writes the same bytes.

    Raises:
        CocLabelingError, DatasetError: nothing can be exported as asked; an earlier export stays as it was.
        OSError: the disk is full; likewise.
    """
    source = open_source(request.run_dir, request.only)
    exporter_type = exporter_class(request.format)
    if not files.is_dir(request.run_dir):
        raise CocLabelingError(f"{request.run_dir}: no such folder. Expected an experiment folder of Step 3.")
    config = saved_config(request.run_dir, {})
    checks = open_checks(request.run_dir)
    if checks is None and request.selection.needs_checks:
        raise CocLabelingError(
            f"{request.run_dir}: its labels have not been checked, so none has a risk or status to choose by. "
            f"Run coc check {request.run_dir} first."
        )
    rows = RowMaker(request, config.data.dataset_name, checks)
    with opened(request.out) as folder:
        with closing(ClipLists(folder)) as lists, closing(exporter_type(folder)) as exporter:
            for row in rows.of(source):
                exporter.add(row)
                lists.add(row)
        if not rows.counts.exported:
            raise CocLabelingError(_nothing(request.run_dir, rows.counts))
        window = config.data_loader.video
        facts = rows.facts(exporter, (window.hist_length_sec, window.fut_length_sec))
        folder.describe(render_card(facts), _manifest(request, facts))
    return ExportResult(request.out, rows.counts, tuple(_notices(facts)))


class RowMaker:
    """Turns labels into rows of a dataset, and counts."""

    def __init__(self, request: ExportRequest, dataset: str, checks: CheckIndex | None) -> None:
        self._request, self._dataset, self._checks = request, dataset, checks
        self._run = files.base_name(files.absolute(request.run_dir))
        self._drives = Drives(dataset)
        self.counts = Counts()

    def of(self, source: LabelSource) -> Iterator[ExportRow]:
        """Yield the rows of a source's labels that are taken."""
        selection = self._request.selection
        for label in source.labels():
            if label.problem is not None:
                self.counts.fail(label)
                continue
            check = self._checks.find(label.row) if self._checks is not None else None
            reason = selection.reason_against(label.row, check)
            if reason is not None:
                self.counts.leave_out(reason)
                continue
            row = self._row(label, check)
            self.counts.add(row)
            yield row

    def facts(self, exporter: Exporter, window_sec: tuple[float, float]) -> Facts:
        """Return what the card tells, when all rows are written."""
        request = self._request
        return Facts(
            self._dataset,
            self._run,
            request.format,
            request.only,
            request.selection,
            request.splits,
            window_sec,
            self._drives.are_known,
            self._checks is not None,
            exporter.data_files(),
            self.counts,
        )

    def _row(self, label: SourcedLabel, check: LabelCheck | None) -> ExportRow:
        row = label.row
        clip_id = row["clip_id"]
        drive = self._drives.drive_of(clip_id)
        return ExportRow(
            clip_id=clip_id,
            event_start_timestamp=row["event_start_timestamp"],
            event_start_frame=row["event_start_frame"],
            split=self._request.splits.split_of(clip_id, drive),
            drive=drive,
            cot=self._request.selection.text_of(row),
            longitudinal=row["longitudinal"],
            longitudinal_causes=tuple(row["longitudinal_causes"] or ()),
            lateral=row["lateral"],
            direction=row["direction"],
            lateral_causes=tuple(row["lateral_causes"] or ()),
            label=whole_label(row["label"]),
            risk=check.risk if check is not None else None,
            check_status=check.status if check is not None else None,
            schema_version=row["schema_version"],
            provenance=provenance_of(row, self._dataset, self._run, label.origin),
        )


def _nothing(run_dir: str, counts: Counts) -> str:
    reasons = "; ".join(f"{reason} ({number:,})" for reason, number in counts.left_out.most_common(5))
    return f"{run_dir}: no label is left to export: {reasons or 'there are no labels'}."


def _notices(facts: Facts) -> Iterator[str]:
    counts = facts.counts
    empty = [name for name in facts.names if not counts.labels[name]]
    if empty:
        yield f"no label in {', '.join(empty)}: too few clips or drives for that share; another --seed may do"
    if counts.leakage.leaking:
        yield (
            f"{len(counts.leakage.leaking):,} of {len(counts.leakage.drives):,} drives have clips in more than one "
            "split; --group-by drive keeps each together"
        )
    yield from counts.problems


def _manifest(request: ExportRequest, facts: Facts) -> dict[str, Any]:
    """Return what the manifest says of an export: how it was asked for, and what it holds."""
    counts, selection, splits = facts.counts, request.selection, request.splits
    return {
        "format": request.format,
        "export_version": EXPORT_VERSION,
        "dataset": facts.dataset,
        "run": facts.run,
        "only": request.only,
        "text": selection.text,
        "max_risk": selection.max_risk,
        "statuses": list(selection.statuses),
        "splits": dict(splits.shares),
        "seed": splits.seed,
        "group_by": splits.group_by,
        "labels": {name: counts.labels[name] for name in splits.shares},
        "clips": {name: counts.clips[name] for name in splits.shares},
        "left_out": dict(sorted(counts.left_out.items())),
        "drives": len(counts.leakage.drives) if facts.drives_are_known else None,
        "drives_in_several_splits": len(counts.leakage.leaking) if facts.drives_are_known else None,
    }
