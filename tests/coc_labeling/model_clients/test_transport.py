"""Faults of servers and networks, through the real client and real sockets."""

import asyncio
import gzip
import logging
import time
import traceback

import httpx2
import pytest

from builders.fake_openai import (
    Drip,
    FakeOpenAI,
    Hang,
    Html,
    Huge,
    Ok,
    Raw,
    ResetAtOnce,
    ResetMidBody,
    Status,
    Truncated,
)
from coc_labeling.model_clients import transport
from coc_labeling.model_clients.egress import EgressLog
from coc_labeling.model_clients.errors import EgressRefused, ModelUnreachable, ModelUnusable, RequestRefused
from coc_labeling.model_clients.vlm_wrappers import ModelSettings, create_model_wrapper


@pytest.mark.parametrize(
    "fault",
    [
        Status(408),
        Status(409),
        Status(429),
        Status(500),
        Status(503),
        ResetMidBody(),
        ResetAtOnce(),
        Truncated(),
        Html(),
        Raw(b"<html>busy</html>"),
        Raw(b""),
        Raw(b'{"object": "chat.completion"}'),
        Raw(b'{"choices": []}'),
        Raw(b'{"choices": [null]}'),
        Raw(b'{"choices": {"0": {}}}'),
        Raw(b'{"choices": [{}]}'),
        Raw(b'{"choices": [{"message": null}]}'),
        Raw(b'{"choices": [{"message": "hello"}]}'),
        Raw(b'{"choices": [{"message": ["hello"]}]}'),
        Raw(b'{"choices": [{"message": {"content": 7}}]}'),
        Raw(b'["choices"]'),
        Raw(b'{"a":' * 50_000),
        Raw(b"not gzip at all", headers={"content-encoding": "gzip"}),
    ],
    ids=lambda fault: f"{type(fault).__name__}-{getattr(fault, 'status', '')}-{getattr(fault, 'body', b'')[:20]}",
)
def test_passing_fault_is_retried(ask, fake, clock, fault):
    assert ask(fault, fault, Ok("fine"))["text"] == "fine"
    assert len(fake.requests) == 3
    assert len({request.body for request in fake.requests}) == 1
    assert clock.pauses == [0.5, 1.0]


@pytest.mark.parametrize("fault", [Hang(), Drip(0.05)], ids=["hang", "drip"])
def test_slow_answers_end_in_time(ask, fake, fault):
    started = time.perf_counter()
    assert ask(fault, Ok("fine"), timeout_sec=0.3)["text"] == "fine"
    assert time.perf_counter() - started < 3
    with pytest.raises(ModelUnreachable, match=r"127.0.0.1 gave no whole answer in 0.2 s \(gave up after 2") as caught:
        ask(fault, fault, timeout_sec=0.2, max_retries=1)
    assert caught.value.code == "timeout"


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (Html(), "bad_response", "something that is no JSON; it begins: <html><body>Please log in"),
        (Raw(b" "), "bad_response", "an empty body"),
        (Raw(b'{"error": {"message": "overloaded"}}'), "bad_response", "no choices.*overloaded"),
        (ResetMidBody(), "connection", "no answer from 127.0.0.1"),
        (Status(503, "busy"), "http_503", "answered 503: busy"),
    ],
)
def test_fault_that_stays(ask, fault, code, words):
    with pytest.raises(ModelUnreachable, match=words) as caught:
        ask(*[fault] * 3, max_retries=2)
    assert (caught.value.code, caught.value.retryable) == (code, True)


def test_nobody_there(clock):
    with FakeOpenAI() as gone:
        pass
    settings = ModelSettings(base_url=gone.base_url, model="m", max_retries=1)
    wrapper = create_model_wrapper("openai_compatible", settings=settings)
    wrapper.timing = clock.timing
    with pytest.raises(ModelUnreachable, match=r"no answer from 127\.0\.0\.1: ConnectError") as caught:
        wrapper.infer([wrapper.add_message("user", "text", "x")])
    assert caught.value.code == "connection"


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (Status(400, "bad", param="seed"), RequestRefused, r"omit_parameters=\[seed\]"),
        (Status(413, "too large"), RequestRefused, "fewer or smaller pictures"),
        (Status(401, "who?"), ModelUnusable, "openai_compatible.api_key_env"),
        (Status(403, "no"), ModelUnusable, "answered 403"),
        (Status(404, "no model"), ModelUnusable, "model's name"),
        (Status(429, "pay", code="insufficient_quota"), ModelUnusable, "billing"),
    ],
)
def test_fault_that_will_stay_fails_at_once(ask, fake, clock, fault, kind, words):
    with pytest.raises(kind, match=words) as caught:
        ask(fault)
    assert not caught.value.retryable
    assert len(fake.requests) == 1
    assert clock.pauses == []


def test_retry_after_is_honoured_and_holds_back_new_requests(fake, clock):
    settings = ModelSettings(base_url=fake.base_url, model="m")
    wrapper = create_model_wrapper("openai_compatible", settings=settings)
    wrapper.timing = clock.timing
    fake.script = [Status(429, headers={"retry-after": "100"})]
    messages = [wrapper.add_message("user", "text", "x")]

    async def both():
        first = asyncio.create_task(wrapper.ainfer(messages))
        while not clock.pauses:
            await asyncio.sleep(0.005)
        clock.time -= clock.pauses[0]  # the second one comes while the first still waits
        await wrapper.ainfer(messages)
        await first
        await wrapper.aclose()

    asyncio.run(both())
    assert clock.pauses[0] == 100.5
    assert clock.pauses[1] == pytest.approx(100.5)
    assert len(fake.requests) == 3


def test_large_answers(ask, monkeypatch):
    started = time.perf_counter()
    assert len(ask(Huge(10_000_000))["text"]) == 10_000_000
    assert time.perf_counter() - started < 3
    monkeypatch.setattr(transport, "LARGEST_ANSWER_BYTES", 1_000_000)
    with pytest.raises(ModelUnreachable, match="more than 1,000,000 bytes") as caught:
        ask(Huge(10_000_000), max_retries=0)
    assert caught.value.code == "bad_response"


def test_redirects_are_not_followed(ask, fake):
    with FakeOpenAI() as other:
        for status in (301, 307, 308):
            with pytest.raises(ModelUnusable, match="redirects are not followed"):
                ask(Raw(b"", status, {"location": f"{other.base_url}/chat/completions"}))
        assert other.requests == []


def test_guard_holds_back_whatever_asks():
    async def try_it():
        guard = transport.GuardedTransport(["gpu-2:8000", "api.openai.com"], log)
        async with httpx2.AsyncClient(transport=guard) as client:
            with pytest.raises(EgressRefused, match=r"api\.openai\.com in plain text"):
                await client.post("http://api.openai.com/", content=b"x")
            for url in ("http://example.com/", "https://gpu-2/", "http://127.0.0.1.example.com:8000/"):
                with pytest.raises(EgressRefused, match=r"egress\.allow_hosts"):
                    await client.post(url, content=b"x")

    log = EgressLog()
    asyncio.run(try_it())
    assert log.summary() == {}


def test_headers_say_no_more_than_needed(ask, fake, monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-private")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-private")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Private: private")
    ask()
    headers = fake.requests[0].headers
    assert set(headers) == {
        "host", "accept", "connection", "content-type", "content-length", "user-agent", "authorization",
    }  # fmt: skip
    assert headers["authorization"] == "Bearer EMPTY"
    assert "private" not in str(headers)


def test_loopback_takes_no_proxy(ask, fake, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert ask(Ok("fine"))["text"] == "fine"
    assert transport._proxy("https", "api.openai.com", []) == "http://127.0.0.1:9"
    monkeypatch.setenv("no_proxy", "openai.com")
    assert transport._proxy("https", "api.openai.com", []) is None


@pytest.mark.parametrize(
    ("proxy", "allow_hosts", "is_used"),
    [
        ("http://proxy:3128", [], False),
        ("http://proxy:3128", ["proxy"], True),
        ("http://proxy:3128", ["proxy:3128"], True),
        ("http://proxy:3128", ["proxy:80", "gpu-2"], False),
        ("proxy:3128", ["proxy"], True),
        ("http://localhost:3128", [], True),
        ("http://[odd", ["proxy"], False),
    ],
)
def test_plain_text_takes_a_named_proxy_only(monkeypatch, proxy, allow_hosts, is_used):
    for name in ("no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("all_proxy", proxy)
    found = transport._proxy("http", "gpu-2", allow_hosts)
    assert found == ((proxy if "://" in proxy else f"http://{proxy}") if is_used else None)
    assert transport._proxy("https", "gpu-2", []) is not None  # what it carries is encrypted


def test_nothing_reaches_an_unnamed_proxy(fake, monkeypatch):
    """The host does not exist: the only way there would be the proxy, and it sees nothing."""
    monkeypatch.setattr(transport, "is_loopback", lambda host: False)
    monkeypatch.setattr(transport, "_is_named", lambda proxy, allow_hosts: False)
    monkeypatch.setenv("http_proxy", fake.root)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    settings = ModelSettings(("gpu.invalid",), base_url="http://gpu.invalid/v1", model="m", max_retries=0)
    wrapper = create_model_wrapper("openai_compatible", settings=settings)
    with pytest.raises(ModelUnreachable):
        wrapper.infer([wrapper.add_message("user", "text", "x")])
    assert fake.requests == []


def test_bomb_is_not_unpacked(ask, monkeypatch):
    bomb = gzip.compress(b" " * 50_000_000)

    def unpack(*_):
        raise AssertionError("unpacked")

    monkeypatch.setattr(httpx2.Response, "_get_content_decoder", unpack)
    for coding in ("gzip", "GZIP", "identity, br", "odd"):
        with pytest.raises(ModelUnreachable, match="answered with a packed body") as caught:
            ask(Raw(bomb, headers={"content-encoding": coding}), max_retries=0)
        assert caught.value.code == "bad_response"


def test_packed_error_keeps_its_status(ask, clock):
    packed = {"content-encoding": "gzip", "retry-after": "7"}
    with pytest.raises(ModelUnusable, match="answered 401; "):
        ask(Raw(gzip.compress(b"{}"), 401, packed))
    assert ask(Raw(b"no gzip", 429, packed), Ok("fine"))["text"] == "fine"
    assert clock.pauses[0] == 7.5
    assert ask(Raw(Ok("fine").body(None), headers={"content-encoding": "identity"}))["text"] == "fine"


def test_secrets_are_nowhere(ask, fake, monkeypatch, caplog):
    monkeypatch.setenv("MY_KEY", "sk-verysecretkey")
    caplog.set_level(logging.DEBUG)
    for fault in (
        Status(401, "Incorrect API key provided: sk-verysecretkey"),
        Raw(b"Bearer sk-verysecretkey"),
        Raw(b'{"echo": "sk-verysecretkey"}'),
        ResetAtOnce(),
    ):
        with pytest.raises((ModelUnusable, ModelUnreachable)) as caught:
            ask(fault, api_key_env="MY_KEY", max_retries=0)
        error = caught.value
        told = "".join(traceback.format_exception(error)) + repr(error) + str(vars(error)) + caplog.text
        assert "verysecret" not in told
    assert fake.requests[0].headers["authorization"] == "Bearer sk-verysecretkey"


def test_many_at_once(clock):
    with FakeOpenAI(latency=0.02, room=32) as fake:
        wrapper = create_model_wrapper(
            "openai_compatible", settings=ModelSettings(base_url=fake.base_url, model="m", max_retries=0)
        )
        messages = [wrapper.add_message("user", "text", "x")]

        async def all_of_them():
            answers = await asyncio.gather(*(wrapper.ainfer(messages) for _ in range(100)))
            await wrapper.aclose()
            return answers

        assert len(asyncio.run(all_of_them())) == 100
        assert fake.peak == 32


def test_loops_do_not_mix(fake):
    wrapper = create_model_wrapper(
        "openai_compatible", settings=ModelSettings(base_url=fake.base_url, model="m", max_retries=0)
    )
    messages = [wrapper.add_message("user", "text", "x")]
    for _ in range(2):
        asyncio.run(wrapper.ainfer(messages))
        wrapper.infer(messages)

    async def inside():
        return wrapper.infer(messages)

    assert asyncio.run(inside())["finish_reason"] == "stop"
