"""Ego's place across the road, told from the trajectories of others that drive along it.

Who drives ahead, behind, beside or towards ego leaves a line along the same road. Where ego's path moves over against
most of these lines ego changes lanes, however the road bends; where it keeps its place among them it does not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coc_labeling.scene.facts import SceneFacts
from coc_labeling.scene.users import RoadUsers
from driving_clips.geometry import Floats

STEP_M = 3.0
LEAST_MPS = 1.5
ALONG = 0.35  # most motion across ego's path, as a share of that along it
NEAR_M = 12.0  # a line further away is of another road
AGREE_M, AGREE_SHARE = 0.5, 0.6
KNOWN_SHARE = 0.7  # of a stretch: a line that is known for less does not show whether it is even
GAP_M = 12.0  # a line is known between boxes that are no further apart


@dataclass(frozen=True)
class TrafficLines:
    """The lines of others along ego's path.

    Attributes:
        s: (G,) m along ego's path, in even steps.
        d: (N, G) m to the left of ego's path; NaN where a line is not known.
        ego_s: (T,) m along it at each row of ego motion.
        heading: (T,) rad of ego there, unwrapped.
    """

    s: Floats
    d: Floats
    ego_s: Floats
    heading: Floats

    def ego_offset(self, from_s: float, to_s: Floats, least: int) -> Floats:
        """Return how far ego moves to the left against others from one place to others further on, in m.

        Where the lines that reach back to the first place run out, those of others go on from there. NaN where fewer
        than ``least`` lines tell, or most of them do not agree.
        """
        places = np.clip(np.rint((np.append(from_s, to_s) - self.s[0]) / STEP_M).astype(np.int64), 0, len(self.s) - 1)
        offset = np.full(len(places), np.nan)
        offset[0], at = 0.0, 0
        while at < len(places) - 1:
            rest = slice(at + 1, None)
            unknown = ~np.isfinite(offset[rest])
            if not unknown.any():
                break
            onward = offset[at] + self._moved(places[at], places[rest], least)
            offset[rest] = np.where(unknown, onward, offset[rest])
            known = np.isfinite(offset[rest])
            gap = int(np.argmin(known)) if not known.all() else len(known)
            if gap == 0:
                break  # nobody tells of the very next place
            at += gap
        return offset[1:]

    def _moved(self, start: int, ends: NDArray[np.int64], least: int) -> Floats:
        """Return what most lines that are known at both places tell of how far ego moves to the left between them."""
        moved = self.d[:, start, None] - self.d[:, ends]
        told = np.isfinite(moved).sum(axis=0)
        offset = np.full(len(ends), np.nan)
        enough = told >= least
        if enough.any():
            count, columns = told[enough], np.arange(int(enough.sum()))
            ordered = np.sort(moved[:, enough], axis=0)  # NaN last; ``np.nanmedian`` takes three times as long
            middle = (ordered[(count - 1) // 2, columns] + ordered[count // 2, columns]) / 2
            agree = (np.abs(moved[:, enough] - middle) <= AGREE_M).sum(axis=0) >= AGREE_SHARE * count
            offset[enough] = np.where(agree, middle, np.nan)
        return offset

    def stray_m(self, from_s: float, to_s: float) -> float:
        """Return how far lines between two places stray from even bends of their own, in m; infinite without any."""
        start, end = (int(np.clip(np.rint((s - self.s[0]) / STEP_M), 0, len(self.s) - 1)) for s in (from_s, to_s))
        own = np.interp(self.s[start : end + 1], self.ego_s, self.heading)
        path = np.concatenate([[0.0], np.cumsum((own[1:] + own[:-1] - 2 * own[0]) / 2 * STEP_M)])
        known = np.isfinite(self.d[:, start : end + 1])
        strays = [
            stray_m(self.s[start : end + 1][at], path[at] + line[at])
            for line, at in zip(self.d[:, start : end + 1], known, strict=True)
            if at.sum() >= KNOWN_SHARE * len(path)
        ]
        return float(np.median(strays)) if strays else float("inf")


def stray_m(along: Floats, aside: Floats) -> float:
    """Return how far a path strays at most from the even bend that fits it best, in m."""
    if len(along) < 4:
        return 0.0
    x = (along - along[0]) / max(along[-1] - along[0], 1.0)
    return float(np.abs(aside - np.polyval(np.polyfit(x, aside, 2), x)).max())


def traffic_lines(scene: SceneFacts) -> TrafficLines | None:
    """Return the lines of others along ego's path in a whole clip; None where nobody drives along it."""
    users = scene.users
    if users is None or not len(users):
        return None
    drives = np.abs(users.along) >= LEAST_MPS
    drives &= (np.abs(users.left) <= ALONG * np.abs(users.along) + 0.3) & (np.abs(users.d) <= NEAR_M)
    drives &= users.is_vehicle[:, None]
    s = np.arange(float(users.ego_s[0]), float(users.ego_s[-1]) + STEP_M, STEP_M)
    often = np.flatnonzero(drives.sum(axis=1) >= 5).tolist()
    lines = [line for n in often if (line := _line(users, n, drives[n], s)) is not None]
    return TrafficLines(s, np.stack(lines), users.ego_s, np.unwrap(scene.ego.heading)) if lines else None


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
