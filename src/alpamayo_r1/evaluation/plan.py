"""The picture of a scene from above: what was driven, the corridor around it, and what was predicted; ego's nose up."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from alpamayo_r1.evaluation.consistency import Fit
from alpamayo_r1.evaluation.corridor import HALF_WIDTH_M
from alpamayo_r1.evaluation.worst import WorstScene
from coc_labeling.report.ego_outline import ego_outline
from coc_labeling.report.palette import FASTER, GRID, INK, MUTED, PAPER, RIGHT, UNKNOWN
from coc_labeling.report.svg import (
    canvas,
    draw_lines,
    draw_polygons,
    new_figure,
    nice_ticks,
    styled,
    tick_text,
    to_data_uri,
)
from driving_clips.geometry import Floats

WIDTH, HEIGHT = 400.0, 420.0
LEFT_EDGE, RIGHT_EDGE, TOP, BOTTOM = 44.0, 390.0, 10.0, 382.0
LEAST_REACH_M = 12.0
MARKS_SEC = (1, 3, 5)
MARK_PX = 17.0
MOST_NUMBERED, END_PX = 16, 8.0  # samples; more are no longer told apart
_MARK: dict[str, Any] = {"fontsize": 6.5, "color": MUTED, "zorder": 6}
FIT_COLOURS = {Fit.CONSISTENT: FASTER, Fit.CONTRADICTED: RIGHT, Fit.UNCLEAR: UNKNOWN, Fit.UNREADABLE: "#8b97a4"}
CORRIDOR = "#eef1f4"


class _Chart:
    """From ego's frame at t0 (x forward, y left) to pixels, ego's heading up, metres equal on both axes."""

    def __init__(self, points: Floats) -> None:
        right_and_ahead = self._turned(points)
        low, high = right_and_ahead.min(axis=0), right_and_ahead.max(axis=0)
        room = np.array([RIGHT_EDGE - LEFT_EDGE, BOTTOM - TOP])
        size = np.maximum((high - low) * 1.08 + 4.0, LEAST_REACH_M)
        self.scale = float((room / size).min())
        self.centre = (low + high) / 2
        self.reach = room / self.scale / 2

    @staticmethod
    def _turned(xy: Floats) -> Floats:
        return np.stack([-xy[..., 1], xy[..., 0]], axis=-1)

    def pixels(self, xy: Floats) -> Floats:
        """Return points (..., 2) of ego's frame in pixels."""
        return self.placed(self._turned(xy))

    def placed(self, right_and_ahead: Floats) -> Floats:
        """Return points (..., 2) in m to the right and ahead in pixels."""
        middle = np.array([LEFT_EDGE + RIGHT_EDGE, TOP + BOTTOM]) / 2
        pixels: Floats = middle + (right_and_ahead - self.centre) * self.scale * [1.0, -1.0]
        return pixels


def plan_figure(worst: WorstScene) -> str:
    """Return the picture as a data URI."""
    scene = worst.scene
    parts = [scene.history_xy, scene.flat_xy.reshape(-1, 2), *(() if scene.future_xy is None else (scene.future_xy,))]
    chart = _Chart(np.concatenate(parts))
    with styled():
        figure = new_figure(WIDTH, HEIGHT)
        axes = canvas(figure)
        _draw_grid(axes, chart)
        _draw_driven(axes, chart, worst)
        for fit, colour in FIT_COLOURS.items():
            lines = [
                chart.pixels(np.concatenate([np.zeros((1, 2)), xy]))
                for xy, judged in zip(scene.flat_xy, worst.judged, strict=True)
                if judged.fit is fit
            ]
            draw_lines(axes, lines, colour, 1.3, zorder=4)
            if lines:
                ends = np.array([line[-1] for line in lines])
                axes.plot(*ends.T, linestyle="none", marker="o", markersize=3.2, color=colour, zorder=5)
        _number_ends(axes, chart, worst)
        draw_polygons(axes, [chart.placed(ego_outline())], INK, PAPER, 0.8, zorder=6)
        return to_data_uri(figure)


def _number_ends(axes: Axes, chart: _Chart, worst: WorstScene) -> None:
    """Write the number of each sample, from 1, beyond its last point, so that sentences find their trajectories."""
    if not 1 < len(worst.judged) <= MOST_NUMBERED:
        return
    for number, (xy, judged) in enumerate(zip(worst.scene.flat_xy, worst.judged, strict=True), start=1):
        line = chart.pixels(xy)
        (across, up), (x, y) = _beside(line, len(line) - 1), line[-1]
        beyond = x + up * END_PX, y - across * END_PX  # the direction to the right, turned to ahead
        axes.text(*beyond, str(number), ha="center", va="center", **_MARK | {"color": FIT_COLOURS[judged.fit]})


def _draw_driven(axes: Axes, chart: _Chart, worst: WorstScene) -> None:
    scene = worst.scene
    draw_lines(axes, [chart.pixels(scene.history_xy)], MUTED, 1.8, zorder=3, linestyle=(0, (2, 2)))
    if scene.future_xy is None:
        return
    driven = chart.pixels(np.concatenate([np.zeros((1, 2)), scene.future_xy]))
    width_pt = 2 * HALF_WIDTH_M * chart.scale * 0.75  # 72 points are 96 pixels
    draw_lines(axes, [driven], CORRIDOR, width_pt, zorder=1, joinstyle="round", capstyle="butt")
    draw_lines(axes, [driven], INK, 2.2, zorder=3)
    for second in MARKS_SEC:
        if second * 10 < len(driven):
            x, y = driven[second * 10]
            axes.plot(x, y, marker="o", markersize=3.6, color=INK, markeredgecolor=PAPER, zorder=6)
            (across, up), offset = _beside(driven, second * 10), MARK_PX
            axes.text(x + across * offset, y + up * offset, f"{second} s", ha="center", va="center", **_MARK)


def _beside(path: Floats, row: int) -> Floats:
    """Return the direction to the right of a path in pixels (y down) at a row; right where ego stands."""
    along = path[min(row + 3, len(path) - 1)] - path[max(row - 3, 0)]
    length = float(np.hypot(*along))
    return np.array([-along[1], along[0]]) / length if length > 0.5 else np.array([1.0, 0.0])


def _draw_grid(axes: Axes, chart: _Chart) -> None:
    (left, rear), (right, front) = chart.centre - chart.reach, chart.centre + chart.reach
    across, along = nice_ticks(left, right, 5), nice_ticks(rear, front, 6)
    columns = chart.placed(np.column_stack([across, np.full(len(across), rear)]))[:, 0]
    rows = chart.placed(np.column_stack([np.full(len(along), left), along]))[:, 1]
    lines = [[(x, TOP), (x, BOTTOM)] for x in columns] + [[(LEFT_EDGE, y), (RIGHT_EDGE, y)] for y in rows]
    draw_lines(axes, lines, GRID, 0.7, zorder=2)
    for x, value in zip(columns, across, strict=True):
        axes.text(x, BOTTOM + 10, tick_text(value), ha="center", va="center", color=MUTED)
    for y, value in zip(rows, along, strict=True):
        axes.text(LEFT_EDGE - 5, y, tick_text(value), ha="right", va="center", color=MUTED)
    axes.text((LEFT_EDGE + RIGHT_EDGE) / 2, BOTTOM + 27, "right of ego (m)", ha="center", va="center", color=MUTED)
    axes.text(9, (TOP + BOTTOM) / 2, "ahead of ego (m)", rotation=90, ha="center", va="center", color=MUTED)
