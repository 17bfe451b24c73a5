"""Positions of a prediction as ego motion on ticks, so that everything that judges recorded drives can judge it."""

import numpy as np

from coc_labeling.keyframes import Keyframe
from coc_labeling.windows import Window, make_window
from driving_clips.ego_motion import TICK_SEC, TICK_US, EgoMotion
from driving_clips.geometry import Floats, quat_of_yaw
from meta_action.labeling import label_motions
from meta_action.timeline import timeline

LEAST_STEP_M = 0.02  # a shorter step in 0.1 s has no direction
HISTORY_SEC = 2.0  # of the window, as labels are checked


def motion_of(history_xy: Floats, xy: Floats, yaw: Floats | None) -> EgoMotion:
    """Return ego motion of a history and what follows it, on a clock whose tick 0 is the history's first pose.

    Args:
        history_xy: (H, 2) m in ego's frame at t0, the last at t0. Its headings are taken from its steps.
        xy: (T, 2) m, after it.
        yaw: (T,) rad; None where not known, then its steps tell as well.
    """
    before = _headings(history_xy[::-1])[::-1]
    after = _headings(np.concatenate([history_xy[-1:], xy]))[1:] if yaw is None else yaw
    path = np.concatenate([history_xy, xy])
    xyz = np.column_stack([path, np.zeros(len(path))])
    heading = np.concatenate([before, after])
    return EgoMotion(0, xyz, quat_of_yaw(heading), np.gradient(xyz, TICK_SEC, axis=0))


def _headings(path: Floats) -> Floats:
    """Return headings (N,) at the points of a path that begins at t0, either way in time, where the heading is 0.

    Who stands keeps its heading, and a step against it is driven the other way round.
    """
    heading = np.zeros(len(path))
    for row, (x, y) in enumerate(np.diff(path, axis=0)):
        turned = (np.arctan2(y, x) - heading[row] + np.pi / 2) % np.pi - np.pi / 2
        heading[row + 1] = heading[row] + (turned if np.hypot(x, y) >= LEAST_STEP_M else 0.0)
    return heading


def window_of(clip_id: str, history_xy: Floats, xy: Floats, yaw: Floats | None) -> Window:
    """Return the window around t0, to the end of what follows it; see ``motion_of`` for the arguments."""
    ego = motion_of(history_xy, xy, yaw)
    spans = timeline(clip_id, label_motions([ego])[0])
    keyframe = Keyframe(clip_id, (len(history_xy) - 1) * TICK_US)
    return make_window(keyframe, ego, spans, None, HISTORY_SEC, len(xy) * TICK_SEC)
