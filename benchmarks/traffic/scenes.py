"""A recorded scenario with its road users' motion, and one vehicle of it seen as ego."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.traffic.motion import Motion, smooth
from benchmarks.traffic.recording import Driven, Recording
from coc_labeling.schema import Category, Relation, Side

STEPS_ON = 20  # steps before a pedestrian is on the crossing: drivers let it pass already
SIDE_M = 2.0  # nearer to ego's axis than this is ahead, not aside


@dataclass(frozen=True)
class Cause:
    """One component of the truth; ``track`` is the simulator's name of the road user."""

    category: Category
    relation: Relation | None = None
    side: Side | None = None
    track: str | None = None
    what: str = ""

    @property
    def shown_by_tracks(self) -> bool:
        """Whether ego's path and the tracks can show it: road users, and curves and turns that ego drives."""
        return self.track is not None or self.category is Category.LANE


class Scene:
    """A recording with its vehicles' motion smoothed where asked for."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._motions: dict[str, Motion] = {}

    def motion(self, name: str) -> Motion:
        """Return the smoothed motion of a vehicle."""
        if name not in self._motions:
            driven = self.recording.driven[name]
            self._motions[name] = smooth(np.array(driven.xy), np.array(driven.angle), driven.length)
        return self._motions[name]

    def at(self, name: str, step: int) -> int | None:
        """Return the entry of a step, None where the road user is not there."""
        driven = self.recording.driven[name]
        row = step - driven.first_step
        return row if 0 <= row < len(driven.xy) else None

    def people_on_crossings(self, step: int) -> Iterator[tuple[str, Driven, int]]:
        """Yield pedestrians on a crossing, or about to step on it."""
        for name, driven in self.recording.driven.items():
            row = step - driven.first_step
            if driven.kind != "walker" or not 0 <= row < len(driven.xy):
                continue
            if any("_c" in lane for lane in driven.lane[row : row + STEPS_ON]):
                yield name, driven, row


class Driver:
    """One vehicle of a scene."""

    def __init__(self, scene: Scene, name: str) -> None:
        self.scene, self.name = scene, name
        self.driven = scene.recording.driven[name]
        self.motion = scene.motion(name)
        self.lanes = scene.recording.lanes

    def side_of(self, xy: tuple[float, float], row: int) -> Side | None:
        """Return the side of ego that a place is on, None where it is right ahead."""
        yaw, away = float(self.motion.rear_yaw[row]), np.array(xy) - self.motion.rear_axle[row]
        left = float(np.cos(yaw) * away[1] - np.sin(yaw) * away[0])
        if abs(left) < SIDE_M:
            return None
        return Side.LEFT if left > 0 else Side.RIGHT

    def ahead(self, row: int) -> list[tuple[float, float, str]]:
        """Return (how far ahead along ego's path, how far to its left, name) of vehicles near the path ahead."""
        found = []
        here = self.motion.place(self.motion.s[row : row + 1])[0]
        s = self.motion.s[row] + np.arange(0.0, 110.0, 1.0)
        path = self.motion.place(s)
        for name, driven in self.scene.recording.driven.items():
            there = self.scene.at(name, row + self.driven.first_step)
            if name == self.name or driven.kind == "walker" or there is None or len(driven.xy) < 3:
                continue
            xy = np.array(driven.xy[there])
            if abs(xy - here).max() > 120.0:
                continue
            center = self.scene.motion(name).center[there]
            gaps = np.hypot(*(path - center).T)
            nearest = int(np.argmin(gaps))
            if (
                0 < nearest < len(s) - 1
                and gaps[nearest] < 3.2
                and abs(turned(driven.angle[there], self.driven.angle[row])) < 150
            ):
                found.append((float(nearest), float(gaps[nearest]), name))
        return found


def offset(path: Motion, xy: np.ndarray) -> float:
    """Return how far a point is from a path, left positive, m."""
    gaps = np.hypot(*(path.points - xy).T)
    nearest = int(np.clip(np.argmin(gaps), 1, len(gaps) - 2))
    along = path.points[nearest + 1] - path.points[nearest - 1]
    away = xy - path.points[nearest]
    return float((along[0] * away[1] - along[1] * away[0]) / np.hypot(*along))


def distance(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Return how far two places are apart, m."""
    return math.hypot(a[0] - b[0], a[1] - b[1])


def turned(angle: float, other: float) -> float:
    """Return the difference of two angles within [-180, 180), degrees."""
    return (angle - other + 180.0) % 360.0 - 180.0


def edge(lane: str) -> str:
    """Return the edge of a lane, from its id."""
    return lane.rsplit("_", 1)[0]


def index(lane: str) -> int:
    """Return the number of a lane on its edge, from the right."""
    return int(lane.rsplit("_", 1)[1])
