"""What ``coc doctor`` says of local models: GPUs and their driver, torch, vLLM, shared memory, and weights."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

# A finding: good, bad or neither, and its text.
Said = tuple[bool | None, str]

HELP = "docs/local_models.md"
SMI_FIELDS = ("name", "driver_version", "compute_cap", "memory.total", "memory.free")
SMI_TIMEOUT_S = 20
VLLM_TIMEOUT_S = 300  # the first import, from a network disk, takes minutes
MIB, GB = 2**20, 10**9
LEAST_SHARED_MEMORY = 2**30  # Docker gives 64 MiB unless it is told otherwise
IN_USE_BY_OTHERS = 0.1  # of a GPU's memory, from which on it is worth a line

# Compute capability: (generation, the first driver branch that runs the image and vLLM there).
GENERATIONS = {
    "8.0": ("Ampere", 535),
    "8.6": ("Ampere", 535),
    "8.9": ("Ada Lovelace", 535),
    "9.0": ("Hopper", 545),
    "10.0": ("Blackwell", 570),
    "12.0": ("Blackwell", 570),
}

# Gigabytes of weights, parameters times bytes each, for models that are not here yet.
WEIGHTS_GB = {"qwen3.5_35b": 70, "qwen3_vl_235b_awq": 125, "qwen3.5_397b_fp8": 400}
HEADS = 64  # of a model that is not here; any power of two that the GPUs of a machine may divide

# What the last line of an error has in it: what to do.
ADVICE = {
    "libtorch_cuda|libc10_cuda|libcudart|libcublas|undefined symbol|not compiled with CUDA": (
        "torch is not the build that vLLM was made with, or one for CPUs: install vllm into a fresh environment, and "
        "let it choose its torch"
    ),
    "UnsupportedPtxVersion|unsupported toolchain": (
        "the driver is older than the CUDA of the kernels: update it on the host"
    ),
    "driver on your system is too old|driver version is insufficient|unsupported display driver": (
        "update the host's driver, or install a vllm for an older CUDA"
    ),
    "No module named": "something of vLLM is missing: install vllm into a fresh environment",
}


@dataclass(frozen=True)
class Gpu:
    """A GPU as nvidia-smi describes it.

    Attributes:
        name: such as NVIDIA H100 80GB HBM3.
        driver: version of the host's driver.
        capability: compute capability, such as 9.0; names the generation.
        total: memory in bytes, None where nvidia-smi does not know.
        free: the part of it that no process holds, in bytes.
    """

    name: str
    driver: str
    capability: str
    total: int | None
    free: int | None


@dataclass(frozen=True)
class TorchBuild:
    """Which torch is installed, and the CUDA it is built for; None for CPUs."""

    version: str
    cuda: str | None


class SmiError(Exception):
    """nvidia-smi is there and does not answer as it should."""


def examine_local_models(has_vllm: bool) -> Iterator[Said]:
    """Look at what local models need; nothing but a GPU or an installed vLLM makes that worth more than a line."""
    gpus: list[Gpu] = []
    tool = shutil.which("nvidia-smi")
    if tool is None:
        yield None, "GPU: no NVIDIA driver found (only needed for local models)"
    else:
        try:
            gpus = read_gpus(_smi(tool, f"--query-gpu={','.join(SMI_FIELDS)}", "--format=csv,noheader,nounits"))
        except SmiError as error:
            yield False, f"GPU: nvidia-smi fails: {error}. In a container: was it started with --gpus all?"
    for gpu, count in Counter(replace(gpu, free=None) for gpu in gpus).items():
        yield _driver(gpu, count)
    yield from _in_use(gpus)
    if not gpus and not has_vllm:
        return
    yield from _torch(bool(gpus), driver_cuda(tool) if tool and gpus else None)
    if has_vllm:
        yield _vllm(bool(gpus))
    yield from _shared_memory()
    yield from _weights(bool(gpus))


def _smi(tool: str, *options: str) -> str:
    try:
        answer = subprocess.run([tool, *options], capture_output=True, text=True, timeout=SMI_TIMEOUT_S)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        raise SmiError(str(error)) from error
    if answer.returncode != 0:
        said = _last_line(answer.stdout + answer.stderr)
        raise SmiError(f"exit code {answer.returncode}{f', {said}' if said else ''}")
    return answer.stdout


def read_gpus(answer: str) -> list[Gpu]:
    """Return the GPUs in nvidia-smi's answer to a query of ``SMI_FIELDS``.

    Raises:
        SmiError: it says something else, such as that there is no device.

    Example:
        >>> read_gpus("NVIDIA A100-SXM4-80GB, 535.161.08, 8.0, 81920, 81050")[0].capability
        '8.0'
    """
    gpus = []
    for line in filter(str.strip, answer.splitlines()):
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) != len(SMI_FIELDS):
            raise SmiError(f"it says {line.strip()!r}")
        name, driver, capability, total, free = cells
        gpus.append(Gpu(name, driver, capability, _mib(total), _mib(free)))
    if not gpus:
        raise SmiError("it lists no GPU")
    return gpus


def _mib(text: str) -> int | None:
    return int(text) * MIB if text.isdecimal() else None  # [N/A] where memory is the machine's


def driver_cuda(tool: str) -> str | None:
    """Return the newest CUDA that the driver speaks, as the head of nvidia-smi's table says; None where it does not."""
    try:
        found = re.search(r"CUDA (?:UMD )?Version\s*:\s*(\d+\.\d+)", _smi(tool))
    except SmiError:
        return None
    return found[1] if found else None


def _driver(gpu: Gpu, count: int) -> Said:
    memory = f", {gpu.total / GB:.0f} GB{' each' if count > 1 else ''}" if gpu.total else ""
    text = f"GPU: {f'{count} x ' if count > 1 else ''}{gpu.name}{memory}, driver {gpu.driver}"
    branch = gpu.driver.partition(".")[0]
    generation, least = GENERATIONS.get(gpu.capability, (None, 0))
    if generation is None or not branch.isdecimal():
        return None, f"{text}: no minimum driver is known for compute capability {gpu.capability}; see {HELP}"
    if int(branch) < least:
        return False, f"{text}: too old, {generation} needs {least} or newer. Update it on the host; see {HELP}"
    return True, f"{text} ({generation} needs {least} or newer)"


def _in_use(gpus: list[Gpu]) -> Iterator[Said]:
    for index, gpu in enumerate(gpus):
        used = gpu.total - gpu.free if gpu.total and gpu.free is not None else 0
        if gpu.total and used > IN_USE_BY_OTHERS * gpu.total:
            advice = "end what holds them, or lower vllm.gpu_memory_utilization"
            yield None, f"GPU {index}: {used / GB:.0f} of {gpu.total / GB:.0f} GB are in use: {advice}"


def torch_build() -> TorchBuild | None:
    """Return the build of the installed torch, which is not imported: that takes seconds; None without one."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    try:
        text = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")
    except OSError:
        return None
    version = re.search(r"^__version__ = '(.+)'", text, re.MULTILINE)
    cuda = re.search(r"^cuda\b.* = '(.+)'", text, re.MULTILINE)
    return TorchBuild(version[1] if version else "of an unknown version", cuda[1] if cuda else None)


def _torch(has_gpu: bool, driver: str | None) -> Iterator[Said]:
    build = torch_build()
    if build is None:
        yield None, "torch: not installed; it comes with the extra vllm"
    elif build.cuda is None:
        advice = "; vLLM will not find the GPU. Install vllm into a fresh environment, and let it choose its torch"
        yield (False if has_gpu else None), f"torch: {build.version} is a build for CPUs{advice if has_gpu else ''}"
    elif driver is None:
        yield None, f"torch: {build.version}, for CUDA {build.cuda}"
    else:
        yield _against_driver(build, build.cuda, driver)


def _against_driver(build: TorchBuild, cuda: str, driver: str) -> Said:
    text = f"torch: {build.version}, for CUDA {cuda}; the driver speaks up to {driver}"
    wanted, spoken = ([int(part) for part in version.split(".")] for version in (cuda, driver))
    if wanted[0] > spoken[0]:
        return False, f"{text}: update the host's driver, or install a vllm for CUDA {spoken[0]}; see {HELP}"
    if wanted > spoken:
        return True, f"{text}: runs by minor-version compatibility; kernels that come as PTX need a newer driver"
    return True, text


def _vllm(has_gpu: bool) -> Said:
    """Import vLLM, and use the GPU, as a labelling run would: in a process of its own, which may crash."""
    code = "from vllm import LLM"
    if has_gpu:
        code += "\nimport torch\ntorch.ones(1, device='cuda').add(1).item()"
    try:
        answer = subprocess.run(  # noqa: S603
            [sys.executable, "-c", code], capture_output=True, text=True, errors="replace", timeout=VLLM_TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError) as error:
        return None, f"vLLM: {code.splitlines()[0]!r} did not end: {error}"
    if answer.returncode == 0:
        return True, f"vLLM: it can be imported{', and torch computes on the GPU' if has_gpu else ''}"
    said = _last_line(answer.stderr) or f"exit code {answer.returncode}"
    advice = next((words for marks, words in ADVICE.items() if re.search(marks, said)), f"see {HELP}")
    return False, f"vLLM: {said}: {advice}"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _shared_memory() -> Iterator[Said]:
    try:
        size = shutil.disk_usage("/dev/shm").total  # noqa: S108 - it is asked about, not written to
    except OSError:
        return  # not on this system
    text = f"shared memory: {size / GB:.1f} GB"
    if size < LEAST_SHARED_MEMORY:
        yield False, f"{text} is too little for vLLM's processes: start the container with --ipc=host"
    else:
        yield True, text


def _weights(has_gpu: bool) -> Iterator[Said]:
    try:
        from coc_labeling.model_clients.errors import ModelUnusable
        from coc_labeling.model_clients.local.checkpoints import Source, cache_dirs
        from coc_labeling.model_clients.vlm_wrappers import QWEN_MODEL_SPECS
    except ImportError:
        return  # a package is missing or shadowed, which is told above
    first, *others = (str(path.absolute()) for path in cache_dirs(os.environ))
    then = f", then in {', '.join(others)}" if others else ""
    yield None, f"weights: looked for in {first}{then}; downloads go to {first}"
    for name, (folder, hub_id, _) in QWEN_MODEL_SPECS.items():
        try:
            found = Source(folder, hub_id).find(os.environ)
        except ModelUnusable as error:
            yield None, f"{name}: {error}"
            continue
        if found is None and name not in WEIGHTS_GB:
            yield None, f"{name}: not here, or not complete"
            continue
        weights = found.weight_bytes if found else WEIGHTS_GB[name] * GB
        state = (
            f"{weights / GB:.0f} GB in {found.path}"
            if found
            else f"not here, or not complete; about {weights / GB:.0f} GB"
        )
        fit = f"; {_placement(weights, found.heads if found else HEADS)}" if has_gpu else ""
        yield (True if found else None), f"{name}: {state}{fit}"


def _placement(weight_bytes: int, heads: int) -> str:
    """Say on how many of the GPUs a model would run."""
    from coc_labeling.model_clients.errors import ModelUnusable
    from coc_labeling.model_clients.local.gpus import visible_gpus
    from coc_labeling.model_clients.local.model import utilization_of
    from coc_labeling.model_clients.local.placement import place
    from coc_labeling.model_clients.vlm_wrappers.common import LocalSettings

    gpus = visible_gpus(os.environ)
    if not gpus:
        return "CUDA_VISIBLE_DEVICES shows no GPU"
    try:
        chosen = place(gpus, weight_bytes, heads, utilization_of(LocalSettings()))
    except ModelUnusable as error:
        return str(error)
    return f"would run as {chosen.data_parallel} x {chosen.tensor_parallel} GPUs"
