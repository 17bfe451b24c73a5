import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from builders.asked import samples_of
from builders.driving import Drive, drive, lively_drive
from builders.material import write_clip
from builders.pai import parquet, static_box_seen_from
from builders.table import write_csv
from coc_labeling.review.material import scene
from coc_labeling.review.material.material import Material
from coc_labeling.review.material.parts import Part
from coc_labeling.review.material.sources import Sources
from coc_labeling.review.material.video_cache import VideoCache
from coc_labeling.review.phases import Extent
from driving_clips.datasets import open_dataset
from driving_clips.ego_motion import resample
from driving_clips.errors import ClipRejectedError
from driving_clips.obstacles import ObstacleTracks
from meta_action.timeline import Span, timeline

CLIP, T0 = "clip_0", 5_000_000
EXTENT = Extent(2_000_000, 6_000_000)
HISTORY, WINDOW = (Part.of(T0, EXTENT, future=future) for future in (False, True))


def plain(samples, part: Part, origin=None) -> tuple[dict, dict]:
    ego = resample(samples if part.future else samples.until(part.t0_us))
    return scene.curves(ego, part), scene.path(ego, origin or scene.Origin.of(samples, part.t0_us), part)


def test_it_has_the_form_that_the_page_reads(material):
    history, window = (material.scene(CLIP, T0, future=future) for future in (False, True))
    assert set(history) == set(window)
    assert (history["clip_id"], history["t0"], history["start"], history["end"]) == (CLIP, 5.0, 3.0, 5.0)
    assert (window["start"], window["end"]) == (3.0, 11.0)
    assert history["ego"] == {"length": 4.6, "width": 1.9, "rear": 1.1}
    assert history["problems"] == window["problems"] == []
    json.dumps(window, allow_nan=False)


def test_the_history_has_nothing_from_after_the_keyframe(material):
    history = material.scene(CLIP, T0, future=False)
    times = [history["curves"]["t"], history["path"]["t"], [one["t"] for one in history["frames"]]]
    times += [user["t"] for user in history["road_users"]]
    assert all(own and max(own) <= 5.0 and min(own) >= 3.0 for own in times)
    assert history["spans"] == []
    assert "200" not in json.dumps(history["curves"]["t"])


def test_the_window_has_ten_ticks_a_second_of_all_of_it(material):
    window = material.scene(CLIP, T0, future=True)
    ticks = [round(n / 10, 3) for n in range(30, 111)]
    assert window["curves"]["t"] == window["path"]["t"] == ticks
    assert all(len(window["curves"][name]) == 81 for name in ("speed", "acceleration", "turn_rate"))
    assert [user["id"] for user in window["road_users"]] == ["1"]
    assert len(window["road_users"][0]["t"]) == 81


def test_what_curves_and_path_say_of_a_steady_left_turn():
    samples = samples_of(drive(20, hz=100, speed=10.0, yaw_rate=0.2))
    for part in (HISTORY, WINDOW):
        curves, path = plain(samples, part)
        np.testing.assert_allclose(curves["speed"], 10.0, atol=1e-3)
        np.testing.assert_allclose(curves["acceleration"], 0.0, atol=1e-3)
        np.testing.assert_allclose(curves["turn_rate"], 0.2, atol=1e-3)
        at = path["t"].index(5.0)
        assert (path["x"][at], path["y"][at], path["heading"][at]) == (0.0, 0.0, 0.0)
        assert path["x"][0] < -19  # it came from behind
    ahead = path["t"].index(7.0)
    assert path["y"][ahead] == pytest.approx(50 * (1 - math.cos(0.4)), abs=0.2)  # to the left of where it looked
    assert path["heading"][ahead] == pytest.approx(0.4, abs=0.01)


def test_speed_is_negative_backwards_and_braking_is_negative_acceleration():
    curves, _ = plain(samples_of(drive(20, hz=10, speed=lambda t: 5.0 - t)), WINDOW)
    assert curves["speed"][:3] == pytest.approx([2.0, 1.9, 1.8], abs=1e-6)
    assert min(curves["speed"]) < -5
    assert curves["acceleration"][5] == pytest.approx(-1.0, abs=1e-6)


def test_a_parked_car_stays_where_it_is_while_ego_drives(drives, material):
    for future in (False, True):
        (car,) = material.scene(CLIP, T0, future=future)["road_users"]
        assert np.ptp(car["x"]) < 0.05
        assert np.ptp(car["y"]) < 0.05
        assert (car["class"], car["length"], car["width"]) == ("automobile", 4.5, 1.9)


def test_a_sample_between_the_last_tick_and_the_keyframe_ends_the_path():
    late = lively_drive(1, hz=10).shifted(50_000)  # samples at 0.05, 0.15, ... s
    samples = samples_of(late)
    _, path = plain(samples, HISTORY)
    assert path["t"][-2:] == [4.9, 4.95]
    assert (path["x"][-1], path["y"][-1]) == (0.0, 0.0)
    assert plain(samples, WINDOW)[1]["t"][20:22] == [5.0, 5.1]


def test_a_clip_s_ends_cut_a_window(material):
    assert material.scene(CLIP, 1_000_000, future=False)["start"] == 0.0
    late = material.scene(CLIP, 18_000_000, future=True)
    assert (late["end"], late["curves"]["t"][-1], late["problems"]) == (24.0, 20.0, [])


def test_too_short_a_history_is_told(material):
    shown = material.scene(CLIP, 300_000, future=False)
    assert shown["curves"]["t"] == []
    assert "No motion to show" in shown["problems"][0]
    assert "at least 10" in shown["problems"][0]


def test_spans_are_cut_to_the_window_and_in_seconds():
    own = timeline(CLIP, [Span("lateral", "turn_left", 0, 40), Span("longitudinal", "stop", 100, 200)])
    own = replace(
        own, spans=(*own.spans, Span("longitudinal", "reverse", 120, 130), Span("lateral", "turn_right", 0, 30))
    )
    assert scene.spans(own, WINDOW) == [
        {"axis": "lateral", "name": "turn_left", "start": 3.0, "end": 4.0},
        {"axis": "longitudinal", "name": "stop", "start": 10.0, "end": 11.0},
    ]


def crowd(count: int, hz: int = 10) -> ObstacleTracks:
    """Many that stand in a row along x, each seen from 0 to 10 s."""
    t_us = np.tile(np.arange(10 * hz, dtype=np.int64) * (1_000_000 // hz), count)
    number = np.repeat(np.arange(count), 10 * hz)
    center = np.stack([10.0 * (number + 1), np.zeros(len(t_us)), np.zeros(len(t_us))], axis=1)
    unknown = np.full((len(t_us), 3), np.nan)
    ids = np.char.add("t", number.astype(str))
    return ObstacleTracks(t_us, ids, np.full(len(t_us), "person"), center, np.full(len(t_us), np.nan), unknown)


def test_of_many_road_users_the_nearest_are_shown_and_no_more_than_ten_boxes_a_second():
    shown = scene.road_users(crowd(150, hz=100), scene.Origin(T0, 0.0, 0.0, 0.0), HISTORY)
    assert len(shown) == 100
    assert {user["id"] for user in shown} == {f"t{n}" for n in range(100)}
    assert {len(user["t"]) for user in shown} == {21}
    assert {user["heading"][0] for user in shown} == {user["length"] for user in shown} == {None}


def test_who_is_first_seen_later_is_not_in_the_history():
    tracks = crowd(2)
    early = tracks.select((tracks.track_id == "t0") | (tracks.t_us > T0))
    origin = scene.Origin(T0, 0.0, 0.0, 0.0)
    assert [user["id"] for user in scene.road_users(early, origin, HISTORY)] == ["t0"]
    assert [user["id"] for user in scene.road_users(early, origin, WINDOW)] == ["t0", "t1"]


def test_before_any_sample_there_is_no_frame_to_draw_in():
    with pytest.raises(ClipRejectedError):
        scene.Origin.of(samples_of(drive().shifted(8_000_000)), T0)


# Non-interference


def other_future(own: Drive, t0_us: int, seed: int) -> Drive:
    """A drive that is the same up to a time, and another one after it: longer or shorter, spoilt or not."""
    rng = np.random.default_rng(seed)
    length = int(rng.integers(t0_us // 100_000 + 1, 200)) * 100_000
    other = lively_drive(seed % 90 + 5, hz=round(1e6 / np.diff(own.t_us)[0]))
    joined = {}
    offset = int(np.searchsorted(own.t_us, t0_us, side="right")) - 1
    for name in ("x", "y", "yaw", "vx", "vy"):
        ours, theirs = getattr(own, name), getattr(other, name)[: len(own)]
        jump = ours[offset] - theirs[offset] if name in ("x", "y", "yaw") else 0.0
        joined[name] = np.where(own.t_us <= t0_us, ours, theirs + jump)
    joined["x"] = np.where((own.t_us > t0_us) & (rng.random(len(own)) < 0.1), np.nan, joined["x"])
    kept = np.flatnonzero(own.t_us <= max(length, t0_us + 200_000))
    return Drive(own.t_us, **joined).rows(kept)


def boxes_of(ego: Drive, until_us: int, later: Drive) -> dict:
    """Boxes as they are measured between ego's samples, each placed by ego's pose of its own time."""
    own, other = (static_box_seen_from(one, 30.0, 4.0, 0.3) for one in (ego, later))
    columns = {}
    for name, values in own.items():
        before = [v for v, t in zip(values, ego.t_us, strict=True) if t <= until_us]
        columns[name] = before + [v for v, t in zip(other[name], later.t_us, strict=True) if t > until_us]
    for name in ("timestamp_us", "reference_frame_timestamp_us"):
        columns[name] = [int(t) + (7_000 if t + 7_000 <= until_us else 0) for t in columns[name]]
    return columns


def history_json(folder, ego: Drive, boxes: dict, t0_us: int) -> str:
    write_csv(folder, CLIP, ego)
    (folder / f"{CLIP}.obstacles.parquet").write_bytes(parquet(boxes))
    material = Material(Sources(open_dataset("table", str(folder))), VideoCache(str(folder / "cache")))
    found = json.dumps(material.scene(CLIP, t0_us, future=False))
    material.close()
    return found


@settings(max_examples=25)
@given(
    seed=st.integers(0, 1000),
    t0_us=st.integers(1_200_000, 15_000_000),
    hz=st.sampled_from([10, 20]),
    whole=st.booleans(),
)
def test_whatever_the_future_is_the_history_is_the_same(tmp_path_factory, seed, t0_us, hz, whole):
    t0_us = t0_us // 100_000 * 100_000 if whole else t0_us
    ego = lively_drive(seed % 50, hz=hz)
    other = other_future(ego, t0_us, seed)
    first = history_json(tmp_path_factory.mktemp("one"), ego, boxes_of(ego, t0_us, ego), t0_us)
    second = history_json(tmp_path_factory.mktemp("two"), other, boxes_of(ego, t0_us, other), t0_us)
    event("users" if '"road_users": []' not in first else "nobody")
    assert '"problems": []' in first or "No motion" in first
    assert first == second


def test_the_window_is_not_the_same_so_the_test_can_fail(tmp_path, opened):
    ego = lively_drive(1)
    shown = []
    for name, own in (("one", ego), ("two", other_future(ego, T0, 3))):
        data = write_clip(tmp_path / name, ego=own)
        shown.append(json.dumps(opened(data).scene(CLIP, T0, future=True)["path"]))
    assert shown[0] != shown[1]
