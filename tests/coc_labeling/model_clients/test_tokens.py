"""OAuth of the hosted Azure models, through the real client and real sockets."""

import asyncio
import logging
import traceback

import pytest

from builders.fake_openai import Expired401, Hang, Html, Ok, Raw, ResetAtOnce, Status, basic
from coc_labeling.model_clients.credentials import OAuthClient, ProviderEndpoints, Secret
from coc_labeling.model_clients.errors import ModelError, ModelUnreachable, ModelUnusable
from coc_labeling.model_clients.tokens import TokenSource
from coc_labeling.model_clients.vlm_wrappers import ModelSettings, OpenAIWrapper


@pytest.fixture
def azure(fake, clock, monkeypatch):
    monkeypatch.setenv("NVHOST_OAI_CLIENT_ID", "the-client-id")
    monkeypatch.setenv("NVHOST_OAI_CLIENT_SECRET", "the-client-secret")
    wrapper = OpenAIWrapper("gpt5", timeout_sec=5)
    wrapper.endpoints = ProviderEndpoints(
        oauth_url=f"{fake.root}/oauth/token", azure_base_url=f"{fake.root}/llm/v1/azure/openai"
    )
    wrapper.timing = clock.timing
    wrapper.configure(ModelSettings(max_retries=1))
    return wrapper


def ask(wrapper, times=1):
    messages = [wrapper.add_message("user", "text", "x")]

    async def together():
        answers = await asyncio.gather(*(wrapper.ainfer(messages) for _ in range(times)))
        await wrapper.aclose()
        return answers

    return asyncio.run(together())


def test_address_and_headers(azure, fake):
    ask(azure)
    (request,) = fake.requests
    assert request.path == "/llm/v1/azure/openai/deployments/gpt-5/chat/completions"
    assert request.query == "api-version=2025-01-01-preview"
    assert request.headers["authorization"] == "Bearer token-1"
    assert "api-key" not in request.headers
    (token,) = fake.token_requests
    assert token.headers["authorization"] == basic("the-client-id", "the-client-secret")
    assert token.body == b"grant_type=client_credentials&scope=azureopenai-readwrite"


def test_requests_share_a_token(azure, fake):
    fake.oauth_latency = 0.05
    ask(azure, times=20)
    ask(azure, times=2)
    assert len(fake.token_requests) == 1


def test_token_is_renewed_before_it_ends(azure, fake, clock):
    ask(azure)
    clock.time += 3400
    ask(azure)
    assert len(fake.token_requests) == 1
    clock.time += 100
    ask(azure, times=5)
    assert len(fake.token_requests) == 2
    assert fake.requests[-1].headers["authorization"] == "Bearer token-2"


def test_refused_token_is_renewed_once_without_a_pause(azure, fake, clock):
    fake.script = [Expired401(), Ok("fine")]
    assert ask(azure)[0]["text"] == "fine"
    assert (len(fake.token_requests), clock.pauses) == (2, [])
    fake.script = [Expired401(), Expired401()]
    with pytest.raises(ModelUnusable, match="check NVHOST_OAI_CLIENT_ID and NVHOST_OAI_CLIENT_SECRET"):
        ask(azure)


def test_many_refused_at_once_renew_once(azure, fake):
    ask(azure)
    fake.script = [Expired401()] * 8
    fake.latency = 0.05
    ask(azure, times=8)
    assert len(fake.token_requests) == 2


@pytest.mark.parametrize("fault", [Status(500), Status(429), Html(), Raw(b"{}"), Raw(b""), ResetAtOnce()])
def test_passing_fault_of_the_token_server(azure, fake, fault):
    fake.oauth_script = [fault]
    assert ask(azure)[0]["finish_reason"] == "stop"
    fake.oauth_script = []


def test_token_server_that_hangs(azure, fake):
    azure.timeout_sec = 0.2
    azure.configure(azure.settings)
    fake.oauth_script = [Hang(), Hang()]
    with pytest.raises(ModelUnreachable, match=r"gave no whole answer in 0\.2 s"):
        ask(azure)


def test_failure_is_shared_by_those_that_wait(azure, fake):
    azure.configure(ModelSettings(max_retries=0))
    fake.oauth_latency = 0.1
    fake.oauth_script = [Status(503)]

    async def several():
        messages = [azure.add_message("user", "text", "x")]
        outcomes = await asyncio.gather(*(azure.ainfer(messages) for _ in range(8)), return_exceptions=True)
        again = await azure.ainfer(messages)
        await azure.aclose()
        return outcomes, again

    outcomes, again = asyncio.run(several())
    assert [outcome.status for outcome in outcomes] == [503] * 8
    assert len(set(map(id, outcomes))) == 8
    assert again["finish_reason"] == "stop"
    assert len(fake.token_requests) == 2


def test_token_takes_half_a_minute_at_most(clock, monkeypatch):
    asked = []

    async def ask(self, http, timeout_sec):
        asked.append(timeout_sec)
        return {"access_token": "t", "expires_in": 1}

    monkeypatch.setattr(TokenSource, "_ask", ask)
    client = OAuthClient("https://h/token", "s", Secret("i"), Secret("s"))
    for timeout_sec in (600.0, 5.0):
        asyncio.run(TokenSource(client, clock.timing).token(None, timeout_sec))
    assert asked == [30.0, 5.0]


@pytest.mark.parametrize("lifetime", ["NaN", "Infinity", "1" * 400, '"soon"', "[]", "null"])
def test_odd_lifetime_counts_as_a_short_one(azure, fake, clock, lifetime):
    fake.oauth_script = [Raw(b'{"access_token": "t", "expires_in": %s}' % lifetime.encode())]
    ask(azure)
    clock.time += 700
    ask(azure)
    assert len(fake.token_requests) == 2


def test_secrets_are_nowhere(azure, fake, caplog):
    caplog.set_level(logging.DEBUG)
    said = "client the-client-id with the-client-secret is unknown, " + basic("the-client-id", "the-client-secret")
    faults = [
        Raw(b'{"error": "invalid_client", "error_description": "%s"}' % said.encode(), 401),
        Raw(said.encode(), 400),
        Raw(b'{"token": "the-client-secret"}'),
    ]
    for fault in faults:
        fake.oauth_script = [fault, fault]
        with pytest.raises(ModelError) as caught:
            ask(azure)
        error = caught.value
        told = "".join(traceback.format_exception(error)) + repr(error) + str(vars(error)) + caplog.text
        for secret in ("the-client-id", "the-client-secret", basic("the-client-id", "the-client-secret")[6:]):
            assert secret not in told
    fake.oauth_script, fake.script = [], [Status(401, "token-1 token-2"), Status(401, "token-2 token-3")]
    with pytest.raises(ModelUnusable) as caught:
        ask(azure)
    assert f"token-{len(fake.token_requests)}" not in str(caught.value) + caplog.text
    assert "the-client" not in repr(azure.describe()) + repr(vars(azure))


def test_wrong_client_is_wrong_for_every_request(azure, fake):
    fake.oauth_script = [Raw(b'{"error": "invalid_client"}', 401)]
    with pytest.raises(ModelUnusable, match=r"no token: .* 401: invalid_client.*NVHOST_OAI_CLIENT_SECRET") as caught:
        ask(azure)
    assert caught.value.code == "oauth"
    assert fake.requests == []


def test_token_leaves_for_allowed_hosts_only(fake, monkeypatch, clock):
    monkeypatch.setenv("NVHOST_OAI_CLIENT_ID", "a")
    monkeypatch.setenv("NVHOST_OAI_CLIENT_SECRET", "b")
    wrapper = OpenAIWrapper("gpt5")
    wrapper.endpoints = ProviderEndpoints(oauth_url="https://evil.example/token", azure_base_url=fake.root)
    wrapper.timing = clock.timing
    with pytest.raises(ModelUnusable, match=r"evil\.example"):
        ask(wrapper)
