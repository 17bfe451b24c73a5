"""Clips that are cut from recordings: which ones there are is known only once a recording is read."""

from collections import defaultdict
from typing import Any

from batch_runs.outcomes import FAILED
from driving_clips.datasets.base import SourceGroup
from meta_action.results import GONE, ResultsFolder


class CutClips:
    """Watches the clips that recordings give during a run: ids claimed twice, and clips that are no more."""

    def __init__(self, folder: ResultsFolder, done: frozenset[str]) -> None:
        """``done`` are the clips whose earlier results still hold."""
        self._folder = folder
        self._done = done
        self._source_of: dict[str, str] = {}
        self._earlier: dict[str, set[str]] = defaultdict(set)
        clips = folder.read_tables()[0]
        for clip_id, source in zip(*(clips.column(name).to_pylist() for name in ("clip_id", "source")), strict=True):
            self._earlier[source].add(clip_id)
            if clip_id in done:
                self._source_of[clip_id] = source

    def settle(self, group: SourceGroup, rows: list[dict[str, Any]], *, all_wanted: bool) -> list[dict[str, Any]]:
        """Return a group's journal rows with id clashes turned into failures, and a row for each clip that is gone.

        Two recordings can give one id: ``drive`` cut at 20 s, and one called ``drive-20``. Both clips fail then.
        Where all clips are wanted, those that an earlier run found in a recording and this one does not are removed.
        """
        settled = [self._claim(row) for row in rows]
        if not all_wanted:
            return settled
        given = {row["clip_id"] for row in rows} | self._done
        for source in map(str, group.sources):
            for clip_id in sorted(self._earlier[source] - given):
                if clip_id in self._folder.shard:
                    self._folder.remove_clip(clip_id)
                    settled.append(_row(clip_id, GONE, source))
        return settled

    def _claim(self, row: dict[str, Any]) -> dict[str, Any]:
        first = self._source_of.setdefault(row["clip_id"], row["source"])
        if first == row["source"]:
            return row
        self._folder.remove_clip(row["clip_id"])
        detail = f"{row['clip_id']}: two recordings give this id, {first} and {row['source']}. Rename one."
        return _row(row["clip_id"], FAILED, row["source"], "duplicate_id", detail)


def _row(clip_id: str, outcome: str, source: str, reason: str = "", detail: str = "") -> dict[str, Any]:
    spans: dict[str, Any] = {"span_names": [], "span_starts": [], "span_ends": []}
    return {"clip_id": clip_id, "outcome": outcome, "reason": reason, "detail": detail, "source": source, **spans}
