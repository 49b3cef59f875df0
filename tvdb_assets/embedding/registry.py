"""The choice of an embedder: by the mode of a run, or by the space of vectors that exist already.

What belongs here: the choice. What does not: the embedders (`providers`), or calling them
(`routing.service_router`).
"""

from __future__ import annotations

from tvdb_assets import error_codes as codes
from tvdb_assets.embedding.embedder_protocol import (
    AnyEmbedder,
    EmbeddingProvider,
    PaidEmbedder,
    Transport,
    paid_embedder,
)
from tvdb_assets.embedding.fallback import FallbackEmbedder
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.models import VectorSpace
from tvdb_assets.settings import ServiceMode, Settings
from tvdb_assets.spend_guard.paid_service import ensure_free
from tvdb_assets.spend_guard.provider_registry import ProviderRegistry

EMBEDDING_PROVIDERS: ProviderRegistry[EmbeddingProvider] = ProviderRegistry(
    "tvdb_assets.embedding.providers", "TVDB_EMBEDDER"
)
_FREE = {ServiceMode.MOCK: "mock", ServiceMode.LOCAL: "wordllama"}
"""The provider of each mode that costs nothing."""


def make_embedder(mode: ServiceMode, settings: Settings, transport: Transport) -> AnyEmbedder:
    """The embedder of a mode; its weights or connections come when first used.

    Raises:
        ConfigurationError: a paid mode without a key; a provider, a model or a price that is not
            known; or an embedder with a price that its provider does not declare as paid.
    """
    free = _FREE.get(mode)
    if free is None:
        provider = EMBEDDING_PROVIDERS.choose_paid(settings.embedder)
    else:
        found = EMBEDDING_PROVIDERS.find(free)
        assert found is not None
        provider = found
    return _checked(provider, provider.make(settings, transport))


def make_fallback_embedder(settings: Settings) -> FallbackEmbedder:
    """What embeds in the mode ``hybrid`` while the paid service is unavailable: this machine."""
    local = make_embedder(ServiceMode.LOCAL, settings, None)
    if isinstance(local, PaidEmbedder):
        ensure_free(local)
        raise AssertionError("unreachable")
    return FallbackEmbedder(local)


def embedder_in_space(
    space: VectorSpace, settings: Settings, transport: Transport, *, may_pay: bool
) -> AnyEmbedder | None:
    """The embedder whose vectors are in ``space``; None if it can't, or may not, be made here.

    Raises:
        ConfigurationError: it has a price that its provider does not declare.
    """
    provider = EMBEDDING_PROVIDERS.find(space.provider)
    if provider is None or (provider.is_paid and not may_pay):
        return None
    try:
        made = provider.make_for_space(space, settings, transport)
        if made is None or made.space != space:
            return None
        if (paid := paid_embedder(made)) is not None:
            _ = paid.price
    except ConfigurationError as error:
        if error.code == codes.GUARD_BYPASSED.code:
            raise
        return None
    return _checked(provider, made)


def _checked(provider: EmbeddingProvider, embedder: AnyEmbedder) -> AnyEmbedder:
    """The embedder, if what it costs is what its provider declares."""
    paid = paid_embedder(embedder)
    if paid is not None:
        if not provider.is_paid:
            ensure_free(paid)
        # A paid mode that can't work says so before any document is touched.
        _ = paid.price
    return embedder
