import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coc_labeling.budget import FIRST_GUESS_TOKENS, Budget, BudgetReachedError, add
from coc_labeling.model_clients.pricing import Price
from coc_labeling.schema import Usage

PRICE = Price(usd_per_million_prompt=10.0, usd_per_million_response=20.0, usd_per_million_cached=1.0)


def tokens(count: int, cached: int = 0) -> Usage:
    return Usage(prompt_tokens=count, cached_tokens=cached)


def spend(budget: Budget, *counts: int) -> Budget:
    """Run requests one after the other."""

    async def run() -> None:
        for count in counts:
            await budget.start()
            budget.finish(tokens(count))

    asyncio.run(run())
    return budget


def is_over(budget: Budget) -> bool:
    try:
        asyncio.run(budget.start())
    except BudgetReachedError:
        return True
    return False


def test_without_limits_everything_may_start():
    budget = spend(Budget(), 10**9, 10**9)
    assert not is_over(budget)
    assert (budget.requests, budget.in_flight) == (2, 1)


def test_what_is_spent_is_added_up():
    budget = Budget()
    one = Usage(prompt_tokens=1, response_tokens=2, reasoning_tokens=3, cached_tokens=4)
    for _ in range(3):
        asyncio.run(budget.start())
        budget.finish(one)
    assert budget.spent == Usage(prompt_tokens=3, response_tokens=6, reasoning_tokens=9, cached_tokens=12)
    assert add(one, Usage()) == one


def test_a_request_that_failed_costs_nothing_and_is_no_average():
    budget = Budget(max_total_tokens=100)
    asyncio.run(budget.start())
    budget.finish(None)
    assert (budget.requests, budget.in_flight, budget.spent) == (0, 0, Usage())
    assert not is_over(budget)


def test_the_limit_on_tokens_is_named_with_what_is_spent_and_what_to_do():
    budget = spend(Budget(max_total_tokens=100), 60)
    with pytest.raises(BudgetReachedError, match=r"max_total_tokens=100: 60 tokens are spent .* resume_exp_dir"):
        asyncio.run(budget.start())


def test_the_limit_on_cost_is_named_with_what_is_spent():
    budget = spend(Budget(PRICE, max_cost_usd=0.001), 60)  # 10 USD a million: 0.0006 each
    with pytest.raises(BudgetReachedError, match=r"max_cost_usd=0\.001: 0\.0006 USD are spent"):
        asyncio.run(budget.start())


@pytest.mark.parametrize(("limit", "over"), [(199, True), (200, False), (201, False)])
def test_a_request_that_just_fits_may_start(limit, over):
    assert is_over(spend(Budget(max_total_tokens=limit), 100)) == over


def test_a_limit_of_nothing_starts_nothing():
    assert is_over(Budget(max_total_tokens=0))
    assert is_over(Budget(PRICE, max_cost_usd=0.0))


def test_the_first_request_is_tried_under_any_limit():
    assert not is_over(Budget(max_total_tokens=1))
    assert not is_over(Budget(PRICE, max_cost_usd=1e-9))


def test_what_earlier_runs_spent_counts():
    assert is_over(Budget(max_total_tokens=100, earlier=tokens(100)))
    assert not is_over(Budget(max_total_tokens=100, earlier=tokens(99)))
    assert is_over(Budget(PRICE, max_cost_usd=0.001, earlier=tokens(100)))


def test_tokens_of_the_answer_count_too():
    budget = Budget(max_total_tokens=100)
    asyncio.run(budget.start())
    budget.finish(Usage(prompt_tokens=30, response_tokens=30, reasoning_tokens=30))  # the reasoning is in the response
    assert is_over(budget)
    assert Budget(max_total_tokens=120, spent=budget.spent, requests=1)._too_much(1) is None


def test_cached_tokens_cost_less():
    budget = Budget(PRICE, earlier=tokens(1_000_000, cached=1_000_000), spent=tokens(1_000_000))
    assert budget.total_cost() == pytest.approx(11.0)
    assert Budget(None).total_cost() is None


def test_others_wait_for_the_first_where_its_cost_is_not_known_yet():
    async def run() -> list[str]:
        budget, log = Budget(max_total_tokens=FIRST_GUESS_TOKENS), []

        async def one(name: str) -> None:
            await budget.start()
            log.append(f"{name} starts")
            await asyncio.sleep(0)
            budget.finish(tokens(10))
            log.append(f"{name} ends")

        await asyncio.gather(one("a"), one("b"), one("c"))
        return log

    assert asyncio.run(run()) == ["a starts", "a ends", "b starts", "c starts", "b ends", "c ends"]


def test_a_far_limit_lets_many_start_at_once():
    async def run() -> int:
        budget = Budget(max_total_tokens=FIRST_GUESS_TOKENS * 32)
        for _ in range(32):
            await asyncio.wait_for(budget.start(), 1)
        return budget.in_flight

    assert asyncio.run(run()) == 32


def test_who_waits_may_start_once_what_is_in_flight_turns_out_cheap():
    async def run() -> int:
        budget = Budget(max_total_tokens=310)
        await budget.start()
        budget.finish(tokens(100))
        await budget.start()
        await budget.start()
        waiting = asyncio.create_task(budget.start())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        budget.finish(tokens(1))
        await asyncio.wait_for(waiting, 1)
        return budget.in_flight

    assert asyncio.run(run()) == 2


def test_who_waits_is_told_once_the_limit_is_reached():
    async def run() -> None:
        budget = Budget(max_total_tokens=250)
        await budget.start()
        budget.finish(tokens(100))
        await budget.start()
        waiting = [asyncio.create_task(budget.start()) for _ in range(3)]
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in waiting)
        budget.finish(tokens(100))
        ended = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 1)
        assert all(isinstance(end, BudgetReachedError) for end in ended)

    asyncio.run(run())


def test_a_request_that_is_cancelled_while_it_waits_is_not_in_flight():
    async def run() -> None:
        budget = Budget(max_total_tokens=150)
        await budget.start()
        budget.finish(tokens(70))
        await budget.start()
        waiting = asyncio.create_task(budget.start())
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert budget.in_flight == 1
        budget.finish(None)
        await asyncio.wait_for(budget.start(), 1)

    asyncio.run(run())


@settings(max_examples=150)
@given(
    st.lists(st.integers(1, 500) | st.none(), min_size=1, max_size=40),
    st.integers(0, 5_000),
    st.integers(1, 12),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_limits_hold_nothing_hangs_and_no_room_is_left_unused(costs, limit, at_once, in_money, seed):
    """Requests of any cost, some failing, so many at once: what is spent exceeds the limit by its surprises at most."""
    order = random.Random(seed)
    budget = Budget(PRICE, max_cost_usd=limit * 1e-5) if in_money else Budget(max_total_tokens=limit)
    surprise, refused, started = [0], [], []

    async def one(cost: int | None, free: asyncio.Semaphore) -> None:
        async with free:
            try:
                await budget.start()
            except BudgetReachedError:
                refused.append((budget.in_flight, budget.spent.prompt_tokens, budget.requests))
                return
            spent = budget.spent.prompt_tokens
            guess = spent / budget.requests if budget.requests else 0
            started.append((cost, spent, guess))
            for _ in range(order.randrange(4)):
                await asyncio.sleep(0)
            budget.finish(None if cost is None else tokens(cost))
            surprise.append(cost or 0)

    async def run() -> None:
        free = asyncio.Semaphore(at_once)
        await asyncio.wait_for(asyncio.gather(*(one(cost, free) for cost in costs)), 20)

    asyncio.run(run())
    spent = budget.spent.prompt_tokens
    assert budget.in_flight == 0
    assert len(started) + len(refused) == len(costs)
    # One request at a time goes over by no more than what it costs beyond the average.
    if at_once == 1 and started and spent > limit:
        cost, before, guess = started[-1]
        assert before + guess <= limit + 1e-6
        assert spent - limit <= cost - guess + 1e-6
    # However many are in flight: each was let in because all of them would have fitted at the average of that moment.
    assert all(before + guess <= limit + 1e-6 or before == 0 for _, before, guess in started)
    # Refused is only what would exceed the limit by itself.
    for in_flight, before, requests in refused:
        assert before + (before / requests if requests else 0) > limit - 1 or limit == 0
        assert in_flight == 0 or before + before / max(requests, 1) > limit - 1


@settings(max_examples=60)
@given(st.integers(1, 300), st.integers(0, 20_000), st.integers(1, 16), st.integers(1, 60))
def test_requests_that_cost_the_same_use_the_limit_to_the_last_one_that_fits(cost, limit, at_once, windows):
    budget = Budget(max_total_tokens=limit)

    async def one(free: asyncio.Semaphore) -> None:
        async with free:
            try:
                await budget.start()
            except BudgetReachedError:
                return
            await asyncio.sleep(0)
            budget.finish(tokens(cost))

    async def run() -> None:
        free = asyncio.Semaphore(at_once)
        await asyncio.wait_for(asyncio.gather(*(one(free) for _ in range(windows))), 20)

    asyncio.run(run())
    fits = max(limit // cost, min(limit, 1))  # one is tried to know the cost
    assert budget.requests == min(windows, fits)
