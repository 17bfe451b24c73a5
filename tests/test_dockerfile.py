"""What can be said of the Dockerfile without building it."""

import re
import shlex
import tomllib
from pathlib import PurePosixPath

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from builders.golden import TESTS

ROOT = TESTS.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def instructions():
    """Return the Dockerfile's instructions as (name, rest), comments left out and lines that go on joined."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def all_of(name):
    return [rest for found, rest in instructions() if found == name]


def environment():
    pairs = (shlex.split(rest) for rest in all_of("ENV"))
    return dict(pair.split("=", 1) for group in pairs for pair in group)


def pins(lock):
    lines = (ROOT / "requirements" / lock).read_text().splitlines()
    return dict(
        line.removesuffix(" \\").split(";")[0].strip().split("==") for line in lines if re.match(r"\w.*==", line)
    )


def is_ignored(path, patterns):
    """Say whether .dockerignore leaves a path out; its patterns here are names at the root, or below any folder."""
    parents = [path, *PurePosixPath(path).parents]
    return any(
        PurePosixPath(parent).match(pattern.removeprefix("**/"))
        and (pattern.startswith("**/") or len(parent.parts) == 1)
        for parent in map(PurePosixPath, parents)
        if parent.parts
        for pattern in patterns
    )


def ignore_patterns():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_the_base_image_has_the_cuda_that_torch_is_built_for():
    (image,) = all_of("FROM")
    found = re.fullmatch(r"nvidia/cuda:(\d+)\.(\d+)\.\d+-devel-ubuntu24\.04", image)
    major, minor = int(found[1]), int(found[2])
    assert (major, minor) >= (12, 8)
    locked = pins("vllm.lock")
    assert locked["nvidia-cuda-runtime-cu12"].startswith(f"{major}.{minor}.")
    assert not [name for name in locked if name.endswith("-cu13")]
    assert any(f"/usr/local/cuda-{major}.{minor}/compat" in rest for rest in all_of("RUN"))


def test_the_image_lets_in_drivers_from_535_on():
    # Table of NVIDIA's release notes: driver 535 came with CUDA 12.2.
    assert environment()["NVIDIA_REQUIRE_CUDA"] == "cuda>=12.2"


def test_its_python_is_one_that_is_supported():
    (python,) = {name for rest in all_of("RUN") for name in re.findall(r"python(3\.\d+)", rest)}
    assert python in SpecifierSet(PROJECT["requires-python"])


def test_the_project_is_where_the_docs_mount_it_and_is_editable():
    (folder,) = all_of("WORKDIR")
    assert folder == "/workspace/coc_auto_labeling"
    assert any(rest.startswith("pip install") and rest.endswith("-e .") for rest in all_of("RUN"))
    assert not environment()["VIRTUAL_ENV"].startswith("/workspace")  # a mount would hide it
    assert environment()["MODEL_CACHE_DIR"] == "/workspace/hf-cache"
    assert all_of("CMD") == ['["bash"]']
    docs = (ROOT / "docs" / "local_models.md").read_text()
    assert "docker build -t coc_auto_labeling:latest ." in docs
    assert f":{folder}" in docs
    assert f":{environment()['MODEL_CACHE_DIR']}" in docs


def test_what_it_copies_is_there_and_not_ignored():
    patterns = ignore_patterns()
    for rest in all_of("COPY"):
        *sources, _ = rest.split()
        for source in sources:
            assert (ROOT / source).exists()
            assert not is_ignored(source, patterns)
    for needed in ("pyproject.toml", "README.md", "LICENSE", "src/coc_toolkit/cli.py", "demo_data/README.md"):
        assert (ROOT / needed).exists()
        assert not is_ignored(needed, patterns)


@pytest.mark.parametrize(
    "path", [".git/HEAD", ".venv/bin/python", "src/coc_labeling/__pycache__/x.pyc", "models/a", "runs/b"]
)
def test_what_is_no_source_stays_out(path):
    assert is_ignored(path, ignore_patterns())


def test_code_comes_after_what_takes_long():
    names = [(name, rest) for name, rest in instructions() if name in ("COPY", "RUN")]
    long = next(index for index, (_, rest) in enumerate(names) if "vllm.lock" in rest and rest.startswith("python"))
    assert names.index(("COPY", ". .")) > long


def test_the_lock_names_every_package_with_hashes():
    text = (ROOT / "requirements" / "vllm.lock").read_text()
    blocks = re.split(r"\n(?=\w)", text.strip())
    assert len(blocks) > 150
    assert all(re.match(r"[\w.-]+(\[.+\])?==\S+", block) and "--hash=sha256:" in block for block in blocks)


def test_the_lock_holds_the_vllm_that_is_asked_for():
    lines = (ROOT / "requirements" / "vllm.in").read_text().splitlines()
    (wanted,) = (line for line in lines if line and not line.startswith("#"))
    assert wanted == f"vllm=={pins('vllm.lock')['vllm']}"
    (extra,) = PROJECT["optional-dependencies"]["vllm"]
    assert pins("vllm.lock")["vllm"] in Requirement(extra).specifier


def test_the_docs_name_the_versions_of_the_lock():
    locked = pins("vllm.lock")
    docs = (ROOT / "docs" / "local_models.md").read_text()
    assert f"vLLM {locked['vllm']} and torch {locked['torch'].rpartition('.')[0]}." in docs


def test_the_lock_holds_what_the_toolkit_and_its_extra_vlm_need():
    locked = {name.lower(): version for name, version in pins("vllm.lock").items()}
    for line in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["vlm"]):
        wanted = Requirement(line)
        assert locked[wanted.name.lower()] in wanted.specifier, line
