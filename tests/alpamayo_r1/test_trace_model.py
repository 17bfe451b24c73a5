import json
from pathlib import Path

import pytest

from alpamayo_r1 import extras, trace_model
from alpamayo_r1.scenes import MODEL_CAMERAS
from alpamayo_r1.trace_labels import MAX_REASONING_TOKENS
from alpamayo_r1.trace_model import AlpamayoWrapper, sampling_of, scene_of
from builders.model_runs import in_this_process
from builders.predictions import StraightOn, tiny_config
from builders.reasoning_scenes import FPS, FRAMES, SIZE
from builders.runs import only_run, prepare, records_in, write_keyframes
from builders.videos import times_of, video_bytes, write_video
from coc_labeling.checks.run import check_run
from coc_labeling.data_labeling import main
from coc_labeling.model_clients.errors import ModelError
from coc_labeling.model_clients.vlm_wrappers import MODEL_WRAPPER_REGISTRY
from coc_labeling.records import from_yaml
from coc_labeling.report import build_report
from coc_labeling.review.batches.intake import add_run
from coc_labeling.review.store import ReviewStore
from coc_labeling.show_request import show_request
from driving_clips.errors import DatasetError

_require = extras.require
MOMENTS = [("clip_0", 60), ("clip_0", 100), ("clip_1", 80)]


class Talker(StraightOn):
    """Says the same of every scene, and remembers what it was shown."""

    def __init__(self, words="Stop for the red light ahead.", stopped=True):
        super().__init__()
        self.words, self.stopped, self.scenes, self.sampling = words, stopped, [], []

    def predict(self, scenes, sampling, seeds):
        self.scenes += scenes
        self.sampling.append(sampling)
        found = super().predict(scenes, sampling, seeds)
        for each in found:
            each.cot[0][0], each.stopped[0][0] = self.words, self.stopped
        return found


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    made = prepare(tmp_path_factory.mktemp("table"), 2)
    content = video_bytes(FRAMES, fps=FPS, gop=FPS, size=SIZE)
    for clip in ("clip_0", "clip_1"):
        for camera in MODEL_CAMERAS:
            write_video(made.data_dir, content, times_of(FRAMES, float(FPS)), f"{clip}.{camera}.mp4")
    return made


@pytest.fixture
def label(inputs, tmp_path, monkeypatch):
    """Run Step 3 with a stand-in for the model; returns its exit code."""
    monkeypatch.setitem(MODEL_WRAPPER_REGISTRY, "alpamayo_r1", AlpamayoWrapper)
    monkeypatch.setattr(extras, "require", lambda: None)

    def run(talker, moments=MOMENTS, **settings):
        def load(path):
            if isinstance(talker, Exception):
                raise talker
            return talker

        monkeypatch.setattr(trace_model, "load_predictor", load)
        chosen = {
            "model_name": "alpamayo_r1",
            "model_path": str(tiny_config(tmp_path / "tiny")),
            "data__segment_config_path": str(write_keyframes(tmp_path / "moments.json", {"stop": moments})),
            "response_cache": "false",
        }
        with in_this_process():
            return main(inputs.overrides(tmp_path / "out", **chosen | settings))

    return run


def records(tmp_path):
    found = records_in(only_run(tmp_path / "out"))
    return {name: from_yaml(text.decode(), name, name.split("/")[0]) for name, text in found.items()}


def test_reasoning_traces_become_records(label, tmp_path):
    talker = Talker()
    assert label(talker) == 0
    made = records(tmp_path)
    assert sorted(made) == sorted(f"{clip}/cot_{frame * 100_000}.yaml" for clip, frame in MOMENTS)
    for record in made.values():
        assert record.label.effect_on_ego_behavior == "Stop for the red light ahead."
        assert record.label.longitudinal is not None
        assert record.provenance.model == "alpamayo_r1"
        assert record.provenance.model_id == "tiny"
        assert len(record.provenance.model_revision) == 16
        assert record.provenance.agent == "ReasoningTraceAgent"
        assert record.window.frames == 16
        assert record.provenance.images == {"jpeg_quality": 95, "max_side": None, "max_pixels": None}
        assert record.calls[0].max_tokens == MAX_REASONING_TOKENS


def test_the_model_is_shown_frames_and_history_up_to_the_keyframe(label):
    talker = Talker()
    label(talker, MOMENTS[:1])
    (scene,) = talker.scenes
    assert scene.frames[0].shape == (16, 3, SIZE[1], SIZE[0])
    assert scene.path.history_xyz.shape == (16, 3)
    assert not scene.path.history_xyz[-1].any()
    assert talker.sampling[0].top_k == 1, "temperature 0 is the likeliest words"


def test_a_model_of_random_words_gives_abstentions(label, tmp_path):
    assert label(Talker("")) == 0
    assert {r.label.abstention.reason for r in records(tmp_path).values()} == {"empty_answer"}


def test_a_reasoning_that_did_not_end_is_an_abstention(label, tmp_path):
    assert label(Talker("", stopped=False), MOMENTS[:1]) == 0
    assert {r.label.abstention.reason for r in records(tmp_path).values()} == {"truncated_answer"}


def test_the_request_behind_a_record_can_be_shown(label, tmp_path):
    label(Talker(), MOMENTS[:1])
    (shown,) = show_request(str(only_run(tmp_path / "out") / "clip_0" / "cot_6000000.yaml"))
    assert shown.same
    assert len(scene_of(shown.body).frames[0]) == 16


def test_checks_report_and_review_work_on_such_a_run(label, tmp_path):
    label(Talker())
    run = str(only_run(tmp_path / "out"))
    assert check_run(run, {}, num_workers=1).tally.count("done") == len(MOMENTS)
    assert "alpamayo_r1" in Path(build_report([run], None, 3)).read_text()
    store = ReviewStore.of_run(run)
    assert add_run(store, run).added == len(MOMENTS)


def test_a_missing_camera_rejects_the_window(label, tmp_path, inputs):
    name = inputs.data_dir / f"clip_1.{MODEL_CAMERAS[-1]}.mp4"
    content = name.read_bytes()
    name.unlink()
    try:
        assert label(Talker()) == 0
    finally:
        name.write_bytes(content)
    told = json.loads((only_run(tmp_path / "out") / "run_summary.json").read_text())
    assert told["reasons"]["rejected"] == {"no_frame": 1}
    assert MODEL_CAMERAS[-1] in told["messages"]["clip_1/cot_8000000.yaml"]


def test_one_scene_that_fails_costs_only_itself(label, tmp_path):
    class Choosy(Talker):
        def predict(self, scenes, sampling, seeds):
            if any(abs(scene.path.history_xyz[0, 0]) < 10.0 for scene in scenes):
                raise RuntimeError("too slow for me")
            return super().predict(scenes, sampling, seeds)

    label(Choosy())
    told = json.loads((only_run(tmp_path / "out") / "run_summary.json").read_text())
    assert sum(told["counts"].values()) == len(MOMENTS)
    assert told["counts"]["failed"] == sum("too slow for me" in message for message in told["messages"].values())


def test_a_model_that_cannot_be_loaded_ends_the_run(label, capsys):
    assert label(DatasetError("no such tensors")) == 2
    assert "cannot be loaded: DatasetError: no such tensors" in capsys.readouterr().out


def test_without_a_checkpoint_or_the_extra_it_is_said(label, tmp_path, monkeypatch, capsys):
    assert label(Talker(), model_path="null") == 2
    assert "needs its checkpoint: model_path=" in capsys.readouterr().err
    monkeypatch.setattr(extras, "require", _require)
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert label(Talker()) == 2
    assert "pip install 'coc-toolkit[model]'" in " ".join(capsys.readouterr().err.split())


def test_a_request_of_somebody_else_is_refused():
    with pytest.raises(ModelError, match="expected frames of one size and a history"):
        scene_of({"messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]})


def test_sampling_follows_from_the_request():
    body = {"temperature": 0.6, "top_p": 0.9, "max_tokens": 77}
    sampling = sampling_of(body)
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0.6, 0.9, None)
    assert sampling.max_generation_length == 77
