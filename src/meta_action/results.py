"""The results folder of Step 1: texts per clip, the run's tables, and what is already done.

``clips.parquet`` has a row per clip (outcome, and the source with its size and time), ``meta_actions.parquet``
a row per span. While a run is going its rows stand in a journal, an Arrow stream that is only ever appended to;
whatever a killed run leaves of it is taken over by the next.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_runs.journal import Journal
from batch_runs.outcomes import DONE, FAILED
from batch_runs.shards import WHOLE, Shard
from driving_clips import files
from driving_clips.datasets.base import stamps_of
from driving_clips.datasets.loose import stable_hash
from meta_action.names import BY_NAME, EGO_NAMES, META_ACTIONS
from meta_action.timeline import AGENT, Timeline, to_raw_json, to_text
from meta_action.timeline_table import SPANS_SCHEMA, TimelineTable

# Counts the meanings of the labels: raise it when rules change, and clips are labelled again.
LABEL_VERSION = "1"
GONE = "gone"  # the outcome, in the journal only, of a clip that its recording does not hold any more

CLIPS_SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("outcome", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("source", pa.string()),
        ("source_stamps", pa.string()),
        ("first_tick", pa.int16()),
        ("ticks", pa.int16()),
    ]
)
JOURNAL_SCHEMA = pa.schema(
    [
        *CLIPS_SCHEMA,
        ("span_names", pa.list_(pa.int8())),
        ("span_starts", pa.list_(pa.int16())),
        ("span_ends", pa.list_(pa.int16())),
    ]
)
_NAMES = pa.array([action.name for action in META_ACTIONS])
_AXES = pa.array([action.axis for action in META_ACTIONS])
_MAX_FOLDER_NAME = 200
RESERVE_BYTES = 64 * 1024


@dataclass(frozen=True)
class ResultsFolder:
    """Where a selection of meta-actions is written, in the released tool's layout."""

    save_dir: str
    names: tuple[str, ...]
    shard: Shard = WHOLE

    @property
    def selection(self) -> str:
        """What the selection is called: ``all_ego``, or the names joined by ``-``."""
        if self.names == EGO_NAMES:
            return "all_ego"
        joined = "-".join(self.names)
        if len(joined) <= _MAX_FOLDER_NAME:
            return joined
        return f"{joined[:_MAX_FOLDER_NAME]}-{stable_hash(joined) % 16**8:08x}"

    @cached_property
    def raw_dir(self) -> str:
        """Folder of ``<clip_id>.json``."""
        raw = "tmp/raw_results" if self.selection == "all_ego" else self.selection
        return files.join(self.save_dir, raw)

    @cached_property
    def final_dir(self) -> str:
        """Folder of ``<clip_id>.txt``."""
        final = "final_outputs" if self.selection == "all_ego" else f"{self.selection}_post"
        return files.join(self.save_dir, final)

    def table_path(self, name: str) -> str:
        """Return the path of a table or summary; a shard's carry its number."""
        stem, ending = name.rsplit(".", 1)
        return files.join(self.save_dir, f"{stem}{self.shard.suffix}.{ending}")

    @property
    def _journal_dir(self) -> str:
        return files.join(self.save_dir, f"tmp/journal{self.shard.suffix}/{self.selection}.v{LABEL_VERSION}")

    def write_clip(self, timeline: Timeline) -> None:
        """Write one clip's two texts; a clip without spans has no final one."""
        files.write_atomic(f"{self.raw_dir}/{timeline.clip_id}.json", to_raw_json(timeline))
        final = f"{self.final_dir}/{timeline.clip_id}.txt"
        if timeline.spans:
            files.write_atomic(final, to_text(timeline))
        else:
            files.remove(final)

    def remove_clip(self, clip_id: str) -> None:
        """Remove what an earlier run wrote of a clip that gives no labels any more."""
        files.remove(f"{self.raw_dir}/{clip_id}.json")
        files.remove(f"{self.final_dir}/{clip_id}.txt")

    @contextmanager
    def opened(self) -> Iterator[Journal]:
        """Create the folders, lock them against a second run, and yield the journal to write to.

        Raises:
            DatasetError: the folder cannot be written to, or another run is writing here.
        """
        for folder in (self.save_dir, self.raw_dir, self.final_dir, self._journal_dir):
            files.make_dir(folder)
        with files.exclusive(files.join(self.save_dir, f"tmp/lock{self.shard.suffix}")):
            for folder in (self.save_dir, self.raw_dir, self.final_dir):
                files.remove_leftovers(folder)
            self._take_reserve()
            journal = Journal(self._journal_dir, JOURNAL_SCHEMA, ["clip_id"])
            try:
                yield journal
            finally:
                journal.close()
                self.release_reserve()

    def _take_reserve(self) -> None:
        """Hold some room, so that a run whose disk fills up can still write its summary."""
        try:
            files.write_atomic(self._reserve, bytes(RESERVE_BYTES))
        except OSError as error:
            if not files.is_disk_full(error):
                raise

    def release_reserve(self) -> None:
        """Give the room back."""
        files.remove(self._reserve)

    @property
    def _reserve(self) -> str:
        return files.join(self.save_dir, f"tmp/reserve{self.shard.suffix}")

    def settle(self, journal: Journal) -> None:
        """Move the journal's rows into the tables; rows of a clip replace its earlier ones."""
        rows = journal.read()
        replaced = rows.column("clip_id")
        rows = rows.filter(pc.not_equal(rows.column("outcome"), GONE))
        fresh = rows.select(CLIPS_SCHEMA.names)
        clips, spans = self.read_tables()
        clips = clips.filter(pc.invert(pc.is_in(clips.column("clip_id"), replaced)))
        spans = spans.filter(pc.invert(pc.is_in(spans.column("clip_id"), replaced)))
        self.write_tables([clips, fresh], [spans, explode(rows)])
        journal.clear()

    def write_tables(self, clips: list[pa.Table], spans: list[pa.Table]) -> None:
        """Write both tables in the order of the text files' names."""
        metadata = {
            "selection": self.selection,
            "final_dir": files.base_name(self.final_dir),
            "label_version": LABEL_VERSION,
        }
        for name, parts in (("meta_actions.parquet", spans), ("clips.parquet", clips)):
            table = in_file_order(pa.concat_tables(parts)).replace_schema_metadata(metadata)
            with files.atomic_path(self.table_path(name)) as path:
                pq.write_table(table, path)

    def read_tables(self) -> tuple[pa.Table, pa.Table]:
        """Return (clips, spans) of this selection as earlier runs left them; empty where there are none."""
        tables = []
        for name, schema in (("clips.parquet", CLIPS_SCHEMA), ("meta_actions.parquet", SPANS_SCHEMA)):
            table = read_table(self.table_path(name), schema)
            metadata = table.schema.metadata or {} if table is not None else {}
            current = metadata.get(b"selection") == self.selection.encode()
            current &= metadata.get(b"label_version") == LABEL_VERSION.encode()
            tables.append(table if table is not None and current else schema.empty_table())
        return tables[0], tables[1]

    def rewrite_texts(self) -> None:
        """Make the texts agree with the tables: write those that differ, remove those of clips without labels."""
        clips, spans = self.read_tables()
        lines = TimelineTable(spans)
        expected = _text_sizes(spans)
        texts, raw = files.list_sizes(self.final_dir, ".txt"), files.list_sizes(self.raw_dir, ".json")
        columns = (clips.column(name).to_pylist() for name in ("clip_id", "outcome"))
        for clip_id, outcome in zip(*columns, strict=True):
            if outcome != DONE:
                self.remove_clip(clip_id)
                continue
            same = texts.get(f"{clip_id}.txt", 0) == expected.get(clip_id, 0) and f"{clip_id}.json" in raw
            line = lines.get(clip_id) or Timeline(clip_id, ())
            if not same or (line.spans and files.read_text(f"{self.final_dir}/{clip_id}.txt") != to_text(line)):
                self.write_clip(line)

    def finished(self) -> pa.Table:
        """Return the rows of clips.parquet that still hold: texts there and whole, sources unchanged."""
        clips, spans = self.read_tables()
        clips = clips.filter(pc.not_equal(clips.column("outcome"), FAILED))
        expected = _text_sizes(spans)
        texts = files.list_sizes(self.final_dir, ".txt")
        raw = files.list_sizes(self.raw_dir, ".json")
        current: dict[str, str | None] = {}
        keep = []
        columns = (clips.column(name).to_pylist() for name in ("clip_id", "outcome", "source_stamps"))
        for clip_id, outcome, stamps in zip(*columns, strict=True):
            if stamps and stamps not in current:
                current[stamps] = stamps_of(path for path, *_ in json.loads(stamps))
            whole = outcome != DONE or (
                raw.get(f"{clip_id}.json", 0) > 0 and texts.get(f"{clip_id}.txt", 0) == expected.get(clip_id, 0)
            )
            keep.append(whole and stamps is not None and current[stamps] == stamps)
        return clips.filter(pa.array(keep, pa.bool_()))


def explode(journal: pa.Table) -> pa.Table:
    """Return the spans of journal rows, a row each, in the order of the text files' lines."""
    flat = {name: pc.list_flatten(journal.column(name)) for name in ("span_names", "span_starts", "span_ends")}
    parents = pc.list_parent_indices(journal.column("span_names"))
    columns = [
        journal.column("clip_id").take(parents),
        pc.take(_AXES, flat["span_names"]),
        pc.take(_NAMES, flat["span_names"]),
        flat["span_starts"],
        flat["span_ends"],
    ]
    return pa.table(columns, schema=SPANS_SCHEMA)


def in_file_order(table: pa.Table) -> pa.Table:
    """Sort by the name of the text file, keeping the order of a clip's rows."""
    keys = pc.binary_join_element_wise(table.column("clip_id"), ".txt", "")
    unique = np.array(sorted(pc.unique(keys).to_pylist()), dtype=object)
    rank = pc.index_in(keys, pa.array(unique, pa.string()))
    return table.take(pa.array(np.argsort(rank.to_numpy(), kind="stable")))


def read_table(path: str, schema: pa.Schema) -> pa.Table | None:
    """Return a parquet table with at least the columns of ``schema``; None where it is missing or damaged."""
    if not files.exists(path):
        return None
    try:
        table = pq.read_table(path, partitioning=None)
    except (pa.ArrowException, OSError):
        return None
    if not set(schema.names) <= set(table.column_names):
        return None
    return table.select(schema.names).cast(schema.with_metadata(table.schema.metadata))


def _text_sizes(spans: pa.Table) -> dict[str, int]:
    """Return the size in bytes of each clip's text file, from its spans."""
    fixed = len(f"   - Agent:{AGENT}, Start:, End:\n")
    name_sizes = {name: len(action.file_name) for name, action in BY_NAME.items()}
    sizes = np.array([name_sizes[name] for name in spans.column("name").to_pylist()], dtype=np.int64) + fixed
    for column in ("start_tick", "end_tick"):
        sizes += pc.utf8_length(spans.column(column).cast(pa.string())).to_numpy()
    totals = (
        pa.table({"clip_id": spans.column("clip_id"), "size": sizes}).group_by("clip_id").aggregate([("size", "sum")])
    )
    return dict(zip(totals.column("clip_id").to_pylist(), totals.column("size_sum").to_pylist(), strict=True))


def selection_metadata(path: str) -> dict[str, str]:
    """Return what a meta_actions.parquet says of itself: selection, final_dir, label_version."""
    metadata = pq.read_schema(path).metadata or {}
    return {key.decode(): value.decode() for key, value in metadata.items()}
