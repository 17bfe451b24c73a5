"""Where things lie in the picture from above: ego's start heading up, metres equal on both axes."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from driving_clips.ego_motion import TICK_SEC, EgoMotion
from driving_clips.geometry import Floats

LEAST_REACH_M = 15.0  # half the width that is shown when ego hardly moves

# The layout, in CSS pixels from the top left: the plot's edges within the figure.
WIDTH, HEIGHT = 400.0, 458.0
LEFT_EDGE, RIGHT_EDGE, TOP, BOTTOM = 46.0, 386.0, 10.0, 418.0


class Plot(NamedTuple):
    """The part of a figure that the picture fills, in CSS pixels from the top left."""

    left: float
    top: float
    right: float
    bottom: float


PATH_PLOT = Plot(LEFT_EDGE, TOP, RIGHT_EDGE, BOTTOM)


@dataclass(frozen=True)
class MapView:
    """From the clip's local frame to the picture: ego's start at ``origin``, its ``heading`` up.

    ``centre`` (m right of the start, m ahead of it) lies in the middle of ``plot``; ``scale`` is in pixels a metre.
    """

    origin: Floats
    heading: float
    centre: Floats
    scale: float
    plot: Plot = PATH_PLOT

    def metres(self, xy: Floats) -> Floats:
        """Return points (N, 2) in m to the right of the start and ahead of it."""
        moved = xy - self.origin
        cos, sin = np.cos(self.heading), np.sin(self.heading)
        return np.stack([moved[:, 0] * sin - moved[:, 1] * cos, moved[:, 0] * cos + moved[:, 1] * sin], axis=1)

    def pixels(self, xy: Floats) -> Floats:
        """Return points (N, 2) in pixels of the figure."""
        return self.placed(self.metres(xy))

    def placed(self, metres: Floats) -> Floats:
        """Return points in m right and ahead (N, 2) in pixels of the figure."""
        middle = np.array([self.plot.left + self.plot.right, self.plot.top + self.plot.bottom]) / 2
        pixels: Floats = middle + (metres - self.centre) * self.scale * [1.0, -1.0]
        return pixels


def fit(ego: EgoMotion) -> MapView:
    """Show the whole path, metres equal on both axes, as large as the plot allows."""
    origin, heading = ego.xyz[0, :2], float(ego.heading[0])
    path = MapView(origin, heading, np.zeros(2), 1.0).metres(ego.xyz[:, :2])
    low, high = path.min(axis=0), path.max(axis=0)
    room = np.array([RIGHT_EDGE - LEFT_EDGE, BOTTOM - TOP])
    size = np.maximum((high - low) * 1.14 + LEAST_REACH_M, 2 * LEAST_REACH_M)
    return MapView(origin, heading, (low + high) / 2, float((room / size).min()))


def row_at(ego: EgoMotion, t_sec: float) -> int:
    """Return the row of ego motion nearest to a time on the clip clock."""
    return int(np.clip(round(t_sec / TICK_SEC) - ego.first_tick, 0, len(ego) - 1))
