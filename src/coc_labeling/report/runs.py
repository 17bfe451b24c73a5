"""The runs that a report shows: their folders, tables and summaries, and what of them is missing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from coc_labeling.errors import CocLabelingError
from coc_labeling.report.tables import Found, dig, find_parts, read_columns, read_summaries
from coc_labeling.results import LABELS, LABELS_SCHEMA, SUMMARY
from coc_labeling.up_to_date import bring_up_to_date
from driving_clips import files
from meta_action.errors import MetaActionError
from meta_action.reading import TABLE, read_spans
from meta_action.results import CLIPS_SCHEMA, selection_metadata
from meta_action.timeline_table import SPANS_SCHEMA

CLIPS = "clips.parquet"
MAX_TEXTS = 20_000  # text files are only opened one by one up to this many
MAX_RECORDS = 5_000  # records that are not those of the table are only opened up to this many

_CLIP_COLUMNS = pa.schema([CLIPS_SCHEMA.field(name) for name in ("clip_id", "outcome", "reason", "detail", "ticks")])
_SPAN_COLUMNS = pa.schema([SPANS_SCHEMA.field(name) for name in ("axis", "name", "start_tick", "end_tick")])
_LABEL_COLUMNS = pa.schema(
    [field for field in LABELS_SCHEMA if field.name not in ("trace", "meta_actions", "scores", "prompt_version")]
)


@dataclass(frozen=True)
class MetaActionRun:
    """A run of Step 1.

    Attributes:
        path: its ``save_dir``.
        summaries: its ``run_summary.json``, one a shard.
        clips: a row per clip.
        spans: a row per span, without clip ids.
        texts: all spans with clip ids, where they had to be read from text files.
    """

    path: str
    summaries: tuple[dict[str, Any], ...]
    clips: Found
    spans: Found
    texts: pa.Table | None = None


@dataclass(frozen=True)
class LabelRun:
    """A run of Step 3: ``summaries`` one a shard, ``labels`` a row per record as its file says now."""

    path: str
    summaries: tuple[dict[str, Any], ...]
    labels: Found


@dataclass(frozen=True)
class Run:
    """One folder of the report.

    Attributes:
        name: what it is called there, unique.
        path: the folder.
        dataset_name: the dataset's name, or empty where unknown.
        data_dir: where the recordings lie, or None where unknown.
        meta_actions: its Step 1; None where it cannot be found.
        labelling: its Step 3; None where the folder is one of Step 1.
        notices: what is missing.
        told_by_dataset: whether no other run of the report is of its dataset.
    """

    name: str
    path: str
    dataset_name: str
    data_dir: str | None
    meta_actions: MetaActionRun | None
    labelling: LabelRun | None
    notices: tuple[str, ...]
    told_by_dataset: bool = False

    @property
    def title(self) -> str:
        """Dataset and name; the dataset alone where that tells it from the other runs."""
        if self.told_by_dataset or not self.dataset_name:
            return self.dataset_name or self.name
        return f"{self.dataset_name} · {self.name}"


def find_runs(run_dirs: Sequence[str]) -> list[Run]:
    """Open run folders; a folder that is given twice is shown once.

    Raises:
        CocLabelingError: none given, or a folder that is no run.
    """
    if isinstance(run_dirs, str) or not run_dirs:
        raise CocLabelingError("no run folder given. Name at least one experiment folder of Step 3 or one of Step 1.")
    folders = {files.absolute(path): path for given in run_dirs for path in _inside(given)}
    names = _unique_names(list(folders))
    known: dict[str, MetaActionRun] = {}
    runs = [_open(path, name, known) for path, name in zip(folders.values(), names, strict=True)]
    datasets = [run.dataset_name for run in runs]
    if len(runs) > 1 and all(datasets) and len(set(datasets)) == len(runs):
        return [replace(run, told_by_dataset=True) for run in runs]
    return runs


def _inside(folder: str) -> list[str]:
    """Return the run folders that a folder of ``coc run`` stands for; the folder itself where it is none."""
    experiments = files.join(folder, "experiments")
    if find_parts(folder, TABLE) or _is_labelling(folder) or not files.is_dir(experiments):
        return [folder]
    found = [files.join(experiments, name) for name in files.list_folders(experiments)]
    return [path for path in found if _is_labelling(path)] or [files.join(folder, "meta_actions")]


def _open(path: str, name: str, known: dict[str, MetaActionRun]) -> Run:
    if not files.is_dir(path):
        raise CocLabelingError(
            f"{path}: no such folder. Expected an experiment folder of Step 3 or a save_dir of Step 1."
        )
    if _is_labelling(path):
        return _open_labelling(path, name, known)
    if find_parts(path, TABLE) or find_parts(path, CLIPS) or find_parts(path, SUMMARY):
        step, notices = _open_meta_actions(path, known, None)
        config = [s["config"] for s in step.summaries if isinstance(s.get("config"), dict)]
        name_, data_dir = (_first(dig(c, key) for c in config) for key in ("dataset_name", "data_dir"))
        return Run(name, path, name_ or "", data_dir, step, None, tuple(notices))
    raise CocLabelingError(
        f"{path}: neither {LABELS} nor {TABLE} in it. Expected an experiment folder of Step 3 "
        "(<YYYYmmdd_HHMMSS>_<exp_name>) or a save_dir of Step 1."
    )


def _is_labelling(path: str) -> bool:
    if find_parts(path, LABELS) or files.is_dir(files.join(path, ".journal")):
        return True
    summaries, _ = read_summaries(path)
    return any("coc_labeling" in str(summary.get("command")) for summary in summaries)


def _open_labelling(path: str, name: str, known: dict[str, MetaActionRun]) -> Run:
    summaries, notices = read_summaries(path)
    labels = read_columns(path, LABELS, _LABEL_COLUMNS)
    table, left = bring_up_to_date(labels.table, path, MAX_RECORDS)
    labels = replace(labels, table=table)
    notices += labels.notices
    if left:
        notices.append(
            f"{path}: {left:,} of {table.num_rows:,} records have been changed or copied since {LABELS} was written, "
            f"and cannot be read or are more than {MAX_RECORDS:,}: they are counted as they were. Run the labelling "
            f"again with resume_exp_dir={path} to renew the table."
        )
    if not labels.paths:
        notices.append(f"{path}: no {LABELS} yet: the run has not finished, or was stopped. Run it again to go on.")
    if not summaries:
        notices.append(f"{path}: no {SUMMARY}, so dataset, meta-actions and failures of this run are unknown.")
    data = [dig(summary, "config", "data") for summary in summaries]
    dataset_name, data_dir, texts = (
        _first(dig(d, key) for d in data) for key in ("dataset_name", "data_dir", "meta_action_dir")
    )
    step = None
    if texts is not None and files.is_dir(texts):
        step, more = _open_meta_actions(files.absolute(files.join(texts, "..")), known, files.absolute(texts))
        notices += more
    elif texts is not None:
        notices.append(f"{texts}: no such folder (meta_action_dir), so meta-actions are missing from this report.")
    run = LabelRun(path, tuple(summaries), labels)
    return Run(name, path, dataset_name or "", data_dir, step, run, tuple(notices))


def _open_meta_actions(
    path: str, known: dict[str, MetaActionRun], texts: str | None
) -> tuple[MetaActionRun, list[str]]:
    """Open a Step 1 folder, each only once; ``texts`` is the folder of texts that Step 3 has read."""
    key = files.absolute(path)
    if key in known:
        return known[key], []
    summaries, notices = read_summaries(path)
    clips, spans = read_columns(path, CLIPS, _CLIP_COLUMNS), read_columns(path, TABLE, _SPAN_COLUMNS)
    notices += [*clips.notices, *spans.notices]
    read = None
    if texts is not None and not _belongs(spans, texts):
        spans, read, notice = _read_texts(texts)
        notices += notice
    elif not spans.paths:
        notices.append(f"{path}: no {TABLE}, so meta-actions are missing from this report.")
    known[key] = MetaActionRun(path, tuple(summaries), clips, spans, read)
    return known[key], notices


def _belongs(spans: Found, texts: str) -> bool:
    """Say whether the table is that of a folder of texts."""
    try:
        names = {selection_metadata(path).get("final_dir") for path in spans.paths}
    except (pa.ArrowException, OSError):
        return bool(spans.paths)  # damaged, which has been said
    return names == {files.base_name(texts)}


def _read_texts(folder: str) -> tuple[Found, pa.Table | None, list[str]]:
    count = len(files.list_names(folder, ".txt"))
    if count > MAX_TEXTS:
        why = f"{count:,} text files, more than the {MAX_TEXTS:,} that the report opens one by one"
    else:
        try:
            table = read_spans(folder)
            return Found((), table.select(_SPAN_COLUMNS.names)), table, []
        except (MetaActionError, OSError, ValueError) as error:
            why = str(error)
    notice = f"{folder}: no {TABLE} of it ({why}), so meta-actions are missing from this report."
    return Found((), _SPAN_COLUMNS.empty_table()), None, [notice]


def _first(values: Any) -> str | None:
    return next((value for value in values if isinstance(value, str) and value), None)


def _unique_names(folders: list[str]) -> list[str]:
    """Name each folder by as few of its last parts as tell it from the others."""
    parts = [folder.strip("/").split("/") for folder in folders]
    names = []
    for own in parts:
        length = 1
        while length < len(own) and sum(other[-length:] == own[-length:] for other in parts) > 1:
            length += 1
        names.append("/".join(own[-length:]))
    return names
