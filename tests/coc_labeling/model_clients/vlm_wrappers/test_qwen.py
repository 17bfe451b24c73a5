import asyncio
import importlib.metadata

import pytest

from builders.fake_openai import FakeOpenAI
from coc_labeling.model_clients.errors import EgressRefused, ModelUnreachable, ModelUnusable
from coc_labeling.model_clients.vlm_wrappers import (
    MODEL_WRAPPER_REGISTRY,
    QWEN_MODEL_SPECS,
    LocalSettings,
    ModelSettings,
    QwenWrapper,
    create_model_wrapper,
)
from coc_labeling.model_clients.vlm_wrappers.qwen import server_urls

MESSAGES = [{"role": "user", "content": "x"}]


@pytest.mark.parametrize(
    ("ip_addr", "urls"),
    [
        ("gpu", ["http://gpu:8000/v1"]),
        ("gpu:81", ["http://gpu:81/v1"]),
        ("[::1]", ["http://[::1]:8000/v1"]),
        ("[::1]:81", ["http://[::1]:81/v1"]),
        ("http://gpu:81/v1/", ["http://gpu:81/v1"]),
        ("https://gpu", ["https://gpu/v1"]),
        ("a, b:1,,a", ["http://a:8000/v1", "http://b:1/v1"]),
        (["a", "b,c"], ["http://a:8000/v1", "http://b:8000/v1", "http://c:8000/v1"]),
        (None, []),
        ("", []),
    ],
)
def test_addresses(ip_addr, urls):
    assert list(server_urls(ip_addr)) == urls


def test_without_server_vllm_is_needed(monkeypatch):
    def not_installed(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", not_installed)
    with pytest.raises(ModelUnusable, match=r"pip install 'coc-toolkit\[vlm,vllm\]'.*server_ip"):
        create_model_wrapper("qwen3.5_35b")


def test_a_checkpoint_of_one_s_own_is_not_for_servers():
    settings = ModelSettings(local=LocalSettings(model_path="/models/mine"))
    with pytest.raises(ModelUnusable, match="leave out server_ip, or model_path"):
        create_model_wrapper("qwen3.5_35b", ip_addr="localhost", settings=settings)


def test_server_elsewhere_must_be_allowed():
    with pytest.raises(EgressRefused, match=r"server_ip leads to gpu-2.*egress\.allow_hosts=\[gpu-2\]"):
        create_model_wrapper("qwen3.5_35b", ip_addr="localhost,gpu-2")
    wrapper = create_model_wrapper("qwen3.5_35b", ip_addr="localhost,gpu-2", settings=ModelSettings(("gpu-2",)))
    assert wrapper.hosts == ("localhost", "gpu-2")
    assert wrapper.preferred_in_flight == 128


def test_body():
    body = create_model_wrapper("qwen3.5_35b", ip_addr="localhost").request(MESSAGES, seed=42)
    assert body == {
        "model": "Qwen/Qwen3.5-35B-A3B",
        "messages": MESSAGES,
        "max_tokens": 4096,
        "temperature": 0.0,
        "seed": 42,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    older = create_model_wrapper("qwen3_vl_235b_awq", ip_addr="localhost").request(MESSAGES)
    assert "chat_template_kwargs" not in older


@pytest.mark.parametrize(
    ("served", "model_id"),
    [
        (("other", "Qwen/Qwen3.5-35B-A3B"), "Qwen/Qwen3.5-35B-A3B"),
        (("/models/mine",), "/models/mine"),
    ],
)
def test_served_name_is_asked_once(fake, clock, served, model_id):
    fake.models = served
    wrapper = create_model_wrapper("qwen3.5_35b", ip_addr=fake.base_url)

    async def several():
        await asyncio.gather(*(wrapper.ainfer(MESSAGES) for _ in range(5)))
        await wrapper.aclose()

    asyncio.run(several())
    assert len(fake.model_requests) == 1
    assert {request.json["model"] for request in fake.requests} == {model_id}
    assert wrapper.model_id == model_id


@pytest.mark.parametrize("served", [(), ("a", "b")])
def test_served_name_that_is_not_ours(fake, served):
    fake.models = served
    wrapper = create_model_wrapper("qwen3.5_35b", ip_addr=fake.base_url)
    with pytest.raises(ModelUnusable, match=r"serves (no model|a, b); expected Qwen/Qwen3.5-35B-A3B"):
        wrapper.infer(MESSAGES)


def test_those_that_wait_share_a_failure(clock):
    with FakeOpenAI() as gone:
        pass
    wrapper = create_model_wrapper("qwen3.5_35b", ip_addr=gone.base_url, settings=ModelSettings(max_retries=3))
    wrapper.timing = clock.timing

    async def windows(count):
        return await asyncio.gather(*(wrapper.ainfer(MESSAGES) for _ in range(count)), return_exceptions=True)

    async def story():
        outcomes = await windows(20)
        assert {type(outcome) for outcome in outcomes} == {ModelUnreachable}
        assert len(set(map(id, outcomes))) == 20
        assert len(clock.pauses) == 3
        outcomes = await windows(5)  # those that come next are told the same
        assert "gave up after 4 attempts" in str(outcomes[0])
        assert len(clock.pauses) == 3
        clock.time += 11
        with FakeOpenAI(port=gone.port, models=("mine",)) as back:
            await windows(5)
            assert (len(back.model_requests), len(back.requests)) == (1, 5)
        await wrapper.aclose()

    asyncio.run(story())


def test_who_gives_up_waiting_takes_nobody_along(fake):
    wrapper = create_model_wrapper("qwen3.5_35b", ip_addr=fake.base_url)

    async def story():
        first, second = (asyncio.create_task(wrapper.prepare()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await second
        await wrapper.aclose()

    asyncio.run(story())
    assert len(fake.model_requests) == 1


@pytest.mark.parametrize(
    ("served", "model_id"),
    [
        (("Qwen/Qwen3.5-35B-A3B",), "Qwen/Qwen3.5-35B-A3B"),
        (("mine", "x"), "mine"),
        (("other",), None),
        ((), None),
    ],
)
def test_servers_need_one_name(served, model_id):
    names = ("Qwen/Qwen3.5-35B-A3B", "mine") if model_id != "mine" else ("mine",)
    with FakeOpenAI() as gone:
        pass
    with FakeOpenAI(models=names) as a, FakeOpenAI(models=served) as b:
        wrapper = create_model_wrapper("qwen3.5_35b", ip_addr=[gone.base_url, a.base_url, b.base_url])
        if model_id:
            wrapper.infer(MESSAGES)
            assert wrapper.model_id == model_id
            return
        with pytest.raises(ModelUnusable) as caught:
            wrapper.infer(MESSAGES)
        assert f"{b.base_url} serves {', '.join(served) or 'no model'}; expected" in str(caught.value)
        assert caught.value.code == "model_not_found"
        assert a.requests == b.requests == []


def test_new_alias_takes_two_lines(fake, monkeypatch):
    monkeypatch.setitem(QWEN_MODEL_SPECS, "qwen9", ("models--Qwen--Qwen9", "Qwen/Qwen9", None))
    monkeypatch.setitem(MODEL_WRAPPER_REGISTRY, "qwen9", QwenWrapper)
    fake.models = ("Qwen/Qwen9",)
    assert create_model_wrapper("qwen9", ip_addr=fake.base_url).infer(MESSAGES)["finish_reason"] == "stop"


def test_sessions_stay_and_spread():
    with FakeOpenAI(latency=0.02) as a, FakeOpenAI(latency=0.02) as b:
        wrapper = create_model_wrapper("qwen3.5_35b", ip_addr=[a.base_url, b.base_url])

        async def stages(name):
            message = [{"role": "user", "content": name}]
            await wrapper.ainfer(message, session=name)
            await wrapper.ainfer(message, session=name)

        async def windows():
            await wrapper.prepare()
            await asyncio.gather(*(stages(f"w{i}") for i in range(20)))
            await wrapper.aclose()

        asyncio.run(windows())
        seen_a, seen_b = ({r.json["messages"][0]["content"] for r in fake.requests} for fake in (a, b))
        assert not seen_a & seen_b
        assert len(seen_a) == len(seen_b) == 10
        assert wrapper.egress.summary()["127.0.0.1"]["requests"] == 42  # each server was asked for its model's name


def test_down_server_is_avoided_and_comes_back(clock):
    with FakeOpenAI() as gone:
        pass
    with FakeOpenAI() as up:
        wrapper = create_model_wrapper("qwen3.5_35b", ip_addr=[gone.base_url, up.base_url])
        wrapper.timing = clock.timing

        async def one(name):
            await wrapper.ainfer(MESSAGES, session=name)

        async def story():
            await asyncio.gather(*(one(f"w{i}") for i in range(8)))
            assert len(up.requests) == 8
            tried = len(clock.pauses)
            await one("w9")
            assert len(clock.pauses) == tried
            clock.time += 31
            with FakeOpenAI(port=gone.port) as back:
                await asyncio.gather(*(one(f"x{i}") for i in range(8)))
                assert back.requests
            await wrapper.aclose()

        asyncio.run(story())


def test_busy_server_does_not_hold_back_the_other(clock):
    with FakeOpenAI() as a, FakeOpenAI() as b:
        wrapper = create_model_wrapper("qwen3.5_35b", ip_addr=[a.base_url, b.base_url])
        wrapper.timing = clock.timing

        async def story():
            await wrapper.prepare()
            on_a, on_b = wrapper.pool().servers
            on_a.gate.hold(50)
            await on_b.post("/chat/completions", b'{"messages": []}')
            assert clock.pauses == []
            await on_a.post("/chat/completions", b'{"messages": []}')
            assert clock.pauses == [50.5]
            await wrapper.aclose()

        asyncio.run(story())
