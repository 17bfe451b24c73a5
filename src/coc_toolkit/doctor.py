"""``coc doctor``: what is installed, what could be, and what stands in the way. Never prints a secret."""

import importlib.util
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from coc_toolkit.doctor_gpu import examine_local_models

OUR_PACKAGES = ("driving_clips", "batch_runs", "meta_action", "coc_labeling", "alpamayo_r1", "coc_toolkit")
OUR_COMMANDS = ("coc", "meta-action-autolabel")

# extra: (distributions, what it is for)
EXTRAS = {
    "vlm": (("av", "openai"), "labels from vision-language models behind HTTP"),
    "vllm": (("vllm",), "local models on a GPU, in process"),
    "review": (("fastapi", "uvicorn", "av"), "review of labels in the browser: coc review"),
    "model": (("torch", "transformers", "accelerate", "safetensors"), "the reasoning model: coc infer"),
    "train": (("torch", "transformers", "accelerate", "tensorboard"), "fine-tuning of the reasoning model: coc train"),
    "ray": (("ray",), "many machines (in a later version)"),
    "pai": (("physical-ai-av",), "download of the Physical AI AV dataset (in a later version)"),
    "rerun": (("rerun-sdk",), "recordings for the Rerun viewer: coc export-rerun"),
    "trajdata": (("trajdata",), "datasets through trajdata (in a later version)"),
}

# credential set: (environment variables that must all be set, what it is for)
CREDENTIALS = {
    "NVIDIA-hosted Azure OpenAI": (
        ("NVHOST_OAI_CLIENT_ID", "NVHOST_OAI_CLIENT_SECRET"),
        "gpt5 and gpt5.5, first choice",
    ),
    "NVIDIA inference": (("NVIDIA_API_KEY",), "gpt5 and gpt5.5, second choice"),
    "OpenAI": (("OPENAI_API_KEY",), "gpt5 and gpt5.5, third choice"),
    "Hugging Face": (("HF_TOKEN",), "download of gated model weights"),
}


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report; ``ok`` is None where it is neither good nor bad."""

    section: str
    ok: bool | None
    text: str


def examine() -> list[Finding]:
    """Look at this installation; nothing is changed and nothing is sent."""
    return [*_installation(), *_shadowing(), *_extras(), *_credentials(), *_machine(), *_local_models()]


def _installation() -> Iterator[Finding]:
    supported = (3, 11) <= sys.version_info[:2] < (3, 14)
    yield Finding("Installation", supported, f"Python {platform.python_version()} (needs 3.11 to 3.13)")
    yield Finding("Installation", True, f"coc-toolkit {_version('coc-toolkit') or 'not installed as a package'}")
    for name in _base_distributions():
        found = _version(name)
        yield Finding("Installation", found is not None, f"{name} {found or 'is missing: ' + _pip_install()}")


def _base_distributions() -> list[str]:
    """Return what the toolkit cannot do without, as its package says."""
    try:
        required = requires("coc-toolkit") or []
    except PackageNotFoundError:
        return []
    names = (re.match(r"[\w.-]+", line) for line in required if "extra ==" not in line)
    return [name[0] for name in names if name]


def _shadowing() -> Iterator[Finding]:
    """Other packages or commands of our names that would be found before ours."""
    home = Path(__file__).resolve().parent.parent
    clean = True
    for name in OUR_PACKAGES:
        spec = importlib.util.find_spec(name)
        place = _place(spec)
        if place != home:
            clean = False
            where = f"comes from {place}" if place else "is not found"
            yield Finding(
                "Shadowing", False, f"package {name} {where}, not from {home}. Remove the other installation."
            )
    for command in OUR_COMMANDS:
        found = shutil.which(command)
        if found and Path(found).parent.resolve() != Path(sys.executable).parent.resolve():
            clean = False
            text = f"command {command} on PATH is {found}, not the one of this environment ({sys.prefix})."
            yield Finding("Shadowing", False, text)
    if clean:
        yield Finding("Shadowing", True, "no other package or command of our names comes before ours")


def _place(spec: ModuleSpec | None) -> Path | None:
    """Return the folder that a package or module is found in."""
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).resolve().parent
    return Path(spec.origin).resolve().parent if spec.origin else None


def _extras() -> Iterator[Finding]:
    for extra, (distributions, purpose) in EXTRAS.items():
        missing = [name for name in distributions if _version(name) is None]
        if missing:
            text = f"{extra}: not installed ({', '.join(missing)}); for {purpose}: {_pip_install(extra)}"
            yield Finding("Extras", None, text)
        else:
            versions = ", ".join(f"{name} {_version(name)}" for name in distributions)
            yield Finding("Extras", True, f"{extra}: {versions}; for {purpose}")


def _credentials() -> Iterator[Finding]:
    for name, (variables, purpose) in CREDENTIALS.items():
        is_set = all(os.environ.get(variable) for variable in variables)
        state = "set" if is_set else "not set"
        yield Finding("Credentials", is_set or None, f"{name} ({' and '.join(variables)}): {state}; for {purpose}")


def _machine() -> Iterator[Finding]:
    yield Finding("Machine", True, f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores")
    ffmpeg = shutil.which("ffmpeg")
    yield Finding("Machine", bool(ffmpeg) or None, f"ffmpeg: {ffmpeg or 'not found (only needed for writing videos)'}")


def _local_models() -> Iterator[Finding]:
    for ok, text in examine_local_models(has_vllm=_version("vllm") is not None):
        yield Finding("Local models", ok, text)


def _pip_install(extra: str = "") -> str:
    """Return the command that installs this toolkit, with an extra: from its checkout where it runs from one."""
    checkout = Path(__file__).resolve().parents[2]
    source = str(checkout) if (checkout / "pyproject.toml").exists() else "coc-toolkit"
    return f"pip install {'-e ' if source != 'coc-toolkit' else ''}'{source}{f'[{extra}]' if extra else ''}'"


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
