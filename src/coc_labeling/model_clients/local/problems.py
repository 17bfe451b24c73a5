"""What vLLM's errors mean, and which setting to change."""

import re
from dataclasses import dataclass

from coc_labeling.model_clients.errors import ModelError, ModelUnusable, RequestRefused
from coc_labeling.model_clients.failures import shown

MOST_LOG_CHARS = 200_000  # of the log's end, where the cause stands


@dataclass(frozen=True)
class _Known:
    """A text of vLLM, torch or CUDA, and what to say to it; groups of the pattern may be used."""

    code: str
    pattern: re.Pattern[str]
    words: str


def _known(code: str, pattern: str, words: str) -> _Known:
    return _Known(code, re.compile(pattern, re.DOTALL | re.IGNORECASE), words)


# The first that is found counts: causes before their consequences.
_KNOWN = (
    _known(
        "kv_cache",
        r"max seq len \((?P<len>\d+)\), \(?(?P<need>[\d.]+ [GM]iB) KV\s+cache is needed.{0,80}?"
        r"KV cache\s+memory \((?P<have>[\d.]+ [GM]iB)\).{0,200}?estimated maximum model length is (?P<most>\d+)",
        "the KV cache is too small: one request of vllm.max_model_len={len} tokens needs {need}, and {have} are free. "
        "Set vllm.max_model_len={most} or less, raise vllm.gpu_memory_utilization, or give it more GPUs with "
        "vllm.tensor_parallel",
    ),
    _known(
        "kv_cache",
        r"KV\s+cache is needed, which is larger than the available|No available memory for the cache blocks",
        "the KV cache is too small: weights leave no room for one request. Lower vllm.max_model_len, raise "
        "vllm.gpu_memory_utilization, or give it more GPUs with vllm.tensor_parallel",
    ),
    _known(
        "gpu_memory",
        r"Free memory on device.{0,40}?\((?P<free>[\d.]+)/(?P<total>[\d.]+ [GM]iB)\).{0,120}?"
        r"less than desired GPU memory utilization \((?P<share>[\d.]+)",
        "only {free} of {total} of a GPU's memory are free, less than vllm.gpu_memory_utilization={share} asks for: "
        "end what else runs there (nvidia-smi lists it), or lower vllm.gpu_memory_utilization",
    ),
    _known(
        "gpu_memory",
        r"CUDA out of memory|OutOfMemoryError|CUDA error: out of memory|cudaErrorMemoryAllocation|"
        r"can't allocate memory|Cannot allocate memory|std::bad_alloc|"
        r"Available memory on node|CUBLAS_STATUS_ALLOC_FAILED",
        "out of memory. Lower vllm.gpu_memory_utilization (vLLM keeps that share for itself, the rest is for what it "
        "cannot plan), vllm.max_num_seqs or vllm.max_model_len, or spread the model over more GPUs with "
        "vllm.tensor_parallel",
    ),
    _known(
        "driver",
        r"unsupported PTX|PTX was compiled with an unsupported toolchain|CUDA driver version is insufficient|"
        r"driver on your system is too old",
        "the NVIDIA driver is older than the CUDA that vLLM was built with: update the driver, or install a vLLM for "
        "an older CUDA (docs/local_models.md has the table)",
    ),
    _known(
        "torch",
        r"libtorch_cuda\.so|undefined symbol.{0,200}?(?:torch|c10)|libcudart\.so",
        "vllm and torch do not belong together (libtorch_cuda.so): use the Docker image, or install both anew in one "
        "environment as docs/local_models.md says",
    ),
    _known(
        "driver",
        r"Found no NVIDIA driver|libcuda\.so\.1|No CUDA GPUs are available|CUDA unknown error",
        "no GPU can be used: check nvidia-smi; in Docker, start the container with --gpus all",
    ),
    _known(
        "shared_memory",
        r"No space left on device.{0,200}?/dev/shm|/dev/shm.{0,200}?No space left|Bus error",
        "shared memory ran out: in Docker, start the container with --ipc=host",
    ),
    _known(
        "disk",
        r"No space left on device",
        "the disk is full: make room where the log, ~/.cache and /tmp are",
    ),
    _known(
        "placement",
        r"(?:attention heads|output_size|input_size|intermediate).{0,120}?divisible.{0,80}?|not divisible by",
        "the model cannot be split over vllm.tensor_parallel GPUs: choose a smaller power of two",
    ),
)
# Said before pictures are counted, and after.
_TOO_LONG = (
    re.compile(
        r"maximum context length is (?P<most>\d+) tokens.{0,80}?(?P<len>(?:at least )?\d+) input tokens", re.DOTALL
    ),
    re.compile(
        r"prompt \(length (?P<len>\d+)\).{0,90}? longer than the maximum model length of (?P<most>\d+)", re.DOTALL
    ),
)
_ERROR_LINE = re.compile(r"(?:^|\s)([A-Za-z_.]*(?:Error|Exception)): ?(.+)$", re.MULTILINE)
# vLLM's words for "look above".
_EMPTY = ("Engine core initialization failed", "EngineCore encountered", "WorkerProc initialization failed")


def of_start(error: BaseException, log: str, log_path: str) -> ModelUnusable:
    """Return the error of an engine that did not start.

    Args:
        error: what vLLM raised here.
        log: what its processes wrote meanwhile; the cause is there.
        log_path: where that can be read.
    """
    return _unusable("the model did not start", error, log, log_path)


def of_death(error: BaseException, log: str, log_path: str) -> ModelUnusable:
    """Return the error of an engine that ended by itself; arguments as in ``of_start``."""
    return _unusable("the model's engine ended unexpectedly", error, log, log_path)


def of_request(error: BaseException, log_path: str) -> ModelError:
    """Return the error of one request; others may pass."""
    cause = error
    while cause.__cause__ is not None:  # what is wrapped around it repeats the pictures, number by number
        cause = cause.__cause__
    said = str(cause)
    for pattern in _TOO_LONG:
        if long := pattern.search(said):
            return RequestRefused(
                f"the prompt has {long['len']} tokens, and vllm.max_model_len={long['most']} is the most: raise it, or "
                "show fewer or smaller pictures (data_loader.video.max_side)",
                code="prompt_too_long",
            )
    return RequestRefused(
        f"vLLM refused the request: {type(cause).__name__}: {shown(said)} (log: {log_path})", code="vllm_request"
    )


def _unusable(what: str, error: BaseException, log: str, log_path: str) -> ModelUnusable:
    text = f"{log[-MOST_LOG_CHARS:]}\n{type(error).__name__}: {error}"
    for known in _KNOWN:
        if found := known.pattern.search(text):
            words = known.words.format(**found.groupdict())
            return ModelUnusable(f"{what}: {words}. vLLM's log: {log_path}", code=known.code)
    return ModelUnusable(f"{what}: {shown(_last_error(text))}. vLLM's log: {log_path}", code="engine")


def _last_error(text: str) -> str:
    """Return the last error that says something; the one before "see above"."""
    said = [f"{kind}: {words}" for kind, words in _ERROR_LINE.findall(text) if not words.startswith(_EMPTY)]
    return said[-1] if said else text.strip().rpartition("\n")[2]
