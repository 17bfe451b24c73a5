import dataclasses

import numpy as np
import pytest

from builders.asked import CLIP, frames_of, recorded_window, window
from builders.driving import drive, lively_drive
from coc_labeling.conversation import CameraFrames, Shot
from coc_labeling.history import HistoryView, history_view
from meta_action.labeling import label_motions
from meta_action.timeline import Span

T0 = 5_000_000
HISTORY_FRAMES = 5


def view_of(own, cameras=None) -> HistoryView:
    return history_view(own, [frames_of(own)] if cameras is None else cameras, HISTORY_FRAMES)


def speed_at(view: HistoryView, offset_sec: float) -> float:
    return float(np.interp(view.t0_us / 1e6 + offset_sec, view.speeds.t_sec, view.speeds.along))


def test_it_ends_at_the_keyframe():
    view = view_of(recorded_window(lively_drive(1, hz=100), T0))
    assert view.ego.t_sec[-1] == pytest.approx(5.0)
    assert view.speeds.t_sec[-1] == pytest.approx(5.0)
    assert max(span.end for span in view.timeline.spans) <= len(view.ego)
    assert [shot.t_us for shot in view.cameras[0].shots] == [3_000_000, 3_500_000, 4_000_000, 4_500_000, 5_000_000]


def test_without_a_sample_at_the_keyframe_its_tick_is_not_interpolated():
    late = lively_drive(1, hz=10).shifted(50_000)  # samples at 0.05, 0.15, ... s
    view = view_of(recorded_window(late, T0))
    assert view.ego.t_sec[-1] == pytest.approx(4.9)


def test_the_speed_at_the_keyframe_is_that_of_the_last_sample():
    d = drive(speed=lambda t: t, hz=10).shifted(50_000)
    view = view_of(recorded_window(d, T0))
    assert speed_at(view, 0.0) == pytest.approx(4.9)  # the sample at 4.95 s was made at 4.9 s of the drive
    assert speed_at(view, -0.5) == pytest.approx(4.45)


def test_a_last_sample_that_is_too_old_says_nothing_of_the_keyframe():
    d = drive(speed=lambda t: t, hz=10)
    kept = np.flatnonzero((d.t_us <= 4_700_000) | (d.t_us > 5_100_000))
    view = view_of(recorded_window(d.rows(kept), T0))
    assert view.speeds.t_sec[-1] == pytest.approx(4.7)


def test_speeds_without_recorded_velocity_come_from_earlier_positions_alone():
    d = drive(speed=lambda t: np.where(t < 5.05, 8.0, 20.0), hz=10)
    view = view_of(recorded_window(d, T0, velocity=False))
    assert speed_at(view, 0.0) == pytest.approx(8.0)


def test_lateral_speed_is_positive_to_the_left():
    d = drive(hz=100)
    slipping = dataclasses.replace(d, vy=np.full(len(d), 0.5))
    view = view_of(recorded_window(slipping, 5_004_000))
    assert view.speeds.left[-1] == pytest.approx(0.5)


def test_meta_actions_are_made_anew():
    d = lively_drive(2, hz=10)
    own = recorded_window(d, T0, spans=[Span("longitudinal", "strong_acceleration", 0, 200)])
    view = view_of(own)
    assert set(view.timeline.spans) == set(label_motions([view.ego])[0])
    assert "strong_acceleration" not in {span.name for span in view.timeline.spans}


@pytest.mark.parametrize("t0_us", [0, 300_000, 800_000])
def test_too_little_history_has_no_meta_actions_and_no_speeds(t0_us):
    view = view_of(recorded_window(drive(), t0_us))
    assert (view.ego, view.timeline.spans, len(view.speeds.t_sec)) == (None, (), 0)
    assert view.info.missing_history_sec == pytest.approx(2 - t0_us / 1e6)


def test_frames_after_the_keyframe_are_left_out_and_counted_only_as_missing_history():
    own = recorded_window(drive(), T0)
    shots = tuple(Shot("a.mp4", n, t, "data:") for n, t in enumerate((3_000_000, 4_990_000, 5_000_001, 5_500_000)))
    (seen,) = view_of(own, [CameraFrames("front", shots, 12)]).cameras
    assert [shot.t_us for shot in seen.shots] == [3_000_000, 4_990_000]
    assert seen.missing == 3


def test_a_camera_without_frames_up_to_the_keyframe_stays_named():
    own = recorded_window(drive(), T0)
    (seen,) = view_of(own, [CameraFrames("front", (Shot("a.mp4", 0, 6_000_000, "data:"),), 15)]).cameras
    assert (seen.camera, seen.shots, seen.missing) == ("front", (), 5)


def strings_in(value) -> set[str]:
    if isinstance(value, str):
        return {value}
    if dataclasses.is_dataclass(value):
        return {s for f in dataclasses.fields(value) for s in strings_in(getattr(value, f.name))}
    if isinstance(value, tuple | list):
        return {s for item in value for s in strings_in(item)}
    return set()


def test_it_carries_no_name_of_clip_or_file_no_action_of_the_keyframe_and_no_note_on_the_video():
    own = recorded_window(drive(), T0, spans=[Span("lateral", "sharp_steer_left", 50, 90)])
    noted = dataclasses.replace(frames_of(own), notes=(f"{CLIP}.front.mp4 is cut off",))
    told = strings_in(view_of(own, [noted]))
    assert not [text for text in told if CLIP in text or "mp4" in text or text == "sharp_steer_left"]


def test_a_window_without_samples_has_no_such_view():
    with pytest.raises(ValueError, match="needs the window's samples"):
        view_of(window())
