import pickle

import pytest

from builders.asked import agent_of
from builders.driving import drive, lively_drive
from builders.table import write_csv
from builders.videos import times_of, video_bytes, write_video
from coc_labeling.footage import Footage
from coc_labeling.keyframes import Keyframe
from coc_labeling.preparation import ClipPreparer, PreparedClips
from coc_labeling.windows import Sampling
from coc_labeling.work import GroupTask, tasks_of
from driving_clips.datasets import open_dataset
from driving_clips.errors import DatasetError
from driving_clips.trajectories import TrajectoryLoader
from driving_clips.video.locating import VideoFinder
from driving_clips.video.pictures import ImageSettings
from meta_action.timeline import Span, timeline


def prepare(folder, moments: dict[str, list[int]], *, needs_frames: bool = True, agent=None, footage=None, spans=()):
    """Prepare moments (us) by clip, as a worker does."""
    dataset = open_dataset("table", str(folder / "data"))
    footage = footage or Footage(
        VideoFinder(dataset, str(folder / "videos")), ("front",), Sampling(2, 6, 0.5), ImageSettings(max_side=144)
    )
    preparer = ClipPreparer(TrajectoryLoader(dataset), agent or agent_of(), footage, 2.0, 6.0, needs_frames)
    keyframes = [Keyframe(clip, t_us) for clip, times in moments.items() for t_us in times]
    timelines = {clip: timeline(clip, spans) for clip in moments} if spans else {}
    results = [preparer(task) for task in tasks_of(dataset.discover().groups, keyframes, timelines, dataset)]
    return PreparedClips([w for r in results for w in r.windows], [p for r in results for p in r.problems])


@pytest.fixture
def folder(tmp_path):
    """Two clips; only the first has video."""
    for number in range(2):
        write_csv(tmp_path / "data", f"clip_{number}", lively_drive(number))
    write_video(tmp_path / "videos", video_bytes(200, fps=10, gop=10), times_of(200, 10), "clip_0.front.mp4")
    return tmp_path


def reasons(prepared: PreparedClips) -> list[tuple[str, str, str]]:
    return [(outcome, reason, item) for outcome, reason, item, _ in prepared.problems]


def test_a_window_is_made_ready_with_its_frames(folder):
    prepared = prepare(folder, {"clip_0": [5_000_000]}, spans=[Span("longitudinal", "stop", 50, 60)])
    (own,) = prepared.windows
    assert own.keyframe == Keyframe("clip_0", 5_000_000)
    assert (own.info.frames, own.info.missing_frames) == (16, 0)
    assert [span.name for span in own.starting] == ["stop"]
    assert len(own.shots) == 16
    assert prepared.problems == []


def test_a_clip_without_meta_actions_is_made_ready_too(folder):
    (own,) = prepare(folder, {"clip_0": [5_000_000]}).windows
    assert "longitudinal: Not Available, lateral: Not Available, lane: Not Available" in own.parts[1].text


def test_shared_pictures_are_counted_once(folder):
    one = prepare(folder, {"clip_0": [5_000_000]}).picture_bytes
    two = prepare(folder, {"clip_0": [5_000_000, 5_500_000]}).picture_bytes
    assert one < two < 1.2 * one
    assert PreparedClips([], []).picture_bytes == 0


def test_shared_pictures_stay_shared_on_the_way_from_a_worker(folder):
    prepared = prepare(folder, {"clip_0": [5_000_000, 5_500_000]})
    arrived = pickle.loads(pickle.dumps(prepared))
    assert arrived.picture_bytes == prepared.picture_bytes
    assert len(pickle.dumps(prepared)) < 1.3 * prepared.picture_bytes


def test_a_window_without_any_frame_is_rejected_with_the_reason(folder):
    prepared = prepare(folder, {"clip_1": [5_000_000]})
    assert reasons(prepared) == [("rejected", "no_frames", "clip_1/cot_5000000.yaml")]
    assert "No video of front was found for this clip." in prepared.problems[0][3]


def test_a_model_that_needs_no_frames_is_asked_without(folder):
    (own,) = prepare(folder, {"clip_1": [5_000_000]}, needs_frames=False).windows
    assert "There is no frame of front." in own.parts[1].text
    assert own.shots == []


def test_a_keyframe_outside_the_clip_costs_only_itself(folder):
    prepared = prepare(folder, {"clip_0": [5_000_000, 25_000_000]})
    assert [own.keyframe.t_us for own in prepared.windows] == [5_000_000]
    assert reasons(prepared) == [("rejected", "outside_clip", "clip_0/cot_25000000.yaml")]


def test_a_clip_that_cannot_be_read_costs_only_its_own_windows(folder):
    (folder / "data" / "clip_1.csv").write_text("timestamp_us,x,y,yaw\n1,2\n")
    prepared = prepare(folder, {"clip_0": [5_000_000], "clip_1": [1_000_000, 2_000_000]})
    assert [own.keyframe.clip_id for own in prepared.windows] == ["clip_0"]
    assert [item for _, _, item in reasons(prepared)] == ["clip_1/cot_1000000.yaml", "clip_1/cot_2000000.yaml"]


def test_a_damaged_video_fails_its_windows(folder):
    (folder / "videos" / "clip_0.front.mp4").write_bytes(b"no video" * 100)
    prepared = prepare(folder, {"clip_0": [5_000_000]})
    assert reasons(prepared) == [("failed", "corrupt_video", "clip_0/cot_5000000.yaml")]


class Broken:
    """Footage of a decoder that does what it likes."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def of_clip(self, clip_id, t0s_us):
        raise self.error


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), MemoryError("y"), KeyError("z")])
def test_whatever_a_decoder_stumbles_over_costs_one_clip(folder, error):
    prepared = prepare(folder, {"clip_0": [5_000_000], "clip_1": [5_000_000]}, footage=Broken(error))
    assert [problem[:2] for problem in prepared.problems] == [("failed", "crashed")] * 2
    assert type(error).__name__ in prepared.problems[0][3]


def test_what_stops_every_clip_stops_the_run(folder):
    with pytest.raises(DatasetError, match="PyAV"):
        prepare(folder, {"clip_0": [5_000_000]}, footage=Broken(DatasetError("reading video needs PyAV")))


def test_a_window_cut_by_the_clip_s_end_is_marked(folder):
    (own,) = prepare(folder, {"clip_0": [19_000_000]}).windows
    assert (own.info.missing_future_sec, own.info.missing_frames) == (5.0, 9)
    assert "The recording ends 1.0 s after t=0" in own.parts[1].text


def test_a_long_recording_s_clips_are_made_ready_by_their_own_time(tmp_path):
    write_csv(tmp_path / "data", "long", drive(41.0, speed=lambda t: t / 2))
    (tmp_path / "videos").mkdir()
    (own,) = prepare(tmp_path, {"long-20": [5_000_000]}, needs_frames=False).windows
    assert "(t=0.0s) longitudinal 12.50, lateral 0.00" in own.parts[1].text


def test_a_preparer_travels_to_workers(folder):
    dataset = open_dataset("table", str(folder / "data"))
    footage = Footage(VideoFinder(dataset, None), ("front",), Sampling(2, 6, 0.5), ImageSettings())
    preparer = ClipPreparer(TrajectoryLoader(dataset), agent_of(), footage, 2.0, 6.0, True)
    arrived = pickle.loads(pickle.dumps(preparer))
    assert arrived.agent.prompt_hash == preparer.agent.prompt_hash
    assert isinstance(arrived, ClipPreparer)


def test_a_task_without_work_prepares_nothing(folder):
    dataset = open_dataset("table", str(folder / "data"))
    (group, *_) = dataset.discover().groups
    footage = Footage(VideoFinder(dataset, None), ("front",), Sampling(2, 6, 0.5), ImageSettings())
    preparer = ClipPreparer(TrajectoryLoader(dataset), agent_of(), footage, 2.0, 6.0, True)
    assert preparer(GroupTask(group, {}, {})) == PreparedClips([], [])
