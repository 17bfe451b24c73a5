"""Whether the engine was kept busy: queue, busy share, tokens per second, prefix cache, from what vLLM counts."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from coc_labeling.model_clients.local.gpus import Utilization

_ROUNDED = 3


class Meter:
    """Sums what one engine reports after each of its steps.

    Numbers of requests hold until the next report, so means are weighted by time. All times count from the first
    request to the last report: neither loading nor waiting for the first window is the engine's.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._first: float | None = None
        self._last = 0.0
        self._waiting = self._running = 0
        self._waiting_s = self._running_s = 0.0
        self.max_waiting = self.prompt_tokens = self.generation_tokens = self.preemptions = 0
        self.cache_hits = self.cache_queries = 0
        self._busy: list[list[float]] = []  # spans of time, disjoint, in order

    def begin(self) -> None:
        """Count time from here on, if it is the first request."""
        if self._first is None:
            self._first = self._last = self._now()

    def record(self, scheduler_stats: Any, iteration_stats: Any) -> None:
        """Take vLLM's SchedulerStats and IterationStats of a step; either may be None."""
        if self._first is None:
            return  # of the engine's own warming up
        now = self._now()
        elapsed = now - self._last
        self._waiting_s += self._waiting * elapsed
        self._running_s += self._running * elapsed
        if self._running:
            self._add_busy(self._last, now)
        self._last = now
        if scheduler_stats is not None:
            self._running = scheduler_stats.num_running_reqs
            self._waiting = scheduler_stats.num_waiting_reqs
            self.max_waiting = max(self.max_waiting, self._waiting)
            self.cache_hits += scheduler_stats.prefix_cache_stats.hits
            self.cache_queries += scheduler_stats.prefix_cache_stats.queries
        if iteration_stats is not None:
            self.prompt_tokens += iteration_stats.num_prompt_tokens
            self.generation_tokens += iteration_stats.num_generation_tokens
            self.preemptions += iteration_stats.num_preempted_reqs
            for finished in iteration_stats.finished_requests:
                # The first step of a request that comes to an idle engine shows only now.
                self._add_busy(max(self._first, now - finished.inference_time), now)

    def _add_busy(self, start: float, end: float) -> None:
        """Add a span that ends no earlier than all before it."""
        while self._busy and self._busy[-1][1] >= start:
            start = min(start, self._busy.pop()[0])
        self._busy.append([start, end])

    @property
    def elapsed_s(self) -> float:
        """From the first request to the last report."""
        return 0.0 if self._first is None else self._last - self._first

    @property
    def busy_s(self) -> float:
        """How long of it at least one request ran."""
        return sum(end - start for start, end in self._busy)

    @property
    def waiting_s(self) -> float:
        """Requests that waited for the engine, times how long."""
        return self._waiting_s

    @property
    def running_s(self) -> float:
        """Requests that ran, times how long."""
        return self._running_s


def summary(meters: Sequence[Meter], utilization: Utilization) -> dict[str, Any]:
    """Return what ``run_summary.json`` says of the engines of a run; nothing where none was asked.

    ``busy_share`` is the mean over replicas; ``queue_depth`` and ``running`` are requests of all of them together;
    ``gpu_utilization_percent`` is what nvidia-smi says of all GPUs of the machine, null where there is none.
    """
    asked = [meter for meter in meters if meter.elapsed_s > 0]
    if not asked:
        return {}
    elapsed = max(meter.elapsed_s for meter in asked)
    busy = sum(meter.busy_s for meter in asked) / (elapsed * len(meters))
    gpu = utilization.mean()
    return {
        "replicas": len(meters),
        "seconds": round(elapsed, _ROUNDED),
        "busy_share": round(busy, _ROUNDED),
        "gpu_utilization_percent": None if gpu is None else round(gpu, 1),
        "queue_depth_mean": round(sum(meter.waiting_s for meter in asked) / elapsed, _ROUNDED),
        "queue_depth_max": max(meter.max_waiting for meter in asked),
        "running_mean": round(sum(meter.running_s for meter in asked) / elapsed, _ROUNDED),
        "prompt_tokens_per_second": round(sum(meter.prompt_tokens for meter in asked) / elapsed, 1),
        "generation_tokens_per_second": round(sum(meter.generation_tokens for meter in asked) / elapsed, 1),
        "prefix_cache_hit_tokens": sum(meter.cache_hits for meter in asked),
        "prefix_cache_queried_tokens": sum(meter.cache_queries for meter in asked),
        "preemptions": sum(meter.preemptions for meter in asked),
    }


def stat_logger(meter: Meter) -> type:
    """Return the class that hands an engine's statistics to a meter.

    It stands in for vLLM's Prometheus logger: nobody reads that one here, it costs time at every step, and its global
    registry does not bear two engines that start at once.
    """
    from vllm.v1.metrics.loggers import PrometheusStatLogger

    class MeterLogger(PrometheusStatLogger):
        def __init__(self, vllm_config: Any, engine_indexes: Any = None) -> None:
            pass

        def record(
            self, scheduler_stats: Any, iteration_stats: Any, mm_cache_stats: Any = None, engine_idx: int = 0
        ) -> None:
            meter.record(scheduler_stats, iteration_stats)

        def log_engine_initialized(self) -> None:
            pass

        def record_sleep_state(self, sleep: int = 0, level: int = 0) -> None:
            pass

        def record_admission_rejection(self, reason: str) -> None:
            pass

    return MeterLogger
