"""Prompts as models read them, by transformers and by vLLM: a processor that changes between versions is noticed."""

import json
import urllib.request
from typing import Any

import pytest

import tiny_models
from coc_labeling.model_clients.local.prompts import to_prompt
from conversations import CONVERSATIONS, FAMILIES, OPTIONS, by_transformers, golden

WITHOUT_VIDEO = [name for name in CONVERSATIONS if "video" not in name]


def tokens_of(family: str, name: str) -> list[int]:
    return [int(token) for token in golden(family)[name]["tokens"].split()]


def same(processor: Any, found: list[int], family: str, name: str) -> None:
    """Both texts are in the message where token ids differ."""
    expected = tokens_of(family, name)
    assert processor.tokenizer.decode(found) == processor.tokenizer.decode(expected)
    assert found == expected


@pytest.fixture(scope="module", params=FAMILIES)
def family(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def processor(family):
    return tiny_models.processor(family)


@pytest.fixture(scope="module")
def renderer(family, tiny_checkpoint):
    """Return what makes prompts inside vLLM's engine, without the engine."""
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.renderers import renderer_from_config

    arguments = AsyncEngineArgs(model=str(tiny_checkpoint(family)), max_model_len=4096, dtype="bfloat16")
    made = renderer_from_config(arguments.create_engine_config())
    yield made
    made.shutdown()


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_by_transformers(processor, family, name):
    same(processor, by_transformers(processor, CONVERSATIONS[name]), family, name)


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_by_vllm_in_this_process(renderer, processor, family, name):
    def template(messages, options):
        return renderer.get_tokenizer().apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, **options
        )

    prompt = to_prompt({"messages": CONVERSATIONS[name], "chat_template_kwargs": OPTIONS}, template)
    (rendered,) = renderer.render_cmpl([prompt])
    same(processor, list(rendered["prompt_token_ids"]), family, name)


@pytest.mark.parametrize("name", WITHOUT_VIDEO)
def test_by_a_vllm_server(vllm_server, name):
    body = {
        "model": "tiny",
        "messages": CONVERSATIONS[name],
        "max_tokens": 1,
        "return_token_ids": True,
        "chat_template_kwargs": OPTIONS,
    }
    headers = {"content-type": "application/json"}
    asked = urllib.request.Request(f"{vllm_server.base_url}/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        found = json.load(answer)["prompt_token_ids"]
    same(tiny_models.processor("qwen3_vl"), found, "qwen3_vl", name)


@pytest.mark.parametrize(
    ("family", "name", "words"),
    [
        ("qwen3_vl", "two_images_with_times", "t=0.00s<|vision_start|><|image_pad|>"),
        ("qwen3_vl", "video_of_4_frames", "<0.2 seconds>"),
        ("qwen3_vl", "video_of_4_frames", "<1.3 seconds>"),
        ("qwen3_vl", "video_of_5_frames", "<2.0 seconds>"),
        ("qwen3_5", "text", "<|im_start|>assistant\n<think>\n\n</think>\n\n"),
    ],
)
def test_golden_prompts_say_what_they_should(family, name, words):
    assert words in golden(family)[name]["text"]
