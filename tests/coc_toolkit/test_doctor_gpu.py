import json
import os
import re
import sys

import pytest

from builders.coc import coc
from builders.golden import TESTS
from coc_toolkit import doctor_gpu
from coc_toolkit.doctor_gpu import GENERATIONS, SmiError, TorchBuild, examine_local_models, read_gpus

A100 = "NVIDIA A100-SXM4-80GB, {driver}, 8.0, 81920, 81000"
H100 = "NVIDIA H100 80GB HBM3, {driver}, 9.0, 81559, 81008"


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Put an nvidia-smi on PATH that lists these GPUs and speaks this CUDA."""

    def install(*rows, cuda="12.2", code=0):
        folder = tmp_path / "smi"
        folder.mkdir()
        (folder / "doctor").write_text("\n".join(rows))
        cells = [row.split(", ") for row in rows]
        placed = [f"{i}, GPU-{i}, {row[0]}, {row[3]}" for i, row in enumerate(cells) if len(row) > 3]
        (folder / "placement").write_text("\n".join(placed))
        head = f"| NVIDIA-SMI 535.161.08   Driver Version: 535.161.08   CUDA Version: {cuda}     |"
        (folder / "table").write_text(head)
        script = f"""#!/bin/sh
            case "$*" in
            *driver_version*) cat {folder}/doctor ;;
            *query*) cat {folder}/placement ;;
            *) cat {folder}/table ;;
            esac
            exit {code}
        """
        (folder / "nvidia-smi").write_text(script)
        (folder / "nvidia-smi").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    for variable in (
        "MODEL_CACHE_DIR",
        "HF_HOME",
        "HF_HUB_OFFLINE",
        "CUDA_VISIBLE_DEVICES",
        "VLLM_GPU_MEMORY_UTILIZATION",
    ):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    return install


@pytest.fixture
def torch(tmp_path, monkeypatch):
    """Put a torch of this build where it is found first, as torch writes its version down."""

    def install(version, cuda):
        folder = tmp_path / "site" / "torch"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("raise ImportError('not to be imported')\n")
        (folder / "version.py").write_text(
            f"from typing import Optional\n\n__all__ = ['__version__', 'debug', 'cuda', 'git_version', 'hip']\n"
            f"__version__ = {version!r}\ndebug = False\ncuda: Optional[str] = {cuda!r}\nhip: Optional[str] = None\n"
        )
        monkeypatch.syspath_prepend(folder.parent)

    return install


def said(has_vllm=False, about=""):
    return [(ok, text) for ok, text in examine_local_models(has_vllm) if text.startswith(about)]


def test_without_gpu_and_vllm_it_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert said() == [(None, "GPU: no NVIDIA driver found (only needed for local models)")]


def test_an_a100_with_an_old_driver_is_bad(smi):
    smi(A100.format(driver="525.85.12"))
    ((ok, text),) = said(about="GPU")
    assert ok is False
    assert "NVIDIA A100-SXM4-80GB, 86 GB, driver 525.85.12: too old, Ampere needs 535 or newer" in text
    answer = coc("doctor")
    assert answer.code == 1
    assert f"BAD {text}" in answer.out


@pytest.mark.parametrize(
    ("row", "driver", "fine"),
    [
        (A100, "535.161.08", True),
        (H100, "545.23.08", True),
        (H100, "535.161.08", False),
        (H100, "570.86.10", True),
        ("NVIDIA A10, {driver}, 8.6, 23028, 22500", "535.54", True),
        ("NVIDIA B200, {driver}, 10.0, 183359, 183000", "550.54", False),
        ("Tesla T4, {driver}, 7.5, 15360, 15000", "580.65.06", None),
        ("NVIDIA X1000, {driver}, 17.3, 999999, 999999", "900.1", None),
        ("NVIDIA A100, {driver}, 8.0, 81920, 81920", "[N/A]", None),
        ("NVIDIA GB10, {driver}, 12.1, [N/A], [N/A]", "580.95", None),
    ],
)
def test_the_driver_is_held_against_what_the_generation_needs(smi, row, driver, fine):
    smi(row.format(driver=driver))
    ((ok, text),) = said(about="GPU")
    assert ok is fine
    assert driver in text
    assert ("no minimum driver is known" in text) == (fine is None)


def test_the_docs_have_the_same_drivers():
    table = (TESTS.parent / "docs" / "local_models.md").read_text()
    rows = re.findall(r"^\| ([\w ]+) \| ([\d., ]+) \| [^|]+ \| (\d+) or newer", table, re.MULTILINE)
    told = {capability: (name, int(driver)) for name, listed, driver in rows for capability in listed.split(", ")}
    assert told == GENERATIONS


def test_gpus_of_a_kind_are_one_line(smi):
    row = H100.format(driver="545.23.08")
    smi(row, row.replace("81008", "81000"))
    assert said(about="GPU") == [
        (True, "GPU: 2 x NVIDIA H100 80GB HBM3, 86 GB each, driver 545.23.08 (Hopper needs 545 or newer)")
    ]


def test_memory_that_others_hold_is_told(smi):
    row = H100.format(driver="545.23.08")
    smi(row, row.replace("81008", "20000"))
    assert [text for _, text in said(about="GPU 1")] == [
        "GPU 1: 65 of 86 GB are in use: end what holds them, or lower vllm.gpu_memory_utilization"
    ]


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
            9,
            "exit code 9, NVIDIA-SMI has",
        ),
        ("No devices were found", 0, "it says 'No devices were found'"),
        ("", 0, "it lists no GPU"),
    ],
)
def test_a_broken_nvidia_smi_is_bad(smi, answer, code, words):
    smi(answer, code=code)
    ((ok, text),) = said()
    assert ok is False
    assert text.startswith(f"GPU: nvidia-smi fails: {words}")
    assert "--gpus all" in text


def test_an_nvidia_smi_that_cannot_run_is_bad(smi, tmp_path):
    smi()
    (tmp_path / "smi" / "nvidia-smi").write_text("#!/no/such/shell\n")
    ((ok, text),) = said()
    assert ok is False
    assert "No such file" in text


def test_an_nvidia_smi_that_hangs_is_bad(smi, tmp_path, monkeypatch):
    smi()
    (tmp_path / "smi" / "nvidia-smi").write_text("#!/bin/sh\nexec sleep 30\n")
    monkeypatch.setattr(doctor_gpu, "SMI_TIMEOUT_S", 0.2)
    ((ok, text),) = said()
    assert ok is False
    assert "timed out" in text


def test_a_row_with_other_fields_is_no_gpu():
    with pytest.raises(SmiError, match="it says 'a, b'"):
        read_gpus("a, b\n")


@pytest.mark.parametrize(
    ("version", "cuda", "driver", "ok", "words"),
    [
        ("2.13.0+cpu", None, "12.2", False, "is a build for CPUs; vLLM will not find the GPU"),
        ("2.10.0+cu128", "12.8", "12.2", True, "for CUDA 12.8; the driver speaks up to 12.2: runs by minor-version"),
        ("2.10.0+cu128", "12.8", "13.0", True, "for CUDA 12.8; the driver speaks up to 13.0"),
        ("2.13.0", "13.0", "12.9", False, "update the host's driver, or install a vllm for CUDA 12"),
        ("2.10.0", "12.10", "12.9", True, "minor-version"),
    ],
)
def test_torch_is_held_against_the_driver(smi, torch, version, cuda, driver, ok, words):
    smi(A100.format(driver="535.161.08"), cuda=driver)
    torch(version, cuda)
    ((is_ok, text),) = said(about="torch")
    assert is_ok is ok
    assert text.startswith(f"torch: {version}")
    assert words in text


def test_torch_is_told_where_the_driver_says_no_cuda(smi, torch):
    smi(A100.format(driver="535.161.08"), cuda="N/A")
    torch("2.10.0+cu128", "12.8")
    assert said(about="torch") == [(None, "torch: 2.10.0+cu128, for CUDA 12.8")]


def test_a_torch_for_cpus_is_fine_without_a_gpu(monkeypatch, tmp_path, torch):
    monkeypatch.setenv("PATH", str(tmp_path))
    torch("2.13.0+cpu", None)
    monkeypatch.setattr(doctor_gpu.subprocess, "run", None)  # nothing is run for it
    assert doctor_gpu.torch_build() == TorchBuild("2.13.0+cpu", None)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("LLM = 1", "vLLM: it can be imported"),
        (
            "raise ImportError('libtorch_cuda.so: cannot open shared object file: No such file or directory')",
            "libtorch_cuda.so: cannot open shared object file: No such file or directory: torch is not the build",
        ),
        ("raise RuntimeError('CUDA error: cudaErrorUnsupportedPtxVersion')", "update it on the host"),
        ("raise RuntimeError('The NVIDIA driver on your system is too old (found 11040)')", "update the host's driver"),
        ("import no_such_module_of_vllm", "No module named 'no_such_module_of_vllm': something of vLLM is missing"),
        ("import os; os._exit(7)", "vLLM: exit code 7: see docs/local_models.md"),
    ],
)
def test_vllm_is_imported_in_a_process_of_its_own(tmp_path, monkeypatch, module, words):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "vllm.py").write_text(module + "\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ((ok, text),) = said(has_vllm=True, about="vLLM")
    assert ok is (module == "LLM = 1")
    assert words in text
    assert "vllm" not in sys.modules


def test_an_import_of_vllm_that_does_not_end_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "vllm.py").write_text("import time; time.sleep(60)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(doctor_gpu, "VLLM_TIMEOUT_S", 0.5)
    ((ok, text),) = said(has_vllm=True, about="vLLM")
    assert ok is None
    assert "did not end" in text


@pytest.mark.parametrize(("size", "ok"), [(64 * 2**20, False), (2**34, True)])
def test_little_shared_memory_is_bad(smi, monkeypatch, size, ok):
    real = doctor_gpu.shutil.disk_usage
    monkeypatch.setattr(doctor_gpu.shutil, "disk_usage", lambda path: real("/")._replace(total=size))
    smi(A100.format(driver="535.161.08"))
    ((is_ok, text),) = said(about="shared memory")
    assert is_ok is ok
    assert ("--ipc=host" in text) == (not ok)


def test_models_that_are_not_here_are_told_with_where_they_would_run(smi, tmp_path, monkeypatch):
    smi(*[H100.format(driver="545.23.08")] * 8)
    monkeypatch.setenv("MODEL_CACHE_DIR", str(tmp_path / "cache"))
    assert said(about="weights") == [
        (None, f"weights: looked for in {tmp_path}/cache, then in {tmp_path}/models; downloads go to {tmp_path}/cache")
    ]
    assert said(about="qwen") == [
        (None, "qwen3.5_35b: not here, or not complete; about 70 GB; would run as 8 x 1 GPUs"),
        (None, "qwen3_vl_235b_awq: not here, or not complete; about 125 GB; would run as 4 x 2 GPUs"),
        (None, "qwen3.5_397b_fp8: not here, or not complete; about 400 GB; would run as 1 x 8 GPUs"),
    ]


def snapshot(cache, **config):
    """Write the files of a snapshot of qwen3.5_35b that make it complete."""
    folder = cache / "models--Qwen--Qwen3.5-35B-A3B" / "snapshots" / "5f1c0f"
    folder.mkdir(parents=True)
    for name in ("tokenizer_config.json", "tokenizer.json", "preprocessor_config.json"):
        (folder / name).write_text("{}")
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(b"")
    return folder


def test_a_model_that_is_here_is_told_with_its_folder(smi, tmp_path, monkeypatch):
    smi(A100.format(driver="535.161.08"))
    folder = snapshot(tmp_path / "hf" / "hub", model_type="qwen3_5_moe", text_config={"num_attention_heads": 16})
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    assert said(about="qwen3.5_35b") == [(True, f"qwen3.5_35b: 0 GB in {folder}; would run as 1 x 1 GPUs")]


def test_a_snapshot_of_another_model_is_told(smi, tmp_path, monkeypatch):
    smi(A100.format(driver="535.161.08"))
    snapshot(tmp_path, model_type="llama")
    monkeypatch.setenv("MODEL_CACHE_DIR", str(tmp_path))
    ((ok, text),) = said(about="qwen3.5_35b")
    assert ok is None
    assert "model of type 'llama'" in text


def test_a_model_that_does_not_fit_is_told(smi):
    smi("NVIDIA A10, 535.54, 8.6, 23028, 22500")
    ((_, text),) = said(about="qwen3.5_35b")
    assert "do not fit" in text


def test_a_share_of_memory_that_is_no_number_is_told(smi, monkeypatch):
    smi(A100.format(driver="535.161.08"))
    monkeypatch.setenv("VLLM_GPU_MEMORY_UTILIZATION", "much")
    assert all("VLLM_GPU_MEMORY_UTILIZATION='much'" in text for _, text in said(about="qwen"))
