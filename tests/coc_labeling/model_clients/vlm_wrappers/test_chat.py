"""What comes back, through the real client and real sockets."""

import json

import pytest
from pydantic import BaseModel

from builders.fake_openai import Fenced, Ok, Raw, Refusal, Status, WrongSchema
from coc_labeling.model_clients.errors import ModelUnusable, RequestRefused
from coc_labeling.model_clients.vlm_wrappers import ModelSettings, create_model_wrapper, encode_image


class Sentence(BaseModel):
    sentence: str


def test_result_has_every_key(ask):
    assert ask(Ok("Keep lane.")) == {
        "finish_reason": "stop",
        "content": "Keep lane.",
        "text": "Keep lane.",
        "prompt_tokens": 1000,
        "response_tokens": 50,
        "reasoning_tokens": 20,
        "cached_tokens": 200,
        "system_fingerprint": "fp_fake",
        "model": "fake-model",
    }


@pytest.mark.parametrize(
    ("behaviour", "content"),
    [
        (Ok(), {"sentence": "dummy"}),
        (Ok('{"sentence": "Stop."}'), {"sentence": "Stop."}),
        (Fenced(), {"sentence": "Stop."}),
        (Ok('<think>hm</think>{"sentence": "Stop."}'), {"sentence": "Stop."}),
        (Ok(message={"content": [{"type": "text", "text": '{"sentence": "Stop."}'}]}), {"sentence": "Stop."}),
        (WrongSchema(), '{"unexpected": 1}'),
        (Ok("Stop."), "Stop."),
        (Ok('{"sentence": "Sto', finish_reason="length"), '{"sentence": "Sto'),
        (Ok(message={"content": None}), ""),
    ],
)
def test_content_is_a_dict_only_where_it_fits(ask, behaviour, content):
    result = ask(behaviour, json_schema=Sentence)
    assert result["content"] == content
    assert result["finish_reason"] == behaviour.finish_reason


def test_no_schema_no_dict(ask):
    assert ask(Ok('{"a": 1}'))["content"] == '{"a": 1}'


def test_refusals(ask):
    refused = ask(Refusal("I cannot."), json_schema=Sentence)
    assert (refused["finish_reason"], refused["text"], refused["content"]) == ("refusal", "I cannot.", "I cannot.")
    assert refused["prompt_tokens"] == 1000
    assert ask(Ok("", finish_reason="content_filter"))["finish_reason"] == "content_filter"


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
def test_refused_by_the_filter_is_an_answer(ask, code):
    result = ask(Status(400, "The prompt was filtered", code=code), json_schema=Sentence)
    assert result["finish_reason"] == "content_filter"
    assert "The prompt was filtered" in result["text"]
    assert result["prompt_tokens"] == 0
    with pytest.raises(RequestRefused):
        ask(Status(400, code="other"))


@pytest.mark.parametrize(
    "usage", [None, [], {"prompt_tokens": "many", "completion_tokens": -1, "completion_tokens_details": 3}]
)
def test_odd_usage_counts_as_nothing(ask, usage):
    result = ask(Ok("x", usage=usage))
    assert result["prompt_tokens"] == result["response_tokens"] == result["reasoning_tokens"] == 0


def test_filter_may_leave_no_message(ask):
    filtered = ask(Raw(b'{"choices": [{"message": null, "finish_reason": "content_filter"}]}'))
    assert (filtered["finish_reason"], filtered["text"]) == ("content_filter", "")


@pytest.mark.parametrize("fault", [Status(403, "blocked"), Status(404), Status(404, code="model_not_found")])
def test_refused_once_after_an_answer_is_one_request(fake, fault):
    wrapper = create_model_wrapper("openai_compatible", settings=ModelSettings(base_url=fake.base_url, model="m"))
    messages = [wrapper.add_message("user", "text", "x")]
    fake.script = [fault, Ok(), fault, Ok()]
    with pytest.raises(ModelUnusable):
        wrapper.infer(messages)
    wrapper.infer(messages)
    with pytest.raises(RequestRefused, match=f"answered {fault.status}") as caught:
        wrapper.infer(messages)
    assert (caught.value.status, caught.value.retryable) == (fault.status, False)
    wrapper.infer(messages)
    wrapper.close()


@pytest.mark.parametrize(
    "fault", [Status(401), Status(429, code="insufficient_quota"), Status(403, code="insufficient_quota")]
)
def test_key_and_quota_end_everything_at_any_time(fake, fault):
    wrapper = create_model_wrapper("openai_compatible", settings=ModelSettings(base_url=fake.base_url, model="m"))
    messages = [wrapper.add_message("user", "text", "x")]
    fake.script = [Ok(), fault]
    wrapper.infer(messages)
    with pytest.raises(ModelUnusable):
        wrapper.infer(messages)
    wrapper.close()


def test_what_is_sent_is_the_request(fake):
    settings = ModelSettings(base_url=fake.base_url, model="m")
    wrapper = create_model_wrapper("openai_compatible", settings=settings)
    jpeg = encode_image(b"\xff\xd8\xff" + bytes(5000))
    messages = [wrapper.add_message("system", "text", "é"), wrapper.add_message("user", "video", [("0 s", jpeg)] * 3)]
    asked = {"max_tokens": 64, "seed": 42, "temperature": 0.5, "top_p": 0.9, "repetition_penalty": 1.1}
    wrapper.infer(messages, **asked, json_schema=Sentence)
    (sent,) = fake.requests
    assert sent.json == wrapper.request(messages, **asked, json_schema=Sentence)
    assert sent.json == {
        "model": "m",
        "messages": messages,
        **asked,
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": "Sentence",
                "strict": True,
                "schema": {
                    "type": "object",
                    "properties": {"sentence": {"type": "string"}},
                    "required": ["sentence"],
                    "additionalProperties": False,
                },
            },
        },
    }
    assert wrapper.egress.summary() == {"127.0.0.1": {"requests": 1, "images": 3, "bytes": len(sent.body)}}
    assert json.loads(sent.body)["messages"][0]["content"][0]["text"] == "é"
