"""Ego's place across the road, told from the trajectories of others that drive along it.

Who drives ahead, behind, beside or towards ego leaves a line along the same road. Where ego's path moves over against
most of these lines ego changes lanes, however the road bends; where it keeps its place among them it does not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coc_labeling.scene.users import RoadUsers
from driving_clips.geometry import Floats

STEP_M = 3.0
LEAST_MPS = 1.5
ALONG = 0.35  # most motion across ego's path, as a share of that along it
NEAR_M = 12.0  # a line further away is of another road
AGREE_M, AGREE_SHARE = 0.5, 0.6
GAP_M = 12.0  # a line is known between boxes that are no further apart


@dataclass(frozen=True)
class TrafficLines:
    """The lines of others along ego's path.

    Attributes:
        s: (G,) m along ego's path, in even steps.
        d: (N, G) m to the left of ego's path; NaN where a line is not known.
    """

    s: Floats
    d: Floats

    def ego_offset(self, from_s: float, to_s: Floats, least: int) -> Floats:
        """Return how far ego moves to the left against others from one place to others, in m.

        NaN where fewer than ``least`` lines tell, or most of them do not agree.
        """
        start = int(np.clip(np.rint((from_s - self.s[0]) / STEP_M), 0, len(self.s) - 1))
        ends = np.clip(np.rint((to_s - self.s[0]) / STEP_M).astype(np.int64), 0, len(self.s) - 1)
        moved = self.d[:, start, None] - self.d[:, ends]
        told = np.isfinite(moved).sum(axis=0)
        offset = np.full(len(ends), np.nan)
        enough = told >= least
        if enough.any():
            middle = np.nanmedian(moved[:, enough], axis=0)
            agree = (np.abs(moved[:, enough] - middle) <= AGREE_M).sum(axis=0) >= AGREE_SHARE * told[enough]
            offset[enough] = np.where(agree, middle, np.nan)
        return offset


def traffic_lines(users: RoadUsers | None) -> TrafficLines | None:
    """Return the lines of others along ego's path; None where nobody drives along it."""
    if users is None or not len(users):
        return None
    drives = np.abs(users.along) >= LEAST_MPS
    drives &= (np.abs(users.left) <= ALONG * np.abs(users.along) + 0.3) & (np.abs(users.d) <= NEAR_M)
    drives &= users.is_vehicle[:, None]
    s = np.arange(float(users.ego_s[0]), float(users.ego_s[-1]) + STEP_M, STEP_M)
    often = np.flatnonzero(drives.sum(axis=1) >= 5).tolist()
    lines = [line for n in often if (line := _line(users, n, drives[n], s)) is not None]
    return TrafficLines(s, np.stack(lines)) if lines else None


def _line(users: RoadUsers, n: int, drives: NDArray[np.bool_], s: Floats) -> Floats | None:
    """Return d at the places s, NaN where the track does not tell."""
    own_s, own_d = users.s[n, drives], users.d[n, drives]
    order = np.argsort(own_s, kind="stable")
    own_s, own_d = own_s[order], own_d[order]
    if own_s[-1] - own_s[0] < 2 * STEP_M:
        return None
    d: Floats = np.interp(s, own_s, own_d, left=np.nan, right=np.nan)
    after = np.clip(np.searchsorted(own_s, s), 1, len(own_s) - 1)
    d[own_s[after] - own_s[after - 1] > GAP_M] = np.nan
    return d
