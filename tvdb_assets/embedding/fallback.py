"""The fallback of a paid embedder while its service is unavailable: another embedder's vectors.

They are marked degraded, never shown by search, and deleted once the paid service has embedded
the document. Their space differs from the one that the same embedder has in its own mode, so
that degraded and other vectors are never compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tvdb_assets.embedding.embedder_protocol import Embedder
from tvdb_assets.models import Provenance, VectorSpace
from tvdb_assets.spend_guard.paid_service import ensure_free


class FallbackEmbedder:
    """Another embedder's vectors, marked degraded and in their own space."""

    def __init__(self, embedder: Embedder) -> None:
        """Fall back to ``embedder``.

        Raises:
            ConfigurationError: it costs money. A fallback passes no guard.
        """
        ensure_free(embedder)
        self._embedder = embedder
        self.max_tokens = embedder.max_tokens

    @cached_property
    def space(self) -> VectorSpace:
        """The embedder's space under another version. The suffix is stored data."""
        space = self._embedder.space
        return replace(space, version=f"{space.version}+fallback")

    @cached_property
    def produced_by(self) -> Provenance:
        """The embedder, degraded."""
        return replace(self._embedder.produced_by, is_degraded=True)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Embedder.embed`."""
        return await self._embedder.embed(texts)
