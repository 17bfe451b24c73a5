"""What meta-actions a run found: how many spans, how long, in what share of the driven time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_runs.outcomes import DONE
from coc_labeling.report.runs import MetaActionRun
from driving_clips.ego_motion import TICK_SEC
from meta_action.names import AXES, RANK


@dataclass(frozen=True)
class SpanRow:
    """One meta-action: its spans' number, share of the driven time (0 to 1), and durations in s."""

    axis: str
    name: str
    count: int
    share: float
    p10_sec: float
    median_sec: float
    p90_sec: float


@dataclass(frozen=True)
class SpanStatistics:
    """All meta-actions of all runs.

    Attributes:
        rows: by axis, then in the order of the names; names that never occur are left out.
        driven_sec: the time that the labelled clips cover.
        spans: how many there are.
        scale_sec: the end of a scale that holds all p90.
    """

    rows: list[SpanRow]
    driven_sec: float
    spans: int
    scale_sec: float

    def by_axis(self) -> dict[str, list[SpanRow]]:
        """Return the rows of each axis that has any."""
        axes = [*AXES, *sorted({row.axis for row in self.rows} - set(AXES))]
        grouped = {axis: [row for row in self.rows if row.axis == axis] for axis in axes}
        return {axis: rows for axis, rows in grouped.items() if rows}


def span_statistics(runs: Sequence[MetaActionRun]) -> SpanStatistics | None:
    """Return the statistics of all spans, or None where no run has any."""
    spans = pa.concat_tables([run.spans.table for run in runs]) if runs else None
    if spans is None or not spans.num_rows:
        return None
    spans = spans.drop_null()
    driven = sum(_driven_sec(run) for run in runs)
    keys = pc.binary_join_element_wise(spans.column("axis"), spans.column("name"), "\t").combine_chunks()
    encoded = keys.dictionary_encode()
    codes = encoded.indices.to_numpy()
    start, end = (spans.column(name).to_numpy().astype(np.int32) for name in ("start_tick", "end_tick"))
    duration = (end - start) * TICK_SEC
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(encoded.dictionary) + 1))
    rows = []
    for i, key in enumerate(encoded.dictionary.to_pylist()):
        own = duration[order[bounds[i] : bounds[i + 1]]]
        axis, _, name = key.partition("\t")
        p10, median, p90 = (float(v) for v in np.percentile(own, [10, 50, 90]))
        rows.append(SpanRow(axis, name, len(own), float(own.sum()) / driven if driven else 0.0, p10, median, p90))
    rows.sort(key=lambda row: (RANK.get(row.name, len(RANK)), row.axis, row.name))
    scale = 5.0 * np.ceil(max(row.p90_sec for row in rows) / 5.0)
    return SpanStatistics(rows, driven, spans.num_rows, float(max(scale, 5.0)))


def _driven_sec(run: MetaActionRun) -> float:
    """Return the time of the clips that were done; where no table of clips is left, the longest axis' spans."""
    clips = run.clips.table
    if clips.num_rows:
        ticks = pc.sum(clips.filter(pc.equal(clips.column("outcome"), DONE)).column("ticks")).as_py()
        return float(ticks or 0) * TICK_SEC
    spans = run.spans.table
    length = pc.subtract(spans.column("end_tick").cast(pa.int64()), spans.column("start_tick").cast(pa.int64()))
    totals = pa.table({"axis": spans.column("axis"), "ticks": length}).group_by("axis").aggregate([("ticks", "sum")])
    return float(pc.max(totals.column("ticks_sum")).as_py() or 0) * TICK_SEC
