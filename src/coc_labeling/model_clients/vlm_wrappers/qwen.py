"""Qwen models on vLLM servers of one's own."""

import asyncio
from collections.abc import Sequence
from typing import Any

from coc_labeling.model_clients.background import PerLoop
from coc_labeling.model_clients.credentials import Access, with_version
from coc_labeling.model_clients.errors import ModelUnusable
from coc_labeling.model_clients.retrying import with_retries
from coc_labeling.model_clients.vlm_wrappers.chat import ChatWrapper
from coc_labeling.model_clients.vlm_wrappers.cloud import sampling

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


class QwenWrapper(ChatWrapper):
    """A Qwen model on one or several vLLM servers that ``ip_addr`` names."""

    preferred_in_flight = IN_FLIGHT_PER_SERVER
    _is_asked = False

    def locate(self) -> tuple[Access, ...]:
        """Return how each server is reached.

        Raises:
            ModelUnusable: no server, or a model that ``QWEN_MODEL_SPECS`` does not have.
        """
        if self.model_name not in QWEN_MODEL_SPECS:
            raise ModelUnusable(
                f"{self.model_name} is not in QWEN_MODEL_SPECS; there are: {', '.join(QWEN_MODEL_SPECS)}"
            )
        self.model_id = QWEN_MODEL_SPECS[self.model_name][1]
        self._is_asked = False
        self._asking = PerLoop(asyncio.Lock)
        urls = server_urls(self.ip_addr)
        if not urls:
            raise ModelUnusable(
                f"{self.model_name} needs server_ip: inference inside this process is not in this version. "
                f"Start a server with `vllm serve {self.model_id}` and pass server_ip=localhost",
                code="no_address",
            )
        self.preferred_in_flight = IN_FLIGHT_PER_SERVER * len(urls)
        return tuple(Access(provider="vllm", base_url=url, setting="server_ip") for url in urls)

    def parameters(
        self, max_tokens: int, seed: int, temperature: float, top_p: float, repetition_penalty: float
    ) -> dict[str, Any]:
        """Return limit and sampling; Qwen3.5 is told not to think, which would cost more than the answer."""
        limit = self.settings.token_parameter or "max_tokens"
        parameters = sampling(limit, max_tokens, seed, temperature, top_p, repetition_penalty)
        if "qwen3.5" in self.model_name.lower():
            parameters["chat_template_kwargs"] = {"enable_thinking": False}
        return parameters

    async def prepare(self) -> None:
        """Ask a server once what it calls the model; ``model_id`` and requests change with the answer.

        Raises:
            ModelError: no answer, or several models of which none is ours.
        """
        pool = self.pool()

        async def attempt() -> dict[str, Any]:
            with pool.lend(None) as server:
                return await server.get("/models")

        async with self._asking.get():
            if not self._is_asked:
                answer = await with_retries(attempt, self.settings.max_retries, self.timing)
                self.model_id = self._served_id(answer)
                self._is_asked = True

    def _served_id(self, answer: dict[str, Any]) -> str:
        listed = answer.get("data")
        models = listed if isinstance(listed, list) else []
        ids = [model["id"] for model in models if isinstance(model, dict) and isinstance(model.get("id"), str)]
        if self.model_id in ids:
            return self.model_id
        if len(ids) == 1:
            return str(ids[0])
        raise ModelUnusable(
            f"{', '.join(self.hosts)} serves {', '.join(ids) or 'no model'}; expected {self.model_id}: "
            f"start it with `vllm serve {self.model_id}`",
            code="model_not_found",
        )


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
    listed = ip_addr.split(",") if isinstance(ip_addr, str) else list(ip_addr or ())
    names = [name.strip() for one in listed for name in str(one).split(",")]
    return tuple(dict.fromkeys(_server_url(name) for name in names if name))


def _server_url(name: str) -> str:
    if "://" in name:
        return with_version(name, "server_ip")
    has_port = ":" in name.rpartition("]")[2]
    return with_version(f"http://{name}" if has_port else f"http://{name}:{DEFAULT_PORT}", "server_ip")
