"""Many windows with a model: problems of single clips, bounds that hold, and runs that end before their end."""

import asyncio
import errno
import itertools
import json
import os
import random
import shutil
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_runs.journal import Journal
from builders.coc import coc
from builders.fake_openai import FakeOpenAI, Hang, Ok, Raw, Refusal, Status
from builders.model_runs import (
    KEY,
    MANY,
    MOMENTS,
    PLENTY,
    Held,
    ModelCommand,
    add_video,
    answer,
    in_this_process,
    labels_of,
    on_arrival,
    own_answer,
    small_video,
)
from builders.odd_datasets import DyingDataset
from builders.runs import Inputs, only_run, records_in, rows_of
from coc_labeling import model_engine
from coc_labeling.model_engine import ModelRun, _Shelf
from coc_labeling.results import ExperimentFolder
from driving_clips import files
from driving_clips.datasets import DATASETS

USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}


@pytest.fixture(autouse=True)
def _answers(server):
    server.answer = own_answer


@pytest.fixture
def own_data(model_inputs, tmp_path) -> Inputs:
    """A copy of the data, to spoil."""
    shutil.copytree(model_inputs.data_dir, tmp_path / "data")
    return tmp_path / "data"


# --- problems of single clips


def test_clips_with_problems_cost_only_their_own_windows(spawning, own_data, monkeypatch):
    (own_data / "clip_1.camera_front_wide_120fov.mp4").unlink()
    add_video(own_data, "clip_2", b"no video at all" * 1000)
    (own_data / "clip_3.csv").write_text("nothing,like\n1,2\n")
    moments = [(f"clip_{i}", frame) for i in range(4) for frame in (60, 100)]
    moments += [("ghost", 50), ("clip_0", 900)]
    assert spawning(moments, data__data_dir=str(own_data), num_workers=2) == 1
    reasons = spawning.reasons()
    damaged = {reason: count for reason, count in reasons.items() if "video" in reason}
    assert sum(damaged.values()) == 2
    assert {reason: count for reason, count in reasons.items() if reason not in damaged} == {
        "done: labelled": 2,
        "rejected: no_frames": 2,
        "rejected: outside_clip": 1,
        "failed: wrong_schema": 2,
        "failed: unknown_clip": 1,
    }
    assert spawning.asked == 2
    spawning.check(moments)
    messages = spawning.told()["messages"]
    assert "camera_front_wide_120fov" in messages["clip_1/cot_6000000.yaml"]
    assert "clip_2" in messages["clip_2/cot_6000000.yaml"]


def test_a_worker_that_dies_takes_only_its_clip_along(spawning, own_data, monkeypatch):
    monkeypatch.setitem(DATASETS, "dying", DyingDataset)
    for path in sorted(own_data.glob("clip_1.*")):
        path.rename(own_data / path.name.replace("clip_1", "deadly"))
    moments = [("clip_0", 60), ("deadly", 60), ("deadly", 100), ("clip_2", 60), ("clip_3", 60)]
    settings = {"data__data_dir": str(own_data), "data__dataset_name": "dying", "num_workers": 2}
    assert spawning(moments, **settings) == 1
    assert spawning.reasons() == {"done: labelled": 3, "failed: worker_died": 2}
    spawning.check(moments)


def test_frames_that_a_short_video_lacks_are_told_to_the_model(model, own_data, server):
    add_video(own_data, "clip_0", small_video())
    moments = [("clip_0", 170)]
    assert model(moments, data__data_dir=str(own_data)) == 0
    said = str(server.requests[0].json["messages"])
    assert "frames of camera_front_wide_120fov do not exist" in said
    assert "The recording ends" in said
    record = model.only_record()
    assert record.window.missing_frames == 16 - record.window.frames > 0


def test_a_full_disk_stops_the_run_and_counts_the_rest(model, server, monkeypatch, capfd):
    write, room = ExperimentFolder.write, itertools.count()

    def full(self, record):
        if next(room) >= 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, record)

    with monkeypatch.context() as patch:
        patch.setattr(ExperimentFolder, "write", full)
        assert model(MANY, max_in_flight=2) == 1
    reasons = model.reasons()
    assert reasons.pop("done: labelled") == 2
    assert set(reasons) == {"failed: disk_full", "failed: not_reached"}
    assert sum(reasons.values()) == len(MANY) - 2
    assert "stopped early: disk_full" in capfd.readouterr().out
    assert model.asked <= 2 + 2 * 2
    model.check(MANY)
    assert model.resume(MANY) == 0
    assert model.asked == len(MANY), "what was answered before comes from the cache"
    model.check(MANY)


def test_a_record_that_cannot_be_written_for_another_reason_fails_alone(model, monkeypatch):
    write = ExperimentFolder.write

    def refusing(self, record):
        if record.event_start_frame == 60 and record.clip_id == "clip_1":
            raise PermissionError(errno.EACCES, "Permission denied")
        return write(self, record)

    monkeypatch.setattr(ExperimentFolder, "write", refusing)
    assert model() == 1
    assert model.reasons() == {"done: labelled": len(MOMENTS) - 1, "failed: unwritable": 1}


# --- bounds


@dataclass
class FakeClips:
    """What the shelf needs to know of prepared clips."""

    picture_bytes: int
    windows: list[int]
    problems: list = field(default_factory=list)


@given(
    room=st.integers(1, 50),
    clips=st.lists(st.tuples(st.integers(0, 80), st.integers(0, 4)), max_size=12),
    lags=st.lists(st.integers(0, 6), min_size=1, max_size=12),
    at_once=st.integers(1, 5),
)
def test_the_shelf_holds_no_more_than_fits_or_one_clip_and_lets_all_through(room, clips, lags, at_once):
    batches = [FakeClips(size if count else 0, list(range(count))) for size, count in clips]
    held: list[FakeClips] = []
    most = []

    async def produce(shelf):
        for clips in batches:
            assert await shelf.put(clips)
            if clips.picture_bytes:
                held.append(clips)
            most.append((sum(one.picture_bytes for one in held), len(held)))
        shelf.end()

    async def work_on(shelf, batch, lag, free):
        for _ in range(lag):
            await asyncio.sleep(0)
        free.release()
        if batch.left == 1 and batch.clips.picture_bytes:
            held.remove(batch.clips)
        shelf.give_back(batch)

    async def consume(shelf, taken):
        free, tasks = asyncio.Semaphore(at_once), []
        while (batch := await shelf.take()) is not None:
            taken.append(batch.clips)
            for number in batch.clips.windows:
                await free.acquire()
                tasks.append(asyncio.create_task(work_on(shelf, batch, lags[number % len(lags)], free)))
        await asyncio.gather(*tasks)

    async def go():
        shelf, taken = _Shelf(room), []
        await asyncio.wait_for(asyncio.gather(produce(shelf), consume(shelf, taken)), 10)
        return taken

    assert asyncio.run(go()) == batches
    assert [(size, count) for size, count in most if size > room and count > 1] == []
    assert held == []


@given(room=st.integers(1, 50), sizes=st.lists(st.integers(1, 80), max_size=8), take=st.integers(0, 3))
def test_a_closed_shelf_lets_a_waiting_producer_go(room, sizes, take):
    async def produce(shelf):
        return [await shelf.put(FakeClips(size, [0])) for size in sizes]

    async def consume(shelf):
        for _ in range(min(take, len(sizes))):
            batch = await shelf.take()
            shelf.give_back(batch)
        shelf.close()

    async def go():
        shelf = _Shelf(room)
        accepted, _ = await asyncio.wait_for(asyncio.gather(produce(shelf), consume(shelf)), 10)
        return accepted

    accepted = asyncio.run(go())
    assert accepted == sorted(accepted, reverse=True), "nothing is accepted after the first refusal"


def test_little_memory_for_pictures_costs_no_window(model, monkeypatch):
    monkeypatch.setattr(_Shelf, "__init__", _tight(_Shelf.__init__))
    assert model(MANY, max_in_flight=3) == 0
    model.check(MANY)


def _tight(init):
    return lambda self, room, ahead=0: init(self, 1)


@pytest.mark.parametrize("limit", [1, 3])
def test_no_more_requests_are_in_flight_than_configured(model, server, limit):
    server.latency = 0.01
    assert model(MANY, max_in_flight=limit) == 0
    assert server.peak == limit
    assert model.told()["max_in_flight"] == limit


# --- runs that end before their end


def interrupt(run) -> None:
    """Press Ctrl-C; returns when the run has taken notice."""
    run.send_signal(signal.SIGINT)
    patience = threading.Timer(20, run.kill)  # a run that takes no notice ends, and this test with it
    patience.start()
    try:
        assert any("Ctrl-C again" in line for line in run.stderr), "it took no notice"
    finally:
        patience.cancel()


@contextmanager
def started(start, moments, **settings):
    run = start(moments, **settings)
    try:
        yield run
    finally:
        run.kill()
        run.wait()
        run.stderr.close()


def test_ctrl_c_finishes_what_is_in_flight_and_resume_does_the_rest(spawning, server):
    server.answer, server.default = None, (held := Held(3))
    with started(spawning.start, MANY, max_in_flight=3) as run:
        assert held.arrived.wait(30)
        interrupt(run)
        held.release()
        assert run.wait(30) == 130
    assert spawning.reasons() == {"done: labelled": 3, "failed: not_reached": len(MANY) - 3}
    assert spawning.told()["stopped"].startswith("interrupted")
    spawning.check(MANY)
    with in_this_process():
        assert spawning.resume(MANY) == 0
    assert spawning.asked == len(MANY)
    spawning.check(MANY)


def test_a_second_ctrl_c_drops_what_is_in_flight(spawning, server):
    server.answer, server.default = None, (held := Held(3))
    with started(spawning.fork, MANY, max_in_flight=3) as run:
        assert held.arrived.wait(30)
        interrupt(run)
        run.send_signal(signal.SIGINT)
        assert run.wait(30) == 130
    assert spawning.reasons() == {"failed: not_reached": len(MANY)}
    spawning.check(MANY)
    held.release()
    with in_this_process():
        assert spawning.resume(MANY) == 0
    spawning.check(MANY)


def test_ctrl_c_twice_also_ends_a_run_that_was_stopping_for_another_reason(spawning, server):
    held = Held(2)
    server.answer, server.default = None, held
    server.script = [Status(401, "no such key")]
    with started(spawning.fork, MANY, max_in_flight=3, log_json="true") as run:
        assert held.arrived.wait(30)
        wait_for_event(spawning, "failed")
        interrupt(run)
        run.send_signal(signal.SIGINT)
        assert run.wait(3) in (1, 2, 130)
    assert spawning.reasons() == {"failed: http_401": 1, "failed: not_reached": len(MANY) - 1}
    spawning.check(MANY)


def test_a_record_that_is_being_written_at_the_second_ctrl_c_is_counted(model, server, monkeypatch):
    write, interrupted, taken = ExperimentFolder.write, ModelRun._interrupt, threading.Semaphore(0)

    def noted(self, asking):
        interrupted(self, asking)
        taken.release()

    def writing(self, record):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            assert taken.acquire(timeout=10)
        return write(self, record)

    monkeypatch.setattr(ModelRun, "_interrupt", noted)
    monkeypatch.setattr(ExperimentFolder, "write", writing)
    assert model(MANY, max_in_flight=1) == 130
    model.check(MANY)
    written = model.reasons()["done: labelled"]
    assert written in (1, 2)  # another one may have been at it
    assert model.reasons() == {"done: labelled": written, "failed: not_reached": len(MANY) - written}


def test_an_example_of_the_prompt_that_cannot_be_written_costs_no_window(model, monkeypatch):
    write_atomic = files.write_atomic

    def refusing(path, content):
        if path.endswith("prompt_example.txt"):
            raise PermissionError(errno.EACCES, "Permission denied")
        write_atomic(path, content)

    monkeypatch.setattr(files, "write_atomic", refusing)
    assert model(max_in_flight=1) == 0
    model.check()


def test_a_disk_that_is_full_for_the_journal_costs_no_row_of_the_table(model, monkeypatch):
    append, full = Journal.append, [True]

    def refusing(self, rows):
        if full.pop() if full else False:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, rows)

    monkeypatch.setattr(Journal, "append", refusing)
    assert model(PLENTY) in (0, 1)  # as many as were in flight are finished: perhaps all
    model.check(PLENTY)


def wait_for_event(model: ModelCommand, kind: str) -> None:
    """Follow a run's log until an event is in it."""
    with (model.folder / "events.jsonl").open() as log:
        for _ in range(6000):
            if (line := log.readline()) and json.loads(line)["event"] == kind:
                return
            time.sleep(0 if line else 0.005)
    raise AssertionError(f"no event {kind}")


@pytest.fixture(scope="module")
def undisturbed(model_inputs, tmp_path_factory):
    """One run that nothing happens to; tests only read it."""
    root = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch, FakeOpenAI(answer=own_answer) as server, in_this_process():
        patch.setenv("COC_TEST_MODEL_KEY", KEY)
        command = ModelCommand(model_inputs, root, server)
        assert command(MANY, response_cache="false") == 0
        return command.folder


@pytest.mark.parametrize(("seed", "how"), [(1, "start"), (2, "fork"), (3, "fork"), (4, "fork"), (5, "fork")])
def test_a_killed_run_goes_on_and_ends_as_an_undisturbed_one(spawning, server, undisturbed, seed, how):
    number = random.Random(seed).randint(2, len(MANY) - 1)
    running = threading.Event()
    victim = []

    def kill():
        assert running.wait(10)
        victim[0].kill()

    server.answer = on_arrival(number, kill)
    with started(getattr(spawning, how), MANY, max_in_flight=2, response_cache="false") as run:
        victim.append(run)
        running.set()
        assert run.wait(30) == -signal.SIGKILL
    left = records_in(spawning.folder)
    assert len(left) < len(MANY)
    server.answer = own_answer
    with in_this_process():
        assert spawning.resume(MANY, response_cache="false") == 0
    assert records_in(spawning.folder) == records_in(undisturbed)
    assert rows_of(spawning.folder) == rows_of(undisturbed)
    assert {name: records_in(spawning.folder)[name] for name in left} == left
    spawning.check(MANY)


def test_a_killed_run_pays_for_no_answer_twice(spawning, server, undisturbed):
    running, victim = threading.Event(), []
    server.answer = on_arrival(9, lambda: running.wait(10) and victim[0].kill())
    with started(spawning.fork, MANY, max_in_flight=1) as run:
        victim.append(run)
        running.set()
        assert run.wait(30) == -signal.SIGKILL
    with in_this_process():
        assert spawning.resume(MANY) == 0
    assert spawning.asked == len(MANY) + 1, "the one in flight when the run was killed"
    assert labels_of(spawning.folder) == labels_of(undisturbed)


def test_what_a_killed_run_left_half_written_is_removed(model):
    assert model() == 0
    record = next(model.folder.rglob("cot_*.yaml"))
    half = record.with_name(f".{record.name}.{files._HOST}-999999999.tmp")
    record.rename(half)
    assert model.resume() == 0
    assert record.exists()
    assert not half.exists()
    model.check()


def test_a_second_run_in_the_same_folder_is_refused_and_asks_nothing(model, capfd):
    assert model() == 0
    before, asked = records_in(model.folder), model.asked
    with ExperimentFolder(str(model.folder)).opened():
        assert model.resume(MANY) == 2
    assert "another run is writing here" in capfd.readouterr().err
    assert model.asked == asked
    assert records_in(model.folder) == before


def test_shards_share_the_windows_out_and_merge_to_the_whole(model, undisturbed, tmp_path, model_inputs, server):
    for index in range(2):
        part = ModelCommand(model_inputs, tmp_path / f"shard_{index}", server)
        part.root.mkdir()
        assert part(MANY, shard=f"{index}/2", response_cache="false") == 0
    shards = [only_run(tmp_path / f"shard_{index}" / "experiments") for index in range(2)]
    assert all(records_in(shard) for shard in shards)
    merged = coc("merge", *shards, "--out", tmp_path / "all")
    assert merged.code == 0, merged.err
    assert records_in(tmp_path / "all") == records_in(undisturbed)
    assert rows_of(tmp_path / "all") == rows_of(undisturbed)
    assert model.asked == len(MANY)


# --- the response cache


def again(model: ModelCommand, name: str) -> ModelCommand:
    """Return the same command writing to another place below the same output root."""
    shutil.move(model.folder, model.root / name)
    return model


def test_a_run_repeated_sends_nothing_and_gives_the_same_labels(model):
    assert model() == 0
    again(model, "first")
    assert model() == 0
    assert model.asked == len(MOMENTS)
    assert labels_of(model.folder) == labels_of(model.root / "first")
    told = model.told()
    assert told["this_run"]["answered_from_cache"] == len(MOMENTS)
    assert (told["this_run"]["requests"], told["egress"]) == (0, {})
    assert told["tokens"] == {"prompt": 0, "response": 0, "reasoning": 0, "cached": 0}
    model.check()


def test_another_wish_is_another_request(model):
    assert model() == 0
    again(model, "first")
    assert model(vlm_agent__seed=7) == 0
    assert model.asked == 2 * len(MOMENTS)


def test_windows_that_ask_the_same_share_the_cache_in_peace(model, server, own_data, caplog):
    for name in ("a", "b", "c", "d"):
        for path in sorted(own_data.glob("clip_1.*")):
            shutil.copy(path, own_data / path.name.replace("clip_1", name))
    moments = [(name, frame) for frame in (60, 70, 80, 90) for name in ("a", "b", "c", "d")]
    assert model(moments, data__data_dir=str(own_data)) == 0
    model.check(moments)
    assert "cache cannot be written" not in caplog.text


def test_without_the_cache_everything_is_sent_again(model):
    assert model(response_cache="false") == 0
    again(model, "first")
    assert model(response_cache="false") == 0
    assert model.asked == 2 * len(MOMENTS)
    assert not (model.out / ".response_cache").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{torn",
        b"[1]",
        b"\xff\xfe",
        b'{"version": 99, "answer": {"content": "x"}}',
        b'{"version": 1, "answer": 5}',
        b'{"version": 1, "answer": {}}',
        b"[" * 100_000,
    ],
)
def test_a_cached_answer_that_is_damaged_is_asked_for_again(model, content):
    assert model() == 0
    again(model, "first")
    kept = sorted(path for path in (model.out / ".response_cache").rglob("*.json"))
    assert len(kept) == len(MOMENTS)
    kept[0].write_bytes(content)
    assert model() == 0
    assert model.asked == len(MOMENTS) + 1
    assert labels_of(model.folder) == labels_of(model.root / "first")


def test_a_cache_that_cannot_be_written_costs_no_label(model, tmp_path):
    (tmp_path / "a_file").write_text("")
    assert model(response_cache_dir=str(tmp_path / "a_file")) == 0
    model.check()


# --- budgets


def test_the_limit_on_tokens_stops_the_run_and_a_higher_one_goes_on(model, server, capfd):
    server.answer, server.default = None, Ok(answer(), usage=USAGE)
    assert model(MANY, max_total_tokens=5000, max_in_flight=4) == 1
    told = model.told()
    spent = told["tokens"]["prompt"] + told["tokens"]["response"]
    assert spent == 4 * 1100
    assert model.asked == 4
    assert model.reasons() == {"done: labelled": 4, "failed: not_reached": len(MANY) - 4}
    assert "stopped early: budget: max_total_tokens=5000" in capfd.readouterr().out
    model.check(MANY)
    assert model.resume(MANY, max_total_tokens=7000, max_in_flight=4) == 1
    assert model.asked == 6, "what the experiment has cost before counts"
    assert model.resume(MANY, max_total_tokens=10_000_000) == 0
    assert model.asked == len(MANY)
    model.check(MANY)


def test_the_limit_on_cost_stops_the_run(model, server, capfd):
    server.answer, server.default = None, Ok(answer(), usage=USAGE)
    price = {"price__prompt": 10.0, "price__response": 100.0}  # 0.02 USD a request
    assert model(MANY, max_cost_usd=0.11, max_in_flight=8, **price) == 1
    assert model.asked == 5
    assert model.told()["cost_usd"] == pytest.approx(0.1)
    assert "stopped early: budget: max_cost_usd=0.11: 0.1000 USD are spent" in capfd.readouterr().out
    assert model.resume(MANY, max_cost_usd=100, **price) == 0
    assert model.told()["cost_usd"] == pytest.approx(0.02 * len(MANY))


def test_a_limit_smaller_than_one_request_costs_one_request(model, server):
    server.answer, server.default = None, Ok(answer(), usage=USAGE)
    assert model(MANY, max_total_tokens=10, max_in_flight=8) == 1
    assert model.asked == 1


def test_requests_that_cost_more_than_the_first_ones_exceed_the_limit_by_one_at_most(model, server):
    costs = [1000 * (1 + number % 5) for number in range(100)]
    server.answer = None
    server.script = [Ok(answer(), usage={"prompt_tokens": cost, "completion_tokens": 0}) for cost in costs]
    assert model(MANY, max_total_tokens=20_000, max_in_flight=1) == 1
    assert sum(costs[: model.asked - 1]) < 20_000
    assert model.told()["tokens"]["prompt"] <= 20_000 + max(costs)


def test_a_limit_on_cost_without_a_price_is_refused_before_anything_is_sent(model, capfd):
    assert model(max_cost_usd=1) == 2
    assert "price.prompt" in capfd.readouterr().err
    assert model.asked == 0
    assert not model.out.exists()


# --- what is told


def test_json_logs_are_lines_of_json_without_prompts_pictures_or_secrets(model, server, seen_secrets):
    server.script = [Refusal("CANARY-OF-THE-ANSWER"), Status(400, "no")]
    assert model(log_json="true") == 1
    text = (model.folder / "events.jsonl").read_text()
    events = [json.loads(line) for line in text.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds[0] == "run_started"
    assert kinds[-1] == "run_finished"
    assert (kinds.count("label"), kinds.count("abstention"), kinds.count("failed")) == (len(MOMENTS) - 2, 1, 1)
    assert kinds.count("answer") == len(MOMENTS) - 1
    assert events[-1]["counts"] == {"done": len(MOMENTS) - 2, "abstained": 1, "rejected": 0, "failed": 1}
    assert all(isinstance(event["time"], float) for event in events)
    assert "base64" not in text
    assert "# Meta-actions" not in text
    assert "CANARY" not in text
    assert seen_secrets() == []


def test_without_the_wish_no_events_are_written(model):
    assert model() == 0
    assert not (model.folder / "events.jsonl").exists()


def test_the_progress_line_tells_counts_in_flight_tokens_and_the_latest_sentence(model, server, monkeypatch):
    shown, lines_of = [], []

    @contextmanager
    def live(lines):
        lines_of.append(lines)
        yield
        shown.append(lines())

    def answering(request):
        shown.append(lines_of[0]())
        return own_answer(request)

    monkeypatch.setattr(model_engine, "live", live)
    server.answer = answering
    assert model(max_in_flight=1, price__prompt=10, price__response=100) == 0
    first, last = shown[0], shown[-1]
    assert first[0].startswith(f"labels: 0/{len(MOMENTS)}, 0 done, 0 abstained, 0 rejected, 0 failed, 1 in flight")
    assert last[0].startswith(f"labels: {len(MOMENTS)}/{len(MOMENTS)}, {len(MOMENTS)} done, 0 abstained")
    last = " ".join(last)
    assert ", 0 in flight" in last
    assert "6000 + 300 tokens, 0.09 USD" in last
    assert "labels/min" in last
    assert "Keep the speed, says" in last


def test_the_summary_tells_what_left_where(model, server):
    server.script = [Raw(b"", 503)]
    assert model() == 0
    told = model.told()
    sent = sum(len(request.body) for request in server.requests)
    requests = len(MOMENTS) + 1
    assert told["egress"] == {"127.0.0.1": {"requests": requests, "images": 16 * requests, "bytes": sent}}
    assert told["this_run"]["requests"] == len(MOMENTS)
    assert told["model"]["model"] == "fake-model"
    assert told["tokens"]["prompt"] == told["this_run"]["prompt_tokens"] == 1000 * len(MOMENTS)
    assert told["this_run"]["labels_per_minute"] > 0


def test_a_run_with_nothing_to_do_asks_nothing(model, server):
    server.default = Hang()
    assert model([]) == 0
    assert model.asked == 0
    assert model.reasons() == {}
