"""A server on loopback that speaks OpenAI's chat completions, Azure's and an OAuth endpoint, faults included.

In a test:

    with FakeOpenAI(script=[Status(429, headers={"retry-after": "1"}), Ok()]) as fake:
        ...  # fake.base_url, fake.requests

As a process of its own, for benchmarks: ``python tests/builders/fake_openai.py --port 0 --latency 0.2 --room 32``
prints its address and serves until it is stopped.
"""

import argparse
import asyncio
import base64
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from coc_labeling.model_clients.json_schemas import smallest_instance

REASONS = {200: "OK", 307: "Temporary Redirect", 400: "Bad Request", 401: "Unauthorized", 429: "Too Many Requests"}


@dataclass
class Request:
    """What arrived."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """Return the body."""
        return json.loads(self.body)


class Writer:
    """The answering side of a connection."""

    def __init__(self, stream: asyncio.StreamWriter) -> None:
        self.stream = stream

    def head(self, status: int, length: int, headers: dict[str, str] | None = None) -> None:
        """Write the status line and the headers of an answer."""
        named = {"content-type": "application/json", "content-length": str(length), **(headers or {})}
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}", *(f"{k}: {v}" for k, v in named.items())]
        self.stream.write("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Write an answer."""
        self.head(status, len(body), headers)
        self.stream.write(body)
        await self.stream.drain()

    def reset(self) -> None:
        """Break the connection as a crashed server does."""
        raw: socket.socket = self.stream.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.stream.transport.abort()


@dataclass
class Ok:
    """An answer: ``content``, or the smallest one that the request's schema allows."""

    content: str | None = None
    finish_reason: str = "stop"
    message: dict[str, Any] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=lambda: dict(USAGE))
    headers: dict[str, str] = field(default_factory=dict)

    def body(self, request: Request) -> bytes:
        """Return the JSON of a completion."""
        content = smallest_answer(request) if self.content is None else self.content
        choice = {
            "index": 0,
            "finish_reason": self.finish_reason,
            "message": {"role": "assistant", "content": content, "refusal": None, **self.message},
        }
        answer = {
            "id": "chatcmpl-fake",
            "object": "chat.completion",
            "created": 0,
            "model": "fake-model",
            "system_fingerprint": "fp_fake",
            "choices": [choice],
            "usage": self.usage,
        }
        return json.dumps(answer).encode()

    async def respond(self, request: Request, writer: Writer) -> None:
        """Answer."""
        await writer.send(200, self.body(request), self.headers)


USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 50,
    "total_tokens": 1050,
    "prompt_tokens_details": {"cached_tokens": 200},
    "completion_tokens_details": {"reasoning_tokens": 20},
}


def smallest_answer(request: Request) -> str:
    """Return the smallest text that the request's response format allows."""
    wanted = request.json.get("response_format") or {}
    if wanted.get("type") != "json_schema":
        return "{}" if wanted else "dummy answer"
    return json.dumps(smallest_instance(wanted["json_schema"]["schema"]))


@dataclass
class Raw:
    """Any bytes with any status."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    async def respond(self, request: Request, writer: Writer) -> None:
        """Answer."""
        await writer.send(self.status, self.body, self.headers)


def Status(  # noqa: N802 - reads as the other behaviours do
    status: int, message: str = "no", headers: dict[str, str] | None = None, **error: Any
) -> Raw:
    """Return an error in OpenAI's form."""
    body = {"error": {"message": message, "type": None, "code": None, "param": None, **error}}
    return Raw(json.dumps(body).encode(), status, headers or {})


def Html() -> Raw:  # noqa: N802
    """Return a proxy's friendly page."""
    return Raw(b"<html><body>Please log in</body></html>", headers={"content-type": "text/html"})


def Expired401() -> Raw:  # noqa: N802
    """Return what a token that ran out is answered with."""
    return Status(401, "The token has expired", code="401")


def Refusal(text: str = "I cannot help with that.") -> Ok:  # noqa: N802
    """Return a model's refusal."""
    return Ok(content="", message={"content": None, "refusal": text})


def Fenced(content: str = '{"sentence": "Stop."}') -> Ok:  # noqa: N802
    """Return JSON as chatty models wrap it."""
    return Ok(content=f"Here it is:\n```json\n{content}\n```\nAnything else?")


def WrongSchema() -> Ok:  # noqa: N802
    """Return JSON that is not what was asked for."""
    return Ok(content='{"unexpected": 1}')


def Huge(n_bytes: int = 10_000_000) -> Ok:  # noqa: N802
    """Return an answer that never wants to end."""
    return Ok(content="x" * n_bytes)


@dataclass
class Hang:
    """Nothing, for long."""

    seconds: float = 3600.0

    async def respond(self, request: Request, writer: Writer) -> None:
        """Wait."""
        await asyncio.sleep(self.seconds)


@dataclass
class Drip:
    """An answer byte by byte, which no timeout between two bytes notices."""

    delay: float = 0.05

    async def respond(self, request: Request, writer: Writer) -> None:
        """Answer slowly."""
        body = Ok().body(request)
        writer.head(200, len(body))
        for position in range(len(body)):
            writer.stream.write(body[position : position + 1])
            await writer.stream.drain()
            await asyncio.sleep(self.delay)


@dataclass
class Truncated:
    """Half an answer, then an orderly close."""

    async def respond(self, request: Request, writer: Writer) -> None:
        """Answer half."""
        body = Ok().body(request)
        writer.head(200, len(body))
        writer.stream.write(body[: len(body) // 2])
        await writer.stream.drain()
        writer.stream.close()


@dataclass
class ResetMidBody:
    """Half an answer, then a reset connection."""

    async def respond(self, request: Request, writer: Writer) -> None:
        """Answer half and break off."""
        body = Ok().body(request)
        writer.head(200, len(body))
        writer.stream.write(body[: len(body) // 2])
        await writer.stream.drain()
        await asyncio.sleep(0.02)
        writer.reset()


@dataclass
class ResetAtOnce:
    """A reset before any byte of an answer."""

    async def respond(self, request: Request, writer: Writer) -> None:
        """Break off."""
        writer.reset()


Behaviour = Ok | Raw | Hang | Drip | Truncated | ResetMidBody | ResetAtOnce


@dataclass
class FakeOpenAI:
    """The server; a context manager that runs it in a thread.

    Attributes:
        script: what the next chat requests get, in turn; ``default`` after that.
        default: the usual behaviour.
        answer: makes the answer's text from a request, instead of ``default``.
        models: what ``GET /v1/models`` lists.
        oauth_script: what the next token requests get, in turn; a new token after that.
        token_lifetime_s: ``expires_in`` of tokens.
        latency: s before each chat answer begins, as a model's thinking.
        oauth_latency: s before each token.
        room: how many chat requests are worked on at once; the others wait.
        keep: whether requests are remembered (a benchmark would fill the memory).
        requests: all chat requests so far.
        token_requests: all requests for tokens.
        model_requests: all requests for the list of models.
        in_flight: chat requests under way; ``peak`` the most there were.
    """

    script: list[Behaviour] = field(default_factory=list)
    default: Behaviour = field(default_factory=Ok)
    answer: Callable[[Request], str] | None = None
    models: tuple[str, ...] = ("fake-model",)
    oauth_script: list[Behaviour] = field(default_factory=list)
    token_lifetime_s: float = 3600.0
    latency: float = 0.0
    oauth_latency: float = 0.0
    room: int | None = None
    keep: bool = True
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    token_requests: list[Request] = field(default_factory=list)
    model_requests: list[Request] = field(default_factory=list)
    in_flight: int = 0
    peak: int = 0
    served: int = 0

    @property
    def root(self) -> str:
        """Return the address without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """Return the address for clients."""
        return f"{self.root}/v1"

    def __enter__(self) -> Self:
        """Start."""
        started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; connections break."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self.serve(started.set))
        finally:
            self._loop.close()

    async def serve(self, on_start: Callable[[], object] = lambda: None) -> None:
        """Serve until stopped."""
        self._stop = asyncio.Event()
        self._places = asyncio.Semaphore(self.room) if self.room else None
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=2**20, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        on_start()
        await self._stop.wait()
        server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, stream: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._converse(reader, stream)
        except (asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            pass  # the other side left, or the test is over
        finally:
            self._tasks.discard(task)
            stream.close()

    async def _converse(self, reader: asyncio.StreamReader, stream: asyncio.StreamWriter) -> None:
        writer = Writer(stream)
        while not stream.is_closing():
            request = _parse((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
            request.body = await reader.readexactly(int(request.headers.get("content-length", 0)))
            if request.path.endswith("/chat/completions"):
                await self._chat(request, writer)
            elif request.path.endswith("/models"):
                self.model_requests.append(request)
                listed = [{"id": name, "object": "model"} for name in self.models]
                await writer.send(200, json.dumps({"object": "list", "data": listed}).encode())
            elif request.path.endswith("/token"):
                await self._token(request, writer)
            else:
                await Status(404, f"no such path: {request.path}").respond(request, writer)

    async def _chat(self, request: Request, writer: Writer) -> None:
        if self.keep:
            self.requests.append(request)
        behaviour = self.script.pop(0) if self.script else self.default
        if self.answer is not None and isinstance(behaviour, Ok) and behaviour.content is None:
            behaviour = Ok(content=self.answer(request))
        if self._places is not None:
            await self._places.acquire()
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            if self.latency:
                await asyncio.sleep(self.latency)
            await behaviour.respond(request, writer)
            self.served += 1
        finally:
            self.in_flight -= 1
            if self._places is not None:
                self._places.release()

    async def _token(self, request: Request, writer: Writer) -> None:
        self.token_requests.append(request)
        number = len(self.token_requests)
        if self.oauth_latency:
            await asyncio.sleep(self.oauth_latency)
        if self.oauth_script:
            await self.oauth_script.pop(0).respond(request, writer)
            return
        token = {"access_token": f"token-{number}", "token_type": "bearer", "expires_in": self.token_lifetime_s}
        await writer.send(200, json.dumps(token).encode())


def _parse(head: str) -> Request:
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    parts = urlsplit(target)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Request(method, parts.path, parts.query, headers, b"")


def basic(client_id: str, client_secret: str) -> str:
    """Return the header that a client of OAuth should send."""
    return "Basic " + base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()


def main(arguments: Iterable[str] | None = None) -> None:
    """Serve as a process of its own; the first line printed is the address."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="s before each answer")
    parser.add_argument("--room", type=int, default=None, help="requests at once")
    parser.add_argument("--content", default=None, help="the answer's text; without it, made from the schema")
    chosen = parser.parse_args(None if arguments is None else list(arguments))
    fake = FakeOpenAI(
        port=chosen.port, latency=chosen.latency, room=chosen.room, keep=False, default=Ok(content=chosen.content)
    )
    asyncio.run(fake.serve(lambda: print(fake.base_url, flush=True)))


if __name__ == "__main__":
    main()
