"""The experiment folder of Step 3: a YAML file per record, and the table that all later steps read.

The YAML files are the truth. ``labels.parquet`` has a row per record; a row is trusted while the size and
modification time of its file are unchanged. While a run is going its rows stand in a journal; after a kill only
files that are in neither are opened.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_runs.journal import Journal
from batch_runs.shards import WHOLE, Shard
from coc_labeling.errors import CocLabelingError, RecordError
from coc_labeling.records import from_yaml, to_yaml
from coc_labeling.schema import Record
from driving_clips import files

LABELS = "labels.parquet"
SUMMARY = "run_summary.json"
CONFIG = "run_config.json"
LABEL, ABSTENTION = "label", "abstention"

LABELS_SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("event_start_timestamp", pa.int64()),
        ("event_start_frame", pa.int32()),
        ("status", pa.string()),
        ("abstention_reason", pa.string()),
        ("abstention_detail", pa.string()),
        ("longitudinal", pa.string()),
        ("lateral", pa.string()),
        ("direction", pa.string()),
        ("longitudinal_causes", pa.list_(pa.string())),
        ("lateral_causes", pa.list_(pa.string())),
        ("sentence", pa.string()),
        ("trace", pa.string()),
        ("meta_actions", pa.list_(pa.string())),
        ("scores", pa.map_(pa.string(), pa.float64())),
        ("agent", pa.string()),
        ("model", pa.string()),
        ("prompt_version", pa.string()),
        ("prompt_hash", pa.string()),
        ("repair", pa.string()),
        ("prompt_tokens", pa.int64()),
        ("response_tokens", pa.int64()),
        ("reasoning_tokens", pa.int64()),
        ("cached_tokens", pa.int64()),
        ("told_facts", pa.list_(pa.string())),
        ("unlisted", pa.list_(pa.string())),
        ("label", pa.string()),
        ("schema_version", pa.int16()),
        ("file_size", pa.int64()),
        ("file_mtime_ns", pa.int64()),
    ],
    metadata={"labels_version": "3"},
)
KEY = ("clip_id", "event_start_timestamp")
_ADDED = ("told_facts", "unlisted", "label")
_RECORD_NAME = re.compile(r"cot_([0-9]{1,18})\.yaml")


@dataclass(frozen=True)
class ExperimentFolder:
    """One run's folder, or one shard's view of it."""

    path: str
    shard: Shard = WHOLE

    def record_path(self, clip_id: str, t_us: int) -> str:
        """Return the path of a record's file."""
        return f"{self.path}/{clip_id}/cot_{t_us}.yaml"

    def table_path(self, name: str) -> str:
        """Return the path of the table or the summary; a shard's carry its number."""
        stem, ending = name.rsplit(".", 1)
        return files.join(self.path, f"{stem}{self.shard.suffix}.{ending}")

    @property
    def _journal_dir(self) -> str:
        return files.join(self.path, f".journal{self.shard.suffix}")

    def remove_leftovers(self, clip_id: str) -> None:
        """Delete what a killed run left half written of a clip."""
        files.remove_leftovers(f"{self.path}/{clip_id}")

    def write(self, record: Record) -> dict:
        """Write a record's file and return its row."""
        path = self.record_path(record.clip_id, record.event_start_timestamp)
        files.make_parents(path)
        files.write_atomic(path, to_yaml(record))
        return as_row(record, files.stamp(path))

    @contextmanager
    def opened(self) -> Iterator[Journal]:
        """Create the folder, lock it against a second run, and yield the journal.

        Raises:
            DatasetError: it cannot be written to, or another run is writing here.
        """
        for folder in (self.path, self._journal_dir):
            files.make_dir(folder)
        with files.exclusive(files.join(self._journal_dir, "lock")):
            journal = Journal(self._journal_dir, LABELS_SCHEMA, KEY)
            try:
                yield journal
            finally:
                journal.close()

    def settle(self, journal: Journal) -> None:
        """Move the journal's rows into the table; a record's row replaces its earlier one."""
        rows = journal.read()
        if rows.num_rows or not files.exists(self.table_path(LABELS)):
            self.write_table([self.read_table(), rows])
        journal.clear()

    def read_table(self) -> pa.Table:
        """Return the table, empty where there is none yet or it is damaged."""
        path = self.table_path(LABELS)
        if not files.exists(path):
            return LABELS_SCHEMA.empty_table()
        try:
            return read_labels(path)
        except CocLabelingError:
            return LABELS_SCHEMA.empty_table()  # it is made again from the files

    def write_table(self, parts: Sequence[pa.Table]) -> None:
        """Write the table from parts, later rows of a record replacing earlier ones, sorted by clip and time."""
        table = pa.concat_tables(parts)
        keys = zip(*(table.column(name).to_pylist() for name in KEY), strict=True)
        last = {key: row for row, key in enumerate(keys)}
        order = pa.array([last[key] for key in sorted(last)], pa.int64())
        with files.atomic_path(self.table_path(LABELS)) as path:
            pq.write_table(table.take(order), path)

    def finished(self, moments: Sequence[tuple[str, int]]) -> tuple[dict[tuple[str, int], dict], list[dict]]:
        """Return the rows of those moments (clip id, us) whose record is there and valid.

        Also returns, among them, the rows that no table had: their files were opened and validated.
        """
        table = self.read_table()
        keys = zip(*(table.column(name).to_pylist() for name in KEY), strict=True)
        row_of = {key: row for row, key in enumerate(keys)}
        size, mtime = (table.column(name).to_numpy() for name in ("file_size", "file_mtime_ns"))
        status = table.column("status").to_pylist()
        reason, detail = (table.column(f"abstention_{name}").to_pylist() for name in ("reason", "detail"))
        found: dict[tuple[str, int], dict] = {}
        unindexed: list[dict] = []
        for moment in moments:
            path = self.record_path(*moment)
            stamp = files.stamp_or_none(path)
            if stamp is None:
                continue
            row = row_of.get(moment)
            if row is not None and (size[row], mtime[row]) == (stamp.size, stamp.mtime_ns):
                found[moment] = {
                    "status": status[row],
                    "abstention_reason": reason[row],
                    "abstention_detail": detail[row],
                }
                continue
            record = read_valid(path, moment)
            if record is not None:
                found[moment] = as_row(record, stamp)
                unindexed.append(found[moment])
        return found, unindexed


def read_valid(path: str, moment: tuple[str, int]) -> Record | None:
    """Return the record of a moment from its file, or None where it does not parse and validate."""
    try:
        return read_record(path, moment)
    except RecordError:
        return None


def read_record(path: str, moment: tuple[str, int]) -> Record:
    """Return the record of a moment (clip id, us) from its file.

    Raises:
        RecordError: the file cannot be read, holds no record, or one of another moment; the message begins with the
            path.
    """
    try:
        record = from_yaml(files.read_text(path), path, *moment)
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from error
    if record.event_start_timestamp != moment[1]:
        raise RecordError(
            f"{path}: event_start_timestamp is {record.event_start_timestamp}, but the file is named after {moment[1]}."
        )
    return record


def keyframe_of(name: str) -> int | None:
    """Return the keyframe (us) that a record's file is named after; None where that is no name of a record.

    Example:
        >>> keyframe_of("cot_12600000.yaml")
        12600000
    """
    found = _RECORD_NAME.fullmatch(name)
    return int(found[1]) if found else None


def as_row(record: Record, stamp: files.FileStamp) -> dict:
    """Return a record's row of ``labels.parquet``."""
    label, made_by = record.label, record.provenance
    return {
        "clip_id": record.clip_id,
        "event_start_timestamp": record.event_start_timestamp,
        "event_start_frame": record.event_start_frame,
        "status": ABSTENTION if label.abstention else LABEL,
        "abstention_reason": label.abstention.reason if label.abstention else None,
        "abstention_detail": label.abstention.detail if label.abstention else None,
        "longitudinal": label.longitudinal.decision if label.longitudinal else None,
        "lateral": label.lateral.decision if label.lateral else None,
        "direction": label.lateral.direction if label.lateral else None,
        "longitudinal_causes": _causes(record, label.longitudinal.cause_ids if label.longitudinal else ()),
        "lateral_causes": _causes(record, label.lateral.cause_ids if label.lateral else ()),
        "sentence": label.effect_on_ego_behavior,
        "trace": label.trace,
        "meta_actions": [span.name for span in record.meta_actions],
        "scores": None,
        "agent": made_by.agent if made_by else None,
        "model": made_by.model if made_by else None,
        "prompt_version": made_by.prompt_version if made_by else None,
        "prompt_hash": made_by.prompt_hash if made_by else None,
        "repair": record.repair.outcome if record.repair else None,
        "prompt_tokens": record.usage.prompt_tokens,
        "response_tokens": record.usage.response_tokens,
        "reasoning_tokens": record.usage.reasoning_tokens,
        "cached_tokens": record.usage.cached_tokens,
        "told_facts": list(made_by.told_facts) if made_by else [],
        "unlisted": _unlisted(record),
        "label": label.model_dump_json(exclude_none=True),
        "schema_version": record.schema_version,
        "file_size": stamp.size,
        "file_mtime_ns": stamp.mtime_ns,
    }


def _unlisted(record: Record) -> list[str] | None:
    """Return the components that stage 1 of two did not list, by id; None where there was no stage 1."""
    answers = [call.answer for call in record.calls if call.purpose == "components"]
    if not answers:
        return None
    listed = " ".join(answers[-1].split())
    return [component.id for component in record.label.components if not _occurs(component.description, listed)]


def _occurs(text: str, answer: str) -> bool:
    """Say whether a text occurs in a JSON answer, however that escapes it."""
    spaced = " ".join(text.split())
    return any(form in answer for form in (spaced, *(json.dumps(spaced, ensure_ascii=a)[1:-1] for a in (True, False))))


def _causes(record: Record, cause_ids: Sequence[str]) -> list[str]:
    """Return causes as ``category:relation`` (the relation where there is one), or ``unobserved``."""
    components = {component.id: component for component in record.label.components}
    causes = []
    for cause in cause_ids:
        component = components.get(cause)
        if component is None:
            causes.append(cause)
        elif component.relation is None:
            causes.append(str(component.category))
        else:
            causes.append(f"{component.category}:{component.relation}")
    return causes


def new_experiment(output_root: str, exp_name: str) -> str:
    """Return the path of a new experiment folder, ``<YYYYmmdd_HHMMSS>_<exp_name>``, that does not exist yet."""
    stem = files.join(output_root, f"{datetime.now():%Y%m%d_%H%M%S}_{exp_name}")
    path, number = stem, 2
    while files.exists(path):
        path, number = f"{stem}_{number}", number + 1
    return path


def resumed_experiment(output_root: str, resume_exp_dir: str) -> str:
    """Return the folder to resume: an existing path as it is, else a name below ``output_root``.

    Raises:
        CocLabelingError: neither is there.
    """
    for path in (resume_exp_dir, files.join(output_root, resume_exp_dir)):
        if files.is_dir(path):
            _refuse_other_folders(path)
            return path
    raise CocLabelingError(
        f"resume_exp_dir={resume_exp_dir}: no such folder, neither as a path nor below {output_root}. "
        "Use resume_exp_dir=null to start a new experiment."
    )


def _refuse_other_folders(path: str) -> None:
    """Raise CocLabelingError for a folder that holds things, and no record or table of an experiment among them."""
    names = files.list_names(path)
    folders = files.list_folders(path)
    if CONFIG in names or any(name.startswith("labels.") for name in names) or not (names or folders):
        return
    for folder in folders:
        if any(name.startswith("cot_") for name in files.list_names(files.join(path, folder), ".yaml")):
            return
    raise CocLabelingError(f"resume_exp_dir={path}: no experiment in this folder. Point it at a folder of Step 3.")


def load_labels(run_dir: str) -> pa.Table:
    """Return the labels of a run, its shards' included where they are not merged yet.

    Raises:
        CocLabelingError: the folder is no experiment.
    """
    names = sorted(n for n in files.list_names(run_dir, ".parquet") if n.startswith("labels."))
    if not names:
        raise CocLabelingError(f"{run_dir}: no {LABELS} in it. Expected an experiment folder of Step 3.")
    whole = [LABELS] if LABELS in names else names
    return pa.concat_tables([read_labels(files.join(run_dir, name)) for name in whole])


def read_labels(path: str) -> pa.Table:
    """Return one table of labels; raises CocLabelingError where it is damaged or another table."""
    try:
        table = pq.read_table(path, partitioning=None)
        for name in _ADDED:  # tables of older versions lack them
            if name not in table.column_names:
                table = table.append_column(name, pa.nulls(len(table), LABELS_SCHEMA.field(name).type))
        return table.select(LABELS_SCHEMA.names).cast(LABELS_SCHEMA)
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise CocLabelingError(
            f"{path}: expected a table of labels ({error}). Run the labelling again with resume_exp_dir to rebuild it."
        ) from error


def token_totals(labels: pa.Table) -> dict[str, int]:
    """Return the tokens that all records of a table cost, by kind; none where no model was asked."""
    kinds = ("prompt", "response", "reasoning", "cached")
    return {kind: pc.sum(labels.column(f"{kind}_tokens")).as_py() or 0 for kind in kinds}
