"""vLLM's engine inside this process: started once, asked from any event loop, ended for certain.

Each replica is an engine of its own, with all weights and a process of its own. vLLM's ``data_parallel_size`` would not
do: for mixtures of experts, which all three models are, it spreads the experts over all replicas, so that they work in
lockstep - every layer waits for the slowest, and one window's long prompt delays the answers of all others. Where the
weights fit a replica's GPUs (``placement.py`` sees to that), replicas that know nothing of each other are faster, and
one that dies takes only its requests along.
"""

import asyncio
import atexit
import contextlib
import itertools
import logging
import multiprocessing
import multiprocessing.util  # its own work at exit is to come after ours
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coc_labeling.model_clients import failures
from coc_labeling.model_clients.errors import ModelError, ModelUnreachable
from coc_labeling.model_clients.local import engine_process, logs, problems
from coc_labeling.model_clients.local.gpus import Utilization
from coc_labeling.model_clients.local.metrics import Meter, stat_logger
from coc_labeling.model_clients.local.prompts import to_prompt
from coc_labeling.model_clients.retrying import STOPPED, StopFlag, Timing
from coc_labeling.model_clients.servers import ServerPool

log = logging.getLogger(__name__)

_LONGEST_END_S = 30.0  # until what is left of an engine is killed
_NEVER = float("inf")
_LOOK_S = 0.02
VISIBLE = "CUDA_VISIBLE_DEVICES"
_starting = (
    threading.Lock()
)  # one engine at a time: its processes are known by when they came, and read the environment


@dataclass(frozen=True)
class Answer:
    """What an engine generated.

    Attributes:
        text: of the answer.
        finish_reason: stop or length.
        prompt_tokens: of the prompt, pictures included.
        response_tokens: of the answer.
        cached_tokens: of the prompt, those that the prefix cache held.
        prompt_token_ids: the prompt as the model read it.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    response_tokens: int
    cached_tokens: int
    prompt_token_ids: tuple[int, ...]


class Replica:
    """One engine of vLLM. A thread starts it, stays, and ends it: the engine's processes die with that thread.

    Attributes:
        in_flight: requests that it has.
        down_until: infinity once it died.
        suspect: never; it is not asked again.
        meter: what it reports.
        started: done when it can be asked; its exception says why it cannot.
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self.in_flight = 0
        self.down_until = -_NEVER
        self.suspect = False
        self.meter = Meter()
        self.started: Future[None] = Future()
        self.llm: Any = None
        self._arguments = arguments
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="vllm-replica", daemon=True)

    @property
    def is_dead(self) -> bool:
        """Whether its processes ended by themselves."""
        return self.down_until == _NEVER

    def start(self) -> None:
        """Begin to load the model."""
        self._thread.start()

    def _keep(self) -> None:
        try:
            self.llm = self._open()
        except BaseException as error:  # noqa: BLE001 - whatever it is, those who wait are told
            self.started.set_exception(error)
            return
        self.started.set_result(None)
        self._closing.wait()
        llm, self.llm = self.llm, None
        if (handler := llm.output_handler) is not None:  # it would take the end for a death, and say so in the log
            handler.get_loop().call_soon_threadsafe(handler.cancel)
        llm.shutdown()

    def _open(self) -> Any:
        from vllm.config import StructuredOutputsConfig
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        # One line of JSON: a small model that may write spaces writes them until its tokens run out.
        form = StructuredOutputsConfig(backend="xgrammar", disable_any_whitespace=True)
        arguments = AsyncEngineArgs(**self._arguments, structured_outputs_config=form)
        return AsyncLLM.from_engine_args(arguments, stat_loggers=[stat_logger(self.meter)])

    def end(self) -> None:
        """Have it end, soon."""
        self._closing.set()

    def join(self, timeout_sec: float) -> bool:
        """Wait for its end; says whether it came."""
        if self._thread.ident is None:  # it was never started
            return True
        self._thread.join(timeout_sec)
        return not self._thread.is_alive()


class Engine:
    """The replicas of a model.

    Args:
        arguments: of vLLM's AsyncEngineArgs.
        devices: each replica's GPUs as CUDA_VISIBLE_DEVICES names them, None for what there is.
        log_path: where vLLM writes its log, None for a temporary file.
    """

    def __init__(
        self, arguments: Mapping[str, Any], devices: Sequence[str | None] = (None,), log_path: str | None = None
    ) -> None:
        self.log_path = str(Path(log_path or _temporary_log()).absolute())
        self.replicas = [Replica(arguments) for _ in devices]
        self._devices = tuple(devices)
        self.utilization = Utilization()
        self._pool = ServerPool(self.replicas, Timing())
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread: threading.Thread | None = None
        self._log_start = 0
        self._own: set[int] = set()  # processes
        self._asked: set[Future[Answer]] = set()
        self._ready = self._closed = False

    async def start(self) -> None:
        """Load the model, once; whoever comes meanwhile waits for the same.

        Raises:
            ModelUnusable: it did not start; the message names the setting to change.
        """
        if self._ready:
            return
        await asyncio.to_thread(self._begin)
        try:
            # Shielded: those who wait may be cancelled, the start goes on for the others.
            await asyncio.gather(*(asyncio.shield(asyncio.wrap_future(one.started)) for one in self.replicas))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - as a replica met it, SystemExit among them
            raise problems.of_start(error, self._log(), self.log_path) from None
        self._ready = True

    def _begin(self) -> None:
        with self._lock:
            if self._closed:
                raise _ended()
            if self._loop is not None:
                return
            self._log_start = _size(self.log_path)
            self._loop = asyncio.new_event_loop()
            self._loop_thread = threading.Thread(target=self._loop.run_forever, name="vllm-requests", daemon=True)
            self._loop_thread.start()
            atexit.register(self.close)  # before multiprocessing's own, which would wait for the engines
            # The checkpoint is here. Only for this long: programs of the user's may need the hub.
            with _starting, _environment({"HF_HUB_OFFLINE": "1"}):
                _prepare_environment(self.log_path)
                try:
                    logs.import_quietly(self.log_path)
                except Exception as error:  # noqa: BLE001 - those who wait are told
                    self._fail_all(error)
                    return
                for replica, visible in zip(self.replicas, self._devices, strict=True):
                    self._start_on(replica, visible)

    def _start_on(self, replica: Replica, visible: str | None) -> None:
        """Begin to load a replica; returns when its process is there, which keeps the environment of this moment."""
        with _environment({} if visible is None else {VISIBLE: visible}):
            others = {child.pid for child in _engine_processes()}
            replica.start()
            while True:
                new = {child.pid for child in _engine_processes()} - others
                if new or replica.started.done():
                    break
                time.sleep(_LOOK_S)
            self._own |= new

    def _fail_all(self, error: BaseException) -> None:
        for replica in self.replicas:
            replica.started.set_exception(error)

    async def generate(
        self, body: Mapping[str, Any], session: str | None, timeout_sec: float, stop: StopFlag | None = None
    ) -> Answer:
        """Return the answer to a request's body. Cancelling it, or its time running out, takes it from the engine.

        Args:
            body: as ``QwenWrapper.request`` builds it.
            session: requests of the same one go to the same replica, which has their prefix in its cache.
            timeout_sec: from here to the answer's end, in s.
            stop: where it is set, nothing is begun.

        Raises:
            ModelError: no answer.
        """
        assert self._loop is not None, "start comes first"
        asked = self._generate(body, session, timeout_sec, stop or StopFlag())
        # The engine belongs to the loop that asked it first: that is ours, whatever loop this is.
        future = asyncio.run_coroutine_threadsafe(asked, self._loop)
        self._asked.add(future)
        future.add_done_callback(self._asked.discard)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if self._closed:
                raise _ended() from None
            raise

    async def _generate(
        self, body: Mapping[str, Any], session: str | None, timeout_sec: float, stop: StopFlag
    ) -> Answer:
        from vllm.v1.engine.exceptions import EngineDeadError

        for _ in self.replicas:
            with self._pool.lend(session) as replica:
                llm = replica.llm
                if llm is None:
                    raise _ended()
                try:
                    async with asyncio.timeout(timeout_sec):
                        prompt = await asyncio.to_thread(to_prompt, body, _template_of(llm))
                        stop.check()
                        replica.meter.begin()
                        self.utilization.start()
                        return await self._ask(llm, prompt, body)
                except TimeoutError:
                    raise failures.too_slow("vLLM in this process", timeout_sec) from None
                except EngineDeadError as error:
                    death = self._mourn(replica, error)
        raise death

    def _mourn(self, replica: Replica, error: Exception) -> ModelError:
        """Count a replica as dead; returns why. Where others live, the run goes on, and slower."""
        death = problems.of_death(error, self._log(), self.log_path)
        if not replica.is_dead:
            log.warning("a replica of the model died: %s", death)
        replica.down_until = _NEVER
        return death

    async def _ask(self, llm: Any, prompt: dict[str, Any], body: Mapping[str, Any]) -> Answer:
        from vllm.v1.engine.exceptions import EngineDeadError

        output = None
        try:
            answers = llm.generate(prompt, sampling_of(body), f"coc-{next(self._numbers)}")
            async with contextlib.aclosing(answers):
                async for answered in answers:
                    output = answered
        except (ModelError, EngineDeadError):
            raise
        except Exception as error:
            if llm.errored:  # it died while the request was being made ready
                raise EngineDeadError from error
            raise problems.of_request(error, self.log_path) from None
        assert output is not None
        generated = output.outputs[0]
        return Answer(
            text=generated.text,
            finish_reason=generated.finish_reason or "",
            prompt_tokens=len(output.prompt_token_ids),
            response_tokens=len(generated.token_ids),
            cached_tokens=output.num_cached_tokens or 0,
            prompt_token_ids=tuple(output.prompt_token_ids),
        )

    def _log(self) -> str:
        """Return what was written to the log since the start."""
        try:
            with Path(self.log_path).open(encoding="utf-8", errors="replace") as file:
                file.seek(max(self._log_start, _size(self.log_path) - 4 * problems.MOST_LOG_CHARS))
                return file.read()
        except OSError:
            return ""

    def close(self) -> None:
        """End all of it; returns when no process is left. Calling it again does nothing."""
        with self._lock:
            is_over, self._closed = self._closed, True
            if is_over or self._loop is None or self._loop_thread is None:
                return
            atexit.unregister(self.close)
            self.utilization.stop()
            for future in list(self._asked):  # nobody would answer them any more
                future.cancel()
            for replica in self.replicas:
                replica.end()
            if not all(replica.started.done() for replica in self.replicas):
                self._kill()  # while it loads, an engine does not listen
            deadline = time.monotonic() + _LONGEST_END_S
            ended = [replica.join(max(0.0, deadline - time.monotonic())) for replica in self.replicas]
            if not all(ended):
                self._kill()
            for child in self._processes():
                child.join(_LONGEST_END_S)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop_thread.join(_LONGEST_END_S)

    def _kill(self) -> None:
        for child in self._processes():
            child.kill()

    def _processes(self) -> list[Any]:
        """Return the engines' processes that live; their workers end with them."""
        return [child for child in _engine_processes() if child.pid in self._own]


def _ended() -> ModelError:
    return ModelUnreachable("the model was ended meanwhile", code=STOPPED)


def _engine_processes() -> list[Any]:
    return [child for child in multiprocessing.active_children() if child.name.startswith("EngineCore")]


def _prepare_environment(log_path: str) -> None:
    """Set what vLLM reads from the environment, here and in the processes that it starts."""
    os.environ |= {
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # a fork would copy this process' threads in whatever state they are
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # as nvidia-smi counts
        engine_process.OWNER: str(os.getpid()),
        engine_process.LOG: log_path,
    }
    allowed = os.environ.get("VLLM_PLUGINS")
    if allowed is not None and engine_process.NAME not in allowed.split(","):
        os.environ["VLLM_PLUGINS"] = f"{allowed},{engine_process.NAME}"


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the length of the block; processes that start meanwhile keep them."""
    before = {name: os.environ.get(name) for name in values}
    os.environ |= values
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _temporary_log() -> str:
    descriptor, path = tempfile.mkstemp(prefix="coc-vllm-", suffix=".log")
    os.close(descriptor)
    return path


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _template_of(llm: Any) -> Any:
    tokenizer = llm.get_tokenizer()

    def apply(messages: list[dict[str, Any]], options: Mapping[str, Any]) -> str:
        said = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **options)
        return str(said)

    return apply


def sampling_of(body: Mapping[str, Any]) -> Any:
    """Return vLLM's SamplingParams of a request's body."""
    from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

    form = body.get("response_format") or {}
    structured = None
    if form.get("type") == "json_schema":
        structured = StructuredOutputsParams(json=form["json_schema"]["schema"])
    elif form.get("type") == "json_object":
        structured = StructuredOutputsParams(json_object=True)
    return SamplingParams(
        temperature=body["temperature"],
        top_p=body.get("top_p", 1.0),
        repetition_penalty=body.get("repetition_penalty", 1.0),
        seed=body.get("seed"),
        max_tokens=body.get("max_completion_tokens", body.get("max_tokens")),
        structured_outputs=structured,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )
