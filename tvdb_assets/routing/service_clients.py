"""The clients of a run, chosen by the modes of the settings, and the fingerprint of an index.

What belongs here: the choice for each mode, the checks that need no connection, and everything
that follows from the choice alone. What does not: calling a client (`service_router`), or what a
call needs besides (`run_services`).

Nothing is opened here: a client opens its connections at its first request. So a fingerprint
needs neither a database nor a router.
"""

from __future__ import annotations

from functools import cache, cached_property

import httpx2

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.embedding.embedder_protocol import AnyEmbedder, PaidEmbedder, paid_embedder
from tvdb_assets.embedding.fallback import FallbackEmbedder
from tvdb_assets.embedding.registry import embedder_in_space, make_embedder, make_fallback_embedder
from tvdb_assets.models import VectorSpace
from tvdb_assets.parsing.document_parser import parser_fingerprint
from tvdb_assets.parsing.format_registry import all_parsers
from tvdb_assets.parsing.reading import ocr
from tvdb_assets.parsing.registry import make_paid_parser
from tvdb_assets.routing.paid_services import is_paid
from tvdb_assets.settings import ServiceMode, Settings
from tvdb_assets.spend_guard.paid_service import PaidService, ensure_free


class ServiceClients:
    """The parser and the embedders that the modes of the settings call for."""

    def __init__(
        self, settings: Settings, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        """Choose the clients.

        Args:
            settings: modes, providers and keys.
            transport: under the HTTP clients, for tests.

        Raises:
            ConfigurationError: a paid mode without a key, a provider, a model or a price that is
                not known, or an OCR language that is not installed.
        """
        self._settings = settings
        self._transport = transport
        self._by_space: dict[VectorSpace, AnyEmbedder | None] = {}
        self.parser_mode = settings.resolved_parser_mode
        self.embedder_mode = settings.resolved_embedder_mode
        self.document_limits = settings.document_limits
        """On how much of a document is read."""
        self.limits_fingerprint = settings.limits_fingerprint
        ocr.check_languages(self.document_limits.ocr_languages)
        _check_parsers_are_free()
        self.embedder = make_embedder(self.embedder_mode, settings, transport)
        """Of the run's mode; its weights or connections come when first used."""
        self.paid_embedder: PaidEmbedder | None = paid_embedder(self.embedder)
        """The same, where it costs money."""
        self.paid_parser = (
            make_paid_parser(settings, transport) if is_paid(self.parser_mode) else None
        )

    @cached_property
    def fallback_embedder(self) -> FallbackEmbedder:
        """Embeds in ``hybrid`` while the paid service is unavailable."""
        return make_fallback_embedder(self._settings)

    def embedder_in(self, space: VectorSpace) -> AnyEmbedder | None:
        """The embedder whose vectors are in ``space``, whatever the settings name.

        Returns:
            None if it can't be made here, or would pay where this run's mode pays nothing.
        """
        if space == self.embedder.space:
            return self.embedder
        if space not in self._by_space:
            self._by_space[space] = embedder_in_space(
                space, self._settings, self._transport, may_pay=self.pays_for_embedding
            )
        return self._by_space[space]

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
        """The mode that is recorded with a text that was parsed on this machine."""
        return ServiceMode.MOCK if self.parser_mode is ServiceMode.MOCK else ServiceMode.LOCAL

    @cached_property
    def parser_fingerprint(self) -> str:
        """A stored text is used again for the same bytes if it carries this fingerprint."""
        paid = f"{self.paid_parser.fingerprint} " if self.paid_parser is not None else ""
        return f"{paid}{self.free_parser_mode}/{parser_fingerprint(limits=self.document_limits)}"

    def pipeline_fingerprint(self, chunker: Chunker) -> str:
        """All that a document's outcome depends on besides its bytes, in one string."""
        return f"{self.parser_fingerprint} {chunker.fingerprint} {self.embedder.space.label}"

    def paid(self) -> list[PaidService]:
        """All clients so far that cost money, and so may have open connections."""
        clients = (self.embedder, self.paid_parser, *self._by_space.values())
        return [client for client in clients if isinstance(client, PaidService)]


@cache
def _check_parsers_are_free() -> None:
    """The parsers on this machine are called without the guard, so none may have a price."""
    for parser in all_parsers():
        ensure_free(parser)


def pipeline_fingerprint(settings: Settings, chunker: Chunker) -> str:
    """The fingerprint of an index that these settings and this chunker make; opens nothing.

    Raises:
        ConfigurationError: as of `ServiceClients`.
    """
    return ServiceClients(settings).pipeline_fingerprint(chunker)
