"""The path that ego drives, as a curve with coordinates: s along it and d to its left, in m."""

import numpy as np
from numpy.typing import NDArray

from driving_clips.ego_motion import TICK_SEC, EgoMotion
from driving_clips.geometry import Floats

PATH_STEP_M = 0.2
MOVES_MPS = 0.3  # a slower ego may be standing while its localisation drifts
AFTER_STANDING_M = 1.0  # its places lay the path only that far on
SPEED_TICKS = 5  # to both sides of a row, that its forward speed is measured over
STRAIGHT_ON = 0.5  # the path is laid only to places less than 60 degrees off the way that ego points
VERTEX_STEP_M = 1.0  # 5 cm off the arc at a radius of 2.5 m
COARSE = 8  # vertices; the nearest one is looked for among every so many of them first
BEHIND_M, AHEAD_M = 60.0, 120.0  # how far it runs straight on beyond its ends, and is looked for around ego
AT_ONCE = 16_384  # points that are projected at a time, whatever their number: it bounds the memory


class DrivenPath:
    """The path that ego drives from a moment on, with straight ends the way that it points there.

    Only driving forwards makes it: what a standing ego seems to drift by does not turn it, and what ego drives
    backwards is left out, until it comes past the place where it turned back.

    Attributes:
        ego_s: (R,) m along the path at each row of ego motion from the first one on; it never falls.
        end: m along the path where it was last laid by driving; from there it runs straight on.
    """

    def __init__(self, ego: EgoMotion, first_row: int = 0) -> None:
        """Start the path at ``first_row`` of ego motion; s is 0 there."""
        xy, heading = ego.xyz[first_row:, :2], ego.heading[first_row:]
        pointing = np.stack([np.cos(heading), np.sin(heading)], axis=1)
        kept = _laid(xy, pointing)
        ends = pointing[kept[[0, -1]]]
        points = xy[kept] if len(kept) > 1 else np.stack([xy[kept[0]], xy[kept[0]] + ends[0]])
        steps = np.diff(points, axis=0)
        length = np.hypot(*steps.T)
        at = np.concatenate([[0.0], np.cumsum(length)])
        self.end: float = float(at[-1]) if len(kept) > 1 else 0.0
        self.ego_s: Floats = _places(xy, kept, at, np.concatenate([steps / length[:, None], ends[1:]]))
        self._lay_vertices(points, at, ends)

    def _lay_vertices(self, points: Floats, at: Floats, ends: Floats) -> None:
        """Lay evenly spaced vertices on the path and on its straight ends, which go the ways ``ends`` (2, 2)."""
        count = max(1, round(at[-1] / VERTEX_STEP_M))
        s = np.linspace(0.0, at[-1], count + 1)
        inner = np.stack([np.interp(s, at, points[:, k]) for k in (0, 1)], axis=1)
        before = np.arange(-BEHIND_M, 0.0, 2 * VERTEX_STEP_M)
        after = np.arange(2 * VERTEX_STEP_M, AHEAD_M, 2 * VERTEX_STEP_M)
        start = inner[0] + before[:, None] * ends[0]
        beyond = inner[-1] + after[:, None] * ends[1]
        self._points = np.concatenate([start, inner, beyond])
        self._s = np.concatenate([before, s, at[-1] + after])
        steps = np.diff(self._points, axis=0)
        self._length = np.hypot(*steps.T)
        self._direction = steps / self._length[:, None]

    def project(self, xy: Floats, around_s: Floats | None = None) -> tuple[Floats, Floats]:
        """Return s and d of points: the nearest place on the path.

        Args:
            xy: (N, 2) m in the clip's local frame; NaN gives NaN.
            around_s: (N,) where on the path ego is meanwhile: a path that comes back to itself is not mistaken for
                what it is later. All of it is searched by default.
        """
        known = np.flatnonzero(np.isfinite(xy[:, 0]) & np.isfinite(xy[:, 1]))
        s, d = (np.full(len(xy), np.nan) for _ in range(2))
        for start in range(0, len(known), AT_ONCE):
            some = known[start : start + AT_ONCE]
            s[some], d[some] = self._project(xy[some], None if around_s is None else around_s[some])
        return s, d

    def _project(self, xy: Floats, around_s: Floats | None) -> tuple[Floats, Floats]:
        vertex = self._nearest_vertex(xy, around_s)
        last = len(self._length) - 1
        one, other = (self._on_segment(xy, k) for k in (np.maximum(vertex - 1, 0), np.minimum(vertex, last)))
        nearer = np.abs(one[2]) <= np.abs(other[2])
        return np.where(nearer, one[0], other[0]), np.where(nearer, one[1], other[1])

    def _nearest_vertex(self, xy: Floats, around_s: Floats | None) -> NDArray[np.intp]:
        """Return the nearest vertex of each point: among every eighth of them, then among those around it."""
        coarse, coarse_s = self._points[::COARSE], self._s[::COARSE]
        squared = (coarse**2).sum(axis=1) - 2 * xy @ coarse.T
        if around_s is not None:
            low, high = (np.searchsorted(coarse_s, around_s + offset) for offset in (-BEHIND_M, AHEAD_M))
            places = np.arange(len(coarse_s))
            squared[(places < low[:, None]) | (places >= high[:, None])] = np.inf
        near = np.argmin(squared, axis=1) * COARSE
        candidates = np.clip(near[:, None] + np.arange(-COARSE, COARSE + 1), 0, len(self._points) - 1)
        off = self._points[candidates] - xy[:, None, :]
        best = np.argmin(np.einsum("nmk,nmk->nm", off, off), axis=1)
        chosen: NDArray[np.intp] = candidates[np.arange(len(xy)), best]
        return chosen

    def _on_segment(self, xy: Floats, segment: NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
        """Return s, d and the distance of points (N, 2) to one segment each; the outermost run on without end."""
        relative = xy - self._points[segment]
        direction = self._direction[segment]
        along = (relative * direction).sum(axis=1)
        lower = np.where(segment == 0, -np.inf, 0.0)
        upper = np.where(segment == len(self._length) - 1, np.inf, self._length[segment])
        along = np.clip(along, lower, upper)
        off = relative - along[:, None] * direction
        side = np.sign(direction[:, 0] * off[:, 1] - direction[:, 1] * off[:, 0])
        distance = np.hypot(off[:, 0], off[:, 1])
        return self._s[segment] + along, side * distance, distance

    def direction_at(self, s: Floats) -> Floats:
        """Return the path's heading in rad at places along it, of the same shape; NaN gives NaN."""
        segment = np.clip(np.searchsorted(self._s, np.nan_to_num(s), side="right") - 1, 0, len(self._length) - 1)
        heading: Floats = np.arctan2(self._direction[segment, 1], self._direction[segment, 0])
        return np.where(np.isfinite(s), heading, np.nan)

    def curvature_at(self, s: Floats, over_m: float = 10.0) -> Floats:
        """Return the mean curvature in 1/m around places along the path, left positive."""
        heading = np.unwrap(np.arctan2(self._direction[:, 1], self._direction[:, 0]))
        middle = (self._s[1:] + self._s[:-1]) / 2
        ahead, behind = (np.interp(s + sign * over_m / 2, middle, heading) for sign in (1, -1))
        curvature: Floats = (ahead - behind) / over_m
        return curvature


def _laid(xy: Floats, pointing: Floats) -> NDArray[np.intp]:
    """Return the rows of places (N, 2) that the path is laid through, where ego points that way (N, 2).

    Each is some way from the one before, and ahead of it.
    """
    forward = _forward_mps(xy, pointing).tolist()
    (x, y), (cos, sin) = xy.T.tolist(), pointing.T.tolist()
    kept: list[int] = []
    stood = False
    for row, speed in enumerate(forward):
        if speed <= -MOVES_MPS:
            continue
        if not kept:
            kept.append(row)
            continue
        stood = stood or speed < MOVES_MPS
        across, up = x[row] - x[kept[-1]], y[row] - y[kept[-1]]
        away = (across * across + up * up) ** 0.5
        ahead = across * cos[row] + up * sin[row]
        if away >= (AFTER_STANDING_M if stood else PATH_STEP_M) and ahead >= STRAIGHT_ON * away:
            kept.append(row)
            stood = False
    return np.array(kept or [0], dtype=np.intp)


def _forward_mps(xy: Floats, pointing: Floats) -> Floats:
    """Return how fast ego comes forward (N,) in m/s, by its places around each row: they make the path."""
    rows = np.arange(len(xy))
    first, last = np.maximum(rows - SPEED_TICKS, 0), np.minimum(rows + SPEED_TICKS, len(xy) - 1)
    moved = ((xy[last] - xy[first]) * pointing).sum(axis=1)
    speed: Floats = moved / (np.maximum(last - first, 1) * TICK_SEC)
    return speed


def _places(xy: Floats, kept: NDArray[np.intp], at: Floats, directions: Floats) -> Floats:
    """Return m along the path at each row (N,): on from the last one it was laid through, to the next at most.

    Args:
        xy: (N, 2) where ego is.
        kept: (K,) rows that the path was laid through.
        at: (K,) m along the path there, or more.
        directions: (K,) or more, (.., 2): from each to the next, and of the last one onwards.
    """
    last = np.maximum(np.searchsorted(kept, np.arange(len(xy)), side="right") - 1, 0)
    on = ((xy - xy[kept[last]]) * directions[last]).sum(axis=1)
    room = np.append(np.diff(at[: len(kept)]), np.inf)[last]
    s = at[last] + np.clip(on, 0.0, room)
    s[: kept[0]] = 0.0  # before ego first drives forwards
    places: Floats = np.maximum.accumulate(s)
    return places
