"""Two processes on the CPU."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tiny_model import BASE, tiny_model, write_base
from training_runs import losses, run, settings_of

HERE = Path(__file__).parents[1]
COMMON = ("train.steps=4", "train.save_every=2", "train.keep=9")


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    tiny_model(write_base(folder / BASE)).save_pretrained(folder / "checkpoint")
    return folder / "checkpoint"


def launch(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # What accelerate launch runs for several GPUs; on CPUs alone it starts one process.
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(port)]
    own = {
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)]),
        **environment,
    }
    return subprocess.run(
        [*command, str(HERE / "training_rank.py"), *arguments],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
def test_train_as_one_with_twice_the_batch(start, tmp_path, stage):
    for_two = ("train.batch_size=1", "train.accumulate=2", *COMMON)
    done = launch(stage, str(start), str(tmp_path / "two"), *for_two)
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = [load_file(tmp_path / "two" / f"rank_{rank}.safetensors") for rank in (0, 1)]
    assert all((ranks[0][name] == ranks[1][name]).all() for name in ranks[0])
    run(settings_of(stage, start, tmp_path / "one", "train.batch_size=2", "train.accumulate=2", *COMMON))
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=2e-3)
    assert losses(tmp_path / "two")[1] == pytest.approx(losses(tmp_path / "one")[1], rel=1e-5)
    if stage == "stage1":
        wanted = losses(tmp_path / "two")
        for later in (3, 4):
            folder = tmp_path / "two" / "checkpoints" / f"step_{later:06d}"
            if folder.exists():
                folder.rename(tmp_path / f"moved_{later}")
        again = launch(stage, str(start), str(tmp_path / "two"), *for_two)
        assert again.returncode == 0, again.stderr[-3000:]
        assert losses(tmp_path / "two") == wanted


def test_a_loss_that_is_no_number_in_one_ends_both(start, tmp_path):
    done = launch("stage1", str(start), str(tmp_path / "out"), "train.batch_size=1", *COMMON, SPOIL_RANK="1")
    assert done.returncode != 0
    assert "NaN or infinite, in a batch of clip_" in done.stderr
    assert not (tmp_path / "out" / "model").exists()
