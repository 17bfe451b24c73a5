"""What the rules decide on: what ego does around a keyframe, and what holds it back or moves it over."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from coc_labeling.agents.reasons import Reason, reasons
from coc_labeling.scene import (
    Bend,
    Kind,
    Lead,
    Role,
    SceneFacts,
    SideMove,
    TrafficLines,
    facts_until_keyframe,
    find_bend,
    find_sideways,
    find_stop,
    walker_beside,
)
from coc_labeling.schema import Side
from coc_labeling.windows import Window
from driving_clips.ego_motion import TICK_SEC
from driving_clips.geometry import Floats
from meta_action.names import LATERAL, LONGITUDINAL

STANDING_MPS = 0.3
CHANGE_MPS, CHANGE_SOON_SEC = 1.0, 3.0  # a change of speed by so much, so soon, is no keeping of the speed
STOPS_SOON_SEC = 2.5
MOVES_OFF_MPS = 1.0  # who stands and does not reach it soon waits
MOVES_OFF_SEC, AFTER_STOP_SEC = 2.0, 1.2  # who stands for longer waits first; the latter where a stop begins
TURN_FURTHER_SEC, BRAKES_SEC = 4.0, 10.0  # one brakes for a turn from so long before the window at least, and at most
BEND_BEGINS_SEC = 2.0  # after one has become slow enough for it
UPCOMING_TICKS = 10  # a keyframe may be set up to this much before its meta-action
MOVE_BEFORE_SEC, MOVE_LEFT = 2.0, 0.3  # a side move counts from so long before it begins until so much of it is left
MOVE_LEFT_MOST_SEC = 1.0
GAP_SEC = 6.0  # one looks for a gap no longer before one moves into it
SQUEEZED_CLEARANCE_M, SQUEEZED_AHEAD_M = 1.0, 35.0
PASSED_CLEARANCE_M = 1.6  # one nudges away from what is nearer than that
PASSED_OVER_M = 0.5  # so far to the other side is right ahead still
PASSED_BACK_M, PASSED_SEC, PASSED_MORE_M = -8.0, 5.0, 10.0


@dataclass(frozen=True)
class Situation:
    """The facts of one keyframe.

    Attributes:
        action: the meta-action on speed, corrected by what the speed really does next.
        steering: the meta-action on steering.
        speed_mps: at the keyframe.
        change_mps: of the speed over the next seconds.
        waits: ego stands and goes on standing.
        stops_in_sec: when ego first stands within the window; 0 where it stands already, None where it does not.
        stop_distance_m: how far ego drives until then, or within the window.
        lead: the vehicle ahead in the path.
        reasons: what calls for less speed, the most urgent first.
        bend: the curve or turn, None where the path only moves over.
        turn: a turn that ego drives, in the window or soon after it.
        move: a move to a side that is about to begin or under way.
        passed: what a nudge keeps clear of, with its distance along the path.
        squeezes_past: what stands so near to the path ahead that ego passes it with care.
        gap_side: the side of a lane that ego moves to a while later, and that somebody drives on now.
        walker: a pedestrian who walks towards the path before where ego stands, or not far beyond.
        tracks_known: whether anything can be said of others.
    """

    action: str
    steering: str
    speed_mps: float
    change_mps: float
    waits: bool
    stops_in_sec: float | None
    stop_distance_m: float
    lead: Lead | None
    reasons: tuple[Reason, ...]
    bend: Bend | None
    turn: Bend | None
    move: SideMove | None
    passed: Role | None
    squeezes_past: Role | None
    gap_side: Side | None
    walker: Role | None
    tracks_known: bool

    @property
    def slows(self) -> bool:
        """Whether ego gets notably slower soon, or stops."""
        return self.is_stopping or "deceleration" in self.action

    @property
    def is_stopping(self) -> bool:
        """Whether ego stands, or what it does now ends in standing."""
        if self.action == "stop":
            return True
        if self.stops_in_sec is None:
            return False
        return "deceleration" in self.action or (
            self.action == "maintain_speed" and 0.0 < self.stops_in_sec <= STOPS_SOON_SEC
        )


def situation(window: Window, lines: TrafficLines | None = None) -> Situation:
    """Return the facts of a window.

    What ego does is told from all that was recorded; why it does so, from what was known of others at the keyframe.

    Args:
        window: the keyframe and the clip around it.
        lines: of others along ego's path in the whole clip, where there are any.
    """
    scene = facts_until_keyframe(window)
    tick, action = window.keyframe.frame, _current_action(window, LONGITUDINAL)
    speed = window.ego.speed
    soon = speed[window.row : min(window.row + round(CHANGE_SOON_SEC / TICK_SEC), window.last_row) + 1]
    moves_off = _moves_off(soon, AFTER_STOP_SEC if action == "stop" else MOVES_OFF_SEC)
    sideways = find_sideways(window, lines)
    moves = (*sideways.changes, *sideways.nudges) if sideways is not None else ()
    move = next((move for move in moves if _is_current(move)), None)
    stops_in_sec = find_stop(window)
    stop_distance_m = _driven(window, stops_in_sec)
    # A path that comes back to its heading further to a side is no curve, though it bends on the way.
    changes_lane = move is not None and move.is_lane_change
    bend = None if changes_lane else find_bend(window)
    turn = find_bend(window, _braking_sec(window)) if bend is None and not changes_lane else bend
    return Situation(
        action="gentle_acceleration" if moves_off else _real_action(action, float(soon[-1] - soon[0])),
        steering=_current_action(window, LATERAL),
        speed_mps=float(speed[window.row]),
        change_mps=float(soon[-1] - soon[0]),
        waits=bool(soon[0] < STANDING_MPS and not moves_off),
        stops_in_sec=stops_in_sec,
        stop_distance_m=stop_distance_m,
        lead=scene.lead_at(tick),
        reasons=tuple(reasons(window, scene, turn, move)),
        bend=bend,
        turn=turn if turn is not None and turn.is_turn else None,
        move=move,
        passed=_passed(scene, move, tick, float(speed[window.row])) if move is not None else None,
        squeezes_past=_squeezes_past(scene, tick),
        gap_side=_gap_side(moves, scene, tick),
        walker=walker_beside(scene.users, scene.first_tick, tick, stop_distance_m),
        tracks_known=window.obstacles is not None,
    )


def _moves_off(soon: Floats, within_sec: float) -> bool:
    """Whether ego stands and then drives off, soon enough."""
    drives = soon >= STANDING_MPS
    stands_sec = float(np.argmax(drives) if drives.any() else len(soon)) * TICK_SEC
    return bool(soon[0] < STANDING_MPS and stands_sec <= within_sec and soon.max() >= MOVES_OFF_MPS)


def _braking_sec(window: Window) -> float:
    """Return until when after the window a turn is looked for: to where ego ends to get slower, and a little beyond."""
    speed = window.ego.speed[window.row :]
    faster = speed >= np.minimum.accumulate(speed) + CHANGE_MPS / 2
    slowest = int(np.argmin(speed[: int(np.argmax(faster)) + 1])) if faster.any() else len(speed) - 1
    after = (window.row + slowest - window.last_row) * TICK_SEC + BEND_BEGINS_SEC
    return float(np.clip(after, TURN_FURTHER_SEC, BRAKES_SEC))


def _driven(window: Window, until_sec: float | None) -> float:
    last = window.last_row if until_sec is None else window.row + round(until_sec / TICK_SEC)
    return float(np.hypot(*np.diff(window.ego.xyz[window.row : last + 1, :2], axis=0).T).sum())


def _gap_side(moves: Sequence[SideMove], scene: SceneFacts, tick: int) -> Side | None:
    """Return to which side ego changes lanes soon, where somebody drives beside it on that side."""
    soon = (m for m in moves if m.is_lane_change and m.ends_in_sec > 0.0 and m.starts_in_sec <= GAP_SEC)
    move = min(soon, key=lambda one: one.starts_in_sec, default=None)
    if move is None:
        return None
    beside = scene.during(tick, tick, [Kind.ADJACENT])
    return move.side if any(role.side is move.side for role in beside) else None


def _is_current(move: SideMove) -> bool:
    """Whether a move begins soon, or is under way and not nearly over."""
    left = min(MOVE_LEFT * (move.ends_in_sec - move.starts_in_sec), MOVE_LEFT_MOST_SEC)
    return move.starts_in_sec <= MOVE_BEFORE_SEC and move.ends_in_sec >= left


def _passed(scene: SceneFacts, move: SideMove, tick: int, speed: float) -> Role | None:
    """Return what a move keeps clear of: near the path on the other side."""
    other = Side.RIGHT if move.side is Side.LEFT else Side.LEFT
    furthest = speed * PASSED_SEC + PASSED_MORE_M
    found = []
    for role in scene.during(tick, tick, [Kind.BESIDE, Kind.ADJACENT, Kind.ONCOMING, Kind.IN_PATH]):
        distance = scene.ahead_m(role.track_id, tick)
        fits = (
            role.clearance_m < PASSED_CLEARANCE_M and _has_width(scene, role) and _is_passed(scene, role, tick, other)
        )
        if fits and PASSED_BACK_M < distance < furthest:
            found.append((distance, role))
    return min(found, key=lambda pair: abs(pair[0]), default=(0.0, None))[1]


def _is_passed(scene: SceneFacts, role: Role, tick: int, side: Side) -> bool:
    """Say whether ego gets past a road user that is on a side, of its path and straight ahead alike, at a tick."""
    users, row = scene.users, tick - scene.first_tick
    if users is None:
        return False
    own = np.flatnonzero((users.tracks.track_id == role.track_id) & np.isfinite(users.d[:, row]))
    ego = tick - scene.ego.first_tick
    heading, speed = float(scene.ego.heading[ego]), float(scene.ego.speed[ego])
    gap = users.tracks.xy[own, row] - scene.ego.xyz[ego, :2]
    straight = gap[:, 1] * np.cos(heading) - gap[:, 0] * np.sin(heading)
    left = np.concatenate([users.d[own, row], straight])
    there = (left > -PASSED_OVER_M).all() if side is Side.LEFT else (left < PASSED_OVER_M).all()
    return bool(len(own) and there and (users.along[own, row] < speed).all())


def _has_width(scene: SceneFacts, role: Role) -> bool:
    """Say whether a road user's width was ever measured: without it, as from a radar, its clearance is not known."""
    if scene.users is None:
        return False
    own = scene.users.tracks.track_id == role.track_id
    return bool(np.isfinite(scene.users.tracks.size[own, :, 1]).any())


def _squeezes_past(scene: SceneFacts, tick: int) -> Role | None:
    found = []
    for role in scene.during(tick, tick, [Kind.BESIDE, Kind.IN_PATH]):
        distance = scene.ahead_m(role.track_id, tick)
        near = role.clearance_m < SQUEEZED_CLEARANCE_M and _has_width(scene, role)
        if near and 0.0 < distance < SQUEEZED_AHEAD_M:
            found.append((distance, role))
    return min(found, key=lambda pair: pair[0], default=(0.0, None))[1]


def _current_action(window: Window, axis: str) -> str:
    """Return the meta-action that starts at or soon after the keyframe, else the one that holds there."""
    frame = window.keyframe.frame
    own = [span for span in window.timeline.spans if span.axis == axis]
    starting = [span for span in own if frame <= span.start <= frame + UPCOMING_TICKS]
    holding = [span for span in own if span.start <= frame < span.end]
    chosen = min(starting, key=lambda span: span.start, default=None) or (holding[0] if holding else None)
    return chosen.name if chosen else ""


def _real_action(action: str, change_mps: float) -> str:
    """Return what ``maintain_speed`` really is where the speed soon changes: short spans are named after their mean."""
    if action != "maintain_speed":
        return action
    if change_mps >= CHANGE_MPS:
        return "gentle_acceleration"
    return "gentle_deceleration" if change_mps <= -CHANGE_MPS else action
