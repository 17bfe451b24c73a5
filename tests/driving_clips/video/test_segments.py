import json
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from builders.videos import number_of, times_of, video_bytes, write_video
from driving_clips.datasets.base import VideoLocation
from driving_clips.errors import ClipFailedError, ClipRejectedError
from driving_clips.video import segments
from driving_clips.video.encoding import encode_h264
from driving_clips.video.pictures import to_rgb
from driving_clips.video.reading import VideoReader
from driving_clips.video.segments import SegmentSettings, metadata_path, write_segment_video

FRAMES = 60
TICKS = tuple(int(t) for t in np.cumsum(np.random.default_rng(2).integers(1500, 6000, FRAMES)))
VARIED_US = np.round((np.array(TICKS) - TICKS[0]) / 0.09).astype(np.int64)
ABOUT = {"clip_id": "a", "event_start_timestamp": 1_000_000, "event_start_frame": 10}
PYAV = SegmentSettings(ffmpeg_bin=None)
SAMPLED_ONLY = replace(PYAV, source_fps=False)
SKIP = replace(PYAV, skip_existing=True)
SAMPLED = [("a.front.mp4", index, index * 33_333) for index in (15, 30, 45)]


def reader(folder, content: bytes | None = None, t_us=None) -> VideoReader:
    path = write_video(folder, video_bytes(gop=12, b_frames=2) if content is None else content, t_us)
    sidecar = None if t_us is None else str(path).replace(".mp4", ".timestamps.parquet")
    return VideoReader(VideoLocation("front", str(path), "", sidecar))


def played(path) -> tuple[list[int], list[float], av.VideoFrame]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [number_of(frame) for frame in frames], [frame.time for frame in frames], frames[0]


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def target(tmp_path):
    return tmp_path / "out" / "a" / "a_1000000.mp4"


def test_all_frames_of_a_piece_are_there_at_their_times(tmp_path, target):
    with reader(tmp_path, t_us=times_of(FRAMES, start_us=100_000)) as video:
        assert write_segment_video(video, 500_000, 1_500_000, SAMPLED, str(target), PYAV)
    numbers, times, _ = played(target)
    assert numbers == list(range(12, 43))
    np.testing.assert_allclose(times, np.arange(31) / 30, atol=2e-4)
    assert names(target.parent) == ["a_1000000.mp4"]


def test_a_varied_rate_stays(tmp_path, target):
    content = video_bytes(ticks=TICKS, gop=12, b_frames=2)
    with reader(tmp_path, content, VARIED_US) as video:
        write_segment_video(video, int(VARIED_US[10]), int(VARIED_US[40]), [], str(target), PYAV)
    numbers, times, _ = played(target)
    assert numbers == list(range(10, 41))
    np.testing.assert_allclose(times, (VARIED_US[10:41] - VARIED_US[10]) / 1e6, atol=2e-4)


def test_sampled_frames_alone_are_evenly_spaced(tmp_path, target):
    with reader(tmp_path) as video:
        write_segment_video(video, 0, 0, SAMPLED, str(target), SAMPLED_ONLY, metadata=ABOUT)
    numbers, times, _ = played(target)
    assert (numbers, times) == ([15, 30, 45], [0.0, 0.5, 1.0])
    listed = json.loads(Path(metadata_path(str(target))).read_text())
    assert listed == {
        **ABOUT,
        "saved_video_fps": 2.0,
        "saved_video_mode": "sampled_fps",
        "sampled_frames": [
            {"video_filename": "a.front.mp4", "index_in_video": i, "timestamp_micros": i * 33_333} for i in (15, 30, 45)
        ],
    }


def test_the_list_names_the_source_s_rate(tmp_path, target):
    with reader(tmp_path, t_us=times_of(FRAMES, 29.97)) as video:
        write_segment_video(video, 0, 1_000_000, SAMPLED, str(target), PYAV, metadata=ABOUT)
    listed = json.loads(target.with_suffix("").with_suffix(".sampled_frames.json").read_text())
    assert (listed["saved_video_fps"], listed["saved_video_mode"]) == (29.97, "source_fps")
    assert names(target.parent) == ["a_1000000.mp4", "a_1000000.sampled_frames.json"]


def test_browsers_can_play_it(tmp_path, target):
    with reader(tmp_path, video_bytes(24, codec="hevc", gop=12)) as video:
        write_segment_video(video, 0, 500_000, [], str(target), PYAV)
    data = target.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert b"avc1" in data
    _, _, frame = played(target)
    assert (frame.format.name, frame.width % 2, frame.height % 2) == ("yuv420p", 0, 0)


def test_packets_are_copied_from_the_keyframe_before(tmp_path, target):
    with reader(tmp_path, t_us=times_of(FRAMES)) as video:
        wanted = int(video.t_us[17]), int(video.t_us[30])
        write_segment_video(video, *wanted, [], str(target), SegmentSettings(web_compatible=False))
        source = dict(video.frames(range(12, 31)))
    numbers, times, _ = played(target)
    assert numbers[: 31 - 12] == list(range(12, 31))
    assert len(numbers) <= 31 - 12 + 2  # a frame that others depend on may come along
    np.testing.assert_allclose(np.diff(times[:19]), 1 / 30, atol=1e-3)
    with av.open(str(target)) as container:
        copies = [frame.to_ndarray() for frame in container.decode(video=0)]
    assert all(np.array_equal(copy, source[12 + i].to_ndarray()) for i, copy in enumerate(copies[:19]))


def test_what_is_there_already_is_left_alone_only_with_its_list(tmp_path, target):
    with reader(tmp_path) as video:

        def write(settings, metadata=None) -> bool:
            return write_segment_video(video, 0, 300_000, SAMPLED, str(target), settings, metadata=metadata)

        assert write(SKIP)
        assert not write(SKIP)
        assert write(SKIP, ABOUT)
        assert not write(SKIP, ABOUT)
        assert write(PYAV, ABOUT)


def listed_beside(target) -> dict:
    return json.loads(Path(metadata_path(str(target))).read_text())


def indices_of(target) -> list[int]:
    return [frame["index_in_video"] for frame in listed_beside(target)["sampled_frames"]]


def test_a_stale_list_alone_is_written_again_where_the_video_is_the_same(tmp_path, target):
    with reader(tmp_path) as video:
        write_segment_video(video, 0, 1_000_000, SAMPLED, str(target), SKIP, metadata=ABOUT)
        target.write_bytes(b"mine")
        assert not write_segment_video(video, 0, 1_000_000, SAMPLED[:2], str(target), SKIP, metadata=ABOUT)
    assert target.read_bytes() == b"mine"
    assert indices_of(target) == [15, 30]


@pytest.mark.parametrize(
    ("settings", "last_us", "sampled"),
    [
        (SKIP, 900_000, SAMPLED),  # another piece
        (SKIP, 1_000_000, [("a.left.mp4", 15, 500_000)]),  # another camera's
        (replace(SKIP, source_fps=False), 1_000_000, SAMPLED),  # another mode
    ],
)
def test_a_video_that_would_show_something_else_is_written_again(tmp_path, target, settings, last_us, sampled):
    with reader(tmp_path) as video:
        write_segment_video(video, 0, 1_000_000, SAMPLED, str(target), SKIP, metadata=ABOUT)
        target.write_bytes(b"stale")
        assert write_segment_video(video, 0, last_us, sampled, str(target), settings, metadata=ABOUT)
    assert target.read_bytes() != b"stale"
    assert indices_of(target) == [index for _, index, _ in sampled]


def test_other_sampled_frames_are_another_video_where_it_shows_them_alone(tmp_path, target):
    settings = replace(SKIP, source_fps=False)
    with reader(tmp_path) as video:
        write_segment_video(video, 0, 0, SAMPLED, str(target), settings, metadata=ABOUT)
        assert write_segment_video(video, 0, 0, SAMPLED[:2], str(target), settings, metadata=ABOUT)
        assert not write_segment_video(video, 0, 0, SAMPLED[:2], str(target), settings, metadata=ABOUT)
    assert played(target)[0] == [15, 30]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"sampled_frames": 3}', "\xff"])
def test_a_list_that_cannot_be_read_is_no_list(tmp_path, target, content):
    with reader(tmp_path) as video:
        write_segment_video(video, 0, 300_000, SAMPLED, str(target), SKIP, metadata=ABOUT)
        Path(metadata_path(str(target))).write_text(content, encoding="latin-1")
        assert write_segment_video(video, 0, 300_000, SAMPLED, str(target), SKIP, metadata=ABOUT)
    assert indices_of(target) == [15, 30, 45]


def test_a_run_that_ends_between_video_and_list_leaves_no_other_one_s_list(tmp_path, target, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with reader(tmp_path) as video:
        write_segment_video(video, 0, 300_000, SAMPLED, str(target), PYAV, metadata=ABOUT)
        monkeypatch.setattr(segments, "_write_list", killed)
        with pytest.raises(KeyboardInterrupt):
            write_segment_video(video, 0, 900_000, SAMPLED, str(target), PYAV, metadata=ABOUT)
    assert names(target.parent) == ["a_1000000.mp4"]


def blacken(rgb, camera, t_us):
    rgb[:] = 0
    return rgb


def nothing(rgb, camera, t_us):
    return rgb


@pytest.mark.parametrize("settings", [PYAV, SAMPLED_ONLY, replace(PYAV, web_compatible=False)])
def test_every_frame_is_redacted(tmp_path, target, settings):
    with reader(tmp_path, t_us=times_of(FRAMES)) as video:
        write_segment_video(video, 500_000, 1_500_000, SAMPLED, str(target), settings, redact=blacken)
    with av.open(str(target)) as container:
        lightest = [frame.to_ndarray(format="gray").max() for frame in container.decode(video=0)]
    assert len(lightest) == (31 if settings.source_fps else 3)
    assert max(lightest) < 24


def test_a_redactor_is_told_camera_and_time_and_leaves_the_rest_as_it_was(tmp_path, target):
    seen = []

    def note(rgb, camera, t_us):
        seen.append((rgb.shape, camera, t_us))
        return rgb

    with reader(tmp_path, t_us=times_of(FRAMES, start_us=100_000)) as video:
        write_segment_video(video, 500_000, 1_500_000, SAMPLED, str(target), PYAV, redact=note)
        assert seen == [((96, 144, 3), "front", int(video.t_us[index])) for index in range(12, 43)]
        source = to_rgb(dict(video.frames([12]))[12]).astype(int)
    numbers, times, frame = played(target)
    assert numbers == list(range(12, 43))
    np.testing.assert_allclose(times, np.arange(31) / 30, atol=2e-4)
    assert np.abs(to_rgb(frame).astype(int) - source).mean() < 4  # as far as encoding twice takes it


def test_a_video_without_redaction_is_not_left_for_one_with(tmp_path, target):
    with reader(tmp_path) as video:

        def write(redact, metadata) -> bool:
            return write_segment_video(video, 0, 300_000, SAMPLED, str(target), SKIP, metadata=metadata, redact=redact)

        assert write(None, ABOUT)
        assert write(nothing, ABOUT)
        assert listed_beside(target)["saved_video_redactor"].endswith("test_segments.nothing")
        assert not write(nothing, ABOUT)
        assert write(blacken, ABOUT)
        assert write(blacken, None)  # without a list nobody knows what is there
        assert write(blacken, None)


def test_when_redaction_fails_nothing_is_left(tmp_path, target):
    def fail(rgb, camera, t_us):
        raise OSError("no weights")

    with reader(tmp_path) as video, pytest.raises(ClipFailedError, match=r"fail: OSError: no weights") as caught:
        write_segment_video(video, 0, 300_000, SAMPLED, str(target), PYAV, metadata=ABOUT, redact=fail)
    assert caught.value.reason == "redaction"
    assert names(target.parent) == []


def test_what_a_killed_run_left_is_removed(tmp_path, target):
    target.parent.mkdir(parents=True)
    script = (
        "import os, sys; from driving_clips import files\n"
        "with files.atomic_path(sys.argv[1]) as path:\n open(path, 'w').close(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, str(target)], check=True)
    assert len(names(target.parent)) == 1
    with reader(tmp_path) as video:
        write_segment_video(video, 0, 300_000, SAMPLED, str(target), PYAV)
    assert names(target.parent) == ["a_1000000.mp4"]


def test_a_piece_without_frames_is_rejected(tmp_path, target):
    with reader(tmp_path) as video:
        for settings in (PYAV, SAMPLED_ONLY):
            with pytest.raises(ClipRejectedError, match=r"no frame of .*a\.front\.mp4") as caught:
                write_segment_video(video, 90_000_000, 95_000_000, [], str(target), settings)
            assert caught.value.reason == "no_frames"
    assert not target.parent.exists()


def test_when_encoding_fails_nothing_is_left(tmp_path, target):
    binary = tmp_path / "ffmpeg"
    binary.write_text("#!/bin/sh\necho 'Unknown encoder libx264' >&2\nexit 1\n")
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    with reader(tmp_path) as video, pytest.raises(ClipFailedError, match="Unknown encoder libx264") as caught:
        write_segment_video(
            video, 0, 300_000, SAMPLED, str(target), SegmentSettings(ffmpeg_bin=str(binary)), metadata=ABOUT
        )
    assert caught.value.reason == "no_encoding"
    assert "set data_loader.video.segment_video_ffmpeg_bin to '' for PyAV" in str(caught.value)
    assert names(target.parent) == []


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="no ffmpeg binary on this machine")
def test_a_system_ffmpeg_writes_the_same_frames(tmp_path, target):
    content = video_bytes(ticks=TICKS, gop=12, b_frames=2)
    with reader(tmp_path, content, VARIED_US) as video:
        write_segment_video(video, int(VARIED_US[10]), int(VARIED_US[40]), [], str(target))
    numbers, times, frame = played(target)
    assert numbers == list(range(10, 41))
    np.testing.assert_allclose(times, (VARIED_US[10:41] - VARIED_US[10]) / 1e6, atol=2e-3)
    assert frame.format.name == "yuv420p"


def test_odd_sides_become_even(tmp_path, target):
    frames = [av.VideoFrame.from_ndarray(np.full((51, 67, 3), 90, np.uint8), format="rgb24")]
    target.parent.mkdir(parents=True)
    encode_h264(((0, frame) for frame in frames), str(target), 30.0, None)
    with av.open(str(target)) as container:
        frame = next(container.decode(video=0))
    assert (frame.width, frame.height) == (66, 50)
