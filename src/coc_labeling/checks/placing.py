"""Where others are to ego around a keyframe: leads, roles, and sides."""

from collections.abc import Iterable

import numpy as np

from coc_labeling.checks.base import Case
from coc_labeling.checks.claims import CauseClaim
from coc_labeling.scene.roles import Kind, Lead, Role
from coc_labeling.schema import Category, Relation, Side
from driving_clips.ego_motion import TICK_SEC

LEAD_TICKS = (-5, 10)  # when a lead has to be there, from the keyframe
SIDE_TICKS = (-5, 10)
PASSED_M = 5.0
ASIDE_M = 0.8  # nearer to the middle of the path is no side

# What fits a relation, and when it has to hold, in ticks from the keyframe.
FITTING: dict[Relation, tuple[tuple[Kind, ...], tuple[int, int], float]] = {
    Relation.CUT_IN: ((Kind.CUT_IN,), (-30, 40), 0.7),
    Relation.CROSSING: ((Kind.CROSSING, Kind.ENTERING), (-20, 60), 0.7),
    Relation.ONCOMING: ((Kind.ONCOMING,), (-10, 50), 0.65),
    Relation.ADJACENT: ((Kind.ADJACENT, Kind.BESIDE, Kind.CUT_IN, Kind.CUT_OUT), (-20, 40), 0.5),
    Relation.PARKED: ((Kind.BESIDE, Kind.IN_PATH), (-10, 60), 0.65),
}
AHEAD = (Kind.LEAD, Kind.QUEUE, Kind.IN_PATH, Kind.CUT_IN, Kind.CUT_OUT)


def objects_of(case: Case) -> list[CauseClaim]:
    """Return the critical objects that a label names."""
    return [cause for cause in case.claims.causes if cause.category is Category.CRITICAL_OBJECT]


def is_lead(cause: CauseClaim) -> bool:
    """Say whether a cause is the vehicle ahead."""
    return cause.relation is Relation.LEAD


def leads_around(case: Case, ticks: tuple[int, int] = LEAD_TICKS) -> list[Lead]:
    """Return the leads at some ticks from the keyframe, from -5 to 30, those nearest to the keyframe first."""
    first, last = ticks
    return [case.leads[tick] for tick in sorted(case.leads, key=abs) if first <= tick <= last]


def roles_around(case: Case, kinds: Iterable[Kind], ticks: tuple[int, int]) -> list[Role]:
    """Return the roles of some kinds that hold at some ticks from the keyframe."""
    return case.scene.during(case.t0 + ticks[0], case.t0 + ticks[1], kinds)


def passing_side(track_id: str, case: Case) -> Side | None:
    """Return on which side of ego's path a track is when ego passes it; None where it does not, or right over it."""
    users = case.scene.users
    if users is None:
        return None
    own, first = users.tracks.track_id == track_id, max(case.t0 - case.scene.first_tick, 0)
    near, d = np.abs(users.near[own, first:]).ravel(), users.d[own, first:].ravel()
    near = np.where(np.isfinite(near) & np.isfinite(d), near, np.inf)
    if not len(near) or near.min() > PASSED_M or abs(d[int(np.argmin(near))]) < ASIDE_M:
        return None
    return Side.LEFT if d[int(np.argmin(near))] > 0 else Side.RIGHT


def sides_of_track(track_id: str, case: Case) -> frozenset[Side]:
    """Return the sides that a track is on around the keyframe: of ego's path, or of the line straight ahead of ego."""
    users, ego = case.scene.users, case.scene.ego
    if users is None:
        return frozenset()
    first, last = (case.t0 + tick - case.scene.first_tick for tick in SIDE_TICKS)
    own = users.tracks.track_id == track_id
    row = case.t0 - ego.first_tick
    gap, heading = users.tracks.xy[own, max(first, 0) : last] - ego.xyz[row, :2], float(ego.heading[row])
    off = gap[..., 1] * np.cos(heading) - gap[..., 0] * np.sin(heading)
    left = np.concatenate([users.d[own, max(first, 0) : last].ravel(), off.ravel()])
    left = left[np.isfinite(left)]
    sides = {Side.LEFT: bool((left > ASIDE_M).any()), Side.RIGHT: bool((left < -ASIDE_M).any())}
    return frozenset(side for side, there in sides.items() if there)


def first_distance_m(track_id: str, case: Case) -> float:
    """Return how far ahead along ego's path a track is when it is first seen; 0 where that is not known."""
    users = case.scene.users
    if users is None:
        return 0.0
    near = users.near[users.tracks.track_id == track_id]
    known = np.flatnonzero(np.isfinite(near).any(axis=0))
    return float(np.nanmin(near[:, known[0]])) if len(known) else 0.0


def first_seen_sec(case: Case, tick: int) -> float:
    """Return a tick as seconds from the keyframe."""
    return (tick - case.t0) * TICK_SEC


def words_of(kind: Kind) -> str:
    """Return a role's kind in words."""
    return str(kind).replace("_", " ")
