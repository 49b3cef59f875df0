"""The price of a unit of a paid service: dated data, in Decimal.

What belongs here: the price of a token and of a page, each with where it comes from. What
does not: how many units a call needs, or whether they fit the budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

from tvdb_assets import error_codes as codes

_SMALLEST = Decimal(1).scaleb(-10)
"""US dollars: the ledger's last decimal; amounts are rounded up to it."""
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """Of one unit of one model, valid for calls that are made now."""

    unit: str
    """``token`` or ``page``."""
    unit_usd: Decimal
    version: str
    """Where and when the number was taken; stored with each ledger entry."""

    def of(self, quantity: int) -> Decimal:
        """US dollars for ``quantity`` units, rounded up to the ledger's last decimal."""
        return (self.unit_usd * quantity).quantize(_SMALLEST, ROUND_CEILING)


def embedding_price(
    model: str,
    usd_per_million: Decimal | None = None,
    *,
    provider: str = "openai",
    at: datetime | None = None,
) -> Price:
    """The price of an input token of an embedding model.

    Args:
        model: as its provider names it.
        usd_per_million: US dollars for a million tokens; None looks the model up.
        provider: as genai-prices names it.
        at: when the price applies; None is now.

    Raises:
        ConfigurationError: the model's price is not known, so that no budget could limit it.
    """
    if usd_per_million is not None:
        version = f"setting {usd_per_million.normalize():f}"
        return Price("token", usd_per_million / _MILLION, version)
    at = (at or datetime.now(UTC)).astimezone(UTC)
    # A price changes on the hour at the earliest; a process may live longer than its prices.
    return _listed_price(model, provider, at.replace(minute=0, second=0, microsecond=0))


@lru_cache(maxsize=64)
def _listed_price(model: str, provider: str, at: datetime) -> Price:
    # Loaded here, because it costs 0.1 s and only paid modes ask.
    from importlib.metadata import version

    from genai_prices import Usage, calc_price

    try:
        found = calc_price(
            Usage(input_tokens=_MILLION), model, provider_id=provider, genai_request_timestamp=at
        )
    except LookupError:
        raise codes.PRICE_UNKNOWN.error(model=model) from None
    return Price("token", found.total_price / _MILLION, f"genai-prices {version('genai-prices')}")
