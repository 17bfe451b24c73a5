"""``sft-chat`` exports in the hands of TRL: its formatting and its collator find prompt, answer and pictures again."""

import json
import re
from pathlib import Path

import pytest
from datasets import Image, List, load_dataset
from trl.data_utils import apply_chat_template, is_conversational, prepare_multimodal_messages
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

import tiny_models
from builders.exports import exported, filmed

TURN = "<|im_start|>{}\n{}<|im_end|>\n"
PICTURE = "<|vision_start|><|image_pad|><|vision_end|>"
PICTURES = re.compile(r"<\|vision_start\|>(?:<\|image_pad\|>)+<\|vision_end\|>")


@pytest.fixture(scope="module")
def export(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("exports")
    exported(filmed(root, ["clip-a", "clip-b"]), root / "out", "sft-chat")
    return root / "out"


@pytest.fixture(scope="module")
def rows(export) -> list[dict]:
    """The export as TRL's trainer is given it: pictures by the place of the folder."""
    loaded = load_dataset(str(export), split="sft", cache_dir=str(export.parent / "cache"))
    loaded = loaded.map(lambda row: {"images": [str(export / name) for name in row["images"]]})
    return list(loaded.cast_column("images", List(Image())))


@pytest.fixture(scope="module")
def processor(export):
    """A processor whose tokenizer has been given the tokens of the export."""
    made = tiny_models.processor("qwen3_vl")
    tokens = json.loads((export / "tokens.json").read_text())
    made.tokenizer.add_tokens(tokens["tokens"])
    made.tokenizer.add_tokens(tokens["special_tokens"], special_tokens=True)
    return made


def conversations(export: Path) -> list[str]:
    """What a model should see, as the file for the other trainer has it."""
    lines = (export / "llama_factory" / "sft.jsonl").read_text().splitlines()
    said = [json.loads(line)["messages"] for line in lines]
    return ["".join(TURN.format(m["role"], m["content"].replace("<image>", PICTURE)) for m in one) for one in said]


def test_formatting_gives_prompt_and_answer(export, rows, processor):
    assert all(is_conversational(row) for row in rows)
    texts = [apply_chat_template({"messages": row["messages"]}, processor)["text"] for row in rows]
    assert texts == conversations(export)
    assert len(texts) == 3


def test_pictures_come_to_their_places(rows):
    for row in rows:
        system, user, answer = prepare_multimodal_messages(row["messages"], images=row["images"])
        shown = [part["image"] for part in user["content"] if part["type"] == "image"]
        assert [picture.size for picture in shown] == [(96, 54)] * 5
        assert all(part["type"] == "text" for part in [*system["content"], *answer["content"]])


def test_the_collator_gives_tokens_that_read_back(export, rows, processor):
    batch = DataCollatorForVisionLanguageModeling(processor)(rows)
    assert len(batch["image_grid_thw"]) == 5 * len(rows)
    for row, ids, mask, expected in zip(
        rows, batch["input_ids"], batch["attention_mask"], conversations(export), strict=True
    ):
        own = ids[mask.bool()]
        assert PICTURES.sub(PICTURE, processor.tokenizer.decode(own)) == expected
        named = {token: processor.tokenizer.convert_tokens_to_ids(token) for token in ("<|cot_start|>", "<i3500>")}
        assert all(number in own.tolist() for number in named.values())
        future = re.findall(r"<i\d+>", row["messages"][2]["content"][0]["text"])
        assert len(future) == 128
