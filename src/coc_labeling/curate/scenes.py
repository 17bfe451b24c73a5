"""What a moment shows: rare, standard, sparse or empty, from ego motion, meta-actions and tracks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from coc_labeling.curate.masks import faulty_ticks
from coc_labeling.curate.rules import RARE_ACTIONS, Mask, RareReason, Scene, Thresholds
from coc_labeling.curate.surroundings import Surroundings, surroundings
from driving_clips.ego_motion import TICK_SEC, TICK_US, EgoMotion
from driving_clips.geometry import Floats
from driving_clips.obstacles import ObstacleTracks


@dataclass(frozen=True)
class MomentView:
    """What was found at a moment.

    Attributes:
        scene: its class.
        rare: why it is rare.
        road_users: how many came near in its window; None where others were not measured, or
            too few by a sensor that does not look all around.
        masks: the faults in its window.
    """

    scene: Scene
    rare: tuple[RareReason, ...]
    road_users: int | None
    masks: tuple[Mask, ...]


@dataclass(frozen=True)
class ClipView:
    """A clip, ready to be asked about its moments."""

    ego: EgoMotion
    tracks: ObstacleTracks | None
    limits: Thresholds

    def covers(self, frame: int) -> bool:
        """Say whether ego motion is known at a frame of 0.1 s."""
        return 0 <= frame - self.ego.first_tick < len(self.ego)

    def at(self, frame: int, actions: Sequence[str]) -> MomentView:
        """Return what a moment shows: a frame that ego motion covers, with the meta-actions that start there."""
        rows = self._rows(frame, self.limits.history_sec)
        masks = tuple(mask for mask, ticks in self._faults.items() if ticks[rows].any())
        rare = tuple(self._rare(frame, actions))
        users = self._road_users(frame)
        return MomentView(self._scene(users, is_rare=bool(rare)), rare, users, masks)

    def _scene(self, users: int | None, *, is_rare: bool) -> Scene:
        if is_rare:
            return Scene.RARE
        if users is None:
            return Scene.UNKNOWN
        if users == 0:
            return Scene.EMPTY
        return Scene.SPARSE if users <= self.limits.sparse_most else Scene.STANDARD

    def _rare(self, frame: int, actions: Sequence[str]) -> list[RareReason]:
        ahead = self._rows(frame, 0.0)
        found = {
            RareReason.ACTION: not RARE_ACTIONS.isdisjoint(actions),
            RareReason.BRAKING: bool((self._braking[ahead] >= self.limits.braking_mps2).any()),
            RareReason.CORNERING: bool((self._cornering[ahead] >= self.limits.cornering_mps2).any()),
            RareReason.NEAR_PATH: self._others is not None and self._others.meet_ego(*self._window_us(frame)),
        }
        return [reason for reason, holds in found.items() if holds]

    def _road_users(self, frame: int) -> int | None:
        others = self._others
        if others is None or not others.measured_at(frame * TICK_US, self.limits.observed_sec):
            return None
        users = others.near(*self._window_us(frame), self.limits.near_m)
        return users if others.all_around or users > self.limits.sparse_most else None

    def _window_us(self, frame: int) -> tuple[int, int]:
        start, end = frame * TICK_SEC - self.limits.history_sec, frame * TICK_SEC + self.limits.future_sec
        return round(start * 1e6), round(end * 1e6)

    def _rows(self, frame: int, history_sec: float) -> slice:
        """Return the rows of ego motion from some time before a frame to the window's end."""
        row = frame - self.ego.first_tick
        end = row + round(self.limits.future_sec / TICK_SEC) + 1
        return slice(max(row - round(history_sec / TICK_SEC), 0), end)

    @cached_property
    def _others(self) -> Surroundings | None:
        return None if self.tracks is None else surroundings(self.ego, self.tracks, self.limits)

    @cached_property
    def _faults(self) -> dict[Mask, np.ndarray]:
        return dict(faulty_ticks(self.ego, self._others, self.limits))

    @cached_property
    def _braking(self) -> Floats:
        """Deceleration (T,) in m/s^2 over the time that follows each tick."""
        return -self._change(self.ego.speed)

    @cached_property
    def _cornering(self) -> Floats:
        """Lateral acceleration (T,) in m/s^2 over the time that follows each tick, never negative."""
        turning: Floats = np.abs(self._change(np.unwrap(self.ego.heading)) * self.ego.speed)
        return turning

    def _change(self, values: Floats) -> Floats:
        """Return the mean rate of change over the time that follows; 0 where the clip ends before."""
        ticks = round(self.limits.change_sec / TICK_SEC)
        rate = np.zeros(len(values))
        rate[:-ticks] = (values[ticks:] - values[:-ticks]) / (ticks * TICK_SEC)
        return rate
