"""What a run may spend, and what it has spent: tokens, and USD where prices are known."""

import asyncio
from dataclasses import dataclass, field

from coc_labeling.errors import CocLabelingError
from coc_labeling.model_clients.pricing import Price, cost
from coc_labeling.schema import Usage

FIRST_GUESS_TOKENS = 10_000  # of a request, before any has come back


class BudgetReachedError(CocLabelingError):
    """The next request would exceed what the run may spend."""


@dataclass
class Budget:
    """Limits of an experiment. What is in flight is counted as costing what the others cost on average.

    Attributes:
        price: USD per million tokens, None where unknown.
        max_total_tokens, max_cost_usd: None for no limit; a limit on cost needs a price.
        earlier: what the experiment's finished records had cost when the run began.
    """

    price: Price | None = None
    max_total_tokens: int | None = None
    max_cost_usd: float | None = None
    earlier: Usage = field(default_factory=Usage)
    spent: Usage = field(default_factory=Usage)
    requests: int = 0
    in_flight: int = 0
    _finished: asyncio.Event | None = None

    async def start(self) -> None:
        """Count a request as begun; waits where only what is in flight may turn out to exceed a limit.

        Raises:
            BudgetReachedError: a limit is reached.
        """
        while (reason := self._too_much(self.in_flight + 1)) is not None:
            if self.in_flight == 0 or self._too_much(1):
                raise BudgetReachedError(f"{reason} Raise it and run the same command with resume_exp_dir to go on.")
            await self._next_finish()
        self.in_flight += 1

    def _too_much(self, requests: int) -> str | None:
        """Return why so many requests more would exceed a limit, at what others cost on average; None if they fit."""
        tokens, guess = _total(self.earlier) + _total(self.spent), _total(self.spent) / max(self.requests, 1)
        if self.requests == 0:  # nothing is known: one is tried, others wait for it where a limit is near
            guess = FIRST_GUESS_TOKENS if requests > 1 else 0
        if self.max_total_tokens is not None and max(tokens + requests * guess, tokens + 1) > self.max_total_tokens:
            return (
                f"max_total_tokens={self.max_total_tokens}: {tokens} tokens are spent and the next request exceeds it."
            )
        if self.max_cost_usd is not None:
            spent = (self.cost_of(self.earlier) or 0.0) + (self.cost_of(self.spent) or 0.0)
            each = (self.cost_of(self.spent) or 0.0) / max(self.requests, 1)
            if self.requests == 0 and requests > 1:
                each = self.cost_of(Usage(prompt_tokens=FIRST_GUESS_TOKENS)) or 0.0
            if spent + requests * each > self.max_cost_usd or spent >= self.max_cost_usd:
                return f"max_cost_usd={self.max_cost_usd}: {spent:.4f} USD are spent and the next request exceeds it."
        return None

    async def _next_finish(self) -> None:
        if self._finished is None:
            self._finished = asyncio.Event()
        await self._finished.wait()

    def finish(self, usage: Usage | None) -> None:
        """Count a request as ended, with what it cost where an answer came."""
        self.in_flight -= 1
        if self._finished is not None:
            self._finished.set()
            self._finished = None
        if usage is not None:
            self.requests += 1
            self.spent = add(self.spent, usage)

    def total_cost(self) -> float | None:
        """Return what the experiment has cost in USD so far, or None where the price is unknown."""
        return self.cost_of(add(self.earlier, self.spent))

    def cost_of(self, usage: Usage) -> float | None:
        """Return what tokens cost in USD, or None where the price is unknown."""
        if self.price is None:
            return None
        return cost(self.price, usage.prompt_tokens, usage.response_tokens, usage.cached_tokens)


def add(first: Usage, second: Usage) -> Usage:
    """Return the sum of two usages."""
    return Usage(**{name: getattr(first, name) + getattr(second, name) for name in Usage.model_fields})


def _total(usage: Usage) -> int:
    return usage.prompt_tokens + usage.response_tokens
