import json

import pytest

from builders.runs import config
from builders.videos import number_of, times_of, video_bytes, write_video
from coc_labeling.conversation import Shot
from coc_labeling.errors import CocLabelingError
from coc_labeling.segment_videos import SegmentVideos
from driving_clips.datasets.base import VideoLocation
from driving_clips.video.reading import VideoReader

CLIP = "0a0b0c0d-1111-2222-3333-444455556666"
T0 = 5_012_345
CAMERA = "camera_front_wide_120fov"


@pytest.fixture
def reader(tmp_path):
    path = write_video(tmp_path, video_bytes(100, fps=10, gop=10), times_of(100, 10), f"{CLIP}.mp4")
    location = VideoLocation(CAMERA, str(path), "", str(path).replace(".mp4", ".timestamps.parquet"))
    with VideoReader(location) as video:
        yield video


def writer(tmp_path, **settings) -> SegmentVideos:
    folder = {"data_loader__video__segment_video_output_dir": str(tmp_path / "out")}
    names = {f"data_loader__video__{name}": value for name, value in settings.items()}
    return SegmentVideos.of(config(**{"data_loader__video__segment_video_ffmpeg_bin": ""} | folder | names))


def shots(reader) -> list[Shot]:
    return [Shot(f"{CLIP}.mp4", index, int(reader.t_us[index]), "data:") for index in (30, 35, 40)]


def written(tmp_path) -> list[str]:
    return sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file())


def test_a_window_is_a_video_with_its_list_of_frames(tmp_path, reader):
    assert writer(tmp_path).write(reader, CLIP, T0, shots(reader)) is None
    assert written(tmp_path) == [f"{CLIP}/{CLIP}_{T0}.mp4", f"{CLIP}/{CLIP}_{T0}.sampled_frames.json"]
    listed = json.loads((tmp_path / "out" / CLIP / f"{CLIP}_{T0}.sampled_frames.json").read_text())
    assert listed == {
        "clip_id": CLIP,
        "event_start_timestamp": T0,
        "event_start_frame": 50,
        "saved_video_fps": 10.0,
        "saved_video_mode": "source_fps",
        "saved_video_frames": [31, 99],
        "sampled_frames": [
            {"video_filename": f"{CLIP}.mp4", "index_in_video": i, "timestamp_micros": i * 100_000}
            for i in (30, 35, 40)
        ],
    }


def test_it_reaches_as_far_as_the_window(tmp_path, reader):
    writer(tmp_path).write(reader, CLIP, T0, shots(reader))
    with VideoReader(VideoLocation("x", str(tmp_path / "out" / CLIP / f"{CLIP}_{T0}.mp4"), "", None)) as video:
        assert len(video.t_us) == 100 - 31  # from 3.1 s, the first frame after t0 - 2 s, to the clip's end


def test_sampled_frames_alone_are_another_mode(tmp_path, reader):
    writer(tmp_path, save_segment_videos_source_fps=False).write(reader, CLIP, T0, shots(reader))
    listed = json.loads((tmp_path / "out" / CLIP / f"{CLIP}_{T0}.sampled_frames.json").read_text())
    assert (listed["saved_video_mode"], listed["saved_video_fps"]) == ("sampled_fps", 2.0)


def test_the_list_can_be_left_out(tmp_path, reader):
    writer(tmp_path, save_segment_video_metadata=False).write(reader, CLIP, T0, shots(reader))
    assert written(tmp_path) == [f"{CLIP}/{CLIP}_{T0}.mp4"]


@pytest.mark.parametrize(("skip", "kept"), [(True, True), (False, False)])
def test_what_is_there_already_is_kept_or_written_again(tmp_path, reader, skip, kept):
    own = writer(tmp_path, segment_video_skip_existing=skip)
    own.write(reader, CLIP, T0, shots(reader))
    path = tmp_path / "out" / CLIP / f"{CLIP}_{T0}.mp4"
    path.write_bytes(b"mine")
    own.write(reader, CLIP, T0, shots(reader))
    assert (path.read_bytes() == b"mine") == kept


def test_only_the_first_camera_s_is_written(tmp_path, reader):
    own = writer(tmp_path, cameras=["camera_rear_tele_30fov", CAMERA])
    assert own.write(reader, CLIP, T0, shots(reader)) is None
    assert not (tmp_path / "out").exists()


def test_a_window_without_frames_is_noted_and_no_error(tmp_path, reader):
    note = writer(tmp_path).write(reader, CLIP, 60_000_000, shots(reader))
    assert note.startswith("The segment video was not written: ")
    assert "no frame" in note
    assert written(tmp_path) == [] if (tmp_path / "out").exists() else True


def test_a_folder_that_cannot_be_written_is_noted_and_no_error(tmp_path, reader):
    (tmp_path / "out").write_text("a file")
    note = writer(tmp_path).write(reader, CLIP, T0, shots(reader))
    assert note.startswith("The segment video was not written: ")


def test_an_encoder_that_fails_is_noted_and_leaves_nothing(tmp_path, reader):
    bad = tmp_path / "ffmpeg"
    bad.write_text("#!/bin/sh\nexit 1\n")
    bad.chmod(0o755)
    note = writer(tmp_path, segment_video_ffmpeg_bin=str(bad)).write(reader, CLIP, T0, shots(reader))
    assert "cannot encode" in note
    assert written(tmp_path) == []


def test_without_a_folder_they_lie_beside_the_videos(tmp_path):
    own = SegmentVideos.of(
        config(data_loader__video__segment_video_output_dir=None, data__video_dir=str(tmp_path / "videos"))
    )
    assert own.folder == str(tmp_path / "videos" / "segment_videos")


def test_without_any_folder_the_setting_is_asked_for():
    with pytest.raises(CocLabelingError, match=r"data_loader\.video\.segment_video_output_dir: required"):
        SegmentVideos.of(config(data_loader__video__segment_video_output_dir=None, data__video_dir=None))


def test_a_relative_folder_is_fixed_at_the_start(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = SegmentVideos.of(config(data_loader__video__segment_video_output_dir="./segments"))
    assert own.folder == str(tmp_path / "segments")


def black(rgb, camera, t_us):
    return rgb * 0


@pytest.mark.parametrize("settings", [{}, {"segment_video_web_compatible": False}])
def test_what_is_shared_is_redacted(tmp_path, reader, settings):
    assert writer(tmp_path, **settings).write(reader, CLIP, T0, shots(reader), black) is None
    with VideoReader(VideoLocation("x", str(tmp_path / "out" / CLIP / f"{CLIP}_{T0}.mp4"))) as video:
        assert max(number_of(frame) for _, frame in video.frames(range(len(video.t_us)))) == 0


def test_a_run_with_other_sampled_frames_leaves_no_stale_list(tmp_path, reader):
    own = writer(tmp_path, segment_video_skip_existing=True)
    own.write(reader, CLIP, T0, shots(reader))
    path = tmp_path / "out" / CLIP / f"{CLIP}_{T0}.mp4"
    path.write_bytes(b"mine")
    own.write(reader, CLIP, T0, shots(reader)[:2])
    assert path.read_bytes() == b"mine"  # it would show the same
    listed = json.loads(path.with_suffix(".sampled_frames.json").read_text())
    assert [frame["index_in_video"] for frame in listed["sampled_frames"]] == [30, 35]
    wider = writer(tmp_path, segment_video_skip_existing=True, hist_length_sec=1.0)
    wider.write(reader, CLIP, T0, shots(reader)[:2])
    assert path.read_bytes() != b"mine"


def test_a_redactor_that_fails_is_noted_and_leaves_nothing(tmp_path, reader):
    note = writer(tmp_path).write(reader, CLIP, T0, shots(reader), lambda *_: None)
    assert "must return an array" in note
    assert written(tmp_path) == []
