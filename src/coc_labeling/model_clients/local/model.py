"""A Qwen model inside this process: checkpoint, placement and engine put together."""

import asyncio
import importlib.metadata
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from coc_labeling.model_clients.background import PerLoop, Shared
from coc_labeling.model_clients.errors import ModelUnreachable, ModelUnusable
from coc_labeling.model_clients.local import checkpoints, metrics
from coc_labeling.model_clients.local.checkpoints import Checkpoint, Source
from coc_labeling.model_clients.local.engine import Engine
from coc_labeling.model_clients.local.gpus import visible_gpus
from coc_labeling.model_clients.local.placement import GIB, Gpu, Placement, place, place_on_cpu
from coc_labeling.model_clients.retrying import STOPPED, StopFlag

if TYPE_CHECKING:
    from coc_labeling.model_clients.vlm_wrappers.common import LocalSettings

T = TypeVar("T")

SEED = 42
IMAGES_PER_PROMPT = 16
SEQS_ON_GPU, SEQS_ON_CPU = 64, 16
UTILIZATION = "VLLM_GPU_MEMORY_UTILIZATION"
DEFAULT_UTILIZATION = 0.95
CPU_CACHE = "VLLM_CPU_KVCACHE_SPACE"  # vLLM's own, in GiB
DEFAULT_CPU_CACHE_BYTES = 2 * GIB  # vLLM would take most of the machine's memory


class LocalModel:
    """A model that vLLM runs in processes of ours.

    Args:
        source: where it is looked for, unless ``settings.model_path`` says.
        quantization: of the model from ``source``.
        settings: from the configuration.

    Attributes:
        checkpoint: None as long as it has to be downloaded first.

    Raises:
        ModelUnusable: vLLM or the checkpoint is missing, or does not fit the GPUs; nothing is started yet.
    """

    def __init__(self, source: Source, quantization: str | None, settings: "LocalSettings") -> None:
        self._source, self._settings = source, settings
        self._quantization = quantization if settings.model_path is None else None
        self._on_cpu = _built_for_cpu()
        self._utilization = utilization_of(settings)
        self._gpus = [] if self._on_cpu else _gpus()
        self._placement: Placement | None = None
        self._engine: Engine | None = None
        self._ended: Engine | None = None
        self._opening: PerLoop[Shared[Engine]] = PerLoop(lambda: Shared(asyncio.get_running_loop().time))
        self.checkpoint = (
            source.find(os.environ) if settings.model_path is None else checkpoints.given(settings.model_path)
        )
        if self.checkpoint is not None:
            self._placement = self._place(self.checkpoint)

    @property
    def model_id(self) -> str:
        """The model's id, or its folder's name."""
        return self._source.hub_id if self.checkpoint is None else self.checkpoint.name

    @property
    def revision(self) -> str:
        """Tells this checkpoint from others of its name; empty before a download."""
        return "" if self.checkpoint is None else self.checkpoint.revision

    @property
    def preferred_in_flight(self) -> int:
        """Requests that keep the engine busy: half as many again as it works on, for they have to be made ready."""
        settings = self._settings
        if self._placement is not None:
            replicas = self._placement.data_parallel
        else:  # before a download: as many as there can be, for too many only wait
            replicas = settings.data_parallel or max(1, len(self._gpus) // (settings.tensor_parallel or 1))
        return self._max_num_seqs * replicas * 3 // 2

    @property
    def _max_num_seqs(self) -> int:
        return self._settings.max_num_seqs or (SEQS_ON_CPU if self._on_cpu else SEQS_ON_GPU)

    def _place(self, checkpoint: Checkpoint) -> Placement:
        size, replicas = self._settings.tensor_parallel, self._settings.data_parallel
        if self._on_cpu:
            return place_on_cpu(size, replicas)
        return place(self._gpus, checkpoint.weight_bytes, checkpoint.heads, self._utilization, size, replicas)

    async def start(self, log_path: str | None, stop: StopFlag) -> Engine:
        """Return the engine; the first call downloads what is missing and loads the model.

        Args:
            log_path: where vLLM writes its log, None for a temporary file.
            stop: where it is set meanwhile, nobody waits any longer.

        Raises:
            ModelUnusable: it cannot be started.
            ModelUnreachable: stopped.
        """
        starting = asyncio.ensure_future(self._started(log_path))
        stopped = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                raise ModelUnreachable("stopped before the model was loaded", code=STOPPED)
            return await starting
        finally:
            starting.cancel()
            stopped.cancel()

    async def _started(self, log_path: str | None) -> Engine:
        engine = self._engine or await self._opening.get().result(lambda: self._open(log_path))
        await engine.start()
        return engine

    async def _open(self, log_path: str | None) -> Engine:
        if self.checkpoint is None:
            self.checkpoint = await _in_daemon(lambda: self._source.download(os.environ))
        if self._placement is None:
            self._placement = self._place(self.checkpoint)
        if self._engine is None:  # another loop may have been quicker
            arguments, devices = self._plan(self.checkpoint, self._placement)
            self._engine = Engine(arguments, devices, log_path)
        return self._engine

    def _plan(self, checkpoint: Checkpoint, placement: Placement) -> tuple[dict[str, Any], list[str | None]]:
        """Return vLLM's AsyncEngineArgs, and each replica's GPUs; None on a machine without."""
        settings = self._settings
        quantization = self._quantization or checkpoint.quantization
        arguments: dict[str, Any] = {
            "model": str(checkpoint.path),
            "served_model_name": checkpoint.name,
            "seed": SEED,
            "dtype": "float16" if quantization == "awq" else "auto",  # its kernels take nothing else
            # What a checkpoint says of itself vLLM reads: naming "awq" would force old versions to their slow kernels.
            "quantization": None if checkpoint.quantization else quantization,
            "tensor_parallel_size": placement.tensor_parallel,
            "max_num_seqs": self._max_num_seqs,
            "max_model_len": min(settings.max_model_len, checkpoint.max_positions),
            "limit_mm_per_prompt": {"image": IMAGES_PER_PROMPT, "video": settings.videos_per_prompt},
            "enable_prefix_caching": True,
            "disable_log_stats": True,  # metrics.py takes them
        }
        if not self._on_cpu:
            return arguments | {"gpu_memory_utilization": self._utilization}, [*placement.groups(self._gpus)]
        arguments["enforce_eager"] = True
        if not os.environ.get(CPU_CACHE):
            arguments["kv_cache_memory_bytes"] = DEFAULT_CPU_CACHE_BYTES
        return arguments, [None] * placement.data_parallel

    def measured(self) -> dict[str, Any]:
        """Return what the engine measured, also after its end; nothing where it was not asked."""
        engine = self._engine or self._ended
        if engine is None:
            return {}
        found = metrics.summary([replica.meter for replica in engine.replicas], engine.utilization)
        return found and found | {"replicas_died": sum(replica.is_dead for replica in engine.replicas)}

    async def close(self) -> None:
        """End the engine; a later ``start`` begins a new one."""
        engine, self._engine = self._engine, None
        if engine is not None:
            self._ended = engine
            await asyncio.to_thread(engine.close)


async def _in_daemon(call: Callable[[], T]) -> T:
    """Return what a call returns, made in a thread that nobody waits for when the process ends."""
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except Exception as error:  # noqa: BLE001 - raised where it is awaited
            future.set_exception(error)

    threading.Thread(target=work, name="download", daemon=True).start()
    return await asyncio.shield(asyncio.wrap_future(future))


def utilization_of(settings: "LocalSettings") -> float:
    """Return the share of GPU memory that vLLM may use.

    Raises:
        ModelUnusable: the environment variable holds no such share.
    """
    if settings.gpu_memory_utilization is not None:
        return settings.gpu_memory_utilization
    said = os.environ.get(UTILIZATION)
    try:
        share = float(said) if said else DEFAULT_UTILIZATION
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise ModelUnusable(f"{UTILIZATION}={said!r}: expected a number above 0, at most 1", code="placement")
    return share


def _built_for_cpu() -> bool:
    """Say whether the vLLM here is the build for CPUs; raises ModelUnusable where there is none."""
    try:
        return "cpu" in importlib.metadata.version("vllm")
    except importlib.metadata.PackageNotFoundError:
        raise ModelUnusable(
            "a model inside this process needs vLLM: pip install 'coc-toolkit[vlm,vllm]', or name servers that run it "
            "(server_ip=localhost)",
            code="no_vllm",
        ) from None


def _gpus() -> list[Gpu]:
    found = visible_gpus(os.environ)
    if not found:
        raise ModelUnusable(
            "nvidia-smi shows no GPU that this process may use (CUDA_VISIBLE_DEVICES="
            f"{os.environ.get('CUDA_VISIBLE_DEVICES', 'unset')}). In Docker, start the container with --gpus all; on a "
            "machine without GPUs, name servers that have some (server_ip)",
            code="no_gpu",
        )
    return found
