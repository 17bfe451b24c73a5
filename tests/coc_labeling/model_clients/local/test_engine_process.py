import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from coc_labeling.model_clients.local import engine_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends engines on Linux only")
spawn = multiprocessing.get_context("spawn")


def engine(pipe):
    engine_process.isolate()
    print("from a library")
    pipe.send((os.getpid(), os.getpgid(0)))
    time.sleep(60)


def owner(pipe, log):
    os.environ |= {engine_process.OWNER: str(os.getpid()), engine_process.LOG: log}
    engine_process.isolate()  # vLLM calls it in the owner's process, too
    pipe.send(os.getpgid(0))
    spawn.Process(target=engine, args=(pipe,)).start()
    time.sleep(60)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_an_engine_has_a_group_of_its_own_and_dies_with_its_owner(tmp_path, end):
    mine, theirs = spawn.Pipe()
    process = spawn.Process(target=owner, args=(theirs, str(tmp_path / "vllm.log")))
    process.start()
    assert mine.poll(30)
    assert mine.recv() == os.getpgid(0)  # the owner stays in its group
    assert mine.poll(30)
    pid, group = mine.recv()
    assert group == pid
    assert is_alive(pid)
    os.kill(process.pid, end)
    process.join(10)
    deadline = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(pid)


def test_engines_of_others_are_left_alone(monkeypatch):
    monkeypatch.delenv(engine_process.OWNER, raising=False)
    mine, theirs = spawn.Pipe()
    process = spawn.Process(target=engine, args=(theirs,))
    process.start()
    assert mine.poll(30)
    assert mine.recv() == (process.pid, os.getpgid(0))
    process.kill()
    process.join()
