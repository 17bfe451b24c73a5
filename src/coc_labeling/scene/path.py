"""The path that ego drives, as a curve with coordinates: s along it and d to its left, in m."""

import numpy as np
from numpy.typing import NDArray

from driving_clips.ego_motion import EgoMotion
from driving_clips.geometry import Floats

PATH_STEP_M = 0.2  # standing still gives no direction
VERTEX_STEP_M = 1.0  # 5 cm off the arc at a radius of 2.5 m
COARSE = 8  # vertices; the nearest one is looked for among every so many of them first
BEHIND_M, AHEAD_M = 60.0, 120.0  # how far it runs straight on beyond its ends, and is looked for around ego


class DrivenPath:
    """The path that ego drives from a moment on, with straight ends.

    Attributes:
        ego_s: (R,) m along the path at each row of ego motion from the first one on.
    """

    def __init__(self, ego: EgoMotion, first_row: int = 0) -> None:
        """Start the path at ``first_row`` of ego motion; s is 0 there."""
        xy = ego.xyz[first_row:, :2]
        kept = _spaced(xy)
        points = xy[kept]
        if len(kept) == 1:
            heading = ego.heading[first_row]
            points = np.stack([xy[0], xy[0] + [np.cos(heading), np.sin(heading)]])
        length = np.hypot(*np.diff(points, axis=0).T)
        at = np.concatenate([[0.0], np.cumsum(length)])
        last_kept = np.searchsorted(kept, np.arange(len(xy)), side="right") - 1
        self.ego_s: Floats = at[last_kept]
        self.end: float = float(at[-1]) if len(kept) > 1 else 0.0
        self._lay_vertices(points, at)

    def _lay_vertices(self, points: Floats, at: Floats) -> None:
        """Lay evenly spaced vertices on the path and on its straight ends."""
        count = max(1, round(at[-1] / VERTEX_STEP_M))
        s = np.linspace(0.0, at[-1], count + 1)
        inner = np.stack([np.interp(s, at, points[:, k]) for k in (0, 1)], axis=1)
        first, last = inner[1] - inner[0], inner[-1] - inner[-2]
        before = np.arange(-BEHIND_M, 0.0, 2 * VERTEX_STEP_M)
        after = np.arange(2 * VERTEX_STEP_M, AHEAD_M, 2 * VERTEX_STEP_M)
        start = inner[0] + before[:, None] * first / np.hypot(*first)
        beyond = inner[-1] + after[:, None] * last / np.hypot(*last)
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
        s[known], d[known] = self._project(xy[known], None if around_s is None else around_s[known])
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


def _spaced(xy: Floats) -> NDArray[np.intp]:
    """Return the rows of points (N, 2) that are some way from the one kept before."""
    kept = [0]
    x, y = xy.T.tolist()
    for row in range(1, len(x)):
        if (x[row] - x[kept[-1]]) ** 2 + (y[row] - y[kept[-1]]) ** 2 >= PATH_STEP_M**2:
            kept.append(row)
    return np.array(kept, dtype=np.intp)
