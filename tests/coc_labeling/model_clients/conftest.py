import asyncio
from collections.abc import Iterator

import pytest

from builders.fake_openai import FakeOpenAI
from coc_labeling.model_clients.retrying import Timing
from coc_labeling.model_clients.vlm_wrappers import ModelSettings, create_model_wrapper

CREDENTIALS = (
    "NVHOST_OAI_CLIENT_ID",
    "NVHOST_OAI_CLIENT_SECRET",
    "NVIDIA_API_KEY",
    "NV_INFERENCE_URL",
    "NV_INFERENCE_MODEL",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT",
)


class Clock:
    """A clock that pauses move on; nobody waits."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.pauses: list[float] = []
        self.timing = Timing(now=lambda: self.time, sleep=self.sleep, random=lambda: 0.5)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch) -> None:
    for name in CREDENTIALS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
def ask(fake, clock):
    """Ask the fake server one thing through ``openai_compatible``."""

    def _ask(*script, timeout_sec=5.0, json_schema=None, **settings):
        fake.script = list(script)
        chosen = ModelSettings(**{"base_url": fake.base_url, "model": "fake-model", **settings})
        wrapper = create_model_wrapper("openai_compatible", timeout_sec=timeout_sec, settings=chosen)
        wrapper.timing = clock.timing
        try:
            return wrapper.infer([wrapper.add_message("user", "text", "What now?")], json_schema=json_schema)
        finally:
            wrapper.close()

    return _ask
