"""Road users in coordinates of ego's driven path, tick by tick: N tracks, R ticks."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from coc_labeling.scene.path import DrivenPath
from coc_labeling.scene.tracks import EGO_HALF_WIDTH_M, TickedTracks
from driving_clips.ego_motion import TICK_SEC, EgoMotion
from driving_clips.geometry import Floats
from driving_clips.obstacles import VEHICLE_CLASSES

RIDERS = frozenset({"rider"})
WALKERS = frozenset({"person", "stroller"})
STANDING_MPS = 0.6  # below it a track's motion is noise
LEAD_HALF_WIDTH_M = 1.8  # half a lane of 3.6 m
RIDER_HALF_WIDTH_M = 1.2  # one that keeps to the lane's edge is passed, not followed
LEAD_RANGE_M = 100.0
EXTENDED_M = 50.0  # beyond the path's driven end its course is not known for longer
ONCOMING_MPS = 1.0
FACES_RAD = np.radians(135.0)  # a standing box that is turned further against the path is of oncoming traffic
CROSSING_MPS = 2.0  # who moves faster across the path than along it is none to follow
SPEED_TICKS = (10, 5, 3)  # own speeds are measured over the longest of these that is known
_SLACK = 1.3  # a speed along the path that exceeds the true one by more is a jump of the nearest place


@dataclass(frozen=True)
class RoadUsers:
    """Where road users are and how they move, relative to the path; NaN where they are not seen.

    Attributes:
        tracks: as measured.
        ego_s: (R,) m along the path.
        path: that ego drives.
        s, d: (N, R) m along the path and to its left, of the centre.
        along, left: (N, R) m/s along the path and to its left, over the second before.
        half_along, half_across: (N, R) m, half the box's extent along and across the path; 0 where its size is unknown.
        turned: (N, R) rad, the box's heading against the path's there, within half a turn.
    """

    tracks: TickedTracks
    ego_s: Floats
    path: DrivenPath
    s: Floats
    d: Floats
    along: Floats
    left: Floats
    half_along: Floats
    half_across: Floats
    turned: Floats

    def __len__(self) -> int:
        return len(self.tracks.track_id)

    @cached_property
    def is_vehicle(self) -> NDArray[np.bool_]:
        """(N,) whether it is a vehicle."""
        return _among(self.tracks.label_class, VEHICLE_CLASSES)

    @cached_property
    def is_rider(self) -> NDArray[np.bool_]:
        """(N,) whether it is a rider of a bicycle, motorcycle or scooter."""
        return _among(self.tracks.label_class, RIDERS)

    @cached_property
    def is_walker(self) -> NDArray[np.bool_]:
        """(N,) whether it goes on foot."""
        return _among(self.tracks.label_class, WALKERS)

    @cached_property
    def near(self) -> Floats:
        """(N, R) m from ego's reference point along the path to the near end; negative behind it."""
        return self.s - self.ego_s - self.half_along

    @cached_property
    def clearance(self) -> Floats:
        """(N, R) m of free space between ego's swath and the box across the path; negative where it reaches in."""
        return np.abs(self.d) - self.half_across - EGO_HALF_WIDTH_M

    @cached_property
    def speed(self) -> Floats:
        """(N, R) m/s over ground."""
        speed: Floats = np.hypot(self.tracks.velocity[..., 0], self.tracks.velocity[..., 1])
        return speed

    @cached_property
    def stands(self) -> NDArray[np.bool_]:
        """(N, R) whether it stands."""
        return self.speed < STANDING_MPS

    @cached_property
    def in_corridor(self) -> NDArray[np.bool_]:
        """(N, R) whether it is within ego's lane around the path, as far as the path's course is known."""
        half = np.where(self.is_rider, RIDER_HALF_WIDTH_M, LEAD_HALF_WIDTH_M)[:, None]
        reaches_in = self.is_vehicle[:, None] & (self.clearance < -0.1)
        return ((np.abs(self.d) <= half) | reaches_in) & (self.s - self.half_along <= self.path.end + EXTENDED_M)

    @cached_property
    def goes_along(self) -> NDArray[np.bool_]:
        """(N, R) whether it stands or moves the way that ego goes, rather than across, against it, or facing it."""
        fits = (self.along >= -ONCOMING_MPS) & (np.abs(self.left) <= np.maximum(CROSSING_MPS, np.abs(self.along)))
        fits &= ~(self.stands & (np.abs(self.turned) > FACES_RAD))
        return fits & (self.is_vehicle | self.is_rider)[:, None]

    @cached_property
    def followed(self) -> NDArray[np.bool_]:
        """(N, R) whether it is in the path ahead and one to follow."""
        return self.in_corridor & self.goes_along & (self.near > 0.0) & (self.near <= LEAD_RANGE_M)

    @cached_property
    def lead(self) -> NDArray[np.intp]:
        """(R,) the nearest one to follow, -1 where there is none."""
        if not len(self):
            return np.full(len(self.ego_s), -1)
        distance = np.where(self.followed, self.near, np.inf)
        nearest = np.argmin(distance, axis=0)
        there = np.isfinite(distance[nearest, np.arange(distance.shape[1])])
        lead: NDArray[np.intp] = np.where(there, nearest, -1)
        return lead


def _among(classes: NDArray[np.str_], wanted: frozenset[str]) -> NDArray[np.bool_]:
    return np.array([name in wanted for name in classes.tolist()], dtype=bool)


def road_users(tracks: TickedTracks, ego: EgoMotion, rows: NDArray[np.intp], path: DrivenPath) -> RoadUsers:
    """Return tracks in coordinates of a path that starts at ego motion's first row of ``rows`` or before."""
    first_row = len(ego) - len(path.ego_s)
    ego_s = path.ego_s[rows - first_row]
    shape = tracks.xy.shape[:2]
    around = np.broadcast_to(ego_s, shape)
    s, d = (flat.reshape(shape) for flat in path.project(tracks.xy.reshape(-1, 2), around.reshape(-1)))
    heading = path.direction_at(s)
    moving = np.hypot(tracks.velocity[..., 0], tracks.velocity[..., 1]) > STANDING_MPS
    course = np.arctan2(tracks.velocity[..., 1], tracks.velocity[..., 0])
    yaw = np.where(np.isfinite(tracks.yaw), tracks.yaw, np.where(moving, course, heading))
    turned = yaw - heading
    half_length, half_width = (np.nan_to_num(tracks.size[..., k]) / 2 for k in (0, 1))
    along, left = _speeds(tracks.velocity, heading, s, d)
    return RoadUsers(
        tracks,
        ego_s,
        path,
        s,
        d,
        along,
        left,
        np.abs(half_length * np.cos(turned)) + np.abs(half_width * np.sin(turned)),
        np.abs(half_length * np.sin(turned)) + np.abs(half_width * np.cos(turned)),
        (turned + np.pi) % (2 * np.pi) - np.pi,
    )


def _speeds(velocity: Floats, heading: Floats, s: Floats, d: Floats) -> tuple[Floats, Floats]:
    """Return own speeds along and across the path (N, R): how s and d changed, where both are known for long enough.

    In a curve that is more right than the velocity now in the path's direction here; where the nearest place jumps it
    is not, and where a track has just begun it is not known.
    """
    along = velocity[..., 0] * np.cos(heading) + velocity[..., 1] * np.sin(heading)
    left = -velocity[..., 0] * np.sin(heading) + velocity[..., 1] * np.cos(heading)
    speed = np.hypot(velocity[..., 0], velocity[..., 1])
    due = np.isfinite(along)
    for ticks in SPEED_TICKS:
        if ticks >= s.shape[1]:
            continue
        change_s, change_d = (np.full_like(s, np.nan) for _ in range(2))
        change_s[:, ticks:] = (s[:, ticks:] - s[:, :-ticks]) / (ticks * TICK_SEC)
        change_d[:, ticks:] = (d[:, ticks:] - d[:, :-ticks]) / (ticks * TICK_SEC)
        fits = due & (np.hypot(change_s, change_d) <= _SLACK * speed + STANDING_MPS)
        along, left = np.where(fits, change_s, along), np.where(fits, change_d, left)
        due &= ~np.isfinite(change_s)
    return along, left
