from fractions import Fraction

import numpy as np

from builders.videos import number_of, times_of, video_bytes, write_video
from coc_labeling.pictures.camera import pictures_at
from driving_clips.datasets.base import VideoLocation
from driving_clips.video.reading import VideoReader


def numbers(folder, t_us, frame_times, **options) -> list[int | None]:
    path = write_video(folder, video_bytes(len(frame_times), **options), frame_times)
    location = VideoLocation("front", str(path), "", str(path.with_name("a.front.timestamps.parquet")))
    with VideoReader(location) as video:
        pictures = list(pictures_at(video, np.asarray(t_us)))
    return [None if picture is None else number_of(np.asarray(picture)) for picture in pictures]


def test_frames_are_found_by_their_times(tmp_path):
    times = times_of(60, 30.0, start_us=-500_000)  # the camera began before the clip
    assert numbers(tmp_path, [0, 100_000, 1_000_000], times, b_frames=2) == [15, 18, 45]


def test_where_no_frame_is_near_there_is_none(tmp_path):
    times = np.concatenate([times_of(10, 10.0), times_of(10, 10.0, start_us=3_000_000)])
    assert numbers(tmp_path, [0, 950_000, 2_000_000, 3_000_000, 9_000_000], times) == [0, 9, None, 10, None]


def test_a_slow_camera_shows_a_frame_more_than_once(tmp_path):
    wanted = np.arange(0, 900_000, 50_000)
    found = numbers(tmp_path, wanted, times_of(10, 10.0), fps=Fraction(10))
    assert found == sorted(found)
    assert set(found) == set(range(9))
