"""The evaluation as one HTML page that needs nothing else; what models and labels say is escaped."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alpamayo_r1.evaluation import comfort, corridor
from alpamayo_r1.evaluation.comparing import Comparison
from alpamayo_r1.evaluation.figures import checkpoints_figure, distribution_figure, groups_figure, horizon_figure
from alpamayo_r1.evaluation.measures import BY_KEY, GROUPED, Measure
from alpamayo_r1.evaluation.plan import plan_figure
from alpamayo_r1.evaluation.rendering import write_html
from alpamayo_r1.evaluation.steps import steps_of
from alpamayo_r1.evaluation.summarising import Group, Summary
from alpamayo_r1.evaluation.tables import most_sets, shown_measures
from alpamayo_r1.evaluation.worst import WorstScene, furthest, most_contradicted, most_worsened

_GROUP_PLOTS = ("min_ade@6.4", "min_ade@3", "consistency")
_LEAST_IN_ORDER = 3  # models without a step: of two, the comparison says all
# What is followed over checkpoints, and what of a group is compared.
_FOLLOWED = ("ade", "min_ade@3", "min_ade@6.4", "off_path", "consistency", "longitudinal_agrees", "lateral_agrees")
_COMPARED = ("min_ade@3", "ade", "off_path", "consistency", "contradicted", "longitudinal_agrees", "lateral_agrees")


@dataclass(frozen=True)
class GroupSection:
    """Groups of one kind: their plots, and the groups of each model."""

    kind: str
    figures: list[str]
    groups: list[tuple[Group, ...]]


@dataclass(frozen=True)
class Checkpoints:
    """Several checkpoints, the earliest first.

    Attributes:
        steps: of the training, None where it is not known.
        figures: of each measure that is followed.
        rows: number (that of its colour), step or None, and what was measured.
    """

    steps: bool
    figures: list[str]
    rows: list[tuple[int, int | None, Summary]]


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
        "checkpoints": _checkpoints(summaries),
        "followed": _known(summaries, _FOLLOWED),
        "compared": _known(summaries, _COMPARED),
        "grouped": _known(summaries, GROUPED),
        "sections": [*_sections([s.by_scenario for s in summaries]), *_sections([s.by_decision for s in summaries])],
        "worst": _worst(summaries),
        "corridor": corridor,
        "comfort": comfort,
    }
    write_html(path, "evaluation.html", own)


def _known(summaries: Sequence[Summary], keys: Sequence[str]) -> list[Measure]:
    """Return the measures that any scene has: without labels, or with one sample, some have none."""
    return [BY_KEY[key] for key in keys if any(own.total[key].value is not None for own in summaries)]


def _checkpoints(summaries: Sequence[Summary]) -> Checkpoints | None:
    """Return what is told over checkpoints; None of models that are too few to tell it of."""
    steps = steps_of([own.evaluated.name for own in summaries])
    if steps is None and len(summaries) < _LEAST_IN_ORDER:
        return None
    figures = [checkpoints_figure(summaries, steps, measure.key) for measure in _known(summaries, _FOLLOWED)]
    rows = [(number, None if steps is None else steps[number], own) for number, own in enumerate(summaries)]
    return Checkpoints(steps is not None, figures, sorted(rows, key=lambda row: row[0] if row[1] is None else row[1]))


def _sections(models: Sequence[tuple[Group, ...]]) -> list[GroupSection]:
    kinds = list(dict.fromkeys(group.kind for groups in models for group in groups))
    sections = []
    for kind in kinds:
        groups = [tuple(group for group in own if group.kind == kind) for own in models]
        figures = [figure for key in _GROUP_PLOTS if (figure := groups_figure(groups, key)) is not None]
        sections.append(GroupSection(kind, figures[:1] + figures[-1:] if len(figures) > 1 else figures, groups))
    return sections


def _worst(summaries: Sequence[Summary]) -> list[WorstSection]:
    first, sections = summaries[0].evaluated, []
    for number, own in enumerate(summaries):
        evaluated = own.evaluated
        found = {"Furthest from what was driven": furthest(evaluated)}
        if number:
            found[f"Furthest behind {first.name}"] = most_worsened(first, evaluated)
        found["Sentence against trajectory"] = most_contradicted(evaluated)
        for title, scenes in found.items():
            if scenes:
                pictured = [(one, plan_figure(one)) for one in scenes]
                sections.append(WorstSection(title, evaluated.name, pictured))
    return sections
