"""Models inside this process: vLLM itself, on CPU, with tiny random models."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from pydantic import BaseModel, Field, create_model

from coc_labeling.model_clients.errors import ModelUnreachable, ModelUnusable, RequestRefused
from coc_labeling.model_clients.local.engine import Engine
from coc_labeling.model_clients.vlm_wrappers import LocalSettings, ModelSettings, TimedFrame, create_model_wrapper

MAX_MODEL_LEN = 4096
MIB = 2**20


class Form(BaseModel):
    stop: bool
    distance: int = Field(ge=0, le=9)


# Takes about a thousand tokens, whatever a model would like to say.
Long = create_model("Long", words=(Literal["slow down " * 150], ...))


def frames(seconds, seed=0, size=(128, 192)):
    picture = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
    return [TimedFrame(f"t={t - 2:.2f}s", np.roll(picture, i * 5, 1), 30 + t) for i, t in enumerate(seconds)]


def half_seconds(count):
    return [number * 0.5 for number in range(count)]


def wrapper_of(path, log_path=None, timeout_sec=600, **settings):
    local = LocalSettings(model_path=str(path), max_model_len=MAX_MODEL_LEN, **settings)
    wrapper = create_model_wrapper("qwen3.5_35b", settings=ModelSettings(local=local), timeout_sec=timeout_sec)
    wrapper.log_path = None if log_path is None else str(log_path)
    return wrapper


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("log") / "vllm.log"


@pytest.fixture(scope="module")
def wrapper(tiny_checkpoint, log):
    made = wrapper_of(tiny_checkpoint("qwen3_vl"), log)
    yield made
    made.close()


def said(wrapper, *contents):
    kinds = ({"role": role, "m_type": kind, "content": content} for role, kind, content in contents)
    return wrapper.add_message_seq(kinds)


def stage_1(wrapper, seed=0):
    return said(wrapper, ("system", "text", "Be brief."), ("user", "video", frames(half_seconds(8), seed)))


def stage_2(wrapper, seed=0):
    more = said(wrapper, ("assistant", "text", '{"c1": "x"}'), ("user", "video", frames(half_seconds(8), seed + 100)))
    return stage_1(wrapper, seed) + more


def text_of(wrapper, messages):
    """What the model reads, as text."""

    async def read():
        engine = await wrapper.local.start(None, wrapper._stop)
        answer = await engine.generate(wrapper.request(messages, max_tokens=1), None, 60)
        tokenizer = engine.replicas[0].llm.get_tokenizer()
        return tokenizer.decode(list(answer.prompt_token_ids))

    return asyncio.run(read())


def alive(pids):
    living = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        living += [pid] if state not in "ZX" else []
    return living


def descendants(pid):
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, new = set(), {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_answers_fit_the_schema_and_say_what_they_cost(wrapper, log):
    result = wrapper.infer(stage_2(wrapper), json_schema=Form, max_tokens=60)
    assert set(result["content"]) == {"stop", "distance"}
    assert result["finish_reason"] == "stop"
    assert result["prompt_tokens"] > 200
    assert result["response_tokens"] > 5
    assert result["system_fingerprint"] == wrapper.describe()["revision"]
    assert " vllm." in log.read_text()


@pytest.mark.parametrize(
    ("seconds", "markers"),
    [
        ([0.0, 0.5, 1.0, 1.5], ["<0.2 seconds>", "<1.2 seconds>"]),
        ([0.0, 0.483, 1.0, 1.517, 2.0], ["<0.2 seconds>", "<1.3 seconds>", "<2.0 seconds>"]),
        ([0.0], ["<0.0 seconds>"]),
    ],
)
def test_the_model_reads_true_times(wrapper, seconds, markers):
    text = text_of(wrapper, said(wrapper, ("user", "video", frames(seconds))))
    positions = [text.index(marker) for marker in markers]
    assert positions == sorted(positions)
    assert text.count(" seconds>") == len(markers)
    assert f"Frames at t=-2.00s{', ' if len(seconds) > 1 else ';'}" in text


def test_stage_2_finds_stage_1_in_the_cache(wrapper):
    first = wrapper.infer(stage_1(wrapper, 7), json_schema=Form, max_tokens=40)
    assert first["prompt_tokens"] > 200
    second = wrapper.infer(stage_2(wrapper, 7), json_schema=Form, max_tokens=40)
    block = 128  # of vLLM on CPU
    shared = first["prompt_tokens"] - 5  # without the "assistant" that opens the answer
    assert second["cached_tokens"] >= shared // block * block > 0
    again = wrapper.infer(stage_1(wrapper, 8), json_schema=Form, max_tokens=40)
    assert again["cached_tokens"] < block  # another window shares the first words only


def test_many_at_once_from_two_loops(wrapper):
    async def some(seeds):
        asked = (wrapper.ainfer(stage_1(wrapper, seed), json_schema=Form, max_tokens=40) for seed in seeds)
        return await asyncio.gather(*asked)

    results = [*asyncio.run(some(range(20, 28))), *asyncio.run(some(range(20, 28)))]
    assert [one["content"] for one in results[:8]] == [one["content"] for one in results[8:]]
    measured = wrapper.measured()
    assert 0 < measured["busy_share"] <= 1
    assert measured["running_mean"] > 0
    assert measured["prompt_tokens_per_second"] > 0
    assert measured["prefix_cache_hit_tokens"] > 0


def test_a_prompt_that_is_too_long_costs_its_window_only(wrapper):
    long = said(wrapper, ("user", "text", "slow down " * 4000))
    few, more = (wrapper.infer(said(wrapper, ("user", "text", "slow " * n)), max_tokens=1) for n in (100, 200))
    each = (more["prompt_tokens"] - few["prompt_tokens"]) / 100
    fitting = int((MAX_MODEL_LEN - few["prompt_tokens"]) / each)
    pictures = [frame.image for frame in frames(half_seconds(16))]
    with_frames = said(wrapper, ("user", "text", "slow " * fitting), ("user", "video", pictures))
    for messages in (long, with_frames):
        with pytest.raises(RequestRefused, match=rf"tokens, and vllm\.max_model_len={MAX_MODEL_LEN}"):
            wrapper.infer(messages, max_tokens=10)
    too_many = said(wrapper, *(("user", "video", frames([0.0], seed)) for seed in range(3)))
    with pytest.raises(RequestRefused, match="video"):
        wrapper.infer(too_many, max_tokens=10)
    assert wrapper.infer(stage_1(wrapper), json_schema=Form, max_tokens=40)["finish_reason"] == "stop"


def test_a_request_whose_time_is_up_is_taken_from_the_engine(wrapper):
    async def story():
        engine = await wrapper.local.start(None, wrapper._stop)
        body = wrapper.request(said(wrapper, ("user", "text", "tell me")), max_tokens=3000, json_schema=Long)
        with pytest.raises(ModelUnreachable, match=r"no whole answer in 0\.3 s") as caught:
            await engine.generate(body, None, 0.3)
        assert caught.value.code == "timeout"
        return engine.replicas[0]

    replica = asyncio.run(story())
    assert replica.in_flight == 0
    assert wait_until(lambda: replica.llm.output_processor.get_num_unfinished_requests() == 0)


def test_nothing_is_begun_after_stop(tiny_checkpoint):
    wrapper = wrapper_of(tiny_checkpoint("qwen3_vl"))
    wrapper.stop()
    with pytest.raises(ModelUnreachable) as caught:
        wrapper.infer(stage_1(wrapper))
    assert caught.value.code == "stopped"
    assert wrapper.local._engine is None


def test_too_little_memory_names_the_setting(tiny_checkpoint, tmp_path):
    arguments = {
        "model": str(tiny_checkpoint("qwen3_vl")),
        "max_model_len": 8192,
        "enforce_eager": True,
        "kv_cache_memory_bytes": 2 * MIB,
    }
    engine = Engine(arguments, log_path=str(tmp_path / "vllm.log"))
    with pytest.raises(ModelUnusable) as caught:
        asyncio.run(engine.start())
    engine.close()
    assert caught.value.code == "kv_cache"
    for word in (r"vllm\.max_model_len=\d+ or less", r"vllm\.gpu_memory_utilization", str(tmp_path / "vllm.log")):
        assert re.search(word, str(caught.value)), caught.value


def test_qwen_3_5(tiny_checkpoint):
    wrapper = wrapper_of(tiny_checkpoint("qwen3_5_moe"))
    try:
        text = text_of(wrapper, said(wrapper, ("user", "video", frames([0.0, 0.5, 1.0, 1.517, 2.0]))))
        assert [marker in text for marker in ("<0.2 seconds>", "<1.3 seconds>", "<2.0 seconds>")] == [True] * 3
        result = wrapper.infer(stage_2(wrapper), json_schema=Form, max_tokens=60)
        assert set(result["content"]) == {"stop", "distance"}
    finally:
        wrapper.close()


def test_replicas_keep_their_sessions(tiny_checkpoint):
    wrapper = wrapper_of(tiny_checkpoint("qwen3_vl"), data_parallel=2)

    async def windows():
        for stage in (stage_1, stage_2):
            asked = (
                wrapper.ainfer(stage(wrapper, seed), json_schema=Form, max_tokens=40, session=str(seed))
                for seed in range(4)
            )
            results = await asyncio.gather(*asked)
        return results

    try:
        assert all(result["cached_tokens"] >= 128 for result in asyncio.run(windows()))
        assert [replica.meter.prompt_tokens > 0 for replica in wrapper.local._engine.replicas] == [True, True]
        before = descendants(os.getpid())
        with ThreadPoolExecutor(1) as thread:
            body = wrapper.request(said(wrapper, ("user", "text", "tell me")), max_tokens=3000, json_schema=Long)
            left = thread.submit(asyncio.run, wrapper.local._engine.generate(body, None, 60))
            wait_until(lambda: wrapper.local._engine._asked)
            wrapper.close()
            assert left.exception(timeout=20).code == "stopped"  # nobody is left waiting
    finally:
        wrapper.close()
    assert len(before) >= 4
    trackers = alive(descendants(os.getpid()))
    assert len(trackers) <= len(before) - 4  # both engines and their workers are gone


RUN = """
import asyncio, os, signal, sys
from test_local_engine import Long, descendants, said, wrapper_of

async def main():
    wrapper = wrapper_of(sys.argv[1], sys.argv[2])
    await wrapper.prepare()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, wrapper.stop)
    body = wrapper.request(said(wrapper, ("user", "text", "tell me")), max_tokens=3000, json_schema=Long)
    asked = asyncio.create_task(wrapper.send(body))
    await asyncio.sleep(0.2)
    print("asked", *descendants(os.getpid()), flush=True)
    answer = await asked
    while "stay" in sys.argv and not wrapper._stop._is_set:  # so that the signal comes while it answers
        answer = await wrapper.send(body)
    print("answered", answer["finish_reason"], wrapper._stop._is_set, flush=True)
    if "stay" in sys.argv:
        await asyncio.sleep(600)

if __name__ == "__main__":
    asyncio.run(main())
    print("end", flush=True)
"""


@pytest.fixture(scope="module")
def programs(tiny_checkpoint, tmp_path_factory):
    """Two programs with a model, one of which stays when it has its answer; they start at once, for that takes long."""
    folder = tmp_path_factory.mktemp("programs")
    script = folder / "run.py"
    script.write_text(RUN)
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    begun = []
    for way in ("stay", "end"):
        log = str(folder / f"{way}.log")
        command = [sys.executable, str(script), str(tiny_checkpoint("qwen3_vl")), log, way]
        begun.append(subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True, start_new_session=True))
    yield begun
    for process in begun:
        process.kill()
        process.wait()


def test_ctrl_c_lets_requests_finish_and_a_kill_leaves_no_orphans(programs):
    process, _ = programs
    family = family_of(process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.stdout.readline() == "answered stop True\n"
    assert alive(family) == family
    process.kill()
    process.wait()
    assert wait_until(lambda: not alive(family)), alive(family)


def test_the_end_of_the_program_is_the_end_of_the_engine(programs):
    _, process = programs
    family = family_of(process)
    assert process.stdout.readline() == "answered stop False\n"
    assert process.stdout.readline() == "end\n"
    assert process.wait(60) == 0
    assert wait_until(lambda: not alive(family)), alive(family)


def family_of(process) -> list[int]:
    """Return the processes of a program's engine, once it has asked it."""
    word, *family = process.stdout.readline().split()
    assert word == "asked"
    assert len(family) >= 2
    return [int(pid) for pid in family]
