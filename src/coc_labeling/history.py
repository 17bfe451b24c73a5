"""What could be known at a keyframe: a view of the clip that ends there.

Nothing in it depends on what came later, neither on values nor on how much there is: two clips that are the same up to
the keyframe give equal views. What cannot be undone is what the data's makers did: offline ego motion was smoothed over
whole clips, and video encoders look some frames ahead.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from coc_labeling.conversation import CameraFrames
from coc_labeling.schema import WindowInfo
from coc_labeling.windows import Speeds, Window
from driving_clips.ego_motion import TICK_US, EgoMotion, EgoSamples, resample
from driving_clips.errors import ClipRejectedError
from driving_clips.geometry import yaw_of
from meta_action.labeling import label_motions
from meta_action.timeline import Timeline, timeline

_NO_SPEEDS = Speeds(np.zeros(0), np.zeros(0), np.zeros(0))


@dataclass(frozen=True)
class HistoryView:
    """The clip up to a keyframe. It carries no name of clip or file, no keyframe's meta-action, and no end of anything.

    Attributes:
        t0_us: the keyframe, microseconds on the clip clock; the view ends there.
        ego: ego motion on the ticks up to the last sample at or before the keyframe; None where that is too short.
        timeline: meta-actions made anew from ``ego`` alone.
        speeds: ego's speed up to the keyframe.
        info: how much of the asked history there is; it says nothing of the future.
        cameras: frames at or before the keyframe, by camera.
    """

    t0_us: int
    ego: EgoMotion | None
    timeline: Timeline
    speeds: Speeds
    info: WindowInfo
    cameras: tuple[CameraFrames, ...]


def history_view(window: Window, cameras: Sequence[CameraFrames], frames: int) -> HistoryView:
    """Return what was known at a window's keyframe.

    Args:
        window: with its samples.
        cameras: its frames.
        frames: how many times at or before the keyframe were sampled, of each camera.
    """
    if window.samples is None:
        raise ValueError("a view of the history needs the window's samples")
    t0_us = window.t0_us
    known = window.samples.until(t0_us)
    ego = _on_ticks(known)
    return HistoryView(
        t0_us,
        ego,
        timeline("", label_motions([ego])[0] if ego else ()),
        _speeds(ego, known, t0_us) if ego else _NO_SPEEDS,
        window.info.model_copy(update={"future_sec": 0.0, "missing_future_sec": 0.0}),
        tuple(seen_frames(camera, t0_us, frames) for camera in cameras),
    )


def _on_ticks(known: EgoSamples) -> EgoMotion | None:
    try:
        return resample(known)
    except ClipRejectedError:
        return None


def _speeds(ego: EgoMotion, known: EgoSamples, t0_us: int) -> Speeds:
    """Return speeds on the ticks, with the last sample's own, which is taken to hold for up to one tick more."""
    t_sec, along, left = ego.t_sec, ego.longitudinal_speed, ego.lateral_speed
    last_us, speed = round(t_sec[-1] * 1e6), (along[-1], left[-1])
    last = known.cleaned().rows(slice(-1, None))
    if last.velocity is not None and last.t_us[0] > last_us:
        (vx, vy, _), heading = last.velocity[0], float(yaw_of(last.quat)[0])
        last_us = int(last.t_us[0])
        speed = (vx * np.cos(heading) + vy * np.sin(heading), -vx * np.sin(heading) + vy * np.cos(heading))
    ends = [end for end in (last_us, t0_us) if round(t_sec[-1] * 1e6) < end <= last_us + TICK_US]
    t_sec = np.concatenate([t_sec, [end / 1e6 for end in dict.fromkeys(ends)]])
    return Speeds(
        t_sec, *(np.append(v, [s] * (len(t_sec) - len(v))) for v, s in zip((along, left), speed, strict=True))
    )


def seen_frames(camera: CameraFrames, t0_us: int, frames: int) -> CameraFrames:
    """Return the frames up to a time, without the name of their file and what was said of it as a whole."""
    shots = tuple(replace(shot, file="") for shot in camera.shots if shot.t_us <= t0_us)
    return CameraFrames(camera.camera, shots, frames - len(shots))
