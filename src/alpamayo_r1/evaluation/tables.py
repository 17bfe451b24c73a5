"""An evaluation as tables for a terminal."""

from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from alpamayo_r1.evaluation.comparing import Comparison, verdict
from alpamayo_r1.evaluation.measures import BY_KEY, MEASURES, Measure, shown
from alpamayo_r1.evaluation.summarising import Group, Summary
from batch_runs.terminal import harmless
from coc_labeling.agreement.resampling import Measured
from coc_labeling.agreement.statistics import Agreement

_MOST_GROUPS = 12  # of a kind; all stand in the file
# What of a group fits into a line of a terminal.
_SHOWN = (
    "min_ade@3",
    "min_ade@6.4",
    "ade",
    "off_path",
    "uncomfortable",
    "consistency",
    "longitudinal_agrees",
    "lateral_agrees",
)
# Of the differences of a group.
_COMPARED = ("ade", "consistency", "longitudinal_agrees", "lateral_agrees")


def tables(summaries: Sequence[Summary], comparisons: Sequence[Comparison]) -> Iterator[Table]:
    """Yield all tables, in the order in which they are read."""
    yield _totals(summaries)
    for own in summaries:
        for groups in (own.by_scenario, own.by_decision):
            if groups:
                yield _groups(own.evaluated.name, groups)
        if own.agreement:
            yield _agreements(own.evaluated.name, own.agreement)
    for comparison in comparisons:
        yield _differences(comparison)
        for groups in (comparison.by_scenario, comparison.by_decision):
            if groups:
                yield _group_differences(comparison, groups)


def with_interval(key: str, measured: Measured) -> str:
    """Return a value with its interval, where it has one.

    Example:
        >>> with_interval("ade", Measured(1.0, 0.5, 1.5, "", 20, 20))
        '1.000 (0.500 to 1.500)'
    """
    interval = interval_of(key, measured)
    return f"{shown(key, measured.value)} ({interval})" if interval else shown(key, measured.value)


def interval_of(key: str, measured: Measured) -> str:
    """Return an interval alone; nothing where there is none.

    Example:
        >>> interval_of("off_path", Measured(0.1, 0.05, 0.15, "", 20, 20))
        '5.0 to 15.0'
    """
    if measured.low is None or measured.high is None:
        return ""
    low, high = (shown(key, end).removesuffix(" %") for end in (measured.low, measured.high))
    return f"{low} to {high}"


def shown_measures(totals: Iterable[dict[str, Measured]], sets: int) -> list[Measure]:
    """Return the measures that anybody has; spread over sets only where there are several."""
    known = list(totals)
    return [
        measure
        for measure in MEASURES
        if any(total[measure.key].value is not None for total in known)
        and (sets > 1 or not measure.key.endswith("_std"))
    ]


def most_sets(summaries: Sequence[Summary]) -> int:
    """Return the largest number of sets of any scene."""
    return max(sets for own in summaries for sets, _, _ in own.evaluated.shapes)


def _totals(summaries: Sequence[Summary]) -> Table:
    table = _table("All scenes, mean (95 % interval)", "", *(own.evaluated.name for own in summaries), "unit")
    group = ""
    for measure in shown_measures((own.total for own in summaries), most_sets(summaries)):
        if measure.group != group:
            table.add_section()
            group = measure.group
        cells = [with_interval(measure.key, own.total[measure.key]) for own in summaries]
        table.add_row(*_cells(measure.title, *cells, measure.unit))
    return table


def _groups(name: str, groups: Sequence[Group]) -> Table:
    keys = [key for key in _SHOWN if any(group.measures[key].value is not None for group in groups)]
    table = _table(f"{name}, by group", "", "scenes", "clips", *(BY_KEY[key].title for key in keys))
    for kind in dict.fromkeys(group.kind for group in groups):
        table.add_section()
        own = [group for group in groups if group.kind == kind]
        for group in own[:_MOST_GROUPS]:
            values = [shown(key, group.measures[key].value) for key in keys]
            table.add_row(*_cells(f"{kind}: {group.name}", f"{group.scenes:,}", f"{group.clips:,}", *values))
        if len(own) > _MOST_GROUPS:
            table.add_row(*_cells(f"{kind}: {len(own) - _MOST_GROUPS} rarer ones, in the file"))
    return table


def _agreements(name: str, found: dict[str, Agreement]) -> Table:
    table = _table(f"{name}, sentences against labels", "", "pairs", "clips", "agree (95 %)", "Cohen's kappa (95 %)")
    for question, one in found.items():
        raw, kappa = _plain(one.raw, percent=True), _plain(one.kappa, percent=False)
        table.add_row(*_cells(question, f"{one.raw.n:,}", f"{one.raw.clips:,}", raw, kappa))
    return table


def _plain(measured: Measured, *, percent: bool) -> str:
    if measured.value is None:
        return "undefined" if measured.n else "–"
    form = "{:.1%}" if percent else "{:.3f}"
    value = form.format(measured.value)
    if measured.low is None or measured.high is None:
        return value
    return f"{value} ({form.format(measured.low)} to {form.format(measured.high)})"


def _differences(own: Comparison) -> Table:
    title = f"{own.other} minus {own.base}, {own.scenes:,} scenes of {own.clips:,} clips that both have"
    table = _table(title, "", "difference (95 % interval)", f"{own.other} is")
    for measure in shown_measures([own.differences], 1):
        difference = with_interval(measure.key, own.differences[measure.key])
        table.add_row(*_cells(measure.title, f"{difference} {measure.unit.replace('%', '')}", own.verdict(measure.key)))
    return table


def _group_differences(own: Comparison, groups: Sequence[Group]) -> Table:
    keys = [key for key in _COMPARED if any(group.measures[key].value is not None for group in groups)]
    table = _table(
        f"{own.other} minus {own.base}, by group", "", "scenes", "clips", *(BY_KEY[key].title for key in keys)
    )
    for kind in dict.fromkeys(group.kind for group in groups):
        table.add_section()
        for group in [group for group in groups if group.kind == kind][:_MOST_GROUPS]:
            cells = (
                f"{with_interval(key, found := group.measures[key])} {verdict(key, found)}".strip() for key in keys
            )
            table.add_row(*_cells(f"{kind}: {group.name}", f"{group.scenes:,}", f"{group.clips:,}", *cells))
    return table


def _table(title: str, *heads: str) -> Table:
    name = Text(harmless(title))
    table = Table(title=name, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    for number, head in enumerate(heads):
        table.add_column(Text(harmless(head)), justify="right" if number else "left", no_wrap=not number)
    return table


def _cells(*texts: str) -> list[Text]:
    return [Text(harmless(text)) for text in texts]
