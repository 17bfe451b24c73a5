import json
from dataclasses import replace

import numpy as np
import pytest

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.evaluation.predictions import lines_of, parse, prediction_files
from alpamayo_r1.infer.request import Attention, Moments, SamplingOptions, checkpoint_identity, scene_seed
from alpamayo_r1.infer.results import InferFolder
from alpamayo_r1.infer.run import infer
from alpamayo_r1.scenes import MODEL_CAMERAS
from batch_runs.shards import parse_shard
from builders.driving import drive, lively_drive
from builders.predictions import StraightOn, infer_request, tiny_config
from builders.reasoning_scenes import CLIPS, SIZE, pai_with_cameras
from builders.runs import write_keyframes
from builders.table import write_csv
from builders.videos import times_of, video_bytes, write_video
from driving_clips.errors import DatasetError

T0S = (5_100_000, 8_000_000)


@pytest.fixture(scope="module")
def pai(tmp_path_factory):
    return pai_with_cameras(tmp_path_factory.mktemp("pai"), cameras=MODEL_CAMERAS[1:2])


@pytest.fixture
def request_of(pai, tmp_path):
    def make(**changes):
        return replace(infer_request(tiny_config(tmp_path / "tiny"), pai, tmp_path / "out"), **changes)

    return make


def rows(out):
    lines = [line for path in sorted(out.glob("predictions*.jsonl")) for line in path.read_text().splitlines()]
    return {(row["clip_id"], row["t0_us"]): row for row in map(json.loads, lines)}


def run(request, model=None):
    model = model or StraightOn()
    return infer(request, lambda _: model), model


def test_each_scene_becomes_a_line_that_evaluation_reads(request_of, tmp_path):
    result, model = run(request_of(batch_size=2, sampling=SamplingOptions(num_traj_samples=3, num_traj_sets=2)))
    assert result.tally.count("done") == 6
    assert [len(call) for call in model.calls] == [2, 2, 2]
    assert set(rows(tmp_path / "out")) == {(clip, t0) for clip in CLIPS for t0 in T0S}
    row = rows(tmp_path / "out")[CLIPS[0], 5_100_000]
    assert row["model"]["seed"] == scene_seed(CLIPS[0], 5_100_000, 0)
    assert row["model"]["sampling"]["num_traj_sets"] == 2
    assert row["model"]["checkpoint"] == "tiny"
    assert np.array(row["pred_xy"]).shape == (2, 3, 64, 2)
    assert np.array(row["history_xy"]).shape == (16, 2)
    assert np.array(row["future_xy"]).shape == (64, 2)
    assert row["problems"] == []
    scenes = [parse(line) for line in lines_of(prediction_files(str(tmp_path / "out")))]
    assert {scene.key for scene in scenes} == set(rows(tmp_path / "out"))


def test_nothing_depends_on_the_batch_size(request_of, tmp_path):
    run(request_of(batch_size=1))
    first = rows(tmp_path / "out")
    run(request_of(batch_size=4, out=str(tmp_path / "other")))
    assert rows(tmp_path / "other") == first


def test_a_run_goes_on_where_it_was_killed(request_of, tmp_path):
    run(request_of())
    path = tmp_path / "out" / "predictions.jsonl"
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]) + lines[3][:40])  # torn
    result, model = run(request_of())
    assert result.tally.count("done") == 6
    assert len(result.tally.by_reason["done"]["already_done"]) == 3
    assert sum(map(len, model.calls)) == 3
    assert path.read_bytes() == whole, "what was torn is gone"
    _, model = run(request_of())
    assert model.calls == []


@pytest.mark.parametrize("torn", ["", "x", "x" * 65_536, "x" * 65_537, "x" * 200_000])
@pytest.mark.parametrize("kept", ["", "{}\n", "{}\n" * 30_000])
def test_only_the_torn_end_is_cut_off(tmp_path, kept, torn):
    (tmp_path / "predictions.jsonl").write_text(kept + torn)
    with InferFolder(str(tmp_path)).opened() as rows_file:
        rows_file.write({"a": 1})
    assert (tmp_path / "predictions.jsonl").read_text() == kept + '{"a":1}\n'


def test_nothing_is_loaded_where_all_is_done(request_of):
    run(request_of())

    def refuse(_):
        raise AssertionError("it was loaded")

    assert infer(request_of(), refuse).tally.count("done") == 6


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 1}, "seed was 0 and is 1"),
        ({"sampling": SamplingOptions(num_traj_samples=2, temperature=0.5)}, "sampling.temperature was 0.6 and is 0.5"),
        ({"attn_implementation": Attention.EAGER}, "attn_implementation was 'auto' and is 'eager'"),
    ],
)
def test_other_settings_need_another_folder(request_of, changes, said):
    run(request_of())
    with pytest.raises(AlpamayoError, match="Choose another --out") as raised:
        run(request_of(**changes))
    assert said in str(raised.value)


def test_settings_that_predicted_nothing_bind_nobody(request_of, tmp_path):
    assert run(request_of(moments=Moments(t0s_us=(1,))))[0].tally.count("done") == 0
    assert run(request_of(seed=1))[0].tally.count("done") == 6
    assert json.loads((tmp_path / "out" / "infer.json").read_text())["settings"]["seed"] == 1


def test_another_checkpoint_needs_another_folder(request_of, tmp_path):
    run(request_of())
    (tmp_path / "tiny" / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(AlpamayoError, match="checkpoint was"):
        run(request_of())


@pytest.mark.parametrize("size", [7, 4096, 5_000_000])
def test_weights_of_the_same_size_that_were_trained_on_are_another_checkpoint(tmp_path, size):
    folder = tiny_config(tmp_path / "tiny")
    weights = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    identities = []
    for values in (weights, weights, weights ^ 1):
        (folder / "model.safetensors").write_bytes(values.tobytes())
        identities.append(checkpoint_identity(str(folder)))
    assert identities[0] == identities[1] != identities[2]


def test_a_scene_that_cannot_be_read_costs_only_itself(request_of, tmp_path, pai):
    result, _ = run(request_of(moments=Moments(t0s_us=(1_000_000, 5_100_000, 25_000_000)), batch_size=2))
    assert result.tally.count("done") == 3
    assert {k: len(v) for k, v in result.tally.by_reason["rejected"].items()} == {
        "history_too_short": 3,
        "outside_clip": 3,
    }
    message = result.tally.by_reason["rejected"]["outside_clip"][f"{CLIPS[0]}/25000000"]
    assert "t0_us=25000000" in message


def test_a_scene_that_the_model_fails_on_costs_only_itself(request_of, tmp_path):
    result, _ = run(request_of(batch_size=3), StraightOn(bad=[CLIPS[1]]))
    assert result.tally.count("done") == 4
    assert sorted(result.tally.by_reason["failed"]["model"]) == [f"{CLIPS[1]}/{t0}" for t0 in T0S]
    said = result.tally.by_reason["failed"]["model"][f"{CLIPS[1]}/{T0S[0]}"]
    assert said == "RuntimeError: out of luck"
    assert set(rows(tmp_path / "out")) == {(clip, t0) for clip in (CLIPS[0], CLIPS[2]) for t0 in T0S}
    assert run(request_of(batch_size=3))[0].tally.count("done") == 6


def test_a_model_that_fails_on_everything_is_given_up(request_of):
    result, model = run(request_of(), StraightOn(bad=CLIPS))
    assert len(model.calls) == 4
    assert result.stopped == "the model failed on the first 4 scenes, the last time: RuntimeError: out of luck"


def test_a_trajectory_that_is_no_number_fails_by_name(request_of):
    class Lost(StraightOn):
        def predict(self, scenes, sampling, seeds):
            found = super().predict(scenes, sampling, seeds)
            for each in found:
                each.xyz[0, 1, 3] = np.nan
            return found

    result, _ = run(request_of(moments=Moments(t0s_us=T0S[:1])), Lost())
    said = result.tally.by_reason["failed"]["model"][f"{CLIPS[0]}/{T0S[0]}"]
    assert "not finite in set 0, sample 1" in said
    assert CLIPS[0] in said


def test_samples_that_did_not_stop_are_told(request_of, tmp_path):
    class Talkative(StraightOn):
        def predict(self, scenes, sampling, seeds):
            found = super().predict(scenes, sampling, seeds)
            return [replace(each, stopped=[[True, False]]) for each in found]

    run(request_of(), Talkative())
    row = rows(tmp_path / "out")[CLIPS[2], 8_000_000]
    assert row["stopped"] == [[True, False]]
    assert row["problems"] == ["1 of 2 samples wrote no <|traj_future_start|>: raise max_generation_length"]


def test_shards_share_the_clips_out_and_know_of_each_other(request_of, tmp_path):
    counts = [run(request_of(shard=parse_shard(f"{index}/2")))[0].tally.fresh for index in range(2)]
    assert sum(counts) == 6
    assert sorted(path.name for path in (tmp_path / "out").glob("predictions*")) == [
        "predictions.shard-0-of-2.jsonl",
        "predictions.shard-1-of-2.jsonl",
    ]
    assert run(request_of())[1].calls == []


def test_keyframes_of_step_2_and_a_list_of_clips(request_of, tmp_path):
    (tmp_path / "keyframes").mkdir()
    moments = {"stop": [(CLIPS[0], 60), (CLIPS[1], 70)], "turn_left": [(CLIPS[0], 60)]}
    write_keyframes(tmp_path / "keyframes" / "segments_relative_timestamp_sampled.json", moments)
    run(request_of(moments=Moments(keyframes=str(tmp_path / "keyframes"))))
    assert sorted(rows(tmp_path / "out")) == sorted([(CLIPS[0], 6_000_000), (CLIPS[1], 7_000_000)])
    (tmp_path / "clips.txt").write_text(f"{CLIPS[2]}\nnobody\n{CLIPS[2]}\n")
    result, _ = run(request_of(scene_list=str(tmp_path / "clips.txt"), out=str(tmp_path / "other")))
    assert {clip for clip, _ in rows(tmp_path / "other")} == {CLIPS[2]}
    assert list(result.tally.by_reason["rejected"]["no_clip"]) == ["nobody"]
    assert "repeated" in result.notices[0]


def test_one_moment_every_so_many_seconds(request_of, tmp_path):
    (tmp_path / "clips.txt").write_text(CLIPS[0])
    moments = Moments(every_us=5_000_000)
    run(request_of(moments=moments, scene_list=str(tmp_path / "clips.txt")))
    assert sorted(t0 for _, t0 in rows(tmp_path / "out")) == [1_500_000, 6_500_000, 11_500_000, 16_500_000]
    late = rows(tmp_path / "out")[CLIPS[0], 16_500_000]
    assert len(late["future_xy"]) == len(late["future_yaw"]) == 35


def test_recordings_that_are_cut(tmp_path):
    write_csv(tmp_path / "data", "long", lively_drive(2, seconds=45.0, hz=20))
    write_csv(tmp_path / "data", "short", drive(seconds=1.2))
    for name, frames in (("long", 450), ("short", 13)):
        content = video_bytes(frames, fps=10, gop=10, size=SIZE)
        write_video(tmp_path / "data", content, times_of(frames, 10.0), f"{name}.roof.mp4")
    request = infer_request(
        tiny_config(tmp_path / "tiny"),
        tmp_path / "data",
        tmp_path / "out",
        dataset="table",
        cameras=("roof",),
        moments=Moments(every_us=10_000_000),
    )
    result, _ = run(request)
    assert sorted(rows(tmp_path / "out")) == [
        ("long-0", 1_500_000),
        ("long-0", 11_500_000),
        ("long-20", 1_500_000),
        ("long-20", 11_500_000),
        ("long-40", 1_500_000),
    ]
    assert list(result.tally.by_reason["rejected"]["history_too_short"]) == ["short"]


def test_the_summary_and_the_settings_say_how_it_was_made(request_of, tmp_path):
    run(request_of())
    told = json.loads((tmp_path / "out" / "infer.json").read_text())
    assert told["settings"]["sampling"] == SamplingOptions(num_traj_samples=2).arguments()
    assert told["run"] == {"checkpoint": str(tmp_path / "tiny"), "device": "none"}
    summary = json.loads((tmp_path / "out" / "run_summary.json").read_text())
    assert summary["counts"] == {"done": 6, "rejected": 0, "failed": 0}
    assert summary["command"] == "coc infer"


def test_what_cannot_be_asked_is_said(request_of, tmp_path):
    with pytest.raises(AlpamayoError, match="give one of them"):
        Moments(keyframes="a", t0s_us=(1,))
    with pytest.raises(AlpamayoError, match="--every"):
        Moments(every_us=0)
    for wrong in (
        {"temperature": 0.0},
        {"top_p": 1.5},
        {"top_k": 0},
        {"num_traj_samples": 0},
        {"temperature": float("nan")},
    ):
        with pytest.raises(AlpamayoError, match=next(iter(wrong))):
            SamplingOptions(**wrong)
    with pytest.raises(AlpamayoError, match="batch_size=0"):
        request_of(batch_size=0)
    with pytest.raises(AlpamayoError, match="nothing is fetched by itself"):
        run(request_of(checkpoint=str(tmp_path / "nowhere")))
    with pytest.raises(DatasetError, match="unknown dataset"):
        run(request_of(dataset="nothing"))


def test_a_sample_that_drives_without_a_reasoning_is_named(request_of, tmp_path):
    class Silent(StraightOn):
        def predict(self, scenes, sampling, seeds):
            found = super().predict(scenes, sampling, seeds)
            return [replace(one, cot=[["", "Stop."]], stopped=[[True, True]]) for one in found]

    run(request_of(), Silent())
    row = rows(tmp_path / "out")[CLIPS[0], 5_100_000]
    assert row["problems"] == ["1 of 2 samples wrote no reasoning up to <|cot_end|> before <|traj_future_start|>"]
