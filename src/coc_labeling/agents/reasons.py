"""What around ego holds it back: each thing is asked which deceleration it calls for, the most urgent one counts.

Only what was known at the keyframe is used of others; of ego itself also where it drives afterwards.
"""

from dataclasses import dataclass

import numpy as np

from coc_labeling.scene import Bend, Conflict, Kind, Lead, Role, SceneFacts, SideMove, find_conflicts, joined_leads
from coc_labeling.scene.following import LEAST_GAP_M, follow_mps2
from coc_labeling.scene.tracks import EGO_FRONT_M
from coc_labeling.scene.users import WALKERS
from coc_labeling.windows import Window
from driving_clips.ego_motion import TICK_SEC

COMFORTABLE_LATERAL_MPS2 = 2.0  # 0.2 g, what road design takes for comfortable (AASHTO Green Book)
SLOWER = 0.4  # of the speed that a bend calls for: who gets slower than that before it does so for something else
STOP_SHORT_M = 1.0  # before somebody who crosses
CUT_IN_TICKS = 30
CROSSING_AHEAD_M = 50.0
ARRIVES_SEC = 6.0  # who comes later is let go first by nobody
ACCEPTED_SEC = 3.0  # the gap that is enough to go before somebody
CLEARS_SEC = 1.5  # after somebody has left the way, until ego is there
WALKER_CLEARS_SEC = 4.0  # people on foot may turn round or stand still: one slows down while they are on the road
STARTS_SEC = 5.0  # who stands for so long after the last one has gone waits for something else
STANDS_MPS, SETS_OFF_MPS = 0.3, 2.0


@dataclass(frozen=True)
class Reason:
    """One thing that calls for less speed.

    Attributes:
        needed_mps2: the deceleration it calls for now, against an empty road; 0 or more.
        lead: the lead vehicle, where it is one, with ``cut_in`` where it came from beside the path just before.
        role: the road user to give way to, where it is one.
        bend: the curve or turn, where it is one.
    """

    needed_mps2: float
    lead: Lead | None = None
    cut_in: Role | None = None
    role: Role | None = None
    bend: Bend | None = None


def reasons(window: Window, scene: SceneFacts, bend: Bend | None, move: SideMove | None) -> list[Reason]:
    """Return all that calls for less speed at the keyframe, the most urgent first."""
    tick, speed = window.keyframe.frame, float(window.ego.speed[window.row])
    found = []
    left_behind = None
    if move is not None and move.is_lane_change and move.starts_in_sec + move.ends_in_sec >= 0.0:
        left_behind = scene.left_behind(tick, move)
    leads = [
        lead
        for lead in (scene.lead_at(tick), left_behind, *joined_leads(scene.users, scene.ego, scene.first_tick, tick))
        if lead is not None
    ]
    found += [Reason(follow_mps2(lead, speed), lead=lead, cut_in=_cut_in(scene, lead, tick)) for lead in leads]
    found += [Reason(_give_way_mps2(one, speed), role=one.role) for one in _goes_before(window, scene)]
    if bend is not None and bend.starts_in_sec >= 0.0:
        found.append(Reason(_bend_mps2(window, bend, speed), bend=bend))
    return sorted(found, key=lambda reason: -reason.needed_mps2)


def _cut_in(scene: SceneFacts, lead: Lead, tick: int) -> Role | None:
    own = [r for r in scene.during(tick - CUT_IN_TICKS, tick, [Kind.CUT_IN]) if r.track_id == lead.track_id]
    return own[-1] if own else None


def _goes_before(window: Window, scene: SceneFacts) -> list[Conflict]:
    """Return whose course crosses ego's path and who ego lets go first, the one whom ego meets first first."""
    tick, speed = window.keyframe.frame, float(window.ego.speed[window.row])
    waits_sec = _waits_sec(window)
    found = []
    for conflict in find_conflicts(scene.ego, scene.users, scene.first_tick, tick):
        unhindered_sec = _gap(conflict) / max(speed, SETS_OFF_MPS)
        near = conflict.role.nearest_m < CROSSING_AHEAD_M and conflict.arrives_sec < ARRIVES_SEC
        meets = conflict.arrives_sec < unhindered_sec + ACCEPTED_SEC
        if near and meets and conflict.goes_first:
            found.append(conflict)
    last_leaves_sec = max((conflict.leaves_sec for conflict in found), default=0.0)
    return found if waits_sec < last_leaves_sec + STARTS_SEC else []


def _waits_sec(window: Window) -> float:
    """Return for how long ego stands from now on; 0 where it drives."""
    drives = window.ego.speed[window.row :] >= STANDS_MPS
    return float(np.argmax(drives) if drives.any() else len(drives)) * TICK_SEC


def _gap(conflict: Conflict) -> float:
    return max(conflict.role.nearest_m - EGO_FRONT_M - STOP_SHORT_M, LEAST_GAP_M)


def _give_way_mps2(conflict: Conflict, speed: float) -> float:
    """Return the deceleration by which ego gets there only when the other has gone; at most that of a stop before."""
    walks = conflict.role.label_class in WALKERS
    gap, until = _gap(conflict), conflict.leaves_sec + (WALKER_CLEARS_SEC if walks else CLEARS_SEC)
    stop = speed**2 / (2 * gap)
    late = 2 * (speed * until - gap) / until**2
    return max(0.0, min(stop, late) if late * until <= speed else stop)


def _bend_mps2(window: Window, bend: Bend, speed: float) -> float:
    """Return the deceleration that brings ego to a comfortable speed where the bend begins."""
    row = min(window.row + round(bend.starts_in_sec / TICK_SEC), len(window.ego) - 1)
    step = np.hypot(*np.diff(window.ego.xyz[window.row : row + 1, :2], axis=0).T).sum()
    comfortable = COMFORTABLE_LATERAL_MPS2 * bend.radius_m
    if window.ego.speed[window.row : row + 1].min() < SLOWER * np.sqrt(comfortable):
        return 0.0  # ego stops first, for something else
    return float(max(speed**2 - comfortable, 0.0) / (2 * max(step, 2.0)))
