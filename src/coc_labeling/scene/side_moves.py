"""Ego's own moves to a side: lane changes and nudges, told from its path alone.

A path that turns away from its road and comes back to the road's direction has moved over. Without a map the road is
taken to bend evenly in between; where it bends unevenly the two cannot be told apart, and nothing is said.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coc_labeling.schema import Side
from driving_clips.ego_motion import TICK_SEC, EgoMotion
from driving_clips.geometry import Floats

Rows = NDArray[np.intp]

SHORTEST, LONGEST, STRIDE = 16, 70, 2  # ticks of a move, and how finely its ends are looked for
SLOWEST_MPS = 1.5  # slower paths wind for all kinds of reasons
LEAST_M = 0.3  # less is no moving over
LANE_CHANGE_M, MOST_M = 2.3, 4.8  # a lane is 2.5 to 4.5 m wide
MOST_BEND_RAD = 0.08  # the road's own turn between both ends
BEND_EXPLAINS = 0.8  # of that turn times the length: an uneven bend can look like half of it
# Where the road turns by more than that, only lane changes are told, and only where it bends evenly for long.
CURVE_RAD, CURVE_LEAST_M, CURVE_LEAST_MPS, CURVE_SETTLED = 0.3, 2.6, 8.0, 40
MOST_TURN_RAD = 0.6  # who turns away by more turns off
SETTLED = 8  # ticks before and after the move that must show the same road
SETTLED_SHARES = (0.25, 0.5, 0.75, 1.0)  # of that time, where it is looked at
STEADY_RAD = 0.008  # by which the heading may differ then
NEARLY = 0.85  # of the way over: the move is as short as shows that much
MOVING = 0.1  # of the most that the heading is off the road: there it begins and ends


@dataclass(frozen=True)
class SideMove:
    """One move to a side.

    Attributes:
        side: to which.
        moved_m: by how much, against the road.
        starts_in_sec, ends_in_sec: from the moment asked about.
        from_ramp: the lane that ego comes from runs towards the other one.
    """

    side: Side
    moved_m: float
    starts_in_sec: float
    ends_in_sec: float
    from_ramp: bool = False

    @property
    def is_lane_change(self) -> bool:
        """Whether it is by a lane, rather than within one."""
        return self.moved_m >= LANE_CHANGE_M


def side_moves(ego: EgoMotion, tick: int) -> tuple[SideMove, ...]:
    """Return all moves of a clip to a side, by their start, their times from a tick on; none overlaps another one."""
    speed, heading = ego.speed, np.unwrap(ego.heading)
    way = np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / 2 * TICK_SEC)])
    turned = np.concatenate([[0.0], np.cumsum((heading[1:] + heading[:-1]) / 2 * np.diff(way))])
    starts = np.arange(0, len(ego) - SHORTEST, STRIDE)
    lengths = np.arange(SHORTEST, LONGEST + 1, STRIDE)
    if not len(starts):
        return ()
    start, end = np.broadcast_arrays(starts[:, None], starts[:, None] + lengths)
    inside = end < len(ego)
    start, end = start[inside], end[inside]
    driven, apart = way[end] - way[start], np.abs(heading[end] - heading[start])
    offset = _offset(heading, way, turned, start, end)
    fits = (np.abs(offset) >= LEAST_M) & (np.abs(offset) <= MOST_M)
    fits &= driven >= SLOWEST_MPS * (end - start) * TICK_SEC
    straight = (apart <= MOST_BEND_RAD) & (np.abs(offset) >= BEND_EXPLAINS * apart * driven)
    fast = driven >= CURVE_LEAST_MPS * (end - start) * TICK_SEC
    fits &= straight | ((apart <= CURVE_RAD) & (np.abs(offset) >= CURVE_LEAST_M) & fast)
    start, end, offset, straight = start[fits], end[fits], offset[fits], straight[fits]
    settled = _settled(heading, way, start, end, SETTLED)
    settled &= straight | _settled(heading, way, start, end, CURVE_SETTLED)
    chosen = _chosen(heading, start[settled], end[settled], offset[settled])
    return tuple(
        SideMove(
            Side.LEFT if moved > 0 else Side.RIGHT,
            abs(moved),
            (ego.first_tick + first - tick) * TICK_SEC,
            (ego.first_tick + last - tick) * TICK_SEC,
        )
        for first, last, moved in chosen
    )


def _settled(heading: Floats, way: Floats, start: Rows, end: Rows, ticks: int) -> NDArray[np.bool_]:
    """Say which moves ego begins and ends driving along its road, for so long before and after."""
    before, after = np.maximum(start - ticks, 0), np.minimum(end + ticks, len(heading) - 1)
    bend = (heading[end] - heading[start]) / np.maximum(way[end] - way[start], 1.0)
    fits = np.ones(len(start), dtype=bool)
    for first, last in ((before, start), (end, after)):
        for share in SETTLED_SHARES:
            at = first + np.rint(share * (last - first)).astype(np.intp)
            turned_on = np.abs(heading[at] - heading[first] - bend * (way[at] - way[first]))
            fits &= turned_on <= STEADY_RAD
    return fits


def _offset(heading: Floats, way: Floats, turned: Floats, start: Rows, end: Rows) -> Floats:
    """Return how far the path moves to the left of a road that turns evenly between both ends."""
    return turned[end] - turned[start] - (heading[end] + heading[start]) / 2 * (way[end] - way[start])


def _chosen(heading: Floats, start: Rows, end: Rows, offset: Floats) -> list[tuple[int, int, float]]:
    """Return the widest moves that do not overlap, by their start, each as short as shows nearly all of it."""
    taken = np.zeros(len(heading), dtype=bool)
    moves: list[tuple[int, int, float]] = []
    alive = np.ones(len(start), dtype=bool)
    for index in np.argsort(-np.abs(offset), kind="stable"):
        if not alive[index]:
            continue
        if not _is_one_move(heading[start[index] : end[index] + 1], offset[index]):
            continue
        same = (np.sign(offset) == np.sign(offset[index])) & (start >= start[index]) & (end <= end[index])
        enough = np.flatnonzero(same & (np.abs(offset) >= NEARLY * abs(offset[index])))
        best = enough[np.argmin((end - start)[enough])]
        first, last = _edges(heading, int(start[best]), int(end[best]))
        if not taken[first : last + 1].any():
            moves.append((first, last, float(offset[index])))
            taken[first : last + 1] = True
        alive &= (end <= first) | (start >= last)
    return sorted(moves)


def _is_one_move(heading: Floats, offset: float) -> bool:
    """Say whether the heading goes to the side of ``offset`` and back, and to the other side hardly at all."""
    road = np.linspace(heading[0], heading[-1], len(heading))
    away = (heading - road) * np.sign(offset)
    return bool(away.max() <= MOST_TURN_RAD and away.min() >= -0.3 * away.max())


def _edges(heading: Floats, start: int, end: int) -> tuple[int, int]:
    """Return where a move begins and ends: where the heading first and last is notably off the road's."""
    away = np.abs(heading[start : end + 1] - np.linspace(heading[start], heading[end], end + 1 - start))
    off = np.flatnonzero(away >= MOVING * away.max())
    return start + int(off[0]), start + int(off[-1])
