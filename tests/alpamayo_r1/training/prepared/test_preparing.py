import json
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.scenes import MODEL_CAMERAS, SceneReader, SceneShape
from alpamayo_r1.training.examples import TrainingExample
from alpamayo_r1.training.prepared import FrameSize, PreparedSet, PrepareRequest, prepare, preparing, work
from batch_runs.outcomes import FAILED, Tally
from batch_runs.parallel import WorkerDied
from builders.exports import exported, filmed
from builders.prepared import COTS, MOMENTS_US, tiny_dataset, write_labels
from builders.reasoning_scenes import CLIPS, pai_with_cameras
from driving_clips.datasets import open_dataset
from driving_clips.errors import DatasetError

# Nothing is resized here, for that takes torch: see tests/model/training/test_pixels.py.
AS_RECORDED = FrameSize(1024, 8192)  # 64 x 96
AS_EXPORTED = FrameSize(1, 10_000, patch_size=6, merge_size=1)  # 54 x 96


@pytest.fixture(scope="module")
def pai(tmp_path_factory):
    """Return a dataset of two drives, with three labels of each."""
    return tiny_dataset(tmp_path_factory.mktemp("data") / "pai")


def request_of(pai, out, **changes):
    return replace(PrepareRequest(str(pai), str(out), "pai", str(pai), size=AS_RECORDED), **changes)


def prepared(pai, out, **changes):
    said = []
    return prepare(request_of(pai, out, **changes), said.append), said


def summary_of(out):
    return json.loads((out / "prepare_summary.json").read_text())


def test_scenes_are_those_of_the_dataset_in_the_size_of_the_model(pai, tmp_path):
    scenes, said = prepared(pai, tmp_path)
    assert said[0] == "6 labels"
    assert said[1].startswith("6 scenes done (6 now")
    reader = SceneReader(open_dataset("pai", str(pai)))
    labels = [(clip, t0_us, cot) for clip in CLIPS[:2] for t0_us, cot in zip(MOMENTS_US, COTS, strict=True)]
    for number, (clip, t0_us, cot) in enumerate(labels):
        scene, original = scenes[number], reader.read(clip, t0_us)
        assert (scene.clip_id, scene.t0_us, scene.cot, scene.drive) == (clip, t0_us, cot, clip)
        frames = original.stacked_frames().reshape(16, 3, 64, 96)
        assert np.array_equal(scene.frames, frames)
        for name in ("history_xyz", "history_rot", "future_xyz", "future_rot"):
            assert getattr(scene, name).dtype == np.float32
            assert np.array_equal(getattr(scene, name), getattr(original.path, name).astype(np.float32))
        about = scenes.about(number)
        assert (about.frames, about.height, about.width) == (16, *scene.frames.shape[2:])
    assert len(scenes) == 6
    with pytest.raises(IndexError):
        scenes[6]


def test_worker_processes_prepare_the_same(pai, tmp_path):
    here, _ = prepared(pai, tmp_path / "one")
    there, _ = prepared(pai, tmp_path / "two", num_workers=2)
    assert len(list((tmp_path / "two").glob("scenes-*"))) > 1
    for number in range(6):
        assert here.about(number) == there.about(number)
        assert np.array_equal(here[number].frames, there[number].frames)


def test_a_set_travels_to_other_processes(pai, tmp_path):
    scenes, _ = prepared(pai, tmp_path)
    again = pickle.loads(pickle.dumps(scenes))
    assert np.array_equal(again[3].frames, scenes[3].frames)


def test_a_complete_folder_is_opened_as_it_is(pai, tmp_path, monkeypatch):
    prepared(pai, tmp_path)
    monkeypatch.setattr(work.Work, "__call__", None)  # nothing is read again
    assert len(prepared(pai, tmp_path)[0]) == 6


def test_moments_that_cannot_be_learnt_from_are_named_counted_and_left_out(tmp_path):
    pai = pai_with_cameras(tmp_path / "pai")
    (pai / "camera" / MODEL_CAMERAS[0] / f"{CLIPS[1]}.{MODEL_CAMERAS[0]}.mp4").unlink()
    damaged = pai / "camera" / MODEL_CAMERAS[2] / f"{CLIPS[2]}.{MODEL_CAMERAS[2]}.mp4"
    damaged.write_bytes(b"no video" + bytes(100))
    own = {1_000_000: "Early.", 5_100_000: "Go on.", 15_000_000: "Late.", 40_000_000: "After the end."}
    write_labels(
        pai, {CLIPS[0]: own, CLIPS[1]: {5_100_000: "No camera."}, CLIPS[2]: {5_100_000: "Broken."}, "gone": own}
    )
    scenes, said = prepared(pai, tmp_path / "out")
    assert [about.cot for about in map(scenes.about, range(len(scenes)))] == ["Go on."]
    told = summary_of(tmp_path / "out")
    assert told["reasons"]["rejected"] == {
        "future_too_short": 1,
        "history_too_short": 1,
        "no_camera": 1,
        "no_clip": 4,
        "outside_clip": 1,
    }
    assert sum(told["reasons"]["failed"].values()) == 1
    assert f"{CLIPS[2]}/5100000" in next(iter(told["ids"]["failed"].values()))
    assert "5.0 s of ego motion" in told["messages"][f"{CLIPS[0]}/15000000"]
    assert any("1 failed" in line for line in said)


def test_labels_left_out_are_in_the_summary(pai, tmp_path):
    labels = write_labels(tmp_path, {CLIPS[0]: {5_100_000: "Go.", 6_000_000: "Stop <|cot_end|>"}})
    _, said = prepared(pai, tmp_path / "out", labels=str(labels))
    assert said[0] == "1 labels, 1 left out: 1 text with a token of a model"
    told = summary_of(tmp_path / "out")
    assert told["labels_left_out"] == {"text with a token of a model": 1}
    assert f"{CLIPS[0]}/6000000" in told["label_problems"][0]


def test_nothing_to_learn_from_is_an_error_and_what_is_mended_is_tried_again(pai, tmp_path):
    videos = tmp_path / "videos"
    labels = write_labels(tmp_path, {CLIPS[0]: {15_000_000: "Late."}})
    with pytest.raises(AlpamayoError, match=r"none of 1 labels gives a scene to learn from.*future_too_short"):
        prepared(pai, tmp_path / "out", labels=str(labels))
    with pytest.raises(AlpamayoError, match="expected prepared scenes"):
        PreparedSet.open(str(tmp_path / "out"))
    assert not list((tmp_path / "out").glob("scenes-*"))
    hidden = pai_with_cameras(tmp_path / "pai", CLIPS[:1])
    videos.mkdir()
    for file in (hidden / "camera").rglob("*.*"):
        file.rename(videos / file.name)
    write_labels(hidden, {CLIPS[0]: {5_100_000: "Go."}})
    with pytest.raises(AlpamayoError, match="no_camera"):
        prepared(hidden, tmp_path / "mended")
    assert len(prepared(hidden, tmp_path / "mended", video_dir=str(videos))[0]) == 1


def test_another_configuration_is_refused_with_the_difference(pai, tmp_path):
    prepared(pai, tmp_path)
    for changes, named in (
        ({"size": FrameSize(1024, 9000)}, "max_pixels"),
        ({"shape": SceneShape(frames=2)}, "frames"),
        ({"cameras": MODEL_CAMERAS[:2]}, "cameras was"),
        ({"labels": str(write_labels(tmp_path / "other", {CLIPS[0]: {5_100_000: "Go."}}))}, "labels was"),
    ):
        with pytest.raises(AlpamayoError, match=named):
            prepared(pai, tmp_path, **changes)
    assert len(prepared(pai, tmp_path)[0]) == 6


def test_a_folder_with_other_files_is_refused(pai, tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(AlpamayoError, match="holds files that are no prepared scenes"):
        prepared(pai, tmp_path)
    with pytest.raises(AlpamayoError, match="is a file"):
        prepared(pai, tmp_path / "holiday.jpg")


def test_a_damaged_shard_is_named_and_made_again(pai, tmp_path):
    scenes, _ = prepared(pai, tmp_path)
    shard = next(tmp_path.glob("scenes-*"))
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 2])
    with pytest.raises(AlpamayoError, match=f"{shard.name}.*Delete it and index.arrow"):
        PreparedSet.open(str(tmp_path))[0]
    (tmp_path / "index.arrow").unlink()
    again, _ = prepared(pai, tmp_path)
    assert np.array_equal(again[0].frames, scenes[0].frames)


def test_a_run_that_stopped_is_gone_on_with(pai, tmp_path, monkeypatch):
    monkeypatch.setattr(preparing, "SCENES_A_SHARD", 2)
    whole, _ = prepared(pai, tmp_path / "whole")
    read, call = [], work.Work.__call__

    def stopping(self, chunk):
        read.append(chunk)
        if len(read) == 2:
            raise KeyboardInterrupt
        return call(self, chunk)

    monkeypatch.setattr(work.Work, "__call__", stopping)
    with pytest.raises(KeyboardInterrupt):
        prepared(pai, tmp_path / "out")
    assert len(list((tmp_path / "out").glob("scenes-*"))) == 1
    assert not list((tmp_path / "out").glob(".*.tmp"))
    scenes, said = prepared(pai, tmp_path / "out")
    assert said[1].startswith("6 scenes done (4 now")
    assert [scenes.about(n) for n in range(6)] == [whole.about(n) for n in range(6)]


KILLED = """
import sys
from dataclasses import replace
from alpamayo_r1.training.prepared import FrameSize, PrepareRequest, prepare, preparing
if __name__ == "__main__":
    preparing.SCENES_A_SHARD = 1
    prepare(PrepareRequest(sys.argv[1], sys.argv[2], "pai", sys.argv[1], size=FrameSize(1024, 8192)), print)
"""


def test_a_run_that_was_killed_is_gone_on_with(pai, tmp_path):
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(pai), str(out)], stdout=subprocess.DEVNULL)
    ends = time.monotonic() + 60
    while not list(out.glob("scenes-*")) and process.poll() is None and time.monotonic() < ends:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    there = len(list(out.glob("scenes-*")))
    assert there >= 1
    scenes, said = prepared(pai, out)
    assert len(scenes) == 6
    assert said[-1].startswith(f"6 scenes done ({6 - there} now") or (out / "index.arrow").exists()
    assert not list(out.glob(".*.tmp"))


def test_an_unexpected_error_costs_its_moment_only(pai, tmp_path, monkeypatch):
    read = SceneReader.read

    def stumbling(self, clip_id, t0_us):
        if t0_us == MOMENTS_US[1]:
            raise RuntimeError("decoder lost its way")
        return read(self, clip_id, t0_us)

    monkeypatch.setattr(SceneReader, "read", stumbling)
    scenes, _ = prepared(pai, tmp_path)
    assert len(scenes) == 4
    assert summary_of(tmp_path)["reasons"]["failed"] == {"crashed": 2}


@pytest.fixture(scope="module")
def chat(tmp_path_factory):
    """Return an export of conversations with three labels of two clips."""
    folder = tmp_path_factory.mktemp("chat")
    return exported(filmed(folder, ["a", "b"]), folder / "out", "sft-chat", "sft=1").out


class TestOfAChatExport:
    def request_of(self, chat, out):
        return PrepareRequest(chat, str(out), size=AS_EXPORTED)

    def test_pictures_and_poses_are_those_of_the_export(self, chat, tmp_path):
        scenes = prepare(self.request_of(chat, tmp_path), lambda _: None)
        rows = [json.loads(line) for line in Path(chat, "data", "sft.jsonl").read_text().splitlines()]
        assert len(scenes) == len(rows) > 0
        for scene, row in zip((scenes[n] for n in range(len(scenes))), rows, strict=True):
            assert (scene.clip_id, scene.t0_us, scene.cot) == (row["clip_id"], row["event_start_timestamp"], row["cot"])
            assert scene.frames.shape == (len(row["images"]), 3, 54, 96)
            assert np.allclose(scene.history_xyz, row["ego_history_xyz"])
            assert np.allclose(scene.future_rot @ scene.future_rot.transpose(0, 2, 1), np.eye(3), atol=1e-3)
            assert np.allclose(scene.history_rot[-1], np.eye(3), atol=1e-3)

    @pytest.mark.parametrize(
        ("name", "value", "reason"),
        [
            ("images", ["../../secret.jpg"], "no_frame"),
            ("images", ["images/a/../../x.jpg"], "no_frame"),
            ("images", ["images/a/none.jpg"], "unreadable_picture"),
            ("images", [], "no_frame"),
            ("images", 7, "no_frame"),
            ("ego_future_xyz", [[0, 0, 0]], "no_path"),
            ("ego_history_xyz", "text", "no_path"),
            ("ego_history_quat", [[0.0, 0.0, 0.0, 2.0]] * 16, "no_path"),
            ("ego_future_xyz", [[float("nan")] * 3] * 64, "no_path"),
        ],
    )
    def test_a_row_that_lacks_something_is_named_and_left_out(self, chat, tmp_path, name, value, reason):
        broken = tmp_path / "chat"
        subprocess.run(["cp", "-r", chat, str(broken)], check=True)
        path = broken / "data" / "sft.jsonl"
        first, *others = path.read_text().splitlines()
        row = {**json.loads(first), name: value}
        path.write_text("\n".join([json.dumps(row), *others]) + "\n")
        scenes = prepare(self.request_of(str(broken), tmp_path / "out"), lambda _: None)
        assert len(scenes) == len(others)
        told = summary_of(tmp_path / "out")
        assert {**told["reasons"]["rejected"], **told["reasons"]["failed"]} == {reason: 1}
        assert f"{row['clip_id']}/{row['event_start_timestamp']}" in told["messages"]

    def test_labels_without_pictures_want_a_dataset(self, pai, tmp_path):
        with pytest.raises(AlpamayoError, match="Give dataset and data_dir"):
            prepare(self.request_of(str(pai), tmp_path), lambda _: None)


@pytest.mark.parametrize(
    "changes", [{"num_workers": 0}, {"data_dir": None}, {"dataset": None}, {"cameras": ()}, {"cameras": "front"}]
)
def test_requests_that_cannot_be_meant_are_refused(changes):
    with pytest.raises((AlpamayoError, DatasetError), match="expected"):
        replace(PrepareRequest("labels", "out", "pai", "data"), **changes)


@pytest.mark.parametrize("values", [(0, 1), (2, 1), (1, 2, 0), (True, 1), (1.5, 2)])
def test_sizes_that_cannot_be_meant_are_refused(values):
    with pytest.raises(AlpamayoError, match="expected"):
        FrameSize(*values)


@pytest.mark.parametrize("shape", [(0, 10), (1, 201)])
def test_frames_without_a_size_are_refused(shape):
    with pytest.raises(AlpamayoError, match="expected one at most 200 times"):
        FrameSize().of(*shape)


def test_moments_whose_reading_ended_its_process_are_counted():
    example = TrainingExample("a", 5_100_000, "Go.", None, None, "a")
    tally = Tally()
    preparing._count(work.Chunk((example,), {}), WorkerDied(), tally)
    assert tally.by_reason[FAILED] == {"crashed": {"a/5100000": "reading it ended its process."}}
