"""What was decided, for what causes, in what words; from the columns of all labels at once."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from coc_labeling.results import LABEL
from coc_labeling.schema import UNOBSERVED

NONE = "none"
TOP_SENTENCES = 8
TOP_CAUSES = 20


@dataclass(frozen=True)
class DecisionRow:
    """One decision: how many labels, their share, and the share of those with an observed cause (0 to 1)."""

    decision: str
    direction: str
    count: int
    share: float
    observed: float


@dataclass(frozen=True)
class CauseRow:
    """One kind of cause, ``category:relation`` or ``unobserved``: how often a decision cites it, and its share."""

    cause: str
    longitudinal: int
    lateral: int
    share: float

    @property
    def is_observed(self) -> bool:
        """Whether it is a cause at all."""
        return self.cause != UNOBSERVED


@dataclass(frozen=True)
class Sentences:
    """How much the sentences differ.

    Attributes:
        count: labels with a sentence.
        distinct: different sentences among them.
        patterns: different sentences when all numbers are taken as equal.
        top: the most frequent ones with count and share.
    """

    count: int
    distinct: int
    patterns: int
    top: list[tuple[str, int, float]]


@dataclass(frozen=True)
class LabelStatistics:
    """All labels of all runs; abstentions are counted only."""

    labels: int
    abstentions: int
    observed: int
    longitudinal: list[DecisionRow]
    lateral: list[DecisionRow]
    causes: list[CauseRow]
    more_causes: int
    sentences: Sentences


def label_statistics(table: pa.Table) -> LabelStatistics | None:
    """Return the statistics of a table of labels, or None where it is empty."""
    if not table.num_rows:
        return None
    labels = table.filter(pc.equal(table.column("status"), LABEL))
    by_speed, by_lane = (observed(labels.column(f"{axis}_causes")) for axis in ("longitudinal", "lateral"))
    causes = _causes(labels)
    return LabelStatistics(
        labels=labels.num_rows,
        abstentions=table.num_rows - labels.num_rows,
        observed=int((by_speed | by_lane).sum()),
        longitudinal=_decisions(labels, "longitudinal", by_speed),
        lateral=_decisions(labels, "lateral", by_lane),
        causes=causes[:TOP_CAUSES],
        more_causes=max(0, len(causes) - TOP_CAUSES),
        sentences=_sentences(labels.column("sentence")),
    )


def observed(causes: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return for each row of a list of causes whether one of them was observed."""
    array = _combined(causes)
    has = np.zeros(len(array), bool)
    parents = pc.list_parent_indices(array).to_numpy(zero_copy_only=False)
    real = pc.not_equal(pc.list_flatten(array), UNOBSERVED).to_numpy(zero_copy_only=False)
    has[parents[np.asarray(real, bool)]] = True
    return has


def _combined(column: pa.ChunkedArray) -> pa.Array:
    joined = column.combine_chunks()
    return joined if isinstance(joined, pa.Array) else pa.concat_arrays(joined.chunks)


def _decisions(labels: pa.Table, axis: str, has_cause: NDArray[np.bool_]) -> list[DecisionRow]:
    direction = labels.column("direction") if axis == "lateral" else pa.nulls(labels.num_rows, pa.string())
    frame = pa.table(
        {
            "decision": pc.fill_null(labels.column(axis), NONE),
            "direction": pc.fill_null(direction, ""),
            "observed": pa.array(has_cause).cast(pa.int64()),
        }
    )
    grouped = frame.group_by(["decision", "direction"]).aggregate([("observed", "sum"), ([], "count_all")])
    rows = [
        DecisionRow(
            str(row["decision"]),
            str(row["direction"]),
            row["count_all"],
            row["count_all"] / labels.num_rows,
            row["observed_sum"] / row["count_all"],
        )
        for row in grouped.to_pylist()
    ]
    return sorted(rows, key=lambda row: (-row.count, row.decision, row.direction))


def _causes(labels: pa.Table) -> list[CauseRow]:
    counts: dict[str, list[int]] = {}
    for channel, axis in enumerate(("longitudinal", "lateral")):
        flat = pc.list_flatten(labels.column(f"{axis}_causes"))
        for row in pc.value_counts(flat).to_pylist():
            counts.setdefault(str(row["values"]), [0, 0])[channel] = row["counts"]
    total = sum(map(sum, counts.values()))
    rows = [CauseRow(cause, first, second, (first + second) / total) for cause, (first, second) in counts.items()]
    return sorted(rows, key=lambda row: (-row.share, row.cause))


def _sentences(column: pa.ChunkedArray) -> Sentences:
    counted = pc.value_counts(column.drop_null())
    texts, counts = counted.field("values"), counted.field("counts").to_numpy()
    total = int(counts.sum())
    masked = pc.replace_substring_regex(texts, r"[0-9]+(?:\.[0-9]+)?", "0")
    best = np.argsort(-counts, kind="stable")[:TOP_SENTENCES]
    top = [(str(texts[int(i)].as_py()), int(counts[i]), counts[i] / total) for i in best if counts[i] > 1]
    return Sentences(total, len(texts), pc.count_distinct(masked).as_py(), top)
