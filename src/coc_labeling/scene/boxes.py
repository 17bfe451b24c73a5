"""Which boxes of others can be relied on, and what was wrong with the rest, in words."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from driving_clips.ego_motion import TICK_US, EgoMotion
from driving_clips.geometry import Floats
from driving_clips.obstacles import LABEL_CLASSES, ObstacleTracks

# Ego's own box around its reference point: a car of about 4.8 m by 2.0 m, measured from the rear axle.
EGO_FRONT_M, EGO_REAR_M, EGO_HALF_WIDTH_M = 3.8, 1.0, 1.0
NEARBY_M = 150.0  # boxes further from ego are left out
MOST_TRACKS = 2000  # those that come nearest are looked at: the memory they take is bounded
MARGIN_US = 500_000  # boxes so long before or after ego motion still bear on its ticks
ELSEWHEN_WORTH_SAYING = 0.2  # share of the boxes
MOST_LOST = 0.5  # share of the boxes in ego's time; of more, those that are left say little about who was there
MOST_UNKNOWN = 0.2  # share of the boxes, of classes that are not known
NAMED = 3  # names that a problem gives as examples
NAME_LENGTH = 40


class UnreliableTracksError(ValueError):
    """Nothing can be claimed about others from these tracks; the message says why and what to do."""


@dataclass(frozen=True)
class Boxes:
    """Boxes sorted by track and time: M boxes of N tracks.

    Attributes:
        track: (M,) the number of the box's track.
        t_us: (M,) on the clip clock.
        xy: (M, 2) m in the clip's local frame.
        yaw: (M,) rad, NaN where unknown.
        size: (M, 2) length and width in m, NaN where unknown.
        label_class: (M,) str.
        track_id: (N,) str.
    """

    track: NDArray[np.int64]
    t_us: NDArray[np.int64]
    xy: Floats
    yaw: Floats
    size: Floats
    label_class: NDArray[np.str_]
    track_id: NDArray[np.str_]

    @classmethod
    def of(cls, tracks: ObstacleTracks) -> "Boxes":
        """Sort boxes; a size that is not finite and positive is unknown."""
        names, number = np.unique(tracks.track_id, return_inverse=True)
        order = np.lexsort((tracks.t_us, number))
        size = tracks.size[order, :2]
        return cls(
            number[order].astype(np.int64),
            tracks.t_us[order],
            tracks.center[order, :2],
            tracks.yaw[order],
            np.where(np.isfinite(size) & (size > 0.0), size, np.nan),
            tracks.label_class[order],
            names,
        )

    def __len__(self) -> int:
        return len(self.t_us)

    def select(self, rows: NDArray) -> "Boxes":
        """Return the boxes of a mask; the tracks keep their numbers."""
        if rows.all():
            return self
        return Boxes(
            self.track[rows],
            self.t_us[rows],
            self.xy[rows],
            self.yaw[rows],
            self.size[rows],
            self.label_class[rows],
            self.track_id,
        )

    @property
    def first(self) -> NDArray[np.intp]:
        """Each track's first box, of those that have any."""
        return np.flatnonzero(np.diff(self.track, prepend=-1))

    @property
    def last(self) -> NDArray[np.intp]:
        """Each track's last box, of those that have any."""
        return np.flatnonzero(np.diff(self.track, append=-1))

    def names(self, rows: NDArray) -> str:
        """Return some of the tracks of a mask, as words."""
        return listed(self.track_id[np.unique(self.track[rows])].tolist())


def listed(names: list[str]) -> str:
    """Return some names as words; they come from data, so they are cut and freed of what no terminal should see."""
    shown = ("".join(c if c.isprintable() else "?" for c in name[:NAME_LENGTH]) for name in names[:NAMED])
    return ", ".join(shown) + (" and others" if len(names) > NAMED else "")


def sound_boxes(tracks: ObstacleTracks, ego: EgoMotion, said: list[str]) -> Boxes:
    """Return the boxes that have a place, in ego's time, and are not ego's own; their classes are known ones.

    What is wrong is added to ``said``.

    Raises:
        UnreliableTracksError: too few are left to say who was there, or too many have a class that is not known.
    """
    boxes = _placed(Boxes.of(tracks), tracks.lost_us, ego, said)
    inside = _around_ego(boxes, ego)
    if inside.any():
        said.append(
            f"{int(inside.sum())} boxes stand where ego is (track {boxes.names(inside)}) and were left out; ego itself "
            "may have been tracked"
        )
    return _of_known_classes(boxes.select(~inside), said)


def _placed(boxes: Boxes, lost_us: NDArray[np.int64], ego: EgoMotion, said: list[str]) -> Boxes:
    """Return the boxes that have a place, in ego's time; ``lost_us`` is when others were that have none."""
    start_us, end_us = (_tick_us(ego, row) + sign * MARGIN_US for row, sign in ((0, -1), (len(ego) - 1, 1)))
    timely = (boxes.t_us >= start_us) & (boxes.t_us <= end_us)
    lost_timely = (lost_us >= start_us) & (lost_us <= end_us)
    finite = np.isfinite(boxes.xy[:, 0]) & np.isfinite(boxes.xy[:, 1])
    total, placed = len(boxes) + len(lost_us), timely & finite
    in_time = int(timely.sum()) + int(lost_timely.sum())
    if not total:
        raise UnreliableTracksError(
            "there is no box in the time of this clip, which is no evidence of an empty road. Nothing is claimed about "
            "others; see that the obstacle table has boxes, and on ego's clock"
        )
    elsewhen_us = np.concatenate([boxes.t_us[~timely], lost_us[~lost_timely]])
    if total - in_time > ELSEWHEN_WORTH_SAYING * total:
        said.append(
            f"{total - in_time} of {total} boxes are outside the time of ego motion: they are from "
            f"{_seconds(int(elsewhen_us.min()), int(elsewhen_us.max()))}, ego motion from "
            f"{_seconds(start_us + MARGIN_US, end_us - MARGIN_US)}. They were left out; give them ego's clock"
        )
    if in_time > placed.sum():
        said.append(f"{in_time - int(placed.sum())} of {total} boxes have no place (NaN) and were left out")
    if placed.sum() < (1.0 - MOST_LOST) * in_time or not placed.any():
        raise UnreliableTracksError(
            f"only {int(placed.sum())} of {total} boxes can be placed in this clip. Nothing is claimed about others"
        )
    return boxes.select(placed)


def nearby(boxes: Boxes, ego: EgoMotion, said: list[str]) -> tuple[Boxes, float]:
    """Return the boxes near ego, and within how many m that is everybody; add what is wrong to ``said``.

    Raises:
        UnreliableTracksError: none is near.
    """
    distance, reach_m = distance_m(boxes, ego), NEARBY_M
    near = distance <= NEARBY_M
    if not near.any():
        raise UnreliableTracksError(
            f"no box of others comes within {NEARBY_M:.0f} m of ego. Nothing is claimed about others; see that boxes "
            "are where they were relative to ego at their time"
        )
    if len(boxes.track_id) > MOST_TRACKS:
        nearest = np.full(len(boxes.track_id), np.inf)
        np.minimum.at(nearest, boxes.track, distance)
        chosen = np.zeros(len(nearest), dtype=bool)
        chosen[np.argsort(nearest, kind="stable")[:MOST_TRACKS]] = True
        if nearest[~chosen].min() <= NEARBY_M:
            said.append(f"of {len(nearest)} tracks the {MOST_TRACKS} that come nearest to ego are looked at")
            near, reach_m = near & chosen[boxes.track], float(nearest[~chosen].min())
    return boxes.select(near), reach_m


def distance_m(boxes: Boxes, ego: EgoMotion) -> Floats:
    """Return how far from ego boxes are (M,), in m."""
    gap = boxes.xy - ego.xyz[_rows(boxes, ego), :2]
    distance: Floats = np.hypot(gap[:, 0], gap[:, 1])
    return distance


def _of_known_classes(boxes: Boxes, said: list[str]) -> Boxes:
    """Return boxes with the few of other classes as other_vehicle: so nobody's lead is taken for missing."""
    names = sorted(set(boxes.label_class.tolist()) - LABEL_CLASSES)
    if not names:
        return boxes
    unknown = np.isin(boxes.label_class, names)
    text = (
        f"{int(unknown.sum())} of {len(boxes)} boxes have a label_class that is not known "
        f"({listed(names)}); known are {', '.join(sorted(LABEL_CLASSES))}"
    )
    if unknown.mean() > MOST_UNKNOWN:
        raise UnreliableTracksError(f"{text}. Nothing is claimed about others; rename the classes")
    said.append(f"{text}. They count as other_vehicle")
    return replace(boxes, label_class=np.where(unknown, "other_vehicle", boxes.label_class))


def _around_ego(boxes: Boxes, ego: EgoMotion) -> NDArray[np.bool_]:
    """Say which boxes (M,) have their centre within ego's own box."""
    row = _rows(boxes, ego)
    heading = ego.heading[row]
    offset = boxes.xy - ego.xyz[row, :2]
    ahead = offset[:, 0] * np.cos(heading) + offset[:, 1] * np.sin(heading)
    left = -offset[:, 0] * np.sin(heading) + offset[:, 1] * np.cos(heading)
    inside: NDArray[np.bool_] = (ahead > -EGO_REAR_M) & (ahead < EGO_FRONT_M) & (abs(left) < EGO_HALF_WIDTH_M)
    return inside


def _rows(boxes: Boxes, ego: EgoMotion) -> NDArray[np.int64]:
    """Return the row of ego motion next to each box's time (M,)."""
    row: NDArray[np.int64] = np.rint(boxes.t_us / TICK_US).astype(np.int64) - ego.first_tick
    return np.clip(row, 0, len(ego) - 1)


def _tick_us(ego: EgoMotion, row: int) -> int:
    return (ego.first_tick + row) * TICK_US


def _seconds(start_us: int, end_us: int) -> str:
    return f"{start_us / 1e6:.1f} to {end_us / 1e6:.1f} s"
