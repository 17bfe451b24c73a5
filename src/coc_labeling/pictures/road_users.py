"""Other road users at the moments that are shown."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from driving_clips.geometry import Floats
from driving_clips.obstacles import VEHICLE_CLASSES, ObstacleTracks
from driving_clips.video.timestamps import nearest

SEEN_US = 300_000  # a road user is shown while it was measured within this time
VULNERABLE_CLASSES = frozenset({"person", "rider", "stroller", "animal"})


class Kind(StrEnum):
    """What a road user is drawn as."""

    VEHICLE = "vehicle"
    VULNERABLE = "vulnerable"
    OTHER = "other"


@dataclass(frozen=True)
class RoadUsers:
    """Tracks at F moments, a row each.

    Attributes:
        track_ids: K ids.
        kinds: K kinds.
        xyz: (K, F, 3) m in the clip's local frame, interpolated.
        yaw: (K, F) rad; NaN where unknown.
        size: (K, 3) m, length, width and height; NaN where unknown.
        seen: (K, F) whether it is there.
    """

    track_ids: tuple[str, ...]
    kinds: tuple[Kind, ...]
    xyz: Floats
    yaw: Floats
    size: Floats
    seen: NDArray[np.bool_]

    @classmethod
    def of(cls, obstacles: ObstacleTracks | None, t_us: NDArray[np.int64]) -> "RoadUsers":
        """Bring tracks to the moments (F,), us on the clip clock."""
        tracks = obstacles.tracks if obstacles is not None else {}
        count, frames = len(tracks), len(t_us)
        xyz, yaw, size = np.zeros((count, frames, 3)), np.zeros((count, frames)), np.zeros((count, 3))
        seen = np.zeros((count, frames), bool)
        for row, track in enumerate(tracks.values()):
            seen[row] = nearest(track.t_us, t_us, SEEN_US) >= 0
            for axis in range(3):
                xyz[row, :, axis] = np.interp(t_us, track.t_us, track.center[:, axis])
            yaw[row] = np.interp(t_us, track.t_us, np.unwrap(track.yaw))
            size[row] = track.size[len(track) // 2]
        kinds = tuple(_kind(str(track.label_class[0])) for track in tracks.values())
        return cls(tuple(tracks), kinds, xyz, yaw, size, seen)

    @property
    def xy(self) -> Floats:
        """The places from above (K, F, 2)."""
        flat: Floats = self.xyz[..., :2]
        return flat

    def near(self, frame: int, centre: Floats, reach: float) -> list[int]:
        """Return the rows of those that are there and within ``reach`` m of a point, the nearest last."""
        if not self.track_ids:
            return []
        gap = np.hypot(*(self.xy[:, frame] - centre).T)
        rows = np.flatnonzero(self.seen[:, frame] & (gap <= reach))
        return [int(row) for row in rows[np.argsort(-gap[rows])]]


def _kind(label_class: str) -> Kind:
    if label_class in VEHICLE_CLASSES:
        return Kind.VEHICLE
    return Kind.VULNERABLE if label_class in VULNERABLE_CLASSES else Kind.OTHER
