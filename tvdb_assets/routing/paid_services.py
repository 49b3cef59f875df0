"""Which services cost money, and what the settings allow for them.

What belongs here: their names in the ledger, the modes that use them, their limits. What does
not: what a limit means (`spend_guard.budget`), or what they cost (`spend_guard.prices`).
"""

from __future__ import annotations

from tvdb_assets.embedding.providers.openai import SERVICE as OPENAI
from tvdb_assets.parsing.providers.llamaparse import SERVICE as LLAMAPARSE
from tvdb_assets.settings import ServiceMode, Settings
from tvdb_assets.spend_guard.budget import SpendLimits

PAID_SERVICES = (OPENAI, LLAMAPARSE)
"""As the ledger names them."""


def is_paid(mode: ServiceMode) -> bool:
    """Whether a service costs money in this mode."""
    return mode in (ServiceMode.REAL, ServiceMode.HYBRID)


def limits_of(settings: Settings) -> SpendLimits:
    """What may be spent, by the settings."""
    services = {
        OPENAI: settings.openai_daily_cost_limit,
        LLAMAPARSE: settings.llamaparse_daily_cost_limit,
    }
    return SpendLimits(
        daily_usd=settings.daily_cost_limit,
        hourly_requests=settings.hourly_rate_limit,
        service_daily_usd={k: v for k, v in services.items() if v is not None},
    )
