"""The figure of one moment from above: ego heading up, where it was and will be, and the road users around it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from coc_labeling.report.clips import ClipView, Keyframe
from coc_labeling.report.ego_outline import ego_outline
from coc_labeling.report.map_view import MapView, Plot, row_at
from coc_labeling.report.palette import GRID, INK, LEAD, MUTED, PAPER
from coc_labeling.report.road_users import draw_road_users, row_seen
from coc_labeling.report.svg import canvas, draw_lines, draw_polygons, new_figure, styled, to_data_uri
from driving_clips.ego_motion import EgoMotion
from driving_clips.geometry import Floats

WIDTH, HEIGHT = 480.0, 300.0  # CSS pixels
AHEAD_SEC = 3.5  # how far ahead is shown, at ego's speed
LEAST_AHEAD_M, MOST_AHEAD_M = 40.0, 100.0
BEHIND_M = 14.0
FURTHEST_M, AROUND_M = 100.0, 6.0  # what is cited is shown up to so far away, with so much around it
GRID_M = 10.0
_GROUND, _DRIVEN = "#f5f7f9", "#98a3ae"
_BEHIND_TEXT: dict[str, Any] = {"boxstyle": "square,pad=0.15", "facecolor": _GROUND, "edgecolor": "none", "alpha": 0.8}


def scene_figure(view: ClipView, keyframe: Keyframe) -> str | None:
    """Return the figure as a data URI, or None for a clip without motion."""
    if view.ego is None:
        return None
    ego, row = view.ego, row_at(view.ego, keyframe.t_sec)
    cited = _cited(view, keyframe)
    chart = _fit(ego, row, [place for _, place in cited])
    with styled():
        figure = new_figure(WIDTH, HEIGHT)
        axes = canvas(figure)
        _draw_ground(axes, chart)
        path = chart.pixels(ego.xyz[:, :2])
        draw_lines(axes, [path[: row + 1]], _DRIVEN, 2.0, zorder=1, capstyle="round")
        draw_lines(axes, [path[row:]], INK, 2.4, zorder=4, capstyle="round")
        if view.obstacles is not None and len(view.obstacles):
            alone, reach_m = replace(view, keyframes=[keyframe]), float(np.hypot(WIDTH, HEIGHT)) / chart.scale
            draw_road_users(axes, alone, ego, view.obstacles, chart, reach_m)
            _name_cited(axes, cited, chart)
        draw_polygons(axes, [chart.placed(ego_outline())], INK, PAPER, 0.9, zorder=6)
        return to_data_uri(figure)


def _cited(view: ClipView, keyframe: Keyframe) -> list[tuple[str, Floats]]:
    """Return how each road user that is cited stands to ego, in words, and where (2,) it is in the clip's frame."""
    tracks, found = view.obstacles.tracks if view.obstacles is not None else {}, []
    for component in keyframe.components:
        track = tracks.get(component.track_id or "")
        row = None if track is None else row_seen(track, keyframe.t_sec)
        if track is not None and row is not None:
            said = str(component.relation or component.category).replace("_", " ")
            found.append((said, track.center[row, :2]))
    return found


def _fit(ego: EgoMotion, row: int, cited: Sequence[Floats]) -> MapView:
    """Show what lies ahead of ego at a tick, more of it the faster it is, and what is cited unless it is far."""
    speed = float(abs(ego.longitudinal_speed[row]))
    chart = MapView(ego.xyz[row, :2], float(ego.heading[row]), np.zeros(2), 1.0, Plot(0.0, 0.0, WIDTH, HEIGHT))
    low, high, beside = -BEHIND_M, float(np.clip(speed * AHEAD_SEC, LEAST_AHEAD_M, MOST_AHEAD_M)), 0.0
    for right, ahead in chart.metres(np.stack(cited)) if cited else ():
        if np.hypot(right, ahead) <= FURTHEST_M:
            low, high, beside = min(low, ahead - AROUND_M), max(high, ahead + AROUND_M), max(beside, abs(right))
    scale = min(HEIGHT / (high - low), WIDTH / 2 / (beside + AROUND_M))
    return replace(chart, centre=np.array([0.0, (low + high) / 2]), scale=float(scale))


def _draw_ground(axes: Axes, chart: MapView) -> None:
    """Draw a grid of 10 m, and how long that is."""
    draw_polygons(axes, [[(0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)]], _GROUND, _GROUND, 0.0, zorder=0)
    reach = np.arange(-200.0, 201.0, GRID_M)
    x, y = (chart.placed(np.column_stack([reach, reach]))[:, axis] for axis in range(2))
    lines = [[(at, 0.0), (at, HEIGHT)] for at in x if 0 < at < WIDTH]
    lines += [[(0.0, at), (WIDTH, at)] for at in y if 0 < at < HEIGHT]
    draw_lines(axes, lines, GRID, 0.7, zorder=0)
    left, bottom = WIDTH - 14 - GRID_M * chart.scale, HEIGHT - 12
    draw_lines(axes, [[(left, bottom), (WIDTH - 14, bottom)]], INK, 1.4, zorder=7)
    axes.text((left + WIDTH - 14) / 2, bottom - 9, f"{GRID_M:g} m", ha="center", va="center", color=MUTED, zorder=7)


def _name_cited(axes: Axes, cited: Sequence[tuple[str, Floats]], chart: MapView) -> None:
    """Write beside each road user that is cited how it stands to ego, and how far its centre is."""
    for said, centre in cited:
        x, y = chart.pixels(centre[None])[0]
        if not (0 <= x <= WIDTH and 0 <= y <= HEIGHT):
            continue
        gap = float(np.hypot(*(centre - chart.origin)))
        side, edge = (-1, "right") if x > WIDTH * 0.7 else (1, "left")  # where there is room
        look: dict[str, Any] = {"ha": edge, "va": "center", "color": LEAD, "fontsize": 8, "zorder": 8}
        axes.text(x + side * 14, y, f"{said}, {gap:.0f} m", bbox=_BEHIND_TEXT, **look)
