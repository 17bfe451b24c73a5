import shutil

import av
import numpy as np
import pytest

from builders.videos import number_of, numbered_picture
from driving_clips.video.encoding import encode_h264

BINARIES = [
    None,
    pytest.param("ffmpeg", marks=pytest.mark.skipif(not shutil.which("ffmpeg"), reason="no ffmpeg binary here")),
]


def encoded(path, size: tuple[int, int], frames: int = 3, **options) -> list[av.VideoFrame]:
    planes = (numbered_picture(number, *size) for number in range(frames))
    pictures = [av.VideoFrame.from_ndarray(plane, format="yuv420p") for plane in planes]
    encode_h264(((n * 40_000, picture) for n, picture in enumerate(pictures)), str(path), 25.0, **options)
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


@pytest.mark.parametrize("binary", BINARIES)
@pytest.mark.parametrize(
    ("size", "max_side", "expected"),
    [
        ((480, 270), 240, (240, 134)),
        ((270, 480), 240, (134, 240)),
        ((144, 96), 960, (144, 96)),
        ((144, 96), None, (144, 96)),
        ((480, 2), 100, (100, 2)),
    ],
)
def test_frames_are_scaled_down_to_a_longest_side_and_never_up(tmp_path, binary, size, max_side, expected):
    frames = encoded(tmp_path / "a.mp4", size, ffmpeg_bin=binary, max_side=max_side)
    assert {(frame.width, frame.height) for frame in frames} == {expected}
    if min(expected) > 50:
        assert [number_of(frame) for frame in frames] == [0, 1, 2]


@pytest.mark.parametrize("binary", BINARIES)
def test_frames_that_stand_alone_come_as_often_as_asked(tmp_path, binary):
    frames = encoded(tmp_path / "a.mp4", (144, 96), 35, ffmpeg_bin=binary, keyframe_every=10)
    alone = [index for index, frame in enumerate(frames) if frame.key_frame]
    assert alone[0] == 0
    assert max(np.diff([*alone, len(frames)])) <= 10
    assert [number_of(frame) for frame in frames] == list(range(35))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(35) * 0.04, atol=1e-3)
