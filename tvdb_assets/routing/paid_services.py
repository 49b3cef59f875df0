"""Names and spend limits of the paid services, as their providers declare them.

What belongs here: facts about all paid services together. What does not: the checks of a limit
(`spend_guard.budget`), or the providers (`embedding.registry`, `parsing.registry`).
"""

from __future__ import annotations

from decimal import Decimal

from tvdb_assets.embedding.registry import EMBEDDING_PROVIDERS
from tvdb_assets.parsing.registry import PARSING_PROVIDERS
from tvdb_assets.settings import PREFIX, ServiceMode, Settings
from tvdb_assets.spend_guard.budget import SpendLimits
from tvdb_assets.spend_guard.provider_registry import Provider


def paid_services(settings: Settings | None = None) -> tuple[str, ...]:
    """The names of the paid services in the ledger: embedders first, then parsers.

    Args:
        settings: a preset is among the services if they choose it.
    """
    names = tuple(provider.name for provider in _providers())
    chosen = EMBEDDING_PROVIDERS.find(settings.embedder) if settings is not None else None
    if chosen is not None and chosen.is_paid and chosen.name not in names:
        names = (chosen.name, *names)
    return names


def preset_services() -> tuple[str, ...]:
    """The names of the servers that a setting can choose, and of which most are not used."""
    return EMBEDDING_PROVIDERS.presets()


def is_paid(mode: ServiceMode) -> bool:
    """Whether a service costs money in this mode."""
    return mode in (ServiceMode.REAL, ServiceMode.HYBRID)


def spend_limits_of(settings: Settings) -> SpendLimits:
    """The spend limits of the settings: US dollars per day and requests per hour."""
    services: dict[str, Decimal] = {}
    for provider in _providers():
        limit = provider.daily_limit(settings)
        if limit is not None:
            services[provider.name] = limit
    return SpendLimits(
        daily_usd=settings.daily_cost_limit,
        hourly_requests=settings.hourly_rate_limit,
        service_daily_usd=services,
        free_services=_free_services(settings),
        service_settings={
            name: f"{PREFIX}{field.upper()}"
            for name in paid_services()
            if (field := f"{name}_daily_cost_limit") in Settings.model_fields
        },
    )


def _free_services(settings: Settings) -> frozenset[str]:
    """The embedder whose price is 0, unless the requests of an hour are set too."""
    is_limited = "hourly_rate_limit" in settings.model_fields_set
    price, provider = (
        settings.embedding_usd_per_million,
        EMBEDDING_PROVIDERS.find(settings.embedder),
    )
    is_own = price is None and provider is not None and provider.is_free_by_default
    is_free = (price == 0 or is_own) and not settings.embedding_query_usd_per_million
    is_free = is_free and not is_limited
    return frozenset({settings.embedder}) if is_free else frozenset()


def _providers() -> tuple[Provider, ...]:
    return (*EMBEDDING_PROVIDERS.paid(), *PARSING_PROVIDERS.paid())
