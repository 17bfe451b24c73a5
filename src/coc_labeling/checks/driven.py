"""What ego measurably did around a keyframe: meta-actions, speed, turning, and moving sideways."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from coc_labeling.scene.ego import Bend, find_bend
from coc_labeling.scene.sideways import Sideways, find_sideways
from coc_labeling.scene.traffic import TrafficLines
from coc_labeling.schema import Side
from coc_labeling.windows import Window
from driving_clips.ego_motion import TICK_SEC
from driving_clips.geometry import Floats
from meta_action.names import LATERAL
from meta_action.timeline import Span

STANDING_MPS = 0.5
BRAKING_MPS = 0.02  # less from one tick to the next
BRAKES_ON_SEC = 5.0  # beyond the clip's end: who would stand by then may be about to stop
NOTABLE_TICKS = 5  # a shorter span is no manoeuvre
SOON_TICKS = 30  # what begins within 3 s of the keyframe belongs to its decision
CURVE_TICKS = 30  # who steers to one side for longer follows a curve, and may move over to the other side in it

FIRST_TURN_RAD = 0.61  # 35 degrees

LANE_CHANGES = ("left_lane_change", "right_lane_change")
SHIFTS = ("slightly_shift_left", "slightly_shift_right")
TURNS = ("turn_left", "turn_right")


@dataclass(frozen=True)
class SpeedCourse:
    """How ego's speed went from the keyframe on.

    Attributes:
        t_sec: (N,) s since the keyframe, 0 first.
        mps: (N,) m/s along the heading, backwards negative.
        before_mps: (M,) the same over the seconds before the keyframe, which is the last one.
    """

    t_sec: Floats
    mps: Floats
    before_mps: Floats

    @property
    def start_mps(self) -> float:
        """Speed at the keyframe."""
        return float(self.mps[0])

    def fall_mps(self, within_sec: float) -> float:
        """Return by how much the speed falls at most from one moment to a later one within that time."""
        mps = np.abs(self.mps[self.t_sec <= within_sec])
        return float((np.maximum.accumulate(mps) - mps).max())

    def rise_mps(self, within_sec: float) -> float:
        """Return by how much the speed rises at most from one moment to a later one within that time."""
        mps = np.abs(self.mps[self.t_sec <= within_sec])
        return float((mps - np.minimum.accumulate(mps)).max())

    def change_mps(self, after_sec: float) -> float:
        """Return how much faster ego is after that time than at the keyframe."""
        row = int(np.searchsorted(self.t_sec, min(after_sec, float(self.t_sec[-1])) - 1e-6))
        return float(abs(self.mps[row]) - abs(self.mps[0]))

    def stands_in_sec(self) -> float | None:
        """Return when ego first stands; None where it does not within the window."""
        standing = np.flatnonzero(np.abs(self.mps) < STANDING_MPS)
        return float(self.t_sec[standing[0]]) if len(standing) else None

    def falls_in_sec(self, by_mps: float) -> float | None:
        """Return when a fall by so much begins: the last moment before it that is as fast as any; None without one."""
        return _onset(np.abs(self.mps), self.t_sec, by_mps)

    def rises_in_sec(self, by_mps: float) -> float | None:
        """Return when a rise by so much begins; None without one."""
        return _onset(-np.abs(self.mps), self.t_sec, by_mps)


def _onset(mps: Floats, t_sec: Floats, by_mps: float) -> float | None:
    highest = np.maximum.accumulate(mps)
    fallen = np.flatnonzero(highest - mps >= by_mps)
    if not len(fallen):
        return None
    before = mps[: fallen[0] + 1]
    return float(t_sec[np.flatnonzero(before >= before.max() - 0.05)[-1]])


@dataclass(frozen=True)
class DrivenFacts:
    """What ego did from the keyframe to the window's end.

    Attributes:
        start_tick: the keyframe's tick.
        spans: meta-actions that reach into that time, of at least half a second there.
        slowest_mps, fastest_mps: longitudinal speed over that time, absolute; the slowest with a braking that goes on.
        complete: the window's end, and such a braking's, lie within the clip, so what is not there did not happen.
        window: what all this was measured in; None where only the above is known.
        lines: of others along ego's path, where there are any.
        stands_in_sec: when ego first stands, over the time of ``slowest_mps``; None where it does not.
    """

    start_tick: int
    spans: tuple[Span, ...]
    slowest_mps: float
    fastest_mps: float
    complete: bool
    window: Window | None = None
    lines: TrafficLines | None = None
    stands_in_sec: float | None = None

    @property
    def whole(self) -> bool:
        """Whether the window's end lies within the clip, whatever ego does there."""
        return self.complete if self.window is None else self.window.info.missing_future_sec < TICK_SEC

    @cached_property
    def course(self) -> SpeedCourse | None:
        """How the speed went."""
        if self.window is None:
            return None
        window = self.window
        rows = slice(window.row, window.last_row + 1)
        speed = window.ego.longitudinal_speed
        history = round(window.history_sec / TICK_SEC)
        t_sec = np.arange(window.last_row + 1 - window.row, dtype=np.float64) * TICK_SEC
        return SpeedCourse(t_sec, speed[rows], speed[max(window.row - history, 0) : window.row + 1])

    @cached_property
    def bend(self) -> Bend | None:
        """The curve or turn that ego drives, as a whole."""
        return None if self.window is None else find_bend(self.window)

    @cached_property
    def turned_rad(self) -> tuple[float, float] | None:
        """How far ego's heading goes to the left and to the right of that at the keyframe, at most."""
        if self.window is None:
            return None
        heading = np.unwrap(self.window.ego.heading[self.window.row : self.window.last_row + 1])
        change = heading - heading[0]
        return float(max(change.max(), 0.0)), float(max(-change.min(), 0.0))

    @cached_property
    def later_turned_rad(self) -> tuple[float, float, float] | None:
        """How far the heading goes to the left and to the right up to the clip's end, and how far ego drives, in m.

        What comes after the first turn of more than 35 degrees is left out: it belongs to another decision.
        """
        if self.window is None:
            return None
        heading = np.unwrap(self.window.ego.heading[self.window.row :])
        change = heading - heading[0]
        turned = np.flatnonzero(np.abs(change) > FIRST_TURN_RAD)
        end = int(turned[0]) + 1 if len(turned) else len(change)
        xy = self.window.ego.xyz[self.window.row : self.window.row + end, :2]
        driven = float(np.hypot(*np.diff(xy, axis=0).T).sum())
        return float(max(change[:end].max(), 0.0)), float(max(-change[:end].min(), 0.0)), driven

    def steers_in_sec(self, side: Side | None, by_rad: float = 0.05) -> float | None:
        """Return when ego's heading has first changed by so much to a side, or to any; None where it does not."""
        if self.window is None:
            return None
        heading = np.unwrap(self.window.ego.heading[self.window.row : self.window.last_row + 1])
        change = heading - heading[0]
        to_side = np.abs(change) if side is None else change if side is Side.LEFT else -change
        steered = np.flatnonzero(to_side >= by_rad)
        return float(steered[0]) * TICK_SEC if len(steered) else None

    @cached_property
    def driven_m(self) -> float:
        """How far ego drives within the window."""
        if self.window is None:
            return 0.0
        xy = self.window.ego.xyz[self.window.row : self.window.last_row + 1, :2]
        return float(np.hypot(*np.diff(xy, axis=0).T).sum())

    @cached_property
    def sideways(self) -> Sideways | None:
        """How ego moves sideways along its road."""
        return None if self.window is None else find_sideways(self.window, self.lines)

    def steering(self) -> frozenset[str]:
        """Return the sides that ego steers or turns to; backwards driving has none, moving over is no steering."""
        moves_over = (*LANE_CHANGES, *SHIFTS)
        return sides_of(s.name for s in self.spans if "reverse" not in s.name and s.name not in moves_over)

    def moving_over(self) -> frozenset[str]:
        """Return the sides that ego moves over to within or across lanes, as far as that can be told.

        A lane change steers there and back, so the lane axis alone counts where it says something around the
        keyframe. Elsewhere short steering counts: in a long curve ego may move over to either side.
        """
        if lanes := sides_of(self.soon(*LANE_CHANGES, *SHIFTS, *TURNS)):
            return lanes
        steering = sorted(
            (span.start, span.end) for span in self.spans if span.axis == LATERAL and sides_of([span.name])
        )
        begun, ended = 0, -1
        for start, end in steering:
            begun, ended = (start if start > ended else begun), max(end, ended)
            if ended - begun > CURVE_TICKS:
                return frozenset()
        return self.steering()

    def soon(self, *names: str) -> list[str]:
        """Return those of ``names`` that begin around the keyframe."""
        first, last = self.start_tick - NOTABLE_TICKS, self.start_tick + SOON_TICKS
        return [span.name for span in self.spans if span.name in names and first <= span.start <= last]


def sides_of(names: Iterable[str]) -> frozenset[str]:
    """Return the sides that names of meta-actions hold."""
    return frozenset(side for name in names for side in ("left", "right") if side in name)


def _would_stand_soon(speed: Floats) -> bool:
    """Say whether ego would stand soon after the clip's end, braking on as it does."""
    braking = float(speed[max(len(speed) - 11, 0)] - speed[-1]) / (10 * TICK_SEC)
    return bool(STANDING_MPS < speed[-1] <= braking * BRAKES_ON_SEC)


def driven_facts(window: Window, lines: TrafficLines | None = None) -> DrivenFacts:
    """Return what ego did from the keyframe on, as far as the window reaches.

    Args:
        window: the keyframe and the clip around it.
        lines: of others along ego's path, where there are any.
    """
    first, last = window.keyframe.frame, window.keyframe.frame + window.last_row - window.row
    spans = tuple(
        span
        for span in window.timeline.spans
        if min(span.end, last + 1) - max(span.start, first) >= min(NOTABLE_TICKS, span.end - span.start)
    )
    speed = abs(window.ego.longitudinal_speed)
    end = window.last_row
    while end + 1 < len(speed) and speed[end + 1] < speed[end] - BRAKING_MPS:
        end += 1  # a braking that the window's end cuts
    braking_at_the_end = end > window.last_row and end == len(speed) - 1 and _would_stand_soon(speed)
    complete = window.info.missing_future_sec < TICK_SEC and not braking_at_the_end
    driven, fastest = speed[window.row : end + 1], float(speed[window.row : window.last_row + 1].max())
    stands = np.flatnonzero(driven < STANDING_MPS)
    stands_in_sec = float(stands[0]) * TICK_SEC if len(stands) else None
    return DrivenFacts(first, spans, float(driven.min()), fastest, complete, window, lines, stands_in_sec)
