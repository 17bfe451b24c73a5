"""The picture of the demo: held-out moments with what was seen, said, predicted and driven."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alpamayo_r1.evaluation.predictions import Scene
from alpamayo_r1.scenes import SceneReader
from benchmarks.small_world.folder import CAMERA, T0_US
from benchmarks.small_world.scoring import Scored, summary
from benchmarks.small_world.world import LANE_M, Cause
from coc_labeling.report.palette import FASTER, GRID, INK, LEFT, LEFT_SOFT, MUTED, RIGHT
from driving_clips.datasets.pai import PaiDataset
from driving_clips.geometry import Floats

PER_CAUSE = 2
WIDTH_IN, ROW_IN, HEAD_IN = 15.0, 1.95, 0.95
EDGE_M = 1.7 * LANE_M
ROAD = "#f3f5f7"
LEAST_AHEAD_M = 60.0
_TITLES = {
    Cause.LEAD_BRAKES: "lead brakes",
    Cause.RED_LIGHT: "light turns red",
    Cause.CLEAR_ROAD: "clear road",
    Cause.BLOCKED_LANE: "blocked lane",
}


@dataclass(frozen=True)
class Shown:
    """A moment of the picture.

    Attributes:
        scene: what was predicted.
        score: what that is worth.
        frame: (H, W, 3) uint8, the last one that the model saw.
        other_lane: the side of the second lane, 1 for left.
    """

    scene: Scene
    score: Scored
    frame: NDArray[np.uint8]
    other_lane: int


def last_frames(data_dir: Path, clip_ids: Sequence[str]) -> dict[str, NDArray[np.uint8]]:
    """Return each clip's frame at its moment, decoded as for the model."""
    reader = SceneReader(PaiDataset(str(data_dir)), (CAMERA,))
    return {clip: reader.read(clip, T0_US).frames[0][-1].transpose(1, 2, 0) for clip in clip_ids}


def chosen(scores: Sequence[Scored]) -> list[Scored]:
    """Return the first ``PER_CAUSE`` moments of each cause: those that come first, not the best."""
    return [one for cause in Cause for one in [s for s in scores if s.cause is cause][:PER_CAUSE]]


def draw(path: Path, shown: Sequence[Shown], scores: Sequence[Scored], numbers: Mapping[str, str]) -> None:
    """Write the picture as PNG: a row for each two moments, two columns."""
    rows = -(-len(shown) // 2)
    height = HEAD_IN + rows * ROW_IN
    figure = Figure(figsize=(WIDTH_IN, height), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    _head(figure, scores, numbers, height)
    for number, one in enumerate(shown):
        column, row = number % 2, number // 2
        left = 0.012 + 0.5 * column
        bottom = (height - HEAD_IN - (row + 1) * ROW_IN) / height
        _moment(figure, one, left, bottom, height)
    figure.savefig(path)


def _head(figure: Figure, scores: Sequence[Scored], numbers: Mapping[str, str], height: float) -> None:
    whole = summary(scores)
    said = (
        f"{whole.scenes} held-out moments: right cause {whole.right:.2f}, minADE {whole.min_ade_m:.2f} m, "
        f"constant velocity {whole.constant_m:.2f} m ({whole.times_better:.1f} times as far)"
    )
    figure.text(0.012, 1 - 0.25 / height, said, fontsize=14, weight="bold", color=INK, va="center")
    told = " · ".join(f"{name} {value}" for name, value in numbers.items())
    figure.text(0.012, 1 - 0.55 / height, told, fontsize=9.5, color=MUTED, va="center")
    x = 0.6
    for name, colour in (("driven", INK), ("predicted", LEFT), ("constant velocity", RIGHT)):
        figure.text(x, 1 - 0.55 / height, f"● {name}", fontsize=10, color=colour, va="center")
        x += 0.075
    figure.text(x + 0.05, 1 - 0.55 / height, "a dot a second", fontsize=10, color=MUTED, va="center")


def _moment(figure: Figure, one: Shown, left: float, bottom: float, height: float) -> None:
    part = ROW_IN / height
    frame = figure.add_axes((left, bottom + 0.24 * part, 0.175, 0.7 * part))
    frame.imshow(one.frame, interpolation="bilinear", aspect="auto")
    frame.set_axis_off()
    right = one.score.named is one.score.cause
    mark, colour = ("✓", FASTER) if right else ("✗", RIGHT)
    text = "\n".join(textwrap.wrap(one.scene.cot[0] or "(nothing)", 95)[:2])
    figure.text(left, bottom + 0.13 * part, mark, fontsize=13, color=colour, va="center", weight="bold")
    figure.text(left + 0.014, bottom + 0.13 * part, text, fontsize=9.5, color=INK, va="center")
    above = figure.add_axes((left + 0.2, bottom + 0.4 * part, 0.27, 0.42 * part))
    _from_above(above, one)
    title = f"{_TITLES[one.score.cause]} · minADE {one.score.min_ade_m:.2f} m, constant {one.score.constant_m:.2f} m"
    above.set_title(title, fontsize=9.5, color=INK, loc="left", pad=3)


def _from_above(axes: Axes, one: Shown) -> None:
    """Draw the road with ego driving to the right; sideways it is stretched."""
    scene = one.scene
    assert scene.future_xy is not None
    speed = np.hypot(*(scene.history_xy[-1] - scene.history_xy[-2]))
    constant = np.column_stack([speed * np.arange(1, len(scene.future_xy) + 1), np.zeros(len(scene.future_xy))])
    furthest = max(float(scene.future_xy[:, 0].max()), float(scene.flat_xy[..., 0].max()), constant[-1, 0])
    reach = max(LEAST_AHEAD_M, furthest)
    low, high = sorted([-one.other_lane * LANE_M / 2, one.other_lane * 1.5 * LANE_M])
    axes.axhspan(low, high, color=ROAD, zorder=0)
    for edge in (low, high):
        axes.axhline(edge, color=MUTED, linewidth=1.0, zorder=1)
    axes.axhline(one.other_lane * LANE_M / 2, color=GRID, linewidth=1.6, dashes=(5, 4), zorder=1)
    axes.plot(*scene.history_xy.T, color=MUTED, linewidth=1.4, linestyle=":", zorder=2)
    _path(axes, constant, RIGHT, 1.0, 2.6, 2)
    for sample in scene.flat_xy[1:]:
        axes.plot(*sample.T, color=LEFT_SOFT, linewidth=0.9, zorder=3)
        axes.plot(*sample[9::10].T, linestyle="none", marker="o", markersize=2.2, color=LEFT_SOFT, zorder=3)
    _path(axes, scene.future_xy, INK, 2.6, 5.2, 4)
    _path(axes, scene.flat_xy[0], LEFT, 1.3, 3.2, 5)
    axes.set_xlim(-12.0, reach * 1.04)
    axes.set_ylim(low - 0.8, high + 0.8)
    axes.tick_params(labelsize=7.5, colors=MUTED, length=2)
    axes.set_yticks([0.0, one.other_lane * LANE_M])
    axes.set_xlabel("m ahead", fontsize=7.5, color=MUTED, labelpad=1)
    for side in axes.spines.values():
        side.set_visible(False)


def _path(axes: Axes, xy: Floats, colour: str, line: float, dot: float, above: int) -> None:
    whole = np.concatenate([np.zeros((1, 2)), xy])
    axes.plot(*whole.T, color=colour, linewidth=line, zorder=above, solid_capstyle="round")
    axes.plot(*whole[10::10].T, linestyle="none", marker="o", markersize=dot, color=colour, zorder=above)
