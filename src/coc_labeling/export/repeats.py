"""What occurs in more than one split: the same text, the same path, the same place at the same time."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from coc_labeling.export.places import Place
from coc_labeling.export.rows import ExportRow
from coc_labeling.export.trajectory import Drive
from driving_clips.datasets.loose import stable_hash

PATH_GRID_M = 0.1  # paths are the same where all their positions are, to this
MOVING_M = 5.0  # whoever stands has the same path everywhere
NEAR_M = 100.0
SAME_TIME_US = 3_600_000_000
_EARTH_RADIUS_M = 6_371_000.0


@dataclass
class Repeats:
    """Labels whose key occurs in more than one split; 9 bytes a label are held."""

    _keys: array = field(default_factory=lambda: array("Q"))
    _splits: array = field(default_factory=lambda: array("B"))

    def add(self, text: str, split: int) -> None:
        """Take a label's key, and the number of its split."""
        self._keys.append(stable_hash(text))
        self._splits.append(split)

    @property
    def total(self) -> int:
        """How many labels were taken."""
        return len(self._keys)

    @property
    def across(self) -> int:
        """How many of them have a key that is in another split, too."""
        if not self._keys:
            return 0
        _, group = np.unique(np.frombuffer(self._keys, np.uint64), return_inverse=True)
        splits = np.frombuffer(self._splits, np.uint8)
        lowest = np.full(group.max() + 1, 255, np.uint8)
        highest = np.zeros(group.max() + 1, np.uint8)
        np.minimum.at(lowest, group, splits)
        np.maximum.at(highest, group, splits)
        return int((lowest != highest)[group].sum())


def text_key(row: ExportRow) -> str:
    """Return what two labels that say the same have in common: their text."""
    return " ".join(row.cot.lower().split())


def path_key(drive: Drive) -> str | None:
    """Return what two labels of the same drive have in common: the path around the keyframe; None of a standing ego."""
    parts = [drive.history.xyz] + ([drive.future.xyz] if drive.future is not None else [])
    xyz = np.concatenate(parts)
    if np.abs(xyz).max() < MOVING_M:
        return None
    return np.rint(xyz / PATH_GRID_M).astype(np.int32).tobytes().hex()


@dataclass
class Neighbours:
    """Clips that were recorded near each other; 33 bytes a clip are held."""

    _places: array = field(default_factory=lambda: array("d"))
    _times: array = field(default_factory=lambda: array("q"))
    _splits: array = field(default_factory=lambda: array("B"))

    def add(self, place: Place, split: int) -> None:
        """Take a clip's place, and the number of its split."""
        latitude, longitude = np.radians([place.latitude, place.longitude])
        flat = np.cos(latitude)
        point = (flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude))
        self._places.extend(_EARTH_RADIUS_M * float(part) for part in point)
        self._times.append(place.t_us if place.t_us is not None else -1)
        self._splits.append(split)

    @property
    def total(self) -> int:
        """How many clips were taken."""
        return len(self._splits)

    @property
    def timed(self) -> int:
        """Of how many of them the time is known."""
        return sum(time >= 0 for time in self._times)

    def across(self) -> int:
        """Return how many clips have one of another split near them, at the same time where both times are known."""
        points = np.frombuffer(self._places, np.float64).reshape(-1, 3)
        cells = np.floor(points / NEAR_M).astype(np.int64)
        by_cell: dict[tuple[int, int, int], list[int]] = {}
        for number, cell in enumerate(map(tuple, cells.tolist())):
            by_cell.setdefault(cell, []).append(number)
        return sum(
            self._has_neighbour(number, points, others)
            for cell, own in by_cell.items()
            for others in [np.array([one for near in _around(cell) for one in by_cell.get(near, ())])]
            for number in own
        )

    def _has_neighbour(self, number: int, points: np.ndarray, others: np.ndarray) -> bool:
        times, splits = np.frombuffer(self._times, np.int64), np.frombuffer(self._splits, np.uint8)
        near = np.linalg.norm(points[others] - points[number], axis=1) <= NEAR_M
        timed = (times[others] >= 0) & (times[number] >= 0)
        together = ~timed | (np.abs(times[others] - times[number]) <= SAME_TIME_US)
        return bool((near & together & (splits[others] != splits[number])).any())


def _around(cell: tuple[int, int, int]) -> Iterator[tuple[int, int, int]]:
    x, y, z = cell
    steps = (-1, 0, 1)
    return ((x + dx, y + dy, z + dz) for dx in steps for dy in steps for dz in steps)
