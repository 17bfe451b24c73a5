"""Figures as small SVG pictures that are embedded in the page as data, so that their ids cannot clash."""

import base64
import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from coc_labeling.report.palette import INK
from driving_clips.geometry import Floats

PX_PER_INCH = 96.0
STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: crisp, and a tenth of the size of outlines
    "svg.hashsalt": "coc",
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "text.color": INK,
    "text.parse_math": False,
    "path.simplify_threshold": 0.2,
}
_FONT = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
_LONG_NUMBER = re.compile(rb"(\d+\.\d{2})\d+")
_FONT_STACK = re.compile(r"(font: [^;\"]*?px )[^;\"]+")


def new_figure(width_px: float, height_px: float) -> Figure:
    """Return an empty figure of a size in CSS pixels; call it within ``mpl.rc_context(STYLE)``."""
    return Figure(figsize=(width_px / PX_PER_INCH, height_px / PX_PER_INCH), dpi=72)


def canvas(figure: Figure) -> Axes:
    """Return axes over the whole figure that count CSS pixels, x right and y down.

    Frames, ticks and grids are drawn by us: matplotlib's own make an object for each, which takes most of its time.
    """
    width, height = figure.get_size_inches() * PX_PER_INCH
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0.0, width)
    axes.set_ylim(height, 0.0)
    axes.set_autoscale_on(False)
    return axes


def nice_ticks(low: float, high: float, count: int) -> Floats:
    """Return at most ``count`` + 1 round numbers between two values."""
    ticks = np.asarray(MaxNLocator(nbins=count, steps=[1, 2, 5, 10]).tick_values(low, high))
    inside: Floats = ticks[(ticks >= low - 1e-9) & (ticks <= high + 1e-9)]
    return inside


def tick_text(value: float) -> str:
    """Return a tick's number with a true minus sign.

    Example:
        >>> tick_text(-2.5), tick_text(10.0)
        ('−2.5', '10')
    """
    return f"{value:g}".replace("-", "−")


def draw_lines(axes: Axes, lines: Sequence[Any], colour: str, width: float, **options: Any) -> None:
    """Draw many lines (N, 2) of one look as one object."""
    _draw_paths(axes, lines, {"facecolor": "none", "edgecolor": colour, "linewidth": width} | options)


def draw_polygons(
    axes: Axes, polygons: Sequence[Any], face: str, edge: str, width: float = 0.9, **options: Any
) -> None:
    """Draw many polygons (N, 2) of one look as one object."""
    closed = [np.concatenate([polygon, polygon[:1]]) for polygon in map(np.asarray, polygons)]
    _draw_paths(axes, closed, {"facecolor": face, "edgecolor": edge, "linewidth": width} | options)


def _draw_paths(axes: Axes, paths: Sequence[Any], look: dict[str, Any]) -> None:
    if not len(paths):
        return
    points = [np.asarray(path, float) for path in paths]
    codes = [np.append(Path.MOVETO, np.full(len(path) - 1, Path.LINETO)) for path in points]
    axes.add_patch(PathPatch(Path(np.concatenate(points), np.concatenate(codes)), **look))


def to_data_uri(figure: Figure) -> str:
    """Return a figure as ``data:image/svg+xml;base64,...``; numbers are cut to two decimals."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    drawing = buffer.getvalue()
    drawing = drawing[drawing.index(b"<svg") :]
    drawing = _LONG_NUMBER.sub(rb"\1", drawing)
    text = _FONT_STACK.sub(rf"\1{_FONT}", drawing.decode())
    return f"data:image/svg+xml;base64,{base64.b64encode(text.encode()).decode()}"


def styled() -> Any:
    """Return the context in which figures are made."""
    return mpl.rc_context(STYLE)
