import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.pai import parquet
from builders.videos import text_times, times_of, video_bytes, write_video
from driving_clips.datasets.base import VideoLocation, find_sidecar
from driving_clips.errors import ClipFailedError
from driving_clips.files import exists
from driving_clips.video.reading import VideoReader
from driving_clips.video.timestamps import frame_times, nearest, sidecar_times

FRAMES = 60
TIMES = times_of(FRAMES, 29.97, start_us=-20_000)
SHUFFLED = np.random.default_rng(1).permutation(FRAMES)
OWN = times_of(FRAMES)


def npy(array) -> bytes:
    sink = io.BytesIO()
    np.save(sink, array)
    return sink.getvalue()


FORMS = {
    "timestamp": parquet({"timestamp": TIMES}),
    "numbers with a point": parquet({"timestamp": TIMES.astype(float)}),
    "frame_index": parquet({"frame_index": SHUFFLED, "timestamp_micros": TIMES[SHUFFLED]}),
    "frame_idx": parquet({"frame_idx": SHUFFLED.astype(np.int32), "timestamp_us": TIMES[SHUFFLED]}),
    "index_in_video": parquet({"ts": TIMES[SHUFFLED], "index_in_video": SHUFFLED}),
    "text": text_times(TIMES),
    "text, shuffled": b"\n".join(text_times(TIMES).splitlines()[i] for i in SHUFFLED),
    "text with commas and a mark": b"\xef\xbb\xbf" + text_times(TIMES).replace(b" ", b", "),
    "seconds": npy(TIMES / 1e6),
}
UNUSABLE = {
    "empty": (b"", "none"),
    "text that is no times": (b"index timestamp\n0 0\n", "another text"),
    "three words a line": (b"0 0 0\n", "another text"),
    "parquet cut off": (FORMS["timestamp"][:-20], "parquet"),
    "no such column": (parquet({"time": TIMES}), "only time"),
    "fractions": (parquet({"timestamp": TIMES + 0.5}), "whole microseconds"),
    "backwards": (parquet({"timestamp": TIMES[::-1]}), "increasing timestamps"),
    "shuffled without an index": (parquet({"timestamp": TIMES[SHUFFLED]}), "increasing timestamps"),
    "the same twice": (parquet({"timestamp": np.repeat(TIMES[:30], 2)}), "increasing timestamps"),
    "a frame left out": (text_times(TIMES).replace(b"7 ", b"", 1), "another text"),
    "a frame twice": (parquet({"frame_index": np.array([0, 1, 1]), "ts": TIMES[:3]}), "frame 1 in place of 2"),
    "not a number": (npy(np.array([0.0, np.nan])), "no times"),
    "another video's": (parquet({"timestamp": times_of(200)}), "about 60 frame timestamps"),
    "very few": (parquet({"timestamp": TIMES[:3]}), "about 60 frame timestamps"),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_same_times(form):
    assert np.array_equal(sidecar_times(FORMS[form], "a.timestamps"), TIMES)


def location(folder, content: bytes, **clock) -> VideoLocation:
    (folder / "a.timestamps").write_bytes(content)
    return VideoLocation("front", str(folder / "a.mp4"), "", str(folder / "a.timestamps"), **clock)


@pytest.mark.parametrize("name", UNUSABLE)
def test_without_a_usable_sidecar_the_video_s_own_times_serve_and_it_is_said_why(tmp_path, name):
    content, why = UNUSABLE[name]
    times = frame_times(location(tmp_path, content, start_us=20_000_000), OWN, FRAMES, FRAMES)
    assert np.array_equal(times.t_us, OWN - 20_000_000)
    (notice,) = times.notices
    assert notice.startswith(str(tmp_path / "a.mp4"))
    assert why in notice
    assert "the video's own times are used" in notice


def test_no_sidecar_at_all_is_said():
    times = frame_times(VideoLocation("front", "a.mp4"), OWN, FRAMES, FRAMES)
    assert np.array_equal(times.t_us, OWN)
    assert "no frame timestamps beside the video" in times.notices[0]


@pytest.mark.parametrize("own", [None, np.zeros(FRAMES, np.int64)])
def test_a_video_without_any_times_fails(own):
    with pytest.raises(ClipFailedError, match=r"a\.mp4: .*Add its timestamps") as caught:
        frame_times(VideoLocation("front", "a.mp4"), own, FRAMES, FRAMES)
    assert caught.value.reason == "no_frame_times"


@pytest.mark.parametrize(("rows", "usable"), [(57, 57), (63, 60)])
def test_a_few_frames_or_rows_too_many_are_left_out_and_it_is_said(tmp_path, rows, usable):
    t_us = times_of(rows, 29.97)
    times = frame_times(location(tmp_path, parquet({"timestamp": t_us})), OWN, FRAMES, FRAMES)
    assert np.array_equal(times.t_us, t_us[:usable])
    assert f"60 frames, but {rows} timestamps; the first {usable}" in times.notices[0]


def test_the_sidecar_of_a_video_that_is_cut_off_is_its_own(tmp_path):
    times = frame_times(location(tmp_path, FORMS["timestamp"]), OWN[:20], 20, FRAMES)
    assert np.array_equal(times.t_us, TIMES[:20])
    assert times.notices == ()


def test_a_recording_s_clock_is_read_as_the_clip_s(tmp_path):
    epoch = 1_700_000_000_000_000
    content = parquet({"timestamp": TIMES + epoch})
    place = location(tmp_path, content, clock_zero_us=epoch, start_us=1_000_000)
    assert np.array_equal(frame_times(place, OWN, FRAMES, FRAMES).t_us, TIMES - 1_000_000)


@pytest.mark.parametrize(
    "name",
    ["a.timestamps.parquet", "a.mp4.timestamps.parquet", "a.timestamps", "a.mp4.timestamps"],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_sidecars_are_found_under_each_name(tmp_path, name, zipped):
    content = FORMS["timestamp"] if name.endswith("parquet") else FORMS["text"]
    path = write_video(tmp_path, video_bytes(), name="a.mp4")
    (tmp_path / name).write_bytes(content)
    place = VideoLocation("front", str(path), "", find_sidecar(str(path), exists))
    if zipped:
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.write(path, "a.mp4")
            archive.writestr(name, content)
            sidecar = find_sidecar("a.mp4", archive.NameToInfo.__contains__)
        place = VideoLocation("front", str(tmp_path / "a.zip"), "a.mp4", sidecar)
    with VideoReader(place) as video:
        assert np.array_equal(video.t_us, TIMES)
        assert video.notices == []


rising = st.lists(st.integers(1, 10**6), min_size=1, max_size=40).map(lambda steps: np.cumsum(steps) - steps[0])


@given(t_us=rising, wanted=st.lists(st.integers(-(10**6), 4 * 10**7), max_size=20), tolerance=st.integers(0, 10**6))
def test_nearest_is_the_nearest(t_us, wanted, tolerance):
    for want, index in zip(wanted, nearest(t_us, wanted, tolerance).tolist(), strict=True):
        distance = np.abs(t_us - want)
        best = int(distance.argmin())  # the first of equals, thus the earlier
        assert index == (best if distance[best] <= tolerance else -1)


@given(t_us=rising)
def test_each_frame_is_nearest_to_itself(t_us):
    assert nearest(t_us, t_us, 0).tolist() == list(range(len(t_us)))


def test_without_frames_none_is_near():
    assert nearest(np.zeros(0, np.int64), [0, 1], 10).tolist() == [-1, -1]
