"""Tables and summaries of a run as they are found: whole, in shards, or damaged. Reading never stops the report."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_runs.shards import Shard, shard_of_file
from driving_clips import files


@dataclass(frozen=True)
class Found:
    """A table of a run, and what is to be said about it.

    Attributes:
        paths: the files it was read from; empty where there is none.
        table: its columns; empty where there is none.
        notices: shards that are missing, files that are damaged.
    """

    paths: tuple[str, ...]
    table: pa.Table
    notices: tuple[str, ...] = ()


def find_parts(folder: str, name: str) -> list[str]:
    """Return the whole table or summary ``name`` of a run, else its shards', by path."""
    if files.exists(files.join(folder, name)):
        return [files.join(folder, name)]
    stem, ending = name.rsplit(".", 1)
    names = files.list_names(folder, f".{ending}")
    shards = [(shard_of_file(n), n) for n in names if n.startswith(f"{stem}.shard-")]
    ordered = sorted((s.count, s.index, n) for s, n in shards if s is not None and n == f"{stem}{s.suffix}.{ending}")
    return [files.join(folder, n) for _, _, n in ordered]


def read_columns(folder: str, name: str, schema: pa.Schema) -> Found:
    """Read the columns of ``schema`` from a run's table; a column that it lacks is null."""
    paths = find_parts(folder, name)
    tables, notices = [], _missing_shards(folder, name, paths)
    for path in paths:
        try:
            tables.append(_read(path, schema))
        except (pa.ArrowException, OSError, ValueError) as error:
            notices.append(f"{path}: cannot be read and is left out ({_one_line(error)}).")
    return Found(tuple(paths), pa.concat_tables([schema.empty_table(), *tables]), tuple(notices))


def read_clips(paths: Sequence[str], schema: pa.Schema, clip_ids: Sequence[str]) -> pa.Table:
    """Read the rows of a few clips from a run's table, all columns of ``schema``; damaged files give none."""
    wanted = pc.field("clip_id").isin(pa.array(clip_ids, pa.string()))
    tables = [schema.empty_table()]
    for path in paths:
        try:
            tables.append(_read(path, schema, wanted))
        except (pa.ArrowException, OSError, ValueError):
            continue  # read_columns has said it
    return pa.concat_tables(tables)


def read_summaries(folder: str, name: str = "run_summary.json") -> tuple[list[dict[str, Any]], list[str]]:
    """Return a run's summaries (one a shard) and notices on those that cannot be read."""
    summaries, notices = [], []
    for path in find_parts(folder, name):
        try:
            content = json.loads(files.read_text(path))
        except (OSError, ValueError) as error:
            notices.append(f"{path}: cannot be read and is left out ({_one_line(error)}).")
            continue
        if isinstance(content, dict):
            summaries.append(content | {"path": path})
        else:
            notices.append(f"{path}: expected a JSON object, found {type(content).__name__}; it is left out.")
    return summaries, notices


def dig(content: object, *keys: str) -> Any:
    """Return what lies below nested keys, or None where the way ends."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def _read(path: str, schema: pa.Schema, rows: pc.Expression | None = None) -> pa.Table:
    there = set(pq.read_schema(path).names)
    names = [name for name in schema.names if name in there]
    table = pq.read_table(path, columns=names, filters=rows, partitioning=None)
    for field in schema:
        if field.name not in there:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select(schema.names).cast(schema).replace_schema_metadata(schema.metadata)


def _missing_shards(folder: str, name: str, paths: Sequence[str]) -> list[str]:
    shards = [shard for path in paths if (shard := shard_of_file(files.base_name(path)))]
    if not shards:
        return []
    count = shards[0].count
    missing = [str(i) for i in range(count) if Shard(i, count) not in shards]
    read = f"{folder}: the shards are not merged yet; {len(shards)} of {count} were read for {name}"
    return [f"{read}, missing: {', '.join(missing)}." if missing else f"{read}."]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
