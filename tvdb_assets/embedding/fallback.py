"""What embeds while the paid service is unavailable: real vectors, in a space of their own.

They are marked degraded, never shown by search, and dropped when the paid service has made
the document. Their space differs from the one in which the same embedder works by choice,
so that what is degraded and what is not can never meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tvdb_assets.embedding.embedder_protocol import Embedder
from tvdb_assets.models import Provenance, VectorSpace


class FallbackEmbedder:
    """Another embedder's vectors, marked as a stand-in's."""

    def __init__(self, embedder: Embedder) -> None:
        """Stand in by means of ``embedder``, which must be free."""
        self._embedder = embedder
        self.max_tokens = embedder.max_tokens

    @cached_property
    def space(self) -> VectorSpace:
        """The embedder's space, named apart."""
        space = self._embedder.space
        return replace(space, version=f"{space.version}+fallback")

    @cached_property
    def produced_by(self) -> Provenance:
        """The embedder, degraded."""
        return replace(self._embedder.produced_by, is_degraded=True)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Embedder.embed`."""
        return await self._embedder.embed(texts)
