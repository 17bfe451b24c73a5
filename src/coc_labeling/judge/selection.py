"""Which labels of an experiment are judged, and which of them are controls."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from batch_runs.shards import Shard
from coc_labeling.errors import CocLabelingError, RecordError
from coc_labeling.judge.controls import Telling
from coc_labeling.judge.questions import Due, Judged
from coc_labeling.judge.stages import Stage
from coc_labeling.prompts import text_hash
from coc_labeling.records import from_yaml
from coc_labeling.results import LABEL, ExperimentFolder, load_labels
from coc_labeling.schema import CoCLabel
from driving_clips import files

Row = TypeVar("Row")
Moment = tuple[str, int]  # clip id, keyframe in microseconds


@dataclass(frozen=True)
class Selection:
    """What is judged.

    Attributes:
        moments: the labels of this shard with all their questions.
        hashes: of all labels of the experiment, by clip and keyframe; empty where it is not known.
        unreadable: labels that are neither in the table nor in their record, by clip and keyframe, with the reason.
    """

    moments: list[Judged]
    hashes: dict[Moment, str]
    unreadable: dict[Moment, str]


@dataclass(frozen=True)
class Labels:
    """The labels of an experiment, by clip and keyframe, and how many records have none."""

    table: pa.Table
    abstentions: int

    @property
    def moments(self) -> list[Moment]:
        """Clip and keyframe of each label."""
        columns = (self.table.column(name).to_pylist() for name in ("clip_id", "event_start_timestamp"))
        return list(zip(*columns, strict=True))


def labels_of(run_dir: str) -> Labels:
    """Return the labels of an experiment.

    Raises:
        CocLabelingError: no experiment, or none of its records has a label.
    """
    table = load_labels(run_dir)
    labels = table.filter(pc.equal(table.column("status"), LABEL))
    if not len(labels):
        raise CocLabelingError(f"{run_dir}: expected labels, found {len(table)} records without one. Nothing to judge.")
    ordered = labels.sort_by([("clip_id", "ascending"), ("event_start_timestamp", "ascending")])
    return Labels(ordered, len(table) - len(labels))


def select(
    run_dir: str, labels: Labels, stages: Sequence[Stage], sample: int | None, controls: int, shard: Shard
) -> Selection:
    """Return what is judged: a sample spread evenly over the clips, and some of it with a planted error as well.

    The sample is that of the whole experiment, of which a shard takes its clips: shards add up to it.
    """
    moments, texts = labels.moments, labels.table.column("label").to_pylist()
    chosen = _spread(range(len(moments)), sample)
    turns = {row: turn for turn, row in enumerate(_spread(chosen, controls))}
    # Tables that are older than the column: the hash of a label that is not looked at is not known.
    hashes = {moment: "" if text is None else text_hash(text) for moment, text in zip(moments, texts, strict=True)}
    judged, unreadable = [], {}
    for row in chosen:
        moment = moments[row]
        if moment[0] not in shard:
            continue
        try:
            label = _label(run_dir, moment, texts[row])
        except (RecordError, OSError, ValueError) as error:
            unreadable[moment] = " ".join(str(error).split())
            continue
        hashes[moment] = hashes[moment] or text_hash(label.model_dump_json(exclude_none=True))
        due = [Due(stage) for stage in stages]
        if row in turns:
            due += [Due(stage, telling) for telling in (Telling.TWIN, Telling.PLANTED) for stage in stages]
        judged.append(Judged(*moment, label=label, due=tuple(due), turn=turns.get(row, 0)))
    return Selection(judged, hashes, unreadable)


def _label(run_dir: str, moment: Moment, text: str | None) -> CoCLabel:
    """Return a label from the table, or from its record where the table has none or is of another version."""
    if text is not None:
        with contextlib.suppress(ValidationError):
            return CoCLabel.model_validate_json(text)
    path = ExperimentFolder(run_dir).record_path(*moment)
    return from_yaml(files.read_text(path), path, moment[0]).label


def _spread(rows: Sequence[Row], count: int | None) -> list[Row]:
    """Return so many rows, spread evenly; all of them where that is no fewer, or None is asked for."""
    if count is None or count >= len(rows):
        return list(rows)
    return [rows[n * len(rows) // count] for n in range(count)]
