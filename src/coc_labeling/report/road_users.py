"""Other road users in the picture from above: their tracks, and where they were at the keyframes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.path import Path
from matplotlib.transforms import TransformedPath

from coc_labeling.report.clips import ClipView, Keyframe
from coc_labeling.report.map_view import MapView, row_at
from coc_labeling.report.palette import GRID, LEAD, LEAD_SOFT, PAPER
from coc_labeling.report.svg import draw_lines, draw_polygons
from driving_clips.ego_motion import EgoMotion
from driving_clips.geometry import Floats
from driving_clips.obstacles import ObstacleTracks

NEAR_M = 60.0  # obstacles further from the whole path are left out
BOX_M = 40.0  # at a keyframe, those further from ego are only shown as tracks
MAX_TRACKS = 40
TRACK_STEP_US = 500_000
SEEN_US = 300_000  # a box counts for a keyframe when it was measured within this time of it
_TRACK, _BOX = "#b4bdc7", "#8391a0"


@dataclass(frozen=True)
class _Seen:
    """A road user's box (``row`` of ``track``) at a keyframe."""

    keyframe: Keyframe
    track: ObstacleTracks
    row: int

    @property
    def centre(self) -> Floats:
        """Its centre (2,) in m in the clip's local frame."""
        at: Floats = self.track.center[self.row, :2]
        return at

    def gap(self, ego: EgoMotion) -> float:
        """Return its distance to ego at the keyframe in m."""
        return float(np.hypot(*(self.centre - ego.xyz[row_at(ego, self.keyframe.t_sec), :2])))


def draw_road_users(
    axes: Axes, view: ClipView, ego: EgoMotion, obstacles: ObstacleTracks, chart: MapView, reach_m: float = BOX_M
) -> None:
    """Draw the tracks near the path as thin lines, and what stood where at each keyframe as boxes or points.

    What a label cites is drawn in the colour of leads and tied to ego's place at that keyframe; others have boxes
    within ``reach_m`` of ego.
    """
    left, top, right, bottom = chart.plot
    edges = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    inside = {"clip_path": TransformedPath(Path(edges), axes.transData)}
    cited = {track_id for keyframe in view.keyframes for track_id in keyframe.track_ids}
    tracks = _near_tracks(obstacles, ego, cited)
    for names, colour, width in ((tracks.keys() - cited, _TRACK, 0.7), (tracks.keys() & cited, LEAD, 0.9)):
        lines = [_thinned(tracks[name], chart) for name in sorted(names)]
        draw_lines(axes, lines, colour, width, alpha=0.65, zorder=2, **inside)
    for is_cited, colour, face, zorder in ((False, _BOX, GRID, 3), (True, LEAD, LEAD_SOFT, 5)):
        seen = [s for s in _seen(view, tracks, is_cited=is_cited) if is_cited or s.gap(ego) <= reach_m]
        _draw_boxes(axes, seen, chart, {"zorder": zorder, **inside}, colour, face)
        if is_cited:
            ends = [np.stack([ego.xyz[row_at(ego, s.keyframe.t_sec), :2], s.centre]) for s in seen]
            ties = [chart.pixels(pair) for pair in ends]
            draw_lines(axes, ties, LEAD, 0.9, linestyle=(0, (2, 1.5)), zorder=zorder, **inside)


def _near_tracks(obstacles: ObstacleTracks, ego: EgoMotion, cited: set[str]) -> dict[str, ObstacleTracks]:
    """Return the tracks that come near the path, the nearest ones where there are many, and all that are cited."""
    path, distances = ego.xyz[::5, :2], []
    for name, track in obstacles.tracks.items():
        gaps = track.center[::3, None, :2] - path[None]
        distances.append((-1.0 if name in cited else float(np.hypot(gaps[..., 0], gaps[..., 1]).min()), name))
    nearest = sorted(pair for pair in distances if pair[0] <= NEAR_M)[:MAX_TRACKS]
    return {name: obstacles.tracks[name] for _, name in nearest}


def _seen(view: ClipView, tracks: dict[str, ObstacleTracks], *, is_cited: bool) -> list[_Seen]:
    """Return where tracks were at each keyframe: those that its label cites, or the others."""
    return [
        _Seen(keyframe, track, row)
        for keyframe in view.keyframes
        for name, track in tracks.items()
        if (name in keyframe.track_ids) == is_cited and (row := row_seen(track, keyframe.t_sec)) is not None
    ]


def _thinned(track: ObstacleTracks, chart: MapView) -> Floats:
    """Return a track's points about every half second, its last one included."""
    slots = (track.t_us - track.t_us[0]) // TRACK_STEP_US
    keep = np.concatenate([[True], slots[1:] != slots[:-1]])
    keep[-1] = True
    return chart.pixels(track.center[keep, :2])


def row_seen(track: ObstacleTracks, t_sec: float) -> int | None:
    """Return the row of the box that was measured nearest to a time, or None where none was."""
    row = int(np.argmin(np.abs(track.t_us - t_sec * 1e6)))
    return row if abs(track.t_us[row] - t_sec * 1e6) <= SEEN_US else None


def _draw_boxes(
    axes: Axes, seen: Sequence[_Seen], chart: MapView, options: dict[str, Any], colour: str, face: str
) -> None:
    """Draw boxes with a line ahead where their heading is known, else points."""
    boxes, noses, points = [], [], []
    for one in seen:
        length, width = one.track.size[one.row, :2]
        yaw, centre = one.track.yaw[one.row], one.centre
        if not np.isfinite([length, width, yaw]).all():
            points.append(chart.pixels(centre[None])[0])
            continue
        ahead = np.array([np.cos(yaw), np.sin(yaw)])
        long, wide = ahead * length / 2, np.array([-ahead[1], ahead[0]]) * width / 2
        boxes.append(chart.pixels(centre + np.stack([long + wide, long - wide, -long - wide, -long + wide])))
        noses.append(chart.pixels(centre + np.stack([long, long + ahead * min(length, 2.0)])))
    draw_polygons(axes, boxes, face, colour, **options)
    draw_lines(axes, noses, colour, 0.9, **options)
    if points:
        x, y = np.stack(points).T
        point: dict[str, Any] = {"markersize": 4, "color": colour, "markeredgecolor": PAPER, "markeredgewidth": 0.5}
        axes.plot(x, y, "D", **point, **options)
