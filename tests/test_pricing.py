"""Cost in integer micro-USD; unknown stays unknown (A-25)."""

import pytest

from providers.dialects.usage import Usage
from providers.entries import FactsEntry
from routing.pricing import cost_micro

FULL = FactsEntry(
    "p", "m", price_input=2_500_000, price_output=10_000_000, price_cache_read=1_250_000, price_cache_write=3_000_000
)
PLAIN = FactsEntry("p", "m", price_input=2_500_000, price_output=10_000_000)


@pytest.mark.parametrize(
    ("facts", "usage", "cost"),
    [
        (FULL, Usage(1_000_000, 1_000_000), 12_500_000),
        (FULL, Usage(1000, 0), 2500),
        (FULL, Usage(1000, 0, cache_read=400), 600 * 5 // 2 + 400 * 5 // 4),
        (FULL, Usage(1000, 0, cache_read=400, cache_write=100), 1250 + 500 + 300),
        (FULL, Usage(1000, 100, reasoning=90), 3500),  # reasoning is part of the output
        (PLAIN, Usage(1000, 100), 3500),
        (PLAIN, Usage(1000, 100, cache_read=0), 3500),
        (PLAIN, Usage(1000, 100, cache_read=1), None),  # a price for cached tokens is not known
        (PLAIN, Usage(None, 100), None),
        (PLAIN, Usage(100, None), None),
        (FactsEntry("p", "m"), Usage(1, 1), None),
        (FactsEntry("p", "m", price_input=0, price_output=0), Usage(5, 5), 0),  # free is known
        (FactsEntry("p", "m"), Usage(0, 0), 0),
        (None, Usage(1, 1), None),
        (FULL, None, None),
        (FactsEntry("p", "m", price_input=50_000, price_output=0), Usage(10, 0), 1),  # half a micro rounds up
        (FactsEntry("p", "m", price_input=49_999, price_output=0), Usage(10, 0), 0),
        # a cached price above the input price, as real catalogues have had it, is just a price
        (FactsEntry("p", "m", price_input=1, price_output=1, price_cache_read=2_000_000), Usage(1, 0, cache_read=1), 2),
        (FULL, Usage(10, 0, cache_read=25), 31),  # more cached than asked: no negative rest
    ],
)
def test_cost(facts, usage, cost):
    assert cost_micro(facts, usage) == cost


def test_large_counts_stay_exact():
    facts = FactsEntry("p", "m", price_input=600_000_000, price_output=0)
    assert cost_micro(facts, Usage(2**40 + 1, 0)) == (2**40 + 1) * 600
