import stat
import time

import pytest

from coc_labeling.model_clients.local.gpus import Utilization, visible_gpus

SMI = """#!/bin/sh
case "$1" in
*utilization*) while :; do echo 40; echo 60; sleep 0.1; done ;;
*) echo "0, GPU-aaa, NVIDIA H100 80GB HBM3, 81559"; echo "1, GPU-bbb, NVIDIA H100 80GB HBM3, 81559" ;;
esac
"""


@pytest.fixture
def smi(tmp_path, monkeypatch):
    path = tmp_path / "nvidia-smi"
    path.write_text(SMI)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


@pytest.mark.parametrize(
    ("visible", "numbers"),
    [(None, "01"), ("1", "1"), ("GPU-bbb,GPU-aaa", "10"), ("GPU-b", "1"), ("0,7,1", "0"), ("", ""), ("-1", "")],
)
def test_gpus_that_cuda_would_show(smi, visible, numbers):
    found = visible_gpus({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible})
    assert [gpu.number for gpu in found] == list(numbers)
    assert all(gpu.memory_bytes == 81559 * 2**20 for gpu in found)


def test_without_nvidia_smi(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus({}) == []
    utilization = Utilization()
    utilization.start()
    utilization.stop()
    assert utilization.mean() is None


def test_utilization_is_sampled_until_the_end(smi):
    utilization = Utilization()
    utilization.start()
    deadline = time.monotonic() + 10
    while utilization.mean() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    utilization.stop()
    assert 40 <= utilization.mean() <= 60
