import json
import re
from shutil import copyfile, copytree

import numpy as np
import pytest
import torch

from alpamayo_r1 import test_inference
from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.infer.predictor import load_predictor, open_predictor
from alpamayo_r1.infer.request import Attention, Dtype, Moments, SamplingOptions
from alpamayo_r1.infer.run import infer
from alpamayo_r1.scenes import MODEL_CAMERAS, SceneReader
from builders.predictions import infer_request
from builders.reasoning_scenes import CLIPS, pai_with_cameras
from driving_clips.datasets import open_dataset
from golden_model import GOLDEN, needs_golden

pytestmark = needs_golden
CHECKPOINT = GOLDEN / "checkpoint"
SHORT = SamplingOptions(num_traj_samples=2, max_generation_length=12)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return pai_with_cameras(tmp_path_factory.mktemp("pai"))


@pytest.fixture(scope="module")
def scenes(root):
    reader = SceneReader(open_dataset("pai", str(root)))
    return [reader.read(clip, 5_100_000) for clip in CLIPS]


@pytest.fixture(scope="module")
def predictor():
    return load_predictor(str(CHECKPOINT), "cpu")


def test_a_scene_gives_sets_of_samples(predictor, scenes):
    sampling = SamplingOptions(num_traj_samples=3, num_traj_sets=2, max_generation_length=12)
    (found,) = predictor.predict(scenes[:1], sampling, [5])
    assert found.xyz.shape == (2, 3, 64, 3)
    assert found.yaw.shape == (2, 3, 64)
    assert np.isfinite(found.xyz).all()
    assert [len(row) for row in found.cot] == [3, 3]
    assert all(isinstance(text, str) for row in found.cot for text in row)
    assert all(isinstance(one, bool) for row in found.stopped for one in row)
    assert found.seed == 5
    step = np.diff(found.xyz[0, 0, :, :2], axis=0)
    moving = np.hypot(*step.T) > 0.1
    heading = np.arctan2(step[:, 1], step[:, 0])
    middle = (found.yaw[0, 0, 1:] + found.yaw[0, 0, :-1]) / 2
    turned = np.angle(np.exp(1j * (heading - middle)))[moving]
    assert np.abs(turned).max(initial=0.0) < 0.05, "yaw is where it drives to"


def test_the_same_seed_gives_the_same_and_another_one_does_not(predictor, scenes):
    first, again, other = (predictor.predict(scenes[:1], SHORT, [seed])[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.xyz, again.xyz)
    assert first.cot == again.cot
    assert np.abs(first.xyz - other.xyz).max() > 1e-3


def test_a_scene_is_predicted_alike_in_any_batch(predictor, scenes):
    together = predictor.predict(scenes, SHORT, [1, 2, 3])
    backwards = predictor.predict(scenes[::-1], SHORT, [3, 2, 1])[::-1]
    alone = [predictor.predict([scene], SHORT, [seed])[0] for scene, seed in zip(scenes, (1, 2, 3), strict=True)]
    for one, other, third in zip(together, backwards, alone, strict=True):
        assert one.cot == other.cot == third.cot
        assert one.seed == other.seed == third.seed
        np.testing.assert_allclose(one.xyz, third.xyz, atol=1e-3)
        np.testing.assert_allclose(other.xyz, third.xyz, atol=1e-3)
    starts = [-scene.path.history_xyz[-2, 0] for scene in scenes]
    found = [each.xyz[0, 0, 0, 0] for each in together]
    assert np.argsort(starts).tolist() == np.argsort(found).tolist(), "each starts at its own speed"


def test_a_run_with_the_model_goes_on_and_is_the_same_as_a_whole_one(root, tmp_path):
    def run(out, **changes):
        request = infer_request(CHECKPOINT, root, tmp_path / out, sampling=SHORT, cameras=MODEL_CAMERAS, **changes)
        return infer(request, open_predictor), tmp_path / out / "predictions.jsonl"

    result, whole = run("a", pictures=1)
    assert result.tally.count("done") == 6
    assert result.pictures == 1
    lines = whole.read_text().splitlines(keepends=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "infer.json").write_bytes((tmp_path / "a" / "infer.json").read_bytes())
    (tmp_path / "b" / "predictions.jsonl").write_text("".join(lines[:2]) + lines[2][:100])
    result, resumed = run("b")
    assert result.tally.fresh == 4
    assert resumed.read_text().splitlines(keepends=True) == lines
    row = json.loads(lines[0])
    assert np.array(row["pred_xy"]).shape == (1, 2, 64, 2)


def test_data_types_and_attention(root, scenes):
    other = load_predictor(str(CHECKPOINT), "cpu", Dtype.BFLOAT16, Attention.SDPA)
    assert other.describe() == {"device": "cpu", "dtype": "torch.bfloat16", "attention": "sdpa"}
    (found,) = other.predict(scenes[:1], SHORT, [1])
    assert np.isfinite(found.xyz).all()


def test_what_cannot_be_loaded_is_said(tmp_path):
    for device in ("teapot", "meta", "mps"):
        with pytest.raises(AlpamayoError, match=f"device={device}: expected auto, cpu"):
            load_predictor(str(CHECKPOINT), device)
    if not torch.cuda.is_available():
        with pytest.raises(AlpamayoError, match="no GPU"):
            load_predictor(str(CHECKPOINT), "cuda")
    with pytest.raises(AlpamayoError, match=r"config\.json"):
        load_predictor(str(tmp_path))


@pytest.fixture
def copied(tmp_path):
    """The reference checkpoint and its base model, to be changed."""
    for folder in ("checkpoint", "tiny_vlm"):
        copytree(GOLDEN / folder, tmp_path / folder, copy_function=copyfile)
        (tmp_path / folder).chmod(0o755)
    return tmp_path / "checkpoint"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b'{"model_type":'),
        ("config.json", b"[1]"),
        ("model-00002-of-00002.safetensors", None),
        ("model-00002-of-00002.safetensors", b""),
        ("preprocessor_config.json", b"{"),
        ("tokenizer_config.json", b"[1]"),
    ],
)
def test_damaged_files_are_named(copied, name, content):
    path = copied / name
    path.write_bytes(path.read_bytes()[:100_000] if content is None else content)
    with pytest.raises(AlpamayoError) as raised:
        load_predictor(str(copied))
    assert str(copied) in str(raised.value)
    assert name in str(raised.value) or "the tokenizer's files cannot be read" in str(raised.value)


def test_too_few_tokens_are_refused_with_the_number():
    with pytest.raises(AlpamayoError, match="max_generation_length=1: expected at least 2"):
        SamplingOptions(max_generation_length=1)


def test_what_the_model_refuses_is_said_with_the_clip_and_no_traceback(root, copied, tmp_path, caplog):
    config = copied / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"tokens_per_history_traj": 12}))
    request = infer_request(copied, root, tmp_path / "out", sampling=SHORT, moments=Moments(t0s_us=(5_100_000,)))
    result = infer(request, open_predictor)
    (said, *_) = result.tally.by_reason["failed"]["model"].values()
    assert re.match(r"clip \S+ at t0_us=5100000: prompt: expected 48 placeholders", said)
    assert not caplog.records


def test_a_chat_template_that_cannot_be_used_is_said(root, copied, scenes):
    (copied / "chat_template.jinja").write_text("{% if")
    with pytest.raises(AlpamayoError, match="chat template cannot be used"):
        load_predictor(str(copied)).predict(scenes[:1], SHORT, [1])


def test_the_example_prints_reasoning_and_min_ade(root, capsys):
    arguments = ["--checkpoint", str(CHECKPOINT), "--data_dir", str(root), "--clip_id", CLIPS[0]]
    assert test_inference.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "Chain-of-Causation (per trajectory):" in printed
    assert "minADE: " in printed
    assert test_inference.main([*arguments, "--t0_us", "100"]) == 2
    assert "t0_us=100" in " ".join(capsys.readouterr().err.split())


def test_the_example_says_which_reasonings_are_not_at_their_end(root, capsys, monkeypatch):
    monkeypatch.setattr(test_inference, "LENGTH", 3)
    arguments = ["--checkpoint", str(CHECKPOINT), "--data_dir", str(root), "--num_traj_samples", "2"]
    assert test_inference.main(arguments) == 0
    assert "note: 2 of 2 reasonings were not at their end after 3 tokens" in capsys.readouterr().out


def test_too_many_samples_say_what_to_lower(predictor, scenes):
    with pytest.raises(AlpamayoError, match=r"cpu: not enough memory for 1 x 1 x 1000000000 scenes, .* batch_size"):
        predictor.predict(scenes[:1], SamplingOptions(num_traj_samples=10**9), [1])
