"""What can be known around one keyframe."""

from dataclasses import dataclass
from typing import NamedTuple

from coc_labeling.keyframes import Keyframe
from coc_labeling.schema import MetaActionSpan, Side, WindowInfo
from driving_clips.driving_sides import DrivingSide
from driving_clips.ego_motion import LAST_TICK, TICK_SEC, EgoMotion, EgoSamples
from driving_clips.errors import ClipRejectedError
from driving_clips.geometry import Floats
from driving_clips.obstacles import ObstacleTracks
from meta_action.timeline import Timeline


@dataclass(frozen=True)
class Sampling:
    """When a window is sampled: from ``history_sec`` before the keyframe to before ``future_sec`` after it.

    Example:
        >>> Sampling(1, 1, 0.5).offsets_us
        (-1000000, -500000, 0, 500000)
    """

    history_sec: float
    future_sec: float
    interval_sec: float

    @property
    def offsets_us(self) -> tuple[int, ...]:
        """The sampled times in microseconds relative to the keyframe, which is one of them."""
        before, after = (self._steps(extent) for extent in (self.history_sec, self.future_sec))
        return tuple(round(step * self.interval_sec * 1e6) for step in range(-before, after))

    @property
    def edges_us(self) -> tuple[int, ...]:
        """The sampled times and the window's end, one interval after the last of them."""
        return (*self.offsets_us, round(self._steps(self.future_sec) * self.interval_sec * 1e6))

    def _steps(self, extent_sec: float) -> int:
        return int(extent_sec / self.interval_sec + 1e-9)


class Speeds(NamedTuple):
    """Ego's speed over time.

    Attributes:
        t_sec: (N,) s on the clip clock, increasing.
        along: (N,) m/s along the heading, positive forwards.
        left: (N,) m/s across it, positive to the left.
    """

    t_sec: Floats
    along: Floats
    left: Floats


@dataclass(frozen=True)
class Window:
    """A keyframe with the clip around it.

    Attributes:
        keyframe: the moment t0.
        ego: ego motion of the whole clip.
        timeline: meta-actions of the whole clip.
        obstacles: tracks of the whole clip in its local frame; None where the dataset has none.
        history_sec: how far the window reaches back from t0.
        future_sec: how far it reaches ahead.
        samples: ego motion of the whole clip as recorded, for agents that ask what was known when; else None.
        driving_side: the side of the road that traffic keeps to; None where it is not known.
    """

    keyframe: Keyframe
    ego: EgoMotion
    timeline: Timeline
    obstacles: ObstacleTracks | None
    history_sec: float
    future_sec: float
    samples: EgoSamples | None = None
    driving_side: Side | None = None

    @property
    def t0_us(self) -> int:
        """The keyframe in microseconds on the clip clock."""
        return self.keyframe.t_us

    @property
    def row(self) -> int:
        """The keyframe's row in ``ego``."""
        return self.keyframe.frame - self.ego.first_tick

    @property
    def last_row(self) -> int:
        """The last row of ``ego`` within the window."""
        return min(self.row + round(self.future_sec / TICK_SEC), len(self.ego) - 1)

    @property
    def speeds(self) -> Speeds:
        """Ego's speed at all ticks of the clip."""
        return Speeds(self.ego.t_sec, self.ego.longitudinal_speed, self.ego.lateral_speed)

    @property
    def info(self) -> WindowInfo:
        """The window's extent, with what the clip's ends cut off."""
        t0, covered = self.t0_us / 1e6, self.ego.t_sec
        behind, ahead = float(t0 - covered[0]), float(covered[-1] - t0)
        return WindowInfo(
            history_sec=self.history_sec,
            future_sec=self.future_sec,
            missing_history_sec=round(max(0.0, self.history_sec - behind), 3),
            missing_future_sec=round(max(0.0, self.future_sec - ahead), 3),
        )

    @property
    def starting(self) -> tuple[MetaActionSpan, ...]:
        """All meta-actions that start at the keyframe."""
        return tuple(
            MetaActionSpan(axis=axis, name=name, start_tick=start, end_tick=end)
            for axis, name, start, end in self.timeline.starting_at(self.keyframe.frame)
        )


def side_of(said: DrivingSide | None) -> Side | None:
    """Return the side that a dataset says traffic keeps to; None where it does not say it."""
    return None if said is None else Side(said)


def make_window(
    keyframe: Keyframe,
    ego: EgoMotion,
    timeline: Timeline,
    obstacles: ObstacleTracks | None,
    history_sec: float,
    future_sec: float,
    samples: EgoSamples | None = None,
    driving_side: Side | None = None,
) -> Window:
    """Return the window of a keyframe; raises ClipRejectedError where ego motion does not cover the keyframe."""
    last = ego.first_tick + len(ego) - 1
    if not ego.first_tick <= keyframe.frame <= min(last, LAST_TICK):
        raise ClipRejectedError(
            "outside_clip",
            f"keyframe {keyframe.frame} ({keyframe.frame * TICK_SEC:.1f} s) is outside ego motion, which covers "
            f"{ego.first_tick * TICK_SEC:.1f} to {last * TICK_SEC:.1f} s.",
        )
    return Window(keyframe, ego, timeline, obstacles, history_sec, future_sec, samples, driving_side)
