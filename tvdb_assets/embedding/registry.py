"""Which embedder it is: by the mode of a run, or by the space of vectors that exist already.

What belongs here: the choice. What does not: the embedders, or what they are asked
(`routing.service_router`).
"""

from __future__ import annotations

import httpx2

from tvdb_assets.embedding.embedder_protocol import Embedder, PaidEmbedder
from tvdb_assets.embedding.providers.local import LocalEmbedder
from tvdb_assets.embedding.providers.mock import MockEmbedder
from tvdb_assets.embedding.providers.openai import SERVICE as OPENAI
from tvdb_assets.embedding.providers.openai import OpenAIEmbedder
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.models import VectorSpace
from tvdb_assets.settings import ServiceMode, Settings


def embedder_of(
    mode: ServiceMode, settings: Settings, transport: httpx2.AsyncBaseTransport | None
) -> Embedder | PaidEmbedder:
    """The embedder of a mode; its weights or connections come when first used.

    Raises:
        ConfigurationError: a paid mode without a key, or a model that is not known.
    """
    if mode is ServiceMode.MOCK:
        return MockEmbedder()
    if mode is ServiceMode.LOCAL:
        return LocalEmbedder()
    return OpenAIEmbedder(settings, transport)


def embedder_in(
    space: VectorSpace,
    settings: Settings,
    transport: httpx2.AsyncBaseTransport | None,
    *,
    may_pay: bool,
) -> Embedder | PaidEmbedder | None:
    """The embedder whose vectors are in ``space``; None if it can't, or may not, be made here."""
    local = LocalEmbedder()
    if space == local.space:
        return local
    if space.provider != OPENAI or not may_pay:
        return None
    try:
        made = OpenAIEmbedder.for_space(space, settings, transport)
        _ = made.price
    except ConfigurationError:
        return None
    return made if made.space == space else None
