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
MOST_TURN_RAD = 0.6  # who turns away by more turns off
SETTLED = 8  # ticks before and after the move that must show the same road
SETTLED_SHARES = (0.25, 0.5, 0.75, 1.0)  # of that time, where it is looked at
STEADY_RAD = 0.008  # by which the heading may differ then
NEARLY = 0.93  # of the way over: the move is as short as shows that much
MOVING = 0.1  # of the most that the heading is off the road: there it begins and ends


@dataclass(frozen=True)
class SideMove:
    """One move to a side.

    Attributes:
        side: to which.
        offset_m: by how much, against the road.
        start_tick, end_tick: on the clip clock.
    """

    side: Side
    offset_m: float
    start_tick: int
    end_tick: int

    @property
    def is_lane_change(self) -> bool:
        """Whether it is by a lane, rather than within one."""
        return self.offset_m >= LANE_CHANGE_M


def side_moves(ego: EgoMotion) -> tuple[SideMove, ...]:
    """Return a clip's moves to a side, by their start; none overlaps another one."""
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
    fits &= (apart <= MOST_BEND_RAD) & (np.abs(offset) >= BEND_EXPLAINS * apart * driven)
    fits &= driven >= SLOWEST_MPS * (end - start) * TICK_SEC
    before, after = np.maximum(start - SETTLED, 0), np.minimum(end + SETTLED, len(ego) - 1)
    bend = (heading[end] - heading[start]) / np.maximum(driven, 1.0)
    for first, last in ((before, start), (end, after)):  # ego drives along its road before and after, all the while
        for share in SETTLED_SHARES:
            at = first + np.rint(share * (last - first)).astype(np.intp)
            turned_on = np.abs(heading[at] - heading[first] - bend * (way[at] - way[first]))
            fits &= turned_on <= STEADY_RAD
    start, end, offset = start[fits], end[fits], offset[fits]
    return _chosen(ego, heading, start, end, offset)


def _offset(heading: Floats, way: Floats, turned: Floats, start: Rows, end: Rows) -> Floats:
    """Return how far the path moves to the left of a road that turns evenly between both ends."""
    return turned[end] - turned[start] - (heading[end] + heading[start]) / 2 * (way[end] - way[start])


def _chosen(ego: EgoMotion, heading: Floats, start: Rows, end: Rows, offset: Floats) -> tuple[SideMove, ...]:
    """Return the widest moves that do not overlap, each as short as shows nearly all of it."""
    taken = np.zeros(len(ego), dtype=bool)
    moves: list[SideMove] = []
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
            moves.append(
                SideMove(
                    Side.LEFT if offset[index] > 0 else Side.RIGHT,
                    float(abs(offset[index])),
                    ego.first_tick + first,
                    ego.first_tick + last,
                )
            )
            taken[first : last + 1] = True
        alive &= (end <= first) | (start >= last)
    return tuple(sorted(moves, key=lambda move: move.start_tick))


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
