"""The facts of a scene: what ego does, and what others are to it, tick by tick along ego's driven path.

Ego's own path is known offline, its future included: it serves as the lane that others are in, without a map. What
others do is stated of each tick by what was measured up to it. Tracks of datasets were smoothed over the whole clip by
their makers, so that "up to it" holds as far as theirs does.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from coc_labeling.scene.boxes import Boxes, UnreliableTracksError, distance_m, nearby, sound_boxes
from coc_labeling.scene.clock import clock_offset_sec
from coc_labeling.scene.finding_roles import find_roles
from coc_labeling.scene.following import as_lead
from coc_labeling.scene.path import DrivenPath
from coc_labeling.scene.roles import Kind, Lead, Role
from coc_labeling.scene.side_moves import SideMove, side_moves
from coc_labeling.scene.tracks import on_ticks
from coc_labeling.scene.users import LEAD_RANGE_M, RoadUsers, road_users
from coc_labeling.scene.whole_tracks import WholeTracks, whole_tracks
from coc_labeling.schema import Side
from coc_labeling.windows import Window
from driving_clips.ego_motion import TICK_SEC, TICK_US, EgoMotion
from driving_clips.geometry import Floats
from driving_clips.obstacles import ObstacleTracks

RANGE_QUANTILE = 0.98
STILL_IN_PATH_M = 1.2  # nearer ones are in the lane that ego moves to
HISTORY_TICKS = 50  # before a keyframe
OBSERVED_US = 500_000  # a tick further from every box was not observed


@dataclass(frozen=True)
class SeenTrack:
    """One track as a whole: id, class, and its first and last tick on the clip clock."""

    track_id: str
    label_class: str
    first_tick: int
    last_tick: int


@dataclass(frozen=True)
class SceneFacts:
    """What is known of a clip's scene.

    Attributes:
        ego: ego motion of the whole clip.
        first_tick: of the clip clock, of the first of the R ticks that facts are stated of.
        driving_side: the side of the road that traffic keeps to; None where it is not known.
        curvature: (R,) 1/m of the driven path at ego's place, left positive.
        has_tracks: whether there are tracks that can be relied on; without them nothing about others is observable, and
            ``problems`` says why, unless the dataset has none.
        range_m: how far from ego others were seen, in whatever direction: 98 % of the boxes are nearer, at most
            ``LEAD_RANGE_M``. Further away nobody is known to be missing. 0 where nobody was seen.
        roles: of others, by their start.
        tracks: all that have a place in ego's time, near or far, by id.
        problems: what was wrong with the tracks, in words.
        users: road users in path coordinates, None without tracks.
        box_us: (B,) times of the boxes of all tracks that can be relied on, each once, in order.
    """

    ego: EgoMotion
    first_tick: int
    driving_side: Side | None
    curvature: Floats
    has_tracks: bool
    range_m: float
    roles: tuple[Role, ...]
    tracks: tuple[SeenTrack, ...]
    problems: tuple[str, ...]
    users: RoadUsers | None
    box_us: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def observed_at(self, tick: int) -> bool:
        """Say whether others were measured about a tick: a box of any track lies within half a second of it.

        Where none does, nothing is known of others at that tick, a road without anyone included.
        """
        first, last = np.searchsorted(self.box_us, [tick * TICK_US - OBSERVED_US, tick * TICK_US + OBSERVED_US + 1])
        return bool(last > first)

    def lead_at(self, tick: int) -> Lead | None:
        """Return the lead at a tick of the clip clock, None where there is none."""
        row = tick - self.first_tick
        if self.users is None or not 0 <= row < len(self.users.ego_s) or self.users.lead[row] < 0:
            return None
        return self._as_lead(int(self.users.lead[row]), tick)

    def left_behind(self, tick: int, move: SideMove) -> Lead | None:
        """Return the nearest road user ahead in the lane that ego leaves by a move, None where there is none."""
        row = tick - self.first_tick
        if self.users is None or not len(self.users) or not 0 <= row < len(self.users.ego_s):
            return None
        users = self.users
        towards = users.d[:, row] * (1.0 if move.side is Side.LEFT else -1.0)  # the lane left has them below zero
        aside = (towards < -STILL_IN_PATH_M) & (towards > -move.moved_m - STILL_IN_PATH_M)
        there = aside & users.goes_along[:, row] & (users.near[:, row] > 0.0) & (users.near[:, row] <= LEAD_RANGE_M)
        if not there.any():
            return None
        return self._as_lead(int(np.argmin(np.where(there, users.near[:, row], np.inf))), tick)

    def ahead_m(self, track_id: str, tick: int) -> float:
        """Return how far ahead along the path a track's near end is at a tick, in m; infinite where it is not seen."""
        row = tick - self.first_tick
        if self.users is None or not 0 <= row < len(self.users.ego_s):
            return float("inf")
        near = self.users.near[self.users.tracks.track_id == track_id, row]
        return float(np.min(near, initial=np.inf, where=np.isfinite(near)))

    def _as_lead(self, n: int, tick: int) -> Lead:
        assert self.users is not None
        return as_lead(self.users, n, tick - self.first_tick, float(self._ego_mps[tick - self.ego.first_tick]))

    @cached_property
    def _ego_mps(self) -> Floats:
        return self.ego.longitudinal_speed

    def during(self, first_tick: int, last_tick: int, kinds: Iterable[Kind] = tuple(Kind)) -> list[Role]:
        """Return the roles of some kinds that hold at any tick from the first to the last, both included."""
        wanted = frozenset(kinds)
        return [r for r in self.roles if r.kind in wanted and r.start_tick <= last_tick and r.end_tick > first_tick]

    def track(self, track_id: str) -> SeenTrack | None:
        """Return one track, None where there is none of this id."""
        return next((track for track in self.tracks if track.track_id == track_id), None)

    def near(self, first_tick: int, last_tick: int, within_m: float) -> list[SeenTrack]:
        """Return the tracks whose centre comes so near to ego at any of these ticks, the nearest first."""
        if self.users is None:
            return []
        rows = np.arange(
            max(first_tick - self.first_tick, 0), min(last_tick - self.first_tick + 1, len(self.curvature))
        )
        if not len(rows):
            return []
        ego = self.ego.xyz[rows + self.first_tick - self.ego.first_tick, :2]
        gaps = self.users.tracks.xy[:, rows] - ego
        distance = np.nan_to_num(np.hypot(gaps[..., 0], gaps[..., 1]), nan=np.inf).min(axis=1, initial=np.inf)
        order = [n for n in np.argsort(distance, kind="stable") if distance[n] <= within_m]
        ids = dict.fromkeys(str(self.users.tracks.track_id[n]) for n in order)
        return [seen for name in ids if (seen := self.track(name)) is not None]


def scene_facts(
    ego: EgoMotion,
    obstacles: ObstacleTracks | None,
    driving_side: Side | None = None,
    rows: NDArray[np.intp] | None = None,
) -> SceneFacts:
    """Return the facts of a clip, or of some of its rows.

    Args:
        ego: ego motion of the whole clip: its path is known past the rows.
        obstacles: tracks in the clip's local frame; None where the dataset has none. What shall not be known is left
            out by the caller.
        driving_side: the side of the road that traffic keeps to; None where it is not known.
        rows: of ego motion to state facts about, one after the other; all by default.
    """
    rows = np.arange(len(ego)) if rows is None else rows
    first_tick = ego.first_tick + int(rows[0])
    path = DrivenPath(ego)
    curvature = path.curvature_at(path.ego_s[rows])
    unknown = SceneFacts(ego, first_tick, driving_side, curvature, False, 0.0, (), (), (), None)
    if obstacles is None:
        return unknown
    said: list[str] = []
    try:
        boxes = sound_boxes(obstacles, ego, said)
        whole, reach_m = _near_tracks(boxes, ego, said)
    except UnreliableTracksError as error:
        return replace(unknown, problems=(*said, str(error)))
    users = road_users(on_ticks(whole, ego, rows), ego, rows, path)
    roles = find_roles(users, first_tick, ego.heading[rows], _own_changes(ego, path), driving_side)
    seen_m = float(np.quantile(distance_m(boxes, ego), RANGE_QUANTILE))
    return replace(
        unknown,
        has_tracks=True,
        range_m=min(seen_m, reach_m, LEAD_RANGE_M),
        roles=roles,
        tracks=_seen_tracks(boxes),
        problems=tuple(said),
        users=users,
        box_us=np.unique(boxes.t_us),
    )


def _own_changes(ego: EgoMotion, path: DrivenPath) -> list[tuple[float, float]]:
    """Return the stretches of s where ego changes lanes by its own path: seen from it, others seem to move over."""
    moves = (move for move in side_moves(ego, ego.first_tick) if move.is_lane_change)
    rows = (np.rint(np.array([move.starts_in_sec, move.ends_in_sec]) / TICK_SEC).astype(int) for move in moves)
    return [(float(path.ego_s[first]), float(path.ego_s[last])) for first, last in rows]


def facts_until_keyframe(window: Window) -> SceneFacts:
    """Return what was known of others at a window's keyframe, from its last seconds; no box after it is used."""
    rows = np.arange(max(0, window.row - HISTORY_TICKS), window.row + 1)
    known = None if window.obstacles is None else window.obstacles.until(window.t0_us)
    return scene_facts(window.ego, known, window.driving_side, rows)


def _near_tracks(boxes: Boxes, ego: EgoMotion, said: list[str]) -> tuple[WholeTracks, float]:
    """Return the tracks near ego, and within how many m that is everybody; add what is wrong to ``said``.

    Raises:
        UnreliableTracksError: nothing can be claimed from them.
    """
    near, reach_m = nearby(boxes, ego, said)
    offset = clock_offset_sec(near, ego)
    if offset is not None:
        raise UnreliableTracksError(
            f"the clock of the tracks is off by about {offset:+.1f} s against ego's: what stands moves when ego turns "
            "or brakes. Nothing is claimed from these tracks; correct their timestamps"
        )
    return whole_tracks(near, said), reach_m


def _seen_tracks(boxes: Boxes) -> tuple[SeenTrack, ...]:
    """Return the tracks by id; parts of one id are one here."""
    first, last = boxes.first, boxes.last
    return tuple(
        SeenTrack(name, kind, int(-(-first_us // TICK_US)), int(last_us // TICK_US))
        for name, kind, first_us, last_us in zip(
            boxes.track_id[boxes.track[first]].tolist(),
            boxes.label_class[first].tolist(),
            boxes.t_us[first],
            boxes.t_us[last],
            strict=True,
        )
    )
