"""The figure of a clip over time: speed, acceleration, turn rate, the spans of each axis, and the keyframes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from coc_labeling.report.clips import ClipView, Keyframe
from coc_labeling.report.palette import (
    FASTER_SOFT,
    GRID,
    INK,
    LEFT_SOFT,
    MUTED,
    PAPER,
    RIGHT_SOFT,
    SLOWER_SOFT,
    action_colour,
    ink_on,
)
from coc_labeling.report.svg import canvas, draw_lines, new_figure, nice_ticks, styled, tick_text, to_data_uri
from driving_clips.ego_motion import TICK_SEC, EgoMotion
from driving_clips.geometry import Floats
from meta_action.names import AXES
from meta_action.signals import DT_SEC, compute_signals
from meta_action.timeline import Span

CLIP_SEC = 20.0
NEAR_SEC = 0.62  # keyframes nearer than this get their numbers in two rows

# The layout, in CSS pixels from the top left.
WIDTH, LEFT_EDGE, RIGHT_EDGE = 760.0, 84.0, 748.0
TOP, PANEL, GAP, LANE, FOOT = 38.0, 92.0, 16.0, 28.0, 40.0
_PX_PER_SEC = (RIGHT_EDGE - LEFT_EDGE) / CLIP_SEC
_CHAR_PX = 5.6  # width of a letter in the lanes
_FORMS = {"acceleration": "acc.", "deceleration": "dec.", "maintain_speed": "maintain", "go_straight": "straight"}


@dataclass(frozen=True)
class _Panel:
    """One signal's plot: where it lies, and the values at its lower and upper edge."""

    top: float
    low: float
    high: float

    def y(self, values: Floats | float) -> Floats:
        """Return the heights of values, in pixels from the top of the figure."""
        heights: Floats = self.top + PANEL * (self.high - np.asarray(values, float)) / (self.high - self.low)
        return heights


def timeline_figure(view: ClipView) -> str:
    """Return the figure as a data URI; a clip without motion shows its spans and keyframes only."""
    lanes = _lanes(view)
    below = TOP + (3 * (PANEL + GAP) if view.ego else 0.0)
    bottom = below + LANE * max(len(lanes), 1)
    with styled():
        figure = new_figure(WIDTH, bottom + FOOT)
        axes = canvas(figure)
        _draw_time(axes, bottom)
        if view.ego:
            _draw_signals(axes, view.ego)
        _draw_lanes(axes, lanes, view.timeline.spans if view.timeline else (), below)
        _draw_keyframes(axes, view.keyframes, below, bottom)
        return to_data_uri(figure)


def _x(t_sec: Floats | float) -> Floats:
    across: Floats = LEFT_EDGE + np.asarray(t_sec, float) * _PX_PER_SEC
    return across


def _draw_time(axes: Axes, bottom: float) -> None:
    ticks = np.arange(0.0, CLIP_SEC + 1.0, 2.0)
    draw_lines(axes, [[(x, TOP), (x, bottom)] for x in _x(ticks)], GRID, 0.7, zorder=0)
    for tick in ticks:
        axes.text(float(_x(tick)), bottom + 11, tick_text(tick), ha="center", va="center", color=MUTED)
    middle = (LEFT_EDGE + RIGHT_EDGE) / 2
    axes.text(middle, bottom + 28, "time in the clip (s)", ha="center", va="center", color=MUTED)


def _draw_signals(axes: Axes, ego: EgoMotion) -> None:
    """Draw the signals that the rules of Step 1 see, the turn rate over time rather than over distance."""
    x, y = ego.xyz[None, :, 0], ego.xyz[None, :, 1]
    signals = compute_signals(x, y, ego.heading[None], ego.velocity[None, :, 0], ego.velocity[None, :, 1])
    speed, acceleration = signals.speed_along[0], signals.accel_smooth[0]
    turn = np.degrees(signals.heading_step[0]) / DT_SEC
    tops = [TOP + i * (PANEL + GAP) for i in range(3)]
    first = _Panel(tops[0], min(0.0, float(speed.min()) * 1.15), max(3.0, float(speed.max()) * 1.12))
    second, third = (
        _Panel(top, -reach, reach)
        for top, reach in (
            (tops[1], max(1.5, float(np.abs(acceleration).max()) * 1.12)),
            (tops[2], max(5.0, float(np.abs(turn).max()) * 1.12)),
        )
    )
    _draw_panel(axes, first, ego.t_sec, speed, ("speed", "m/s"), ("#edf1f4", "#edf1f4"))
    _draw_panel(axes, second, ego.t_sec, acceleration, ("acceleration", "m/s²"), (FASTER_SOFT, SLOWER_SOFT))
    _draw_panel(axes, third, ego.t_sec[:-1] + TICK_SEC / 2, turn, ("turn rate", "°/s"), (LEFT_SOFT, RIGHT_SOFT))
    for name, height in (("left", third.top + 7), ("right", third.top + PANEL - 7)):
        axes.text(LEFT_EDGE + 4, height, name, va="center", fontsize=6.5, color=MUTED)


def _draw_panel(
    axes: Axes, panel: _Panel, t: Floats, values: Floats, name: tuple[str, str], colours: tuple[str, str]
) -> None:
    """Draw one signal with its scale; values above and below zero are filled in two colours."""
    ticks = nice_ticks(panel.low, panel.high, 4)
    draw_lines(axes, [[(LEFT_EDGE, y), (RIGHT_EDGE, y)] for y in panel.y(ticks)], GRID, 0.7, zorder=0)
    for tick in ticks:
        axes.text(LEFT_EDGE - 6, float(panel.y(tick)), tick_text(tick), ha="right", va="center", color=MUTED)
    zero, x = float(panel.y(0.0)), _x(t)
    for part, colour in zip((np.maximum(values, 0.0), np.minimum(values, 0.0)), colours, strict=True):
        if part.any():
            axes.fill_between(x, panel.y(part), zero, color=colour, linewidth=0, zorder=1)
    draw_lines(axes, [[(LEFT_EDGE, zero), (RIGHT_EDGE, zero)]], MUTED, 0.6, zorder=2)
    draw_lines(axes, [np.column_stack([x, panel.y(values)])], INK, 1.2, zorder=3)
    text = f"{name[0]}\n({name[1]})"
    middle = panel.top + PANEL / 2
    axes.text(24, middle, text, rotation=90, ha="center", va="center", color=MUTED, linespacing=1.3)


def _lanes(view: ClipView) -> list[str]:
    """Return the axes of meta-actions from top to bottom; those that say nothing are left out."""
    there = {span.axis for span in view.timeline.spans} if view.timeline else set()
    return [axis for axis in AXES if axis in there] + sorted(there - set(AXES))


def _draw_lanes(axes: Axes, lanes: Sequence[str], spans: Sequence[Span], below: float) -> None:
    for number, name in enumerate(lanes):
        axes.text(LEFT_EDGE - 6, below + (number + 0.5) * LANE, name[:14], ha="right", va="center", color=MUTED)
    if not lanes:
        middle = (LEFT_EDGE + RIGHT_EDGE) / 2
        axes.text(middle, below + LANE / 2, "no meta-actions", ha="center", va="center", color=MUTED)
    for span in spans:
        start, end = (float(_x(tick * TICK_SEC)) for tick in (span.start, span.end))
        top, colour = below + lanes.index(span.axis) * LANE + 2, action_colour(span.name)
        look: dict[str, Any] = {"facecolor": colour, "edgecolor": PAPER, "linewidth": 1.0}
        axes.add_patch(Rectangle((start, top), end - start, LANE - 4, **look))
        text = _fitting(span.name, end - start)
        if text:
            look = {"fontsize": 6.5, "color": ink_on(colour), "zorder": 5}
            axes.text((start + end) / 2, top + LANE / 2 - 2, text, ha="center", va="center", **look)


def _fitting(name: str, width_px: float) -> str:
    """Return the longest form of a name that fits into a span, or nothing."""
    short = name
    for long, abbreviation in _FORMS.items():
        short = short.replace(long, abbreviation)
    shortest = short.rpartition("_")[2] if short.endswith(("acc.", "dec.", "left", "right")) else short
    return next((f.replace("_", " ") for f in (name, short, shortest) if len(f) * _CHAR_PX + 4 <= width_px), "")


def _draw_keyframes(axes: Axes, keyframes: Sequence[Keyframe], below: float, bottom: float) -> None:
    """Draw a line at each keyframe, faint in the lanes so that their names stay readable, its number on top."""
    dashed: dict[str, Any] = {"linestyle": (0, (3, 2))}
    places = [float(_x(keyframe.t_sec)) for keyframe in keyframes]
    draw_lines(axes, [[(x, TOP - 10), (x, below)] for x in places], INK, 0.8, alpha=0.75, zorder=4, **dashed)
    draw_lines(axes, [[(x, below), (x, bottom)] for x in places], INK, 0.8, alpha=0.3, zorder=4, **dashed)
    last, raised = -CLIP_SEC, False
    for keyframe, x in zip(keyframes, places, strict=True):
        raised = keyframe.t_sec - last < NEAR_SEC and not raised
        last = keyframe.t_sec
        draw_number(axes, keyframe, x, TOP - (27.0 if raised else 10.0))


def draw_number(axes: Axes, keyframe: Keyframe, x: float, y: float) -> None:
    """Draw a keyframe's number in a disc, hollow for an abstention."""
    face, ink = (PAPER, INK) if keyframe.is_abstention else (INK, PAPER)
    axes.plot(x, y, marker="o", markersize=11, markerfacecolor=face, markeredgecolor=INK, zorder=6)
    look: dict[str, Any] = {"fontsize": 6.5, "fontweight": "bold", "color": ink, "zorder": 7}
    axes.text(x, y + 0.5, str(keyframe.number), ha="center", va="center", **look)
