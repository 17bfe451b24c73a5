"""Whether a prediction leaves the corridor around the path that was driven.

There is no map, so that the driven path stands for the lane. The corridor reaches 1.75 m to each side, half of a usual
lane of 3.5 m: a path whose centre is further off would have its centre on or beyond the lane's line, had the lane's
middle been driven. So a prediction that changes lanes where the driver did not, or cuts a corner, leaves it; one that
is only faster or slower does not. Points past the end of the driven path are not judged, as nothing is known there.
"""

import numpy as np
from numpy.typing import NDArray

from driving_clips.geometry import Floats

HALF_WIDTH_M = 1.75
LEAST_STEP_M = 0.1  # standing wobbles make no path


def off_path(pred_xy: Floats, history_xy: Floats, driven_xy: Floats) -> tuple[Floats, float]:
    """Return of each sample whether it leaves the corridor, as 0 or 1, and the share of points that were judged.

    Args:
        pred_xy: (S, T, 2) m.
        history_xy: (H, 2) m, up to t0.
        driven_xy: (D, 2) m, after it.
    """
    path = _path(np.concatenate([history_xy, driven_xy]))
    off, judged = _aside(pred_xy, path)
    leaves = np.asarray((judged & (off > HALF_WIDTH_M)).any(axis=1), dtype=np.float64)
    return leaves, float(judged.mean())


def _path(xy: Floats) -> Floats:
    """Return the points of a path that are at least a step apart; of who stands, a metre straight behind it."""
    kept = [xy[0]]
    for point in xy[1:]:
        if np.hypot(*(point - kept[-1])) >= LEAST_STEP_M:
            kept.append(point)
    if len(kept) == 1:
        kept = [kept[0] - [1.0, 0.0], kept[0]]
    return np.array(kept)


def _aside(points: Floats, path: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return how far points (S, T, 2) are from a path (P, 2), and whether they lie beside it, not past its ends."""
    start, along = path[:-1], np.diff(path, axis=0)
    square = (along**2).sum(axis=-1)
    share = ((points[..., None, :] - start) * along).sum(axis=-1) / square
    nearest = start + np.clip(share, 0.0, 1.0)[..., None] * along
    distance = np.linalg.norm(points[..., None, :] - nearest, axis=-1)
    which = distance.argmin(axis=-1)
    at = np.take_along_axis(share, which[..., None], axis=-1)[..., 0]
    past = ((which == len(along) - 1) & (at > 1.0)) | ((which == 0) & (at < 0.0))
    return distance.min(axis=-1), ~past
