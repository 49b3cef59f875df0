"""The choice of a paid parser by the settings.

What belongs here: the choice. What does not: the services (`providers`), or the parsers on this
machine, which are chosen by media type (`formats`).
"""

from __future__ import annotations

from tvdb_assets.parsing.paid_parser import PaidParser, ParsingProvider, Transport
from tvdb_assets.settings import Settings
from tvdb_assets.spend_guard.paid_service import ensure_declared
from tvdb_assets.spend_guard.provider_registry import ProviderRegistry

PARSING_PROVIDERS: ProviderRegistry[ParsingProvider] = ProviderRegistry(
    "tvdb_assets.parsing.providers", "TVDB_PARSER"
)


def make_paid_parser(settings: Settings, transport: Transport) -> PaidParser:
    """The paid parser of the settings; its connections come when first used.

    Raises:
        ConfigurationError: there is no key; a provider, a tier or a price that is not known; or a
            parser that is no `PaidParser`, so that it would pass no guard.
    """
    made = PARSING_PROVIDERS.choose_paid(settings.parser).make(settings, transport)
    ensure_declared(made, PaidParser)
    # A paid mode that can't work says so before any document is touched.
    _ = made.price
    return made
