"""Obstacle tracks on the clip's ticks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coc_labeling.scene.boxes import EGO_FRONT_M, EGO_HALF_WIDTH_M, EGO_REAR_M, Boxes
from coc_labeling.scene.whole_tracks import BRIDGED_US, WholeTracks
from driving_clips.ego_motion import TICK_US, EgoMotion
from driving_clips.geometry import Floats

__all__ = ["EGO_FRONT_M", "EGO_HALF_WIDTH_M", "EGO_REAR_M", "TickedTracks", "on_ticks"]


@dataclass(frozen=True)
class TickedTracks:
    """Tracks on some ticks; N tracks, R ticks. A track whose id was given to another road user counts as two.

    Attributes:
        track_id, label_class: (N,) str.
        first_us, last_us: (N,) when it was first and last measured.
        xy: (N, R, 2) m in the clip's local frame; NaN where it is not seen.
        velocity: (N, R, 2) m/s over the second before; NaN where it is not seen or was seen too briefly before.
        yaw: (N, R) rad, NaN where unknown.
        size: (N, R, 2) length and width in m, NaN where unknown.
    """

    track_id: NDArray[np.str_]
    label_class: NDArray[np.str_]
    first_us: NDArray[np.int64]
    last_us: NDArray[np.int64]
    xy: Floats
    velocity: Floats
    yaw: Floats
    size: Floats


def on_ticks(tracks: WholeTracks, ego: EgoMotion, rows: NDArray[np.intp]) -> TickedTracks:
    """Bring tracks to the ticks of some rows of ego motion.

    Positions between two boxes are interpolated, past the last one they go on as before, both for half a second at
    most. Velocities look back only.
    """
    boxes, velocity = tracks.boxes, tracks.velocity
    ticks_us = (ego.first_tick + rows).astype(np.int64) * TICK_US
    left, right, between = _around(boxes, ticks_us)
    seen = left >= 0
    at = np.maximum(left, 0)
    age = np.where(seen, ticks_us[None, :] - boxes.t_us[at], 0) / 1e6
    span = np.where(between, boxes.t_us[right] - boxes.t_us[at], 1) / 1e6
    step = np.where(between[..., None], boxes.xy[right] - boxes.xy[at], 0.0) * (age / span)[..., None]
    going_on = np.nan_to_num(velocity[at]) * age[..., None]
    xy = boxes.xy[at] + np.where(between[..., None], step, going_on)
    hidden = ~seen[..., None]
    return TickedTracks(
        boxes.track_id,
        boxes.label_class[boxes.first],
        boxes.t_us[boxes.first],
        boxes.t_us[boxes.last],
        np.where(hidden, np.nan, xy),
        np.where(hidden, np.nan, velocity[at]),
        np.where(seen, boxes.yaw[at], np.nan),
        np.where(hidden, np.nan, boxes.size[at]),
    )


def _around(boxes: Boxes, ticks_us: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Return for each track and tick (N, R) the box at or before it, the one after it, and whether it lies between.

    The first is -1 where the track is not seen.
    """
    count, numbers = len(boxes), np.arange(len(boxes.track_id))
    low = min(int(boxes.t_us.min()), int(ticks_us.min()))
    width = max(int(boxes.t_us.max()), int(ticks_us.max())) - low + 1
    keys = boxes.track * width + (boxes.t_us - low)  # they increase
    left = np.searchsorted(keys, numbers[:, None] * width + (ticks_us - low)[None, :], side="right") - 1
    own = (left >= 0) & (boxes.track[np.maximum(left, 0)] == numbers[:, None])
    right = np.minimum(left + 1, count - 1)
    follows = own & (left + 1 < count) & (boxes.track[right] == boxes.track[np.maximum(left, 0)])
    at = np.maximum(left, 0)
    between = follows & (boxes.t_us[right] - boxes.t_us[at] <= BRIDGED_US)
    seen = own & (between | (ticks_us[None, :] - boxes.t_us[at] <= BRIDGED_US))
    return np.where(seen, left, -1), right, between & seen
