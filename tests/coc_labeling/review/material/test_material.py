import io
import json
import shutil
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from builders.driving import lively_drive
from builders.material import CAMERA, FPS, FRAMES, SIZE, write_clip, write_run
from builders.pai import FRONT, camera_members, ego_parquet, parquet, static_box_seen_from, write_chunk
from builders.table import write_csv
from builders.videos import CLIP as CHUNK_CLIP
from builders.videos import number_of, times_of, video_bytes, write_video, zip_videos
from coc_labeling.review.material import Material, MaterialError, videos
from coc_labeling.review.material import material as material_module
from coc_labeling.review.phases import Extent
from driving_clips.errors import ClipFailedError
from driving_clips.video import reading

CLIP, T0 = "clip_0", 5_030_000  # not at a frame's time: the nearest one above would be later
HISTORY = range(31, 51)  # the frames of 3.03 to 5.03 s


def played(path: str) -> tuple[list[int], list[float], list[int]]:
    """Numbers, times in s, and which frames stand alone."""
    with av.open(path) as container:
        frames = list(container.decode(video=0))
    return [number_of(f) for f in frames], [f.time for f in frames], [i for i, f in enumerate(frames) if f.key_frame]


def shown(jpeg: bytes) -> int:
    return number_of(np.asarray(Image.open(io.BytesIO(jpeg)).convert("L"), float))


# The video


def test_the_history_ends_at_the_keyframe(material):
    path = material.video(CLIP, T0, future=False)
    numbers, times, _ = played(path)
    assert numbers == list(HISTORY)
    np.testing.assert_allclose(times, np.arange(20) / FPS, atol=2e-4)
    scene = material.scene(CLIP, T0, future=False)
    assert scene["video"] == {"url": "history.mp4", "start": 3.1, "camera": CAMERA, "problem": None}


def test_the_window_is_all_of_it_and_quick_to_jump_in(material):
    numbers, times, alone = played(material.video(CLIP, T0, future=True))
    assert numbers == list(range(31, 111))
    assert times[0] == 0
    assert max(np.diff([*alone, len(numbers)])) <= 10
    assert material.scene(CLIP, T0, future=True)["video"]["url"] == "window.mp4"


def test_a_varied_rate_keeps_its_times(tmp_path, opened):
    t_us = np.cumsum(np.random.default_rng(1).integers(40_000, 160_000, FRAMES))
    material = opened(write_clip(tmp_path / "d", t_us=t_us))
    numbers, times, _ = played(material.video(CLIP, T0, future=True))
    expected = np.flatnonzero((t_us >= T0 - 2_000_000) & (t_us <= T0 + 6_000_000))
    assert numbers == expected.tolist()
    np.testing.assert_allclose(times, (t_us[expected] - t_us[expected[0]]) / 1e6, atol=2e-4)
    assert material.scene(CLIP, T0, future=True)["video"]["start"] == t_us[expected[0]] / 1e6


@pytest.mark.parametrize("codec", ["hevc", "h264"])
def test_browsers_can_play_it_whatever_the_source_is(tmp_path, opened, codec):
    content = video_bytes(FRAMES, fps=FPS, gop=FPS, size=(1202, 100), codec=codec)
    path = opened(write_clip(tmp_path / "d", video=content)).video(CLIP, T0, future=False)
    with av.open(path) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert max(stream.width, stream.height) <= 960
        assert abs(stream.width / stream.height - 12.02) < 0.3
    content = Path(path).read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_a_video_is_made_once_and_kept_for_the_next_server(tmp_path, drives, opened, monkeypatch):
    made = []
    encode = videos.encode_h264
    monkeypatch.setattr(videos, "encode_h264", lambda *args, **named: (made.append(1), encode(*args, **named)))
    material = opened(drives)
    with ThreadPoolExecutor(4) as pool:
        paths = {one.result() for one in [pool.submit(material.video, CLIP, T0, future=False) for _ in range(4)]}
    assert len(paths) == len(made) == 1
    assert opened(drives).video(CLIP, T0, future=False) in paths
    assert len(made) == 1
    (path,) = paths
    assert Path(path).is_relative_to(tmp_path / "cache")
    assert material.video(CLIP, T0, future=True) not in paths
    assert material.video(CLIP, T0 + 1, future=False) not in paths


def test_a_video_that_was_replaced_is_made_anew(tmp_path, opened):
    data = write_clip(tmp_path / "d")
    first = opened(data).video(CLIP, T0, future=False)
    other = video_bytes(FRAMES, fps=FPS, gop=FPS, size=SIZE, numbers=tuple(range(500, 500 + FRAMES)))
    write_clip(data, video=other)
    second = opened(data).video(CLIP, T0, future=False)
    assert first != second
    assert played(second)[0][0] == 531


def test_a_video_that_asks_to_be_turned_stands_upright(tmp_path, opened):
    data = write_clip(tmp_path / "d")
    path = data / f"{CLIP}.{CAMERA}.mp4"
    with av.open(io.BytesIO(path.read_bytes())) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copied = target.add_stream_from_template(stream)
        copied.set_display_rotation(180)
        for packet in source.demux(stream):
            if packet.size:
                packet.stream = copied
                target.mux(packet)
    with av.open(opened(data).video(CLIP, T0, future=False)) as container:
        frame = next(container.decode(video=0))
    assert number_of(frame.reformat(format="gray").to_ndarray()[::-1, ::-1]) == HISTORY[0]


def test_two_clips_that_differ_only_after_the_keyframe_show_the_same_history(tmp_path, opened):
    found = []
    for name, frames, later in (("one", FRAMES, 0), ("two", 80, 1000)):
        numbers = tuple(n if n <= 50 else n + later for n in range(frames))
        t_us = times_of(frames, float(FPS))
        t_us[51:] += 300 * later
        video = video_bytes(frames, fps=FPS, gop=1, size=SIZE, numbers=numbers)
        material = opened(write_clip(tmp_path / name, video=video, t_us=t_us))
        scene = json.dumps(material.scene(CLIP, T0, future=False))
        pictures = [material.frame(CLIP, T0, number) for number in range(5)]
        # Not the file's bytes: now and then x264 takes one byte more to say the same.
        with av.open(material.video(CLIP, T0, future=False)) as container:
            frames_shown = [(frame.time, frame.to_ndarray().tobytes()) for frame in container.decode(video=0)]
        found.append((scene, pictures, frames_shown))
    assert found[0] == found[1]
    assert len(found[0][2]) == len(HISTORY)


# Frames


def test_frames_lie_at_the_sampled_times_and_up_to_the_keyframe_not_after_it(material):
    listed = {one["number"]: one for one in material.scene(CLIP, T0, future=True)["frames"]}
    assert sorted(listed) == list(range(16))
    numbers = [shown(material.frame(CLIP, T0, number)) for number in range(16)]
    assert numbers == [30, 35, 40, 45, 50, *range(55, 110, 5)]
    assert [one["t"] for one in listed.values()] == [number / FPS for number in numbers]
    assert listed[3]["url"] == "frames/3.jpg"


def test_the_frame_at_the_keyframe_is_the_last_one_seen_though_the_next_is_nearer(material):
    assert shown(material.frame(CLIP, 5_080_000, 4)) == 50
    assert shown(material.frame(CLIP, 5_080_000, 5)) == 56


def test_the_history_lists_only_its_own_frames(material):
    assert [one["number"] for one in material.scene(CLIP, T0, future=False)["frames"]] == [0, 1, 2, 3, 4]
    assert [material.shows_future(number) for number in (0, 4, 5, 15, 99)] == [False, False, True, True, True]


def test_frames_of_a_part_are_decoded_in_one_pass(drives, opened, monkeypatch):
    opens = []
    init = reading.VideoReader.__init__
    monkeypatch.setattr(reading.VideoReader, "__init__", lambda self, where: (opens.append(1), init(self, where))[1])
    material = opened(drives)
    for number in range(5):
        material.frame(CLIP, T0, number)
    assert len(opens) == 2  # once for its times
    for number in range(5, 16):
        material.frame(CLIP, T0, number)
    assert len(opens) == 3


@pytest.mark.parametrize("number", [16, 1000])
def test_a_frame_that_is_none_of_the_window_s_is_told(material, number):
    with pytest.raises(MaterialError, match=f"sampled time {number}"):
        material.frame(CLIP, T0, number)


def test_the_run_says_which_frames_are_sampled(drives, opened):
    sampled = {
        f"data_loader__video__{k}": v
        for k, v in (("hist_length_sec", 1), ("fut_length_sec", 2), ("time_interval", 1.0))
    }
    material = opened(drives, sampled)
    assert [one["t"] for one in material.scene(CLIP, 5_000_000, future=True)["frames"]] == [4.0, 5.0, 6.0]


def test_no_frame_lies_outside_of_the_window_whatever_a_run_has_sampled(drives, opened):
    """Who has seen a window may still judge the history of the next one that does not overlap it."""
    sampled = {"data_loader__video__hist_length_sec": 4, "data_loader__video__fut_length_sec": 9}
    material = opened(drives, sampled)
    frames = material.scene(CLIP, 5_000_000, future=True)["frames"]
    assert (frames[0]["t"], frames[-1]["t"]) == (3.0, 11.0)
    assert shown(material.frame(CLIP, 5_000_000, frames[0]["number"])) == 30
    with pytest.raises(MaterialError):
        material.frame(CLIP, 5_000_000, frames[-1]["number"] + 1)


# What is missing or broken is told


def told(material: Material, *, future: bool = False) -> tuple[str, str]:
    scene = material.scene(CLIP, T0, future=future)
    assert (scene["video"]["url"], scene["frames"]) == (None, [])
    with pytest.raises(MaterialError) as video:
        material.video(CLIP, T0, future=future)
    with pytest.raises(MaterialError):
        material.frame(CLIP, T0, 0)
    assert str(video.value) == scene["video"]["problem"]
    return " ".join(scene["problems"]), scene["video"]["problem"]


def test_motion_that_cannot_be_shown_leaves_the_rest(material, monkeypatch, caplog):
    """The page of a label shows the scene: whoever judges must not be stopped by it."""
    monkeypatch.setattr(material_module.scenes, "curves", lambda *_: 1 / 0)
    for future in (False, True):
        scene = material.scene(CLIP, T0, future=future)
        assert scene["curves"]["t"] == scene["path"]["t"] == []
        assert "ZeroDivisionError" in scene["problems"][0]
        assert scene["video"]["url"]
    assert "the scene cannot be made" in caplog.text


def test_a_folder_of_records_alone_says_how_to_name_the_drives(tmp_path):
    material = Material.of_run(str(tmp_path), cache_dir=str(tmp_path / "c"))
    assert all("--data_dir" in said for said in told(material))
    material.close()


def test_a_folder_of_records_with_the_drives_named(tmp_path, drives):
    options = {"data_dir": str(drives), "dataset_name": "table", "cache_dir": str(tmp_path / "c")}
    material = Material.of_run(str(tmp_path), **options)
    assert material.scene(CLIP, T0, future=True)["problems"] == []
    assert played(material.video(CLIP, T0, future=False))[0] == list(HISTORY)
    material.close()


def test_drives_that_have_moved(tmp_path, drives, opened):
    gone = tmp_path / "gone"
    problems, video = told(opened(gone))
    assert str(gone) in problems
    assert "--data_dir" in problems
    assert "--data_dir" in video
    assert opened(gone, data_dir=str(drives)).scene(CLIP, T0, future=False)["video"]["url"] == "history.mp4"


def test_videos_that_have_moved_leave_the_rest(drives, opened, tmp_path):
    material = opened(drives, {"data__video_dir": str(tmp_path / "gone")})
    scene = material.scene(CLIP, T0, future=True)
    assert scene["curves"]["t"]
    assert "--video_dir" in " ".join(scene["problems"])
    assert material.scene(CLIP, T0, future=True)["video"]["url"]  # those beside the drives are shown


def test_a_configuration_that_is_none(tmp_path, drives, opened):
    run = write_run(tmp_path / "broken", drives)
    (tmp_path / "broken" / "run_config.json").write_text("{")
    material = Material.of_run(run, cache_dir=str(tmp_path / "c"))
    assert "run_config.json" in told(material)[0]
    material.close()


@pytest.mark.parametrize(
    "clip_id", ["unknown", "../clip_0", "/etc/passwd", "", "clip_0/../clip_0", "a" * 300, "clip\0"]
)
def test_a_clip_that_is_not_there_or_no_name_at_all(material, clip_id):
    scene = material.scene(clip_id, T0, future=True)
    assert scene["problems"]
    assert scene["video"]["problem"]
    with pytest.raises(MaterialError):
        material.video(clip_id, T0, future=True)


def test_a_clip_without_video_says_which_camera_it_looked_for(tmp_path, opened):
    data = write_clip(tmp_path / "d")
    (data / f"{CLIP}.{CAMERA}.mp4").unlink()
    assert CAMERA in told(opened(data))[1]
    assert "--camera" in told(opened(data, camera="side"))[1]


def test_a_broken_video_is_told_and_leaves_the_curves(tmp_path, opened):
    material = opened(write_clip(tmp_path / "d", video=b"no video at all"))
    assert "expected a video" in told(material)[1]
    assert material.scene(CLIP, T0, future=False)["curves"]["t"]


def test_times_that_do_not_hold_show_no_history_and_do_not_say_where_they_fail(tmp_path, opened):
    t_us = times_of(FRAMES, float(FPS))
    t_us[150] = 0
    material = opened(write_clip(tmp_path / "d", t_us=t_us))
    said = told(material)[1]
    assert "nobody knows" in said
    assert "150" not in said
    scene = material.scene(CLIP, T0, future=True)
    assert scene["video"]["url"] == "window.mp4"
    assert [one["number"] for one in scene["frames"]] == list(range(5, 16))
    assert "increasing timestamps" in " ".join(scene["problems"])


def test_a_failure_to_encode_is_told_and_not_repeated_at_once(drives, opened, monkeypatch):
    tries = []

    def fail(*_args, **_named):
        tries.append(1)
        raise ClipFailedError("no_encoding", "x264 has no memory left")

    monkeypatch.setattr(videos, "encode_h264", fail)
    material = opened(drives)
    for _ in range(3):
        with pytest.raises(MaterialError, match="no memory left"):
            material.video(CLIP, T0, future=False)
    assert len(tries) == 1


def test_without_pyav_there_is_a_scene_and_the_command_that_installs_it(drives, opened, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    material = opened(drives)
    assert "pip install 'coc-toolkit[review]'" in told(material)[1]
    assert material.scene(CLIP, T0, future=True)["curves"]["t"]


def test_a_broken_file_of_tracks_leaves_the_rest(tmp_path, opened):
    data = write_clip(tmp_path / "d")
    (data / f"{CLIP}.obstacles.parquet").write_bytes(b"nothing")
    scene = opened(data).scene(CLIP, T0, future=True)
    assert scene["curves"]["t"]
    assert "No road users to show" in scene["problems"][0]


def test_what_is_mended_is_shown_without_a_new_server(tmp_path, opened):
    data = write_clip(tmp_path / "d")
    place = data / f"{CLIP}.obstacles.parquet"
    whole = place.read_bytes()
    place.write_bytes(b"nothing")
    material = opened(data)
    assert material.scene(CLIP, T0, future=True)["problems"]
    place.write_bytes(whole)
    assert material.scene(CLIP, T0, future=True)["problems"] == []


# Meta-actions


def test_meta_actions_come_from_step_1_where_it_has_been_run(tmp_path, drives, opened):
    step = tmp_path / "final_outputs"
    step.mkdir()
    (step / f"{CLIP}.txt").write_text("  Stop - Agent:<ego>, Start:60, End:90\n")
    material = opened(drives, {"data__meta_action_dir": str(step)})
    spans = material.scene(CLIP, T0, future=True)["spans"]
    assert spans == [{"axis": "longitudinal", "name": "stop", "start": 6.0, "end": 9.0}]


def test_meta_actions_are_made_where_step_1_is_gone_and_it_says_so(tmp_path, drives, opened):
    plain = opened(drives).scene(CLIP, T0, future=True)
    assert plain["spans"]
    assert plain["problems"] == []
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "gone"):
        scene = opened(drives, {"data__meta_action_dir": str(folder)}).scene(CLIP, T0, future=True)
        assert scene["spans"] == plain["spans"]
        assert "made from its ego motion" in " ".join(scene["problems"])


def test_the_table_of_a_whole_run_is_read_where_there_are_no_texts(inputs, tmp_path):
    shutil.copytree(inputs.meta_action_dir.parent, tmp_path / "step")
    run = write_run(tmp_path / "run", inputs.data_dir, data__meta_action_dir=str(tmp_path / "step" / "final_outputs"))
    found = []
    for _ in range(2):
        material = Material.of_run(run, cache_dir=str(tmp_path / "c"))
        found.append(material.scene("clip_1", T0, future=True))
        material.close()
        for path in (tmp_path / "step" / "final_outputs").glob("*.txt"):
            path.unlink()
    assert found[0]["spans"] == found[1]["spans"] != []
    assert found[1]["problems"] == []


# Redaction


class Redactors:
    """Stands for an entry point."""

    @staticmethod
    def black(picture, camera, t_us):
        return np.zeros_like(picture)


def test_a_redactor_of_the_run_is_applied_to_all_that_people_see(drives, opened, monkeypatch):
    monkeypatch.setattr(videos, "find_redactor", lambda name: {"black": Redactors.black}[name])
    material = opened(drives, {"egress__redactor": "black"})
    assert set(played(material.video(CLIP, T0, future=True))[0]) == {0}
    assert shown(material.frame(CLIP, T0, 4)) == 0


def test_without_its_redactor_nothing_is_shown(drives, opened):
    material = opened(drives, {"egress__redactor": "not_installed"})
    for ask in (lambda: material.video(CLIP, T0, future=True), lambda: material.frame(CLIP, T0, 1)):
        with pytest.raises(MaterialError, match="not_installed"):
            ask()


# In the background


def until(condition, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_is_warmed_is_there_when_it_is_asked_for(tmp_path, drives, opened, monkeypatch):
    material = opened(drives)
    material.warm(CLIP, T0, future=False)
    material.warm(CLIP, T0, future=True)
    until(lambda: not material._warming)
    monkeypatch.setattr(videos, "VideoReader", None)  # nothing is opened any more
    monkeypatch.setattr(material._drives, "samples", None)
    for future in (False, True):
        assert material.scene(CLIP, T0, future=future)["video"]["url"]
        assert Path(material.video(CLIP, T0, future=future)).exists()
    assert [shown(material.frame(CLIP, T0, number)) for number in (0, 15)] == [30, 105]


def test_too_much_to_warm_is_dropped_and_the_same_is_done_once(drives, opened, monkeypatch):
    gate, made = threading.Event(), []
    material = opened(drives)
    monkeypatch.setattr(material, "scene", lambda *_a, **_n: gate.wait(10))
    monkeypatch.setattr(material, "frame", lambda *_a: None)
    monkeypatch.setattr(material, "video", lambda _clip, t_us, future: made.append(t_us))
    for t_us in [T0, *range(100), T0]:
        material.warm(CLIP, t_us, future=False)
    gate.set()
    until(lambda: not material._warming)
    assert made == [T0, *range(material_module.WARM_AHEAD - 1)]


def test_nothing_goes_wrong_aloud_in_the_background(tmp_path, opened, caplog):
    material = opened(tmp_path / "gone")
    material.warm(CLIP, T0, future=True)
    until(lambda: not material._warming)
    assert caplog.text == ""
    material.close()
    material.warm(CLIP, T0, future=False)  # closed: nothing happens


def test_many_threads_at_once_get_the_same(tmp_path, opened):
    data = tmp_path / "d"
    for number in range(3):
        write_clip(data, f"clip_{number}", lively_drive(number))
    material = opened(data)
    asked = [(f"clip_{n % 3}", T0 + 1_000_000 * (n % 2), bool(n % 4 < 2)) for n in range(24)]

    def ask(one: tuple[str, int, bool]) -> str:
        clip_id, t_us, future = one
        return json.dumps(material.scene(clip_id, t_us, future=future))

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, asked))
    alone = {one: ask(one) for one in asked}
    assert found == [alone[one] for one in asked]


def test_a_recording_cut_into_clips_has_each_clip_s_own_clock(tmp_path, opened):
    data = tmp_path / "d"
    ego = lively_drive(1, seconds=50.0)
    write_clip(data, "long", ego, video=video_bytes(500, fps=FPS, gop=FPS, size=SIZE), t_us=times_of(500, float(FPS)))
    material = opened(data)
    scene = material.scene("long-20", T0, future=True)
    assert scene["problems"] == []
    assert scene["curves"]["t"][0] == 3.1
    assert played(material.video("long-20", T0, future=False))[0] == [n + 200 for n in HISTORY]
    (car,) = scene["road_users"]
    history = material.scene("long-20", T0, future=False)
    assert max(history["road_users"][0]["t"]) <= T0 / 1e6
    assert np.ptp(car["x"]) < 0.05
    # The next clip is the same recording: what a window shows of it would be the future of its first windows.
    late = 17_000_000
    assert played(material.video("long-20", late, future=True))[0][-1] == 400
    frames = material.scene("long-20", late, future=True)["frames"]
    assert frames[-1]["t"] == 20.0
    assert shown(material.frame("long-20", late, frames[-1]["number"])) == 400


def test_windows_of_another_length(drives, opened):
    material = opened(drives, extent=Extent(1_000_000, 2_000_000))
    scene = material.scene(CLIP, 5_000_000, future=True)
    assert (scene["start"], scene["end"]) == (4.0, 7.0)
    assert played(material.video(CLIP, 5_000_000, future=True))[0] == list(range(40, 71))


def test_a_clip_with_a_hole_later_on_still_has_its_history(tmp_path, opened):
    ego = lively_drive(1)
    data = write_clip(tmp_path / "d")
    write_csv(data, CLIP, ego.rows(np.flatnonzero((ego.t_us < 12_000_000) | (ego.t_us > 14_000_000))))
    material = opened(data)
    assert material.scene(CLIP, T0, future=False)["curves"]["t"]
    assert "no ego motion for" in material.scene(CLIP, T0, future=True)["problems"][0]


def test_a_second_video_of_another_camera(tmp_path, opened):
    data = write_clip(tmp_path / "d")
    other = video_bytes(FRAMES, fps=FPS, gop=FPS, size=SIZE, numbers=tuple(range(700, 700 + FRAMES)))
    write_video(data, other, times_of(FRAMES, float(FPS)), f"{CLIP}.rear.mp4")
    material = opened(data, camera="rear")
    assert material.scene(CLIP, T0, future=False)["video"]["camera"] == "rear"
    assert shown(material.frame(CLIP, T0, 4)) == 750


@pytest.mark.parametrize("deflated", [False, True])
def test_clips_and_videos_in_chunk_zips(tmp_path, opened, deflated):
    ego, camera = lively_drive(1, hz=100), FRONT
    write_chunk(tmp_path, {CHUNK_CLIP: ego_parquet(ego)})
    boxes = parquet(static_box_seen_from(ego.rows(slice(None, None, 10)), 30.0, 4.0, 0.3))
    write_chunk(tmp_path, {CHUNK_CLIP: boxes}, feature="obstacle.offline")
    members = camera_members(CHUNK_CLIP, camera, FRAMES)
    members[f"{CHUNK_CLIP}.{camera}.mp4"] = video_bytes(FRAMES, fps=30, gop=30, size=SIZE)
    zip_videos(tmp_path / "camera" / camera / f"{camera}.chunk_0000.zip", members, deflated=deflated)
    material = opened(tmp_path, {"data__dataset_name": "pai"})
    scene = material.scene(CHUNK_CLIP, 3_000_000, future=True)
    assert scene["problems"] == []
    assert len(scene["road_users"]) == 1
    assert played(material.video(CHUNK_CLIP, 3_000_000, future=False))[0] == list(range(30, 91))
    assert shown(material.frame(CHUNK_CLIP, 3_000_000, 5)) == 105


def test_damage_that_comes_later_does_not_cost_the_history(tmp_path, opened):
    content = bytearray(video_bytes(FRAMES, fps=FPS, gop=FPS, size=SIZE))
    with av.open(io.BytesIO(bytes(content))) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.pos is not None]
    later = sorted(places)[90]
    content[later : later + 2000] = bytes(2000)
    material = opened(write_clip(tmp_path / "d", video=bytes(content)))
    assert played(material.video(CLIP, T0, future=False))[0] == list(HISTORY)
    with pytest.raises(MaterialError, match="cannot be decoded"):
        material.video(CLIP, T0, future=True)
    assert shown(material.frame(CLIP, T0, 4)) == 50
