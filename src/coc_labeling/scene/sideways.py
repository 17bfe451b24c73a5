"""How far ego moves sideways along its road, told from the lines that others drive there, else from its path alone.

Without a map the road is taken to bend evenly where ego's path does so before, during and after a stretch; what the
path does beyond that in between is a move to one side. Where the three do not agree the road may bend as it likes, and
nothing is told of that stretch.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from coc_labeling.scene.traffic import TrafficLines, stray_m
from coc_labeling.schema import Side
from coc_labeling.windows import Window
from driving_clips.geometry import Floats

BEFORE_SEC = 4.0  # a move that goes on at the keyframe may have begun so long before
FIRST_END_SEC, LAST_START_SEC = 0.3, 3.5  # from the keyframe: what ends earlier or starts later is not its decision
LONGEST_SEC = 9.0
SHORTEST_M, ENDS_M = 8.0, 4.0  # of a move; of the path before and after it that shows the road's bend
STEP_M, MOST_STEPS = 0.5, 160
LANE_M = (2.4, 7.6)  # a lane, or two
DOUBT_M, DOUBT_SHARE = 0.8, 0.25  # how far the bend of the road may lead a measured move astray, at most
NUDGE_DOUBT_M = 0.15
MOST_TURN_RAD = 0.6  # who turns away by more does not change lanes
MOVING_SHARE = 0.1
BACK_SHARE = 0.15  # of the furthest turn away: so much to the other side is noise
PLAIN_M = 15.0  # a shorter way shows no lane change
ANCHORS_SEC = (-4.0, -1.0, 1.5)  # from where moves against others' lines are measured
AMONG_TURN_RAD = 0.7  # who turns by more within a stretch is at a junction, where lines part
KEPT_M = 1.0  # who stays so near to others' lines has not changed lanes
AROUND_TICKS = 15  # around a move: who moves over does not drive an even bend over all of it
STRAYS_M, EVEN_M = 0.25, 0.35
SHORTEST_SEC = 1.2
SETTLE_TICKS, SETTLED_M = 5, 0.15  # who moves over by less in so long has done so
SEVERAL_LINES = 2
LINES_LANE_M = 2.4
SURE_SEC, SURE_RAD = 6.0, 0.045  # by the path alone only quick moves are sure, on a road that is straight otherwise
WHOLE_SEC = 4.5  # from the keyframe: lines that are known so far tell what did not happen as well


@dataclass(frozen=True)
class Move:
    """One move to a side.

    Attributes:
        side: to which side.
        moved_m: how far.
        starts_in_sec, ends_in_sec: from the keyframe.
        sure: it is ego's own move, and no bend of the road.
    """

    side: Side
    moved_m: float
    starts_in_sec: float
    ends_in_sec: float
    sure: bool = False


@dataclass(frozen=True)
class Sideways:
    """How ego moves sideways around a keyframe.

    Attributes:
        changes: moves by a lane or two, the clearest of each side, by their start.
        nudges: clear moves by less, the furthest of each side, by their start.
        furthest_m: how far the path strays at most from an even bend through the window, to any side; None where the
            road's bend is not told, so that nothing can be said of moves that were not found.
    """

    changes: tuple[Move, ...]
    nudges: tuple[Move, ...]
    furthest_m: float | None

    def to(self, side: Side) -> float:
        """Return the furthest move to a side, in m; 0 where none was found."""
        return max((move.moved_m for move in (*self.changes, *self.nudges) if move.side is side), default=0.0)


def find_sideways(window: Window, lines: TrafficLines | None = None, ego_s: Floats | None = None) -> Sideways | None:
    """Return how ego moves sideways; None where it drives too short a way to tell.

    Args:
        window: the keyframe and ego's motion around it.
        lines: of others along ego's path, where there are any.
        ego_s: (T,) m along the path of these lines at each row of ego motion.
    """
    by_path = _by_path(window)
    if by_path is None or lines is None or ego_s is None:
        return by_path
    changes, kept_until, furthest = _among_others(window, lines, ego_s, SEVERAL_LINES)
    if not changes:
        told = {move.side for move in by_path.changes}
        alone, _, _ = _among_others(window, lines, ego_s, 1)
        changes = [replace(move, sure=move.sure or move.side in told) for move in alone]
    # A bend of the road that looks like a lane change by the path alone is none where others' lines bend alike.
    own = [m for m in by_path.changes if m.ends_in_sec > kept_until and m.side not in {c.side for c in changes}]
    merged = tuple(sorted((*changes, *own), key=lambda move: move.starts_in_sec))
    return Sideways(merged, by_path.nudges, furthest if furthest is not None else by_path.furthest_m)


def _among_others(
    window: Window, lines: TrafficLines, ego_s: Floats, least: int
) -> tuple[list[Move], float, float | None]:
    """Return moves by a lane against others' lines, until when there is none, and how far ego strays at most."""
    found: dict[Side, Move] = {}
    kept_until, furthest = -np.inf, None
    heading = np.unwrap(window.ego.heading)
    for anchor in ANCHORS_SEC:
        first = max(window.row + round(anchor * 10), 0)
        ahead = np.arange(first, window.last_row + 1)
        if not len(ahead):
            continue
        turned_off = np.abs(heading[ahead] - heading[first]) > AMONG_TURN_RAD
        ahead = ahead[: int(np.argmax(turned_off))] if turned_off.any() else ahead
        offset = lines.ego_offset(float(ego_s[first]), ego_s[ahead], least)
        rows, offset = ahead[np.isfinite(offset)], offset[np.isfinite(offset)]
        t = (rows - window.row) / 10.0
        if len(rows) < 2 or t[-1] < FIRST_END_SEC:
            continue
        for move in _lane_moves(offset, t):
            start, end = (int(rows[np.searchsorted(t, at)]) for at in (move.starts_in_sec, move.ends_in_sec))
            # Who moves over strays from an even bend; where ego does not, it is the others that do.
            before, after = max(start - AROUND_TICKS, 0), min(end + AROUND_TICKS, len(heading) - 1)
            if _stray(window.ego.xyz[before : after + 1, :2]) < STRAYS_M:
                continue
            even = lines.stray_m(float(ego_s[before]), float(ego_s[after]), heading, ego_s) < EVEN_M
            if even or least >= SEVERAL_LINES:
                found.setdefault(move.side, replace(move, sure=True))
        whole = len(rows) == len(ahead)
        if whole and anchor <= 0.0 and float(np.abs(offset).max()) < KEPT_M:
            kept_until = max(kept_until, float(t[-1]))
        if whole and anchor == -1.0 and t[-1] >= WHOLE_SEC:
            furthest = float(np.abs(offset).max())
    return list(found.values()), kept_until, furthest


def _stray(xy: Floats) -> float:
    """Return how far a path (T, 2) strays at most from the even bend that fits it best, in m."""
    chord = xy[-1] - xy[0]
    length = float(np.hypot(*chord))
    if length < 1.0:
        return 0.0
    moved = (xy - xy[0]) / length
    return stray_m(moved @ chord, chord[0] * moved[:, 1] - chord[1] * moved[:, 0])


def _lane_moves(offset: Floats, t: Floats) -> list[Move]:
    """Return the shortest stretch of each side over which the offset changes by a lane."""
    change = offset[None, :] - offset[:, None]
    lasts = t[None, :] - t[:, None]
    fits = (
        (lasts >= SHORTEST_SEC)
        & (lasts <= LONGEST_SEC)
        & (t[None, :] >= FIRST_END_SEC)
        & (t[:, None] <= LAST_START_SEC)
    )
    fits &= (np.abs(change) >= LINES_LANE_M) & (np.abs(change) <= LANE_M[1])
    moves = []
    for side, sign in ((Side.LEFT, 1.0), (Side.RIGHT, -1.0)):
        own = fits & (np.sign(change) == sign)
        if own.any():
            start, end = np.unravel_index(np.argmin(np.where(own, lasts, np.inf)), own.shape)
            end = _settles(sign * offset, int(end))
            moves.append(Move(side, float(abs(change[start, end])), float(t[start]), float(t[end]), sure=True))
    return moves


def _settles(offset: Floats, end: int) -> int:
    """Return where a move that is a lane wide by ``end`` is over: lanes that come in at an angle draw together on."""
    while end + SETTLE_TICKS < len(offset) and offset[end + SETTLE_TICKS] - offset[end] >= SETTLED_M:
        end += 1
    return end


def _by_path(window: Window) -> Sideways | None:
    path = _Path.of(window)
    if path is None:
        return None
    start, end = np.meshgrid(np.arange(len(path.s)), np.arange(len(path.s)), indexing="ij")
    length = path.s[end] - path.s[start]
    lasts = path.t[end] - path.t[start]
    fits = (length >= SHORTEST_M) & (lasts <= LONGEST_SEC)
    fits &= (path.t[end] >= FIRST_END_SEC) & (path.t[start] <= LAST_START_SEC)
    first, last = start[fits], end[fits]
    if not len(first):
        return Sideways((), (), path.furthest())
    offset, doubt = path.moves(first, last)
    return Sideways(
        path.clearest(first, last, offset, doubt, LANE_M, np.minimum(DOUBT_M, DOUBT_SHARE * np.abs(offset))),
        path.clearest(first, last, offset, doubt, (0.3, LANE_M[0]), np.full(len(first), NUDGE_DOUBT_M), furthest=True),
        path.furthest(),
    )


@dataclass(frozen=True)
class _Path:
    """Ego's path in even steps: m along it, s from the keyframe, and its heading in rad, left positive."""

    s: Floats
    t: Floats
    heading: Floats
    moved: Floats  # the integral of the heading along the way

    @classmethod
    def of(cls, window: Window) -> "_Path | None":
        first = max(window.row - round(BEFORE_SEC * 10), 0)
        rows = slice(first, window.last_row + 1)
        xy = window.ego.xyz[rows, :2]
        way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
        if way[-1] < PLAIN_M or (window.ego.longitudinal_speed[rows] < -0.3).any():
            return None
        t = window.ego.t_sec[rows] - window.t0_us / 1e6
        s = np.linspace(0.0, way[-1], min(MOST_STEPS, int(way[-1] / STEP_M)) + 1)
        heading = np.interp(s, way, np.unwrap(window.ego.heading[rows]))
        steps = (heading[1:] + heading[:-1]) / 2 * np.diff(s)
        return cls(s, np.interp(s, way, t), heading, np.concatenate([[0.0], np.cumsum(steps)]))

    def moves(self, first: NDArray[np.intp], last: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Return how far stretches move sideways beyond an even bend, left positive, and how doubtful that is, in m."""
        length, ends = self.s[last] - self.s[first], max(1, round(ENDS_M / (self.s[1] - self.s[0])))
        bend = (self.heading[last] - self.heading[first]) / length
        offset = self.moved[last] - self.moved[first] - (self.heading[last] + self.heading[first]) / 2 * length
        before, after = np.maximum(first - ends, 0), np.minimum(last + ends, len(self.s) - 1)
        spans = ((before, first), (last, after))
        off = [np.abs(self._bend(*span) - bend) for span in spans]
        return offset, np.maximum(*off) * length**2 / 4

    def _bend(self, first: NDArray[np.intp], last: NDArray[np.intp]) -> Floats:
        """Return the mean curvature of stretches; of empty ones NaN: there the path shows nothing."""
        length = self.s[last] - self.s[first]
        with np.errstate(invalid="ignore", divide="ignore"):
            bend: Floats = (self.heading[last] - self.heading[first]) / length
        return bend

    def clearest(
        self,
        first: NDArray[np.intp],
        last: NDArray[np.intp],
        offset: Floats,
        doubt: Floats,
        bounds: tuple[float, float],
        most_doubt: Floats,
        *,
        furthest: bool = False,
    ) -> tuple[Move, ...]:
        """Return the clearest, or the furthest, move of each side within bounds in m."""
        found = []
        size = np.abs(offset)
        good = (size >= bounds[0]) & (size <= bounds[1]) & (doubt <= most_doubt)
        for side, sign in ((Side.LEFT, 1.0), (Side.RIGHT, -1.0)):
            own = np.flatnonzero(good & (np.sign(offset) == sign))
            order = own[np.argsort(-size[own] if furthest else doubt[own] / size[own], kind="stable")]
            for index in order[:20]:
                a, b = int(first[index]), int(last[index])
                if self._is_one_move(a, b, sign):
                    a, b = self._trimmed(a, b)
                    found.append(
                        Move(side, float(size[index]), float(self.t[a]), float(self.t[b]), self._is_sure(a, b))
                    )
                    break
        return tuple(sorted(found, key=lambda move: move.starts_in_sec))

    def _is_one_move(self, first: int, last: int, sign: float) -> bool:
        """Say whether the heading goes to one side of the road's and comes back."""
        own = self.heading[first : last + 1]
        away = (own - np.linspace(own[0], own[-1], len(own))) * sign
        return bool(away.max() <= MOST_TURN_RAD and away.min() >= -BACK_SHARE * away.max() - 0.005)

    def _trimmed(self, first: int, last: int) -> tuple[int, int]:
        """Return a stretch without what runs straight before and after the move in it."""
        own = self.heading[first : last + 1]
        away = np.abs(own - np.linspace(own[0], own[-1], len(own)))
        moving = np.flatnonzero(away > MOVING_SHARE * away.max())
        return first + max(int(moving[0]) - 1, 0), min(first + int(moving[-1]) + 1, last)

    def _is_sure(self, first: int, last: int) -> bool:
        """Say whether the road is straight before and after a move, and the move a quick one."""
        outside = np.concatenate([self.heading[: first + 1], self.heading[last:]])
        return bool(self.t[last] - self.t[first] <= SURE_SEC and np.ptp(outside) <= SURE_RAD)

    def furthest(self) -> float | None:
        """Return how far the path strays from an even bend from a second before the keyframe to the window's end."""
        first = int(np.searchsorted(self.t, -1.0))
        own, s = self.heading[first:], self.s[first:]
        if len(own) < 3 or s[-1] - s[0] < PLAIN_M:
            return None
        fit = np.polyfit(s - s[0], own, 1)
        stray = own - np.polyval(fit, s - s[0])
        off = np.concatenate([[0.0], np.cumsum((stray[1:] + stray[:-1]) / 2 * np.diff(s))])
        furthest = float(np.abs(off).max())
        return furthest if np.abs(stray).max() <= 0.03 else None
