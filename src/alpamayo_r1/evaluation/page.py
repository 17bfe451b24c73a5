"""The evaluation as one HTML page that needs nothing else; what models and labels say is escaped."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from alpamayo_r1.evaluation import comfort, corridor
from alpamayo_r1.evaluation.comparing import Comparison
from alpamayo_r1.evaluation.consistency import Fit
from alpamayo_r1.evaluation.figures import colour_of, distribution_figure, groups_figure, horizon_figure
from alpamayo_r1.evaluation.measures import BY_KEY, GROUPED, Measure, shown
from alpamayo_r1.evaluation.plan import FIT_COLOURS, plan_figure
from alpamayo_r1.evaluation.summarising import Group, Summary
from alpamayo_r1.evaluation.tables import most_sets, shown_measures, with_interval
from alpamayo_r1.evaluation.worst import WorstScene, furthest, most_contradicted
from coc_labeling.report.page import POLICY, percent
from driving_clips import files

_LONGEST = 400  # characters of a sentence
_MOST_SENTENCES = 6
_WORST = (("Furthest from what was driven", furthest), ("Sentence against trajectory", most_contradicted))
_GROUP_PLOTS = ("min_ade@6.4", "min_ade@3", "consistency")


@dataclass(frozen=True)
class GroupSection:
    """Groups of one kind: their plots, and the groups of each model."""

    kind: str
    figures: list[str]
    groups: list[tuple[Group, ...]]


@dataclass(frozen=True)
class WorstSection:
    """Some scenes of one model, each with its picture."""

    title: str
    model: str
    scenes: list[tuple[WorstScene, str]]


def write_page(
    path: str, summaries: Sequence[Summary], comparisons: Sequence[Comparison], notices: Sequence[str]
) -> None:
    """Write the page."""
    own: dict[str, Any] = {
        "summaries": summaries,
        "comparisons": comparisons,
        "notices": notices,
        "measures": shown_measures((one.total for one in summaries), most_sets(summaries)),
        "horizon": horizon_figure(summaries),
        "distribution": distribution_figure(summaries, "min_ade") or distribution_figure(summaries, "min_ade@3"),
        "grouped": _grouped(summaries),
        "sections": [*_sections([s.by_scenario for s in summaries]), *_sections([s.by_decision for s in summaries])],
        "worst": _worst(summaries),
        "fits": list(Fit),
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": version("coc-toolkit"),
        "policy": POLICY,
        "corridor": corridor,
        "comfort": comfort,
    }
    files.make_parents(path)
    page = _environment().get_template("evaluation.html").render(own)
    files.write_atomic(path, page.encode("utf-8", errors="replace"))


def _grouped(summaries: Sequence[Summary]) -> list[Measure]:
    """Return the measures of groups that any scene has: without labels, or with one sample, some have none."""
    return [BY_KEY[key] for key in GROUPED if any(own.total[key].value is not None for own in summaries)]


def _sections(models: Sequence[tuple[Group, ...]]) -> list[GroupSection]:
    kinds = list(dict.fromkeys(group.kind for groups in models for group in groups))
    sections = []
    for kind in kinds:
        groups = [tuple(group for group in own if group.kind == kind) for own in models]
        figures = [figure for key in _GROUP_PLOTS if (figure := groups_figure(groups, key)) is not None]
        sections.append(GroupSection(kind, figures[:1] + figures[-1:] if len(figures) > 1 else figures, groups))
    return sections


def _worst(summaries: Sequence[Summary]) -> list[WorstSection]:
    sections = []
    for own in summaries:
        for title, find in _WORST:
            scenes = [(one, plan_figure(one)) for one in find(own.evaluated)]
            if scenes:
                sections.append(WorstSection(title, own.evaluated.name, scenes))
    return sections


def _samples(worst: WorstScene) -> list[dict[str, Any]]:
    """Return the samples of a scene as the page shows them: contradicted ones first, each sentence and fit once."""
    order = (Fit.CONTRADICTED, Fit.CONSISTENT, Fit.UNCLEAR, Fit.UNREADABLE)
    rows: dict[tuple[str, Fit], dict[str, Any]] = {}
    for text, judged in zip(worst.scene.cot, worst.judged, strict=True):
        row = rows.setdefault((text, judged.fit), {"text": _cut(text), "fit": judged.fit, "times": 0, "reasons": []})
        row["times"] += 1
        row["reasons"] += [one for one in (*judged.contradictions, *judged.unmentioned) if one not in row["reasons"]]
    return sorted(rows.values(), key=lambda row: order.index(row["fit"]))[:_MOST_SENTENCES]


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} ..."


def _interval(measure: Measure, summary: Summary) -> str:
    return with_interval(measure.key, summary.total[measure.key])


@cache
def _environment() -> Environment:
    own = PackageLoader("alpamayo_r1.evaluation")
    environment = Environment(
        loader=ChoiceLoader([own, PackageLoader("coc_labeling.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., Any]] = {
        "count": lambda number: f"{number:,}",
        "percent": percent,
        "samples": _samples,
        "colour": colour_of,
        "fit_colour": lambda fit: FIT_COLOURS[fit],
        "interval": _interval,
        "difference": lambda measure, one: with_interval(measure.key, one.differences[measure.key]),
        "value": lambda measure, group: shown(measure.key, group.measures[measure.key].value),
        "of_scene": lambda key, worst: shown(key, worst.result.values.get(key)),
        "words": lambda name: str(name).replace("_", " "),
        "decimals": lambda value: "undefined" if value is None else f"{value:.2f}",
    }
    environment.filters.update(filters)
    return environment
