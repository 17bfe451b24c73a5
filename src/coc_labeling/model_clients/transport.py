"""Requests over HTTP: the openai package on connections that lead to allowed hosts only.

Importing this module needs the extra ``vlm``; ``require`` says so where it is missing.
"""

import asyncio
import json
import math
import ssl
import urllib.request
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai

from coc_labeling.model_clients import failures
from coc_labeling.model_clients.background import PerLoop
from coc_labeling.model_clients.credentials import Access, OAuthClient
from coc_labeling.model_clients.egress import EgressLog, allowed, is_bare, is_loopback
from coc_labeling.model_clients.errors import EgressRefused, ModelError
from coc_labeling.model_clients.retrying import Gate, Timing
from coc_labeling.model_clients.tokens import TokenSource

LONGEST_CONNECT_S = 10.0
# Servers on uvicorn (vLLM) close idle connections after 5 s; one that closes under a request costs a retry.
KEEP_ALIVE_S = 4.0
DOWN_S = 30.0  # a server that cannot be connected to is left alone for so long
LARGEST_ANSWER_BYTES = 32 * 2**20
LONGEST_LOOK_UP_S = 30.0  # what is read from a server besides answers takes it no thought

# What a request says about itself; the openai package would add the platform and headers from the environment.
# Nothing about compression: an answer is small, and a small one that unpacks to gigabytes is not asked for.
_HEADERS_SENT = frozenset(
    {"host", "accept", "connection", "content-type", "content-length", "user-agent", "authorization"}
)


_IMAGES = "x-images"  # how many pictures a body holds, for the log; it is not sent


class AnswerTooLarge(httpx2.TransportError):
    """An answer that would fill the memory, or might."""


class _Limited(httpx2.AsyncByteStream):
    """A body that stops being read when it is too long."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        n_bytes = 0
        async for chunk in self._stream:
            n_bytes += len(chunk)
            if n_bytes > LARGEST_ANSWER_BYTES:
                raise AnswerTooLarge(f"more than {LARGEST_ANSWER_BYTES:,} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Sends requests to allowed hosts and counts them; everything that leaves passes here.

    Args:
        allow_hosts: hosts besides this machine.
        log: where requests and bytes are counted.
        headers: names of headers to send beyond the usual ones.
    """

    def __init__(self, allow_hosts: Iterable[str], log: EgressLog, headers: Iterable[str] = ()) -> None:
        self._allow_hosts = tuple(allow_hosts)
        self._log = log
        self._headers = _HEADERS_SENT | {name.lower() for name in headers}
        self._inner: dict[tuple[str, str | None], httpx2.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request.

        Raises:
            EgressRefused: its host is not allowed, or a provider's and in plain text.
            AnswerTooLarge: the answer is packed.
        """
        host, scheme = request.url.host, request.url.scheme
        if is_bare(scheme, host):
            raise EgressRefused(f"a request to {host} in plain text was held back; write https://", code="egress")
        if not allowed(host, request.url.port or {"http": 80, "https": 443}[scheme], self._allow_hosts):
            raise EgressRefused(f"a request to {host} was held back: add egress.allow_hosts=[{host}]", code="egress")
        n_images = int(request.headers.get(_IMAGES, 0))
        request.headers = httpx2.Headers(
            [(name, value) for name, value in request.headers.multi_items() if name.lower() in self._headers]
        )
        try:
            response = await self._transport(scheme, _proxy(scheme, host, self._allow_hosts)).handle_async_request(
                request
            )
        except (httpx2.ConnectError, httpx2.ConnectTimeout):  # nothing left
            raise
        except BaseException:
            self._log.add(host, requests=1, images=n_images, n_bytes=int(request.headers.get("content-length", 0)))
            raise
        self._log.add(host, requests=1, images=n_images, n_bytes=int(request.headers.get("content-length", 0)))
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Limited(response.stream)
        return await _unpacked(response)

    def _transport(self, scheme: str, proxy: str | None) -> httpx2.AsyncHTTPTransport:
        if (scheme, proxy) not in self._inner:
            limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=KEEP_ALIVE_S)
            # Reading the system's certificates takes 40 ms, in vain where no certificate is ever seen. The empty
            # context trusts nobody.
            is_plain = scheme == "http" and proxy is None
            verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if is_plain else True
            self._inner[scheme, proxy] = httpx2.AsyncHTTPTransport(limits=limits, proxy=proxy, verify=verify)
        return self._inner[scheme, proxy]

    async def aclose(self) -> None:
        """Close every connection."""
        for inner in self._inner.values():
            await inner.aclose()


async def _unpacked(response: httpx2.Response) -> httpx2.Response:
    """Return an answer that came as it is; of a packed one that tells of an error, its status and headers.

    Raises:
        AnswerTooLarge: packed, though nobody asked for it: a few bytes may unpack to more than the memory holds.
    """
    packed = [one.strip().lower() for one in response.headers.get("content-encoding", "").split(",")]
    if set(packed) <= {"", "identity"}:
        return response
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    await response.stream.aclose()
    if response.is_success:
        raise AnswerTooLarge("a packed body, which was not asked for")
    about_body = ("content-encoding", "content-length", "transfer-encoding")
    kept = [(name, value) for name, value in response.headers.multi_items() if name.lower() not in about_body]
    return httpx2.Response(response.status_code, headers=kept, content=b"", extensions=response.extensions)


def _proxy(scheme: str, host: str, allow_hosts: Iterable[str]) -> str | None:
    """Return the environment's proxy for a host, or None to go there directly.

    This machine is never reached by a detour through another. To others, ``https`` takes any proxy: what passes it is
    encrypted from end to end. A proxy of ``http`` reads all that passes, so it must be on this machine or in
    ``allow_hosts`` as the host itself; another one is left aside.
    """
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    return proxy if scheme == "https" or _is_named(proxy, allow_hosts) else None


def _is_named(proxy: str, allow_hosts: Iterable[str]) -> bool:
    try:
        parts = urlsplit(proxy)
        return allowed(parts.hostname or "", parts.port or 80, allow_hosts)
    except ValueError:
        return False


@dataclass(frozen=True)
class _Connections:
    http: httpx2.AsyncClient
    api: openai.AsyncOpenAI


@dataclass
class Server:
    """One server that answers chat requests, with its connections, its gate and its load.

    Attributes:
        access: how it is reached.
        allow_hosts: where its requests may go besides this machine.
        timeout_sec: of one attempt, from its start to the answer's last byte, in s.
        log: counts what leaves.
        timing: clock, pause and chance.
        in_flight: requests under way.
        suspect: whether the last connection failed; one request at a time tries it then.
        down_until: when to try it again after that, on the clock of ``timing``.
    """

    access: Access
    allow_hosts: tuple[str, ...]
    timeout_sec: float
    log: EgressLog
    timing: Timing = field(default_factory=Timing)
    in_flight: int = 0
    suspect: bool = False
    down_until: float = -math.inf

    def __post_init__(self) -> None:
        self.gate = Gate(self.timing)
        self.host = httpx2.URL(self.access.base_url).host
        self._connections = PerLoop(self._open)
        key = self.access.key
        self._tokens = TokenSource(key, self.timing) if isinstance(key, OAuthClient) else None

    def _open(self) -> _Connections:
        timeout = httpx2.Timeout(self.timeout_sec, connect=min(self.timeout_sec, LONGEST_CONNECT_S))
        http = httpx2.AsyncClient(
            transport=GuardedTransport(self.allow_hosts, self.log, self.access.headers),
            timeout=timeout,
            trust_env=False,
            follow_redirects=False,
        )
        # "EMPTY" is what servers without keys are sent by custom; empty texts keep the environment's from leaking.
        api = openai.AsyncOpenAI(
            api_key="EMPTY",
            organization="",
            project="",
            base_url=self.access.base_url,
            default_headers=dict(self.access.headers),
            http_client=http,
            timeout=timeout,
            max_retries=0,
        )
        return _Connections(http, api)

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        connections = self._connections.pop()
        if connections is not None:
            await connections.http.aclose()

    def secrets(self) -> tuple[str, ...]:
        """Return the texts that must never be seen."""
        return self.access.secrets() + (self._tokens.secrets() if self._tokens else ())

    async def get(self, path: str) -> dict[str, Any]:
        """Return the JSON object at an address below the base, within half a minute; errors as ``post`` has them."""
        return await self._guarded(path, None, min(self.timeout_sec, LONGEST_LOOK_UP_S))

    async def post(self, path: str, body: bytes, n_images: int = 0) -> dict[str, Any]:
        """Send a JSON body and return the JSON object that comes back.

        Raises:
            ModelError: no usable answer; its ``retryable`` says whether another attempt makes sense. Or the flag
                ``timing.stop`` was set before anything was sent.
        """
        await self.gate.wait()
        return await self._guarded(path, body, self.timeout_sec, {_IMAGES: str(n_images)})

    async def _guarded(
        self, path: str, body: bytes | None, timeout_sec: float, notes: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Make one attempt; a token that ran out on the way is renewed once without counting as a failure."""
        authorization = await self._authorization()
        outcome = await self._attempt(path, body, timeout_sec, {**authorization, **(notes or {})})
        if isinstance(outcome, ModelError) and outcome.status == 401 and self._tokens is not None:
            self._tokens.forget(authorization["Authorization"])
            authorization = await self._authorization()
            outcome = await self._attempt(path, body, timeout_sec, {**authorization, **(notes or {})})
        if not isinstance(outcome, ModelError):
            return outcome
        if outcome.status in (429, 503) and outcome.retry_after_s:
            self.gate.hold(outcome.retry_after_s)
        raise outcome

    async def _authorization(self) -> dict[str, str]:
        if self._tokens is not None:
            http = self._connections.get().http  # guarded, as every request is
            return {"Authorization": f"Bearer {await self._tokens.token(http, self.timeout_sec)}"}
        if self.access.key is None or isinstance(self.access.key, OAuthClient):
            return {}
        return {"Authorization": f"Bearer {self.access.key.reveal()}"}

    async def _attempt(
        self, path: str, body: bytes | None, timeout_sec: float, headers: dict[str, str]
    ) -> dict[str, Any] | ModelError:
        self.timing.stop.check()  # here, for a token may have taken a while
        # The error is returned, not raised, so that no traceback leads to a request with its headers.
        try:
            async with asyncio.timeout(timeout_sec):
                response = await self._send(path, body, headers)
        except TimeoutError:
            return failures.too_slow(self.host, timeout_sec)
        except openai.APIStatusError as error:
            self.suspect = False
            return failures.refused_by_status(
                self.host,
                error.status_code,
                error.response.headers,
                error.body,
                self.secrets(),
                self.access.key_names,
            )
        except openai.APIConnectionError as error:
            return self._unanswered(error)
        self.suspect = False
        return self._object(response.content)

    async def _send(self, path: str, body: bytes | None, headers: dict[str, str]) -> httpx2.Response:
        # The body is already bytes and the answer stays raw: checking and copying both costs more than sending them
        # where a request holds megabytes of pictures.
        options: Any = {"headers": headers, "params": dict(self.access.query)}
        api = self._connections.get().api
        if body is None:
            return await api.get(path, cast_to=httpx2.Response, options=options)
        return await api.post(path, cast_to=httpx2.Response, content=body, options=options)

    def _unanswered(self, error: openai.APIConnectionError) -> ModelError:
        if isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout):
            self.suspect = True
            self.down_until = self.timing.now() + DOWN_S
        if isinstance(error.__cause__, ModelError):  # the guard's own
            return error.__cause__
        if isinstance(error.__cause__, AnswerTooLarge):
            return failures.bad_response(self.host, str(error.__cause__), b"", ())
        if isinstance(error, openai.APITimeoutError) and not isinstance(error.__cause__, httpx2.ConnectTimeout):
            return failures.too_slow(self.host, self.timeout_sec)
        return failures.not_reached(self.host, error, self.secrets())

    def _object(self, content: bytes) -> dict[str, Any] | ModelError:
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            what = "an empty body" if not content.strip() else "something that is no JSON"
            return failures.bad_response(self.host, what, content, self.secrets())
        if not isinstance(answer, dict):
            return failures.bad_response(self.host, "JSON that is no object", content, self.secrets())
        return answer
