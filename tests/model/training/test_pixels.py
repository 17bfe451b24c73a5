"""What was prepared gives the model the same pixels as inference on the original frames."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

from alpamayo_r1 import helper
from alpamayo_r1.models.alpamayo_r1 import AlpamayoR1
from alpamayo_r1.scenes import SceneReader
from alpamayo_r1.training.batches import Collator, frame_size
from alpamayo_r1.training.prepared import FrameSize
from builders.prepared import TINY, tiny_set
from driving_clips.datasets import open_dataset
from golden_model import GOLDEN, needs_golden


@given(st.integers(1, 5000), st.integers(1, 5000), st.sampled_from([FrameSize(), TINY, FrameSize(1, 10**9, 14)]))
def test_frames_have_the_size_that_qwen_gives_them(height, width, size):
    if max(height, width) <= 200 * min(height, width):
        wanted = smart_resize(height, width, size.token_side, size.min_pixels, size.max_pixels)
        assert size.of(height, width) == wanted


def test_the_size_is_that_of_the_models_processor(tiny):
    _, tokenizer = tiny
    assert frame_size(tokenizer) == TINY


@pytest.fixture(params=["tiny", pytest.param("golden", marks=needs_golden)])
def prepared(request, tmp_path):
    """Return configuration and tokenizer of a model, and scenes for it; the golden one has Qwen's template."""
    if request.param == "tiny":
        return *request.getfixturevalue("tiny"), request.getfixturevalue("scenes")
    model = AlpamayoR1.from_pretrained(GOLDEN / "checkpoint")
    return model.config, model.tokenizer, tiny_set(tmp_path, frame_size(model.tokenizer))


def test_pixels_and_prompt_equal_those_of_inference(prepared):
    config, tokenizer, scenes = prepared
    data_dir = f"{scenes.folder}/../pai"
    reader = SceneReader(open_dataset("pai", data_dir))
    own = [scenes[number] for number in (0, 1, 4)]
    batch = Collator(tokenizer, config)(own)
    originals = [reader.read(scene.clip_id, scene.t0_us) for scene in own]
    frames = [torch.from_numpy(scene.stacked_frames().reshape(16, 3, *scene.frame_size)) for scene in originals]
    assert scenes.size != TINY or frames[0].shape != own[0].frames.shape  # so that there was something to resize
    inference = helper.get_processor(tokenizer).apply_chat_template(
        [helper.create_message(own, tokens_per_history_traj=config.tokens_per_history_traj) for own in frames],
        tokenize=True,
        add_generation_prompt=False,
        continue_final_message=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True},
    )
    tokenized = batch["tokenized_data"]
    assert torch.equal(tokenized["pixel_values"], inference["pixel_values"])
    assert torch.equal(tokenized["image_grid_thw"], inference["image_grid_thw"])
    for row in range(len(own)):
        prompt = inference["input_ids"][row][inference["attention_mask"][row] == 1]
        written = tokenized["input_ids"][row][tokenized["attention_mask"][row] == 1]
        assert torch.equal(written[: len(prompt)], prompt)
        assert tokenizer.decode(written[len(prompt) - 1 :]) == (
            f"<|cot_start|>{own[row].cot}<|cot_end|><|traj_future_start|>"
            f"{'<|traj_future|>' * config.tokens_per_future_traj}<|traj_future_end|><|im_end|>"
        )
        types, shown = (
            given["mm_token_type_ids"][row][given["attention_mask"][row] == 1] for given in (tokenized, inference)
        )
        assert torch.equal(types[: len(prompt)], shown)
        assert not types[len(prompt) :].any()
        masked = batch["loss_mask"][row][-len(written) :].nonzero()[:, 0].tolist()
        assert masked == list(range(len(prompt) - 1, len(written)))  # from the start token, which inference gives
    assert np.allclose(batch["ego_history_xyz"][1, 0], originals[1].path.history_xyz, atol=1e-5)
    assert np.allclose(batch["ego_future_rot"][1, 0], originals[1].path.future_rot, atol=1e-6)
