"""The files that hold labels, row by row, whatever their form."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from alpamayo_r1.errors import AlpamayoError
from coc_labeling.errors import CocLabelingError
from coc_labeling.export.drives import Drives
from coc_labeling.export.folder import MANIFEST, earlier_files
from coc_labeling.export.reasoning_parquet import PATH as REASONING_FILE
from coc_labeling.export.selection import Selection
from coc_labeling.export.sources import GeneratedLabels, experiments_of
from coc_labeling.results import LABELS
from coc_labeling.saved_config import saved_config
from driving_clips import files
from meta_action.names import BY_NAME, RANK

__all__ = ["REASONING_FILE", "Row", "RowPlace", "Unusable", "rows_of"]

_CLIPS_AT_ONCE = 2000
_TEXTS = ("cot", "coc")  # names of the field in files of different origin
_READ_FORMATS = ("jsonl", "sft-chat")
_EVENT_TIME = "event_start_timestamp"


class RowPlace(NamedTuple):
    """Where a row of a JSON-lines file stands: the file, and the row's offset and size in bytes."""

    path: str
    offset: int
    size: int


class Row(NamedTuple):
    """A label as its file has it, nothing of it checked.

    Attributes:
        where: the file, for messages.
        clip_id, t0_us, cot, meta_action: whatever stands there.
        split, drive: a text, or None.
        place: see ``LabelReading``.
    """

    where: str
    clip_id: Any
    t0_us: Any
    cot: Any
    meta_action: Any = None
    split: str | None = None
    drive: str | None = None
    place: RowPlace | None = None


class Unusable(NamedTuple):
    """What cannot be used: a reason to count by, and a message that names it."""

    reason: str
    message: str


def rows_of(path: str) -> Iterator[Row | Unusable]:
    """Yield the labels of a file or folder.

    Raises:
        AlpamayoError: it is none of the forms that are read, or it cannot be read at all.
        CocLabelingError: a damaged run or export.
    """
    reasoning = files.join(path, REASONING_FILE)
    if files.is_file(path):
        return _of_parquet(path)
    if files.exists(files.join(path, MANIFEST)):
        return _of_export(path)
    if files.exists(files.join(path, LABELS)) or _is_unmerged(path):
        return _of_run(path)
    if files.is_file(reasoning):
        return _of_parquet(reasoning)
    if within := experiments_of(path):
        raise AlpamayoError(f"{path}: a folder of coc run. Its labels are in {' or '.join(within)}: give that.")
    found = "a folder without them" if files.is_dir(path) else "no such file or folder"
    raise AlpamayoError(
        f"{path}: expected labels: a parquet file of reasoning, a folder with {REASONING_FILE}, an export of coc "
        f"export (--format {', '.join((*_READ_FORMATS, 'reasoning-parquet'))}) or an experiment; found {found}."
    )


def _is_unmerged(path: str) -> bool:
    return any(name.startswith("labels.") for name in files.list_names(path, ".parquet"))


def _of_parquet(path: str) -> Iterator[Row | Unusable]:
    """Yield the events of a file of reasoning labels: a row a clip, or several."""
    try:
        with pq.ParquetFile(path, pre_buffer=False) as table:
            names = set(table.schema_arrow.names)
            index = _index_of(table.schema_arrow)
            if "events" not in names or index is None:
                found = ", ".join(sorted(names)[:12]) or "no columns"
                raise AlpamayoError(f"{path}: expected columns clip_id (or an index) and events, found {found}.")
            columns = [name for name in (index, "events", "split") if name in names]
            for batch in table.iter_batches(_CLIPS_AT_ONCE, columns=columns):
                for row in batch.to_pylist():
                    yield from _events(path, row[index], row["events"], row.get("split"))
    except (pa.ArrowException, OSError) as error:
        raise AlpamayoError(f"{path}: expected a parquet file ({error}).") from error


def _index_of(schema: pa.Schema) -> str | None:
    """Return the column of clip ids: ``clip_id``, or what pandas keeps as the index."""
    pandas = schema.pandas_metadata or {}
    kept = [name for name in pandas.get("index_columns") or () if isinstance(name, str)]
    return next((name for name in ("clip_id", *kept) if name in schema.names), None)


def _events(path: str, clip_id: Any, events: Any, split: Any) -> Iterator[Row | Unusable]:
    where = files.base_name(path)
    item = f"{str(clip_id)[:80]}: events"
    if isinstance(events, str):
        try:
            events = json.loads(events)
        except (ValueError, RecursionError) as error:
            yield Unusable("broken JSON", f"{item}: expected a JSON list ({error}).")
            return
    if not events:
        yield Unusable("no events", f"{item}: expected at least one, found none.")
        return
    if not isinstance(events, list):
        yield Unusable("broken JSON", f"{item}: expected a list, found {type(events).__name__}.")
        return
    for event in events:
        if not isinstance(event, Mapping):
            yield Unusable("broken JSON", f"{item}: expected {{{_EVENT_TIME}, cot}}, found {str(event)[:80]!r}.")
            continue
        text = next((event[name] for name in _TEXTS if event.get(name) is not None), None)
        yield Row(where, clip_id, event.get(_EVENT_TIME), text, event.get("meta_action"), _text(split))


def _of_export(folder: str) -> Iterator[Row | Unusable]:
    manifest = _manifest(folder)
    form = manifest.get("format")
    names = sorted(earlier_files(folder) or ())
    if form == "reasoning-parquet":
        yield from _of_parquet(files.join(folder, REASONING_FILE))
        return
    if form not in _READ_FORMATS:
        raise AlpamayoError(
            f"{folder}: is an export of --format {form}, which training does not read. Export the labels again with "
            f"--format {' or '.join((*_READ_FORMATS, 'reasoning-parquet'))}."
        )
    drives = Drives(str(manifest.get("dataset")))
    for name in names:
        if name.startswith("data/") and name.endswith(".jsonl"):
            split = files.base_name(name).removesuffix(".jsonl")
            yield from _of_json_lines(files.join(folder, name), split, drives, in_chat=form == "sft-chat")


def _manifest(folder: str) -> Mapping[str, Any]:
    path = files.join(folder, MANIFEST)
    try:
        manifest = json.loads(files.read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise AlpamayoError(f"{path}: expected the manifest of an export ({error}).") from error
    if not isinstance(manifest, Mapping) or manifest.get("state") != "complete":
        raise AlpamayoError(f"{folder}: the export is not complete. Run coc export with the same arguments again.")
    return manifest


def _of_json_lines(path: str, split: str, drives: Drives, *, in_chat: bool) -> Iterator[Row | Unusable]:
    """Yield the rows of one split; those of conversations with their place."""
    offset = 0
    try:
        for number, line in enumerate(files.lines_of(path), start=1):
            place = RowPlace(path, offset, len(line))
            offset += len(line)
            where = f"{files.base_name(path)} line {number}"
            try:
                row = json.loads(line)
                clip_id, t0_us, cot = row["clip_id"], row[_EVENT_TIME], row["cot"]
                meta_action = _meta_action_said(row) if in_chat else None
            except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
                said = f"expected a label with clip_id, {_EVENT_TIME} and cot ({type(error).__name__}: {error})"
                yield Unusable("broken JSON", f"{where}: {said}.")
                continue
            drive = _text(row.get("drive")) or (drives.drive_of(clip_id) if isinstance(clip_id, str) else None)
            yield Row(where, clip_id, t0_us, cot, meta_action, split, drive, place if in_chat else None)
    except OSError as error:
        raise AlpamayoError(f"{path}: cannot be read ({error.strerror}). Export the labels again.") from error


def _meta_action_said(row: Mapping[str, Any]) -> str | None:
    """Return the meta-actions of a conversation's answer, None where it holds none."""
    answer = row["messages"][-1]["content"][0]["text"]
    _, found, rest = answer.partition("<|meta_action_start|>")
    text: str = rest.partition("<|meta_action_end|>")[0]
    return text if found else None


def _of_run(run_dir: str) -> Iterator[Row | Unusable]:
    """Yield the labels of a run as they were generated; abstentions are named."""
    selection = Selection()
    drives = _drives_of(run_dir)
    for label in GeneratedLabels(run_dir).labels():
        row = label.row
        item = f"{row['clip_id']}/{row[_EVENT_TIME]}"
        if label.problem is not None:
            yield Unusable("damaged record", label.problem)
        elif why := selection.reason_against(row, None):
            yield Unusable(why, f"{item}: {why}.")
        else:
            told = drives.drive_of(row["clip_id"])
            meta_action = _in_words(row.get("meta_actions") or ())
            yield Row(LABELS, row["clip_id"], row[_EVENT_TIME], selection.text_of(row), meta_action, None, told)


def _drives_of(run_dir: str) -> Drives:
    try:
        return Drives(saved_config(run_dir, {}).data.dataset_name)
    except CocLabelingError:  # labels can be learnt without knowing how they were made
        return Drives("")


def _in_words(names: Iterable[str]) -> str:
    """Return meta-actions as an export's answers name them.

    Example:
        >>> _in_words(["go_straight", "gentle_deceleration"])
        'longitudinal: gentle deceleration, lateral: go straight'
    """
    known = sorted((name for name in names if name in BY_NAME), key=RANK.__getitem__)
    return ", ".join(f"{BY_NAME[name].axis}: {name.replace('_', ' ')}" for name in known)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
