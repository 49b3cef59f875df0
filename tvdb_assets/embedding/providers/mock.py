"""Vectors without meaning, the same on every machine; for tests and dry runs."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import md5

import numpy as np
from numpy.typing import NDArray

from tvdb_assets.embedding.embedder_protocol import EmbeddingProvider, Transport
from tvdb_assets.models import Provenance, VectorSpace
from tvdb_assets.settings import Settings

NAME = "mock"
DIMENSIONS = 1_536


class MockEmbedder:
    """The text's md5 seeds a Mersenne Twister; its first values in [-1, 1) are the vector.

    Each vector has its own generator: a global one would depend on the order of calls.
    """

    space = VectorSpace(provider=NAME, model="md5-uniform", dimensions=DIMENSIONS, version="1")
    max_tokens: int | None = None
    produced_by = Provenance(service=NAME, mode="mock", model="md5-uniform", version="1")

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Shape (len(texts), 1536); see `Embedder.embed`."""
        vectors = np.empty((len(texts), DIMENSIONS), np.float32)
        for row, text in enumerate(texts):
            digest = md5(text.encode("utf-8"), usedforsecurity=False).hexdigest()
            # A list as seed takes the initialization that random.Random uses: same stream.
            generator = np.random.RandomState([int(digest[:8], 16)])
            vectors[row] = generator.uniform(-1, 1, DIMENSIONS)
        return vectors


def _make(_: Settings, __: Transport) -> MockEmbedder:
    return MockEmbedder()


def _make_for_space(_: VectorSpace, __: Settings, ___: Transport) -> None:
    """What search reads is never made by a mock."""


PROVIDERS = (EmbeddingProvider(NAME, _make, _make_for_space),)
