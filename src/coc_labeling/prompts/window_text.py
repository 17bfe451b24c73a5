"""What a model is told of a window besides frames: true times, meta-actions, speeds, and what is missing.

Nothing here names the clip, its length, or a time on its clock: requests carry only times relative to the keyframe.
"""

from collections.abc import Sequence

import numpy as np

from coc_labeling.windows import Sampling, Window
from driving_clips.ego_motion import TICK_US
from meta_action.names import AXES, BY_NAME

MOTION_HEADING = "# Meta-actions\n"
_NOTHING = "Not Available"


def window_text(window: Window, missing_frames: Sequence[str]) -> str:
    """Return what is cut off or missing, as sentences; empty for a whole window.

    Args:
        window: the window.
        missing_frames: a sentence per camera that lacks frames.
    """
    info = window.info
    lines = []
    if info.missing_history_sec:
        seen = info.history_sec - info.missing_history_sec
        lines.append(f"The recording begins {seen:.1f} s before t=0: there is nothing earlier.")
    if info.missing_future_sec:
        seen = info.future_sec - info.missing_future_sec
        lines.append(f"The recording ends {seen:.1f} s after t=0: what ego does later is not known.")
    return "\n".join([*lines, *missing_frames])


def meta_action_text(window: Window, sampling: Sampling, *, as_words: bool, with_times: bool) -> str:
    """Return ego's meta-actions at the sampled times, a line each, all three axes."""
    lines = []
    for offset_us in sampling.offsets_us:
        tick = (window.t0_us + offset_us) // TICK_US
        if not window.ego.first_tick <= tick < window.ego.first_tick + len(window.ego):
            continue
        said = window.timeline.at(tick)
        axes = ", ".join(f"{axis}: {_name(said.get(axis), as_words=as_words)}" for axis in AXES)
        lines.append(f"({_time(offset_us)}) {axes}" if with_times else axes)
    return "\n".join(lines)


def speed_text(window: Window, sampling: Sampling) -> str:
    """Return ego's speed in m/s from the window's start to its end, a line per sampled time, both ends included.

    Longitudinal along the heading, positive forwards; lateral positive to the left.
    """
    ego = window.ego
    lines = []
    for offset_us in (*sampling.offsets_us, sampling.end_us):
        at = (window.t0_us + offset_us) / 1e6
        if not ego.t_sec[0] <= at <= ego.t_sec[-1]:
            continue
        along, left = (float(np.interp(at, ego.t_sec, v)) for v in (ego.longitudinal_speed, ego.lateral_speed))
        lines.append(f"({_time(offset_us)}) longitudinal {_number(along)}, lateral {_number(left)}")
    return "\n".join(lines)


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
