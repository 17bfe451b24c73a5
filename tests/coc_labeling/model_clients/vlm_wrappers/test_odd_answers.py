"""No JSON whatever that a server answers with raises anything but ModelError."""

import asyncio
import copy
import json

import httpx2
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from builders.fake_openai import Ok
from coc_labeling.model_clients import transport
from coc_labeling.model_clients.errors import ModelError
from coc_labeling.model_clients.vlm_wrappers import ModelSettings, create_model_wrapper

MESSAGES = [{"role": "user", "content": "x"}]


class Sentence(BaseModel):
    sentence: str
    number: int = 0
    anything: dict = {}


USUAL = json.loads(Ok(json.dumps({"sentence": "Stop."})).body(None)) | {"error": {"message": "no", "code": "no"}}
TEXTS = st.text(max_size=6) | st.sampled_from(
    ["\ud800", "content_filter", '{"sentence": "\\ud800", "anything": {"a": "\\ud800"}}']
)
NUMBERS = st.integers() | st.sampled_from([10**400, -(10**400)]) | st.floats()
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


def paths(value, so_far=()):
    yield so_far
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths(item, (*so_far, key))


PATHS = list(paths(USUAL))


def changed(changes):
    """Return the usual answer with other values in some places."""
    answer = {"": copy.deepcopy(USUAL)}
    for path, value in changes:
        place = answer
        *way, last = ("", *path)
        for key in way:
            try:
                place = place[key]
            except (TypeError, KeyError, IndexError):
                break
        else:
            if isinstance(place, dict) or (isinstance(place, list) and isinstance(last, int) and last < len(place)):
                place[last] = value
    return answer[""]


def answered(monkeypatch, status, body):
    """Return what a wrapper makes of a body; None where it raises a ModelError that can be printed."""
    monkeypatch.setattr(
        transport.GuardedTransport,
        "_transport",
        lambda *_: httpx2.MockTransport(lambda request: httpx2.Response(status, content=body)),
    )
    chosen = ModelSettings(base_url="http://localhost:1/v1", model="m", max_retries=0, response_format="text")
    wrapper = create_model_wrapper("openai_compatible", settings=chosen)
    try:
        return asyncio.run(wrapper.ainfer(MESSAGES, json_schema=Sentence))
    except ModelError as error:
        str(error).encode()
        error.code.encode()
        return None


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([200, 200, 200, 400, 429]),
    st.lists(st.tuples(st.sampled_from(PATHS), VALUES), min_size=1, max_size=3),
)
@example(200, [(("usage", "prompt_tokens"), 10**400)])
@example(200, [(("choices", 0, "message"), "hello")])
@example(200, [(("choices", 0, "finish_reason"), {"a": 1})])
def test_any_json(monkeypatch, status, changes):
    result = answered(monkeypatch, status, json.dumps(changed(changes)).encode())
    if result is not None:
        assert isinstance(result["text"], str)
        assert all(isinstance(result[name], str) for name in ("finish_reason", "model", "system_fingerprint"))
        assert all(isinstance(result[name], int) for name in ("prompt_tokens", "response_tokens", "cached_tokens"))


@pytest.mark.parametrize("status", [200, 400, 429])
@pytest.mark.parametrize("path", PATHS, ids=str)
def test_deep_nesting(monkeypatch, status, path):
    marked = json.dumps(changed([(path, "here")]))
    for depth in (850, 930, 960, 980, 5000):
        answered(monkeypatch, status, marked.replace('"here"', "[" * depth + "]" * depth).encode())
