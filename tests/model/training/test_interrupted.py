"""Trainings in processes of their own, with workers, that are signalled as a terminal and a scheduler do it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from builders.prepared import tiny_dataset
from example import WHOLE_HORIZON
from tiny_model import BASE, PARTS, tiny_model, write_base
from training_runs import QUICK, losses

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """Return a training for each signal, and its folder: they start at the same time."""
    folder = tmp_path_factory.mktemp("interrupted")
    futures = {**PARTS["traj_tokenizer_cfg"], "action_space_cfg": WHOLE_HORIZON}
    changes = {"action_space_cfg": WHOLE_HORIZON, "traj_tokenizer_cfg": futures, "tokens_per_future_traj": 128}
    tiny_model(write_base(folder / BASE), **changes).save_pretrained(folder / "checkpoint")
    pai = tiny_dataset(folder / "pai")
    asked = [f"model.path={folder / 'checkpoint'}", f"data.labels={pai}", f"data.data_dir={pai}", *QUICK]
    asked += ["data.num_workers=1", "data.val_share=0", "train.steps=5000", "train.batch_size=2", "train.accumulate=3"]
    own = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = {}
    for number in NUMBERS:
        command = [sys.executable, "-m", "coc_toolkit", "train", "stage2", *asked, f"out={folder / number.name}"]
        processes[number] = subprocess.Popen(
            command, env=own, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    yield folder, processes
    for process in processes.values():
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.parametrize("number", NUMBERS)
def test_the_whole_group_is_signalled(running, number):
    folder, processes = running
    out, process = folder / number.name, processes[number]
    deadline = time.monotonic() + 300
    while not (out / "losses.jsonl").exists() or len(losses(out)) < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(process.pid, number)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 130, said
    assert "interrupted; the same command goes on" in said
    step = max(losses(out))
    assert [path.name for path in (out / "checkpoints").iterdir()] == [f"step_{step:06d}"]
