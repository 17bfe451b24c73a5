"""``coc export``: the labels of a run as a dataset, with splits and a card."""

from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from coc_labeling.checks.calibration import calibration_path
from coc_labeling.config.schema import RunConfig
from coc_labeling.errors import CocLabelingError
from coc_labeling.export.balance import LEFT_OUT, Balance, BalanceBy
from coc_labeling.export.base import Exporter
from coc_labeling.export.card import Facts, Taken, render_card
from coc_labeling.export.check_index import CheckIndex, LabelCheck, open_checks
from coc_labeling.export.clip_lists import ClipLists
from coc_labeling.export.content import Component, Content, Recordings
from coc_labeling.export.counts import Counts
from coc_labeling.export.drives import Drives
from coc_labeling.export.folder import ExportFolder, opened
from coc_labeling.export.formats import exporter_class
from coc_labeling.export.leakage import Leakage
from coc_labeling.export.pictures import prune, remove_pictures
from coc_labeling.export.places import read_places
from coc_labeling.export.reviewed import EDITED, open_source, quality_of, verdicts_of
from coc_labeling.export.rows import EXPORT_VERSION, ExportRow, provenance_of, whole_label
from coc_labeling.export.scene_reader import SceneReader
from coc_labeling.export.selection import NOT_CHECKED, Selection
from coc_labeling.export.sources import LabelSource, Only, SourcedLabel, refuse_other_folders
from coc_labeling.export.splits import GroupBy, Splits
from coc_labeling.results import LABELS
from coc_labeling.saved_config import saved_config
from driving_clips import files
from driving_clips.datasets.loose import stable_hash

MOST_OFF = 0.1  # of the clips, that a split may have more or less than was asked for without a word
PICTURE_FOLDERS = ("images", ".images")


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
        balance: whether frequent decisions are thinned.
        content: what formats with frames or trajectories hold.
        recordings: where those are read.
    """

    run_dir: str
    out: str
    format: str
    splits: Splits
    only: Only = Only.ALL
    selection: Selection = field(default_factory=Selection)
    balance: BalanceBy = BalanceBy.NOTHING
    content: Content = field(default_factory=Content)
    recordings: Recordings = field(default_factory=Recordings)


@dataclass(frozen=True)
class ExportResult:
    """What came of it: the folder, and what was counted; ``notices`` are for people."""

    out: str
    counts: Counts
    notices: tuple[str, ...]


def export_dataset(request: ExportRequest) -> ExportResult:
    """Write a dataset; the same request on the same run writes the same bytes, however often it was killed meanwhile.

    Raises:
        CocLabelingError, DatasetError: nothing can be exported as asked; an earlier export stays as it was.
        OSError: the disk is full; likewise.
    """
    exporter_type = exporter_class(request.format)
    source = _source(request)
    config = saved_config(request.run_dir, {})
    make = partial(RowMaker, request, config, _checks(request))
    balance = None
    if request.balance is BalanceBy.DECISION:
        balance = Balance(request.splits.seed, make().taken(source))
    rows = make(balance)
    with opened(request.out) as folder:
        reader = _reader(request, config, exporter_type, folder)
        clips = array("Q")
        with closing(ClipLists(folder)) as lists, closing(exporter_type(folder, request.content)) as exporter:
            for row in rows.of(source, exporter.reason_against, reader):
                exporter.add(row)
                lists.add(row)
                _remember(clips, row)
            if not rows.counts.exported:
                raise CocLabelingError(_nothing(request.run_dir, rows.counts))
            exporter.finish(list(request.splits.shares))
        facts = rows.facts(exporter, reader)
        folder.describe(render_card(facts), _manifest(request, facts))
        folder.in_the_end(partial(_tidy_pictures, request.out, reader, set(clips)))
    return ExportResult(request.out, rows.counts, tuple(_notices(facts)))


def _source(request: ExportRequest) -> LabelSource:
    refuse_other_folders(request.run_dir)
    return open_source(request.run_dir, request.only)


def _checks(request: ExportRequest) -> CheckIndex | None:
    checks = open_checks(request.run_dir)
    if checks is None and request.selection.needs_checks:
        raise CocLabelingError(
            f"{request.run_dir}: its labels have not been checked, so none has a risk or status to choose by. "
            f"Run coc check {request.run_dir} first."
        )
    return checks


def _reader(
    request: ExportRequest, config: RunConfig, exporter_type: type[Exporter], folder: ExportFolder
) -> SceneReader | None:
    needs = exporter_type.needs(request.content)
    if not needs:
        return None
    folder.claim()
    return SceneReader(
        config,
        request.recordings,
        needs,
        request.out,
        exporter_type.pictures_in(request.content),
        with_future=Component.TRAJ_FUTURE in request.content.components,
    )


def _remember(clips: array, row: ExportRow) -> None:
    key = stable_hash(row.clip_id)
    if not clips or clips[-1] != key:
        clips.append(key)


def _tidy_pictures(out: str, reader: SceneReader | None, clips: set[int]) -> None:
    """Delete pictures that the export does not show; those of formats that hold them otherwise as a whole."""
    kept = reader.picture_folder if reader is not None else None
    for name in PICTURE_FOLDERS:
        if name != kept or name.startswith("."):
            remove_pictures(out, name)
        else:
            prune(out, name, clips)


class RowMaker:
    """Turns labels into rows of a dataset, and counts."""

    def __init__(
        self, request: ExportRequest, config: RunConfig, checks: CheckIndex | None, balance: Balance | None = None
    ) -> None:
        self._request, self._config, self._checks, self._balance = request, config, checks, balance
        self._dataset = config.data.dataset_name
        self._run = files.base_name(files.absolute(request.run_dir))
        self._drives = Drives(self._dataset)
        self._places = read_places(request.recordings.data_dir or config.data.data_dir)
        self.counts = Counts(Leakage(list(request.splits.shares), self._places))

    def of(
        self, source: LabelSource, reason_against: Callable[[ExportRow], str | None], reader: SceneReader | None
    ) -> Iterator[ExportRow]:
        """Yield the rows of a source's labels that are exported, with their scenes.

        Args:
            source: where labels come from.
            reason_against: why the format cannot tell a label.
            reader: reads scenes; None where none are needed.
        """
        rows: Iterable[ExportRow] = self._told(self._balanced(self.taken(source)), reason_against)
        for row in rows if reader is None else self._seen(reader, rows):
            self.counts.add(row)
            yield row

    def taken(self, source: LabelSource) -> Iterator[ExportRow]:
        """Yield the rows of a source's labels that are selected."""
        selection = self._request.selection
        for label in source.labels():
            if label.problem is not None:
                self.counts.fail("unreadable record", label.problem)
                continue
            if label.left_out is not None:
                self.counts.leave_out(label.left_out)
                continue
            # What the checks found, they found of the label as it was before somebody edited it.
            edited = label.origin == EDITED
            check = self._checks.find(label.row) if self._checks is not None and not edited else None
            row = label.row
            reason = selection.reason_against(row, check)
            if reason is not None:
                self.counts.leave_out(reason)
                continue
            try:
                yield self._row(label, check)
            except ValueError as error:
                where = f"{source.run_dir}: {row['clip_id']} {row['event_start_timestamp']} in {LABELS}"
                self.counts.fail("unreadable record", f"{where}: {error}. Label it again.")

    def _balanced(self, rows: Iterable[ExportRow]) -> Iterator[ExportRow]:
        for row in rows:
            if self._balance is None or self._balance.keeps(row):
                yield row
            else:
                self.counts.leave_out(LEFT_OUT)

    def _told(
        self, rows: Iterable[ExportRow], reason_against: Callable[[ExportRow], str | None]
    ) -> Iterator[ExportRow]:
        for row in rows:
            reason = reason_against(row)
            if reason is None:
                yield row
            else:
                self.counts.leave_out(reason)

    def _seen(self, reader: SceneReader, rows: Iterable[ExportRow]) -> Iterator[ExportRow]:
        for found in reader.read(rows):
            if isinstance(found, ExportRow):
                yield found
            elif found[1].is_failure:
                self.counts.fail(found[1].reason, found[1].detail)
            else:
                self.counts.leave_out(found[1].reason)

    def facts(self, exporter: Exporter, reader: SceneReader | None) -> Facts:
        """Return what the card tells, when all rows are written."""
        request, window = self._request, self._config.data_loader.video
        return Facts(
            self._dataset,
            self._run,
            request.format,
            request.only,
            request.selection,
            request.splits,
            (window.hist_length_sec, window.fut_length_sec),
            self._drives.are_known,
            self._checks is not None,
            files.exists(calibration_path(request.run_dir)),
            exporter.data_files(),
            exporter.columns(),
            self.counts,
            verdicts_of(request.run_dir),
            quality_of(request.run_dir),
            self._balance.most if self._balance is not None else None,
            Taken.by(reader, request.content, exporter.needs(request.content)) if reader is not None else None,
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
            provenance=provenance_of(row, self._dataset, self._run, label.origin, label.reviewers),
            meta_actions=tuple(row["meta_actions"] or ()),
        )


# What is to be done where nothing is left, by the beginnings of reasons.
_HINTS = {
    "no video of": (
        "--video_dir says where videos are, --cameras whose they are; --images none (of hf, webdataset and "
        "label-studio) or --components without image (of sft-chat) does without."
    ),
    NOT_CHECKED: "Run coc check again: records that were changed, or copied without their times, count as not checked.",
    "not reviewed": "Review labels first (coc review), or take them with --only all.",
    "no trace": "--text sentence takes the sentence.",
}


def _nothing(run_dir: str, counts: Counts) -> str:
    reasons = "; ".join(f"{reason} ({number:,})" for reason, number in counts.left_out.most_common(5))
    hints = [hint for why, hint in _HINTS.items() if any(reason.startswith(why) for reason in counts.left_out)]
    return " ".join([f"{run_dir}: no label is left to export: {reasons or 'there are no labels'}.", *hints])


def _notices(facts: Facts) -> Iterator[str]:
    counts = facts.counts
    empty = [name for name in facts.names if not counts.labels[name]]
    if empty:
        yield f"no label in {', '.join(empty)}: too few clips or drives for that share; another --seed may do"
    yield from _uneven(facts)
    if counts.leakage.leaking:
        yield (
            f"{len(counts.leakage.leaking):,} of {len(counts.leakage.drives):,} drives have clips in more than one "
            "split; --group-by drive keeps each together"
        )
    paths = counts.leakage.paths
    if paths.across:
        yield (
            f"{paths.across:,} of {paths.total:,} labels have a path that is found in another split as well: their "
            "drives may have been recorded twice, or have two names"
        )
    yield from counts.problems


def _uneven(facts: Facts) -> Iterator[str]:
    """Say where a split has got much more or less than was asked for, as where few drives are shared out."""
    clips, whole = facts.counts.clips, max(facts.counts.clips.total(), 1)
    far = {
        name: clips[name] / whole
        for name, asked in facts.splits.shares.items()
        if clips[name] and abs(clips[name] / whole - asked) > MOST_OFF
    }
    if far:
        found = ", ".join(f"{name} {share:.0%} ({facts.splits.shares[name]:.0%})" for name, share in far.items())
        drives = len(facts.counts.leakage.drives)
        whole_drives = facts.splits.group_by is GroupBy.DRIVE and drives
        of = f"{drives:,} drives that stay whole" if whole_drives else f"{clips.total():,} clips"
        yield f"shares of the clips are far from those asked for: {found}; a hash shares out {of}"


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
        "balance": request.balance,
        **_taken(request, facts),
        "labels": {name: counts.labels[name] for name in splits.shares},
        "clips": {name: counts.clips[name] for name in splits.shares},
        "left_out": dict(sorted(counts.left_out.items())),
        "drives": len(counts.leakage.drives) if facts.drives_are_known else None,
        "drives_in_several_splits": len(counts.leakage.leaking) if facts.drives_are_known else None,
    }


def _taken(request: ExportRequest, facts: Facts) -> dict[str, Any]:
    taken = facts.taken
    if taken is None:
        return {}
    return {
        "components": list(request.content.components),
        "images": request.content.images,
        "cameras": list(taken.cameras),
        "times_sec": list(taken.times_sec),
        "frames": facts.counts.frames,
    }
