import base64
import io

import numpy as np
import pytest
from PIL import Image

from builders.driving import drive
from builders.runs import config
from builders.table import write_csv
from builders.videos import number_of, times_of, video_bytes, write_video
from coc_labeling import footage as footage_module
from coc_labeling.footage import Footage, find_redactor
from coc_labeling.segment_videos import SegmentVideos
from coc_labeling.windows import Sampling
from driving_clips.datasets import open_dataset
from driving_clips.datasets.base import VideoLocation
from driving_clips.errors import ClipFailedError, ClipRejectedError, DatasetError
from driving_clips.video import pictures, reading
from driving_clips.video.locating import VideoFinder
from driving_clips.video.pictures import ImageSettings
from driving_clips.video.reading import VideoReader

CLIP = "clip_0"
FPS, SECONDS = 10, 20
SMALL = Sampling(1.0, 1.0, 0.5)  # four frames: -1.0, -0.5, 0.0, 0.5
DEFAULT = Sampling(2, 6, 0.5)


def video(**changes) -> bytes:
    return video_bytes(**({"frames": FPS * SECONDS, "fps": FPS, "gop": 10} | changes))


def write(folder, camera: str = "front", content: bytes | None = None, t_us=None) -> None:
    times = times_of(FPS * SECONDS, FPS) if t_us is None else t_us
    write_video(folder / "videos", video() if content is None else content, times, f"{CLIP}.{camera}.mp4")


def footage(folder, *cameras: str, sampling: Sampling = SMALL, **options) -> Footage:
    write_csv(folder / "data", CLIP, drive(20.0))
    (folder / "videos").mkdir(exist_ok=True)
    finder = VideoFinder(open_dataset("table", str(folder / "data")), str(folder / "videos"))
    return Footage(finder, cameras or ("front",), sampling, ImageSettings(max_side=144), **options)


def seen(shot) -> int:
    """The number that a picture shows."""
    _, _, encoded = shot.data_uri.partition("base64,")
    return number_of(np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("L"), float))


@pytest.fixture
def counted(monkeypatch):
    """Which frames were decoded and which were encoded, in turn."""
    counts = {"decoded": [], "encoded": [], "opened": 0}
    decode, encode, opened = reading.decode, pictures.to_picture, reading.VideoReader.__init__

    def decoding(stream, packet):
        frames = decode(stream, packet)
        counts["decoded"] += [frame.pts for frame in frames or ()]
        return frames

    def encoding(frame, index, *rest):
        counts["encoded"].append(index)
        return encode(frame, index, *rest)

    def opening(self, location):
        counts["opened"] += 1
        opened(self, location)

    monkeypatch.setattr(reading, "decode", decoding)
    monkeypatch.setattr(reading, "to_picture", encoding)
    monkeypatch.setattr(reading.VideoReader, "__init__", opening)
    return counts


def test_a_window_has_the_frames_nearest_to_its_times(tmp_path):
    write(tmp_path)
    ((frames,),) = footage(tmp_path).of_clip(CLIP, [5_030_000])
    assert [shot.t_us for shot in frames.shots] == [4_000_000, 4_500_000, 5_000_000, 5_500_000]
    assert [seen(shot) for shot in frames.shots] == [shot.index for shot in frames.shots] == [40, 45, 50, 55]
    assert (frames.camera, frames.missing, frames.notes) == ("front", 0, ())
    assert {shot.file for shot in frames.shots} == {f"{CLIP}.front.mp4"}


def test_times_come_from_the_timestamps_file(tmp_path):
    write(tmp_path, t_us=times_of(FPS * SECONDS, FPS, start_us=1_040_000))
    ((frames,),) = footage(tmp_path).of_clip(CLIP, [5_000_000])
    assert [seen(shot) for shot in frames.shots] == [30, 35, 40, 45]
    assert [shot.t_us for shot in frames.shots] == [4_040_000, 4_540_000, 5_040_000, 5_540_000]


def test_overlapping_windows_share_their_frames(tmp_path, counted):
    write(tmp_path)
    t0s = [5_000_000, 5_500_000, 6_000_000]
    windows = footage(tmp_path, sampling=DEFAULT).of_clip(CLIP, t0s)
    assert counted["opened"] == 1
    assert len(counted["encoded"]) == len(set(counted["encoded"])) == 18
    assert len(counted["decoded"]) == len(set(counted["decoded"]))
    first, second = windows[0][0].shots, windows[1][0].shots
    assert all(a is b for a, b in zip(first[1:], second[:-1], strict=True))


def test_a_shared_picture_is_one_object_in_memory(tmp_path):
    write(tmp_path)
    windows = footage(tmp_path).of_clip(CLIP, [5_000_000, 5_500_000])
    uris = {id(shot.data_uri) for (frames,) in windows for shot in frames.shots}
    assert len(uris) == 5


def test_two_windows_at_one_time_are_the_same(tmp_path, counted):
    write(tmp_path)
    one, other = footage(tmp_path).of_clip(CLIP, [5_000_000, 5_000_000])
    assert one == other
    assert len(counted["encoded"]) == 4


@pytest.mark.parametrize(
    ("t0_us", "indices"),
    [
        (500_000, [0, 5, 10]),
        (0, [0, 5]),
        (19_900_000, [189, 194, 199]),
        (21_200_000, []),
        (20_100_000, [191, 196, 199]),
    ],
)
def test_times_without_a_frame_within_half_an_interval_are_missing(tmp_path, t0_us, indices):
    write(tmp_path)
    ((frames,),) = footage(tmp_path).of_clip(CLIP, [t0_us])
    assert [shot.index for shot in frames.shots] == indices
    assert frames.missing == 4 - len(indices)


@pytest.mark.parametrize(("off_us", "missing"), [(249_999, 0), (250_000, 0), (250_001, 1)])
def test_half_an_interval_is_the_most_that_a_frame_may_be_off(tmp_path, off_us, missing):
    t_us = [0, 500_000, 1_000_000 - off_us + 500_000]
    write(tmp_path, content=video(frames=3, fps=2), t_us=t_us)
    sampling = Sampling(0, 0.5, 0.5)
    ((frames,),) = footage(tmp_path, sampling=sampling).of_clip(CLIP, [t_us[2] + off_us])
    assert frames.missing == missing


def test_a_hole_in_the_video_is_counted(tmp_path):
    kept = [*range(42), *range(55, 200)]
    write(tmp_path, content=video(frames=len(kept)), t_us=times_of(200, FPS)[kept])
    ((frames,),) = footage(tmp_path).of_clip(CLIP, [5_000_000])
    assert [shot.t_us for shot in frames.shots] == [4_000_000, 5_500_000]
    assert frames.missing == 2


def test_a_slow_camera_shows_each_frame_once(tmp_path):
    write(tmp_path, content=video(frames=21, fps=1, gop=1), t_us=times_of(21, 1))
    ((frames,),) = footage(tmp_path, sampling=DEFAULT).of_clip(CLIP, [10_000_000])
    indices = [shot.index for shot in frames.shots]
    assert indices == sorted(set(indices))
    assert frames.missing == 16 - len(indices)


def test_cameras_come_in_the_order_asked_for(tmp_path):
    write(tmp_path, "left")
    write(tmp_path, "front")
    ((left, front),) = footage(tmp_path, "left", "front").of_clip(CLIP, [5_000_000])
    assert (left.camera, front.camera) == ("left", "front")
    assert left.shots[0].file == f"{CLIP}.left.mp4"


def test_a_camera_without_video_is_noted_and_the_others_are_shown(tmp_path):
    write(tmp_path)
    front, left = footage(tmp_path, "front", "left").of_clip(CLIP, [5_000_000])[0]
    assert len(front.shots) == 4
    assert (left.shots, left.missing, left.notes) == ((), 4, ("No video of left was found for this clip.",))


def test_what_is_wrong_with_a_video_is_noted(tmp_path):
    content = video(frames=200)
    write_video(tmp_path / "videos", content, None, f"{CLIP}.front.mp4")  # without a timestamps file
    ((frames,),) = footage(tmp_path).of_clip(CLIP, [5_000_000])
    (note,) = frames.notes
    assert "there are no frame timestamps beside the video" in note
    assert len(frames.shots) == 4


def damaged(at: float) -> bytes:
    """Return a video with a stretch of zeros in the middle of its groups of pictures."""
    content = bytearray(video(gop=5))
    start = int(len(content) * at)
    content[start : start + 2500] = bytes(2500)
    return bytes(content)


def test_damage_costs_only_the_windows_that_show_it(tmp_path):
    write(tmp_path, content=damaged(0.6))
    t0s = [2_000_000, *range(9_000_000, 16_000_000, 250_000), 18_000_000]
    windows = footage(tmp_path).of_clip(CLIP, t0s)
    lost = [t0 for t0, own in zip(t0s, windows, strict=True) if isinstance(own, ClipFailedError)]
    assert lost
    assert len(lost) < len(t0s) / 2
    assert min(lost) > 9_000_000
    for own in windows:
        if not isinstance(own, ClipFailedError):
            assert [seen(shot) for shot in own[0].shots] == [shot.index for shot in own[0].shots]
    assert {own.reason for own in windows if isinstance(own, ClipFailedError)} == {"corrupt_video"}


def test_a_file_that_is_no_video_costs_all_its_windows(tmp_path):
    write(tmp_path, content=b"no video at all" * 100)
    windows = footage(tmp_path).of_clip(CLIP, [5_000_000, 6_000_000])
    assert [type(own) for own in windows] == [ClipFailedError] * 2


def test_a_damaged_camera_costs_the_window_even_where_another_is_whole(tmp_path):
    write(tmp_path, "front")
    write(tmp_path, "left", content=b"no video at all" * 100)
    (own,) = footage(tmp_path, "front", "left").of_clip(CLIP, [5_000_000])
    assert isinstance(own, ClipFailedError)


def darken(rgb, camera, t_us):
    """Black out every picture."""
    return rgb * 0


@pytest.fixture
def redactor(monkeypatch):
    monkeypatch.setattr(footage_module, "find_redactor", {"darken": darken}.__getitem__)


def test_a_redactor_sees_every_frame_before_it_leaves(tmp_path, redactor):
    write(tmp_path)
    ((frames,),) = footage(tmp_path, redactor="darken").of_clip(CLIP, [5_000_000])
    assert [seen(shot) for shot in frames.shots] == [0, 0, 0, 0]


def test_segment_videos_are_redacted_too(tmp_path, redactor):
    write(tmp_path)
    names = {"save_segment_videos": "true", "segment_video_output_dir": str(tmp_path / "out")}
    settings = {f"data_loader__video__{name}": value for name, value in names.items()}
    segments = SegmentVideos.of(config(**settings, data_loader__video__cameras=["front"]))
    ((frames,),) = footage(tmp_path, redactor="darken", segments=segments).of_clip(CLIP, [5_000_000])
    assert frames.notes == ()
    with VideoReader(VideoLocation("x", str(tmp_path / "out" / CLIP / f"{CLIP}_5000000.mp4"))) as own:
        assert {number_of(frame) for _, frame in own.frames(range(len(own.t_us)))} == {0}


def test_a_redactor_that_fails_costs_the_windows_that_need_it(tmp_path, monkeypatch):
    def fail(rgb, camera, t_us):
        if t_us > 5_000_000:
            raise ValueError("no weights")
        return rgb

    monkeypatch.setattr(footage_module, "find_redactor", {"fail": fail}.__getitem__)
    write(tmp_path)
    good, bad = footage(tmp_path, redactor="fail").of_clip(CLIP, [4_000_000, 5_000_000])
    assert len(good[0].shots) == 4
    assert (bad.reason, "fail: ValueError: no weights" in str(bad)) == ("redaction", True)


def test_an_unknown_redactor_is_an_error_of_the_configuration():
    with pytest.raises(DatasetError, match=r"egress\.redactor: unknown redactor 'nobody'"):
        find_redactor("nobody")


def test_an_unknown_redactor_lets_no_frame_through(tmp_path):
    write(tmp_path)
    with pytest.raises(DatasetError, match=r"egress\.redactor"):
        footage(tmp_path, redactor="nobody").of_clip(CLIP, [5_000_000])


def test_frames_can_be_brought_again_by_file_and_index(tmp_path):
    write(tmp_path, "left")
    write(tmp_path, "front")
    own = footage(tmp_path, "left", "front")
    shown = {
        shot.index: shot
        for frames in own.of_clip(CLIP, [5_000_000])[0]
        if frames.camera == "front"
        for shot in frames.shots
    }
    assert own.shots_of(CLIP, f"{CLIP}.front.mp4", set(shown)) == shown


def test_a_frame_that_is_not_there_any_more_is_an_error(tmp_path):
    write(tmp_path)
    with pytest.raises(ClipFailedError, match="200 frames, but frame 200 was shown") as caught:
        footage(tmp_path).shots_of(CLIP, f"{CLIP}.front.mp4", {1, 200})
    assert caught.value.reason == "changed_video"


@pytest.mark.parametrize("file", ["other.mp4", f"{CLIP}.rear.mp4", "../videos/clip_0.front.mp4"])
def test_a_video_that_is_not_there_any_more_is_an_error(tmp_path, file):
    write(tmp_path)
    with pytest.raises(ClipRejectedError, match=f"no video {file} among the cameras front") as caught:
        footage(tmp_path).shots_of(CLIP, file, {1})
    assert caught.value.reason == "no_video"


def test_pictures_are_as_large_and_good_as_asked_for(tmp_path):
    write(tmp_path)
    own = footage(tmp_path)
    ((frames,),) = Footage(own.finder, own.cameras, SMALL, ImageSettings(max_side=72, quality=30)).of_clip(
        CLIP, [5_000_000]
    )
    picture = Image.open(io.BytesIO(base64.b64decode(frames.shots[0].data_uri.partition("base64,")[2])))
    assert (picture.format, picture.size) == ("JPEG", (72, 48))
    assert frames.shots[0].data_uri.startswith("data:image/jpeg;base64,")


@pytest.mark.parametrize(
    ("t0_us", "past", "future"),
    [
        (5_000_000, [4_000_000, 4_500_000, 5_000_000], [5_500_000]),
        (5_060_000, [4_100_000, 4_600_000, 5_000_000], [5_600_000]),  # the frame at 5.1 s is nearer, but later
        (5_099_999, [4_100_000, 4_600_000, 5_000_000], [5_600_000]),
    ],
)
def test_parted_frames_of_the_history_are_never_after_the_keyframe(tmp_path, t0_us, past, future):
    write(tmp_path)
    ((frames,),) = footage(tmp_path, parted=True).of_clip(CLIP, [t0_us])
    assert [shot.t_us for shot in frames.shots] == [*past, *future]
    assert frames.missing == 0


def test_parted_frames_at_the_ends_of_a_video(tmp_path):
    write(tmp_path)
    first, last = footage(tmp_path, parted=True).of_clip(CLIP, [0, 19_900_000])
    assert [shot.t_us for shot in first[0].shots] == [0, 500_000]
    assert (first[0].missing, last[0].missing) == (2, 1)


def test_a_frame_just_after_the_keyframe_does_not_stand_for_the_next_time(tmp_path):
    write(tmp_path)
    ((frames,),) = footage(tmp_path, parted=True, sampling=Sampling(0.2, 0.3, 0.1)).of_clip(CLIP, [5_000_000])
    assert [shot.t_us for shot in frames.shots] == [4_800_000, 4_900_000, 5_000_000, 5_100_000, 5_200_000]


def test_parted_frames_need_times_that_hold_for_a_fault_may_lie_in_the_future(tmp_path):
    times = times_of(FPS * SECONDS, FPS, 48_000)
    times[150] = times[149]
    write(tmp_path, t_us=times)
    (error,) = footage(tmp_path, parted=True).of_clip(CLIP, [5_000_000])
    assert (error.outcome, error.reason) == ("failed", "bad_frame_times")
    assert "increasing timestamps" in str(error)
    assert "repair them, or remove the file" in str(error)
    ((frames,),) = footage(tmp_path).of_clip(CLIP, [5_000_000])
    assert len(frames.shots) == 4  # one pass may use the video's own
