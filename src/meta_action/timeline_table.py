"""Timelines of a whole run, made from its table of spans when they are asked for."""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from meta_action.timeline import Span, Timeline

SPANS_SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("axis", pa.string()),
        ("name", pa.string()),
        ("start_tick", pa.int16()),
        ("end_tick", pa.int16()),
    ]
)


def timelines(spans: pa.Table) -> Iterator[Timeline]:
    """Yield each clip's timeline from a table of spans, in its order."""
    return iter(TimelineTable(spans).values())


class TimelineTable(Mapping[str, Timeline]):
    """Timelines by clip id, made from a table of spans only when they are asked for.

    The rows of a clip must stand together, as ``read_spans`` returns them.
    """

    def __init__(self, spans: pa.Table) -> None:
        """Find where each clip's rows lie."""
        self._spans = spans
        ids = spans.column("clip_id").combine_chunks()
        changes = pc.not_equal(ids.slice(1), ids.slice(0, max(len(ids) - 1, 0)))
        starts = np.flatnonzero(np.concatenate([[True], changes.to_numpy(zero_copy_only=False)])[: len(ids)])
        lengths = np.diff(starts, append=len(ids))
        clips = ids.take(pa.array(starts)).to_pylist()
        self._rows = dict(zip(clips, zip(starts.tolist(), lengths.tolist(), strict=True), strict=True))

    def __getitem__(self, clip_id: str) -> Timeline:
        rows = self._spans.slice(*self._rows[clip_id])
        columns = (rows.column(name).to_pylist() for name in SPANS_SCHEMA.names[1:])
        return Timeline(clip_id, tuple(Span(*row) for row in zip(*columns, strict=True)))

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)
