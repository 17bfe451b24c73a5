"""Facts of a scene that ego motion and obstacle tracks show: the path driven, the lead vehicle, curves, stops.

Distances are from ego's reference point (rear axle, or the camera where a dataset's poses are the camera's).
"""

from dataclasses import dataclass

import numpy as np

from coc_labeling.schema import Side
from coc_labeling.windows import Window
from driving_clips.ego_motion import TICK_SEC, EgoMotion
from driving_clips.geometry import Floats
from driving_clips.obstacles import VEHICLE_CLASSES, ObstacleTracks

STANDING_MPS = 0.3
LEAD_RANGE_M = 80.0
LEAD_HALF_WIDTH_M = 1.8  # half a lane of 3.6 m
LEAD_SEEN_SEC = 0.5  # a track is taken as present for this long after its last box
LEAD_SPEED_SEC = 1.0  # the history that the lead's own motion is measured over
ONCOMING_MPS = 1.0
CROSSING_MPS = 2.0  # a vehicle that moves faster across the path than along it is none to follow
PATH_STEP_M = 0.2
CURVE_MIN_TURN_RAD = 0.12
# A bend below such a radius (m) that turns by at least so much (rad) is a turn at a junction, not a curve of the road.
TURNS = ((25.0, 0.5), (50.0, 0.9))
TURNING_RPS, TURNING_OVER_SEC = 0.03, 0.5  # slower changes of the heading are not part of a bend
LANE_CHANGE_M = (2.4, 5.0)
LANE_CHANGE_MAX_TURN_RAD = 0.06
LANE_CHANGE_MIN_LENGTH_M = 25.0
LANE_CHANGE_MIN_MPS = 8.0


class DrivenPath:
    """The path that ego drives from a moment on, with straight ends: coordinates s (along) and d (left) in m."""

    def __init__(self, ego: EgoMotion, row: int) -> None:
        """Start the path at ``row`` of ego motion; s is 0 there."""
        xy = ego.xyz[row:, :2]
        heading = ego.heading
        keep = [0]
        for i in range(1, len(xy)):  # standing still gives no direction
            if np.hypot(*(xy[i] - xy[keep[-1]])) >= PATH_STEP_M:
                keep.append(i)
        self._points = xy[keep]
        start = np.array([np.cos(heading[row]), np.sin(heading[row])])
        if len(keep) == 1:
            self._points = np.stack([xy[0], xy[0] + start])
        steps = np.diff(self._points, axis=0)
        self._length = np.hypot(*steps.T)
        self._direction = steps / self._length[:, None]
        self._s = np.concatenate([[0.0], np.cumsum(self._length)])

    @property
    def end(self) -> float:
        """How far the path is driven within the clip, in m."""
        return float(self._s[-1])

    def project(self, xy: Floats) -> tuple[Floats, Floats]:
        """Return (s, d) of points (N, 2): the nearest place on the path; beyond its ends the path runs straight on."""
        relative = xy[:, None, :] - self._points[None, :-1, :]
        along = np.einsum("nmk,mk->nm", relative, self._direction)
        lower = np.where(np.arange(len(self._length)) == 0, -np.inf, 0.0)
        upper = np.where(np.arange(len(self._length)) == len(self._length) - 1, np.inf, self._length)
        along = np.clip(along, lower, upper)
        nearest = self._points[None, :-1, :] + along[..., None] * self._direction[None]
        offset = xy[:, None, :] - nearest
        best = np.argmin(np.hypot(offset[..., 0], offset[..., 1]), axis=1)
        rows = np.arange(len(xy))
        direction, gap = self._direction[best], offset[rows, best]
        return self._s[best] + along[rows, best], direction[:, 0] * gap[:, 1] - direction[:, 1] * gap[:, 0]


@dataclass(frozen=True)
class Lead:
    """The nearest vehicle in ego's driven path, as seen up to the keyframe.

    Attributes:
        track_id: its track.
        distance_m: to its near end where its size is known, else to its measured point.
        speed_mps: its own speed along ego's path, over the last second.
        closing_mps: how much faster ego is.
    """

    track_id: str
    distance_m: float
    speed_mps: float
    closing_mps: float

    @property
    def is_stopped(self) -> bool:
        """Whether it stands."""
        return abs(self.speed_mps) < 2 * STANDING_MPS


def find_lead(window: Window) -> Lead | None:
    """Return the lead vehicle at the keyframe, or None where none is within range or tracked for long enough.

    Only boxes up to the keyframe are used; ego's later path serves as the lane that the lead must be in.
    """
    if window.obstacles is None or not len(window.obstacles):
        return None
    seen = window.obstacles.select(
        (window.obstacles.t_us <= window.t0_us)
        & (window.obstacles.t_us >= window.t0_us - (LEAD_SPEED_SEC + LEAD_SEEN_SEC) * 1e6)
    )
    path = DrivenPath(window.ego, window.row)
    leads = (_as_lead(track, path, window) for track in seen.tracks.values())
    return min((lead for lead in leads if lead), key=lambda lead: lead.distance_m, default=None)


def _as_lead(track: ObstacleTracks, path: DrivenPath, window: Window) -> Lead | None:
    """Return one track as a lead, or None where it is none."""
    if track.label_class[0] not in VEHICLE_CLASSES or window.t0_us - track.t_us[-1] > LEAD_SEEN_SEC * 1e6:
        return None
    recent = track.select(track.t_us >= track.t_us[-1] - LEAD_SPEED_SEC * 1e6)
    if len(recent) < 3 or recent.t_us[-1] - recent.t_us[0] < 0.3e6:
        return None
    s, d = path.project(recent.center[:, :2])
    if abs(d[-1]) > 2 * LEAD_HALF_WIDTH_M or not 0.0 < s[-1] <= 2 * LEAD_RANGE_M:
        return None
    seconds = (recent.t_us - window.t0_us) / 1e6
    speed, drift = (float(np.polyfit(seconds, values, 1)[0]) for values in (s, d))
    s_now, d_now = s[-1] - speed * seconds[-1], d[-1] - drift * seconds[-1]
    distance = float(s_now - np.nan_to_num(recent.size[-1, 0]) / 2)
    if abs(d_now) > LEAD_HALF_WIDTH_M or not 0.0 < distance <= LEAD_RANGE_M:
        return None
    if speed < -ONCOMING_MPS or abs(drift) > max(CROSSING_MPS, abs(speed)):
        return None
    ego_speed = float(window.ego.longitudinal_speed[window.row])
    return Lead(str(track.track_id[0]), distance, speed, ego_speed - speed)


@dataclass(frozen=True)
class Bend:
    """A curve or turn that ego drives after the keyframe, as a whole: it may be under way already.

    Attributes:
        side: to which side.
        turn_rad: how far the heading changes from its beginning to its end.
        radius_m: mean radius between a tenth and nine tenths of the change.
        starts_in_sec: when a tenth of the change is done; negative where that was before the keyframe.
    """

    side: Side
    turn_rad: float
    radius_m: float
    starts_in_sec: float

    @property
    def is_turn(self) -> bool:
        """Whether it is so tight and so far round that ego turns at a junction rather than follows its road."""
        return any(self.radius_m < radius and self.turn_rad >= turn for radius, turn in TURNS)


def find_bend(window: Window) -> Bend | None:
    """Return the curve or turn that ego drives within the window, or None where it drives straight on."""
    heading = np.unwrap(window.ego.heading)
    change = heading[window.row : window.last_row + 1] - heading[window.row]
    furthest = int(np.argmax(np.abs(change)))
    if abs(change[furthest]) < CURVE_MIN_TURN_RAD:
        return None
    side = Side.LEFT if change[furthest] > 0 else Side.RIGHT
    inward = heading if side is Side.LEFT else -heading
    first, last = _whole_bend(inward, window.ego.speed, window.row, window.row + furthest)
    turn = float(inward[last] - inward[first])
    done = (inward[first : last + 1] - inward[first]) / turn
    start, end = first + int(np.argmax(done >= 0.1)), first + int(np.argmax(done >= 0.9))
    step = np.hypot(*np.diff(window.ego.xyz[start : end + 1, :2], axis=0).T)
    radius = float(step.sum()) / (0.8 * turn)
    return Bend(side, turn, radius, (start - window.row) * TICK_SEC)


def _whole_bend(inward: Floats, speed: Floats, first: int, last: int) -> tuple[int, int]:
    """Widen [first, last] for as long as the heading goes on turning inward; standing in between ends no bend."""
    spread = round(TURNING_OVER_SEC / TICK_SEC)
    while first >= spread and (
        inward[first] - inward[first - spread] > TURNING_RPS * TURNING_OVER_SEC or speed[first] < STANDING_MPS
    ):
        first -= 1
    while last + spread < len(inward) and (
        inward[last + spread] - inward[last] > TURNING_RPS * TURNING_OVER_SEC or speed[last] < STANDING_MPS
    ):
        last += 1
    return first, last


def find_lane_change(window: Window) -> tuple[Side, float] | None:
    """Return side and offset in m of a lane change within the window, as far as the path alone shows one.

    Ego's heading comes back to what it was while the path has moved by about a lane.
    """
    rows = slice(window.row, window.last_row + 1)
    heading = window.ego.heading[window.row]
    moved = window.ego.xyz[rows, :2] - window.ego.xyz[window.row, :2]
    forward = moved @ np.array([np.cos(heading), np.sin(heading)])
    left = moved @ np.array([-np.sin(heading), np.cos(heading)])
    fast = window.ego.speed[window.row] >= LANE_CHANGE_MIN_MPS  # slower paths wind for all kinds of reasons
    back = np.abs(np.unwrap(window.ego.heading[rows]) - heading)[-1] <= LANE_CHANGE_MAX_TURN_RAD
    lowest, highest = LANE_CHANGE_M
    if not (fast and back) or forward[-1] < LANE_CHANGE_MIN_LENGTH_M or not lowest <= abs(left[-1]) <= highest:
        return None
    return (Side.LEFT if left[-1] > 0 else Side.RIGHT), float(abs(left[-1]))


def find_stop(window: Window) -> float | None:
    """Return in how many seconds ego comes to stand within the window; 0 where it stands already, else None."""
    speed = window.ego.speed[window.row : window.last_row + 1]
    standing = np.flatnonzero(speed < STANDING_MPS)
    return float(standing[0]) * TICK_SEC if len(standing) else None
