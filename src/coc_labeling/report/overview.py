"""The headline numbers: of each run and of all together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc

from coc_labeling.report.label_statistics import observed
from coc_labeling.report.problems import Outcomes, clip_outcomes, window_outcomes
from coc_labeling.report.runs import LabelRun, MetaActionRun, Run
from coc_labeling.report.tables import dig
from coc_labeling.results import LABEL


@dataclass(frozen=True)
class Rate:
    """Things done, and the seconds it took; both 0 where unknown."""

    done: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: "Rate") -> "Rate":
        return Rate(self.done + other.done, self.seconds + other.seconds)

    @property
    def per_second(self) -> float | None:
        """How many a second; None where nothing was done."""
        return self.done / self.seconds if self.done and self.seconds else None


@dataclass(frozen=True)
class Numbers:
    """The counts of one run, or of several.

    Attributes:
        clips: outcomes of Step 1; None where it is unknown.
        windows: outcomes of Step 3, its labels being the done ones; None where there are no labels yet.
        observed: labels with an observed cause.
        clip_rate: clips of Step 1 and the time they took.
        window_rate: windows of Step 3 and the time they took.
        tokens: used by the models.
    """

    clips: Outcomes | None
    windows: Outcomes | None
    observed: int
    clip_rate: Rate
    window_rate: Rate
    tokens: int

    @property
    def keyframes(self) -> int:
        """Labels, abstentions and failures."""
        return self.windows.done + self.windows.rejected + self.windows.failed if self.windows else 0

    @property
    def observed_share(self) -> float | None:
        """Labels with an observed cause among all labels, 0 to 1; None without labels."""
        return self.observed / self.windows.done if self.windows and self.windows.done else None


@dataclass(frozen=True)
class RunRow:
    """One run in the table of runs; its Step 1 is counted in the total only where ``counts_clips``."""

    run: Run
    numbers: Numbers
    counts_clips: bool
    started: str
    version: str
    agent: str


@dataclass(frozen=True)
class Overview:
    """Each run, and all together: a Step 1 that several runs share counts once."""

    rows: list[RunRow]
    total: Numbers


def overview(runs: Sequence[Run]) -> Overview:
    """Return the headline numbers of runs."""
    seen: set[str] = set()
    rows = []
    for run in runs:
        numbers = Numbers(
            clips=clip_outcomes(run.meta_actions) if run.meta_actions else None,
            windows=window_outcomes(run.labelling) if run.labelling else None,
            observed=_observed(run.labelling),
            clip_rate=_rate(run.meta_actions, "clips"),
            window_rate=_rate(run.labelling, "windows"),
            tokens=_tokens(run.labelling),
        )
        summaries = [s for step in (run.labelling, run.meta_actions) if step for s in step.summaries]
        started, version = (next((str(s[k]) for s in summaries if s.get(k)), "") for k in ("started", "version"))
        first = run.meta_actions is not None and run.meta_actions.path not in seen
        seen |= {run.meta_actions.path} if run.meta_actions else set()
        rows.append(RunRow(run, numbers, first, started, version, _agents(run.labelling)))
    return Overview(rows, _total(rows))


def _total(rows: Sequence[RunRow]) -> Numbers:
    own = [row.numbers for row in rows]
    clips = [row.numbers.clips for row in rows if row.counts_clips and row.numbers.clips]
    windows = [numbers.windows for numbers in own if numbers.windows]
    return Numbers(
        clips=_joined(clips) if clips else None,
        windows=_joined(windows) if windows else None,
        observed=sum(numbers.observed for numbers in own),
        clip_rate=sum((row.numbers.clip_rate for row in rows if row.counts_clips), Rate()),
        window_rate=sum((numbers.window_rate for numbers in own), Rate()),
        tokens=sum(numbers.tokens for numbers in own),
    )


def _joined(outcomes: Sequence[Outcomes]) -> Outcomes:
    return Outcomes(sum(o.done for o in outcomes), [problem for o in outcomes for problem in o.problems])


def _observed(run: LabelRun | None) -> int:
    if run is None:
        return 0
    labels = run.labels.table.filter(pc.equal(run.labels.table.column("status"), LABEL))
    return int((observed(labels.column("longitudinal_causes")) | observed(labels.column("lateral_causes"))).sum())


def _rate(run: MetaActionRun | LabelRun | None, unit: str) -> Rate:
    total = Rate()
    for summary in run.summaries if run else ():
        rate, seconds = _number(summary.get(f"{unit}_per_second")), _number(summary.get("seconds"))
        total += Rate(rate * seconds, seconds)
    return total


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _tokens(run: LabelRun | None) -> int:
    if run is None:
        return 0
    table = run.labels.table
    return sum(int(pc.sum(table.column(f"{kind}_tokens")).as_py() or 0) for kind in ("prompt", "response", "reasoning"))


def _agents(run: LabelRun | None) -> str:
    """Return who labelled: the models' names, or the name that was asked for."""
    if run is None:
        return ""
    models = sorted(filter(None, pc.unique(run.labels.table.column("model")).to_pylist()))
    asked = [str(name) for s in run.summaries if (name := dig(s, "config", "model_name"))]
    return ", ".join(models[:3] or dict.fromkeys(asked))
