"""Reading a run's timelines back: from its table where there is one, else from the text files."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_runs.shards import WHOLE, Shard
from driving_clips import files
from meta_action.errors import MetaActionError
from meta_action.names import BY_FILE_NAME, BY_NAME
from meta_action.results import read_table, selection_metadata
from meta_action.timeline import Span, from_text, line_parts
from meta_action.timeline_table import SPANS_SCHEMA

TABLE = "meta_actions.parquet"


def read_spans(meta_action_dir: str, shard: Shard = WHOLE) -> pa.Table:
    """Return all spans below a folder of texts as a table (SPANS_SCHEMA), in the order of the text files.

    The run's ``meta_actions.parquet``, or that of ``shard``, is read where it lies in the folder or beside it and
    belongs to this folder; else every text file.

    Raises:
        MetaActionError: no such folder, nothing in it, or a file that is no text of spans.
    """
    if not files.is_dir(meta_action_dir):
        raise MetaActionError(
            f"{meta_action_dir}: no such folder. meta_action_dir must be the final_outputs folder of Step 1."
        )
    for name in dict.fromkeys((f"meta_actions{shard.suffix}.parquet", TABLE)):
        table = _read_own_table(meta_action_dir, name)
        if table is not None:
            return table
    names = sorted(files.list_names(meta_action_dir, ".txt"))
    if not names:
        raise MetaActionError(
            f"{meta_action_dir}: no <clip_id>.txt and no {TABLE}. Point meta_action_dir at the final_outputs "
            "folder of Step 1, or run meta-action-autolabel first."
        )
    return _read_texts(meta_action_dir, names)


def _read_own_table(meta_action_dir: str, name: str) -> pa.Table | None:
    table = read_table(files.join(meta_action_dir, name), SPANS_SCHEMA)
    if table is not None:
        return table
    beside = files.join(meta_action_dir, "..", name)
    table = read_table(beside, SPANS_SCHEMA)
    own_name = files.base_name(files.absolute(meta_action_dir))
    belongs = table is not None and selection_metadata(beside).get("final_dir") == own_name
    return table if belongs else None


def _read_texts(folder: str, names: list[str]) -> pa.Table:
    """Read the texts of a folder, in the order of ``names``."""
    parts: list[tuple[str, str, str]] = []
    counts = []
    for name in names:
        path = f"{folder}/{name}"
        try:
            text = files.read_text(path)
        except (OSError, UnicodeDecodeError) as error:
            raise MetaActionError(f"{path}: expected a text of meta-actions ({error}).") from error
        own = line_parts(text)
        if own is None:  # blank lines, or a line that from_text refuses by its number
            own = [(BY_NAME[span.name].file_name, str(span.start), str(span.end)) for span in _read(path, text)]
        parts += own
        counts.append(len(own))
    table = _as_table(names, counts, parts)
    if table is None:  # some text holds an unknown name or impossible ticks: find it
        for name in names:
            _read(f"{folder}/{name}", files.read_text(f"{folder}/{name}"))
        raise MetaActionError(f"{folder}: the texts changed while they were read. Run the command again.")
    return table


def _read(path: str, text: str) -> tuple[Span, ...]:
    return from_text(files.base_name(path).removesuffix(".txt"), text, path).spans


def _as_table(names: list[str], counts: list[int], parts: list[tuple[str, str, str]]) -> pa.Table | None:
    """Return lines as a table of spans; None where a name is unknown or ticks are none."""
    said, starts, ends = (pa.array([row[i] for row in parts], pa.string()) for i in range(3))
    known = pc.index_in(said, pa.array(list(BY_FILE_NAME), pa.string()))
    try:
        start, end = (column.cast(pa.int16()) for column in (starts, ends))
    except pa.ArrowInvalid:
        return None
    if known.null_count or not pc.all(pc.less(start, end)).as_py():
        return None if parts else SPANS_SCHEMA.empty_table()
    clips = pa.array([name[:-4] for name in names], pa.string())
    columns = [
        clips.take(pa.array(np.repeat(np.arange(len(names)), counts))),
        pa.array([action.axis for action in BY_FILE_NAME.values()]).take(known),
        pa.array([action.name for action in BY_FILE_NAME.values()]).take(known),
        start,
        end,
    ]
    return pa.table(columns, schema=SPANS_SCHEMA)
