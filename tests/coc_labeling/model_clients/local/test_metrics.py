from types import SimpleNamespace

import pytest

from coc_labeling.model_clients.local.gpus import Utilization
from coc_labeling.model_clients.local.metrics import Meter, summary


class Clock:
    def __init__(self):
        self.time = 100.0

    def __call__(self):
        return self.time


def scheduler(running=0, waiting=0, hits=0, queries=0):
    cache = SimpleNamespace(hits=hits, queries=queries)
    return SimpleNamespace(num_running_reqs=running, num_waiting_reqs=waiting, prefix_cache_stats=cache)


def iteration(prompt=0, generated=0, preempted=0, finished=()):
    return SimpleNamespace(
        num_prompt_tokens=prompt,
        num_generation_tokens=generated,
        num_preempted_reqs=preempted,
        finished_requests=[SimpleNamespace(inference_time=seconds) for seconds in finished],
    )


@pytest.fixture
def clock():
    return Clock()


def test_counts_are_weighted_by_time(clock):
    meter = Meter(clock)
    meter.begin()
    meter.record(scheduler(running=2, waiting=4, hits=128, queries=300), iteration(prompt=300, generated=1))
    clock.time += 1
    meter.record(scheduler(running=1, waiting=0), iteration(generated=2, preempted=1))
    clock.time += 3
    meter.record(scheduler(), iteration(generated=1))
    clock.time += 4  # idle
    meter.record(scheduler(), None)
    assert summary([meter], Utilization()) == {
        "replicas": 1,
        "seconds": 8.0,
        "busy_share": 0.5,
        "gpu_utilization_percent": None,
        "queue_depth_mean": 0.5,
        "queue_depth_max": 4,
        "running_mean": 0.625,
        "prompt_tokens_per_second": 37.5,
        "generation_tokens_per_second": 0.5,
        "prefix_cache_hit_tokens": 128,
        "prefix_cache_queried_tokens": 300,
        "preemptions": 1,
    }


def test_the_first_step_of_a_request_to_an_idle_engine_is_work_too(clock):
    meter = Meter(clock)
    meter.begin()
    clock.time += 4  # one step, from the prompt to the only token
    meter.record(scheduler(), iteration(generated=1, finished=[3.0]))
    clock.time += 2
    meter.record(scheduler(), iteration(generated=1, finished=[1.0, 0.5]))
    assert meter.busy_s == pytest.approx(4.0)
    clock.time += 2
    meter.record(scheduler(), iteration(generated=1, finished=[7.5]))  # it ran all the time, the gap included
    assert meter.busy_s == pytest.approx(7.5)
    assert meter.elapsed_s == 8.0


def test_what_comes_before_the_first_request_does_not_count(clock):
    meter = Meter(clock)
    meter.record(scheduler(running=1, hits=5, queries=9), iteration(prompt=10))
    assert summary([meter], Utilization()) == {}


def test_replicas_together(clock):
    meters = [Meter(clock), Meter(clock)]
    for meter in meters:
        meter.begin()
    meters[0].record(scheduler(running=1, waiting=3), iteration(generated=10))
    clock.time += 2
    for meter in meters:
        meter.record(scheduler(), iteration(generated=10))
    together = summary(meters, Utilization())
    assert together["busy_share"] == 0.5
    assert (together["queue_depth_mean"], together["generation_tokens_per_second"]) == (3.0, 15.0)
    assert together["replicas"] == 2
