"""What tokens cost, and a rough count of them before anything is sent."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

CHARS_PER_TOKEN = 4  # English prose; OpenAI's and Qwen's tokenizers agree on it within a fifth


@dataclass(frozen=True)
class Price:
    """List price in USD per million tokens; reasoning tokens are response tokens."""

    usd_per_million_prompt: float
    usd_per_million_response: float
    usd_per_million_cached: float


# Standard tier, prompts of up to 272,000 tokens. Prices change: the config's ``price`` overrides them.
# Source: OpenAI's price list (openai.com/api/pricing), gpt-5 as of August 2025, gpt-5.5 as of May 2026 and as quoted
# by third parties that agree with each other (benchr.org, spendwall.app).
PRICES: dict[str, Price] = {
    "gpt5": Price(usd_per_million_prompt=1.25, usd_per_million_response=10.0, usd_per_million_cached=0.125),
    "gpt5.5": Price(usd_per_million_prompt=5.0, usd_per_million_response=30.0, usd_per_million_cached=0.5),
}


def cost(price: Price, prompt_tokens: int, response_tokens: int, cached_tokens: int = 0) -> float:
    """Return USD for a number of tokens.

    Args:
        price: what they cost.
        prompt_tokens: of the input, cached ones included.
        response_tokens: of the output, reasoning included.
        cached_tokens: those of the input that the provider had in its cache.

    Example:
        >>> cost(PRICES["gpt5"], prompt_tokens=1_000_000, response_tokens=100_000)
        2.25
    """
    cached = min(cached_tokens, prompt_tokens)
    return (
        (prompt_tokens - cached) * price.usd_per_million_prompt
        + cached * price.usd_per_million_cached
        + response_tokens * price.usd_per_million_response
    ) / 1e6


def estimate_tokens(text_chars: int, image_sizes: Iterable[tuple[int, int]], model_name: str = "") -> int:
    """Return about how many tokens a prompt has; for a dry run, within a third of what the provider counts.

    Args:
        text_chars: characters of text.
        image_sizes: width and height of each picture in pixels.
        model_name: ``gpt5`` counts tiles, ``gpt5.5`` patches with a limit; everything else as Qwen does.
    """
    count = {"gpt5": _gpt5_tiles, "gpt5.5": _gpt55_patches}.get(model_name, _qwen_patches)
    return math.ceil(text_chars / CHARS_PER_TOKEN) + sum(count(width, height) for width, height in image_sizes)


def _gpt5_tiles(width: int, height: int) -> int:
    """Count 70 tokens and 140 for each tile of 512 x 512.

    The picture is first made to fit 2048 x 2048, then its shorter side 768.
    Source: "Calculating costs" in OpenAI's guide to images and vision.
    """
    scale = min(1.0, 2048 / max(width, height))
    scale *= min(1.0, 768 / (min(width, height) * scale))
    return 70 + 140 * math.ceil(width * scale / 512) * math.ceil(height * scale / 512)


def _gpt55_patches(width: int, height: int) -> int:
    """Count patches of 32 x 32 pixels, at most 2,500. Source: the same guide, patch-based models."""
    return min(2500, math.ceil(width / 32) * math.ceil(height / 32))


def _qwen_patches(width: int, height: int) -> int:
    """Count patches of 32 x 32 pixels and two marks.

    Source: Qwen3-VL's preprocessor (patches of 16 pixels, two by two merged; sides rounded to 32).
    """
    return max(1, round(width / 32)) * max(1, round(height / 32)) + 2
