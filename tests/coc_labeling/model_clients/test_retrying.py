import asyncio
from email.utils import formatdate

import pytest

from coc_labeling.model_clients.errors import ModelUnreachable, RequestRefused
from coc_labeling.model_clients.retrying import Gate, pause_s, retry_after_s, with_retries


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "7", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "999999"}, 3600.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": formatdate(1_000_090, usegmt=True)}, 90.0),
        ({"retry-after": formatdate(999_000, usegmt=True)}, 0.0),
        ({"retry-after": formatdate(2_000_000, usegmt=True)}, 3600.0),
    ],
)
def test_retry_after(headers, seconds):
    assert retry_after_s(headers, wall_clock=lambda: 1_000_000.0) == seconds


def test_pauses_grow_to_the_cap_with_full_jitter():
    assert [pause_s(tries, None, 1.0) for tries in (0, 1, 5, 6, 1000)] == [1.0, 2.0, 32.0, 60.0, 60.0]
    assert pause_s(5, None, 0.0) == 0.0


def test_what_the_provider_asks_for_counts_beyond_the_cap():
    assert pause_s(0, 600.0, 0.0) == 600.0
    assert pause_s(6, 1.0, 0.5) == 30.0


def run(attempt, clock, max_retries=2):
    return asyncio.run(with_retries(attempt, max_retries, clock.timing))


def test_gives_up_with_the_last_error(clock):
    async def attempt():
        raise ModelUnreachable("h answered 503", status=503, code="busy", retryable=True, retry_after_s=2.0)

    with pytest.raises(ModelUnreachable, match=r"h answered 503 \(gave up after 3 attempts\)") as caught:
        run(attempt, clock)
    assert (caught.value.status, caught.value.code, caught.value.retryable) == (503, "busy", True)
    assert clock.pauses == [2.5, 2.5]


def test_what_will_not_pass_is_not_tried_again(clock):
    async def attempt():
        raise RequestRefused("no", status=400)

    with pytest.raises(RequestRefused):
        run(attempt, clock)
    assert clock.pauses == []


def test_gate_holds_back(clock):
    gate = Gate(clock.timing)
    asyncio.run(gate.wait())
    assert clock.pauses == []
    gate.hold(10)
    gate.hold(5)
    asyncio.run(gate.wait())
    assert clock.pauses == [10.5]
