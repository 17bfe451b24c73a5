"""What every wrapper is: messages in, one answer out."""

import asyncio
import contextvars
import functools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel

from coc_labeling.errors import CocLabelingError
from coc_labeling.model_clients import background, pictures
from coc_labeling.model_clients.answers import parse_json
from coc_labeling.model_clients.egress import EgressLog
from coc_labeling.model_clients.retrying import StopFlag

ROLES = ("system", "user", "assistant")

Image = str | Path | bytes | np.ndarray
Message = dict[str, Any]

_lock = threading.Lock()


class TimedFrame(NamedTuple):
    """A frame of a video with its time.

    Attributes:
        label: a text that says its time to the model.
        image: the picture.
        t_sec: its time in s, on any clock: only differences are used.
    """

    label: str
    image: Image
    t_sec: float


@dataclass(frozen=True)
class LocalSettings:
    """How a model runs inside this process, with vLLM.

    Attributes:
        model_path: a folder with a checkpoint, None for the model's own from Hugging Face.
        tensor_parallel: GPUs of one replica, None for the fewest that hold it.
        data_parallel: replicas, None for as many as there are GPUs for.
        max_num_seqs: requests that a replica works on at once, None to choose.
        max_model_len: tokens of a prompt and its answer.
        gpu_memory_utilization: share of each GPU's memory, None for VLLM_GPU_MEMORY_UTILIZATION, else 0.95.
        videos_per_prompt: most videos in one conversation.
    """

    model_path: str | None = None
    tensor_parallel: int | None = None
    data_parallel: int | None = None
    max_num_seqs: int | None = None
    max_model_len: int = 32768
    gpu_memory_utilization: float | None = None
    videos_per_prompt: int = 2


@dataclass(frozen=True)
class ModelSettings:
    """How models are reached, from the configuration; wrappers take what concerns them.

    Attributes:
        allow_hosts: where requests may go besides this machine and the providers' own hosts.
        max_retries: attempts after the first.
        base_url: address of the server of ``openai_compatible``.
        model: the name that server gives its model.
        api_key_env: environment variable with that server's key; None where it needs none.
        response_format: how a schema is asked for; ``text`` does not.
        token_parameter: the limit's name in the request, None for the wrapper's usual one.
        omit_parameters: parameters of the request to leave out, for servers that refuse them.
        extra_body: more fields of the request; they win over ours.
        local: of models inside this process.
    """

    allow_hosts: tuple[str, ...] = ()
    max_retries: int = 6
    base_url: str | None = None
    model: str | None = None
    api_key_env: str | None = None
    response_format: Literal["json_schema", "json_object", "text"] = "json_schema"
    token_parameter: Literal["max_tokens", "max_completion_tokens"] | None = None
    omit_parameters: tuple[str, ...] = ()
    extra_body: Mapping[str, Any] | None = None
    local: LocalSettings = LocalSettings()


def encode_image(content: Image) -> str:
    """Return a picture as a base64 data URI, without metadata.

    Args:
        content: path, bytes of a JPEG or PNG, RGB array (height, width, 3) of uint8, or a data URI, which passes.

    Raises:
        CocLabelingError: no such picture.
    """
    return pictures.data_uri(content)


class BaseWrapper:
    """A model behind one small interface; a subclass defines ``infer``, ``ainfer`` or ``send``.

    Args:
        model_name: the name it is registered under.
        init_model: False to build messages and requests only.
        ip_addr: servers, for wrappers that take them.
        timeout_sec: of one attempt, from its start to the answer's last byte, in s.

    Attributes:
        needs_frames: whether pictures make a difference to it.
        takes_model_path: whether it runs a checkpoint inside this process.
        preferred_in_flight: how many requests at once suit it.
        hosts: where requests go; nothing is opened to know them.
        model_id: the provider's name of the model.
        egress: what was sent to which host.
        settings: see ``configure``.
        log_path: where a model inside this process writes its log; None for a temporary file.
    """

    needs_frames: bool = True
    takes_model_path: bool = False
    preferred_in_flight: int = 8
    log_path: str | None = None
    _threads: ThreadPoolExecutor | None = None

    def __init__(
        self,
        model_name: str,
        init_model: bool = True,
        ip_addr: str | Sequence[str] | None = None,
        timeout_sec: float = 600,
    ) -> None:
        self.model_name = model_name
        self.init_model = init_model
        self.ip_addr = ip_addr
        self.timeout_sec = timeout_sec
        self.model_id = model_name
        self.hosts: tuple[str, ...] = ()
        self.egress = EgressLog()
        self.settings = ModelSettings()

    def configure(self, settings: ModelSettings) -> None:
        """Take settings; whatever cannot work with them is said here, before the first request.

        Raises:
            ModelUnusable: credentials, addresses or hosts that will not do.
        """
        self.settings = settings
        self._stop = StopFlag()

    @functools.cached_property
    def _stop(self) -> StopFlag:
        return StopFlag()

    def stop(self) -> None:
        """Send nothing new, for good: what is on the wire finishes, all else gives up at once.

        Requests that pause before another attempt, are held back or come later raise ModelUnreachable with the code
        ``stopped``. Any thread may call it; ``configure`` begins anew.
        """
        self._stop.set()

    async def prepare(self) -> None:
        """Find out what the first request would, such as the server's name of the model; calling it is optional."""
        return

    def describe(self) -> dict[str, Any]:
        """Return provider, addresses and model for records; no secrets."""
        return {"provider": type(self).__name__, "base_urls": [], "model": self.model_id}

    def measured(self) -> dict[str, Any]:
        """Return what a model inside this process measured of its work; nothing for others."""
        return {}

    def add_message(self, role: str, m_type: str, content: Any) -> Message:
        """Return a chat message.

        Args:
            role: system, user or assistant.
            m_type: text, image or video.
            content: a text; an image (see ``encode_image``); or the frames of a video in order, each an image, a pair
                of a text that labels it and an image, or a ``TimedFrame``.

        Raises:
            CocLabelingError: none of these.
        """
        if role not in ROLES:
            raise CocLabelingError(f"role {role!r}; expected one of: {', '.join(ROLES)}")
        return {"role": role, "content": list(_parts(m_type, content))}

    def add_message_seq(self, messages: Iterable[Mapping[str, Any]]) -> list[Message]:
        """Return chat messages from ``{"role", "m_type", "content"}`` each, consecutive ones of a role joined."""
        joined: list[Message] = []
        for message in messages:
            added = self.add_message(message["role"], message["m_type"], message["content"])
            if joined and joined[-1]["role"] == added["role"]:
                joined[-1]["content"] += added["content"]
            else:
                joined.append(added)
        return joined

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
        """Return the body of the request that ``infer`` would send, for hashes and dry runs."""
        return {
            "model": self.model_id,
            "messages": messages,
            "max_tokens": max_tokens,
            "seed": seed,
            "temperature": temperature,
            "top_p": top_p,
            "repetition_penalty": repetition_penalty,
            "json_schema": json_schema.model_json_schema() if json_schema else None,
        }

    def infer(
        self,
        messages: list[Message],
        max_tokens: int = 4096,
        seed: int = 0,
        temperature: float = 0.0,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        json_schema: type[BaseModel] | None = None,
    ) -> dict[str, Any]:
        """Return the answer to one request; see ``ainfer``."""
        asked = self.ainfer(
            messages,
            max_tokens=max_tokens,
            seed=seed,
            temperature=temperature,
            top_p=top_p,
            repetition_penalty=repetition_penalty,
            json_schema=json_schema,
        )
        return background.run(asked)

    async def ainfer(
        self,
        messages: list[Message],
        max_tokens: int = 4096,
        seed: int = 0,
        temperature: float = 0.0,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        json_schema: type[BaseModel] | None = None,
        *,
        session: str | None = None,
    ) -> dict[str, Any]:
        """Return the answer to one request.

        Args:
            messages: chat messages.
            max_tokens: of the answer, reasoning included.
            seed: of the sampling.
            temperature: of the sampling.
            top_p: of the sampling.
            repetition_penalty: of the sampling.
            json_schema: what the answer should be, a pydantic model.
            session: requests of the same one go to the same server, where there are several.

        Returns:
            ``finish_reason`` (stop, length, refusal, content_filter, ...), ``content`` (a dict where a schema was
            given and the text fits it, else the text), ``text``, ``prompt_tokens``, ``response_tokens``,
            ``reasoning_tokens``, ``cached_tokens``, ``system_fingerprint`` and ``model``.

        Raises:
            ModelError: no answer; its code is ``stopped`` where ``stop`` came first.
        """
        parameters: dict[str, Any] = {
            "max_tokens": max_tokens,
            "seed": seed,
            "temperature": temperature,
            "top_p": top_p,
            "repetition_penalty": repetition_penalty,
            "json_schema": json_schema,
        }
        self._stop.check()
        if type(self).infer is not BaseWrapper.infer:
            return await self._in_thread(functools.partial(self.infer, messages, **parameters))
        await self.prepare()
        return await self.send(self.request(messages, **parameters), json_schema, session=session)

    async def send(
        self, body: dict[str, Any], json_schema: type[BaseModel] | None = None, *, session: str | None = None
    ) -> dict[str, Any]:
        """Return the answer to a body that ``request`` built; result and errors are those of ``ainfer``."""
        raise NotImplementedError(f"{type(self).__name__} defines neither infer, ainfer nor send")

    async def _in_thread(self, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return what a call returns, made in one of ``preferred_in_flight`` threads."""
        context = contextvars.copy_context()

        def unless_stopped() -> dict[str, Any]:
            self._stop.check()  # it may have waited for its thread
            return context.run(call)

        with _lock:
            if self._threads is None:
                # asyncio's own threads are few, and shared with whatever else waits for files.
                self._threads = ThreadPoolExecutor(max(1, self.preferred_in_flight), "model-requests")
            future = self._threads.submit(unless_stopped)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Close the connections that ``infer`` opened, and the threads that ``ainfer`` did."""
        background.run(self.aclose())

    async def aclose(self) -> None:
        """Close the connections of the running loop, and the threads that ``ainfer`` opened."""
        with _lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)


def _parts(m_type: str, content: Any) -> Iterable[dict[str, Any]]:
    if m_type == "text":
        if not isinstance(content, str):
            raise CocLabelingError(f"a text message holds a text, not {type(content).__name__}")
        return [{"type": "text", "text": content}]
    if m_type == "image":
        return [_image_part(content)]
    if m_type == "video":
        return [part for frame in frames_of(content) for part in _frame_parts(frame)]
    raise CocLabelingError(f"m_type {m_type!r}; expected one of: text, image, video")


def frames_of(content: Any) -> list[TimedFrame | tuple[str, Image]]:
    """Return the frames of a video with their labels; one without is labelled with an empty text.

    Raises:
        CocLabelingError: no frames.
    """
    if isinstance(content, str | bytes | Path) or not len(content):
        raise CocLabelingError("a video is a list of at least one frame")
    return [_labelled(frame) for frame in content]


def _labelled(frame: Any) -> TimedFrame | tuple[str, Image]:
    if isinstance(frame, TimedFrame):
        return frame
    if isinstance(frame, tuple | list):
        if len(frame) != 2 or not isinstance(frame[0], str):
            raise CocLabelingError("a frame of a video is an image, or a pair of a text and an image")
        return (frame[0], frame[1])
    return ("", frame)


def _frame_parts(frame: TimedFrame | tuple[str, Image]) -> list[dict[str, Any]]:
    label, image = frame[0], frame[1]
    return [*([{"type": "text", "text": label}] if label else []), _image_part(image)]


def _image_part(content: Image) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": encode_image(content)}}


def structured(text: str, json_schema: type[BaseModel] | None) -> dict[str, Any] | str:
    """Return the text as the dict that a schema wants, or as it is where it does not fit."""
    found = parse_json(text) if json_schema is not None else None
    if json_schema is None or found is None:
        return text
    try:
        return json_schema.model_validate(found).model_dump(mode="json")
    except (ValueError, RecursionError):  # a ValidationError is one; so is what half a character brings about
        return text
