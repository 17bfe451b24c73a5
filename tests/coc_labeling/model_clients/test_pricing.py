import pytest

from coc_labeling.model_clients.pricing import PRICES, Price, cost, estimate_tokens


def test_cost_counts_cached_tokens_once():
    price = Price(usd_per_million_prompt=10.0, usd_per_million_response=100.0, usd_per_million_cached=1.0)
    assert cost(price, 1_000_000, 10_000, 400_000) == pytest.approx(6.0 + 0.4 + 1.0)
    assert cost(price, 100, 0, 500) == pytest.approx(100e-6)


def test_list_prices_are_ordered():
    for price in PRICES.values():
        assert 0 < price.usd_per_million_cached < price.usd_per_million_prompt < price.usd_per_million_response


@pytest.mark.parametrize(
    ("model_name", "size", "tokens"),
    [
        ("gpt5", (512, 512), 70 + 140),
        ("gpt5", (1024, 1024), 70 + 4 * 140),
        ("gpt5", (4096, 8192), 70 + 6 * 140),
        ("gpt5.5", (64, 65), 2 * 3),
        ("gpt5.5", (4000, 4000), 2500),
        ("qwen3.5_35b", (640, 320), 20 * 10 + 2),
        ("qwen3.5_35b", (1, 1), 3),
    ],
)
def test_tokens_of_pictures(model_name, size, tokens):
    assert estimate_tokens(0, [size], model_name) == tokens
    assert estimate_tokens(401, [size, size], model_name) == 101 + 2 * tokens
