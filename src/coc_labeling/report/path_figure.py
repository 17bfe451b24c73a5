"""The figure of a clip from above: the path driven, started at the bottom heading up, with obstacles around it."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from coc_labeling.report.clips import ClipView, Keyframe
from coc_labeling.report.map_view import BOTTOM, HEIGHT, LEFT_EDGE, RIGHT_EDGE, TOP, WIDTH, MapView, fit, row_at
from coc_labeling.report.palette import GRID, INK, MUTED, PAPER
from coc_labeling.report.road_users import draw_road_users
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
from coc_labeling.report.timeline_figure import draw_number
from driving_clips.ego_motion import TICK_SEC, EgoMotion
from driving_clips.geometry import Floats

MARK_EVERY_SEC = 5
EGO_PX = (13.0, 9.0)


def path_figure(view: ClipView) -> str | None:
    """Return the figure as a data URI, or None for a clip without motion."""
    if view.ego is None:
        return None
    chart = fit(view.ego)
    path = chart.pixels(view.ego.xyz[:, :2])
    with styled():
        figure = new_figure(WIDTH, HEIGHT)
        axes = canvas(figure)
        _draw_grid(axes, chart)
        if view.obstacles is not None and len(view.obstacles):
            draw_road_users(axes, view, view.ego, view.obstacles, chart)
        draw_lines(axes, [path], INK, 2.0, zorder=4, capstyle="round")
        _draw_times(axes, view.ego, path)
        _draw_keyframes(axes, view.ego, path, view.keyframes)
        return to_data_uri(figure)


def _draw_grid(axes: Axes, chart: MapView) -> None:
    half = np.array([RIGHT_EDGE - LEFT_EDGE, BOTTOM - TOP]) / 2 / chart.scale
    (left, rear), (right, front) = chart.centre - half, chart.centre + half
    across, along = nice_ticks(left, right, 5), nice_ticks(rear, front, 6)
    columns = chart.placed(np.column_stack([across, np.full(len(across), rear)]))[:, 0]
    rows = chart.placed(np.column_stack([np.full(len(along), left), along]))[:, 1]
    lines = [[(x, TOP), (x, BOTTOM)] for x in columns] + [[(LEFT_EDGE, y), (RIGHT_EDGE, y)] for y in rows]
    draw_lines(axes, lines, GRID, 0.7, zorder=0)
    for x, value in zip(columns, across, strict=True):
        axes.text(x, BOTTOM + 11, tick_text(value), ha="center", va="center", color=MUTED)
    for y, value in zip(rows, along, strict=True):
        axes.text(LEFT_EDGE - 5, y, tick_text(value), ha="right", va="center", color=MUTED)
    axes.text(
        (LEFT_EDGE + RIGHT_EDGE) / 2, BOTTOM + 28, "right of the start (m)", ha="center", va="center", color=MUTED
    )
    axes.text(10, (TOP + BOTTOM) / 2, "ahead of the start (m)", rotation=90, ha="center", va="center", color=MUTED)


def _draw_times(axes: Axes, ego: EgoMotion, path: Floats) -> None:
    """Draw a tick every few seconds, its time to the right of the path, and ego at its start."""
    length, width = EGO_PX
    nose = path[0] + [[0, -length / 2], [width / 2, length / 2], [-width / 2, length / 2]]
    draw_polygons(axes, [nose], INK, PAPER, 0.8, zorder=5)
    last, ticks = path[0] - 1e9, []
    for second in range(0, 21, MARK_EVERY_SEC):
        row = round(second / TICK_SEC) - ego.first_tick
        if not 0 <= row < len(path) or np.hypot(*(path[row] - last)) < 18:
            continue
        last = path[row]
        right = -_left_of(path, row)
        ticks.append([path[row] - right * 5, path[row] + right * 5])
        x, y = path[row] + right * 19
        axes.text(x, y, f"{second} s", ha="center", va="center", fontsize=6.5, color=MUTED, zorder=6)
    draw_lines(axes, ticks, INK, 1.4, zorder=5)


def _draw_keyframes(axes: Axes, ego: EgoMotion, path: Floats, keyframes: Sequence[Keyframe]) -> None:
    """Draw the keyframes' numbers left of the path; where several fall together they stand beside each other."""
    places: list[Floats] = []
    for keyframe in keyframes:
        row = row_at(ego, keyframe.t_sec)
        place = path[row] + _left_of(path, row) * 16
        while any(np.hypot(*(place - other)) < 15 for other in places):
            place = place + _left_of(path, row) * 16
        places.append(place)
        axes.plot(*path[row], marker="o", markersize=4.5, color=INK, markeredgecolor=PAPER, zorder=6)
        draw_number(axes, keyframe, *place)


def _left_of(path: Floats, row: int) -> Floats:
    """Return the direction to ego's left in the picture (y down), of length 1; where ego stands, left is left."""
    along = path[min(row + 5, len(path) - 1)] - path[max(row - 5, 0)]
    norm = float(np.hypot(*along))
    return np.array([along[1], -along[0]]) / norm if norm > 0.5 else np.array([-1.0, 0.0])
