"""Wrappers of servers that speak OpenAI's chat completions: one way to ask, retry and read the answer."""

import dataclasses
import importlib.util
import json
import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from coc_labeling.model_clients import bodies, failures, json_schemas
from coc_labeling.model_clients.credentials import Access
from coc_labeling.model_clients.egress import check_host
from coc_labeling.model_clients.errors import ModelError, ModelUnusable, RequestRefused
from coc_labeling.model_clients.retrying import Timing, with_retries
from coc_labeling.model_clients.servers import ServerPool
from coc_labeling.model_clients.vlm_wrappers.common import BaseWrapper, Message, ModelSettings, structured

if TYPE_CHECKING:
    from coc_labeling.model_clients.transport import Server

CHAT_PATH = "/chat/completions"
# Codes of a 403 or 404 that do not depend on the request; "oauth" is of the token, which all requests need.
_OF_EVERY_REQUEST = frozenset({"insufficient_quota", "billing_hard_limit_reached", "invalid_api_key", "oauth"})


class ChatWrapper(BaseWrapper):
    """A model behind one or several servers; subclasses say where they are and what a request holds.

    Attributes:
        timing: clock, pause and chance of retries; tests replace it before the first request.
        bounds_texts: whether its structured output understands the longest length of a text.
    """

    timing = Timing()
    bounds_texts = True
    provider_hosts: tuple[str, ...] = ()
    _access: tuple[Access, ...] | None = None
    _pool: "ServerPool[Server] | None" = None
    _has_answered = False  # once it has, key, address and model's name are right

    @abstractmethod
    def locate(self) -> tuple[Access, ...]:
        """Return how each server is reached, and set ``model_id``; nothing is opened."""

    @abstractmethod
    def parameters(
        self, max_tokens: int, seed: int, temperature: float, top_p: float, repetition_penalty: float
    ) -> dict[str, Any]:
        """Return what a request of this model holds besides model, messages and response format."""

    def configure(self, settings: ModelSettings) -> None:
        """Take settings and check credentials, addresses and hosts.

        Raises:
            ModelUnusable: any of these will not do, or the package openai is missing.
        """
        super().configure(settings)
        access = self.locate()
        allow_hosts = self._allow_hosts()
        hosts = [check_host(url, allow_hosts, one.setting) for one in access for url in one.urls()]
        if importlib.util.find_spec("openai") is None:
            raise ModelUnusable(f"{self.model_name} needs the package openai: pip install 'coc-toolkit[vlm]'")
        self.hosts = tuple(dict.fromkeys(hosts))
        self._access = access
        self._pool = None
        self._has_answered = False

    def _allow_hosts(self) -> tuple[str, ...]:
        return (*self.settings.allow_hosts, *self.provider_hosts)

    def describe(self) -> dict[str, Any]:
        """Return provider, addresses and model; no secrets."""
        access = self._configured()
        return {
            "provider": access[0].provider,
            "base_urls": [one.base_url for one in access],
            "model": self.model_id,
        }

    def _configured(self) -> tuple[Access, ...]:
        if self._access is None:
            self.configure(self.settings)
        assert self._access is not None
        return self._access

    def pool(self) -> "ServerPool[Server]":
        """Return the servers; the first call imports what talks to them."""
        access = self._configured()
        if self._pool is None:
            from coc_labeling.model_clients.transport import Server

            allow = self._allow_hosts()
            timing = self._stoppable()
            servers = [Server(one, allow, self.timeout_sec, self.egress, timing) for one in access]
            self._pool = ServerPool(servers, timing)
        return self._pool

    def _stoppable(self) -> Timing:
        return dataclasses.replace(self.timing, stop=self._stop)

    def request(
        self,
        messages: list[Message],
        max_tokens: int = 4096,
        seed: int = 0,
        temperature: float = 0.0,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        json_schema: type[BaseModel] | None = None,
    ) -> dict[str, Any]:
        """Return the exact JSON body that ``infer`` sends."""
        if self.init_model:
            self._configured()
        settings = self.settings
        body = self.parameters(max_tokens, seed, temperature, top_p, repetition_penalty)
        if json_schema is not None and settings.response_format == "json_schema":
            body["response_format"] = json_schemas.response_format(json_schema, bounded=self.bounds_texts)
        elif json_schema is not None and settings.response_format == "json_object":
            body["response_format"] = {"type": "json_object"}
        body |= settings.extra_body or {}
        kept = {name: value for name, value in body.items() if name not in settings.omit_parameters}
        return {"model": self.model_id, "messages": messages} | kept

    async def send(
        self, body: dict[str, Any], json_schema: type[BaseModel] | None = None, *, session: str | None = None
    ) -> dict[str, Any]:
        """Return the answer to a body that ``request`` built; see ``BaseWrapper.ainfer``."""
        pool = self.pool()
        data, n_images = bodies.to_bytes(body)

        async def attempt() -> dict[str, Any]:
            with pool.lend(session) as server:
                return _usable(await server.post(CHAT_PATH, data, n_images), server)

        try:
            answer = await with_retries(attempt, self.settings.max_retries, self._stoppable())
        except (RequestRefused, ModelUnusable) as error:
            if isinstance(error, RequestRefused) and error.code in failures.CONTENT_FILTER_CODES:
                return _result({}, "content_filter", str(error), str(error), self.model_id)
            raise self._in_hindsight(error) from None
        self._has_answered = True
        return self._read(answer, json_schema)

    def _in_hindsight(self, error: ModelError) -> ModelError:
        """Return an error as it looks after an answer: a firewall or a gateway refuses single requests, too."""
        is_of_request = error.status in (403, 404) and error.code not in _OF_EVERY_REQUEST
        if self._has_answered and is_of_request and isinstance(error, ModelUnusable):
            return RequestRefused(str(error), status=error.status, code=error.code)
        return error

    def _read(self, answer: dict[str, Any], json_schema: type[BaseModel] | None) -> dict[str, Any]:
        choice = answer["choices"][0]
        message = _mapping(choice.get("message"))
        refusal = message.get("refusal")
        if isinstance(refusal, str) and refusal:
            return _result(answer, "refusal", refusal, refusal, self.model_id)
        text = _text(message.get("content"))
        return _result(answer, _word(choice.get("finish_reason")), structured(text, json_schema), text, self.model_id)

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        await super().aclose()
        if self._pool is not None:
            for server in self._pool.servers:
                await server.aclose()


def _usable(answer: dict[str, Any], server: "Server") -> dict[str, Any]:
    """Return an answer that ``_read`` can read.

    Raises:
        ModelUnreachable: its form is another.
    """
    oddity = _oddity(answer)
    if not oddity:
        return answer
    try:
        shown = json.dumps(answer)
    except RecursionError:
        shown = ""
    raise failures.bad_response(server.host, oddity, shown, server.secrets())


def _oddity(answer: Mapping[str, Any]) -> str:
    choices = answer.get("choices")
    if not (isinstance(choices, list) and choices and isinstance(choices[0], dict)):
        return "JSON that has no choices"
    message = choices[0].get("message")
    if message is None and choices[0].get("finish_reason") == "content_filter":
        return ""  # a filter may leave nothing of the message
    if not isinstance(message, dict):
        return "a choice that has no message"
    content = message.get("content")
    return "" if content is None or isinstance(content, str | list) else "a message that is no text"


def _text(content: object) -> str:
    """Return an answer's text; some servers send it in parts."""
    if isinstance(content, list):
        return "".join(_word(part.get("text")) for part in content if isinstance(part, dict))
    return _word(content)


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _result(
    answer: Mapping[str, Any], finish_reason: str, content: dict[str, Any] | str, text: str, model_id: str
) -> dict[str, Any]:
    usage = _mapping(answer.get("usage"))
    return {
        "finish_reason": finish_reason,
        "content": content,
        "text": text,
        "prompt_tokens": _count(usage.get("prompt_tokens")),
        "response_tokens": _count(usage.get("completion_tokens")),
        "reasoning_tokens": _count(_mapping(usage.get("completion_tokens_details")).get("reasoning_tokens")),
        "cached_tokens": _count(_mapping(usage.get("prompt_tokens_details")).get("cached_tokens")),
        "system_fingerprint": _word(answer.get("system_fingerprint")),
        "model": _word(answer.get("model")) or model_id,
    }


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int:
    if isinstance(value, int | float) and 0 <= value < math.inf:  # isfinite cannot take integers of 400 digits
        return int(value)
    return 0
