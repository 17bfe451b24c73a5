"""Which labels of an experiment are judged, and which of them are controls."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from batch_runs.shards import Shard
from coc_labeling.checks.inputs import read_labels_of
from coc_labeling.errors import CocLabelingError, RecordError
from coc_labeling.judge.controls import Telling
from coc_labeling.judge.questions import Due, Judged, Pending
from coc_labeling.judge.stages import Stage
from coc_labeling.keyframes import Keyframe
from coc_labeling.prompts import text_hash
from coc_labeling.results import KEY, LABEL, ExperimentFolder, load_labels, read_record
from coc_labeling.schema import CoCLabel
from coc_labeling.up_to_date import STAMP, bring_up_to_date, current_row
from coc_labeling.work import GroupTask, item_of
from driving_clips import files

Row = TypeVar("Row")
Moment = tuple[str, int]  # clip id, keyframe in microseconds
_COLUMNS = (*KEY, "status", "model", "label", *STAMP)
_ROWS_AT_ONCE = 1000


@dataclass(frozen=True)
class Selection:
    """What is judged.

    Attributes:
        pending: the labels of this shard with all their questions.
        unreadable: labels that can be read neither from the table nor from their record, by the record's name, with
            the reason.
        abstentions: how many records hold none any more.
    """

    pending: list[Pending]
    unreadable: dict[str, str]
    abstentions: int


@dataclass(frozen=True)
class Labels:
    """The labels of an experiment, sorted by clip and keyframe; the number of a label is its row.

    They stay texts until they are asked about: read, 300,000 of them would fill the memory. Each is looked up once, as
    its record says then.

    Attributes:
        run_dir: the experiment.
        table: a row per label.
        abstentions: how many records have none.
        unread: records that cannot be read, by their names, with the reason.
        numbers: of the labels, by clip and keyframe.
    """

    run_dir: str
    table: pa.Table
    abstentions: int
    unread: Mapping[str, str]
    numbers: Mapping[Moment, int]
    _hashes: dict[int, str] = field(init=False, default_factory=dict)  # of those that have been looked up
    _changed: dict[int, str] = field(init=False, default_factory=dict)  # those that the table has not, or not so

    def __len__(self) -> int:
        return len(self.table)

    def read(self, number: int) -> CoCLabel:
        """Return a label as its record says now; an abstention where that has none any more.

        Raises:
            RecordError: it can be read neither from the table nor from its record.
        """
        text = self._text(number)
        if text is not None:
            with contextlib.suppress(ValidationError):
                return CoCLabel.model_validate_json(text)
        # Written by another version, or in no table and its file is gone.
        moment = self._moment(number)
        label = read_record(ExperimentFolder(self.run_dir).record_path(*moment), moment).label
        self._changed[number] = label.model_dump_json(exclude_none=True)
        return label

    def hash_of(self, number: int) -> str:
        """Return the hash of a label as its record says now; empty where that cannot be read."""
        with contextlib.suppress(RecordError):
            self._text(number)
        return self._hashes.get(number, "")

    def _text(self, number: int) -> str | None:
        in_table: str | None = self.table.column("label")[number].as_py()
        if number not in self._hashes:
            row = {name: self.table.column(name)[number].as_py() for name in (*KEY, *STAMP)}
            now = current_row(row | {"label": in_table}, self.run_dir)["label"]
            if now is None:
                return None
            if now != in_table:
                self._changed[number] = now
            self._hashes[number] = text_hash(now)
        return self._changed.get(number, in_table)

    def _moment(self, number: int) -> Moment:
        clip_id, t_us = (self.table.column(name)[number].as_py() for name in KEY)
        return clip_id, t_us

    def judged(self, pending: Pending) -> Judged:
        """Return a moment with its label, which has been read before."""
        return Judged(
            pending.clip_id,
            pending.t_us,
            label=self.read(pending.number),
            number=pending.number,
            due=pending.due,
            turn=pending.turn,
        )

    def with_labels(self, tasks: Iterator[GroupTask]) -> Iterator[GroupTask]:
        """Yield tasks of pending moments with their labels."""
        for task in tasks:
            keyframes = {clip: [self._with_label(one) for one in own] for clip, own in task.keyframes.items()}
            yield replace(task, keyframes=keyframes)

    def _with_label(self, moment: Keyframe) -> Keyframe:
        assert isinstance(moment, Pending)
        return self.judged(moment)


def labels_of(run_dir: str) -> Labels:
    """Return the labels of an experiment, or of record files of another tool.

    Raises:
        CocLabelingError: neither is there, or none of the records has a label.
    """
    table, unread = _table_of(run_dir)
    is_label = pc.equal(table.column("status"), LABEL)
    others, _ = bring_up_to_date(table.filter(pc.invert(is_label)), run_dir, len(table))
    labels = pa.concat_tables([table.filter(is_label), others.filter(pc.equal(others.column("status"), LABEL))])
    records = len(table)
    if not len(labels):
        first = f", such as {min(unread.values())}" if unread else ""
        raise CocLabelingError(
            f"{run_dir}: expected labels, found {records} records without one and {len(unread)} that cannot be "
            f"read{first}. Nothing to judge."
        )
    ordered = labels.sort_by([(name, "ascending") for name in KEY]).combine_chunks()
    del table, labels, others
    pa.default_memory_pool().release_unused()  # what reading has left over is more than what is kept
    numbers: dict[Moment, int] = {}
    first_row = 0
    for batch in ordered.to_batches(_ROWS_AT_ONCE):
        moments = zip(*(batch.column(name).to_pylist() for name in KEY), strict=True)
        numbers.update(zip(moments, range(first_row, first_row + len(batch)), strict=True))
        first_row += len(batch)
    return Labels(run_dir, ordered, records - len(ordered), unread, numbers)


def _table_of(run_dir: str) -> tuple[pa.Table, dict[str, str]]:
    """Return the records of a folder, and those that cannot be read; only where it has no table they are opened."""
    if not files.is_dir(run_dir):
        raise CocLabelingError(f"{run_dir}: no such folder. Expected an experiment folder of Step 3.")
    if any(name.startswith("labels.") for name in files.list_names(run_dir, ".parquet")):
        return load_labels(run_dir).select(_COLUMNS), {}
    found = read_labels_of(run_dir)
    nobody = pa.nulls(len(found.table), pa.string())
    table = found.table.append_column("model", nobody).select(_COLUMNS)
    return table, {item: message for _, item, message in found.unread}


def select(labels: Labels, stages: Sequence[Stage], sample: int | None, controls: int, shard: Shard) -> Selection:
    """Return what is judged: a sample spread evenly over the clips, and some of it with a planted error as well.

    The sample is that of the whole experiment, of which a shard takes its clips: shards add up to it.
    """
    moments = list(labels.numbers.items())
    chosen = _spread(moments, sample)
    turns = {number: turn for turn, (_, number) in enumerate(_spread(chosen, controls))}
    alone = tuple(Due(stage) for stage in stages)
    controlled = (*alone, *(Due(stage, telling) for telling in (Telling.TWIN, Telling.PLANTED) for stage in stages))
    pending, abstentions = [], 0
    unreadable = {item: why for item, why in labels.unread.items() if item.partition("/")[0] in shard}
    for moment, number in chosen:
        if moment[0] not in shard:
            continue
        try:
            label = labels.read(number)
        except RecordError as error:
            unreadable[item_of(*moment)] = " ".join(str(error).split())
            continue
        if label.abstention is not None:
            abstentions += 1
            continue
        due = controlled if number in turns else alone
        pending.append(Pending(*moment, number=number, due=due, turn=turns.get(number, 0)))
    return Selection(pending, unreadable, abstentions)


def _spread(rows: Sequence[Row], count: int | None) -> list[Row]:
    """Return so many rows, spread evenly; all of them where that is no fewer, or None is asked for."""
    if count is None or count >= len(rows):
        return list(rows)
    return [rows[n * len(rows) // count] for n in range(count)]
