"""Qwen models: on vLLM servers of one's own, or inside this process."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from coc_labeling.model_clients.background import PerLoop, Shared
from coc_labeling.model_clients.credentials import Access, with_version
from coc_labeling.model_clients.errors import ModelError, ModelUnusable
from coc_labeling.model_clients.failures import shown
from coc_labeling.model_clients.local.checkpoints import Source
from coc_labeling.model_clients.local.model import LocalModel
from coc_labeling.model_clients.retrying import with_retries
from coc_labeling.model_clients.vlm_wrappers.chat import ChatWrapper
from coc_labeling.model_clients.vlm_wrappers.cloud import sampling
from coc_labeling.model_clients.vlm_wrappers.common import Message, ModelSettings, structured
from coc_labeling.model_clients.vlm_wrappers.videos import video_parts

if TYPE_CHECKING:
    from coc_labeling.model_clients.transport import Server

# Name -> (folder in the Hugging Face cache, Hugging Face id, quantization).
QWEN_MODEL_SPECS: dict[str, tuple[str, str, str | None]] = {
    "qwen3.5_35b": ("models--Qwen--Qwen3.5-35B-A3B", "Qwen/Qwen3.5-35B-A3B", None),
    "qwen3_vl_235b_awq": (
        "models--QuantTrio--Qwen3-VL-235B-A22B-Instruct-AWQ",
        "QuantTrio/Qwen3-VL-235B-A22B-Instruct-AWQ",
        "awq",
    ),
    "qwen3.5_397b_fp8": ("models--Qwen--Qwen3.5-397B-A17B-FP8", "Qwen/Qwen3.5-397B-A17B-FP8", "fp8"),
}

DEFAULT_PORT = 8000
IN_FLIGHT_PER_SERVER = 64
KEEP_FAILURE_S = 10.0  # windows that come one after another are told at once that nobody is there


class QwenWrapper(ChatWrapper):
    """A Qwen model: on the vLLM servers that ``ip_addr`` names, else inside this process.

    Attributes:
        local: the model inside this process, None where servers have it.
    """

    preferred_in_flight = IN_FLIGHT_PER_SERVER
    takes_model_path = True
    local: LocalModel | None = None
    _is_asked = False

    @property
    def is_local(self) -> bool:
        """Whether no server is named."""
        return not _names(self.ip_addr)

    def configure(self, settings: ModelSettings) -> None:
        """Take settings and check what can be checked before anything is started.

        Raises:
            ModelUnusable: an address that will not do; or, inside this process, vLLM, the checkpoint or GPUs are
                missing, or do not fit together.
        """
        if not self.is_local:
            if settings.local.model_path is not None:
                raise ModelUnusable("model_path is for a model inside this process: leave out server_ip, or model_path")
            super().configure(settings)
            return
        super(ChatWrapper, self).configure(settings)
        folder, hub_id, quantization = self._spec()
        self._access = ()  # no server
        self.local = LocalModel(Source(folder, hub_id), quantization, settings.local)
        self.model_id = self.local.model_id
        self.preferred_in_flight = self.local.preferred_in_flight

    def _spec(self) -> tuple[str, str, str | None]:
        if self.model_name not in QWEN_MODEL_SPECS:
            raise ModelUnusable(
                f"{self.model_name} is not in QWEN_MODEL_SPECS; there are: {', '.join(QWEN_MODEL_SPECS)}"
            )
        return QWEN_MODEL_SPECS[self.model_name]

    def locate(self) -> tuple[Access, ...]:
        """Return how each server is reached.

        Raises:
            ModelUnusable: no server, or a model that ``QWEN_MODEL_SPECS`` does not have.
        """
        self.model_id = self._spec()[1]
        self._is_asked = False
        # When the first one asks, for tests replace the clock before that.
        self._asking: PerLoop[Shared[str]] = PerLoop(lambda: Shared(self.timing.now, KEEP_FAILURE_S))
        urls = server_urls(self.ip_addr)
        self.preferred_in_flight = IN_FLIGHT_PER_SERVER * len(urls)
        return tuple(Access(provider="vllm", base_url=url, setting="server_ip") for url in urls)

    def describe(self) -> dict[str, Any]:
        """Return provider, addresses and model; inside this process which checkpoint, too."""
        if self.local is None:
            return super().describe()
        return {
            "provider": "vllm",
            "base_urls": [],
            "model": self.model_id,
            "revision": self.local.revision,
        }

    def measured(self) -> dict[str, Any]:
        """Return how busy the engine inside this process was."""
        return {} if self.local is None else self.local.measured()

    def add_message(self, role: str, m_type: str, content: Any) -> Message:
        """Return a chat message; inside this process frames are one video, with their times."""
        message = super().add_message(role, m_type, content)
        if self.is_local and m_type == "video":
            message["content"] = video_parts(content)
        return message

    def parameters(
        self, max_tokens: int, seed: int, temperature: float, top_p: float, repetition_penalty: float
    ) -> dict[str, Any]:
        """Return limit and sampling; Qwen3.5 is told not to think, which would cost more than the answer."""
        limit = self.settings.token_parameter or "max_tokens"
        parameters = sampling(limit, max_tokens, seed, temperature, top_p, repetition_penalty)
        # With model_path the name may say less than the checkpoint; Qwen3-VL's template does not read it.
        if self.is_local or "qwen3.5" in self.model_name.lower():
            parameters["chat_template_kwargs"] = {"enable_thinking": False}
        return parameters

    async def prepare(self) -> None:
        """Ask the servers once what they call the model; ``model_id`` and requests change with the answer.

        All that wait for the answer share one attempt and its failure, which is told again for some seconds. Inside
        this process, load the model.

        Raises:
            ModelError: no server answers, one that does has several models of which none is ours, or two that do have
                no model in common; or the model cannot be loaded.
        """
        self._configured()
        if self.local is not None:
            await self.local.start(self.log_path, self._stop)
        elif not self._is_asked:
            self.model_id = await self._asking.get().result(self._find_id)
            self._is_asked = True

    async def send(
        self, body: dict[str, Any], json_schema: type[BaseModel] | None = None, *, session: str | None = None
    ) -> dict[str, Any]:
        """Return the answer to a body that ``request`` built; see ``BaseWrapper.ainfer``."""
        if self.local is None:
            return await super().send(body, json_schema, session=session)
        self._stop.check()
        engine = await self.local.start(self.log_path, self._stop)
        answer = await engine.generate(body, session, self.timeout_sec, self._stop)
        return {
            "finish_reason": answer.finish_reason,
            "content": structured(answer.text, json_schema),
            "text": answer.text,
            "prompt_tokens": answer.prompt_tokens,
            "response_tokens": answer.response_tokens,
            "reasoning_tokens": 0,
            "cached_tokens": answer.cached_tokens,
            "system_fingerprint": self.local.revision,
            "model": self.model_id,
        }

    async def aclose(self) -> None:
        """Close the connections of the running loop; inside this process, end the engine."""
        await super().aclose()
        if self.local is not None:
            await self.local.close()

    async def _find_id(self) -> str:
        """Return the name that every server which answers has for the model."""
        return common_id(self.model_id, await with_retries(self._listed, self.settings.max_retries, self._stoppable()))

    async def _listed(self) -> dict[str, list[str]]:
        """Return the models of each server that answers, by its address; raises ModelError where none does."""

        async def ask(server: "Server") -> list[str] | ModelError:
            try:
                return _ids(await server.get("/models"))
            except ModelError as error:
                return error

        servers = self.pool().servers
        outcomes = await asyncio.gather(*(ask(server) for server in servers))
        answered = {
            server.access.base_url: outcome
            for server, outcome in zip(servers, outcomes, strict=True)
            if not isinstance(outcome, ModelError)
        }
        failed = [outcome for outcome in outcomes if isinstance(outcome, ModelError)]
        if not answered:
            # As long as one of them may come up, it is worth another attempt.
            raise next((error for error in failed if error.retryable), failed[0])
        return answered


def _ids(answer: Mapping[str, Any]) -> list[str]:
    listed = answer.get("data")
    models = listed if isinstance(listed, list) else []
    return [model["id"] for model in models if isinstance(model, dict) and isinstance(model.get("id"), str)]


def common_id(expected: str, served: Mapping[str, Sequence[str]]) -> str:
    """Return the one name under which servers have a model: one body of a request goes to whichever is free.

    Args:
        expected: the name that is taken where all have it.
        served: the names that each server has, by its address; at least one server.

    Raises:
        ModelUnusable: a server has several others only, or another than the first one has; the message names it.

    Example:
        >>> common_id("a", {"http://x": ["a", "b"], "http://y": ["a"]}), common_id("a", {"http://x": ["mine"]})
        ('a', 'mine')
    """
    common = set.intersection(*(set(ids) for ids in served.values()))
    if expected in common:
        return expected
    if len(common) == 1:
        return common.pop()
    has_expected = [url for url, ids in served.items() if expected in ids]
    first = (has_expected or list(served))[0]
    other = next((url for url in served if not set(served[url]) & set(served[first])), None)
    if other is None:  # they agree on nothing, or on too much
        other = next((url for url in served if expected not in served[url]), first)
    message = f"{other} serves {shown(', '.join(served[other])) or 'no model'}; expected {expected}"
    if other != first:
        message += f", as all servers need one name, and {first} serves {shown(', '.join(served[first])) or 'no model'}"
    raise ModelUnusable(f"{message}: start it with `vllm serve {expected}`", code="model_not_found")


def server_urls(ip_addr: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the addresses of servers.

    Args:
        ip_addr: ``host``, ``host:port`` or ``http://host:port/v1``; several as a list or with commas between.

    Raises:
        ModelUnusable: no address.

    Example:
        >>> server_urls("localhost, gpu-2:8001")
        ('http://localhost:8000/v1', 'http://gpu-2:8001/v1')
    """
    return tuple(dict.fromkeys(_server_url(name) for name in _names(ip_addr)))


def _names(ip_addr: str | Sequence[str] | None) -> list[str]:
    listed = ip_addr.split(",") if isinstance(ip_addr, str) else list(ip_addr or ())
    names = [name.strip() for one in listed for name in str(one).split(",")]
    return [name for name in names if name]


def _server_url(name: str) -> str:
    if "://" in name:
        return with_version(name, "server_ip")
    has_port = ":" in name.rpartition("]")[2]
    return with_version(f"http://{name}" if has_port else f"http://{name}:{DEFAULT_PORT}", "server_ip")
