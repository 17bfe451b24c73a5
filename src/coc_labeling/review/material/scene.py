"""What moves in a window, as plain values for a chart and a view from above.

The scene of the history is made of nothing but samples that were known at the keyframe: two clips that are the same up
to it give the same scene to the byte. Offline ego motion and tracks were smoothed over whole clips by their makers,
which cannot be undone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coc_labeling.report.ego_outline import EGO_LENGTH_M, EGO_REAR_M, EGO_WIDTH_M
from coc_labeling.review.material.parts import Part
from driving_clips.ego_motion import TICK_US, EgoMotion, EgoSamples
from driving_clips.geometry import Floats, yaw_of
from driving_clips.obstacles import ObstacleTracks
from meta_action.signals import DT_SEC, compute_signals
from meta_action.timeline import Timeline

MOST_ROAD_USERS = 100  # the nearest are shown
EGO = {"length": EGO_LENGTH_M, "width": EGO_WIDTH_M, "rear": EGO_REAR_M}
NO_CURVES: dict[str, list] = {"t": [], "speed": [], "acceleration": [], "turn_rate": []}
NO_PATH: dict[str, list] = {"t": [], "x": [], "y": [], "heading": []}


@dataclass(frozen=True)
class Origin:
    """Ego's pose at the keyframe, the frame that a scene is drawn in: x forward, y left.

    Attributes:
        t_us: when it was measured: the last sample known at the keyframe, so that nothing of what came after is in it.
        x, y: m in the clip's local frame.
        heading: rad, left positive.
    """

    t_us: int
    x: float
    y: float
    heading: float

    @classmethod
    def of(cls, samples: EgoSamples, t0_us: int) -> "Origin":
        """Return the pose of the last sample known at a time; raises ClipRejectedError where there is none."""
        known = samples.until(t0_us).cleaned()
        heading = yaw_of(known.quat[-1]) if known.yaw is None else known.yaw[-1]
        return cls(int(known.t_us[-1]), float(known.xyz[-1, 0]), float(known.xyz[-1, 1]), float(heading))

    def place(self, xy: Floats) -> Floats:
        """Return points (N, 2) of the local frame, m, in this one."""
        cos, sin = np.cos(self.heading), np.sin(self.heading)
        east, north = xy[:, 0] - self.x, xy[:, 1] - self.y
        return np.stack([cos * east + sin * north, -sin * east + cos * north], axis=1)

    def turn(self, yaw: Floats) -> Floats:
        """Return headings (N,) of the local frame in this one, rad in [-pi, pi)."""
        turned: Floats = (yaw - self.heading + np.pi) % (2 * np.pi) - np.pi
        return turned


def curves(ego: EgoMotion, part: Part) -> dict[str, list]:
    """Return what ego did at the ticks of a part; means reach no further than ``ego`` does.

    Returns:
        Lists of equal length: ``t`` s, ``speed`` m/s (negative backwards), ``acceleration`` m/s^2 (of the speed over
        ground) and ``turn_rate`` rad/s (left positive), both means over 0.5 s as meta-actions are read from.
    """
    columns = (ego.xyz[:, 0], ego.xyz[:, 1], ego.heading, ego.velocity[:, 0], ego.velocity[:, 1])
    signals = compute_signals(*(column[None] for column in columns))
    steps = signals.heading_step[0] / DT_SEC
    turn_rate = (np.concatenate([steps[:1], steps]) + np.concatenate([steps, steps[-1:]])) / 2
    rows = _rows(ego, part)
    return {
        "t": numbers(ego.t_sec[rows]),
        "speed": numbers(signals.speed_along[0][rows]),
        "acceleration": numbers(signals.accel_smooth[0][rows]),
        "turn_rate": numbers(turn_rate[rows], 4),
    }


def path(ego: EgoMotion, origin: Origin, part: Part) -> dict[str, list]:
    """Return where ego was at the ticks of a part, and where its last known sample was in a history that ends between.

    Returns:
        Lists of equal length: ``t`` s, ``x`` and ``y`` m, ``heading`` rad, in the origin's frame.
    """
    rows = _rows(ego, part)
    t_sec, xy, heading = ego.t_sec[rows], origin.place(ego.xyz[rows, :2]), origin.turn(ego.heading[rows])
    at_sec = origin.t_us / 1e6
    if not part.future and len(t_sec) and t_sec[-1] + 1e-9 < at_sec:
        t_sec, xy, heading = np.append(t_sec, at_sec), np.vstack([xy, np.zeros((1, 2))]), np.append(heading, 0.0)
    return {"t": numbers(t_sec), "x": numbers(xy[:, 0], 2), "y": numbers(xy[:, 1], 2), "heading": numbers(heading)}


def road_users(tracks: ObstacleTracks, origin: Origin, part: Part) -> list[dict[str, Any]]:
    """Return the others in a part, the nearest ``MOST_ROAD_USERS``, by id; a box per tick at most.

    Returns:
        For each ``id``, ``class``, ``length`` and ``width`` m (None where unknown), and lists of equal length: ``t`` s,
        ``x`` and ``y`` m, ``heading`` rad (None where the sensor does not see it), in the origin's frame.
    """
    shown = tracks.select(part.holds(tracks.t_us) & np.isfinite(tracks.center[:, :2]).all(axis=1))
    found = []
    for track_id, boxes in shown.tracks.items():
        _, first = np.unique(boxes.t_us // TICK_US, return_index=True)
        own = boxes.select(first)
        xy = origin.place(own.center[:, :2])
        found.append((float(np.hypot(*xy.T).min()), track_id, own, xy))
    nearest = sorted(found, key=lambda one: one[:2])[:MOST_ROAD_USERS]
    return [_road_user(track_id, own, xy, origin) for _, track_id, own, xy in sorted(nearest, key=lambda one: one[1])]


def _road_user(track_id: str, boxes: ObstacleTracks, xy: Floats, origin: Origin) -> dict[str, Any]:
    length, width = numbers(boxes.size[-1, :2], 2)
    return {
        "id": track_id,
        "class": str(boxes.label_class[-1]),
        "length": length,
        "width": width,
        "t": numbers(boxes.t_us / 1e6),
        "x": numbers(xy[:, 0], 2),
        "y": numbers(xy[:, 1], 2),
        "heading": numbers(origin.turn(boxes.yaw)),
    }


def spans(timeline: Timeline, part: Part) -> list[dict[str, Any]]:
    """Return the meta-actions of a part, cut to it, by axis and time: ``axis``, ``name``, ``start`` and ``end`` (s)."""
    cut = []
    for span in timeline.spans:
        start = max(part.first_us, span.start * TICK_US) / 1e6
        end = min(part.last_us, span.end * TICK_US) / 1e6
        if start < end:
            cut.append({"axis": span.axis, "name": span.name, "start": start, "end": end})
    return sorted(cut, key=lambda span: (span["axis"], span["start"], span["end"]))


def numbers(values: Floats | Sequence[float], digits: int = 3) -> list[float | None]:
    """Return values rounded, for JSON: what is no finite number becomes None.

    Example:
        >>> numbers([0.12345, float("nan")])
        [0.123, None]
    """
    array = np.round(np.asarray(values, dtype=np.float64), digits) + 0.0  # no -0.0
    return [value if finite else None for value, finite in zip(array.tolist(), np.isfinite(array), strict=True)]


def _rows(ego: EgoMotion, part: Part) -> NDArray[np.intp]:
    ticks = (ego.first_tick + np.arange(len(ego), dtype=np.int64)) * TICK_US
    return np.flatnonzero(part.holds(ticks))
