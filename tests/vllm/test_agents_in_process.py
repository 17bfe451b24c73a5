"""Step 3 with a model inside the process: labels hold, requests can be shown again, a killed run goes on."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from builders.model_runs import MOMENTS, PLENTY, ModelCommand, in_this_process, prepare_with_videos
from builders.runs import Inputs, records_in
from coc_labeling.show_request import show_request

CALLS = {"VLMCoCAgent": ["label"], "TwoStageCoCAgent": ["components", "label"]}
PATIENCE_S = 120.0


@dataclass
class InProcess(ModelCommand):
    """The command with an agent and a checkpoint."""

    agent: str = ""
    checkpoint: Path | None = None

    def overrides(self, moments: list[tuple[str, int]] | None = None, **settings: Any) -> list[str]:
        """Return the command's arguments."""
        default = {
            "model_name": "qwen3_vl_235b_awq",
            "model_path": str(self.checkpoint),
            "vlm_agent__agent_name": self.agent,
            "vlm_agent__max_tokens": 1024,
        }
        return super().overrides(moments, **default | settings)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Inputs:
    """Four clips with small videos, their meta-actions and keyframes; tests do not write there."""
    return prepare_with_videos(tmp_path_factory.mktemp("inputs"))


@pytest.fixture
def command(inputs, tiny_checkpoint, tmp_path):
    """Return the command of an agent."""

    def of(agent: str) -> InProcess:
        nobody = SimpleNamespace(base_url="http://127.0.0.1:9/v1")
        return InProcess(inputs, tmp_path, nobody, agent=agent, checkpoint=tiny_checkpoint("qwen3_vl"))

    return of


def check_labels(run: InProcess, moments: list[tuple[str, int]]) -> None:
    """Every window has a label of this agent; its requests are those that were sent."""
    run.check(moments)
    assert run.told()["counts"]["done"] == len(moments)
    records = run.records()
    for record in records.values():
        assert record.label.longitudinal is not None
        assert [call.purpose for call in record.calls] == CALLS[run.agent]
        assert record.window.frames == 16
        assert record.usage.prompt_tokens > 1000
        assert record.provenance.model_revision.startswith("local-")
    shown = show_request(str(run.folder / next(iter(records))))
    assert [one.same for one in shown] == [True] * len(CALLS[run.agent])


def test_labels_hold_and_the_summary_says_how_busy_the_engine_was(command):
    run = command("VLMCoCAgent")
    with in_this_process():
        assert run(MOMENTS) == 0
    check_labels(run, MOMENTS)
    engine = run.told()["engine"]
    assert 0 < engine["busy_share"] <= 1
    assert engine["generation_tokens_per_second"] > 0
    assert {"queue_depth_mean", "running_mean", "prefix_cache_hit_tokens"} <= engine.keys()
    assert (run.folder / "vllm.log").stat().st_size > 0


def test_a_killed_run_of_two_stages_goes_on(command):
    run = command("TwoStageCoCAgent")
    running = run.start(PLENTY, max_in_flight=1)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not (run.out.exists() and len(records_in(run.out)) >= 3):
            assert running.poll() is None, running.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        running.stderr.close()
    finished = {name: (run.folder / name).read_bytes() for name in records_in(run.folder)}
    assert 3 <= len(finished) < len(PLENTY)
    with in_this_process():
        assert run.resume(PLENTY) == 0
    check_labels(run, PLENTY)
    assert all((run.folder / name).read_bytes() == content for name, content in finished.items())
