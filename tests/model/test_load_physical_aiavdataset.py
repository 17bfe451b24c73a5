import numpy as np
import pytest
import torch

from alpamayo_r1.load_physical_aiavdataset import load_physical_aiavdataset
from alpamayo_r1.scenes import MODEL_CAMERAS, SceneReader
from builders.reasoning_scenes import CLIPS, SIZE, pai_with_cameras
from driving_clips.datasets import open_dataset
from driving_clips.errors import ClipRejectedError, DatasetError

WIDTH, HEIGHT = SIZE


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return pai_with_cameras(tmp_path_factory.mktemp("pai"))


def test_shapes_and_types_are_those_of_the_model_s_users(root):
    data = load_physical_aiavdataset(CLIPS[0], avdi=str(root))
    wanted = {
        "image_frames": ((4, 4, 3, HEIGHT, WIDTH), torch.uint8),
        "camera_indices": ((4,), torch.int64),
        "ego_history_xyz": ((1, 1, 16, 3), torch.float32),
        "ego_history_rot": ((1, 1, 16, 3, 3), torch.float32),
        "ego_future_xyz": ((1, 1, 64, 3), torch.float32),
        "ego_future_rot": ((1, 1, 64, 3, 3), torch.float32),
        "relative_timestamps": ((4, 4), torch.float32),
        "absolute_timestamps": ((4, 4), torch.int64),
    }
    assert {name: (tuple(data[name].shape), data[name].dtype) for name in wanted} == wanted
    assert (data["t0_us"], data["clip_id"]) == (5_100_000, CLIPS[0])
    assert set(data) == {*wanted, "t0_us", "clip_id"}
    assert data["camera_indices"].tolist() == [0, 1, 2, 6]
    assert data["absolute_timestamps"][0].tolist() == [4_800_000, 4_900_000, 5_000_000, 5_100_000]
    torch.testing.assert_close(data["relative_timestamps"][3], torch.tensor([-0.3, -0.2, -0.1, 0.0]))


def test_values_are_those_of_the_scene(root):
    data = load_physical_aiavdataset(CLIPS[1], t0_us=7_000_000, avdi=root)
    scene = SceneReader(open_dataset("pai", str(root))).read(CLIPS[1], 7_000_000)
    np.testing.assert_array_equal(data["image_frames"].numpy(), scene.stacked_frames())
    np.testing.assert_allclose(data["ego_history_xyz"][0, 0], scene.path.history_xyz, atol=1e-5)
    np.testing.assert_allclose(data["ego_future_rot"][0, 0], scene.path.future_rot, atol=1e-6)


def test_other_cameras_steps_and_frames(root):
    data = load_physical_aiavdataset(
        CLIPS[0],
        avdi=root,
        num_history_steps=5,
        num_future_steps=8,
        time_step=0.2,
        camera_features=[MODEL_CAMERAS[3], MODEL_CAMERAS[1]],
        num_frames=2,
    )
    assert data["image_frames"].shape == (2, 2, 3, HEIGHT, WIDTH)
    assert data["camera_indices"].tolist() == [1, 6]
    assert data["absolute_timestamps"].tolist() == [[4_900_000, 5_100_000]] * 2
    assert data["ego_history_xyz"].shape == (1, 1, 5, 3)
    assert data["ego_future_xyz"].shape == (1, 1, 8, 3)


def test_a_future_that_is_not_whole_is_none(root):
    data = load_physical_aiavdataset(CLIPS[0], t0_us=15_000_000, avdi=root)
    assert data["ego_future_xyz"] is None
    assert data["ego_future_rot"] is None
    assert data["ego_history_xyz"].shape == (1, 1, 16, 3)


def test_what_cannot_be_loaded_is_named(root, tmp_path):
    with pytest.raises(ClipRejectedError, match=f"{CLIPS[0]}: t0_us=100000"):
        load_physical_aiavdataset(CLIPS[0], t0_us=100_000, avdi=root)
    with pytest.raises(ClipRejectedError, match="nobody"):
        load_physical_aiavdataset("nobody", avdi=root)
    with pytest.raises(DatasetError, match="no such folder"):
        load_physical_aiavdataset(CLIPS[0], avdi=tmp_path / "nowhere")
    for t0_us in (float("nan"), float("inf"), 5_100_000.5, "5100000", None):
        with pytest.raises(DatasetError, match=f"{CLIPS[0]}: t0_us=.*whole microseconds"):
            load_physical_aiavdataset(CLIPS[0], t0_us=t0_us, avdi=root)
    for wrong in ({"num_history_steps": 2.5}, {"num_frames": "4"}, {"time_step": "0.1"}, {"camera_features": "roof"}):
        with pytest.raises(DatasetError, match=f"{next(iter(wrong.values()))}'?: expected"):
            load_physical_aiavdataset(CLIPS[0], avdi=root, **wrong)
    with pytest.raises(DatasetError, match="frames=0"):
        load_physical_aiavdataset(CLIPS[0], avdi=root, num_frames=0)
    with pytest.raises(ClipRejectedError, match="no video of camera_rear_left_70fov"):
        load_physical_aiavdataset(CLIPS[0], avdi=root, camera_features=["camera_rear_left_70fov"])
