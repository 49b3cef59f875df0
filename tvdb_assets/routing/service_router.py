"""`ServiceRouter`: which client stands behind parsing and embedding, by mode.

What belongs here: turning a mode into a client, putting texts into requests that pass the
guard, and the one rule of falling back. What does not: the clients, money, limits, retries
(`guard`), and what is stored of a result (the caller's ``keep``).

Modes, for each service by itself:

- ``local`` and ``mock`` make everything on this machine, free.
- ``real`` uses the paid service and nothing else, whatever happens.
- ``hybrid`` uses the paid service, and while it is unavailable a stand-in, marked degraded.
  A document's own fault, a refused key and a used-up budget are no reason to fall back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import cast

import httpx2

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.core.text_validation import validate
from tvdb_assets.correlation import current, new_run_id
from tvdb_assets.embedding.batch_embedding import (
    EmbeddingResult,
    PaidEmbedding,
    PersistVectors,
    TextToEmbed,
    embed_free,
)
from tvdb_assets.embedding.embedder_protocol import Embedder, PaidEmbedder
from tvdb_assets.embedding.fallback import FallbackEmbedder
from tvdb_assets.embedding.providers.local import LocalEmbedder
from tvdb_assets.embedding.providers.openai import OpenAIEmbedder
from tvdb_assets.embedding.registry import embedder_in, embedder_of
from tvdb_assets.error_boundaries import tagging_errors
from tvdb_assets.errors import BreakerError, TvdbError, UnavailableError
from tvdb_assets.models import ParsedDocument, VectorSpace
from tvdb_assets.parsing.document_parser import parser_fingerprint
from tvdb_assets.parsing.paid_parsing import PaidParsing, PersistText
from tvdb_assets.parsing.parse_tasks import (
    PaidParseCandidate,
    prepare_document,
    prepare_or_inspect,
    text_of,
)
from tvdb_assets.parsing.providers.llamaparse import LlamaParse
from tvdb_assets.parsing.reading import ocr
from tvdb_assets.parsing.worker_pool import WorkerPool, take_handed_on
from tvdb_assets.reporting.gauges import publish_gauges
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.parse_jobs import ParseJobs
from tvdb_assets.routing.paid_services import PAID_SERVICES, is_paid, limits_of
from tvdb_assets.routing.service_health import ServiceHealth, paid_health
from tvdb_assets.settings import ServiceMode, Settings
from tvdb_assets.spend_guard.guard import CallObserver, FreeRequest, Guard
from tvdb_assets.spend_guard.ledger import Clock, Ledger
from tvdb_assets.spend_guard.service_state_store import ServiceStates
from tvdb_assets.tracing import Trace, trace_of


class ServiceRouter:
    """The services behind one run, chosen by mode; a plain class that works without Dagster.

    ::

        async with ServiceRouter(load_settings()) as router:
            vectors = await router.embed(["Is flood damage covered?"])

    Nothing is loaded, opened or started before it is needed.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database | None = None,
        run_id: str | None = None,
        clock: Clock | None = None,
        observer: CallObserver | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """Choose the clients.

        Args:
            settings: modes, keys and limits.
            database: of ledger and limits; None opens that of the settings when a paid call
                is to be made.
            run_id: on every row and request; None takes the current one or makes one.
            clock: of budgets, limits and breakers; None is the database's own.
            observer: told of each point that a paid call reaches.
            transport: under the HTTP clients, for tests.

        Raises:
            ConfigurationError: a paid mode without a key, a model without a price, or an OCR
                language that is not installed.
        """
        self._settings = settings
        self._database = database
        self._owns_database = False
        self._clock = clock
        self._observer = observer
        self._transport = transport
        self.run_id = run_id or current() or new_run_id()
        self._embedders: dict[VectorSpace, Embedder | PaidEmbedder | None] = {}
        self.parser_mode = settings.resolved_parser_mode
        self.embedder_mode = settings.resolved_embedder_mode
        self.limits = settings.limits
        """On what is read of a document."""
        self.limits_fingerprint = settings.limits_fingerprint
        ocr.check_languages(self.limits.ocr_languages)
        # A paid mode that can't work says so before any document is touched.
        if isinstance(self.embedder, OpenAIEmbedder):
            _ = self.embedder.price
        self.paid_parser = LlamaParse(settings, transport) if is_paid(self.parser_mode) else None

    # --- embedding

    @cached_property
    def embedder(self) -> Embedder | PaidEmbedder:
        """The embedder of this run's mode; its weights or connections come when first used."""
        return embedder_of(self.embedder_mode, self._settings, self._transport)

    @cached_property
    def fallback_embedder(self) -> FallbackEmbedder:
        """What embeds in ``hybrid`` while the paid service is unavailable."""
        return FallbackEmbedder(LocalEmbedder())

    def embedder_in(self, space: VectorSpace) -> Embedder | PaidEmbedder | None:
        """The embedder whose vectors are in ``space``, whatever the settings name.

        Returns:
            None if it can't be made here, or would pay where this run's mode pays nothing.
        """
        if space == self.embedder.space:
            return self.embedder
        if space not in self._embedders:
            self._embedders[space] = embedder_in(
                space, self._settings, self._transport, may_pay=self.pays_texts
            )
        return self._embedders[space]

    @property
    def pays(self) -> bool:
        """Whether anything costs money in this run's modes."""
        return self.pays_texts or is_paid(self.parser_mode)

    @property
    def pays_texts(self) -> bool:
        """Whether an embedding costs money in this run's mode."""
        return is_paid(self.embedder_mode)

    @staticmethod
    def may_fall_back(error: TvdbError, mode: ServiceMode) -> bool:
        """Whether this error is a reason to fall back, in this mode of its service."""
        return mode is ServiceMode.HYBRID and isinstance(error, (UnavailableError, BreakerError))

    async def embed(
        self, texts: Sequence[str] | Sequence[TextToEmbed], *, keep: PersistVectors | None = None
    ) -> EmbeddingResult:
        """Vectors of texts, by the mode of this run.

        In ``hybrid``, if the service is unavailable, all of them are made by the stand-in and
        marked degraded: vectors of two services are never mixed in one answer.

        Args:
            texts: any number; equal texts are sent once.
            keep: stores vectors as they arrive, in the transaction that posts their cost.

        Raises:
            HaltedError: budget, rate or breaker; what arrived before is kept.
            RefusedError: the service refused key, quota or model.
            UnavailableError: no usable answer, in the mode ``real``.
            StorageError: the ledger can't be reached, so nothing was paid.
        """
        try:
            return await self.embed_by(self.embedder, texts, keep)
        except TvdbError as error:
            if not self.may_fall_back(error, self.embedder_mode):
                raise
        return await self.embed_by(self.fallback_embedder, texts, keep)

    async def embed_by(
        self,
        embedder: Embedder | PaidEmbedder,
        texts: Sequence[str] | Sequence[TextToEmbed],
        keep: PersistVectors | None = None,
    ) -> EmbeddingResult:
        """As `embed`, by one embedder and no other."""
        with tagging_errors(self.run_id):
            wanted = [t if isinstance(t, TextToEmbed) else TextToEmbed.of(t) for t in texts]
            if not isinstance(embedder, OpenAIEmbedder):
                return await embed_free(cast(Embedder, embedder), wanted, keep)
            load = PaidEmbedding(
                self.guard,
                embedder,
                self.places,
                wait_if_open=self.embedder_mode is not ServiceMode.HYBRID,
                keep=keep,
            )
            return await load.embed(wanted)

    # --- parsing

    @cached_property
    def workers(self) -> WorkerPool:
        """The processes that parse and chunk, started when first used."""
        return take_handed_on() or WorkerPool.of(self._settings)

    @property
    def free_parser_mode(self) -> ServiceMode:
        """What is recorded of a text that was parsed on this machine, in this run's mode."""
        return ServiceMode.MOCK if self.parser_mode is ServiceMode.MOCK else ServiceMode.LOCAL

    @cached_property
    def parser_fingerprint(self) -> str:
        """What a stored text must carry to be used again for the same bytes."""
        paid = f"{self.paid_parser.fingerprint} " if self.paid_parser is not None else ""
        return f"{paid}{self.free_parser_mode}/{parser_fingerprint(limits=self.limits)}"

    def pipeline_fingerprint(self, chunker: Chunker) -> str:
        """All that a document's outcome depends on besides its bytes, in one string."""
        return f"{self.parser_fingerprint} {chunker.fingerprint} {self.embedder.space.label}"

    async def parse(self, data: bytes, path: str) -> ParsedDocument:
        """The text of a document, by the mode of this run, checked before it counts.

        In ``hybrid``, if the service is unavailable, the stand-in is the parser on this
        machine, and the text's ``produced_by`` is marked degraded.

        Args:
            data: the whole file.
            path: its name.

        Raises:
            ParseError: the bytes give no usable text, or hold other documents and no text.
            ServiceError: as of `embed`.
        """
        with tagging_errors(self.run_id):
            return await self._parse(data, path)

    async def _parse(self, data: bytes, path: str) -> ParsedDocument:
        free_mode, paid_parser = self.free_parser_mode.value, self.paid_parser
        if paid_parser is not None:
            seen = await asyncio.wrap_future(
                self.workers.submit(
                    prepare_or_inspect, data, path, free_mode, None, paid_parser.media_types
                )
            )
            if not isinstance(seen, PaidParseCandidate):
                return text_of(seen)
            try:
                parsed = await self.parse_paid(data, path, seen.media_type, seen.most_pages)
            except TvdbError as error:
                if not self.may_fall_back(error, self.parser_mode):
                    raise
            else:
                validate(parsed, len(data))
                return parsed
        is_degraded = paid_parser is not None
        prepared = await asyncio.wrap_future(
            self.workers.submit(prepare_document, data, path, free_mode, None, is_degraded)
        )
        return text_of(prepared)

    async def parse_paid(
        self,
        data: bytes,
        path: str,
        media_type: str,
        most_pages: int,
        *,
        keep: PersistText | None = None,
    ) -> ParsedDocument:
        """As `parse`, by the paid service and no other; see `PaidParsing.parse`."""
        assert self.paid_parser is not None
        parsing = PaidParsing(
            self.guard,
            self.paid_parser,
            ParseJobs(self.database, self.run_id, self._clock),
            deadline_seconds=self._settings.llamaparse_timeout_seconds,
        )
        async with self.places:
            return await parsing.parse(
                data,
                path,
                media_type,
                most_pages,
                keep=keep,
                wait_if_open=self.parser_mode is not ServiceMode.HYBRID,
            )

    # --- health

    async def health(self, *, probe: bool = False) -> list[ServiceHealth]:
        """How each service of this run is, from what its last calls said; costs nothing.

        Args:
            probe: ask the paid services too, by requests that are free.

        Raises:
            StorageError: the database can't be used.
        """
        checked = []
        for role, mode, client in (
            ("parser", self.parser_mode, self.paid_parser),
            ("embedder", self.embedder_mode, self.embedder),
        ):
            if not isinstance(client, OpenAIEmbedder | LlamaParse):
                checked.append(ServiceHealth.free(role, mode.value))
                continue
            if probe:
                # What it finds is noted with the service's state, as any call's outcome is.
                with suppress(TvdbError):
                    await self.guard.ask(
                        FreeRequest(client.service, "probe", client.account),
                        client.probe,
                        wait_if_open=False,
                    )
            checked.append(
                await asyncio.to_thread(paid_health, self.guard, role, mode.value, client.service)
            )
        return checked

    # --- the guard

    @cached_property
    def database(self) -> Database:
        """Of ledger and limits; that of the settings if none was given.

        Raises:
            StorageError: it can't be used, so nothing may be paid.
        """
        if self._database is None:
            self._database = Database.open(self._settings)
            self._owns_database = True
        return self._database

    @cached_property
    def ledger(self) -> Ledger:
        """With the limits of the settings."""
        return Ledger(self.database, limits_of(self._settings), self._clock)

    @cached_property
    def guard(self) -> Guard:
        """What every paid call passes."""
        s = self._settings
        return Guard(
            self.database,
            self.ledger,
            ServiceStates(self.database, self._clock),
            run_id=self.run_id,
            attempts=s.paid_attempts,
            max_wait_seconds=s.paid_max_wait_seconds,
            request_seconds=s.paid_timeout_seconds,
            observer=self._observer,
            trace=self.trace,
        )

    @cached_property
    def trace(self) -> Trace:
        """Of this run; does nothing unless ``OTEL_`` variables turn it on."""
        return trace_of(self.run_id)

    def publish_gauges(self) -> None:
        """Set what metrics show of budget, queue and breakers, if anybody reads them."""
        if self.trace.is_on:
            states = ServiceStates(self.database, self._clock)
            publish_gauges(self.trace, self.database, self.ledger, states, PAID_SERVICES)

    @cached_property
    def places(self) -> asyncio.Semaphore:
        """One for each paid request that may be in flight."""
        return asyncio.Semaphore(self._settings.paid_concurrency)

    # --- its end

    async def disconnect(self) -> None:
        """Close the connections to paid services; they belong to the loop that opened them."""
        clients = (self.__dict__.get("embedder"), self.paid_parser, *self._embedders.values())
        for client in clients:
            if isinstance(client, OpenAIEmbedder | LlamaParse):
                await client.close()

    async def aclose(self) -> None:
        """Close connections, worker processes, and a database that it opened itself."""
        await self.disconnect()
        self.close()

    def close(self) -> None:
        """As `aclose`, where no connection was opened."""
        if "trace" in self.__dict__:
            self.trace.flush()
        if "workers" in self.__dict__:
            self.workers.close()
        if self._owns_database and self._database is not None:
            self._database.close()

    async def __aenter__(self) -> ServiceRouter:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def __enter__(self) -> ServiceRouter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
