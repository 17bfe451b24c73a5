"""Prompts, processors, devices."""

import json

import pytest
import torch
from transformers import BatchFeature

from alpamayo_r1 import helper
from alpamayo_r1.config import AlpamayoR1Config
from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.loading import load_tokenizer
from golden_model import GOLDEN, case, needs_golden
from tiny_model import base_tokenizer

TEMPLATE_ARGUMENTS = {"add_generation_prompt": False, "continue_final_message": True}


@pytest.fixture(scope="module")
def processor():
    config = AlpamayoR1Config.from_pretrained(GOLDEN / "checkpoint")
    config.name_or_path = str(GOLDEN / "checkpoint")
    return helper.get_processor(load_tokenizer(config))


@needs_golden
class TestReferencePrompt:
    def test_text(self, processor):
        message = helper.create_message(case("1_tokens")["frames"])
        text = processor.apply_chat_template(message, tokenize=False, **TEMPLATE_ARGUMENTS)
        assert text == json.loads((GOLDEN / "cases" / "1_tokens.json").read_text("utf-8"))["prompt_text"]

    def test_ids_and_pixels(self, processor):
        wanted = case("1_tokens")
        given = processor.apply_chat_template(
            helper.create_message(wanted["frames"]),
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            **TEMPLATE_ARGUMENTS,
        )
        for key in ("input_ids", "attention_mask", "pixel_values", "image_grid_thw"):
            assert torch.equal(given[key], wanted[key]), key


class TestMessage:
    def test_components_in_the_models_order(self):
        user, assistant = helper.create_message(
            torch.zeros(1, 3, 4, 4, dtype=torch.uint8), ("traj_future", "meta_action"), tokens_per_history_traj=2
        )[1:]
        assert user["content"][-1]["text"] == (
            "<|traj_history_start|><|traj_history|><|traj_history|><|traj_history_end|>"
            "output meta actions, then output the future trajectory."
        )
        assert assistant["content"][0]["text"] == "<|meta_action_start|>"

    @pytest.mark.parametrize(
        ("frames", "found"),
        [
            (torch.zeros(4, 2, 3, 8, 8, dtype=torch.uint8), r"\(4, 2, 3, 8, 8\)"),
            (torch.zeros(2, 8, 8, 3, dtype=torch.uint8), r"\(2, 8, 8, 3\)"),
            (torch.zeros(0, 3, 8, 8, dtype=torch.uint8), r"\(0, 3, 8, 8\)"),
            (torch.zeros(2, 3, 8, 8), "torch.float32"),
            ([1], "list"),
        ],
    )
    def test_bad_frames(self, frames, found):
        with pytest.raises(AlpamayoError, match=f"frames: .*found {found}"):
            helper.create_message(frames)

    def test_unknown_component(self):
        with pytest.raises(AlpamayoError, match=r"components: .*\['poem'\]"):
            helper.create_message(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), ["poem"])


def test_tokenizer_without_the_tokens():
    with pytest.raises(AlpamayoError, match=r"without <\|traj_history\|>, <\|traj_future\|>"):
        helper.get_processor(base_tokenizer())


def test_released_pixels_where_nothing_says_otherwise():
    tokenizer = base_tokenizer()
    tokenizer.add_tokens([f"<|traj_{name}|>" for name in ("history", "future")], special_tokens=True)
    tokenizer.add_tokens(
        [f"<|traj_{name}_{side}|>" for name in ("history", "future") for side in ("start", "end")], special_tokens=True
    )
    size = helper.get_processor(tokenizer).image_processor.size
    assert (size["shortest_edge"], size["longest_edge"]) == (163_840, 196_608)


def test_to_device():
    data = {
        "a": [torch.zeros(1), {"ids": torch.ones(1, dtype=torch.int64)}],
        "ego_history_xyz": torch.zeros(1),
        "id": "x",
    }
    moved = helper.to_device(data, "cpu", dtype=torch.bfloat16)
    assert moved["a"][0].dtype == torch.bfloat16
    assert moved["a"][1]["ids"].dtype == torch.int64
    assert moved["ego_history_xyz"].dtype == torch.float32
    assert moved["id"] == "x"
    assert data["a"][0].dtype == torch.float32
    assert helper.to_device((torch.zeros(1),), "meta")[0].device.type == "meta"
    assert helper.to_device(BatchFeature({"ids": torch.zeros(1)}), "meta").ids.device.type == "meta"
