from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from alpamayo_r1.infer.picture import ABOVE_WIDTH, FRAME_WIDTH, HEIGHT, _reasonings, best_sample, draw, picture_of
from alpamayo_r1.infer.projection import NOMINAL_CAMERAS, NominalCamera
from alpamayo_r1.infer.request import SamplingOptions
from alpamayo_r1.scenes import MODEL_CAMERAS, EgoPath, Scene, SceneReader
from builders.predictions import StraightOn
from builders.reasoning_scenes import CLIPS, pai_with_cameras
from driving_clips.datasets import open_dataset

FRONT = NOMINAL_CAMERAS["camera_front_wide_120fov"]


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    root = pai_with_cameras(tmp_path_factory.mktemp("pai"), CLIPS[:1])
    return SceneReader(open_dataset("pai", str(root))).read(CLIPS[0], 5_100_000)


def predicted(scene, **changes):
    (found,) = StraightOn().predict([scene], SamplingOptions(num_traj_samples=3, **changes), [7])
    return found


def colours(image):
    return {colour for _, colour in image.convert("RGB").getcolors(2**24)}


def test_the_picture_shows_frame_paths_and_words(scene, tmp_path):
    path = tmp_path / "new" / "folder" / "1.png"
    draw(scene, predicted(scene), str(path))
    with Image.open(path) as image:
        assert image.size[0] == FRAME_WIDTH + ABOVE_WIDTH
        assert image.size[1] > HEIGHT
        above = colours(image.crop((FRAME_WIDTH, 0, *image.size)))
        frame = colours(image.crop((0, 0, FRAME_WIDTH, HEIGHT)))
    for drawn in (above, frame):
        assert {(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)} <= drawn, "the best sample and what was driven"


def test_without_a_future_nothing_is_said_to_be_driven(scene):
    path = scene.path
    late = Scene(
        scene.clip_id,
        20_000_000,
        scene.cameras,
        scene.frames,
        scene.frame_times_us,
        EgoPath(path.history_xyz, path.history_rot, np.zeros((0, 3)), np.zeros((0, 3, 3))),
    )
    assert (0xD5, 0x5E, 0x00) not in colours(picture_of(late, predicted(late)))


def test_a_camera_of_another_rig_is_shown_without_paths(scene):
    other = Scene(scene.clip_id, scene.t0_us, ("roof",), scene.frames[:1], scene.frame_times_us[:1], scene.path)
    image = picture_of(other, predicted(other))
    assert (0xD5, 0x5E, 0x00) not in colours(image.crop((0, 0, FRAME_WIDTH, HEIGHT)))


def test_where_a_dataset_has_another_lens_no_path_is_drawn_on_the_frame(scene):
    image = picture_of(scene, predicted(scene), on_frame=False)
    assert (0xD5, 0x5E, 0x00) not in colours(image.crop((0, 0, FRAME_WIDTH, HEIGHT)))
    assert (0xD5, 0x5E, 0x00) in colours(image)


def test_a_reasoning_that_is_not_at_its_end_is_said_to_be_so(scene):
    found = predicted(scene)
    found.cot[0][:] = ["", "", "Stop."]
    found = replace(found, stopped=[[False, True, True]])
    assert _reasonings(found, (0, 0), "of the best") == [
        "of the best: (not written to its end)",
        "of another: (no words)",
        "of another: Stop.",
    ]


def test_hostile_words_and_far_paths_do_no_harm(scene):
    found = predicted(scene)
    found.cot[0][:] = ["\x1b[31m" + "word " * 5000, "a" * 9000, "\ud800\x00"]
    found.xyz[..., 0] = 1e9
    assert picture_of(scene, found).size[0] == FRAME_WIDTH + ABOVE_WIDTH


def test_the_best_sample_is_the_closest_on_average():
    driven = np.stack([np.arange(1.0, 33.0), np.zeros(32), np.zeros(32)], axis=1)
    xyz = np.zeros((2, 3, 64, 3))
    xyz[..., 0] = np.arange(1.0, 65.0)
    xyz[..., 1] = np.array([[3.0, 2.0, 4.0], [9.0, 0.5, 1.0]])[..., None]
    assert best_sample(driven, xyz) == ((1, 1), 0.5)
    assert best_sample(driven[:0], xyz) == ((0, 0), None)


def test_the_nominal_camera_looks_ahead():
    seen = FRONT.pixels(np.array([[30.0, 0.0, 0.0], [30.0, 3.0, 0.0], [60.0, 0.0, 0.0], [-5.0, 0.0, 0.0]]), 1920, 1080)
    assert seen[0, 0] == pytest.approx(960)
    assert seen[1, 0] < 960, "left is left"
    assert 540 < seen[2, 1] < seen[0, 1] < 1080, "what is farther is higher, all of it below the horizon"
    assert np.isnan(seen[3]).all()


@given(st.floats(1.0, 200.0), st.floats(-50.0, 50.0), st.floats(-3.0, 3.0))
def test_the_angle_from_the_axis_is_the_radius(ahead, left, up):
    camera = NominalCamera(2.0, 0.0, 0.0)
    (seen,) = camera.pixels(np.array([[ahead, left, up]]), 1000, 600)
    angle = np.arctan2(np.hypot(left, up), ahead)
    if angle > 1.0:
        assert np.isnan(seen).all()
    else:
        assert np.hypot(*(seen - [500, 300])) == pytest.approx(angle * 500, abs=1e-6)


def test_the_front_camera_is_one_of_the_model_s():
    assert set(NOMINAL_CAMERAS) <= set(MODEL_CAMERAS)
