"""Joining what shards wrote: finding their files, naming the missing ones, adding up their summaries."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batch_runs.outcomes import Tally
from batch_runs.shards import shard_of_file
from driving_clips import files
from driving_clips.errors import DatasetError


@dataclass(frozen=True)
class ShardFiles:
    """The files of one kind that shards left, by shard index.

    Attributes:
        count: how many shards there should be.
        paths: path by index.
    """

    count: int
    paths: Mapping[int, str]

    @property
    def missing(self) -> list[int]:
        """Indices of shards without a file."""
        return [index for index in range(self.count) if index not in self.paths]


def find_shards(folders: Sequence[str], stem: str, ending: str) -> ShardFiles | None:
    """Find ``<stem>.shard-<i>-of-<n>.<ending>`` in folders; None where there is none.

    Raises:
        DatasetError: shards of different counts, or one shard twice.
    """
    by_count: dict[int, dict[int, str]] = {}
    for folder in sorted({files.absolute(folder) for folder in folders}):
        for name in sorted(files.list_names(folder, f".{ending}")):
            shard = shard_of_file(name)
            if shard is None or not name.startswith(f"{stem}.shard-"):
                continue
            paths, path = by_count.setdefault(shard.count, {}), files.join(folder, name)
            if shard.index in paths:
                raise DatasetError(
                    f"shard {shard.index} is there twice: {paths[shard.index]} and {path}. Leave one out."
                )
            paths[shard.index] = path
    if len(by_count) > 1:
        examples = ", ".join(next(iter(paths.values())) for _, paths in sorted(by_count.items()))
        raise DatasetError(f"shards of different counts cannot be merged: {examples}. Leave those of one run.")
    return next((ShardFiles(count, paths) for count, paths in by_count.items()), None)


def find_run_shards(
    folders: Sequence[str], kinds: Sequence[tuple[str, str]]
) -> tuple[list[ShardFiles], list[int]] | None:
    """Find the files of several kinds, (stem, ending), that each shard of a run writes.

    Returns the files by kind and the indices of shards that lack any of them (never run, or interrupted); None where
    there is none of the first kind, which tells the step.

    Raises:
        DatasetError: shards of different counts, one shard twice, or a kind that no shard has.
    """
    found = [find_shards(folders, stem, ending) for stem, ending in kinds]
    if found[0] is None:
        return None
    kept = [shards for shards in found if shards is not None]
    if len(kept) < len(found) or len({shards.count for shards in kept}) > 1:
        wanted = ", ".join(f"{stem}.shard-<i>-of-<n>.{ending}" for stem, ending in kinds)
        raise DatasetError(
            f"{', '.join(folders)}: expected {wanted} of one run, found only some. Finish the shards first."
        )
    return kept, sorted({index for shards in kept for index in shards.missing})


def read_summaries(shards: ShardFiles) -> tuple[Tally, list[dict[str, Any]]]:
    """Add up the summaries of shards; returns the counts and each shard's configuration.

    Raises:
        DatasetError: a file that is no summary.
    """
    tally = Tally()
    configs = []
    for _, path in sorted(shards.paths.items()):
        try:
            summary = json.loads(files.read_text(path))
            configs.append(dict(summary["config"]))
            for outcome, reasons in summary["ids"].items():
                for reason, ids in reasons.items():
                    for item, message in _items(ids, path, summary["messages"]):
                        tally.add(outcome, reason, item, message)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DatasetError(f"{path}: expected a run's summary ({error!r}). Run this shard again.") from error
    return tally, configs


def _items(ids: Any, path: str, messages: Mapping[str, str]) -> list[tuple[str, str]]:
    if isinstance(ids, list):
        return [(item, messages.get(item, "")) for item in ids]
    side = files.read_text(files.join(files.parent(path), files.base_name(str(ids["file"]))))
    rows = (line.partition("\t") for line in side.splitlines())
    return [(item, message) for item, _, message in rows]
