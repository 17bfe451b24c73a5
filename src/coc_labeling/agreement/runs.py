"""A run as one side of a comparison: its labels as their records say now, read some thousands at a time."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from coc_labeling.agreement.decided import Decided, DecidedBuilder
from coc_labeling.checks.inputs import read_labels_of
from coc_labeling.errors import CocLabelingError, RecordError
from coc_labeling.results import KEY, LABELS, LABELS_SCHEMA, ExperimentFolder, keyframe_of, read_record
from coc_labeling.schema import CoCLabel
from coc_labeling.up_to_date import STAMP, current_row
from driving_clips import files
from driving_clips.datasets.base import is_legal_id

_COLUMNS = (*KEY, *STAMP, "label", "model")
_ROWS_AT_ONCE = 20_000  # some 20 MB of labels as text


@dataclass
class RunSide:
    """An experiment, or record files of another tool.

    Attributes:
        run_dir: its folder.
        name: how it is called in tables.
        models: who made its labels, known once they are read.
    """

    run_dir: str
    name: str
    models: set[str] = field(default_factory=set)

    def about(self) -> dict[str, Any]:
        """Return its folder and who made its labels."""
        return {"name": self.name, "run_dir": self.run_dir, "models": sorted(self.models)}

    def decided(self) -> tuple[Decided, list[str]]:
        """Return all its moments, and notices on records that cannot be read.

        Raises:
            CocLabelingError: no such folder, no labels in it, or a table that cannot be read.
        """
        if not files.is_dir(self.run_dir):
            raise CocLabelingError(f"{self.run_dir}: no such folder. Expected an experiment folder of Step 3.")
        names = sorted(name for name in files.list_names(self.run_dir, ".parquet") if name.startswith("labels."))
        builder, unread = DecidedBuilder(), dict[str, str]()
        if names:
            for name in [LABELS] if LABELS in names else names:
                for rows in _batches(files.join(self.run_dir, name)):
                    self._add(rows, builder, unread)
        else:
            self._add_files(builder, unread)
        decided = builder.build(self.run_dir)
        if not len(decided):
            raise CocLabelingError(f"{self.run_dir}: no labels in it, so there is nothing to compare.")
        return decided, _notices(self.run_dir, unread)

    def _add(self, rows: Iterable[dict[str, Any]], builder: DecidedBuilder, unread: dict[str, str]) -> None:
        for row in rows:
            try:
                label = _label_of(row, self.run_dir)
            except RecordError as error:
                label = None
                unread[f"{row['clip_id']}/{row['event_start_timestamp']}"] = str(error)
            builder.add(row["clip_id"], row["event_start_timestamp"], label)
            if row.get("model"):
                self.models.add(row["model"])

    def _add_files(self, builder: DecidedBuilder, unread: dict[str, str]) -> None:
        """Add record files that no table holds."""
        found = read_labels_of(self.run_dir)
        self._add(found.table.to_pylist(), builder, unread)
        for _, item, message in found.unread:
            unread[item] = message
            clip_id, name = item.split("/", 1)
            keyframe = keyframe_of(name)
            if keyframe is not None:
                builder.add(clip_id, keyframe, None)

    def sentences(self, moments: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
        """Return the sentences of a few moments (clip id, us); from the table where their files are gone."""
        said, gone = {}, set()
        for moment in moments:
            try:
                said[moment] = _record_label(self.run_dir, *moment).effect_on_ego_behavior
            except RecordError:
                gone.add(moment)
        return {moment: text for moment, text in (said | self._in_table(gone)).items() if text}

    def _in_table(self, moments: set[tuple[str, int]]) -> dict[tuple[str, int], str | None]:
        path = files.join(self.run_dir, LABELS)
        if not moments or not files.exists(path):
            return {}
        clips = pa.array(sorted({clip_id for clip_id, _ in moments}), pa.string())
        try:
            rows = pq.read_table(path, columns=[*KEY, "sentence"], filters=pa.compute.field("clip_id").isin(clips))
        except (pa.ArrowException, OSError):
            return {}  # an example goes without its sentence
        found = {(row["clip_id"], row["event_start_timestamp"]): row["sentence"] for row in rows.to_pylist()}
        return {moment: found.get(moment) for moment in moments}


def _batches(path: str) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a table of labels, some thousands at a time; columns that an older table lacks are left out."""
    try:
        with pq.ParquetFile(path) as table:
            there = table.schema_arrow.names
            if missing := [name for name in (*KEY, *STAMP) if name not in there]:
                raise CocLabelingError(f"{path}: expected a table of labels, but it has no column {missing[0]}.")
            schema = pa.schema([LABELS_SCHEMA.field(name) for name in _COLUMNS if name in there])
            for batch in table.iter_batches(_ROWS_AT_ONCE, columns=schema.names):
                rows = pa.Table.from_batches([batch]).select(schema.names).cast(schema)
                if any(rows.column(name).null_count for name in KEY):
                    raise CocLabelingError(f"{path}: expected {' and '.join(KEY)} in every row, found rows without.")
                yield rows.to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CocLabelingError(
            f"{path}: expected a table of labels ({error}). Run the labelling again with resume_exp_dir to rebuild it."
        ) from error


def _label_of(row: dict[str, Any], run_dir: str) -> CoCLabel:
    """Return a row's label as its record says now; raises RecordError where it can be read nowhere."""
    clip_id, t_us = row["clip_id"], row["event_start_timestamp"]
    if not is_legal_id(clip_id):
        raise RecordError(f"{run_dir}: {clip_id!r} is no clip id.")
    text = current_row({"label": None, **row}, run_dir)["label"]
    if text is not None:
        with suppress(ValidationError):
            return CoCLabel.model_validate_json(text)
    return _record_label(run_dir, clip_id, t_us)  # the table is of another version


def _record_label(run_dir: str, clip_id: str, t_us: int) -> CoCLabel:
    if not is_legal_id(clip_id):
        raise RecordError(f"{run_dir}: {clip_id!r} is no clip id.")
    return read_record(ExperimentFolder(run_dir).record_path(clip_id, t_us), (clip_id, t_us)).label


def _notices(run_dir: str, unread: dict[str, str]) -> list[str]:
    if not unread:
        return []
    return [f"{run_dir}: {len(unread):,} records cannot be read, such as {next(iter(unread.values()))}"]
