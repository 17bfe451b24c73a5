"""What a model is told of a window besides frames: true times, meta-actions, speeds, and what is missing.

Nothing here names the clip, its length, or a time on its clock: requests carry only times relative to the keyframe.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from coc_labeling.config.schema import DataLoaderConfig
from coc_labeling.conversation import CameraFrames, Part
from coc_labeling.history import HistoryView
from coc_labeling.schema import WindowInfo
from coc_labeling.windows import Sampling, Window
from driving_clips.ego_motion import TICK_US
from meta_action.names import AXES, BY_NAME

MOTION_HEADING = "# Meta-actions\n"
_NOTHING = "Not Available"
_SAME_SEC = 1e-6  # times are whole microseconds; in seconds their last bit is not


@dataclass(frozen=True)
class MotionText:
    """How ego's motion is told: meta-actions first, then speeds.

    Attributes:
        meta_actions, speeds: when they are sampled.
        as_words: "Maintain Speed" instead of "MaintainSpeed".
        with_times: a time before each line of meta-actions.
    """

    meta_actions: Sampling
    speeds: Sampling
    as_words: bool = True
    with_times: bool = True

    @classmethod
    def of(cls, config: DataLoaderConfig) -> Self:
        """Return what the configuration says of it."""
        shown, vector = config.meta_action, config.vector
        return cls(
            Sampling(shown.hist_length_sec, shown.fut_length_sec, shown.time_interval),
            Sampling(vector.hist_length_sec, vector.fut_length_sec, vector.time_interval),
            as_words=shown.convert2text,
            with_times=shown.add_ts_prefix,
        )

    def whole(self, window: Window) -> str:
        """Tell the whole window."""
        return self._text(window, self.meta_actions.offsets_us, self.speeds.edges_us)

    def history(self, view: HistoryView) -> str:
        """Tell what was known at the keyframe: meta-actions before it, speeds up to it."""
        actions = (offset for offset in self.meta_actions.offsets_us if offset < 0)
        return self._text(view, actions, (offset for offset in self.speeds.edges_us if offset <= 0))

    def future(self, window: Window) -> str:
        """Tell what ego did from the keyframe on: meta-actions from it, speeds after it."""
        actions = (offset for offset in self.meta_actions.offsets_us if offset >= 0)
        return self._text(window, actions, (offset for offset in self.speeds.edges_us if offset > 0))

    def _text(self, seen: Window | HistoryView, actions: Iterable[int], speeds: Iterable[int]) -> str:
        said = meta_action_text(seen, actions, as_words=self.as_words, with_times=self.with_times)
        return f"{MOTION_HEADING}{said or _NOTHING}\n\n# Ego speed (m/s)\n{speed_text(seen, speeds) or _NOTHING}"


def window_text(info: WindowInfo, missing_frames: Sequence[str]) -> str:
    """Return what is cut off or missing, as sentences; empty for a whole window.

    Args:
        info: the window's extent.
        missing_frames: see ``missing_text``.
    """
    return "\n".join([*cut_before(info), *cut_after(info), *missing_frames])


def cut_before(info: WindowInfo) -> list[str]:
    """Return what the clip's beginning cuts off, as a sentence if it does."""
    if not info.missing_history_sec:
        return []
    seen = info.history_sec - info.missing_history_sec
    return [f"The recording begins {seen:.1f} s before t=0: there is nothing earlier."]


def cut_after(info: WindowInfo) -> list[str]:
    """Return what the clip's end cuts off, as a sentence if it does."""
    if not info.missing_future_sec:
        return []
    seen = info.future_sec - info.missing_future_sec
    return [f"The recording ends {seen:.1f} s after t=0: what ego does later is not known."]


def meta_action_text(seen: Window | HistoryView, offsets_us: Iterable[int], *, as_words: bool, with_times: bool) -> str:
    """Return ego's meta-actions at some times, a line each, all three axes.

    Args:
        seen: the window, or what was known of it at the keyframe.
        offsets_us: times relative to the keyframe; those that ego motion does not cover have no line.
        as_words: "Maintain Speed" instead of "MaintainSpeed".
        with_times: a time before each line.
    """
    lines = []
    for offset_us in offsets_us:
        tick = (seen.t0_us + offset_us) // TICK_US
        if seen.ego is None or not seen.ego.first_tick <= tick < seen.ego.first_tick + len(seen.ego):
            continue
        said = seen.timeline.at(tick)
        axes = ", ".join(f"{axis}: {_name(said.get(axis), as_words=as_words)}" for axis in AXES)
        lines.append(f"({_time(offset_us)}) {axes}" if with_times else axes)
    return "\n".join(lines)


def speed_text(seen: Window | HistoryView, offsets_us: Iterable[int]) -> str:
    """Return ego's speed in m/s at some times relative to the keyframe, a line each.

    Longitudinal along the heading, positive forwards; lateral positive to the left. Times that are not covered have
    no line.
    """
    speeds, lines = seen.speeds, []
    for offset_us in offsets_us:
        at = (seen.t0_us + offset_us) / 1e6
        if not len(speeds.t_sec) or not speeds.t_sec[0] - _SAME_SEC <= at <= speeds.t_sec[-1] + _SAME_SEC:
            continue
        along, left = (float(np.interp(at, speeds.t_sec, values)) for values in (speeds.along, speeds.left))
        lines.append(f"({_time(offset_us)}) longitudinal {_number(along)}, lateral {_number(left)}")
    return "\n".join(lines)


def missing_text(cameras: Iterable[CameraFrames]) -> list[str]:
    """Return a sentence per camera that lacks frames."""
    return [_missing(frames) for frames in cameras if frames.missing]


def _missing(frames: CameraFrames) -> str:
    if not frames.shots:
        return f"There is no frame of {frames.camera}."
    return f"{frames.missing} of {frames.missing + len(frames.shots)} frames of {frames.camera} do not exist."


def frame_parts(cameras: Iterable[CameraFrames], t0_us: int) -> list[Part]:
    """Return the frames of all cameras that have some, each frame labelled with its time relative to the keyframe."""
    parts = []
    for frames in cameras:
        if frames.shots:
            labels = ((seconds(shot.t_us - t0_us, 2), shot) for shot in frames.shots)
            parts += [Part("user", f"# Frames of {frames.camera}"), Part("user", frames=tuple(labels))]
    return parts


def seconds(offset_us: int, digits: int) -> str:
    """Return a time relative to the keyframe.

    Example:
        >>> seconds(-1_983_000, 2)
        't=-1.98s'
    """
    value = round(offset_us / 1e6, digits) + 0.0  # no "-0.0"
    return f"t={value:.{digits}f}s"


def _time(offset_us: int) -> str:
    return seconds(offset_us, 2 if offset_us % TICK_US else 1)


def _number(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"


def _name(name: str | None, *, as_words: bool) -> str:
    if name is None:
        return _NOTHING
    return name.replace("_", " ").title() if as_words else BY_NAME[name].file_name
