"""What labelling and judging cost: tokens, the share that providers had cached, and USD where prices are known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from coc_labeling.report.judges import JudgeResult
from coc_labeling.report.overview import RunRow
from coc_labeling.report.runs import LabelRun, Run
from coc_labeling.schema import Usage

KINDS = tuple(Usage.model_fields)


@dataclass(frozen=True)
class CostRow:
    """What one run, or one judge of it, cost.

    Attributes:
        run: the run.
        what: labelling or judging.
        who: the model.
        usage: tokens.
        labels: that were made or judged.
        cost_usd: None where the price is unknown.
        asked: whether a model was asked at all.
    """

    run: Run
    what: str
    who: str
    usage: Usage
    labels: int
    cost_usd: float | None
    asked: bool = True

    @property
    def cached_share(self) -> float | None:
        """Of the prompt's tokens, 0 to 1; None where there are none."""
        return self.usage.cached_tokens / self.usage.prompt_tokens if self.usage.prompt_tokens else None

    @property
    def per_thousand_usd(self) -> float | None:
        """USD for 1,000 labels; None where the price is unknown or there are none."""
        return None if self.cost_usd is None or not self.labels else 1000 * self.cost_usd / self.labels


@dataclass(frozen=True)
class Costs:
    """All rows; ``unpriced`` counts those whose price is unknown, which the sum leaves out."""

    rows: list[CostRow]

    @property
    def paid(self) -> list[CostRow]:
        """The rows of models that were asked."""
        return [row for row in self.rows if row.asked]

    @property
    def unpriced(self) -> int:
        """How many of them have no price."""
        return sum(row.cost_usd is None for row in self.paid)

    @property
    def total_usd(self) -> float:
        """The sum of those that have one."""
        return sum(row.cost_usd or 0.0 for row in self.paid)


def costs(rows: Sequence[RunRow], judges: Sequence[JudgeResult]) -> Costs:
    """Return what all runs and judges cost."""
    found = []
    for row in rows:
        if row.run.labelling is None:
            continue
        found.append(_labelling(row, row.run.labelling))
        for judge in judges:
            if judge.run is row.run:
                usage = _usage([judge.tokens])
                found.append(CostRow(row.run, "judging", judge.name, usage, judge.labels, judge.cost_usd))
    return Costs(found)


def _labelling(row: RunRow, run: LabelRun) -> CostRow:
    """Return the cost of labels: by the summaries, which know of answers that became no label, else by the labels."""
    asked = [summary for summary in run.summaries if isinstance(summary.get("experiment"), dict)]
    usage = _usage([summary["experiment"] for summary in asked]) if asked else _of_labels(run.labels.table)
    prices = [summary.get("cost_usd") for summary in asked]
    known = [price for price in prices if isinstance(price, int | float) and not isinstance(price, bool)]
    cost = float(sum(known)) if asked and len(known) == len(prices) else None
    labels = row.numbers.windows.done if row.numbers.windows else 0
    return CostRow(row.run, "labelling", row.agent, usage, labels, cost, bool(asked) or usage.prompt_tokens > 0)


def _usage(parts: Sequence[Mapping[str, Any]]) -> Usage:
    counts = {kind: [part.get(kind) for part in parts] for kind in KINDS}
    return Usage(**{kind: sum(n for n in own if isinstance(n, int)) for kind, own in counts.items()})


def _of_labels(table: pa.Table) -> Usage:
    return Usage(**{kind: int(pc.sum(table.column(kind)).as_py() or 0) for kind in KINDS})
