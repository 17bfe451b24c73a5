"""Questions to the model: counted against the budget, answered from the cache where they were asked before."""

import asyncio
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from coc_labeling.budget import Budget, add
from coc_labeling.conversation import Part, kept, messages, plain_messages
from coc_labeling.events import EventLog
from coc_labeling.model_clients.errors import ModelError
from coc_labeling.model_clients.retrying import STOPPED
from coc_labeling.model_clients.vlm_wrappers.chat import ChatWrapper
from coc_labeling.model_clients.vlm_wrappers.common import BaseWrapper
from coc_labeling.response_cache import ResponseCache
from coc_labeling.schema import ModelCall, Usage

MAX_KEPT_WORD_CHARS = 200  # of what a server says in a word, such as its finish_reason
MOST_TOKENS = 10**12  # a larger count is nonsense, and tables could not hold it


@dataclass
class Asker:
    """Everything that questions of a run share.

    Attributes:
        wrapper: how the model is reached.
        sampling: temperature, top_p, repetition_penalty and seed of every request.
        threads: for wrappers that can only wait for one answer at a time.
        slots: one for each request that may be under way.
        in_flight: requests under way.
        stopped: no request is begun any more.
    """

    wrapper: Any
    sampling: Mapping[str, Any]
    cache: ResponseCache
    budget: Budget
    events: EventLog
    threads: ThreadPoolExecutor | None = None
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2**30))
    in_flight: int = 0
    stopped: bool = False

    def about(self, clip_id: str, t_us: int) -> "WindowAsk":
        """Return what asks about one window, and keeps its calls."""
        return WindowAsk(self, clip_id, t_us)

    def body(self, parts: Sequence[Part], form: type[BaseModel] | None, max_tokens: int) -> dict[str, Any]:
        """Return a request's body as it is sent, without sending it."""
        said = self._said(parts)
        parameters = self._parameters(form, max_tokens)
        if isinstance(self.wrapper, BaseWrapper):
            return self.wrapper.request(said, **parameters)
        model = getattr(self.wrapper, "model_name", type(self.wrapper).__name__)
        parameters["json_schema"] = form.model_json_schema() if form else None
        return {"model": str(model), "messages": said, **parameters}

    def _said(self, parts: Sequence[Part]) -> list[dict[str, Any]]:
        """Return a conversation as chat messages, consecutive ones of a role joined."""
        if isinstance(self.wrapper, BaseWrapper):
            return list(self.wrapper.add_message_seq(messages(parts)))
        joined: list[dict[str, Any]] = []
        for message in plain_messages(parts):
            chat = self.wrapper.add_message(message["role"], message["m_type"], message["content"])
            if joined and joined[-1]["role"] == chat["role"]:
                joined[-1] = {**joined[-1], "content": [*joined[-1]["content"], *chat["content"]]}
            else:
                joined.append(chat)
        return joined

    def _parameters(self, form: type[BaseModel] | None, max_tokens: int) -> dict[str, Any]:
        """Return what ``infer`` takes besides the messages."""
        return {"max_tokens": max_tokens, **self.sampling, "json_schema": form}

    async def send(
        self, body: dict[str, Any], form: type[BaseModel] | None, max_tokens: int, session: str
    ) -> dict[str, Any]:
        """Send a request's body and return its answer; raises ModelError.

        A user's own ``infer`` is given the same messages and the parameters of the configuration.
        """
        if _sends_bodies(self.wrapper):
            return dict(await self.wrapper.send(body, form, session=session))
        parameters = self._parameters(form, max_tokens)
        try:
            if hasattr(self.wrapper, "ainfer"):
                return dict(await self.wrapper.ainfer(body["messages"], **parameters))
            call = functools.partial(self.wrapper.infer, body["messages"], **parameters)
            return dict(await asyncio.get_running_loop().run_in_executor(self.threads, call))
        except ModelError:
            raise
        except Exception as error:  # a user's wrapper may raise anything: it costs this window only
            raise ModelError(f"{type(self.wrapper).__name__}: {type(error).__name__}: {error}") from error

    async def prepare(self) -> None:
        """Let the wrapper find out what a request must say, such as the server's name of the model."""
        if isinstance(self.wrapper, BaseWrapper):
            await self.wrapper.prepare()

    def stop(self) -> None:
        """Have requests given up that wait to be sent, for their turn or for another attempt."""
        self.stopped = True
        if isinstance(self.wrapper, ChatWrapper):
            self.wrapper.stop()

    async def close(self) -> None:
        """Close connections and threads."""
        if isinstance(self.wrapper, BaseWrapper):
            await self.wrapper.aclose()
        if self.threads is not None:
            self.threads.shutdown(wait=False, cancel_futures=True)

    @property
    def model_id(self) -> str:
        """The provider's name of the model."""
        return str(getattr(self.wrapper, "model_id", ""))


@dataclass
class WindowAsk:
    """Asks about one window; see ``agents.base.Ask``."""

    asker: Asker
    clip_id: str
    t_us: int
    calls: list[ModelCall] = field(default_factory=list)
    fingerprint: str = ""

    async def __call__(
        self, purpose: str, parts: Sequence[Part], form: type[BaseModel] | None, max_tokens: int
    ) -> dict[str, Any]:
        """Return the answer, from the cache or from the model.

        Raises:
            ModelError: no answer is to be had.
            BudgetReachedError: it may not be asked any more.
        """
        asker = self.asker
        await asker.prepare()
        body = asker.body(parts, form, max_tokens)
        key = request_hash(body)
        address = request_hash({"to": _address(asker.wrapper), "request": key})
        answer = asker.cache.get(address)
        cached = answer is not None
        if answer is None:
            answer = await self._send(body, form, max_tokens, address)
        usage = Usage() if cached else _usage(answer)
        text = answer.get("text", answer.get("content"))
        call = ModelCall(
            purpose=purpose,
            request_hash=key,
            max_tokens=max_tokens,
            finish_reason=kept(str(answer.get("finish_reason") or ""))[:MAX_KEPT_WORD_CHARS],
            answer=kept(text if isinstance(text, str) else json.dumps(text)),
            from_cache=cached,
            usage=usage,
        )
        self.calls.append(call)
        self.fingerprint = kept(str(answer.get("system_fingerprint") or ""))[:MAX_KEPT_WORD_CHARS]
        asker.events.write("answer", self.clip_id, self.t_us, **call.model_dump(exclude={"answer"}))
        return answer

    async def _send(
        self, body: dict[str, Any], form: type[BaseModel] | None, max_tokens: int, address: str
    ) -> dict[str, Any]:
        asker, usage = self.asker, None
        async with asker.slots:
            await asker.budget.start()
            asker.in_flight += 1
            try:
                if asker.stopped:
                    raise ModelError("the run stopped before it was sent", code=STOPPED)
                answer = await asker.send(body, form, max_tokens, f"{self.clip_id}/{self.t_us}")
                usage = _usage(answer)
            finally:
                asker.in_flight -= 1
                asker.budget.finish(usage)
            # Before the next request is begun: a run that is killed loses no answer but those in flight.
            await asyncio.to_thread(asker.cache.put, address, answer)
        return answer

    @property
    def usage(self) -> Usage:
        """What the window's calls cost, all together."""
        return functools.reduce(add, (call.usage for call in self.calls), Usage())


def request_hash(body: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a request; pictures enter by their own hashes, so that the whole is quick."""
    content = json.dumps(_without_pictures(body), sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def _without_pictures(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"sha256:{hashlib.sha256(value).hexdigest()}"
    if isinstance(value, str):
        if not value.startswith("data:"):
            return value
        return f"sha256:{hashlib.sha256(value.encode(errors='surrogatepass')).hexdigest()}"
    if isinstance(value, Mapping):
        return {key: _without_pictures(item) for key, item in value.items()}
    if isinstance(value, Iterable):
        return [_without_pictures(item) for item in value]
    return value


def _sends_bodies(wrapper: Any) -> bool:
    """Say whether a wrapper is one of ours as it is: a user's own ``infer`` or ``ainfer`` would not be called by it."""
    kind = type(wrapper)
    return isinstance(wrapper, BaseWrapper) and (kind.infer, kind.ainfer) == (BaseWrapper.infer, BaseWrapper.ainfer)


def _address(wrapper: Any) -> list[str]:
    """Return what tells one model's answers from another's of the same name: where they come from."""
    known = wrapper.describe() if isinstance(wrapper, BaseWrapper) else {}
    kind = f"{type(wrapper).__module__}.{type(wrapper).__qualname__}"
    places = [*known.get("base_urls", ()), *getattr(wrapper, "hosts", ()), str(getattr(wrapper, "ip_addr", ""))]
    checkpoint = [str(known["revision"])] if known.get("revision") else []
    return [kind, str(known.get("provider", "")), *sorted(places), *checkpoint]


def _usage(answer: Mapping[str, Any]) -> Usage:
    return Usage(**{name: _count(answer.get(name)) for name in Usage.model_fields})


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_TOKENS else 0
