"""What kind of scene it is, by what was driven: rare or not, how fast, round which bend, and what the speed did.

``rare`` is that of ``coc curate``, as far as ego's motion tells: hard braking or cornering, strong deceleration,
reversing, a lane change. Others are not known here, so that scenes are not told sparse from standard.
"""

from alpamayo_r1.evaluation.motions import window_of
from coc_labeling.checks.driven import STANDING_MPS, driven_facts
from coc_labeling.curate.rules import RARE_ACTIONS, THRESHOLDS, Scene
from coc_labeling.curate.scenes import ClipView
from coc_labeling.scene.ego import find_bend
from coc_labeling.windows import Window
from driving_clips.geometry import Floats

LEAST_STEPS = 30  # 3 s: of less it is not told what kind of scene it is
NOTABLY_MPS = 2.0
# First m/s of each class of speed.
SPEEDS = (
    (0.0, "standing"),
    (STANDING_MPS, "below 30 km/h"),
    (30 / 3.6, "30 to 60 km/h"),
    (60 / 3.6, "60 to 100 km/h"),
    (100 / 3.6, "over 100 km/h"),
)
UNKNOWN = "unknown"


def scenario_of(
    clip_id: str, history_xy: Floats, driven_xy: Floats | None, driven_yaw: Floats | None
) -> dict[str, str]:
    """Return the classes of a scene by kind of class; all unknown where too little was driven."""
    if driven_xy is None or len(driven_xy) < LEAST_STEPS:
        return dict.fromkeys(("scene", "speed", "course", "pace"), UNKNOWN)
    window = window_of(clip_id, history_xy, driven_xy, driven_yaw)
    return {
        "scene": "rare" if _is_rare(window) else "not rare",
        "speed": [name for first, name in SPEEDS if abs(_start_mps(window)) >= first][-1],
        "course": _course(window),
        "pace": _pace(window),
    }


def _start_mps(window: Window) -> float:
    return float(window.ego.longitudinal_speed[window.row])


def _is_rare(window: Window) -> bool:
    actions = driven_facts(window).soon(*RARE_ACTIONS)
    return ClipView(window.ego, None, THRESHOLDS).at(window.keyframe.frame, actions).scene is Scene.RARE


def _course(window: Window) -> str:
    bend = find_bend(window)
    if bend is None:
        return "straight on"
    return f"{bend.side} {'turn' if bend.is_turn else 'bend'}"


def _pace(window: Window) -> str:
    course = driven_facts(window).course
    assert course is not None  # there is a window
    stands = abs(course.start_mps) < STANDING_MPS
    fall, rise = (change(float(course.t_sec[-1])) for change in (course.fall_mps, course.rise_mps))
    if stands:
        return "moves off" if rise >= NOTABLY_MPS else "stands"
    if course.stands_in_sec() is not None:
        return "stops"
    if max(fall, rise) < NOTABLY_MPS:
        return "keeps its speed"
    return "slows down" if fall >= rise else "speeds up"
