"""The report's content before it is a page: what each section shows. Later steps add theirs to ``SECTIONS``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from typing import Any

import pyarrow as pa

from coc_labeling.report.check_statistics import CheckedRun, check_statistics, checked_runs
from coc_labeling.report.clips import ClipView, load_clips
from coc_labeling.report.costs import costs
from coc_labeling.report.judges import Judged, judged
from coc_labeling.report.label_statistics import label_statistics
from coc_labeling.report.overview import Overview, overview
from coc_labeling.report.path_figure import path_figure
from coc_labeling.report.runs import Run
from coc_labeling.report.sample import choose
from coc_labeling.report.span_statistics import span_statistics
from coc_labeling.report.timeline_figure import timeline_figure
from coc_labeling.report.worst_labels import worst_labels


@dataclass(frozen=True)
class Material:
    """What sections are made from."""

    runs: Sequence[Run]
    overview: Overview
    sample: int

    @property
    def has_labelling(self) -> bool:
        """Whether any of the runs is one of Step 3."""
        return any(run.labelling is not None for run in self.runs)

    @cached_property
    def checked(self) -> list[CheckedRun]:
        """The runs whose labels have been checked."""
        return checked_runs(self.runs)

    @cached_property
    def judged(self) -> Judged:
        """What models scored that judged the labels."""
        return judged(self.runs)


@dataclass(frozen=True)
class Section:
    """One part of the page: ``template`` shows ``data``."""

    key: str
    title: str
    template: str
    data: Any


@dataclass(frozen=True)
class Report:
    """All that a page shows."""

    title: str
    made: str
    version: str
    overview: Overview
    notices: list[str]
    sections: list[Section]


@dataclass(frozen=True)
class ClipCard:
    """A sampled clip with its figures as data URIs, and the filters (numbers) that show it."""

    view: ClipView
    timeline: str
    path: str | None
    filters: list[int]


@dataclass(frozen=True)
class Samples:
    """The sampled clips; ``filters`` are the names that they can be filtered by, with the clips of each."""

    cards: list[ClipCard]
    filters: list[tuple[str, int]]


def gather(runs: Sequence[Run], sample: int) -> Report:
    """Collect everything that the page shows."""
    numbers = overview(runs)
    material = Material(runs, numbers, sample)
    return Report(
        title=" and ".join(run.title for run in runs) if len(runs) < 3 else f"{len(runs)} runs",
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        version=version("coc-toolkit"),
        overview=numbers,
        notices=list(dict.fromkeys(notice for run in runs for notice in run.notices)),
        sections=[section for make in SECTIONS if (section := make(material)) is not None],
    )


def problems_section(material: Material) -> Section:
    """Rejected and failed clips and windows, of each run."""
    rows = []
    for row in material.overview.rows:
        steps = (("clips", row.numbers.clips if row.counts_clips else None), ("keyframes", row.numbers.windows))
        rows += [(row.run, unit, problem) for unit, outcomes in steps if outcomes for problem in outcomes.problems]
    rows.sort(key=lambda r: r[2].outcome)
    return Section("problems", "Problems", "problems.html", rows)


def meta_actions_section(material: Material) -> Section | None:
    """How often, how long, and in what share of the time each meta-action holds."""
    steps = {run.meta_actions.path: run.meta_actions for run in material.runs if run.meta_actions}
    statistics = span_statistics(list(steps.values()))
    return Section("meta-actions", "Meta-actions", "meta_actions.html", statistics) if statistics else None


def decisions_section(material: Material) -> Section | None:
    """Decisions, causes and sentences of the labels."""
    tables = [run.labelling.labels.table for run in material.runs if run.labelling]
    statistics = label_statistics(pa.concat_tables(tables)) if tables else None
    return Section("decisions", "Decisions", "decisions.html", statistics) if statistics else None


def checks_section(material: Material) -> Section | None:
    """What checks found: by kind, and the risks they come to; or how to check."""
    if not material.has_labelling:
        return None
    return Section("checks", "Checks", "checks.html", check_statistics(material.runs, material.checked))


def worst_section(material: Material) -> Section | None:
    """The labels that are most likely wrong, each with a picture."""
    worst = worst_labels(material.runs, material.checked)
    return Section("worst", "Riskiest labels", "worst.html", worst) if worst else None


def judge_section(material: Material) -> Section | None:
    """What models scored that judged the labels; or how to have them judged."""
    return Section("judge", "Judge", "judge.html", material.judged) if material.has_labelling else None


def cost_section(material: Material) -> Section | None:
    """What models cost."""
    if not material.has_labelling:
        return None
    return Section("cost", "Cost", "cost.html", costs(material.overview.rows, material.judged.results))


def clips_section(material: Material) -> Section | None:
    """Some clips with figures and label texts."""
    views = load_clips(material.runs, choose(material.runs, material.sample))
    if not views:
        return None
    names: dict[str, int] = {}
    cards = []
    for view in views:
        filters = sorted({names.setdefault(name, len(names)) for name in _filter_names(view)})
        cards.append(ClipCard(view, timeline_figure(view), path_figure(view), filters))
    counts = [(name, sum(number in card.filters for card in cards)) for name, number in names.items()]
    return Section("clips", "Sample clips", "clips.html", Samples(cards, counts))


def _filter_names(view: ClipView) -> list[str]:
    """Return what a clip can be filtered by: its decisions, and whether a label is missing."""
    names = []
    for keyframe in view.keyframes:
        row = keyframe.row
        side = f" {row['direction']}" if row["direction"] else ""
        names += [row["longitudinal"], f"{row['lateral']}{side}" if row["lateral"] else None]
        names.append("abstention" if keyframe.is_abstention else None)
    return [name for name in names if name]


SECTIONS: tuple[Callable[[Material], Section | None], ...] = (
    problems_section,
    meta_actions_section,
    decisions_section,
    checks_section,
    worst_section,
    judge_section,
    cost_section,
    clips_section,
)
