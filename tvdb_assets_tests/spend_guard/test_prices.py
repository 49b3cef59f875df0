"""What things cost, with the arithmetic written out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvdb_assets.errors import ConfigurationError
from tvdb_assets.parsing.providers.llamaparse import parsing_price
from tvdb_assets.spend_guard.prices import Price, embedding_price


@pytest.mark.parametrize(
    ("model", "tokens", "dollars"),
    [
        # 1,000,000 tokens at $0.02 a million; then 1 token: 0.02 / 1,000,000.
        ("text-embedding-3-small", 1_000_000, "0.02"),
        ("text-embedding-3-small", 1, "0.00000002"),
        # 512 x 0.02 / 1,000,000 = 0.00001024.
        ("text-embedding-3-small", 512, "0.00001024"),
        # 300,000 x 0.13 / 1,000,000 = 0.039.
        ("text-embedding-3-large", 300_000, "0.039"),
    ],
)
def test_the_price_of_tokens(model: str, tokens: int, dollars: str) -> None:
    price = embedding_price(model)
    assert price.of(tokens) == Decimal(dollars)
    assert price.unit == "token"
    assert price.version.startswith("genai-prices ")


@pytest.mark.parametrize(
    ("tier", "pages", "dollars"),
    [
        # 3 credits a page at $1.25 for 1,000 credits: 3 x 0.00125 = 0.00375.
        ("cost_effective", 1, "0.00375"),
        # 40 pages x 10 credits x 0.00125.
        ("agentic", 40, "0.5"),
        # 7 pages x 45 credits x 0.00125 = 0.39375.
        ("agentic_plus", 7, "0.39375"),
    ],
)
def test_the_price_of_pages(tier: str, pages: int, dollars: str) -> None:
    price = parsing_price(tier)
    assert price.of(pages) == Decimal(dollars)
    assert price.unit == "page"


def test_a_price_changes_at_its_date() -> None:
    """A language model's, since no price of an embedding model has changed yet."""
    change = datetime(2025, 6, 10, tzinfo=UTC)
    before = embedding_price("o3", at=change - timedelta(seconds=1))
    after = embedding_price("o3", at=change)
    assert (before.of(1_000_000), after.of(1_000_000)) == (10, 2)


def test_what_is_rounded_is_rounded_up_to_the_ledgers_last_decimal() -> None:
    # $0.0001 a million: a token costs 0.0000000001, and a third of that is still one unit.
    price = embedding_price("own", Decimal("0.0001") / 3)
    assert price.of(1) == Decimal("0.0000000001")
    assert price.of(3) == Decimal("0.0000000001")
    assert price.of(4) == Decimal("0.0000000002")


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.decimals(0, 10, places=6))
def test_parts_never_cost_less_than_the_whole(one: int, other: int, per_million: Decimal) -> None:
    price = Price("token", per_million / 1_000_000, "test")
    assert price.of(one) + price.of(other) >= price.of(one + other) >= 0


def test_a_price_that_is_not_known_is_an_error_with_a_way_out() -> None:
    with pytest.raises(ConfigurationError, match="TVDB_EMBEDDING_USD_PER_MILLION"):
        embedding_price("no-such-model")
    with pytest.raises(ConfigurationError) as unknown:
        embedding_price("no-such-model")
    assert "line TVDB_EMBEDDING_USD_PER_MILLION=N " in unknown.value.remedy
    with pytest.raises(ConfigurationError, match="TVDB_LLAMAPARSE_TIER"):
        parsing_price("no-such-tier")
    assert embedding_price("no-such-model", Decimal(0)).of(10**9) == 0
