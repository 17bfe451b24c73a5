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
from coc_labeling.records import from_yaml
from coc_labeling.results import LABEL, ExperimentFolder, load_labels
from coc_labeling.schema import CoCLabel
from coc_labeling.work import GroupTask, item_of
from driving_clips import files

Row = TypeVar("Row")
Moment = tuple[str, int]  # clip id, keyframe in microseconds
_COLUMNS = ("clip_id", "event_start_timestamp", "status", "model", "label")
_ROWS_AT_ONCE = 1000


@dataclass(frozen=True)
class Selection:
    """What is judged.

    Attributes:
        pending: the labels of this shard with all their questions.
        unreadable: labels that can be read neither from the table nor from their record, by the record's name, with
            the reason.
    """

    pending: list[Pending]
    unreadable: dict[str, str]


@dataclass(frozen=True)
class Labels:
    """The labels of an experiment, sorted by clip and keyframe; the number of a label is its row.

    They stay texts until they are asked about: read, 300,000 of them would fill the memory.

    Attributes:
        run_dir: the experiment.
        table: a row per label.
        abstentions: how many records have none.
        unread: records that cannot be read, by their names, with the reason.
        numbers: of the labels, by clip and keyframe.
        hashes: of the labels, by number; empty where it is not known.
    """

    run_dir: str
    table: pa.Table
    abstentions: int
    unread: Mapping[str, str]
    numbers: Mapping[Moment, int]
    hashes: list[str]
    _of_records: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.hashes)

    def read(self, number: int, moment: Moment) -> None:
        """Make sure that a label can be read: from the table, or its record where that has none or an older one.

        Raises:
            RecordError, OSError, ValueError: from neither.
        """
        text = self._text(number)
        if text is not None:
            with contextlib.suppress(ValidationError):
                CoCLabel.model_validate_json(text)
                return
        path = ExperimentFolder(self.run_dir).record_path(*moment)
        label = from_yaml(files.read_text(path), path, moment[0]).label
        self._of_records[number] = label.model_dump_json(exclude_none=True)
        self.hashes[number] = self.hashes[number] or text_hash(self._of_records[number])

    def judged(self, pending: Pending) -> Judged:
        """Return a moment with its label, which has been read before."""
        text = self._of_records.get(pending.number) or self._text(pending.number)
        label = CoCLabel.model_validate_json(text or "")
        return Judged(
            pending.clip_id,
            pending.t_us,
            label=label,
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

    def _text(self, number: int) -> str | None:
        text: str | None = self.table.column("label")[number].as_py()
        return text


def labels_of(run_dir: str) -> Labels:
    """Return the labels of an experiment, or of record files of another tool.

    Raises:
        CocLabelingError: neither is there, or none of the records has a label.
    """
    table, unread = _table_of(run_dir)
    labels = table.filter(pc.equal(table.column("status"), LABEL))
    records = len(table)
    if not len(labels):
        first = f", such as {min(unread.values())}" if unread else ""
        raise CocLabelingError(
            f"{run_dir}: expected labels, found {records} records without one and {len(unread)} that cannot be "
            f"read{first}. Nothing to judge."
        )
    ordered = labels.sort_by([("clip_id", "ascending"), ("event_start_timestamp", "ascending")]).combine_chunks()
    del table, labels
    pa.default_memory_pool().release_unused()  # what reading has left over is more than what is kept
    numbers: dict[Moment, int] = {}
    hashes: list[str] = []
    for batch in ordered.to_batches(_ROWS_AT_ONCE):
        clips, times, texts = (batch.column(name).to_pylist() for name in (*_COLUMNS[:2], "label"))
        numbers.update(zip(zip(clips, times, strict=True), range(len(hashes), len(hashes) + len(clips)), strict=True))
        # Tables that are older than the column: the hash of a label that is not looked at is not known.
        hashes += ["" if text is None else text_hash(text) for text in texts]
    return Labels(run_dir, ordered, records - len(ordered), unread, numbers, hashes)


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
    pending, unreadable = [], {item: why for item, why in labels.unread.items() if item.partition("/")[0] in shard}
    for moment, number in chosen:
        if moment[0] not in shard:
            continue
        try:
            labels.read(number, moment)
        except (RecordError, OSError, ValueError) as error:
            unreadable[item_of(*moment)] = " ".join(str(error).split())
            continue
        due = controlled if number in turns else alone
        pending.append(Pending(*moment, number=number, due=due, turn=turns.get(number, 0)))
    return Selection(pending, unreadable)


def _spread(rows: Sequence[Row], count: int | None) -> list[Row]:
    """Return so many rows, spread evenly; all of them where that is no fewer, or None is asked for."""
    if count is None or count >= len(rows):
        return list(rows)
    return [rows[n * len(rows) // count] for n in range(count)]
