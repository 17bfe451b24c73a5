"""Reasoning and trajectories of whole scenes."""

from collections.abc import Mapping
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import DynamicCache, LogitsProcessorList
from transformers.generation import TopKLogitsWarper, TopPLogitsWarper

from alpamayo_r1 import helper
from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models import alpamayo_r1 as module
from alpamayo_r1.models.alpamayo_r1 import AlpamayoR1, ExpertLogitsProcessor
from golden_model import GOLDEN, case, needs_golden
from sampled import END, TEXT, sample
from tiny_model import BASE, SceneSpec, counted, data_of, scripted, tiny_model, write_base

WAYPOINTS = 8


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("base") / BASE)


@pytest.fixture(scope="module")
def model(base):
    return tiny_model(base)


def row_of(data, row: int) -> dict:
    """Return the data of one row of a batch, its padding kept off."""
    tokenized = data["tokenized_data"]
    own = tokenized["attention_mask"][row].bool()
    ids = tokenized["input_ids"][row][own][None]
    patches = tokenized["image_grid_thw"].prod(dim=1)
    images = [int((tokenized["input_ids"][i] == 261).sum()) for i in range(row + 1)]
    of_image = patches // 4
    first = int((of_image.cumsum(0) <= sum(images[:row])).sum())
    count = int((of_image[first:].cumsum(0) <= images[row]).sum())
    start, end = int(patches[:first].sum()), int(patches[: first + count].sum())
    return {
        "tokenized_data": {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "pixel_values": tokenized["pixel_values"][start:end],
            "image_grid_thw": tokenized["image_grid_thw"][first : first + count],
        },
        "ego_history_xyz": data["ego_history_xyz"][row : row + 1],
        "ego_history_rot": data["ego_history_rot"][row : row + 1],
    }


def plain_trajectory(model: AlpamayoR1, data, written: list[int], noise: Tensor, steps: int = 4):
    """Return what one row should drive: no batch, no padding, no cropping, all anew at each step.

    The prompt and what was written go through the model at once, by transformers' own positions.
    """
    tokenized = data["tokenized_data"]
    ids = torch.cat([model.fuse_traj_tokens(tokenized["input_ids"], data), torch.tensor([written])], dim=1)
    x = noise[None]
    with torch.no_grad():
        for step in range(steps):
            cache = DynamicCache()
            model.vlm(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                mm_token_type_ids=(ids == model.vlm.config.image_token_id).int(),
                pixel_values=tokenized["pixel_values"],
                image_grid_thw=tokenized["image_grid_thw"],
                past_key_values=cache,
                use_cache=True,
            )
            first = ids.shape[1] + int(model.vlm.model.rope_deltas[0])
            hidden = model.expert(
                inputs_embeds=model.action_in_proj(x, torch.tensor([step / steps])),
                position_ids=(first + torch.arange(WAYPOINTS)).expand(3, 1, -1),
                past_key_values=cache,
                attention_mask=torch.zeros(1, 1, WAYPOINTS, ids.shape[1] + WAYPOINTS),
                use_cache=True,
            ).last_hidden_state
            x = x + model.action_out_proj(hidden) / steps
    return model.action_space.action_to_traj(x, data["ego_history_xyz"][:, 0], data["ego_history_rot"][:, 0])


class TestAgainstThePlainWay:
    def check(self, model, noise, script, read: int, **arguments):
        data = data_of(model, SceneSpec(), SceneSpec(seed=1, frames=3, speed_mps=3.0))
        xyz, rot, extra = sample(model, data, script, samples=2, **arguments)
        vocabulary = model.tokenizer.get_vocab()
        written = [vocabulary[token] for token in script[:read]]
        drawn = noise(4, WAYPOINTS, 2)
        for row in range(4):
            scene, number = divmod(row, 2)
            wanted = plain_trajectory(model, row_of(data, scene), written, drawn[row])
            torch.testing.assert_close(xyz[scene, 0, number], wanted[0][0], atol=1e-4, rtol=1e-5)
            torch.testing.assert_close(rot[scene, 0, number], wanted[1][0], atol=1e-4, rtol=1e-5)
        return extra

    @pytest.mark.parametrize("attention", ["sdpa", "eager"])
    def test_left_padded_batch(self, base, noise, attention):
        extra = self.check(tiny_model(base, attn_implementation=attention), noise, TEXT, len(TEXT))
        assert extra["stopped"].all()
        assert (extra["cot"] == "brakes").all()

    def test_rows_that_are_cut_off(self, model, noise):
        extra = self.check(model, noise, list("abcdef"), 6, max_generation_length=6)
        assert not extra["stopped"].any()
        assert (extra["cot"] == "").all()
        assert (extra["text"] == "abcdef").all()

    def test_end_of_turn(self, model, noise):
        extra = self.check(model, noise, ["a", "b", "<|im_end|>"], 3)
        assert not extra["stopped"].any()


class TestShapesAndText:
    def test_sets_and_samples(self, model, noise):
        data = data_of(model, SceneSpec(), SceneSpec(seed=1))
        xyz, rot, extra = sample(model, data, TEXT, samples=3, num_traj_sets=2)
        assert xyz.shape == (2, 2, 3, WAYPOINTS, 3)
        assert rot.shape == (2, 2, 3, WAYPOINTS, 3, 3)
        assert xyz.dtype == rot.dtype == torch.float32
        assert noise.asked == [(12, WAYPOINTS, 2)]
        for name in ("cot", "meta_action", "answer", "text", "stopped"):
            assert extra[name].shape == (2, 2, 3)
        assert extra["stopped"].dtype == np.bool_
        flat = xyz.reshape(2, 6, WAYPOINTS, 3)
        alone, _, _ = sample(model, data, TEXT, samples=6)
        torch.testing.assert_close(flat, alone[:, 0])

    def test_without_extra(self, model):
        result = sample(model, data_of(model, SceneSpec()), TEXT, return_extra=False)
        assert len(result) == 2

    def test_few_special_tokens(self, base, noise):
        """Without add_special_tokens the tokens of reasoning are ordinary text."""
        own = tiny_model(base, add_special_tokens=False)
        assert own.config.vocab_size == 263 + 96 + 6
        first = own.config.traj_token_start_idx + 96
        order = ["history", "future", "history_start", "future_start", "history_end", "future_end"]
        assert own.config.traj_token_ids == {name: first + i for i, name in enumerate(order)}
        _, _, extra = sample(own, data_of(own, SceneSpec()), [*"brakes<|cot_end|>", END], max_generation_length=20)
        assert extra["stopped"].all()
        assert extra["cot"].item() == "brakes"

    def test_default_length(self, model):
        with counted(model.vlm.lm_head) as calls:
            model.sample_trajectories_from_data_with_vlm_rollout(data_of(model, SceneSpec()), num_traj_samples=2)
        assert len(calls) <= model.config.tokens_per_future_traj + 1, "the token written last is read too"

    def test_reasoning_of_each_sample(self, model):
        data = data_of(model, SceneSpec())
        scripts = [
            ["a", letter, "<|cot_end|>", "<|meta_action_start|>", "m", "<|meta_action_end|>", END] for letter in "xyz"
        ]
        with scripted(model, scripts):
            _, _, extra = model.sample_trajectories_from_data_with_vlm_rollout(
                data, num_traj_samples=3, max_generation_length=12, return_extra=True
            )
        assert extra["cot"].tolist() == [[["ax", "ay", "az"]]]
        assert extra["meta_action"].tolist() == [[["m"] * 3]]
        assert extra["answer"].tolist() == [[[""] * 3]]

    def test_question_that_looks_like_an_answer(self, model):
        data = data_of(model, SceneSpec())
        vocabulary = model.tokenizer.get_vocab()
        planted = torch.tensor([[vocabulary[t] for t in ("<|cot_start|>", "e", "<|cot_end|>")]])
        tokenized = {key: data["tokenized_data"][key] for key in ("pixel_values", "image_grid_thw")}
        ids = torch.cat(
            [data["tokenized_data"]["input_ids"][:, :1], planted, data["tokenized_data"]["input_ids"][:, 1:]], 1
        )
        _, _, extra = sample(model, data | {"tokenized_data": tokenized | {"input_ids": ids}}, TEXT)
        assert extra["cot"].item() == "brakes"

    def test_stopped_is_told_for_each(self, model):
        scripts = [["a", END], ["a", "b", "c", "d"], ["a", "b", END]]
        with scripted(model, scripts):
            _, _, extra = model.sample_trajectories_from_data_with_vlm_rollout(
                data_of(model, SceneSpec()), num_traj_samples=3, max_generation_length=4, return_extra=True
            )
        assert extra["stopped"].tolist() == [[[True, False, True]]]


class TestExpertSteps:
    def test_cache_is_cropped_and_the_mask_made_once(self, model, monkeypatch):
        """All attention layers of all steps are given one and the same mask."""
        lengths, masks = [], []
        step = module.VectorField.__call__

        def spy(self, *, x, t):
            before = self._cache.get_seq_length()
            result = step(self, x=x, t=t)
            lengths.append((before, self._cache.get_seq_length(), self._length))
            return result

        def note(_, __, arguments):
            masks.append(arguments["attention_mask"])

        monkeypatch.setattr(module.VectorField, "__call__", spy)
        handles = [layer.self_attn.register_forward_pre_hook(note, with_kwargs=True) for layer in model.expert.layers]
        try:
            with counted(model.expert) as calls:
                sample(model, data_of(model, SceneSpec()), TEXT, samples=2, diffusion_kwargs={"inference_step": 10})
        finally:
            for handle in handles:
                handle.remove()
        assert len(calls) == len(lengths) == 10
        assert len({length for row in lengths for length in row}) == 1
        assert len(masks) == 10 * len(handles)
        assert len({mask.data_ptr() for mask in masks}) == 1

    def test_diffusion_arguments(self, model, noise):
        data = data_of(model, SceneSpec())
        few, _, _ = sample(model, data, TEXT, diffusion_kwargs={"inference_step": 1})
        usual, _, _ = sample(model, data, TEXT)
        assert not torch.equal(few, usual)


class TestSeedAndPlaces:
    def test_deterministic_from_a_seed(self, model):
        data = data_of(model, SceneSpec())
        runs = []
        for seed in (7, 7, 8):
            torch.manual_seed(seed)
            runs.append(sample(model, data, samples=3, top_k=None))
        assert torch.equal(runs[0][0], runs[1][0])
        assert runs[0][2]["text"].tolist() == runs[1][2]["text"].tolist()
        assert runs[0][2]["text"].tolist() != runs[2][2]["text"].tolist()

    @pytest.mark.parametrize("attention", ["sdpa", "eager"])
    def test_seed_of_a_scene_whoever_else_is_in_the_batch(self, base, attention):
        own = tiny_model(base, attn_implementation=attention)
        scenes = [SceneSpec(), SceneSpec(seed=1, frames=3), SceneSpec(seed=2, frames=1)]
        arguments = {"samples": 2, "num_traj_sets": 2, "top_k": None, "temperature": 1.0, "max_generation_length": 9}
        torch.manual_seed(0)
        before = torch.get_rng_state()
        together, _, extra = sample(own, data_of(own, *scenes), seeds=[5, 6, 2**40], **arguments)
        assert torch.equal(torch.get_rng_state(), before)
        for row, seed in enumerate([5, 6, 2**40]):
            alone, _, told = sample(own, data_of(own, scenes[row]), seeds=[seed], **arguments)
            assert told["text"][0].tolist() == extra["text"][row].tolist()
            torch.testing.assert_close(alone[0], together[row], atol=1e-4, rtol=1e-5)
        other, _, _ = sample(own, data_of(own, scenes[0]), seeds=[6], **arguments)
        assert not torch.allclose(other[0], together[0])

    def test_seed_of_a_scene_that_ends_early(self, model):
        """Its noise does not depend on how long others write."""
        data = data_of(model, SceneSpec(), SceneSpec(seed=1))
        with scripted(model, [["a", END], [*"abcdefgh", END]]):
            both, _ = model.sample_trajectories_from_data_with_vlm_rollout(
                data, num_traj_samples=1, max_generation_length=12, seeds=[3, 4]
            )
        alone, _, _ = sample(model, data_of(model, SceneSpec()), ["a", END], top_k=None, seeds=[3])
        torch.testing.assert_close(alone[0], both[0], atol=1e-5, rtol=1e-5)

    @pytest.mark.parametrize(
        ("seeds", "message"),
        [([1], "seeds: expected 2.*found 1"), ([1, 2.5], "seeds: .*found 2.5"), ([1, 2**64], "seeds: .*at most 64")],
    )
    def test_seeds_that_cannot_be(self, model, seeds, message):
        with pytest.raises(AlpamayoError, match=message):
            sample(model, data_of(model, SceneSpec(), SceneSpec(seed=1)), seeds=seeds)

    def test_data_and_generation_configuration_are_untouched(self, model):
        data = data_of(model, SceneSpec(), SceneSpec(seed=1, frames=3))
        before = {key: dict(value) if isinstance(value, Mapping) else value for key, value in deepcopy(data).items()}
        settings, model_settings = model.vlm.generation_config.to_dict(), model.config.to_dict()
        arguments = {"inference_step": 2}
        sample(model, data, samples=2, diffusion_kwargs=arguments)
        assert list(data) == list(before)
        for key, value in data.items():
            parts = value if isinstance(value, Mapping) else {key: value}
            old = before[key] if isinstance(value, Mapping) else {key: before[key]}
            assert list(parts) == list(old)
            assert all(torch.equal(parts[name], old[name]) for name in parts)
        assert model.vlm.generation_config.to_dict() == settings
        assert model.config.to_dict() == model_settings
        assert arguments == {"inference_step": 2}

    def test_model_that_has_been_used_otherwise(self, model, noise):
        """What transformers remembers between calls changes nothing."""
        data = data_of(model, SceneSpec())
        wanted, _, _ = sample(model, data, TEXT)
        sample(model, data_of(model, SceneSpec(frames=1), SceneSpec(frames=3)), TEXT)
        model.vlm.model.rope_deltas = torch.full((5, 1), 17)
        own, _, _ = sample(model, data, TEXT)
        assert torch.equal(own, wanted)

    def test_eager_and_sdpa(self, base, noise):
        found = []
        for attention in ("eager", "sdpa"):
            own = tiny_model(base, attn_implementation=attention)
            found.append(sample(own, data_of(own, SceneSpec(), SceneSpec(seed=1, frames=3)), TEXT, samples=2)[0])
        torch.testing.assert_close(*found, atol=1e-4, rtol=1e-5)

    def test_bfloat16_without_autocast(self, base, noise):
        data = data_of(tiny_model(base), SceneSpec(), SceneSpec(seed=1, frames=3))
        wanted, _, _ = sample(tiny_model(base), data, TEXT, samples=2)
        half = tiny_model(base).to(torch.bfloat16)
        xyz, rot, extra = sample(half, data, TEXT, samples=2)
        assert xyz.dtype == rot.dtype == torch.float32
        assert extra["stopped"].all()
        assert (xyz - wanted).norm(dim=-1).mean() < 0.2

    def test_autocast(self, model, noise):
        data = data_of(model, SceneSpec(), SceneSpec(seed=1, frames=3))
        wanted, _, _ = sample(model, data, TEXT, samples=2)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            xyz, _, extra = sample(model, data, TEXT, samples=2)
        assert extra["stopped"].all()
        assert (xyz - wanted).norm(dim=-1).mean() < 0.2

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    def test_cuda(self, base, noise):
        wanted, _, _ = sample(tiny_model(base), data_of(tiny_model(base), SceneSpec()), TEXT, samples=2)
        own = tiny_model(base).cuda()
        data = helper.to_device(data_of(own, SceneSpec()), "cuda")
        with torch.autocast("cuda", dtype=torch.bfloat16):
            sample(own, data, TEXT, samples=2)
        xyz, _, _ = sample(own, data, TEXT, samples=2)
        torch.testing.assert_close(xyz.cpu(), wanted, atol=1e-3, rtol=1e-3)

    def test_no_gradients(self, model):
        assert not sample(model, data_of(model, SceneSpec()), TEXT)[0].requires_grad


@needs_golden
def test_reference_checkpoint_runs_the_documents_example():
    model = AlpamayoR1.from_pretrained(GOLDEN / "checkpoint")
    tokens = case("1_tokens")
    inputs = helper.get_processor(model.tokenizer).apply_chat_template(
        helper.create_message(tokens["frames"]),
        tokenize=True,
        add_generation_prompt=False,
        continue_final_message=True,
        return_dict=True,
        return_tensors="pt",
    )
    model_inputs = helper.to_device(
        {"tokenized_data": inputs, "ego_history_xyz": tokens["hist_xyz"], "ego_history_rot": tokens["hist_rot"]}, "cpu"
    )
    torch.manual_seed(42)
    pred_xyz, pred_rot, extra = model.sample_trajectories_from_data_with_vlm_rollout(
        data=model_inputs,
        top_p=0.98,
        temperature=0.6,
        num_traj_samples=2,
        max_generation_length=24,
        return_extra=True,
    )
    assert pred_xyz.shape == (1, 1, 2, 64, 3)
    assert pred_rot.shape == (1, 1, 2, 64, 3, 3)
    assert torch.isfinite(pred_xyz).all()
    assert extra["cot"][0].shape == (1, 2)


def test_logits_processor():
    scores = torch.zeros(2, 10)
    closed = ExpertLogitsProcessor(traj_token_offset=3, traj_vocab_size=4)(torch.zeros(2, 1), scores)
    assert torch.isinf(closed[:, 3:7]).all()
    assert not torch.isinf(closed[:, [0, 2, 7, 9]]).any()
    assert not scores.any()


def test_what_is_closed_is_not_sorted():
    """Nucleus sampling of the open tokens alone keeps what it keeps of all."""
    torch.manual_seed(0)
    scores, ids = torch.randn(4, 30) * 3, torch.zeros(4, 1, dtype=torch.int64)
    sizes = []

    class Counting(TopPLogitsWarper):
        def __call__(self, input_ids, scores):
            sizes.append(scores.shape[1])
            return super().__call__(input_ids, scores)

    then = LogitsProcessorList([TopKLogitsWarper(9), Counting(0.7)])
    own = ExpertLogitsProcessor(5, 20, then=then)(ids, scores)
    wanted = then(ids, ExpertLogitsProcessor(5, 20)(ids, scores))
    assert torch.equal(own, wanted)
    assert sizes == [10, 30]
