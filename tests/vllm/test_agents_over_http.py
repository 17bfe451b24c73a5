"""Step 3 with a real vLLM server: pictures arrive, labels hold, and runs outlive what is killed."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from builders.model_runs import MANY, ModelCommand, in_this_process, prepare_with_videos
from builders.runs import Inputs, records_in

AGENTS = ["VLMCoCAgent", "TwoStageCoCAgent"]
TOKENS = {96: 6, 64: 2}  # of a picture of 96 x 64 as it is, and made smaller, by its longer side
FIRST_FRAMES = {"VLMCoCAgent": 16, "TwoStageCoCAgent": 5}  # in the first question of a window
PATIENCE_S = 120.0
SUCCEEDED = "vllm:request_success_total"
# The command, with pauses between attempts of at most 1 s: they grow to a minute.
IMPATIENT = """
import asyncio, sys
from coc_labeling.data_labeling import main
from coc_labeling.model_clients.retrying import Timing
from coc_labeling.model_clients.vlm_wrappers.chat import ChatWrapper
ChatWrapper.timing = Timing(sleep=lambda seconds: asyncio.sleep(min(seconds, 1.0)))
sys.exit(main(sys.argv[1:]))
"""


@dataclass
class Served(ModelCommand):
    """The command with an agent against real servers."""

    agent: str = AGENTS[0]
    servers: list[Any] = field(default_factory=list)

    def overrides(self, moments: list[tuple[str, int]] | None = None, **settings: Any) -> list[str]:
        """Return the command's arguments."""
        default = {
            "model_name": "qwen3_vl_235b_awq",
            "server_ip": f"[{','.join(server.address for server in self.servers or [self.server])}]",
            "vlm_agent__agent_name": self.agent,
            "vlm_agent__max_tokens": 1024,
        }
        return super().overrides(moments, **default | settings)

    def start_impatient(self, moments: list[tuple[str, int]], **settings: Any) -> subprocess.Popen:
        """Run as a process of its own that soon asks again."""
        command = [sys.executable, "-c", IMPATIENT, *self.overrides(moments, **settings)]
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, text=True, cwd=self.root, **pipes)

    def written(self) -> int:
        """Return how many records there are."""
        return len(records_in(self.out)) if self.out.exists() else 0


@pytest.fixture(scope="session")
def inputs(tmp_path_factory) -> Inputs:
    """Four clips with small videos, their meta-actions and keyframes; tests do not write there."""
    return prepare_with_videos(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(params=AGENTS)
def agent(request) -> str:
    return request.param


@pytest.fixture
def command(inputs, agent, vllm_server, tmp_path) -> Served:
    return Served(inputs, tmp_path, vllm_server, agent=agent)


@pytest.fixture
def quick(command) -> Iterator[Served]:
    """The same in this process, see ``in_this_process``."""
    with in_this_process():
        yield command


def first_calls(run: Served) -> dict[str, Any]:
    return {name: record.calls[0] for name, record in run.records().items()}


def wait_until(told: Any, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not told():
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE_S:.0f} s"
        time.sleep(0.02)


def end_of(run: Any) -> str:
    _, err = run.communicate(timeout=PATIENCE_S)
    return f"exit code {run.returncode}\n{err[-3000:]}"


def test_pictures_arrive(quick, inputs, tmp_path):
    smaller = Served(inputs, tmp_path / "smaller", quick.server, agent=quick.agent)
    smaller.root.mkdir()
    assert quick() == 0
    assert smaller(data_loader__video__max_side=64) == 0
    small, large = first_calls(smaller), first_calls(quick)
    more = FIRST_FRAMES[quick.agent] * (TOKENS[96] - TOKENS[64])
    assert small.keys() == large.keys()
    for name, call in large.items():
        assert call.usage.prompt_tokens == small[name].usage.prompt_tokens + more


def test_labels_hold(quick):
    assert quick(MANY) == 0
    quick.check(MANY)
    assert quick.reasons() == {"done: labelled": len(MANY)}
    for record in quick.records().values():
        assert record.label.longitudinal is not None
        assert {call.finish_reason for call in record.calls} == {"stop"}
        assert all(call.usage.response_tokens < 400 for call in record.calls), "texts end before they must"


def test_the_static_part_comes_from_the_prefix_cache(quick):
    assert quick(max_in_flight=1, log_json="true") == 0
    _, *others = (record.calls for record in quick.told_in_order())
    assert others
    for calls in others:
        assert calls[0].usage.cached_tokens > 800
        for earlier, later in itertools.pairwise(calls):
            assert later.usage.cached_tokens > earlier.usage.prompt_tokens - 2 * 128, "stage 2 goes on with stage 1"


def test_a_killed_run_goes_on(command):
    running = command.start(MANY, max_in_flight=2)
    try:
        wait_until(lambda: command.written() >= 3 or running.poll() is not None, "three records")
        assert running.poll() is None, end_of(running)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        running.stderr.close()
    finished = {name: (command.folder / name).read_bytes() for name in records_in(command.folder)}
    assert 3 <= len(finished) < len(MANY)
    before = command.server.metric(SUCCEEDED)
    with in_this_process():
        assert command.resume(MANY) == 0
    command.check(MANY)
    left = len(MANY) - len(finished)
    assert command.reasons() == {"done: already_done": len(finished), "done: labelled": left}
    assert all((command.folder / name).read_bytes() == content for name, content in finished.items())
    per_window = len(next(iter(command.records().values())).calls)
    assert command.server.metric(SUCCEEDED) - before <= per_window * left


def test_a_server_that_dies_and_comes_back_costs_no_window(inputs, vllm_server, tmp_path):
    runs = []
    for agent in AGENTS:
        root = tmp_path / agent
        root.mkdir()
        runs.append(Served(inputs, root, vllm_server, agent=agent))
    running = [run.start_impatient(MANY, max_in_flight=2, max_retries=200) for run in runs]
    try:
        wait_until(lambda: any(run.written() >= 2 for run in runs), "two records")
        vllm_server.kill()
        assert all(run.written() < len(MANY) for run in runs)
        vllm_server.start()
        for run, process in zip(runs, running, strict=True):
            said = end_of(process)
            assert process.returncode == 0, said
            run.check(MANY)
            assert run.reasons() == {"done: labelled": len(MANY)}
    finally:
        for process in running:
            process.kill()
            process.wait()


def test_two_servers_share_the_windows(inputs, vllm_server, second_server, tmp_path, agent):
    servers = [vllm_server, second_server]
    before = [server.metric(SUCCEEDED) for server in servers]
    run = Served(inputs, tmp_path, vllm_server, agent=agent, servers=servers)
    with in_this_process():
        assert run(MANY) == 0
    run.check(MANY)
    assert run.reasons() == {"done: labelled": len(MANY)}
    got = [server.metric(SUCCEEDED) - earlier for server, earlier in zip(servers, before, strict=True)]
    assert sum(got) == sum(len(record.calls) for record in run.records().values())
    assert min(got) >= sum(got) / 4, "one of four clips at least"
