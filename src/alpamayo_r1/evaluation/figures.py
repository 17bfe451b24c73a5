"""Plots of an evaluation: minADE over the horizon, its distribution, and groups of scenes side by side."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alpamayo_r1.evaluation.displacement import HORIZONS_SEC
from alpamayo_r1.evaluation.measures import BY_KEY
from alpamayo_r1.evaluation.summarising import Group, Summary
from coc_labeling.agreement.resampling import Measured
from coc_labeling.report.palette import FASTER, GRID, INK, LEFT, MUTED, RIGHT, SLOWER
from coc_labeling.report.svg import PX_PER_INCH, new_figure, styled, to_data_uri

COLOURS = (LEFT, RIGHT, FASTER, SLOWER, MUTED)
_WIDTH, _HEIGHT = 560.0, 320.0
_ROW = 19.0  # of a group's plot, px a model
_LONGEST = 30  # characters of a group's name


def colour_of(number: int) -> str:
    """Return the colour of a model."""
    return COLOURS[number % len(COLOURS)]


def horizon_figure(summaries: Sequence[Summary]) -> str:
    """Return minADE over the horizon in both forms as a data URI: the usual one in full lines, by_t dashed."""
    with styled():
        figure, axes = _plot(_WIDTH, _HEIGHT, "horizon (s)", "minADE (m)")
        for number, own in enumerate(summaries):
            for form, style, marker in (("min_ade@{:g}", "-", "o"), ("min_ade/by_t={:.1f}", "--", None)):
                values = [own.total[form.format(horizon)] for horizon in HORIZONS_SEC]
                _line(axes, values, colour_of(number), style, marker)
        axes.set_xlim(left=0.0)
        axes.set_ylim(bottom=0.0)
        return to_data_uri(figure)


def _line(axes: Axes, values: Sequence[Measured], colour: str, style: str, marker: str | None) -> None:
    known = [(h, m) for h, m in zip(HORIZONS_SEC, values, strict=True) if m.value is not None]
    if not known:
        return
    x = [horizon for horizon, _ in known]
    axes.plot(x, [float(m.value or 0.0) for _, m in known], style, marker=marker, markersize=4, color=colour, lw=1.5)
    if marker and all(m.low is not None and m.high is not None for _, m in known):
        low = [float(m.low or 0.0) for _, m in known]
        high = [float(m.high or 0.0) for _, m in known]
        axes.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)


def distribution_figure(summaries: Sequence[Summary], key: str) -> str | None:
    """Return the share of scenes up to each value of a measure as a data URI; None where no scene has it."""
    columns = [own.evaluated.column(key) for own in summaries]
    columns = [np.sort(column[~np.isnan(column)]) for column in columns]
    if not any(len(column) for column in columns):
        return None
    with styled():
        measure = BY_KEY[key]
        figure, axes = _plot(_WIDTH, _HEIGHT, f"{measure.title} ({measure.unit})", "share of scenes")
        for number, column in enumerate(columns):
            share = np.arange(1, len(column) + 1) / max(len(column), 1)
            x, y = (np.concatenate([[0.0], values]) for values in (column, share))
            axes.step(x, y, where="post", color=colour_of(number), lw=1.5)
        axes.set_xlim(left=0.0)
        axes.set_ylim(0.0, 1.0)
        return to_data_uri(figure)


def checkpoints_figure(summaries: Sequence[Summary], steps: Sequence[int] | None, key: str) -> str:
    """Return a measure over checkpoints with its intervals as a data URI.

    Args:
        summaries: of the checkpoints.
        steps: at which step of the training each was taken; None where that is not known, and their order counts.
        key: the measure.
    """
    factor = 100.0 if BY_KEY[key].unit == "%" else 1.0
    places = list(range(1, len(summaries) + 1)) if steps is None else list(steps)
    with styled():
        title = f"{BY_KEY[key].title} ({BY_KEY[key].unit})"
        figure, axes = _plot(_WIDTH / 1.35, 230.0, "step" if steps else "in the order given", title)
        known = [
            (x, m, n)
            for n, (x, own) in enumerate(zip(places, summaries, strict=True))
            if (m := own.total[key]).value is not None
        ]
        if steps is not None:  # models that are not of one training have no line in common
            ordered = sorted((x, float(m.value or 0.0) * factor) for x, m, _ in known)
            axes.plot(*zip(*ordered, strict=True), color=MUTED, lw=1.2, zorder=1)
        for x, measured, number in known:
            colour, ends = colour_of(number), (measured.low, measured.high)
            if ends[0] is not None and ends[1] is not None:
                axes.plot([x, x], [ends[0] * factor, ends[1] * factor], color=colour, lw=1.6, solid_capstyle="butt")
            axes.plot(x, float(measured.value or 0.0) * factor, marker="o", markersize=5, color=colour)
        axes.set_xticks(places)
        axes.set_xlim(min(places) - 0.08 * _span(places), max(places) + 0.08 * _span(places))
        axes.set_ylim(bottom=0.0, top=102.0 if factor > 1 else None)
        return to_data_uri(figure)


def _span(places: Sequence[int]) -> int:
    return max(places) - min(places) or 1


def groups_figure(groups: Sequence[Sequence[Group]], key: str) -> str | None:
    """Return a measure of groups of scenes with its intervals, models side by side; None where no group has it.

    Args:
        groups: of each model, of one kind.
        key: the measure.
    """
    names = list(dict.fromkeys(group.name for own in groups for group in own))
    found = [{group.name: group for group in own} for own in groups]
    if not any(group.measures[key].value is not None for own in groups for group in own):
        return None
    measure, height = BY_KEY[key], 46.0 + len(names) * (_ROW * len(groups) + 8.0)
    percent = measure.unit == "%"
    with styled():
        figure, axes = _plot(_WIDTH / 1.35, height, f"{measure.title} ({measure.unit})", "", left=150.0)
        for place, name in enumerate(names):
            for number, own in enumerate(found):
                if name in own:
                    y = place + (number - (len(found) - 1) / 2) * 0.5 / max(len(found), 1)
                    _dot(axes, own[name].measures[key], y, colour_of(number), 100.0 if percent else 1.0)
        counts = [max((own[name].scenes for own in found if name in own), default=0) for name in names]
        ticks = [f"{name[:_LONGEST]} · {count:,}" for name, count in zip(names, counts, strict=True)]
        axes.set_yticks(range(len(names)), ticks)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(0.0, 104.0 if percent else None)
        return to_data_uri(figure)


def _dot(axes: Axes, measured: Measured, y: float, colour: str, factor: float) -> None:
    if measured.value is None:
        return
    if measured.low is not None and measured.high is not None:
        axes.plot([measured.low * factor, measured.high * factor], [y, y], color=colour, lw=1.6, solid_capstyle="butt")
    axes.plot(measured.value * factor, y, marker="o", markersize=4.5, color=colour)


def _plot(width: float, height: float, x: str, y: str, left: float = 52.0) -> tuple[Figure, Axes]:
    """Return an empty plot of a size in CSS pixels with its axes named."""
    figure = new_figure(width, height)
    pixels = (left, 40.0, width - left - 14.0, height - 40.0 - 10.0)
    across, up = figure.get_size_inches() * PX_PER_INCH
    axes = figure.add_axes((pixels[0] / across, pixels[1] / up, pixels[2] / across, pixels[3] / up))
    axes.set_xlabel(x, color=MUTED)
    axes.set_ylabel(y, color=MUTED)
    axes.grid(color=GRID, lw=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, length=0)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    return figure, axes
