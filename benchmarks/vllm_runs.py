"""Labels from a real vLLM on the CPU with a tiny model: how near to vLLM's own speed, and what its prefix cache serves.

Needs the environment of ``make test-vllm``; ``make bench-vllm`` runs it there.
"""

import asyncio
import importlib.util
import json
import os
import re
import statistics
import sys
import time
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.measuring import Row, Scale, output_of, spread
from benchmarks.model_runs import PER_CLIP, Inputs, tiny_video
from coc_labeling.agents.base import ModelAgent
from coc_labeling.budget import Budget
from coc_labeling.config.loading import PRESETS, load_config
from coc_labeling.events import EventLog
from coc_labeling.inputs import read_inputs
from coc_labeling.model_clients.vlm_wrappers import create_model_wrapper
from coc_labeling.model_run import make_asker, make_preparer, model_settings
from coc_labeling.records import from_yaml
from coc_labeling.rehearsal import KnownFacts, asked_at_least
from coc_labeling.run import check
from coc_labeling.schema import Record
from coc_labeling.work import tasks_of

TESTS = Path(__file__).resolve().parent.parent / "tests" / "vllm"
MODEL = "qwen3_vl_235b_awq"
IN_FLIGHT = 16
SINGLE, TWO_STAGES = "VLMCoCAgent", "TwoStageCoCAgent"


def measure(scale: Scale, folder: Path) -> list[Row]:
    """Measure over HTTP and inside the process."""
    if importlib.util.find_spec("vllm") is None:
        return [Row("labels from vLLM", "", "not measured: run `make bench-vllm`", "")]
    sys.path.insert(0, str(TESTS))
    import tiny_models
    from serving import VllmServer

    checkpoint = tiny_models.checkpoint("qwen3_vl")
    inputs = Inputs(folder)
    windows = inputs.write(scale.vllm_clips, tiny_video()) * PER_CLIP
    rows = _in_process(inputs, checkpoint, windows, scale.growing_repeats + 1)
    os.environ["VLLM_SERVER_DEV_MODE"] = "1"  # it can be told to empty its prefix cache
    server = VllmServer(checkpoint, folder / "server.log")
    server.start()
    try:
        rows += _http(inputs, server, windows, scale.growing_repeats + 1)
        rows += _stages(inputs, server, checkpoint, windows, scale.growing_repeats + 1)
    finally:
        server.kill()
    return rows


def _in_process(inputs: Inputs, checkpoint: Path, windows: int, runs: int) -> list[Row]:
    settings = {"model_name": MODEL, "model_path": checkpoint, "num_workers": 2}
    listed = inputs.out / "bodies.jsonl"
    listed.parent.mkdir(parents=True)
    listed.write_text("".join(f"{json.dumps(body)}\n" for body in first_bodies(inputs, settings)))
    ours, theirs = [], []
    for _ in range(runs):
        told = json.loads(output_of([sys.executable, "-m", "benchmarks.llm_chat", str(checkpoint), str(listed)]))
        theirs.append(windows / told["seconds"])
        inputs.label("", **settings)
        summary = inputs.last_summary()
        engine = summary["engine"]
        ours.append(summary["this_run"]["requests"] / engine["seconds"])
    ratio = f"{statistics.median(ours) / statistics.median(theirs):.2f}"
    how = f"{windows} windows, 16 frames as one video, {runs} runs in turn; engine busy {engine['busy_share']:.0%}, "
    how += f"{engine['queue_depth_mean']} waiting, {engine['running_mean']} running, "
    how += f"{engine['generation_tokens_per_second']} tokens/s in the last one"
    return [
        Row("labels/s in process against LLM.chat with one list", ">= 0.85", ratio, how),
        Row("in process", "", spread(ours, "labels/s", 1), "from the first request to the last answer"),
        Row("LLM.chat", "", spread(theirs, "requests/s", 1), "loading not counted"),
    ]


def _http(inputs: Inputs, server: Any, windows: int, runs: int) -> list[Row]:
    settings = {"model_name": MODEL, "server_ip": server.address, "num_workers": 2}
    bodies = [json.dumps(body).encode() for body in first_bodies(inputs, settings)]
    rates: dict[tuple[str, int], list[float]] = {}
    for _ in range(runs):
        for in_flight in (1, IN_FLIGHT):
            _forget(server)
            seconds = asyncio.run(bare_load(f"http://{server.address}/v1/chat/completions", bodies, in_flight))
            rates.setdefault(("bare", in_flight), []).append(windows / seconds)
            _forget(server)
            inputs.label("", max_in_flight=in_flight, **settings)
            rates.setdefault(("ours", in_flight), []).append(_rate(inputs.last_summary()))
    gains = {
        who: statistics.median(rates[who, IN_FLIGHT]) / statistics.median(rates[who, 1]) for who in ("ours", "bare")
    }
    rows = [
        Row(
            f"gain of {IN_FLIGHT} requests in flight over 1, against a bare load generator's",
            ">= 0.85",
            f"{gains['ours'] / gains['bare']:.2f}",
            f"{gains['ours']:.2f} x and {gains['bare']:.2f} x; {windows} windows of 16 pictures, {runs} runs in turn",
        )
    ]
    for (who, in_flight), measured in rates.items():
        unit = "labels/s" if who == "ours" else "requests/s"
        rows.append(
            Row(f"{who}, {in_flight} in flight", "", spread(measured, unit, 2), "prefix cache empty at the start")
        )
    return rows


def _stages(inputs: Inputs, server: Any, checkpoint: Path, windows: int, runs: int) -> list[Row]:
    settings = {"model_name": MODEL, "server_ip": server.address, "num_workers": 2, "max_in_flight": IN_FLIGHT}
    seconds: dict[str, list[float]] = {SINGLE: [], TWO_STAGES: []}
    for _ in range(runs):
        for agent, measured in seconds.items():
            _forget(server)
            inputs.label("", **settings, **{"vlm_agent.agent_name": agent})
            measured.append(1000 / _rate(inputs.last_summary()))
    single, double = (statistics.median(measured) for measured in seconds.values())
    tokens = {}
    for agent in seconds:
        records = _records(inputs, agent)
        tokens[agent] = round(sum(record.usage.response_tokens for record in records) / len(records))
    how = f"same server, {windows} windows, {IN_FLIGHT} in flight, {runs} runs in turn; answers of "
    how += f"{tokens[TWO_STAGES]} and {tokens[SINGLE]} tokens"
    rows = [
        Row("two stages against a single pass, time per label", "<= 1.6 x", f"{double / single:.2f} x", how),
        *(Row(f"{agent}", "", spread(m, "ms/label"), f"{IN_FLIGHT} in flight") for agent, m in seconds.items()),
    ]
    return [*rows, *_cached(_records(inputs, TWO_STAGES), server, checkpoint)]


def _cached(records: Sequence[Record], server: Any, checkpoint: Path) -> list[Row]:
    """Return how many requests got all whole blocks of what the cache can hold of them."""
    from transformers import AutoTokenizer

    block = int(re.findall(r'block_size="(\d+)"', server.get("/metrics"))[0])
    system = [{"role": "system", "content": records[0].prompt[0].content}]
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    static = len(tokenizer(tokenizer.apply_chat_template(system, tokenize=False))["input_ids"])
    first = [record.calls[0].usage for record in records]
    second = [(record.calls[0].usage, record.calls[1].usage) for record in records if len(record.calls) > 1]
    whole = static // block * block
    served = sum(usage.cached_tokens >= whole for usage in first)
    again = sum(b.cached_tokens >= a.prompt_tokens // block * block for a, b in second)
    share = sum(r.usage.cached_tokens for r in records) / sum(r.usage.prompt_tokens for r in records)
    what = "prompt tokens from the prefix cache"
    return [
        Row(f"{what}: stage 1", "all whole blocks of the static part", f"{served} of {len(first)} requests",
            f"{static} static tokens, {whole} in blocks of {block}; the others were sent before the first was read"),
        Row(f"{what}: stage 2", "all whole blocks of stage 1", f"{again} of {len(second)} requests",
            f"prompts of stage 1 have {statistics.median(u.prompt_tokens for u in first):.0f} tokens"),
        Row(f"{what}: share of the run", "", f"{share:.0%}", "of all prompt tokens"),
    ]  # fmt: skip


def first_bodies(inputs: Inputs, settings: dict[str, object]) -> list[dict[str, Any]]:
    """Return the first request's body of every window, as a run with these settings sends it."""
    overrides = inputs.overrides("", **settings)
    config = load_config(PRESETS[1], overrides)
    agent, read = check(config), read_inputs(config)
    assert isinstance(agent, ModelAgent)
    model = create_model_wrapper(config.model_name, config.server_ip, settings=model_settings(config), init_model=False)
    model.model_id = "tiny"
    asker = make_asker(config, model, Budget(), EventLog(None))
    preparer = make_preparer(config, agent, model, read.loader)
    tasks = tasks_of(read.groups, read.keyframes, read.timelines, read.loader.dataset)
    windows = [window for task in tasks for window in preparer(task).windows]
    first = [asked_at_least(agent, replace(window, facts=KnownFacts()))[0] for window in windows]
    return [asker.body(asked.parts, asked.form, asked.max_tokens) for asked in first]


async def bare_load(url: str, bodies: Iterable[bytes], in_flight: int) -> float:
    """Send bodies, so many at once, and return the seconds until all are answered."""
    import httpx2

    slots = asyncio.Semaphore(in_flight)
    headers = {"content-type": "application/json"}
    async with httpx2.AsyncClient(timeout=600, limits=httpx2.Limits(max_connections=in_flight)) as client:

        async def send(body: bytes) -> None:
            async with slots:
                (await client.post(url, content=body, headers=headers)).raise_for_status()

        started = time.perf_counter()
        await asyncio.gather(*(send(body) for body in bodies))
        return time.perf_counter() - started


def _forget(server: Any) -> None:
    """Empty the server's prefix cache."""
    request = urllib.request.Request(f"http://{server.address}/reset_prefix_cache", method="POST")
    urllib.request.urlopen(request, timeout=30).close()


def _rate(summary: dict[str, Any]) -> float:
    """Return the labels and abstentions a second of a run's own time."""
    return float(summary["this_run"]["labels_per_minute"]) / 60


def _records(inputs: Inputs, agent: str) -> list[Record]:
    """Return the records of the latest run of an agent."""
    runs = sorted(inputs.out.glob("2*"), key=lambda path: path.stat().st_mtime)
    for run in reversed(runs):
        records = [from_yaml(path.read_text(), str(path)) for path in run.rglob("cot_*.yaml")]
        if records and records[0].provenance and records[0].provenance.agent == agent:
            return records
    raise RuntimeError(f"no run of {agent} in {inputs.out}")
