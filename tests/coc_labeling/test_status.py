import pytest

from coc_labeling import status as status_module
from coc_labeling.budget import Budget
from coc_labeling.model_clients.pricing import Price
from coc_labeling.schema import Usage
from coc_labeling.status import RunStatus

PRICE = Price(usd_per_million_prompt=1.0, usd_per_million_response=10.0, usd_per_million_cached=0.1)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until it is moved."""

    class Clock:
        now = 1000.0

        def monotonic(self) -> float:
            return self.now

    own = Clock()
    monkeypatch.setattr(status_module, "time", own)
    return own


def run(clock, total: int = 100, **fields) -> RunStatus:
    return RunStatus(total, fields.pop("budget", Budget()), started=clock.now, **fields)


def test_windows_are_counted_by_what_became_of_them(clock):
    status = run(clock)
    for kind in ("done", "done", "abstained", "rejected", "failed"):
        status.finish(kind)
    assert status.counts() == {"done": 2, "abstained": 1, "rejected": 1, "failed": 1}
    assert status.finished == 5


def test_the_line_at_the_start_promises_nothing(clock):
    assert run(clock).lines() == [
        "labels: 0/100, 0 done, 0 abstained, 0 rejected, 0 failed, 0 in flight, 0.0 labels/min, 0 + 0 tokens"
    ]


def test_the_line_tells_counts_speed_tokens_cost_and_time_left(clock):
    budget = Budget(PRICE, spent=Usage(prompt_tokens=2_000_000, response_tokens=12_345))
    status = run(clock, budget=budget, in_flight=8)
    clock.now += 60
    for _ in range(20):
        status.finish("done")
    for kind in ("abstained", "rejected", "failed"):
        status.finish(kind)
    assert status.lines()[0] == (
        "labels: 23/100, 20 done, 1 abstained, 1 rejected, 1 failed, 8 in flight, 21.0 labels/min, "
        "2.0 M + 12 k tokens, 2.12 USD, 4 min left"
    )


def test_speed_is_that_of_the_last_two_minutes(clock):
    status = run(clock)
    for _ in range(50):
        status.finish("done")
    clock.now += 600
    assert status.average_per_minute == pytest.approx(5.0)
    status.finish("done")
    assert status.labels_per_minute == pytest.approx(0.5)


def test_speed_is_told_of_labels_and_abstentions_alone(clock):
    status = run(clock)
    clock.now += 60
    status.finish("failed")
    status.finish("rejected")
    assert (status.labels_per_minute, status.average_per_minute) == (0, 0)
    status.finish("abstained")
    assert status.labels_per_minute == pytest.approx(1.0)


def test_speed_falls_to_nothing_while_the_model_hangs(clock):
    status = run(clock)
    clock.now += 60
    for _ in range(60):
        status.finish("done")
    clock.now += 3600
    assert status.labels_per_minute == 0


def test_without_rates_the_line_is_without(clock):
    status = run(clock, rates=False)
    assert "labels/min" not in status.lines()[0]


def test_the_latest_sentence_stands_below(clock):
    status = run(clock)
    status.finish("done", "Stop behind the lead vehicle.")
    status.finish("abstained")
    assert status.lines()[1:] == ["Stop behind the lead vehicle."]
    assert run(clock, results=False, latest="Stop.").lines()[1:] == []


def test_that_the_run_stops_is_told_instead(clock):
    status = run(clock, latest="Stop.", stopping="Ctrl-C")
    assert status.lines()[1:] == ["stopping: Ctrl-C"]


@pytest.mark.parametrize(
    ("left", "expected"), [(1, "60 s left"), (80, "80 min left"), (600, "10.0 h left"), (0, "0 s left")]
)
def test_the_time_left_is_told_in_fitting_units(clock, left, expected):
    status = run(clock, total=left + 1)
    clock.now += 60
    status.finish("done")
    assert status.lines()[0].endswith(expected)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 + "), (9_999, "9999 + "), (10_000, "10 k + "), (999_400, "999 k + "), (1_000_000, "1.0 M + ")],
)
def test_tokens_are_told_in_thousands_and_millions(clock, count, expected):
    assert expected in run(clock, budget=Budget(spent=Usage(prompt_tokens=count))).lines()[0]


def test_the_cost_is_told_where_it_is_known(clock):
    assert "USD" not in run(clock).lines()[0]
    assert "0.00 USD" in run(clock, budget=Budget(PRICE)).lines()[0]
