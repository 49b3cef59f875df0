"""The price of a unit that is done by a batch job.

What belongs here: how it follows from the price of the same unit without a batch. What does not:
that price (`prices`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from tvdb_assets.spend_guard.prices import Price

_MILLION = 1_000_000
_SHARE = Decimal("0.5")
"""https://platform.openai.com/docs/guides/batch: half of the price of the same request."""


def batch_price(
    standard: Price,
    model: str,
    usd_per_million: Decimal | None = None,
    *,
    provider: str = "openai",
    is_known: bool = True,
) -> Price:
    """The price of a token in a batch job.

    Args:
        standard: the price of a token that is embedded at once.
        model: as its provider names it.
        usd_per_million: US dollars for a million tokens; None takes the price of genai-prices for
            batch jobs, or half of the standard price if it lists none.
        provider: as genai-prices names it.
        is_known: whether the service certainly has the provider's prices; the jobs of another
            server cost the standard price unless ``usd_per_million`` is given.
    """
    if usd_per_million is not None:
        version = f"batch setting {usd_per_million.normalize():f}"
        return replace(standard, unit_usd=usd_per_million / _MILLION, version=version)
    if not is_known:
        return standard
    half = standard.unit_usd * _SHARE
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    listed = _listed(model, provider, hour) if standard.version.startswith("genai-prices") else None
    if listed is not None and listed < standard.unit_usd:
        return replace(standard, unit_usd=listed, version=f"batch of {standard.version}")
    return replace(standard, unit_usd=half, version=f"half of {standard.version}")


@lru_cache(maxsize=64)
def _listed(model: str, provider: str, at: datetime) -> Decimal | None:
    # Loaded here, because it costs 0.1 s and only batch jobs ask.
    from genai_prices import Usage, calc_price

    try:
        found = calc_price(
            Usage(input_tokens=_MILLION),
            model,
            provider_id=provider,
            price_context={"processing": "batch"},
            genai_request_timestamp=at,
        )
    except LookupError:
        return None
    return found.total_price / _MILLION
