"""Where a run with a model stands: what its progress line shows and its summary keeps."""

import time
from collections import deque
from dataclasses import dataclass, field

from coc_labeling.budget import Budget

_RATE_OVER_SEC = 120.0


@dataclass
class RunStatus:
    """Counts of the windows of this run, as they are finished.

    Attributes:
        total: windows to label now, without those found done.
        budget: what is spent.
        rates, results: whether the line tells speed, and the latest sentence.
        unit: what is counted.
    """

    total: int
    budget: Budget
    rates: bool = True
    results: bool = True
    unit: str = "labels"
    done: int = 0
    abstained: int = 0
    rejected: int = 0
    failed: int = 0
    in_flight: int = 0
    noted: int = 0
    latest: str = ""
    stopping: str = ""
    started: float = field(default_factory=time.monotonic)
    _finished_at: deque[float] = field(default_factory=deque)

    def finish(self, kind: str, sentence: str = "") -> None:
        """Count a window: done, abstained, rejected or failed."""
        setattr(self, kind, getattr(self, kind) + 1)
        now = time.monotonic()
        if kind in ("done", "abstained"):
            self._finished_at.append(now)
        if sentence:
            self.latest = sentence

    def counts(self) -> dict[str, int]:
        """Return the counts by outcome."""
        return {kind: getattr(self, kind) for kind in ("done", "abstained", "rejected", "failed")}

    @property
    def average_per_minute(self) -> float:
        """Labels and abstentions per minute since the run began."""
        return (self.done + self.abstained) / max(time.monotonic() - self.started, 1e-9) * 60

    @property
    def finished(self) -> int:
        """Windows that nothing more is done about."""
        return self.done + self.abstained + self.rejected + self.failed

    @property
    def labels_per_minute(self) -> float:
        """Labels and abstentions per minute over the last two minutes."""
        now = time.monotonic()
        while self._finished_at and now - self._finished_at[0] > _RATE_OVER_SEC:
            self._finished_at.popleft()
        over = min(now - self.started, _RATE_OVER_SEC)
        return len(self._finished_at) / max(over, 1e-9) * 60

    def lines(self) -> list[str]:
        """Return counts, speed and cost, and the latest sentence on a line of its own."""
        counts = [f"{self.unit}: {self.finished}/{self.total}", f"{self.done} done", f"{self.abstained} abstained"]
        counts += [f"{self.rejected} rejected", f"{self.failed} failed", f"{self.in_flight} in flight"]
        lines = [", ".join([*counts, *self._rates()])]
        if self.stopping:
            lines.append(f"stopping: {self.stopping}")
        elif self.results and self.latest:
            lines.append(self.latest)
        return lines

    def _rates(self) -> list[str]:
        spent, per_minute = self.budget.spent, self.labels_per_minute
        parts = [f"{per_minute:.1f} {self.unit}/min"] if self.rates else []
        parts.append(f"{_thousands(spent.prompt_tokens)} + {_thousands(spent.response_tokens)} tokens")
        cost = self.budget.cost_of(spent)
        if cost is not None:
            parts.append(f"{cost:.2f} USD")
        if per_minute > 0:
            parts.append(f"{_duration((self.total - self.finished) / per_minute * 60)} left")
        return parts


def _thousands(count: int) -> str:
    if count < 10_000:
        return str(count)
    return f"{count / 1e3:.0f} k" if count < 1_000_000 else f"{count / 1e6:.1f} M"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
