"""Tracks of other road users around ego, in the clip's local frame."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from driving_clips.ego_motion import EgoSamples
from driving_clips.geometry import Floats, multiply, rotate, yaw_of

VEHICLE_CLASSES = frozenset(
    {"automobile", "heavy_truck", "bus", "train_or_tram_car", "trolley_bus", "other_vehicle", "trailer"}
)
LABEL_CLASSES = VEHICLE_CLASSES | {"person", "stroller", "rider", "animal", "protruding_object"}


@dataclass(frozen=True)
class ObstacleTracks:
    """Boxes of other road users, a row per box.

    Attributes:
        t_us: (N,) int64, microseconds on the clip clock.
        track_id: (N,) str, unique within the clip.
        label_class: (N,) str, classes of the Physical AI AV dataset.
        center: (N, 3) m in the clip's local frame.
        yaw: (N,) rad in the clip's local frame; NaN where the sensor does not see orientation (radar).
        size: (N, 3) m, length, width, height; NaN where unknown.
        lost_us: (L,) int64, when further boxes were measured that could not be placed, on the clip clock.
    """

    t_us: NDArray[np.int64]
    track_id: NDArray[np.str_]
    label_class: NDArray[np.str_]
    center: Floats
    yaw: Floats
    size: Floats
    lost_us: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.t_us)

    def select(self, rows: NDArray) -> "ObstacleTracks":
        """Return the boxes at ``rows`` (a mask or indices)."""
        return ObstacleTracks(
            self.t_us[rows],
            self.track_id[rows],
            self.label_class[rows],
            self.center[rows],
            self.yaw[rows],
            self.size[rows],
            self.lost_us,
        )

    def until(self, end_us: int) -> "ObstacleTracks":
        """Return what was measured up to a time."""
        return replace(self.select(self.t_us <= end_us), lost_us=self.lost_us[self.lost_us <= end_us])

    def between(self, start_us: int, end_us: int) -> "ObstacleTracks":
        """Return what was measured in [start, end], on a clock that starts at ``start_us``."""
        chosen = self.select((self.t_us >= start_us) & (self.t_us <= end_us))
        lost_us = self.lost_us[(self.lost_us >= start_us) & (self.lost_us <= end_us)]
        return replace(chosen, t_us=chosen.t_us - start_us, lost_us=lost_us - start_us)

    @cached_property
    def tracks(self) -> dict[str, "ObstacleTracks"]:
        """Each track's boxes in time order, by track id."""
        if not len(self):
            return {}
        order = np.lexsort((self.t_us, self.track_id))
        ids = self.track_id[order]
        borders = np.flatnonzero(ids[1:] != ids[:-1]) + 1
        return {str(self.track_id[rows[0]]): self.select(rows) for rows in np.split(order, borders)}


def from_rig_frame(
    t_us: NDArray[np.int64],
    reference_t_us: NDArray[np.int64],
    track_id: NDArray[np.str_],
    label_class: NDArray[np.str_],
    center: Floats,
    quat: Floats,
    size: Floats,
    ego: EgoSamples,
) -> ObstacleTracks:
    """Move boxes from the rig frame of their own instant into the clip's local frame.

    ``center`` (N, 3) m and ``quat`` (N, 4) are relative to the rig (x forward, y left, z up) at
    ``reference_t_us``. Boxes with a non-finite value or outside the time that ego motion covers cannot be
    placed: only their times are kept (``lost_us``).
    """
    ego = ego.cleaned()
    placed = (reference_t_us >= ego.t_us[0]) & (reference_t_us <= ego.t_us[-1])
    placed &= np.isfinite(center).all(axis=1) & np.isfinite(quat).all(axis=1)
    if len(ego.t_us) < 2:
        placed[:] = False
    rows = np.flatnonzero(placed)
    lost_us = reference_t_us[~placed]
    if not len(rows):
        ids, classes = track_id[rows], label_class[rows]
        return ObstacleTracks(t_us[rows], ids, classes, center[rows], center[rows, 0], size[rows], lost_us)
    position, rotation = ego.poses_at(reference_t_us[rows])
    return ObstacleTracks(
        t_us[rows],
        track_id[rows],
        label_class[rows],
        position + rotate(rotation, center[rows]),
        yaw_of(multiply(rotation, quat[rows])),
        size[rows],
        lost_us,
    )
