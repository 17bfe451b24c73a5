import sys
from types import SimpleNamespace

import numpy as np
import pytest

from alpamayo_r1.aiav_kit import KitReader, open_kit
from alpamayo_r1.scenes import MODEL_CAMERAS, SceneReader, SceneShape
from builders.driving import lively_drive
from builders.reasoning_scenes import CLIPS, pai_with_cameras
from driving_clips.datasets import open_dataset
from driving_clips.errors import ClipFailedError, ClipRejectedError, DatasetError
from driving_clips.video.pictures import to_rgb
from driving_clips.video.reading import VideoReader


class Motion:
    """Ego motion as the kit's interpolator gives it."""

    def __init__(self, drive, *, says_range=True):
        self.drive = drive
        if says_range:
            self.time_range = (int(drive.t_us[0]), int(drive.t_us[-1]))

    def __call__(self, t_us):
        x, y, yaw = (np.interp(t_us, self.drive.t_us, v) for v in (self.drive.x, self.drive.y, self.drive.yaw))
        matrix = np.zeros((len(t_us), 3, 3))
        matrix[:, 0, 0] = matrix[:, 1, 1] = np.cos(yaw)
        matrix[:, 1, 0], matrix[:, 0, 1] = np.sin(yaw), -np.sin(yaw)
        matrix[:, 2, 2] = 1.0
        rotation = SimpleNamespace(as_matrix=lambda: matrix)
        return SimpleNamespace(pose=SimpleNamespace(translation=np.stack([x, y, 0 * x], 1), rotation=rotation))


class Camera:
    """A camera as the kit's video reader gives it."""

    def __init__(self, location):
        self.location = location

    def decode_images_from_timestamps(self, wanted_us):
        with VideoReader(self.location) as video:
            indices = video.nearest(wanted_us, 10**9)
            frames = dict(video.frames(indices))
            return np.stack([to_rgb(frames[i]) for i in indices.tolist()]), video.t_us[indices]


class Kit:
    """The kit's interface, on a folder."""

    def __init__(self, dataset, motion):
        self.dataset, self.motion, self.asked = dataset, motion, []

    def get_clip_feature(self, clip_id, feature, maybe_stream=False):
        self.asked.append((feature, maybe_stream))
        if clip_id != CLIPS[0]:
            raise KeyError(clip_id)
        return self.motion if feature == "egomotion" else Camera(self.dataset.find_video(clip_id, feature))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return open_dataset("pai", str(pai_with_cameras(tmp_path_factory.mktemp("pai"), CLIPS[:1])))


def reader_of(kit):
    return KitReader(kit, MODEL_CAMERAS, SceneShape(), maybe_stream=True)


def test_the_kit_gives_the_same_as_the_folder(dataset):
    kit = Kit(dataset, Motion(lively_drive(0, hz=50)))
    own, other = SceneReader(dataset).read(CLIPS[0], 5_130_000), reader_of(kit).read(CLIPS[0], 5_130_000)
    for name in ("history_xyz", "history_rot", "future_xyz", "future_rot"):
        np.testing.assert_allclose(getattr(own.path, name), getattr(other.path, name), atol=1e-9)
    np.testing.assert_array_equal(own.stacked_frames(), other.stacked_frames())
    np.testing.assert_array_equal(own.frame_times_us, other.frame_times_us)
    assert kit.asked == [("egomotion", True), *((camera, True) for camera in MODEL_CAMERAS)]


def test_what_the_kit_cannot_give_is_said_with_the_clip(dataset):
    kit = Kit(dataset, Motion(lively_drive(0, hz=50)))
    with pytest.raises(ClipFailedError, match="nobody: egomotion: the dataset's kit says KeyError"):
        reader_of(kit).read("nobody", 5_100_000)
    with pytest.raises(ClipRejectedError, match=r"t0_us=1000000 has 1\.000 s of ego motion") as short:
        reader_of(kit).read(CLIPS[0], 1_000_000)
    assert short.value.reason == "history_too_short"
    with pytest.raises(ClipRejectedError, match="t0_us=20000001 is outside"):
        reader_of(kit).read(CLIPS[0], 20_000_001)
    with pytest.raises(DatasetError, match="found int"):
        reader_of(7)


def test_poses_that_are_no_numbers_are_refused_with_their_time(dataset):
    drive = lively_drive(0, hz=50)
    drive.x[200:240] = np.nan
    for says_range in (True, False):
        kit = Kit(dataset, Motion(drive, says_range=says_range))
        with pytest.raises(ClipFailedError, match=rf"{CLIPS[0]}: ego motion at 4000000 us is \[nan"):
            reader_of(kit).read(CLIPS[0], 5_000_000)


def test_frames_of_another_form_and_far_away_are_refused(dataset, monkeypatch):
    kit = Kit(dataset, Motion(lively_drive(0, hz=50)))
    wrong = (np.zeros((4, 3, 8, 8), np.float32), np.zeros(4, np.int64))
    monkeypatch.setattr(Camera, "decode_images_from_timestamps", lambda self, t_us: wrong)
    with pytest.raises(ClipFailedError, match=r"found \(4, 3, 8, 8\) of float32"):
        reader_of(kit).read(CLIPS[0], 5_000_000)
    far = (np.zeros((4, 8, 8, 3), np.uint8), np.zeros(4, np.int64))
    monkeypatch.setattr(Camera, "decode_images_from_timestamps", lambda self, t_us: far)
    with pytest.raises(ClipRejectedError, match="no frame within 50000 us of 4700000 us"):
        reader_of(kit).read(CLIPS[0], 5_000_000)


def test_a_kit_that_is_missing_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "physical_ai_av", None)
    with pytest.raises(DatasetError, match=r"pip install 'coc-toolkit\[pai\]'"):
        open_kit()
