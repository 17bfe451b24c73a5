"""Which models a stage starts from."""

import json
import shutil

import numpy as np
import pytest
import torch
from transformers import Qwen3VLForConditionalGeneration

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.alpamayo_r1 import AlpamayoR1
from alpamayo_r1.models.base_model import (
    ReasoningVLA,
    ReasoningVLAConfig,
    tokenize_future_trajectory,
    tokenize_history_trajectory,
)
from alpamayo_r1.scenes import SceneShape, ego_path
from alpamayo_r1.training.starting import starting_model
from builders.driving import lively_drive
from coc_labeling.export.path_tokens import VOCABULARY, future_tokens, history_tokens
from coc_labeling.export.trajectory import drive_around
from driving_clips.ego_motion import EgoSamples
from driving_clips.geometry import quat_of_yaw
from hand_made import batch_of, told
from tiny_model import BASE, PARTS, SPECIAL, base_config, base_tokenizer, tiny_config, tiny_model, write_base
from training_runs import losses, run, settings_of

T0_US = 4_000_000
FUTURES = "{num_bins: 33, action_space_cfg: {accel_std: 0.8}}"
SMALL = (f"model.traj_tokenizer_cfg={FUTURES}", "model.hist_traj_tokenizer_cfg={num_bins: 64}")
SMALL += ("model.min_pixels=1024", "model.max_pixels=4096")
EXPERT = ("model.expert_cfg={hidden_size: 32, intermediate_size: 48}", "model.action_in_proj_cfg={hidden_size: 16}")


def write_plain(folder, **changes):
    """Write a Qwen3-VL with weights, and more rows of embeddings than its tokenizer has tokens."""
    tokenizer = base_tokenizer()
    config = base_config(tokenizer)
    config.text_config.vocab_size = len(tokenizer) + 20
    for key, value in changes.items():
        setattr(config, key, value)
    torch.manual_seed(3)
    model = Qwen3VLForConditionalGeneration(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain") / "qwen"
    write_plain(folder)
    return folder


@pytest.fixture(scope="module")
def by_default(plain, tmp_path_factory):
    return starting_model(settings_of("stage1", plain, tmp_path_factory.mktemp("by_default")))


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A checkpoint of stage 1, whose futures have the eight steps of scenes made by hand."""
    folder = tmp_path_factory.mktemp("first")
    config = tiny_config(write_base(folder / BASE))
    settings = {key: value for key, value in config.to_dict().items() if key in ReasoningVLAConfig().to_dict()}
    ReasoningVLA(ReasoningVLAConfig(**settings)).save_pretrained(folder / "checkpoint")
    return folder / "checkpoint"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    tiny_model(write_base(folder / BASE)).save_pretrained(folder / "checkpoint")
    return folder / "checkpoint"


class TestPlain:
    @pytest.mark.parametrize("sharded", [False, True])
    def test_weights_stay_and_tokens_are_added(self, plain, tmp_path, sharded):
        if sharded:
            model = Qwen3VLForConditionalGeneration.from_pretrained(plain)
            shutil.copytree(plain, tmp_path / "qwen", ignore=shutil.ignore_patterns("*.safetensors"))
            model.save_pretrained(tmp_path / "qwen", max_shard_size="200KB")
            assert (tmp_path / "qwen" / "model.safetensors.index.json").is_file()
        folder = tmp_path / "qwen" if sharded else plain
        started = starting_model(settings_of("stage1", folder, tmp_path / "out", *SMALL))
        before = Qwen3VLForConditionalGeneration.from_pretrained(plain).state_dict()
        after = started.vlm.state_dict()
        assert set(before) == set(after)
        tokens = len(base_tokenizer())
        for name, wanted in before.items():
            same = wanted.shape[0] if wanted.shape == after[name].shape else tokens
            assert torch.equal(after[name][:same], wanted[:same]), name
        added = after["model.language_model.embed_tokens.weight"][tokens:]
        assert len(added) == len(started.tokenizer) - tokens
        assert len(added.unique(dim=0)) == len(added)
        assert not any(own.is_meta for own in started.state_dict().values())

    def test_configuration(self, plain, tmp_path):
        config = starting_model(settings_of("stage1", plain, tmp_path, *SMALL)).config
        assert config.traj_vocab_size == 33 + 64
        assert config.tokens_per_history_traj == 48
        assert config.tokens_per_future_traj == 128
        assert config.traj_tokenizer_cfg["dims_max"] == [9.8, 10.0]
        assert config.traj_tokenizer_cfg["action_space_cfg"]["accel_std"] == 0.8
        assert config.traj_tokenizer_cfg["action_space_cfg"]["n_waypoints"] == 64
        assert config.add_special_tokens
        assert config.traj_token_start_idx == len(SPECIAL) + 256

    @pytest.mark.parametrize("seed", range(5))
    def test_by_default_paths_are_the_tokens_of_an_export(self, by_default, seed):
        driven = lively_drive(seed)
        xyz = np.stack([driven.x, driven.y, np.zeros(len(driven))], axis=1)
        samples = EgoSamples(driven.t_us, xyz, quat_of_yaw(driven.yaw), None)
        path = vars(ego_path(samples, T0_US, SceneShape(), "a"))
        poses = {f"ego_{name}": torch.from_numpy(own)[None, None] for name, own in path.items()}
        offset = by_default.hist_token_start_idx - by_default.future_token_start_idx
        history = tokenize_history_trajectory(by_default.hist_traj_tokenizer, poses, offset)
        future = tokenize_future_trajectory(by_default.traj_tokenizer, poses)
        exported = drive_around(samples, T0_US, with_future=True)
        assert history[0].tolist() == pytest.approx(history_tokens(exported.history).tolist(), abs=1)
        assert future[0].tolist() == pytest.approx(future_tokens(exported).tolist(), abs=1)

    def test_by_default_as_many_trajectory_tokens_as_released_models_have(self, by_default):
        assert by_default.config.traj_vocab_size == VOCABULARY == 4000

    def test_by_default_straight_on_is_a_token(self, by_default):
        bins = by_default.traj_tokenizer.bins
        still = torch.zeros(64, 2)
        assert bins.decode(bins.encode(still), still).abs().max() < 1e-5

    def test_tied_embeddings(self, tmp_path):
        write_plain(tmp_path / "qwen", tie_word_embeddings=True)
        model = starting_model(settings_of("stage1", tmp_path / "qwen", tmp_path / "out", *SMALL))
        assert model.vlm.lm_head.weight is model.vlm.model.language_model.embed_tokens.weight
        model.save_pretrained(tmp_path / "saved")
        again = ReasoningVLA.from_pretrained(tmp_path / "saved")
        assert torch.equal(again.vlm.lm_head.weight, model.vlm.lm_head.weight)

    def test_is_saved_and_loaded(self, plain, tmp_path):
        model = starting_model(settings_of("stage1", plain, tmp_path, *SMALL))
        model.save_pretrained(tmp_path / "saved")
        again = ReasoningVLA.from_pretrained(tmp_path / "saved")
        assert all(torch.equal(own, again.state_dict()[name]) for name, own in model.state_dict().items())
        assert again.tokenizer.get_vocab() == model.tokenizer.get_vocab()

    def test_the_same_seed_the_same_model(self, plain, tmp_path):
        one, two = (starting_model(settings_of("stage1", plain, tmp_path, *SMALL)) for _ in range(2))
        other = starting_model(settings_of("stage1", plain, tmp_path, *SMALL, "train.seed=1"))
        name = "vlm.lm_head.weight"
        assert torch.equal(one.state_dict()[name], two.state_dict()[name])
        assert not torch.equal(one.state_dict()[name], other.state_dict()[name])

    def test_stage_two_wants_stage_one_first(self, plain, tmp_path):
        with pytest.raises(AlpamayoError, match=r"found model_type 'qwen3_vl'. Train stage1 from it first"):
            starting_model(settings_of("stage2", plain, tmp_path))

    def test_missing_tensors(self, plain, tmp_path):
        shutil.copytree(plain, tmp_path / "qwen")
        content = json.loads((tmp_path / "qwen" / "config.json").read_text())
        content["text_config"]["num_hidden_layers"] = 3
        (tmp_path / "qwen" / "config.json").write_text(json.dumps(content))
        with pytest.raises(AlpamayoError, match=r"weights are not this configuration's: .*layers\.2"):
            starting_model(settings_of("stage1", tmp_path / "qwen", tmp_path / "out", *SMALL))

    def test_pickles_are_refused(self, plain, tmp_path):
        shutil.copytree(plain, tmp_path / "qwen")
        (tmp_path / "qwen" / "model.safetensors").rename(tmp_path / "qwen" / "pytorch_model.bin")
        with pytest.raises(AlpamayoError, match=r"found pytorch_model\.bin: pickles can run code"):
            starting_model(settings_of("stage1", tmp_path / "qwen", tmp_path / "out", *SMALL))


class TestCheckpoints:
    @pytest.mark.parametrize("kind", ["first", "whole"])
    @pytest.mark.parametrize("sharded", [False, True])
    def test_stage_one(self, request, tmp_path, kind, sharded):
        folder = request.getfixturevalue(kind)
        cls = {"first": ReasoningVLA, "whole": AlpamayoR1}[kind]
        loaded = cls.from_pretrained(folder)
        if sharded:
            folder = tmp_path / "sharded"
            loaded.save_pretrained(folder, max_shard_size="200KB")
            assert (folder / "model.safetensors.index.json").is_file()
        result = run(settings_of("stage1", folder, tmp_path / "out", "train.steps=1", "train.batch_size=2"))
        trained = cls.from_pretrained(result.model)
        assert type(trained) is cls
        before, after = loaded.state_dict(), trained.state_dict()
        assert set(before) == set(after)
        others = [name for name in before if not name.startswith("vlm.")]
        assert all(torch.equal(before[name], after[name]) for name in others)
        assert bool(others) == (kind == "whole")

    def test_settings_of_parts_that_are_there(self, first, whole, tmp_path):
        with pytest.raises(AlpamayoError, match=r"model.traj_vocab_size: the checkpoint .* has its own"):
            starting_model(settings_of("stage1", first, tmp_path, "model.traj_vocab_size=100"))
        with pytest.raises(AlpamayoError, match=r"model.expert_cfg: the checkpoint .* has its own"):
            starting_model(settings_of("stage2", whole, tmp_path, *EXPERT))

    def test_nothing_there(self, tmp_path):
        with pytest.raises(AlpamayoError, match=r"expected a folder with a model's config.json, found none"):
            starting_model(settings_of("stage1", tmp_path / "nothing", tmp_path))
        (tmp_path / "config.json").write_text('{"model_type": "llama"}')
        with pytest.raises(AlpamayoError, match=r"expected qwen3_vl or .*found model_type 'llama'"):
            starting_model(settings_of("stage1", tmp_path, tmp_path))

    def test_attention(self, whole, tmp_path):
        model = starting_model(settings_of("stage2", whole, tmp_path, "model.attn_implementation=eager"))
        assert model.config.attn_implementation == "eager"


class TestNewExpert:
    def test_is_made_beside_the_language_model(self, first, tmp_path):
        model = starting_model(
            settings_of("stage2", first, tmp_path, *EXPERT, "model.diffusion_cfg={num_inference_steps: 3}")
        )
        assert isinstance(model, AlpamayoR1)
        before = ReasoningVLA.from_pretrained(first)
        assert all(torch.equal(own, model.state_dict()[name]) for name, own in before.state_dict().items())
        assert model.expert.config.hidden_size == 32
        assert model.diffusion.num_inference_steps == 3
        assert model.config.action_space_cfg == PARTS["traj_tokenizer_cfg"]["action_space_cfg"]
        assert model.config.expert_non_causal_attention
        assert not any(own.is_meta for own in [*model.parameters(), *model.buffers()])
        assert all(own.dtype == torch.float32 for own in model.parameters())
        torch.testing.assert_close(
            model.expert.rotary_emb.inv_freq, before.vlm.model.language_model.rotary_emb.inv_freq
        )

    def test_learns_and_is_loaded(self, first, tmp_path):
        result = run(settings_of("stage2", first, tmp_path, *EXPERT, "train.steps=30", "train.batch_size=6"))
        curve = losses(tmp_path)
        assert sum(curve[step] for step in range(26, 31)) < 0.9 * sum(curve[step] for step in range(1, 6))
        model = AlpamayoR1.from_pretrained(result.model)
        assert model.config.expert_cfg == {"hidden_size": 32, "intermediate_size": 48}
        assert bool(model(**batch_of(model, *told(2), for_expert=True), seeds=[1, 2]).loss.isfinite())

    def test_frozen_weights_take_half_the_room(self, first, tmp_path):
        model = starting_model(settings_of("stage2", first, tmp_path, *EXPERT, "train.precision=bf16"))
        assert model.vlm.dtype == torch.bfloat16
        assert model.expert.dtype == torch.float32
