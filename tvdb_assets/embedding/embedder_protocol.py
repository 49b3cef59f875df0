"""What an embedder is, to those who call one: a free one, and one that is paid by request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tvdb_assets.models import Provenance, VectorSpace
from tvdb_assets.spend_guard.guard import ServiceResponse
from tvdb_assets.spend_guard.prices import Price


class EmbedderIdentity(Protocol):
    """Says whose vectors they are."""

    @property
    def space(self) -> VectorSpace:
        """The space of all vectors that it makes."""
        ...

    @property
    def produced_by(self) -> Provenance:
        """Who makes them."""
        ...

    @property
    def max_tokens(self) -> int | None:
        """Most cl100k tokens that a text may have; None where nothing is ever cut off."""
        ...


class Embedder(EmbedderIdentity, Protocol):
    """Makes vectors of texts on this machine, all in one vector space."""

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One vector a text, in their order: shape (len(texts), space.dimensions).

        A vector depends on its text alone. What has no vector comes back as NaN or zero,
        never as a substitute; the caller checks.

        Raises:
            ServiceError: the service as a whole can't answer.
        """
        ...


class PaidEmbedder(EmbedderIdentity, Protocol):
    """Makes vectors by requests to a paid service, each of which passes the guard."""

    service: str
    """Of the ledger."""
    max_inputs: int
    """Most texts in a request."""
    max_request_tokens: int
    """Most tokens in a request."""

    @property
    def price(self) -> Price:
        """Of an input token.

        Raises:
            ConfigurationError: it is not known.
        """
        ...

    @property
    def account(self) -> str:
        """Fingerprint of key, server and model."""
        ...

    async def request(
        self, texts: Sequence[str], request_id: str
    ) -> ServiceResponse[NDArray[np.float32]]:
        """Make one request; vectors as `Embedder.embed` gives them.

        Args:
            texts: within the limits above.
            request_id: sent along, so that both sides' records can be joined.

        Raises:
            CallFailed: with what it means for money, retry and the service's health.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
