"""Where the labels of an export come from: as they were generated, or as people left them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from coc_labeling.errors import CocLabelingError, RecordError
from coc_labeling.results import KEY, LABELS, LABELS_SCHEMA
from coc_labeling.up_to_date import STAMP, current_row
from driving_clips import files
from driving_clips.datasets.base import is_legal_id

ROWS_AT_ONCE = 2000
GENERATED = "generated"
_NEEDED = (*KEY, *STAMP, "status", "sentence", "schema_version")
_COLUMNS = tuple(name for name in LABELS_SCHEMA.names if name not in ("scores", "unlisted"))


class Only(StrEnum):
    """Which labels are taken, by what people said of them."""

    ALL = "all"
    REVIEWED = "reviewed"
    ACCEPTED = "accepted"


@dataclass(frozen=True)
class SourcedLabel:
    """A label, or what is wrong with its record.

    Attributes:
        row: its row of ``labels.parquet``, as it is to be exported.
        origin: ``generated``, or what people did with it.
        problem: why the record cannot be used, None where it can.
        left_out: why people do not want it exported, in words to count by; None where they do, or were not asked.
        reviewers: how many people judged it; None where reviews were not asked.
    """

    row: dict[str, Any]
    origin: str = GENERATED
    problem: str | None = None
    left_out: str | None = None
    reviewers: int | None = None


class LabelSource(ABC):
    """Where labels come from. One that knows reviews yields other rows, and an ``origin`` of its own."""

    def __init__(self, run_dir: str) -> None:
        self.run_dir = run_dir

    @abstractmethod
    def labels(self) -> Iterator[SourcedLabel]:
        """Yield labels and abstentions, sorted by clip and keyframe, few held at once.

        Raises:
            CocLabelingError: the folder is no experiment, or its table is damaged.
        """


class GeneratedLabels(LabelSource):
    """All labels of a run as their records say now."""

    def labels(self) -> Iterator[SourcedLabel]:
        """Yield them from ``labels.parquet``; a record that has changed since is read again."""
        last: tuple[str, int] | None = None
        for row in self._rows():
            if not is_legal_id(row["clip_id"] or ""):  # it becomes a path, and a line of a list
                yield SourcedLabel(row, problem=f"{self._path}: {row['clip_id']!r} cannot be a clip id.")
                continue
            moment = (row["clip_id"], row["event_start_timestamp"])
            if last is not None and moment <= last:
                raise CocLabelingError(
                    f"{self._path}: {moment[0]} {moment[1]} is not in order. Run the labelling again with "
                    "resume_exp_dir to rebuild the table."
                )
            last = moment
            try:
                yield SourcedLabel(current_row(row, self.run_dir))
            except RecordError as error:
                yield SourcedLabel(row, problem=str(error))

    @property
    def _path(self) -> str:
        return files.join(self.run_dir, LABELS)

    def _rows(self) -> Iterator[dict[str, Any]]:
        refuse_other_folders(self.run_dir)
        try:
            with pq.ParquetFile(self._path, pre_buffer=False) as table:
                there = set(table.schema_arrow.names)
                if missing := [name for name in _NEEDED if name not in there]:
                    raise ValueError(f"no columns {', '.join(missing)}")
                empty = dict.fromkeys(_COLUMNS)
                for batch in table.iter_batches(ROWS_AT_ONCE, columns=[name for name in _COLUMNS if name in there]):
                    for row in batch.to_pylist():
                        yield empty | row
        except (pa.ArrowException, OSError, ValueError) as error:
            raise CocLabelingError(
                f"{self._path}: expected a table of labels ({error}). Run the labelling again with resume_exp_dir to "
                "rebuild it."
            ) from error


def refuse_other_folders(run_dir: str) -> None:
    """Raise CocLabelingError where a folder has no table of labels, with what is to be done."""
    if not files.is_dir(run_dir):
        raise CocLabelingError(f"{run_dir}: no such folder. Expected an experiment folder of Step 3.")
    if files.exists(files.join(run_dir, LABELS)):
        return
    if any(name.startswith("labels.") for name in files.list_names(run_dir, ".parquet")):
        raise CocLabelingError(f"{run_dir}: its shards are not merged yet. Run coc merge {run_dir} first.")
    if within := experiments_of(run_dir):
        raise CocLabelingError(f"{run_dir}: a folder of coc run. Its labels are in {' or '.join(within)}: give that.")
    raise CocLabelingError(
        f"{run_dir}: no {LABELS} in it. Expected an experiment folder of Step 3; records of another tool have no table."
    )


def experiments_of(folder: str) -> list[str]:
    """Return the experiment folders with labels that ``coc run`` has made in its folder, the latest first."""
    experiments = files.join(folder, "experiments")
    runs = [files.join(experiments, name) for name in reversed(files.list_folders(experiments))]
    return [run for run in runs if files.exists(files.join(run, LABELS))]
