import pickle

import pytest

from builders.driving import drive
from builders.table import write_csv
from builders.videos import CLIP, zip_videos
from driving_clips import files
from driving_clips.datasets import open_dataset
from driving_clips.errors import ClipFailedError, DatasetError
from driving_clips.video.locating import DEFAULT_CAMERA, VideoFinder

REAR = "camera_rear_tele_30fov"
PLACES = [
    f"{CLIP}_fpv.mp4",
    f"camera/{CLIP}.{DEFAULT_CAMERA}.mp4",
    f"{CLIP}.{DEFAULT_CAMERA}.mp4",
    f"{CLIP}/some/where/{DEFAULT_CAMERA}.mp4",
    f"{CLIP[:4]}/{CLIP}/{DEFAULT_CAMERA}.mp4",
]
ZIPS = ["videos.zip", f"{DEFAULT_CAMERA}/x.zip", f"camera/{DEFAULT_CAMERA}/{DEFAULT_CAMERA}.chunk_0003.zip"]


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / "data").mkdir()
    return open_dataset("pai", str(tmp_path / "data"))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "videos").mkdir()
    return tmp_path / "videos"


def put(path, content: bytes = b""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def archive(path, camera: str = DEFAULT_CAMERA):
    return zip_videos(path, {f"{CLIP}.{camera}.mp4": b"", f"{CLIP}.{camera}.timestamps.parquet": b""})


def test_places_come_in_order(dataset, folder):
    for place in reversed(PLACES):
        path = put(folder / place)
        assert VideoFinder(dataset, str(folder)).find(CLIP, DEFAULT_CAMERA).path == str(path)


def test_a_file_comes_before_archives_and_both_before_the_dataset(dataset, folder, tmp_path):
    own = archive(tmp_path / "data" / "camera" / DEFAULT_CAMERA / "c.zip")
    assert VideoFinder(dataset, str(folder)).find(CLIP, DEFAULT_CAMERA).path == str(own)
    other = tmp_path / "more"
    zipped = archive(other / "c.zip")
    found = VideoFinder(dataset, str(other)).find(CLIP, DEFAULT_CAMERA)
    assert (found.path, found.member, found.timestamps) == (
        str(zipped),
        f"{CLIP}.{DEFAULT_CAMERA}.mp4",
        f"{CLIP}.{DEFAULT_CAMERA}.timestamps.parquet",
    )
    path = put(other / PLACES[-1])
    assert VideoFinder(dataset, str(other)).find(CLIP, DEFAULT_CAMERA).path == str(path)


@pytest.mark.parametrize("place", ZIPS)
def test_archives_are_known_by_their_members(dataset, folder, place):
    path = archive(folder / place)
    archive(folder / place.replace(".zip", "_rear.zip"), REAR)
    finder = VideoFinder(dataset, str(folder))
    assert finder.find(CLIP, DEFAULT_CAMERA).path == str(path)
    assert finder.find("another", DEFAULT_CAMERA) is None


def test_a_front_video_is_no_other_camera_s(dataset, folder):
    for place in PLACES:
        put(folder / place)
    archive(folder / "videos.zip")
    assert VideoFinder(dataset, str(folder)).find(CLIP, REAR) is None


def test_the_sidecar_beside_a_video_is_found(dataset, folder):
    put(folder / f"{CLIP}_fpv.mp4")
    sidecar = put(folder / f"{CLIP}_fpv.mp4.timestamps")
    assert VideoFinder(dataset, str(folder)).find(CLIP, DEFAULT_CAMERA).timestamps == str(sidecar)


def test_an_archive_that_cannot_be_opened_hurts_only_what_is_nowhere_else(dataset, folder, tmp_path):
    put(folder / "broken.zip", b"half a download")
    archive(folder / "good.zip")
    archive(tmp_path / "data" / "camera" / REAR / "rear.zip", REAR)
    finder = VideoFinder(dataset, str(folder))
    assert finder.find(CLIP, DEFAULT_CAMERA) is not None
    assert finder.find(CLIP, REAR) is not None
    with pytest.raises(ClipFailedError, match=r"broken\.zip"):
        finder.find("another", DEFAULT_CAMERA)


def test_without_a_video_folder_the_dataset_is_asked(dataset, tmp_path):
    path = archive(tmp_path / "data" / "camera" / DEFAULT_CAMERA / "c.zip")
    assert VideoFinder(dataset, None).find(CLIP, DEFAULT_CAMERA).path == str(path)


def test_no_folder_of_clips_is_listed_and_archives_once(dataset, folder, monkeypatch):
    archive(folder / "c.zip")
    put(folder / f"camera/{CLIP}.{DEFAULT_CAMERA}.mp4")
    finder = VideoFinder(dataset, str(folder))
    finder.find("another", DEFAULT_CAMERA)
    for name in ("walk_files", "list_names", "open_zip"):
        monkeypatch.setattr(files, name, None)
    assert finder.find(CLIP, DEFAULT_CAMERA) is not None
    assert finder.find("another", DEFAULT_CAMERA) is None


def test_it_travels_to_other_processes(dataset, folder):
    path = put(folder / PLACES[0])
    finder = pickle.loads(pickle.dumps(VideoFinder(dataset, str(folder))))
    assert finder.find(CLIP, DEFAULT_CAMERA).path == str(path)


def test_wrong_arguments_are_named(dataset, folder, tmp_path):
    with pytest.raises(DatasetError, match="video_dir must name a folder"):
        VideoFinder(dataset, str(tmp_path / "nowhere"))
    with pytest.raises(DatasetError, match=r"camera '\.\./x'"):
        VideoFinder(dataset, str(folder)).find(CLIP, "../x")


def test_clips_of_a_recording_share_its_video(tmp_path):
    write_csv(tmp_path / "trips", "trip", drive(45.0))
    path = put(tmp_path / "trips" / "trip.front.mp4")
    found = VideoFinder(open_dataset("table", str(tmp_path)), None).find("trip-20", "front")
    assert (found.path, found.start_us) == (str(path), 20_000_000)
