import base64
import io
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from builders.pages import svg
from builders.pictures import FILMED, UNFILMED, Place
from coc_labeling.report.clips import load_clips
from coc_labeling.report.moment_picture import NO_FRAME, WIDTH_PX, Camera
from coc_labeling.report.runs import find_runs
from coc_labeling.report.sample import Candidate
from coc_labeling.report.scene_figure import scene_figure


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Place:
    return Place(tmp_path_factory.mktemp("moments")).fill()


@pytest.fixture
def shown(place):
    """Return the camera of the run, and a clip's view with its first keyframe."""

    def of(clip_id: str):
        (run,) = find_runs([str(place.run_dir)])
        (view,) = load_clips([run], [Candidate(0, clip_id, frozenset())])
        return Camera(run), view, view.keyframes[0]

    return of


def test_a_clip_with_video_is_shown_by_its_camera_without_metadata(shown):
    camera, view, keyframe = shown(FILMED)
    picture = camera.picture(view, keyframe)
    assert picture.uri is not None
    assert picture.uri.startswith("data:image/jpeg;base64,")
    content = base64.b64decode(picture.uri.partition(",")[2])
    image = Image.open(io.BytesIO(content))
    assert image.width <= WIDTH_PX
    assert not image.getexif()
    assert picture.note == ""


def test_a_clip_without_video_is_shown_from_above_with_what_it_cites(shown):
    camera, view, keyframe = shown(UNFILMED)
    picture = camera.picture(view, keyframe)
    assert picture.note == "no video"
    assert picture.uri is not None
    drawing = svg(picture.uri)
    assert "#b3003c" in drawing  # the colour of a cited road user
    assert "lead, " in drawing
    assert "10 m" in drawing


def test_a_moment_without_a_frame_is_shown_from_above(shown):
    camera, view, keyframe = shown(FILMED)
    picture = camera.picture(view, replace(keyframe, t_sec=60.0))
    assert picture.note == NO_FRAME
    assert picture.uri is not None
    assert picture.uri.startswith("data:image/svg")


def test_a_damaged_video_is_told(shown, place, monkeypatch):
    camera, view, keyframe = shown(FILMED)
    path = next((place.data / "camera").rglob("*.zip"))
    kept = path.read_bytes()
    try:
        place.film(FILMED, b"no video")
        picture = camera.picture(view, keyframe)
    finally:
        path.write_bytes(kept)
    assert "expected a video" in picture.note
    assert picture.uri is not None
    assert picture.uri.startswith("data:image/svg")


def test_without_pyav_the_scene_is_shown_and_the_note_says_what_to_install(shown, monkeypatch):
    camera, view, keyframe = shown(FILMED)
    monkeypatch.setitem(sys.modules, "av", None)
    picture = camera.picture(view, keyframe)
    assert "pip install 'coc-toolkit[vlm]'" in picture.note
    assert picture.uri is not None
    assert picture.uri.startswith("data:image/svg")


def test_a_clip_without_motion_has_no_picture_from_above(shown):
    camera, view, keyframe = shown(UNFILMED)
    assert camera.picture(replace(view, ego=None), keyframe).uri is None


def test_data_that_have_moved_are_told(shown):
    _, view, keyframe = shown(FILMED)
    moved = replace(view.run, data_dir="/gone/data")
    assert "/gone/data" in Camera(moved).picture(view, keyframe).note


@pytest.mark.parametrize("metres", [(-60.0, 0.0), (0.0, 90.0), (50.0, -50.0)])
def test_what_is_cited_is_in_the_picture_wherever_it_stands(shown, metres):
    _, view, keyframe = shown(UNFILMED)
    assert view.ego is not None
    assert view.obstacles is not None
    (name,) = keyframe.track_ids
    center = np.tile([*(view.ego.xyz[0, :2] + metres), 0.0], (len(view.obstacles), 1))
    moved = replace(view, obstacles=replace(view.obstacles, center=center))
    figure = scene_figure(moved, keyframe)
    assert figure is not None
    assert name in view.obstacles.tracks
    assert "lead, " in svg(figure)
