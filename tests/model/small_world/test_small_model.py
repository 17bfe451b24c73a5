"""The small world's model: short prompts, and a checkpoint that loads, says and drives."""

import numpy as np
import pytest
import torch
from benchmarks.small_world.drawing import HEIGHT, WIDTH
from benchmarks.small_world.driving_only import DrivingOnlyProcessor
from benchmarks.small_world.model import base_tokenizer, write_untrained
from benchmarks.small_world.sentences import all_sentences

from alpamayo_r1 import helper
from alpamayo_r1.models.alpamayo_r1 import AlpamayoR1


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return AlpamayoR1.from_pretrained(write_untrained(tmp_path_factory.mktemp("small") / "untrained", 0)).eval()


def tokenized(model, processor):
    frames = torch.zeros(4, 3, HEIGHT, WIDTH, dtype=torch.uint8)
    messages = [helper.create_message(frames, tokens_per_history_traj=model.config.tokens_per_history_traj)]
    return processor.apply_chat_template(
        messages,
        tokenize=True,
        add_generation_prompt=False,
        continue_final_message=True,
        return_dict=True,
        return_tensors="pt",
    )


def test_sentences_are_words_and_read_back():
    tokenizer = base_tokenizer()
    for sentence in all_sentences():
        ids = tokenizer(sentence)["input_ids"]
        assert len(ids) <= len(sentence.split()) + 1  # and the full stop
        assert tokenizer.decode(ids) == sentence


def test_sentences_are_equally_long_so_that_batches_by_length_mix_causes():
    tokenizer = base_tokenizer()
    assert len({len(tokenizer(sentence)["input_ids"]) for sentence in all_sentences()}) == 1


def test_prompts_are_short_and_the_model_small(model):
    ids = tokenized(model, helper.get_processor(model.tokenizer))["input_ids"]
    assert ids.shape[1] < 120
    assert sum(one.numel() for one in model.parameters()) < 2_000_000


def test_a_seed_gives_the_same_weights(model, tmp_path):
    again = AlpamayoR1.from_pretrained(write_untrained(tmp_path / "again", 0)).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in model.state_dict().items())


def test_it_drives_and_who_is_asked_to_drive_only_writes_nothing(model):
    still = torch.zeros(1, 1, 16, 3)
    still[..., 0] = torch.arange(-15.0, 1.0)
    history = {"ego_history_xyz": still, "ego_history_rot": torch.eye(3).expand(1, 1, 16, 3, 3)}
    processor = DrivingOnlyProcessor(helper.get_processor(model.tokenizer))
    data = {"tokenized_data": tokenized(model, processor), **history}
    assert "chain-of-thought" not in model.tokenizer.decode(data["tokenized_data"]["input_ids"][0])
    xyz, _, extra = model.sample_trajectories_from_data_with_vlm_rollout(
        data, num_traj_samples=2, max_generation_length=4, return_extra=True
    )
    assert np.isfinite(xyz.numpy()).all()
    assert extra["cot"].tolist() == [[["", ""]]]
    assert bool(extra["stopped"].all())
