"""How ego moves sideways along its road around a keyframe: against the lines that others drive, else by its path alone.

Where others drive along the same road, ego changes lanes where it moves over against most of them, however the road
bends. Where nobody does, a path that turns off its road and comes back to it has moved over. Where neither tells,
nothing is said.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from coc_labeling.scene.side_moves import SideMove, side_moves
from coc_labeling.scene.traffic import TrafficLines, stray_m
from coc_labeling.schema import Side
from coc_labeling.windows import Window
from driving_clips.ego_motion import TICK_SEC
from driving_clips.geometry import Floats

FIRST_END_SEC, LAST_START_SEC = 0.3, 6.0  # from the keyframe: what ends earlier or starts later is not its decision
SHORTEST_SEC, LONGEST_SEC = 1.2, 9.0
PLAIN_M = 15.0  # a shorter way shows no lane change
LANE_M = (2.4, 7.6)  # a lane, or two
ANCHORS_SEC = (-4.0, -1.0, 1.5)  # from where moves against others' lines are measured
TURN_RAD = 0.7  # who turns by more within a stretch is at a junction, where lines part
AROUND_TICKS = 15  # around a move: who moves over does not drive an even bend over all of it
STRAYS_M, EVEN_M = 0.25, 0.35  # from an even bend: so much is moving over, so little is none
SEVERAL_LINES = 2
REST_TICKS, RESTS_M = 15, 0.1  # who moves over by less in so long rests
LAST_M, FASTEST_MPS = 2.4, 2.0  # how fast the last bit of a lane change is driven at most
SETTLE_TICKS, SETTLED_M = 5, 0.15  # who moves over by less in so long has done so
RAMP_RAD, RAMP_TICKS = 0.04, 15  # a lane that came in at such an angle, so many ticks before, is a ramp
WHOLE_SEC = 4.5  # from the keyframe: lines that are known so far tell what did not happen as well
ALL_OF_IT_RAD = 0.03  # a path that turns by more against its even bend tells nothing of what did not happen


@dataclass(frozen=True)
class Sideways:
    """How ego moves sideways around a keyframe.

    Attributes:
        changes: moves by a lane or two, by their start, each side at most once against others' lines.
        nudges: moves by less, by their start.
        furthest_m: how far the path strays at most from its line through the window, to any side; None where the
            road's bend is not told, so that nothing can be said of moves that were not found.
    """

    changes: tuple[SideMove, ...]
    nudges: tuple[SideMove, ...]
    furthest_m: float | None

    def to(self, side: Side) -> float:
        """Return the furthest move to a side, in m; 0 where none was found."""
        return max((move.moved_m for move in (*self.changes, *self.nudges) if move.side is side), default=0.0)


def find_sideways(window: Window, lines: TrafficLines | None = None) -> Sideways | None:
    """Return how ego moves sideways; None where it drives too short a way, or backwards.

    Args:
        window: the keyframe and ego's motion around it.
        lines: of others along ego's path, where there are any.
    """
    first = max(window.row + round(ANCHORS_SEC[0] / TICK_SEC), 0)
    driven = window.ego.longitudinal_speed[first : window.last_row + 1]
    if driven.sum() * TICK_SEC < PLAIN_M or (driven < -0.3).any():
        return None
    alone = [move for move in side_moves(window.ego, window.keyframe.frame) if _is_around(move)]
    nudges = tuple(move for move in alone if not move.is_lane_change)
    own = [move for move in alone if move.is_lane_change]
    if lines is None:
        return Sideways(tuple(own), nudges, _furthest(window))
    among, furthest = _among_others(window, lines, SEVERAL_LINES)
    if not among:
        among, _ = _among_others(window, lines, 1)
    # All others may move over as ego does, as at an exit: what the path shows by itself counts as well, and shows best
    # where a move begins and ends.
    among = [move for move in among if not any(_is_same(move, other) for other in own)]
    changes = tuple(sorted((*among, *own), key=lambda move: move.starts_in_sec))
    return Sideways(changes, nudges, _furthest(window) if furthest is None else furthest)


def _is_around(move: SideMove) -> bool:
    return move.ends_in_sec >= FIRST_END_SEC and move.starts_in_sec <= LAST_START_SEC


def _is_same(move: SideMove, other: SideMove) -> bool:
    overlap = min(move.ends_in_sec, other.ends_in_sec) - max(move.starts_in_sec, other.starts_in_sec)
    return move.side is other.side and overlap > 0.0


def _among_others(window: Window, lines: TrafficLines, least: int) -> tuple[list[SideMove], float | None]:
    """Return moves by a lane that at least so many lines tell, and how far ego strays at most where that is known."""
    found: dict[Side, SideMove] = {}
    furthest = None
    for anchor in ANCHORS_SEC:
        first = max(window.row + round(anchor / TICK_SEC), 0)
        ahead = np.arange(first, window.last_row + 1)
        if not len(ahead):
            continue
        turned_off = np.abs(lines.heading[ahead] - lines.heading[first]) > TURN_RAD
        ahead = ahead[: int(np.argmax(turned_off))] if turned_off.any() else ahead
        offset = lines.ego_offset(float(lines.ego_s[first]), lines.ego_s[ahead], least)
        rows, offset = ahead[np.isfinite(offset)], offset[np.isfinite(offset)]
        t = window.ego.t_sec[rows] - window.t0_us / 1e6
        if len(rows) < 2 or t[-1] < FIRST_END_SEC:
            continue
        for side, start, end in _lane_moves(offset, t):
            if _is_ego_s(window, lines, int(rows[start]), int(rows[end]), least):
                moved = float(abs(offset[end] - offset[start]))
                ramp = _from_ramp(lines, int(rows[start]), side)
                found.setdefault(side, SideMove(side, moved, float(t[start]), float(t[end]), ramp))
        if len(rows) == len(ahead) and anchor == -1.0 and t[-1] >= WHOLE_SEC:
            furthest = float(np.abs(offset).max())
    return list(found.values()), furthest


def _lane_moves(offset: Floats, t: Floats) -> Iterator[tuple[Side, int, int]]:
    """Yield the first stretch of each side over which the offset changes by a lane, until it has settled."""
    change = offset[None, :] - offset[:, None]
    lasts = t[None, :] - t[:, None]
    fits = (lasts >= SHORTEST_SEC) & (lasts <= LONGEST_SEC)
    fits &= (t[None, :] >= FIRST_END_SEC) & (t[:, None] <= LAST_START_SEC)
    fits &= (np.abs(change) >= LANE_M[0]) & (np.abs(change) <= LANE_M[1])
    for side, sign in ((Side.LEFT, 1.0), (Side.RIGHT, -1.0)):
        own = fits & (np.sign(change) == sign)
        if own.any():
            end = int(np.argmax(own.any(axis=0)))
            start = int(np.flatnonzero(own[:, end])[-1])
            end = _settles(sign * offset, end)
            if _is_one_move(sign * offset[start : end + 1], t[start : end + 1]):
                yield side, start, end


def _settles(offset: Floats, end: int) -> int:
    """Return where a move that is a lane wide by ``end`` is over: lanes that come in at an angle draw together on."""
    while end + SETTLE_TICKS < len(offset) and offset[end + SETTLE_TICKS] - offset[end] >= SETTLED_M:
        end += 1
    return end


def _is_one_move(offset: Floats, t: Floats) -> bool:
    """Say whether a move to the positive side goes on without a rest, and no faster than lanes are changed.

    Two short moves with a rest between them are no lane change, and who comes over faster is on a road that meets the
    others' at an angle.
    """
    even = np.arange(t[0], t[-1] + 1e-9, TICK_SEC)
    over = np.interp(even, t, offset)
    rests = (over[REST_TICKS:] - over[:-REST_TICKS]).min(initial=np.inf) < RESTS_M
    last = even[-1] - even[np.argmax(over >= over[-1] - LAST_M)]
    return not rests and bool(last >= LAST_M / FASTEST_MPS)


def _is_ego_s(window: Window, lines: TrafficLines, start: int, end: int, least: int) -> bool:
    """Say whether a move between two rows is ego's: who moves over strays from an even bend.

    Where ego does not, it is the others that move. A single other one may do so as well as ego.
    """
    before, after = max(start - AROUND_TICKS, 0), min(end + AROUND_TICKS, len(window.ego) - 1)
    xy = window.ego.xyz[before : after + 1, :2]
    chord = xy[-1] - xy[0]
    length = float(np.hypot(*chord))
    if length < 1.0:
        return False
    moved = (xy - xy[0]) / length
    if stray_m(moved @ chord, chord[0] * moved[:, 1] - chord[1] * moved[:, 0]) < STRAYS_M:
        return False
    return least >= SEVERAL_LINES or lines.stray_m(float(lines.ego_s[before]), float(lines.ego_s[after])) < EVEN_M


def _from_ramp(lines: TrafficLines, start: int, side: Side) -> bool:
    """Say whether the lane that ego leaves at a row runs towards others' lines."""
    before = max(start - RAMP_TICKS, 0)
    way = float(lines.ego_s[start] - lines.ego_s[before])
    if way <= 0.0:
        return False
    moved = float(lines.ego_offset(float(lines.ego_s[before]), lines.ego_s[start : start + 1], 1)[0])
    return (moved if side is Side.LEFT else -moved) >= RAMP_RAD * way  # NaN compares as no ramp


def _furthest(window: Window) -> float | None:
    """Return how far the path strays from an even bend from a second before the keyframe to the window's end."""
    rows = slice(max(window.row - round(1.0 / TICK_SEC), 0), window.last_row + 1)
    xy, heading = window.ego.xyz[rows, :2], np.unwrap(window.ego.heading[rows])
    way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    if len(way) < 3 or way[-1] < PLAIN_M:
        return None
    stray = heading - np.polyval(np.polyfit(way, heading, 1), way)
    if np.abs(stray).max() > ALL_OF_IT_RAD:
        return None
    off = np.concatenate([[0.0], np.cumsum((stray[1:] + stray[:-1]) / 2 * np.diff(way))])
    return float(np.abs(off).max())
