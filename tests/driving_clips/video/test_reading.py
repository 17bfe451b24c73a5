import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.videos import (
    audio_bytes,
    number_of,
    text_times,
    times_of,
    video_bytes,
    with_edit_list,
    write_video,
)
from driving_clips.datasets.base import VideoLocation, find_sidecar
from driving_clips.errors import ClipFailedError, DatasetError
from driving_clips.files import exists
from driving_clips.video import reading
from driving_clips.video.reading import VideoReader

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "cosmos_reason_sample.mp4"
NTSC = Fraction(30_000, 1001)
VARIED = tuple(int(t) for t in np.cumsum(np.random.default_rng(5).integers(1500, 9000, 60)))
KINDS = {
    "every frame a keyframe": {"gop": 1},
    "short groups": {"gop": 12},
    "29.97 fps": {"fps": NTSC, "gop": 30},
    "25 fps": {"fps": 25, "gop": 12, "b_frames": 2},
    "10 fps, one group": {"fps": 10, "gop": 250},
    "varied rate": {"ticks": VARIED, "gop": 12, "b_frames": 2},
    "b-frames": {"gop": 12, "b_frames": 3},
    "b-frames, pyramid": {"gop": 15, "b_frames": 4, "pyramid": True},
    "b-frames, open groups": {"gop": 12, "b_frames": 3, "open_gop": True},
    "hevc": {"codec": "hevc", "gop": 12},
    "hevc, b-frames": {"codec": "hevc", "gop": 12, "b_frames": 3},
    "hevc, open groups, pyramid": {"codec": "hevc", "gop": 12, "b_frames": 4, "pyramid": True, "open_gop": True},
    "matroska": {"gop": 12, "b_frames": 2, "form": "matroska"},
    "transport stream": {"gop": 12, "b_frames": 2, "form": "mpegts"},
}
CACHE: dict[bytes, list[np.ndarray]] = {}


def location_of(path) -> VideoLocation:
    return VideoLocation("front", str(path), "", find_sidecar(str(path), exists))


def sequential(content: bytes, path) -> list[np.ndarray]:
    """All frames of a video, decoded one after the other."""
    if content not in CACHE:
        with av.open(str(path)) as container:
            CACHE[content] = [frame.to_ndarray() for frame in container.decode(video=0)]
    return CACHE[content]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module", params=KINDS)
def kind(request, folder):
    content = video_bytes(**KINDS[request.param])
    path = write_video(folder, content, name=f"{request.param}.mp4")
    return path, sequential(content, path)


@pytest.fixture
def decoded(monkeypatch):
    """How many packets and frames have passed the decoder."""
    counts = {"packets": 0, "pts": []}
    original = reading.decode

    def counting(stream, packet):
        frames = original(stream, packet)
        counts["packets"] += packet is not None
        counts["pts"] += [frame.pts for frame in frames or ()]
        return frames

    monkeypatch.setattr(reading, "decode", counting)
    return counts


def assert_exact(video, frames, indices):
    got = dict(video.frames(indices))
    assert sorted(got) == sorted(set(indices))
    for index, frame in got.items():
        assert number_of(frame) == index
        assert np.array_equal(frame.to_ndarray(), frames[index]), f"frame {index} differs"


def test_every_frame_alone_is_the_one_of_a_sequential_decode(kind):
    path, frames = kind
    with VideoReader(location_of(path)) as video:
        assert len(video.t_us) == len(frames) == 60
        for index in (0, 1, 10, 11, 12, 13, 14, 29, 47, 58, 59):
            assert_exact(video, frames, [index])


@settings(max_examples=12)
@given(indices=st.lists(st.integers(0, 59), max_size=20))
def test_any_frames_together_are_those_of_a_sequential_decode(kind, indices):
    path, frames = kind
    with VideoReader(location_of(path)) as video:
        assert_exact(video, frames, indices)


def test_all_frames_come_in_display_order(kind):
    path, frames = kind
    with VideoReader(location_of(path)) as video:
        assert [index for index, _ in video.frames(range(60))] == list(range(60))
        assert_exact(video, frames, range(60))


def test_no_frame_is_decoded_twice_in_a_call(kind, decoded):
    path, _ = kind
    with VideoReader(location_of(path)) as video:
        list(video.frames([59, 3, 3, 17, 18, 40]))
    assert len(decoded["pts"]) == len(set(decoded["pts"]))
    assert decoded["packets"] <= 60


def test_only_what_frames_depend_on_is_decoded(folder, decoded):
    path = write_video(folder, video_bytes(gop=12), name="plan.mp4")
    with VideoReader(location_of(path)) as video:
        list(video.frames([1, 50]))
    assert decoded["packets"] == 2 + 3  # 0 and 1; 48, 49 and 50


def test_frames_that_no_other_needs_are_not_decoded(folder, decoded):
    path = write_video(folder, video_bytes(gop=60, b_frames=3), name="plan_b.mp4")
    with VideoReader(location_of(path)) as video:
        list(video.frames([56]))
    assert len(decoded["pts"]) < 60 * 2 / 3


def test_leading_pictures_are_decoded_from_the_group_before(folder):
    content = video_bytes(**KINDS["hevc, open groups, pyramid"])
    path = write_video(folder, content, name="leading.mp4")
    frames = sequential(content, path)
    with VideoReader(location_of(path)) as video:
        leading = [
            i for i, p in enumerate(video.table.position_of_frame) if video.table.leads(int(p), key_of(video, p))
        ]
        assert leading
        for index in leading:
            assert_exact(video, frames, [index])


def key_of(video, position) -> int:
    return int(np.flatnonzero(video.table.is_key[: position + 1])[-1])


@pytest.mark.parametrize("b_frames", [0, 3])
def test_frames_that_an_edit_list_hides_do_not_count(folder, b_frames):
    content = with_edit_list(video_bytes(gop=12, b_frames=b_frames), hidden=5)
    path = write_video(folder, content, name=f"edit_{b_frames}.mp4")
    frames = sequential(content, path)
    with VideoReader(location_of(path)) as video:
        assert len(video.t_us) == len(frames) == 55
        assert video.t_us[0] == 0
        for index in (0, 6, 7, 8, 30, 54):
            (frame,) = [frame for _, frame in video.frames([index])]
            assert number_of(frame) == index + 5
            assert np.array_equal(frame.to_ndarray(), frames[index])


@pytest.mark.parametrize(("codec", "b_frames"), [("hevc", 0), ("hevc", 3), ("h264", 2)])
def test_a_raw_stream_is_read_by_counting(folder, codec, b_frames):
    content = video_bytes(codec=codec, gop=12, b_frames=b_frames, form=codec)
    path = write_video(folder, content, name=f"raw_{b_frames}.{codec}")
    (folder / "raw_times").write_bytes(text_times(times_of(60, 20)))
    with VideoReader(VideoLocation("front", str(path), timestamps=str(folder / "raw_times"))) as video:
        assert video.fps == pytest.approx(20)
        for indices in ([0], [59], [25, 3], list(range(60)), [30]):
            assert {index: number_of(frame) for index, frame in video.frames(indices)} == {i: i for i in indices}


def test_a_raw_stream_without_times_cannot_be_placed(folder):
    path = write_video(folder, video_bytes(codec="hevc", gop=12, form="hevc"), name="timeless.hevc")
    with pytest.raises(ClipFailedError, match="Add its timestamps") as caught:
        VideoReader(VideoLocation("front", str(path)))
    assert caught.value.reason == "no_frame_times"


def test_what_a_video_says_of_itself(folder):
    path = write_video(folder, video_bytes(fps=NTSC), times_of(60, 29.97, start_us=-33_000), name="known.mp4")
    with VideoReader(location_of(path)) as video:
        assert (video.codec, video.notices) == ("h264", [])
        assert video.fps == pytest.approx(29.97, abs=1e-4)
        assert video.t_us[0] == -33_000
        assert video.nearest([-33_000, 0, 5_000_000], 20_000).tolist() == [0, 1, -1]


def test_no_frames_are_asked_for(folder):
    path = write_video(folder, video_bytes(), name="none.mp4")
    with VideoReader(location_of(path)) as video:
        assert list(video.frames([])) == []


@pytest.mark.parametrize("index", [-1, 60])
def test_an_index_that_is_no_frame_s(folder, index):
    path = write_video(folder, video_bytes(), name="index.mp4")
    with VideoReader(location_of(path)) as video, pytest.raises(IndexError, match="of 60"):
        list(video.frames([index]))


def test_a_video_that_is_cut_off_can_be_read_up_to_there(folder):
    content = video_bytes(gop=12)
    path = write_video(folder, content[: len(content) * 2 // 3], times_of(60), name="cut.mp4")
    with VideoReader(location_of(path)) as video:
        count = len(video.t_us)
        assert 20 < count < 60
        assert any("cut off" in notice and "of 60" in notice for notice in video.notices)
        assert np.array_equal(video.t_us, times_of(60)[:count])
        numbers = {index: number_of(frame) for index, frame in video.frames([0, 15, count - 1])}
    assert numbers == {0: 0, 15: 15, count - 1: count - 1}


@pytest.mark.parametrize("b_frames", [0, 3])
@pytest.mark.parametrize("damage", ["hole", "noise"])
def test_a_damaged_frame_fails_and_those_of_other_groups_do_not(folder, b_frames, damage):
    content = bytearray(video_bytes(gop=12, b_frames=b_frames, options=(("crf", "10"),)))
    with av.open(write_video(folder, bytes(content), name="whole.mp4").as_posix()) as container:
        packet = [p for p in container.demux(video=0) if p.size][25]  # a frame that others depend on
        kept = 0 if damage == "hole" else packet.size // 3
        filler = b"\0" if damage == "hole" else b"\xa5"
        content[packet.pos + kept : packet.pos + packet.size] = filler * (packet.size - kept)
        index = round(packet.pts * packet.time_base * 30)
    path = write_video(folder, bytes(content), name="damaged.mp4")
    with VideoReader(location_of(path)) as video:
        assert {number_of(frame) for _, frame in video.frames([0, 23, 24, 36, 59])} == {0, 23, 24, 36, 59}
        with pytest.raises(ClipFailedError, match=rf"damaged\.mp4: frame {index} at {index / 30:.3f} s") as caught:
            list(video.frames([index]))
        with pytest.raises(ClipFailedError, match="frame 33"):
            list(video.frames([33]))
    assert caught.value.reason == "corrupt_video"


BROKEN = {
    "empty": b"",
    "text": b"this is no video at all\n" * 20,
    "a play list": b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\nother.mp4\n",
    "a head alone": video_bytes()[:40],
    "no end": video_bytes()[:600],
    "sound alone": audio_bytes(),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_is_no_video_is_named(folder, name):
    path = write_video(folder, BROKEN[name], name="broken.mp4")
    with pytest.raises(ClipFailedError, match=r"broken\.mp4: ") as caught:
        VideoReader(location_of(path))
    assert caught.value.reason == "corrupt_video"


def test_a_file_that_is_gone_is_named(tmp_path):
    with pytest.raises(ClipFailedError, match=r"gone\.mp4"):
        VideoReader(VideoLocation("front", str(tmp_path / "gone.mp4")))


def test_without_pyav_it_is_said_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    path = write_video(folder, b"", name="x.mp4")
    with pytest.raises(DatasetError, match=r"pip install 'coc-toolkit\[vlm\]'"):
        VideoReader(location_of(path))


def test_a_real_video_is_read():
    with VideoReader(VideoLocation("front", str(SAMPLE))) as video:
        assert (video.codec, video.fps, len(video.t_us)) == ("h264", 4.0, 10)
        with av.open(str(SAMPLE)) as container:
            expected = [frame.to_ndarray() for frame in container.decode(video=0)]
        for index, frame in video.frames([9, 0, 4]):
            assert np.array_equal(frame.to_ndarray(), expected[index])


def test_the_package_can_be_imported_without_pyav():
    modules = "reading, segments, pictures, locating, timestamps, opening, packets, encoding"
    code = f"import sys; sys.modules['av'] = sys.modules['PIL'] = None; from driving_clips.video import {modules}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_frame_that_does_not_come_out_is_tried_again_from_an_earlier_keyframe(folder):
    content = video_bytes(gop=12)
    path = write_video(folder, content, name="lie.mp4")
    with VideoReader(location_of(path)) as video:
        lying = video.table.is_key.copy()
        lying[17] = True  # which cannot be decoded from there
        video.table = replace(video.table, is_key=lying)
        assert_exact(video, sequential(content, path), [17, 40])
