"""Obstacle tracks on the clip's ticks, freed of what cannot be: boxes inside ego, swapped ids, clocks that are off."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driving_clips.ego_motion import TICK_US, EgoMotion
from driving_clips.geometry import Floats
from driving_clips.obstacles import ObstacleTracks

# Ego's own box around its reference point: a car of about 4.8 m by 2.0 m, measured from the rear axle.
EGO_FRONT_M, EGO_REAR_M, EGO_HALF_WIDTH_M = 3.8, 1.0, 1.0
BRIDGED_US = (
    500_000  # a hole in a track of up to this long is bridged, and a track goes on for as long past its last box
)
SPEED_US, SPEED_MIN_US = 1_000_000, 300_000  # the history that a road user's own motion is measured over
JUMP_MPS = 70.0  # no road user is faster than that: its id was given to another one
JUMP_M = 3.0  # less than that is noise of the tracker
GAPS_WORTH_SAYING = 0.2  # share of tracks


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
        problems: what was wrong, in words.
    """

    track_id: NDArray[np.str_]
    label_class: NDArray[np.str_]
    first_us: NDArray[np.int64]
    last_us: NDArray[np.int64]
    xy: Floats
    velocity: Floats
    yaw: Floats
    size: Floats
    problems: tuple[str, ...]


def on_ticks(tracks: ObstacleTracks, ego: EgoMotion, rows: NDArray[np.intp]) -> TickedTracks:
    """Bring tracks to the ticks of some rows of ego motion.

    Positions between two boxes are interpolated, past the last one they go on as before, both for half a second at
    most. Velocities look back only.
    """
    boxes, problems = _usable(tracks, ego)
    table = _BoxTable.of(boxes)
    problems += table.problems
    ticks_us = (ego.first_tick + rows).astype(np.int64) * TICK_US
    left, right, between = table.around(ticks_us)
    seen = left >= 0
    at = np.maximum(left, 0)
    age = np.where(seen, ticks_us[None, :] - table.t_us[at], 0) / 1e6
    span = np.where(between, table.t_us[right] - table.t_us[at], 1) / 1e6
    step = np.where(between[..., None], table.xy[right] - table.xy[at], 0.0) * (age / span)[..., None]
    going_on = np.nan_to_num(table.velocity[at]) * age[..., None]
    xy = table.xy[at] + np.where(between[..., None], step, going_on)
    hidden = ~seen[..., None]
    return TickedTracks(
        table.track_id,
        table.label_class,
        table.first_us,
        table.last_us,
        np.where(hidden, np.nan, xy),
        np.where(hidden, np.nan, table.velocity[at]),
        np.where(seen, table.yaw[at], np.nan),
        np.where(hidden, np.nan, table.size[at]),
        tuple(problems),
    )


def _usable(tracks: ObstacleTracks, ego: EgoMotion) -> tuple[ObstacleTracks, list[str]]:
    """Leave out boxes with no place and boxes around ego's own place; say so where there were any."""
    problems = []
    finite = np.isfinite(tracks.center[:, 0]) & np.isfinite(tracks.center[:, 1])
    if not finite.all():
        problems.append(f"{int((~finite).sum())} of {len(finite)} boxes have no place (NaN) and were left out")
    row = np.clip(np.rint(tracks.t_us / TICK_US).astype(np.int64) - ego.first_tick, 0, len(ego) - 1)
    heading = ego.heading[row]
    offset = tracks.center[:, :2] - ego.xyz[row, :2]
    ahead = offset[:, 0] * np.cos(heading) + offset[:, 1] * np.sin(heading)
    left = -offset[:, 0] * np.sin(heading) + offset[:, 1] * np.cos(heading)
    inside = (ahead > -EGO_REAR_M) & (ahead < EGO_FRONT_M) & (abs(left) < EGO_HALF_WIDTH_M) & finite
    if inside.any():
        names = sorted(set(tracks.track_id[inside].tolist()))
        problems.append(
            f"{int(inside.sum())} boxes stand where ego is (track {', '.join(names[:3])}"
            f"{' and others' if len(names) > 3 else ''}) and were left out; ego itself may have been tracked"
        )
    keep = finite & ~inside
    return (tracks if keep.all() else tracks.select(keep)), problems


@dataclass(frozen=True)
class _BoxTable:
    """Boxes sorted by track and time, M of N tracks; no time twice in a track."""

    track: NDArray[np.int64]  # (M,) number of the track
    t_us: NDArray[np.int64]
    xy: Floats
    velocity: Floats
    yaw: Floats
    size: Floats
    track_id: NDArray[np.str_]  # (N,)
    label_class: NDArray[np.str_]
    first_us: NDArray[np.int64]
    last_us: NDArray[np.int64]
    problems: list[str]

    @classmethod
    def of(cls, boxes: ObstacleTracks) -> "_BoxTable":
        """Sort boxes by track and time, keep the first of equal times, and cut tracks where an id jumps."""
        order = np.lexsort((boxes.t_us, boxes.track_id))
        ids, t_us = boxes.track_id[order], boxes.t_us[order]
        again = np.concatenate([[False], (ids[1:] == ids[:-1]) & (t_us[1:] == t_us[:-1])]) if len(ids) else ids == ""
        order, ids, t_us = order[~again], ids[~again], t_us[~again]
        xy = boxes.center[order, :2]
        new_id = ids[1:] != ids[:-1]
        seconds = np.maximum(np.diff(t_us), 1) / 1e6
        moved = np.hypot(*np.diff(xy, axis=0).T) if len(xy) else np.zeros(0)
        jumps = ~new_id & (moved > np.maximum(JUMP_M, JUMP_MPS * seconds))
        track = np.concatenate([[0], np.cumsum(new_id | jumps)]).astype(np.int64)[: len(ids)]
        first = np.flatnonzero(np.diff(track, prepend=-1))
        last = np.append(first[1:], len(track)) - 1 if len(track) else first
        problems = _hole_problems(t_us, new_id | jumps, len(first))
        if jumps.any():
            names = sorted(set(ids[1:][jumps].tolist()))
            problems.append(
                f"track {', '.join(names[:3])}{' and others' if len(names) > 3 else ''} jumps faster than "
                f"{JUMP_MPS:.0f} m/s: the id was given to another road user; each part counts as a track of its own"
            )
        return cls(
            track,
            t_us,
            xy,
            _velocities(track, t_us, xy),
            boxes.yaw[order],
            boxes.size[order, :2],
            ids[first],
            boxes.label_class[order][first],
            t_us[first],
            t_us[last],
            problems,
        )

    def around(self, ticks_us: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
        """Return for each track and tick (N, R) the box at or before it, the one after it, and whether it lies between.

        The first is -1 where the track is not seen.
        """
        count = len(self.t_us)
        shape = (len(self.track_id), len(ticks_us))
        if not count:
            empty = np.zeros(shape, dtype=np.intp)
            return empty - 1, empty, empty.astype(bool)
        keys, wanted = _keys(self.track, self.t_us, np.arange(shape[0]), ticks_us)
        left = np.searchsorted(keys, wanted, side="right") - 1
        own = (left >= 0) & (self.track[np.maximum(left, 0)] == np.arange(shape[0])[:, None])
        right = np.minimum(left + 1, count - 1)
        follows = own & (left + 1 < count) & (self.track[right] == self.track[np.maximum(left, 0)])
        at = np.maximum(left, 0)
        between = follows & (self.t_us[right] - self.t_us[at] <= BRIDGED_US)
        seen = own & (between | (ticks_us[None, :] - self.t_us[at] <= BRIDGED_US))
        return np.where(seen, left, -1), right, between & seen


def _keys(
    track: NDArray[np.int64], t_us: NDArray[np.int64], tracks: NDArray[np.intp], ticks_us: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return one increasing number per box, and the same for each track and tick (N, R)."""
    low = min(int(t_us.min()), int(ticks_us.min()))
    width = max(int(t_us.max()), int(ticks_us.max())) - low + 1
    return track * width + (t_us - low), tracks[:, None] * width + (ticks_us - low)[None, :]


def _velocities(track: NDArray[np.int64], t_us: NDArray[np.int64], xy: Floats) -> Floats:
    """Return each box's velocity over the second before it (M, 2).

    NaN where its track is younger than 0.3 s or has fewer than three boxes there.
    """
    if not len(t_us):
        return np.zeros((0, 2))
    width = int(t_us.max() - t_us.min()) + SPEED_US + 1
    keys = track * width + (t_us - t_us.min())
    back = np.searchsorted(keys, keys - SPEED_US, side="left")  # the first box within the second
    first = np.searchsorted(track, track, side="left")
    back = np.maximum(back, first)
    spent = t_us - t_us[back]
    enough = (spent >= SPEED_MIN_US) & (np.arange(len(t_us)) - back >= 2)
    moved = xy - xy[back]
    velocity: Floats = np.where(enough[:, None], moved / np.maximum(spent, 1)[:, None] * 1e6, np.nan)
    return velocity


def _hole_problems(t_us: NDArray[np.int64], new_track: NDArray[np.bool_], tracks: int) -> list[str]:
    """Say where many tracks have holes that are not bridged."""
    holes = (np.diff(t_us) > BRIDGED_US) & ~new_track
    with_holes = len(np.unique(np.concatenate([[0], np.cumsum(new_track)])[1:][holes])) if holes.any() else 0
    if with_holes <= GAPS_WORTH_SAYING * tracks:
        return []
    return [
        f"{with_holes} of {tracks} tracks have holes over {BRIDGED_US / 1e6} s, up to "
        f"{np.diff(t_us)[holes].max() / 1e6:.1f} s; nothing is claimed about what happened in them"
    ]
