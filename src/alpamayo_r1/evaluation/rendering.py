"""HTML from templates: everything that models and labels say is escaped, and a page fetches and runs nothing."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from itertools import groupby
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from alpamayo_r1.evaluation.comparing import verdict
from alpamayo_r1.evaluation.consistency import Fit
from alpamayo_r1.evaluation.figures import colour_of
from alpamayo_r1.evaluation.measures import shown
from alpamayo_r1.evaluation.pictures import picture_uri
from alpamayo_r1.evaluation.plan import FIT_COLOURS
from alpamayo_r1.evaluation.tables import interval_of, with_interval
from alpamayo_r1.evaluation.worst import WorstScene
from coc_labeling.report.page import POLICY, percent
from driving_clips import files

_LONGEST = 400  # characters of a sentence
_MOST_SENTENCES = 6
_MOST_NUMBERS = 8


def write_html(path: str, template: str, content: dict[str, Any]) -> None:
    """Write a page: a template of this package filled with ``content``."""
    usual = {
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": version("coc-toolkit"),
        "policy": POLICY,
        "fits": list(Fit),
    }
    files.make_parents(path)
    page = _environment().get_template(template).render(usual | content)
    files.write_atomic(path, page.encode("utf-8", errors="replace"))


def _samples(worst: WorstScene) -> list[dict[str, Any]]:
    """Return the samples of a scene as the page shows them: contradicted ones first, each sentence and fit once."""
    order = (Fit.CONTRADICTED, Fit.CONSISTENT, Fit.UNCLEAR, Fit.UNREADABLE)
    rows: dict[tuple[str, Fit], dict[str, Any]] = {}
    for number, (text, judged) in enumerate(zip(worst.scene.cot, worst.judged, strict=True), start=1):
        row = rows.setdefault((text, judged.fit), {"text": _cut(text), "fit": judged.fit, "numbers": [], "reasons": []})
        row["numbers"].append(number)
        row["reasons"] += [one for one in (*judged.contradictions, *judged.unmentioned) if one not in row["reasons"]]
    for row in rows.values():
        row["told"] = _numbers(row["numbers"])
    return sorted(rows.values(), key=lambda row: order.index(row["fit"]))[:_MOST_SENTENCES]


def _numbers(numbers: list[int]) -> str:
    """Return which samples they are, as the picture from above numbers them."""
    shown = ", ".join(map(str, numbers[:_MOST_NUMBERS]))
    more = f" and {len(numbers) - _MOST_NUMBERS} more" if len(numbers) > _MOST_NUMBERS else ""
    return f"{'sample' if len(numbers) == 1 else 'samples'} {shown}{more}"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} ..."


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
        "cut": _cut,
        "colour": colour_of,
        "fit_colour": lambda fit: FIT_COLOURS[fit],
        "interval": lambda measure, measures: with_interval(measure.key, measures[measure.key]),
        "plain": lambda measure, measures: shown(measure.key, measures[measure.key].value),
        "ends": lambda measure, measures: interval_of(measure.key, measures[measure.key]),
        "verdict": lambda measure, measures: verdict(measure.key, measures[measure.key]),
        "of_scene": lambda key, worst: shown(key, worst.result.values.get(key)),
        "picture": lambda worst: picture_uri(worst.result),
        "by_kind": lambda groups: [(kind, list(own)) for kind, own in groupby(groups, lambda group: group.kind)],
        "words": lambda name: str(name).replace("_", " "),
        "decimals": lambda value: "undefined" if value is None else f"{value:.2f}",
    }
    environment.filters.update(filters)
    return environment
