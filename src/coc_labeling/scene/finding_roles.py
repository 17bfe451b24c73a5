"""From road users in path coordinates to their roles: which ticks fit a role, joined to stretches."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coc_labeling.scene.roles import Kind, Role
from coc_labeling.scene.users import ONCOMING_MPS, RoadUsers
from coc_labeling.schema import Side
from driving_clips.ego_motion import TICK_SEC, TICK_US
from driving_clips.geometry import Floats

Mask = NDArray[np.bool_]

JOINED_TICKS = 5  # stretches of one role that are no further apart are one
LEAST_TICKS = 3
BEFORE_TICKS = 30  # how far back a cut-in's beginning is looked for, and how long it stays one
BESIDE_M = 2.4  # a centre so far from the path was in another lane
LANES_M = 5.5  # the next lane's centre is not further
IN_PATH_M = 1.2  # and one so near is in this one
MOVES_IN_MPS = 0.3
FORESEEN_SEC = 1.5  # a move that is under way is thought to go on for so long
CUT_IN_RANGE_M = 50.0
CROSSING_RANGE_M = 60.0
EXTENDED_CROSSING_M = 30.0  # beyond the path's driven end; a junction's far side is not further
CROSSES = 0.8  # least share of the motion across the path to that along it
VEHICLE_CROSSES_MPS, WALKER_CROSSES_MPS = 1.5, 0.4
VEHICLE_REACH_M, WALKER_REACH_M = 60.0, 10.0  # from the path: crossing begins no further away
SWATH_MARGIN_M = 0.7
REACHES_SEC = 5.0
TOWARDS_RAD = 2.27  # 130 degrees: who comes from ahead, and crosses where ego turns off
ONCOMING_M, ONCOMING_OWN_M = 7.0, 3.5  # to the side that oncoming traffic belongs to, and to ego's own
ADJACENT_BACK_M, ADJACENT_AHEAD_M = -12.0, 40.0
BESIDE_CLEARANCE_M, BESIDE_BACK_M, BESIDE_RANGE_M = 2.5, -5.0, 50.0
QUEUE_MPS, QUEUE_RANGE_M = 2.0, 60.0


@dataclass(frozen=True)
class Stretches:
    """Makes roles of the ticks that fit them.

    Attributes:
        users: N road users on R ticks.
        first_tick: of the clip clock, of the first of them.
        ego_heading: (R,) rad.
    """

    users: RoadUsers
    first_tick: int
    ego_heading: Floats

    def roles(self, kind: Kind, mask: Mask, side: Floats | None = None) -> Iterator[Role]:
        """Yield the roles of one kind: a mask (N, R), and on which side (N, R), left positive; d by default."""
        for n in np.flatnonzero(mask.any(axis=1)):
            for start, end in _runs(mask[n]):
                yield self.role(kind, int(n), start, end, None if side is None else float(side[n, start]))

    def comes_towards(self, n: int, row: int) -> bool:
        """Say whether track ``n`` moves against the way that ego points at a row."""
        velocity = self.users.tracks.velocity[n, row]
        turned = np.arctan2(velocity[1], velocity[0]) - self.ego_heading[row]
        return bool(abs((turned + np.pi) % (2 * np.pi) - np.pi) >= TOWARDS_RAD)

    def role(self, kind: Kind, n: int, start: int, end: int, side: float | None = None) -> Role:
        """Return one role of track ``n`` over rows [start, end)."""
        users, rows = self.users, slice(start, end)
        d = float(users.d[n, start]) if side is None else side
        return Role(
            kind,
            str(users.tracks.track_id[n]),
            str(users.tracks.label_class[n]),
            self.first_tick + start,
            self.first_tick + end,
            None if kind in (Kind.LEAD, Kind.QUEUE, Kind.IN_PATH) else (Side.LEFT if d > 0 else Side.RIGHT),
            float(users.near[n, start]),
            float(np.nanmin(users.near[n, rows])),
            float(np.nanmin(users.clearance[n, rows])),
            float(np.nan_to_num(np.nanmean(users.speed[n, rows]))) if np.isfinite(users.speed[n, rows]).any() else 0.0,
            int(-(-users.tracks.first_us[n] // TICK_US)),
        )


def _runs(mask: Mask) -> list[tuple[int, int]]:
    """Return the stretches [start, end) of True, near ones joined, too short ones left out."""
    edges = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    runs: list[tuple[int, int]] = []
    for start, end in zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True):
        if runs and start - runs[-1][1] <= JOINED_TICKS:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    return [run for run in runs if run[1] - run[0] >= LEAST_TICKS]


def find_roles(
    users: RoadUsers, first_tick: int, ego_heading: Floats, shifts: list[tuple[float, float]], driving_side: Side | None
) -> tuple[Role, ...]:
    """Return all roles, by their start.

    Args:
        users: on the ticks asked about.
        first_tick: of the clip clock.
        ego_heading: (R,) rad at these ticks.
        shifts: stretches of s where ego itself changes lanes; there others seem to move aside without doing so.
        driving_side: the side of the road that traffic keeps to; None where it is not known.
    """
    if not len(users):
        return ()
    stretches = Stretches(users, first_tick, ego_heading)
    leads = np.zeros(users.s.shape, dtype=bool)
    there = np.flatnonzero(users.lead >= 0)
    leads[users.lead[there], there] = True
    crossing = _crossing(users)
    own_moves = _outside(users.s, shifts)
    found = [
        *stretches.roles(Kind.LEAD, leads),
        *_cut_ins(stretches, own_moves),
        *_cut_outs(stretches, leads, own_moves),
        *_crossers(stretches, crossing),
        *stretches.roles(Kind.ONCOMING, _oncoming(users, driving_side)),
        *stretches.roles(Kind.ADJACENT, _adjacent(users)),
        *stretches.roles(Kind.BESIDE, _beside(users)),
        *stretches.roles(Kind.IN_PATH, _in_path(users)),
        *_queues(stretches),
    ]
    return tuple(sorted(found, key=lambda role: (role.start_tick, role.kind, role.track_id)))


def _outside(s: Floats, shifts: list[tuple[float, float]]) -> Mask:
    """Say where places along the path (N, R) are outside of ego's own lane changes."""
    outside = np.ones(s.shape, dtype=bool)
    for start, end in shifts:
        outside &= ~((s > start) & (s < end))
    return outside


def _cut_ins(stretches: Stretches, own_moves: Mask) -> Iterator[Role]:
    """Yield who came from beside the path into it, ahead; and who is about to, where the ticks end before it has."""
    users = stretches.users
    inside = users.in_corridor & users.goes_along & (np.abs(users.d) < BESIDE_M)
    ahead = (users.near > -1.0) & (users.near < CUT_IN_RANGE_M) & ~users.stands
    candidates = (users.is_vehicle | users.is_rider) & (inside & ahead).any(axis=1)
    for n in np.flatnonzero(candidates):
        outside = np.abs(users.d[n]) > BESIDE_M
        for enters in (np.flatnonzero(inside[n, 1:] & ~inside[n, :-1]) + 1).tolist():
            earliest = max(0, enters - BEFORE_TICKS)
            before = slice(earliest, enters)
            was_outside = outside[before] & users.goes_along[n, before] & (np.abs(users.d[n, before]) < LANES_M + 1.0)
            if ahead[n, enters] and own_moves[n, enters] and was_outside.sum() >= LEAST_TICKS:
                start = earliest + int(np.flatnonzero(was_outside)[-1])
                end = enters + int(np.argmin(np.append(inside[n, enters : enters + BEFORE_TICKS], False)))
                if np.abs(users.d[n, enters:end]).min() < IN_PATH_M or end == users.s.shape[1]:
                    yield stretches.role(Kind.CUT_IN, int(n), start, end)
    yield from _moving_in(stretches, own_moves)


def _moving_in(stretches: Stretches, own_moves: Mask) -> Iterator[Role]:
    """Yield who is beside the path at the last tick and moving into it, as far as can be told then."""
    users = stretches.users
    if users.s.shape[1] <= LEAST_TICKS:
        return
    d, inward = users.d[:, -1], -np.sign(users.d[:, -1]) * users.left[:, -1]
    soon = np.abs(d) - inward * FORESEEN_SEC
    beside = (np.abs(d) > IN_PATH_M) & (np.abs(d) < LANES_M) & ~users.in_corridor[:, -1]
    ahead = (users.near[:, -1] > -1.0) & (users.near[:, -1] < CUT_IN_RANGE_M)
    back = min(len(users.ego_s) - 1, round(FORESEEN_SEC / TICK_SEC))
    moved = np.abs(users.d[:, -1 - back]) - np.abs(d)
    moves = (inward > MOVES_IN_MPS) & (soon < IN_PATH_M) & (moved > MOVES_IN_MPS)
    kind = (users.is_vehicle | users.is_rider) & users.goes_along[:, -1] & (users.along[:, -1] > ONCOMING_MPS)
    for n in np.flatnonzero(beside & ahead & moves & kind & own_moves[:, -1]):
        last = users.s.shape[1]
        yield stretches.role(Kind.CUT_IN, int(n), last - 1 - back, last)


def _cut_outs(stretches: Stretches, leads: Mask, own_moves: Mask) -> Iterator[Role]:
    """Yield who was the lead and left the path to a side, still ahead."""
    users = stretches.users
    for n in np.flatnonzero(leads.any(axis=1)):
        was = np.flatnonzero(leads[n])
        for leaves in (np.flatnonzero(users.in_corridor[n, :-1] & ~users.in_corridor[n, 1:]) + 1).tolist():
            after = slice(leaves, leaves + BEFORE_TICKS)
            gone = np.abs(users.d[n, after]) > BESIDE_M
            recent = was[(was < leaves) & (was >= leaves - BEFORE_TICKS)]
            goes_on = users.goes_along[n, leaves] and users.near[n, leaves] > 0.0 and own_moves[n, leaves]
            if gone.any() and len(recent) and goes_on:
                end = leaves + int(np.argmax(gone)) + 1
                yield stretches.role(Kind.CUT_OUT, int(n), leaves, end, float(users.d[n, end - 1]))


def _crossing(users: RoadUsers) -> Mask:
    """Say who moves across the path ahead, near it, and reaches it (N, R)."""
    walks = (users.is_walker | users.is_rider)[:, None]
    least = np.where(users.is_walker[:, None], WALKER_CROSSES_MPS, VEHICLE_CROSSES_MPS)
    reach = np.where(users.is_walker[:, None], WALKER_REACH_M, VEHICLE_REACH_M)
    across = (np.abs(users.left) >= least) & (np.abs(users.left) >= CROSSES * np.abs(users.along))
    kinds = users.is_vehicle[:, None] | walks
    place = (users.near > -1.0) & (users.near < CROSSING_RANGE_M) & (users.s <= users.path.end + EXTENDED_CROSSING_M)
    gap = np.maximum(users.clearance - SWATH_MARGIN_M, 0.0)
    inward = -np.sign(users.d) * users.left
    reaches = (gap <= 0.0) | ((inward > 0.0) & (gap <= REACHES_SEC * np.abs(users.left)) & (gap <= reach))
    return across & kinds & place & reaches


def _crossers(stretches: Stretches, crossing: Mask) -> Iterator[Role]:
    """Yield who crosses, with the side it comes from; who reaches the path and stays in it enters it."""
    users = stretches.users
    for n in np.flatnonzero(crossing.any(axis=1)):
        for start, end in _runs(crossing[n]):
            in_swath = users.clearance[n, start:end] < SWATH_MARGIN_M
            done = end < users.s.shape[1] - JOINED_TICKS
            if done and not in_swath.any():
                continue  # turned or stopped before the path
            from_side = -float(users.left[n, start])
            later = users.clearance[n, end : end + BEFORE_TICKS]
            stays = done and bool(np.isfinite(later).any()) and bool((later[np.isfinite(later)] < 0.0).all())
            vehicle = bool(users.is_vehicle[n])
            kind = Kind.ENTERING if stays and not vehicle else Kind.CROSSING
            yield stretches.role(kind, int(n), start, end, from_side)
            if vehicle and stretches.comes_towards(int(n), start):
                yield stretches.role(Kind.ONCOMING, int(n), start, end, from_side)


def _oncoming(users: RoadUsers, driving_side: Side | None) -> Mask:
    """Say who comes towards ego near its path: in the lanes of the other side where that is known, or in ego's own."""
    kinds = (users.is_vehicle | users.is_rider)[:, None]
    against = (users.along < -ONCOMING_MPS) & (np.abs(users.along) > np.abs(users.left))
    place = (np.abs(users.d) <= ONCOMING_M) & (users.near > 0.0)
    if driving_side is not None:
        across = users.d if driving_side is Side.RIGHT else -users.d  # positive where oncoming traffic belongs
        place &= across >= -ONCOMING_OWN_M
    return kinds & against & place & (users.near <= QUEUE_RANGE_M + 20.0)


def _adjacent(users: RoadUsers) -> Mask:
    kinds = (users.is_vehicle | users.is_rider)[:, None]
    beside = ~users.in_corridor & (np.abs(users.d) <= LANES_M)
    place = (users.near > ADJACENT_BACK_M) & (users.near < ADJACENT_AHEAD_M)
    return kinds & users.goes_along & beside & place & (users.along > ONCOMING_MPS)


def _beside(users: RoadUsers) -> Mask:
    place = (users.near > BESIDE_BACK_M) & (users.near < BESIDE_RANGE_M) & (users.s <= users.path.end + BESIDE_RANGE_M)
    aside = (users.clearance > -0.1) & (users.clearance < BESIDE_CLEARANCE_M) & ~users.followed
    return users.stands & place & aside


def _in_path(users: RoadUsers) -> Mask:
    place = (users.near > 0.0) & (users.near < QUEUE_RANGE_M) & (users.s <= users.path.end + BESIDE_RANGE_M)
    return users.stands & place & (users.clearance < -0.1)


def _queues(stretches: Stretches) -> Iterator[Role]:
    """Yield stretches where two vehicles or more stand or creep ahead in the path, under the nearest one's name."""
    users = stretches.users
    slow = users.followed & users.is_vehicle[:, None] & (users.speed < QUEUE_MPS) & (users.near < QUEUE_RANGE_M)
    queued = slow.sum(axis=0) >= 2
    for start, end in _runs(queued):
        nearest = int(np.argmin(np.where(slow[:, start], users.near[:, start], np.inf)))
        yield stretches.role(Kind.QUEUE, nearest, start, end)
