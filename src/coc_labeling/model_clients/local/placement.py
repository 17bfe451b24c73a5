"""On which GPUs a model runs: the smallest group that holds it, as often as there is room."""

from collections.abc import Sequence
from dataclasses import dataclass

from coc_labeling.model_clients.errors import ModelUnusable

GIB = 2**30
# Of the memory that vLLM may use, the part that weights leave free. It becomes KV cache and activations; with much
# less, a few windows of 16 frames fill the cache, and the GPU waits for them instead of working on many.
KV_SHARE = 0.1
TIGHT_BYTES = 2 * GIB  # with less than this beside the weights nothing works


@dataclass(frozen=True)
class Gpu:
    """A GPU that this process sees.

    Attributes:
        number: as nvidia-smi counts, which is by PCI bus.
        name: such as NVIDIA H100 80GB HBM3.
        memory_bytes: all of its memory.
    """

    number: str
    name: str
    memory_bytes: int


@dataclass(frozen=True)
class Placement:
    """How a model is spread: ``data_parallel`` replicas of ``tensor_parallel`` GPUs each."""

    tensor_parallel: int
    data_parallel: int

    def groups(self, gpus: Sequence[Gpu]) -> list[str]:
        """Return each replica's GPUs as CUDA_VISIBLE_DEVICES names them."""
        size = self.tensor_parallel
        starts = range(0, size * self.data_parallel, size)
        return [",".join(gpu.number for gpu in gpus[start : start + size]) for start in starts]


def place_on_cpu(tensor_parallel: int | None, data_parallel: int | None) -> Placement:
    """Return the placement of a model on a machine without GPUs, as vLLM's build for CPUs runs it."""
    return Placement(tensor_parallel or 1, data_parallel or 1)


def place(
    gpus: Sequence[Gpu],
    weight_bytes: int,
    heads: int,
    utilization: float,
    tensor_parallel: int | None = None,
    data_parallel: int | None = None,
) -> Placement:
    """Return the smallest tensor-parallel size that fits, the other GPUs as replicas; settings of the user come first.

    Args:
        gpus: at least one; the smallest of them counts.
        weight_bytes: of the model.
        heads: attention heads of the model, which the size must divide.
        utilization: share of a GPU's memory that vLLM may use.
        tensor_parallel: GPUs of one replica, None to choose.
        data_parallel: replicas, None for as many as there is room for.

    Raises:
        ModelUnusable: it does not fit, or the settings do not fit together.

    Example:
        >>> place([Gpu(str(i), "H100", 80 * GIB) for i in range(8)], 125 * GIB, 64, 0.95)
        Placement(tensor_parallel=2, data_parallel=4)
    """
    usable = min(gpu.memory_bytes for gpu in gpus) * utilization
    size = tensor_parallel or _smallest(len(gpus), weight_bytes, heads, usable, data_parallel or 1)
    if heads % size:
        fitting = [str(n) for n in range(1, len(gpus) + 1) if heads % n == 0]
        raise ModelUnusable(
            f"vllm.tensor_parallel={size} does not divide the model's {heads} attention heads; "
            f"expected one of: {', '.join(fitting)}",
            code="placement",
        )
    if size > len(gpus) or size * (data_parallel or 1) > len(gpus):
        replicas = f" x vllm.data_parallel={data_parallel}" if data_parallel else ""
        raise ModelUnusable(
            f"vllm.tensor_parallel={size}{replicas} needs {size * (data_parallel or 1)} GPUs; there are {len(gpus)}",
            code="placement",
        )
    if weight_bytes / size > usable:
        raise ModelUnusable(
            f"{weight_bytes / GIB:.0f} GiB of weights on vllm.tensor_parallel={size} GPUs of which "
            f"{usable / GIB:.0f} GiB each may be used (vllm.gpu_memory_utilization={utilization:g}): raise "
            "vllm.tensor_parallel, or leave it null",
            code="placement",
        )
    return Placement(size, data_parallel or len(gpus) // size)


def _smallest(count: int, weight_bytes: int, heads: int, usable: float, replicas: int) -> int:
    sizes = [size for size in _powers_of_two(count // replicas) if heads % size == 0]
    for size in sizes:
        if weight_bytes / size <= (1 - KV_SHARE) * usable:
            return size
    # The user has no more GPUs: better a small KV cache than nothing.
    if sizes and weight_bytes / sizes[-1] <= usable - TIGHT_BYTES:
        return sizes[-1]
    held = f"{replicas} replicas of " if replicas > 1 else ""
    raise ModelUnusable(
        f"{held}{weight_bytes / GIB:.0f} GiB of weights do not fit, with room for a KV cache, on {count} GPUs of which "
        f"{usable / GIB:.0f} GiB each may be used: use more or larger GPUs, a smaller model, or servers (server_ip)",
        code="placement",
    )


def _powers_of_two(most: int) -> list[int]:
    return [1 << n for n in range(most.bit_length())]
