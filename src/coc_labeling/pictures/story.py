"""What there is to show of a clip, and what of it at each moment."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coc_labeling.report.clips import Keyframe
from driving_clips.ego_motion import TICK_SEC, EgoMotion
from driving_clips.geometry import Floats
from driving_clips.obstacles import ObstacleTracks
from meta_action.timeline import Span, Timeline

US = 1_000_000
LABEL_SEC = 6.0  # a label speaks of the time from its keyframe on: until the next one, or for as long as a window


@dataclass(frozen=True)
class ClipStory:
    """Everything that is shown of one clip.

    Attributes:
        clip_id: the clip.
        ego: its motion.
        timeline: its meta-actions.
        obstacles: other road users, or None where the dataset has none or they cannot be read.
        keyframes: its labels in the order of time; None where no labels are to be shown.
    """

    clip_id: str
    ego: EgoMotion
    timeline: Timeline
    obstacles: ObstacleTracks | None = None
    keyframes: tuple[Keyframe, ...] | None = None

    @property
    def start_sec(self) -> float:
        """When ego motion begins, on the clip clock."""
        return float(self.ego.t_sec[0])

    @property
    def end_sec(self) -> float:
        """When it ends."""
        return float(self.ego.t_sec[-1])

    def times_us(self, fps: float) -> NDArray[np.int64]:
        """Return the moments (F,) that are shown at ``fps`` pictures a second, us on the clip clock."""
        count = int((self.end_sec - self.start_sec) * fps + 1e-6) + 1
        return np.round((self.start_sec + np.arange(count) / fps) * US).astype(np.int64)

    def spans_at(self, t_us: int) -> dict[str, Span]:
        """Return the span on each axis that says something at a time, by axis."""
        tick = t_us // round(TICK_SEC * US)
        return {span.axis: span for span in self.timeline.spans if span.start <= tick < span.end}

    def label_at(self, t_us: int) -> Keyframe | None:
        """Return the keyframe whose label speaks of a time; the latest one where several do."""
        past = [keyframe for keyframe in self.keyframes or () if round(keyframe.t_sec * US) <= t_us]
        current = past[-1] if past else None
        return current if current and t_us < round((current.t_sec + LABEL_SEC) * US) else None


@dataclass(frozen=True)
class EgoStates:
    """Ego at the moments that are shown: ``xy`` (F, 2) m, ``heading`` (F,) rad and not wrapped, ``speed`` (F,) m/s."""

    xy: Floats
    heading: Floats
    speed: Floats

    @classmethod
    def of(cls, ego: EgoMotion, t_us: NDArray[np.int64]) -> "EgoStates":
        """Interpolate between the ticks."""
        now, ticks = t_us / US, ego.t_sec
        xy = np.stack([np.interp(now, ticks, ego.xyz[:, axis]) for axis in range(2)], axis=1)
        heading = np.interp(now, ticks, np.unwrap(ego.heading))
        return cls(xy, heading, np.interp(now, ticks, ego.longitudinal_speed))


def words(name: str) -> str:
    """Return a name of a file format in words.

    Example:
        >>> words("gentle_deceleration")
        'gentle deceleration'
    """
    return name.replace("_", " ")


def cited_by(keyframe: Keyframe | None) -> dict[str, str]:
    """Return what a label cites of other road users: how they stand to ego in words, by track id."""
    components = keyframe.components if keyframe else ()
    return {c.track_id: words(c.relation or c.category) for c in components if c.track_id is not None}
