"""What ego itself does in a window: curves and turns, and stops."""

from dataclasses import dataclass

import numpy as np

from coc_labeling.schema import Side
from coc_labeling.windows import Window
from driving_clips.ego_motion import TICK_SEC
from driving_clips.geometry import Floats

STANDING_MPS = 0.3
CURVE_MIN_TURN_RAD = 0.12
# A bend below such a radius (m) that turns by at least so much (rad) is a turn at a junction, not a curve of the road.
TURNS = ((25.0, 0.5), (50.0, 0.9))
TURNING_RPS, TURNING_OVER_SEC = 0.03, 0.5  # slower changes of the heading are not part of a bend


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


def find_bend(window: Window, more_sec: float = 0.0) -> Bend | None:
    """Return the curve or turn that ego drives within the window or so much later; None where it drives straight."""
    heading = np.unwrap(window.ego.heading)
    change = heading[window.row : window.last_row + 1 + round(more_sec / TICK_SEC)] - heading[window.row]
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


def find_stop(window: Window) -> float | None:
    """Return in how many seconds ego comes to stand within the window; 0 where it stands already, else None."""
    speed = window.ego.speed[window.row : window.last_row + 1]
    standing = np.flatnonzero(speed < STANDING_MPS)
    return float(standing[0]) * TICK_SEC if len(standing) else None
