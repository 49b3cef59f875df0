"""The clients of a run, chosen by the modes of the settings, and the fingerprint of an index.

What belongs here: the choice for each mode, the checks that need no connection, and values that
depend on the choice alone. What does not: calling a client (`service_router`), or the other parts
of a call (`run_services`).

Nothing is opened here: a client opens its connections at its first request. So a fingerprint
needs neither a database nor a router.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property

import httpx2

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.embedding.embedder_protocol import AnyEmbedder, PaidEmbedder, paid_embedder
from tvdb_assets.embedding.fallback import FallbackEmbedder
from tvdb_assets.embedding.registry import embedder_in_space, make_embedder, make_fallback_embedder
from tvdb_assets.embedding.server_traits import ServerTraits
from tvdb_assets.models import VectorSpace
from tvdb_assets.parsing.document_parser import parser_fingerprint
from tvdb_assets.parsing.format_registry import all_parsers
from tvdb_assets.parsing.reading import ocr
from tvdb_assets.parsing.registry import make_paid_parser
from tvdb_assets.routing.paid_services import is_paid
from tvdb_assets.settings import ServiceMode, Settings
from tvdb_assets.spend_guard.paid_service import PaidService, ensure_free
from tvdb_assets.spend_guard.service_state_store import ServiceStates

FALLBACK_SUFFIX = "+fallback"
"""Ends the fingerprint of a text that a fallback made."""


class ServiceClients:
    """The parser and the embedders of the modes in the settings."""

    def __init__(
        self, settings: Settings, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        """Choose the clients.

        Args:
            settings: modes, providers and keys.
            transport: replaces the transport of the HTTP clients, for tests.

        Raises:
            ConfigurationError: a paid mode has no key; a provider, a model or a price is not
                known; or an OCR language is not installed.
        """
        self._settings = settings
        self._transport = transport
        self._by_space: dict[VectorSpace, AnyEmbedder | None] = {}
        self._by_batch: dict[VectorSpace, AnyEmbedder | None] = {}
        self.parser_mode = settings.resolved_parser_mode
        self.embedder_mode = settings.resolved_embedder_mode
        self.document_limits = settings.document_limits
        """The limits on the part of a document that is read."""
        self.limits_fingerprint = settings.limits_fingerprint
        ocr.check_languages(self.document_limits.ocr_languages)
        _check_parsers_are_free()
        self.embedder = make_embedder(self.embedder_mode, settings, transport)
        """The embedder of the run's mode; it loads its weights or connects at its first use."""
        self.paid_embedder: PaidEmbedder | None = paid_embedder(self.embedder)
        """The same embedder if it costs money, else None."""
        self.paid_parser = (
            make_paid_parser(settings, transport) if is_paid(self.parser_mode) else None
        )

    @cached_property
    def fallback_embedder(self) -> FallbackEmbedder:
        """The embedder that ``hybrid`` uses while the paid service is unavailable."""
        return make_fallback_embedder(self._settings)

    def embedder_in(self, space: VectorSpace) -> AnyEmbedder | None:
        """The embedder whose vectors are in ``space``, even if the settings name another one.

        Returns:
            None if it can't be created here, or if it costs money in a mode that is free.
        """
        if space == self.embedder.space:
            return self.embedder
        if space not in self._by_space:
            self._by_space[space] = embedder_in_space(
                space, self._settings, self._transport, may_pay=self.pays_for_embedding
            )
        return self._by_space[space]

    def batch_embedder_in(self, space: VectorSpace) -> PaidEmbedder | None:
        """The paid embedder that made the batch jobs in ``space``, also in a mode that is free.

        What such a job costs is reserved already, and its results are free.
        """
        if space == self.embedder.space:
            return self.paid_embedder
        known = self._by_space.get(space) or self._by_batch.get(space)
        if known is None:
            known = embedder_in_space(space, self._settings, self._transport, may_pay=True)
            self._by_batch[space] = known
        return paid_embedder(known) if known is not None else None

    @property
    def pays(self) -> bool:
        """Whether anything costs money in this run's modes."""
        return self.pays_for_embedding or is_paid(self.parser_mode)

    @property
    def pays_for_embedding(self) -> bool:
        """Whether an embedding costs money in this run's mode."""
        return is_paid(self.embedder_mode)

    @property
    def free_parser_mode(self) -> ServiceMode:
        """The mode that is recorded with a text parsed on this machine."""
        return ServiceMode.MOCK if self.parser_mode is ServiceMode.MOCK else ServiceMode.LOCAL

    @cached_property
    def parser_fingerprint(self) -> str:
        """The fingerprint of parsing. A stored text with it is reused for the same bytes."""
        free = f"{self.free_parser_mode}/{parser_fingerprint(limits=self.document_limits)}"
        return (self.paid_prefix or "") + free

    @property
    def paid_prefix(self) -> str | None:
        """How each fingerprint begins of a text that the paid service of this run made.

        Such a text is reused whatever parsers this machine has, because it was paid for. None
        without a paid service.
        """
        return f"{self.paid_parser.fingerprint} " if self.paid_parser is not None else None

    def is_text_of_run(self, fingerprint: str) -> bool:
        """Whether a stored text is what this run would store, and not that of a fallback."""
        is_paid = self.paid_prefix is not None and fingerprint.startswith(self.paid_prefix)
        is_fallback = fingerprint.endswith(FALLBACK_SUFFIX)
        return fingerprint == self.parser_fingerprint or (is_paid and not is_fallback)

    def pipeline_fingerprint(self, chunker: Chunker) -> str:
        """The fingerprint of parser, chunker and embedder, which with the bytes fix the result."""
        return f"{self.parser_fingerprint} {chunker.fingerprint} {self.embedder.space.label}"

    def paid(self) -> list[PaidService]:
        """The paid clients that exist so far, which may have open connections."""
        made = (*self._by_space.values(), *self._by_batch.values())
        clients = (self.embedder, self.paid_parser, *made)
        return [client for client in clients if isinstance(client, PaidService)]


def recall_traits(clients: ServiceClients, states: Callable[[], ServiceStates]) -> None:
    """Let the paid embedder look up what earlier runs learned of its server.

    Args:
        clients: of the settings.
        states: of the services; called when something has to be known.
    """
    embedder = clients.paid_embedder
    if embedder is None:
        return
    service, server = embedder.service, embedder.server

    def recall() -> ServerTraits:
        return ServerTraits.of(states().read(service)[0].servers.get(server))

    embedder.recalls_from(recall)


@cache
def _check_parsers_are_free() -> None:
    """Check that no parser on this machine has a price: they are called without the guard."""
    for parser in all_parsers():
        ensure_free(parser)


def pipeline_fingerprint(
    settings: Settings, chunker: Chunker, states: ServiceStates | None = None
) -> str:
    """The fingerprint of the index of these settings and this chunker; sends nothing.

    Args:
        settings: see `ServiceClients`.
        chunker: of the run.
        states: show what earlier runs learned of the embedding server; None is nothing.

    Raises:
        ConfigurationError: see `ServiceClients`.
    """
    clients = ServiceClients(settings)
    if states is not None:
        recall_traits(clients, lambda: states)
    return clients.pipeline_fingerprint(chunker)
