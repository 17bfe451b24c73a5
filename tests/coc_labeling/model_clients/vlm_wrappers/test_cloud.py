import importlib.util

import pytest
from pydantic import BaseModel

from coc_labeling.model_clients.errors import EgressRefused, ModelUnusable
from coc_labeling.model_clients.vlm_wrappers import (
    MODEL_WRAPPER_REGISTRY,
    ModelSettings,
    OpenAIWrapper,
    create_model_wrapper,
    model_name_map,
)

MESSAGES = [{"role": "user", "content": "x"}]


class Sentence(BaseModel):
    sentence: str


def compatible(**settings):
    chosen = ModelSettings(**{"base_url": "http://localhost:1/v1", "model": "m", **settings})
    return create_model_wrapper("openai_compatible", settings=chosen)


def test_hosted_models_take_no_sampling(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    wrapper = create_model_wrapper("gpt5.5")
    body = wrapper.request(MESSAGES, max_tokens=99, seed=1, temperature=0.3, top_p=0.2, repetition_penalty=2.0)
    assert body == {"model": "gpt-5.5", "messages": MESSAGES, "max_completion_tokens": 99}
    assert (wrapper.hosts, wrapper.preferred_in_flight, wrapper.model_id) == (("api.openai.com",), 32, "gpt-5.5")
    assert wrapper.describe() == {
        "provider": "openai",
        "base_urls": ["https://api.openai.com/v1"],
        "model": "gpt-5.5",
    }


def test_hosted_model_needs_credentials():
    with pytest.raises(ModelUnusable, match="no credentials for gpt-5; set one of"):
        create_model_wrapper("gpt5")


@pytest.mark.parametrize(
    ("key", "url"), [("OPENAI_API_KEY", "OPENAI_BASE_URL"), ("NVIDIA_API_KEY", "NV_INFERENCE_URL")]
)
def test_a_provider_elsewhere_must_be_allowed(monkeypatch, key, url):
    monkeypatch.setenv(key, "k-1")
    monkeypatch.setenv(url, "https://gateway.example/v1")
    with pytest.raises(EgressRefused, match=rf"{url} leads to gateway\.example.*allow_hosts=\[gateway\.example\]"):
        create_model_wrapper("gpt5")
    wrapper = create_model_wrapper("gpt5", settings=ModelSettings(allow_hosts=("gateway.example",)))
    assert wrapper.hosts == ("gateway.example",)


def test_organisation_is_sent_to_openai(fake, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    monkeypatch.setenv("OPENAI_BASE_URL", fake.base_url)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT", "proj-1")
    create_model_wrapper("gpt5").infer(MESSAGES)
    headers = fake.requests[0].headers
    assert headers["authorization"] == "Bearer sk-1"
    assert (headers["openai-organization"], headers["openai-project"]) == ("org-1", "proj-1")


def test_new_alias_takes_two_lines(monkeypatch, fake):
    monkeypatch.setitem(model_name_map, "gpt6", "gpt-6")
    monkeypatch.setitem(MODEL_WRAPPER_REGISTRY, "gpt6", OpenAIWrapper)
    monkeypatch.setenv("NVIDIA_API_KEY", "k")
    monkeypatch.setenv("NV_INFERENCE_URL", fake.root)
    wrapper = create_model_wrapper("gpt6")
    wrapper.infer(MESSAGES)
    assert fake.requests[0].json["model"] == "openai/openai/gpt-6"
    assert fake.requests[0].path == "/v1/chat/completions"


def test_compatible_needs_its_address():
    with pytest.raises(ModelUnusable, match=r"openai_compatible\.base_url and openai_compatible\.model"):
        create_model_wrapper("openai_compatible")
    with pytest.raises(ModelUnusable, match=r"needs openai_compatible\.model"):
        compatible(model=None)
    with pytest.raises(EgressRefused, match=r"openai_compatible\.base_url leads to gpu-2"):
        compatible(base_url="http://gpu-2/v1")


def test_providers_hosts_are_not_open_to_other_models():
    with pytest.raises(EgressRefused, match=r"api\.openai\.com"):
        compatible(base_url="https://api.openai.com/v1")


def test_a_providers_host_is_open_to_its_own_credentials_only(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://inference-api.nvidia.com/v1")
    with pytest.raises(EgressRefused, match=r"inference-api\.nvidia\.com"):
        create_model_wrapper("gpt5")


def test_compatible_parameters():
    assert compatible().request(MESSAGES) == {
        "model": "m", "messages": MESSAGES, "max_tokens": 4096, "temperature": 0.0, "seed": 0,
    }  # fmt: skip
    changed = compatible(
        token_parameter="max_completion_tokens",
        omit_parameters=("seed", "temperature"),
        extra_body={"reasoning_effort": "low"},
    )
    assert changed.request(MESSAGES, top_p=0.5, repetition_penalty=1.5) == {
        "model": "m",
        "messages": MESSAGES,
        "max_completion_tokens": 4096,
        "top_p": 0.5,
        "repetition_penalty": 1.5,
        "reasoning_effort": "low",
    }


@pytest.mark.parametrize(
    ("setting", "sent"), [("json_schema", "json_schema"), ("json_object", "json_object"), ("text", None)]
)
def test_response_format(setting, sent):
    body = compatible(response_format=setting).request(MESSAGES, json_schema=Sentence)
    assert body.get("response_format", {}).get("type") == sent


def test_key_by_name(monkeypatch):
    with pytest.raises(ModelUnusable, match="MY_KEY is empty"):
        compatible(api_key_env="MY_KEY")
    monkeypatch.setenv("MY_KEY", "sk-1")
    assert "sk-1" not in repr(vars(compatible(api_key_env="MY_KEY")))


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelUnusable, match=r"pip install 'coc-toolkit\[vlm\]'"):
        compatible()
