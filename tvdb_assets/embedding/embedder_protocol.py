"""The interface of embedders: free ones, and paid ones, which only the guard can call.

What belongs here: the two interfaces, how to tell them apart, and what a provider declares. What
does not: any embedder (`providers`), or the choice of one (`registry`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeAlias, final

import httpx2
import numpy as np
from numpy.typing import NDArray

from tvdb_assets.embedding.server_traits import ServerTraits
from tvdb_assets.models import Provenance, VectorSpace
from tvdb_assets.settings import Settings
from tvdb_assets.spend_guard.guard import ServiceResponse
from tvdb_assets.spend_guard.paid_service import PaidService, RequestPermit, ensure_free
from tvdb_assets.spend_guard.prices import Price
from tvdb_assets.spend_guard.provider_registry import no_daily_limit

if TYPE_CHECKING:
    from tvdb_assets.embedding.batch_service import BatchService

Vectors: TypeAlias = NDArray[np.float32]
Transport: TypeAlias = httpx2.AsyncBaseTransport | None
"""Under an HTTP client, for tests; None is the network."""


class EmbedderIdentity(Protocol):
    """Names the vectors that an embedder makes."""

    @property
    def space(self) -> VectorSpace:
        """The space of all vectors that it makes."""
        ...

    @property
    def produced_by(self) -> Provenance:
        """Recorded with each vector."""
        ...

    @property
    def max_tokens(self) -> int | None:
        """Most cl100k tokens that a text may have; None where nothing is ever cut off."""
        ...


class Embedder(EmbedderIdentity, Protocol):
    """Makes vectors of texts on this machine, all in one vector space, and costs nothing."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector a text, in their order: shape (len(texts), space.dimensions).

        A vector depends on its text alone. A text without a vector comes back as NaN or zero,
        never as a substitute; the caller checks.

        Raises:
            ServiceError: the service as a whole can't answer.
        """
        ...


class PaidEmbedder(PaidService):
    """Makes vectors by requests to a paid service, each of which passes the guard.

    Derive from it, implement `_request` and `_probe`, and declare an `EmbeddingProvider`.
    """

    _needs_permit: ClassVar[frozenset[str]] = frozenset({"request"})

    max_inputs: int
    """Most texts in a request."""
    max_request_tokens: int
    """Most tokens in a request."""
    max_tokens: int | None
    """Most cl100k tokens that a text may have; None where nothing is ever cut off."""
    is_count_exact: bool = False
    """Whether the model has cl100k tokens, which are counted here."""
    is_bill_exact: bool = False
    """Whether the service certainly bills that count. Of others, it is learned from the answers;
    see `spend_guard.token_ratio`."""
    query_prefix: str = ""
    """Before each question; it is counted and billed like the rest of it."""
    document_prefix: str = ""
    """Before each passage of a document."""
    traits: ServerTraits = ServerTraits()
    """What is known of the server by now."""
    _recall: Callable[[], ServerTraits] | None = None

    def recalls_from(self, recall: Callable[[], ServerTraits]) -> None:
        """Where to look up what other processes learned, if something has to be known."""
        self._recall = recall

    def add_traits(self, traits: ServerTraits) -> None:
        """Use what was learned of the server, here or elsewhere."""
        self.traits = traits

    @property
    def learns(self) -> bool:
        """Whether what the server takes is not known, and is learned from its answers."""
        return False

    @property
    def is_undiscovered(self) -> bool:
        """Whether the length of its vectors is not known yet: the first answer shows it."""
        return False

    @property
    def server(self) -> str:
        """Fingerprint of server and model, for what was learned of them."""
        return self.account

    @property
    def request_fingerprint(self) -> str:
        """Changes with whatever may change the vector of a text, except for the key.

        A text that was answered without a usable vector is sent again once this has changed.
        """
        return self.server

    @property
    @abstractmethod
    def space(self) -> VectorSpace:
        """The space of all vectors that it makes; its provider is `service`. Its dimensions are 0
        while `is_undiscovered` and no setting says them.
        """

    @property
    @abstractmethod
    def produced_by(self) -> Provenance:
        """Recorded with each vector."""

    @property
    def model(self) -> str:
        """See `PaidService.model`."""
        return self.space.model

    @property
    def query_price(self) -> Price:
        """Of a token of a question."""
        return self.price

    @property
    def batches(self) -> BatchService | None:
        """The batch jobs of the same model and account; None where there are none."""
        return None

    @final
    async def request(
        self, texts: Sequence[str], permit: RequestPermit
    ) -> ServiceResponse[Vectors]:
        """Make one request; vectors as `Embedder.embed` gives them.

        Args:
            texts: within the limits above.
            permit: of the guard, for this one request.

        Raises:
            CallFailed: with its meaning for money, retry and the service's health.
            ConfigurationError: the permit is not the guard's, or was used.
        """
        return await self._request(texts, self._permitted(permit, is_paid=True))

    @abstractmethod
    async def _request(self, texts: Sequence[str], request_id: str) -> ServiceResponse[Vectors]: ...


AnyEmbedder: TypeAlias = Embedder | PaidEmbedder


def paid_embedder(embedder: AnyEmbedder) -> PaidEmbedder | None:
    """The embedder if it costs money, None if it is free.

    Raises:
        ConfigurationError: it has a price and is no `PaidEmbedder`, so that it would pass no guard.
    """
    if isinstance(embedder, PaidEmbedder):
        return embedder
    ensure_free(embedder)
    return None


def is_undiscovered(embedder: AnyEmbedder) -> bool:
    """Whether the length of its vectors is not known, by no setting and no earlier answer."""
    return isinstance(embedder, PaidEmbedder) and not embedder.space.dimensions


@dataclass(frozen=True, slots=True)
class EmbeddingProvider:
    """What a module in `providers` declares, once for each service that it speaks to."""

    name: str
    """In settings and in the ledger, and the provider of its vector spaces."""
    make: Callable[[Settings, Transport], AnyEmbedder]
    """The embedder of the settings; opens nothing.

    Raises:
        ConfigurationError: a key is missing, or a model or its price is not known.
    """
    make_for_space: Callable[[VectorSpace, Settings, Transport], AnyEmbedder | None]
    """The embedder of a space of this provider, whatever model the settings name; None, or a
    `ConfigurationError`, where there can be none here."""
    is_paid: bool = False
    daily_limit: Callable[[Settings], Decimal | None] = no_daily_limit
    is_preset: bool = False
    """See `spend_guard.provider_registry.Provider`."""
    is_free_by_default: bool = False
    """Whether a request costs nothing if no price is set: a server of one's own."""
