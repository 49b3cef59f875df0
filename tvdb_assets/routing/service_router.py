"""`ServiceRouter`: calls the client of each mode for parsing and embedding; decides on fallbacks.

What belongs here: calling the client of a mode, through the guard if it costs money. What does
not: the choice of the clients (`service_clients`), database, ledger, guard and workers
(`run_services`), and storing the results (the caller's ``persist``).

The modes, which each service has separately:

- ``local`` and ``mock`` process everything on this machine, free of charge.
- ``real`` uses the paid service and never another one.
- ``hybrid`` uses the paid service. While the service is unavailable, a fallback on this machine
  is used and its results are marked degraded. An error of the document, a refused key and an
  exhausted budget cause no fallback.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from copy import copy

import httpx2

from tvdb_assets.core.text_validation import validate
from tvdb_assets.embedding.embedder_protocol import AnyEmbedder, PaidEmbedder, paid_embedder
from tvdb_assets.embedding.embedding_result import (
    EmbeddingResult,
    PersistErrors,
    PersistVectors,
    TextToEmbed,
)
from tvdb_assets.embedding.free_embedding import embed_free
from tvdb_assets.embedding.paid_embedding import PaidEmbedding
from tvdb_assets.error_boundaries import tagging_errors
from tvdb_assets.errors import BreakerError, TvdbError, UnavailableError
from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.paid_parsing import PaidParsing, PersistText
from tvdb_assets.parsing.parse_tasks import (
    PaidParseCandidate,
    prepare_document,
    prepare_or_inspect,
    text_of,
)
from tvdb_assets.repositories.database import Database
from tvdb_assets.routing.batch_work import BatchWork
from tvdb_assets.routing.run_services import RunServices
from tvdb_assets.routing.service_clients import ServiceClients, recall_traits
from tvdb_assets.routing.service_health import ServiceHealth, paid_health
from tvdb_assets.settings import ServiceMode, Settings
from tvdb_assets.spend_guard.guard import CallObserver, FreeRequest
from tvdb_assets.spend_guard.ledger import Clock
from tvdb_assets.spend_guard.paid_call import CheckClaim
from tvdb_assets.spend_guard.paid_service import PaidService


class ServiceRouter:
    """Parses and embeds for one run, by mode; a plain class that works without Dagster.

    ::

        async with ServiceRouter(load_settings()) as router:
            vectors = await router.embed(["Is flood damage covered?"])

    Models, connections and processes are opened at their first use.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        services: RunServices | None = None,
        database: Database | None = None,
        run_id: str | None = None,
        clock: Clock | None = None,
        observer: CallObserver | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """Choose the clients.

        Args:
            settings: modes, keys and limits.
            services: the parts of the run; None creates them from the settings and the next four
                arguments, which `RunServices` describes.
            database: contains the ledger and the limits; None opens the one of the settings
                before the first paid call.
            run_id: the id on every row and request; None uses the current id or a new one.
            clock: the time of budgets, limits and breakers; None uses the database's clock.
            observer: is notified of each point that a paid call reaches.
            transport: replaces the transport of the HTTP clients, for tests.

        Raises:
            ConfigurationError: see `ServiceClients`.
        """
        self._settings = settings
        self.clients = ServiceClients(settings, transport)
        self.services = services or RunServices(
            settings, database=database, run_id=run_id, clock=clock, observer=observer
        )
        recall_traits(self.clients, lambda: self.services.states)

    @property
    def settings(self) -> Settings:
        """The modes, keys and limits."""
        return self._settings

    @property
    def run_id(self) -> str:
        """The id of the run, which every row and request has."""
        return self.services.run_id

    @property
    def batch_work(self) -> BatchWork:
        """The batch jobs of the database, with the clients of this router."""
        return BatchWork(self._settings, self.services, self.clients)

    def for_run(self, run_id: str) -> ServiceRouter:
        """A router with the same clients and limits, whose rows and requests have another id.

        Its parts belong to this router, which closes them.
        """
        if run_id == self.run_id:
            return self
        router = copy(self)
        router.services = self.services.for_run(run_id)
        return router

    # --- embedding

    async def embed(
        self,
        texts: Sequence[str] | Sequence[TextToEmbed],
        *,
        persist: PersistVectors | None = None,
    ) -> EmbeddingResult:
        """Embed texts in the mode of this run.

        In ``hybrid``, if the service is unavailable, the fallback embeds all texts and the result
        is marked degraded: vectors of two services are never mixed in one result.

        Args:
            texts: any number; equal texts are sent once.
            persist: stores vectors as they arrive, in the transaction that posts their cost.

        Raises:
            HaltedError: a budget, a rate limit or a breaker stopped the calls; vectors that arrived
                before are stored.
            RefusedError: the service refused the key, the quota or the model.
            UnavailableError: the service gave no usable answer, in the mode ``real``.
            StorageError: the ledger can't be reached, so nothing was paid.
        """
        clients = self.clients
        try:
            return await self.embed_by(clients.embedder, texts, persist)
        except TvdbError as error:
            if not self.may_fall_back(error, clients.embedder_mode):
                raise
        return await self.embed_by(clients.fallback_embedder, texts, persist)

    async def embed_by(
        self,
        embedder: AnyEmbedder,
        texts: Sequence[str] | Sequence[TextToEmbed],
        persist: PersistVectors | None = None,
        check_claim: CheckClaim | None = None,
        *,
        persist_errors: PersistErrors | None = None,
        is_query: bool = False,
    ) -> EmbeddingResult:
        """Embed texts with the given embedder only, through the guard if it costs money.

        Arguments and errors are those of `embed`; for ``check_claim``, see `Guard.call`, for
        ``persist_errors``, `PaidEmbedding`, and for ``is_query``, `PaidEmbedding.embed`.

        Raises:
            ConfigurationError: the embedder has a price but is not a `PaidEmbedder`, so the guard
                would not see its requests. Nothing was sent.
        """
        with tagging_errors(self.run_id):
            requested = [t if isinstance(t, TextToEmbed) else TextToEmbed.of(t) for t in texts]
            if isinstance(embedder, PaidEmbedder):
                embedding = self._paid_embedding(embedder, persist, check_claim, persist_errors)
                return await embedding.embed(requested, is_query=is_query)
            return await embed_free(embedder, requested, persist)

    async def discover(self, embedder: AnyEmbedder) -> None:
        """Find out the length of an embedder's vectors, if it is not known yet.

        Raises:
            ServiceError: see `embed`; a later call may succeed.
        """
        if isinstance(embedder, PaidEmbedder) and embedder.is_undiscovered:
            with tagging_errors(self.run_id):
                await self._paid_embedding(embedder, None, None).discover()

    def _paid_embedding(
        self,
        embedder: PaidEmbedder,
        persist: PersistVectors | None,
        check_claim: CheckClaim | None,
        persist_errors: PersistErrors | None = None,
    ) -> PaidEmbedding:
        return PaidEmbedding(
            self.services.guard,
            embedder,
            self.services.concurrency,
            at_risk=self.services.texts_at_risk,
            wait_if_open=self.clients.embedder_mode is not ServiceMode.HYBRID,
            persist=persist,
            persist_errors=persist_errors,
            check_claim=check_claim,
        )

    # --- parsing

    async def parse(self, data: bytes, path: str) -> ParsedDocument:
        """Parse a document in the mode of this run, and validate its text.

        In ``hybrid``, if the service is unavailable, the parser on this machine is the fallback,
        and the text's ``produced_by`` is marked degraded.

        Args:
            data: the bytes of the whole file.
            path: the name of the file.

        Raises:
            ParseError: the bytes give no usable text, or contain other documents and no text.
            ServiceError: see `embed`.
        """
        with tagging_errors(self.run_id):
            return await self._parse(data, path)

    async def _parse(self, data: bytes, path: str) -> ParsedDocument:
        clients, workers = self.clients, self.services.workers
        free_mode, paid_parser = clients.free_parser_mode.value, clients.paid_parser
        if paid_parser is not None:
            inspected = await asyncio.wrap_future(
                workers.submit(
                    prepare_or_inspect, data, path, free_mode, None, paid_parser.media_types
                )
            )
            if not isinstance(inspected, PaidParseCandidate):
                return text_of(inspected)
            try:
                parsed = await self.parse_paid(
                    data, path, inspected.media_type, inspected.most_pages
                )
            except TvdbError as error:
                if not self.may_fall_back(error, clients.parser_mode):
                    raise
            else:
                return validate(parsed, len(data))
        is_degraded = paid_parser is not None
        prepared = await asyncio.wrap_future(
            workers.submit(prepare_document, data, path, free_mode, None, is_degraded)
        )
        return text_of(prepared)

    async def parse_paid(
        self,
        data: bytes,
        path: str,
        media_type: str,
        most_pages: int,
        *,
        persist: PersistText | None = None,
    ) -> ParsedDocument:
        """Parse a document with the paid service only; see `PaidParsing.parse`."""
        assert self.clients.paid_parser is not None
        parsing = PaidParsing(
            self.services.guard,
            self.clients.paid_parser,
            self.services.jobs,
            deadline_seconds=self._settings.llamaparse_timeout_seconds,
        )
        async with self.services.concurrency:
            return await parsing.parse(
                data,
                path,
                media_type,
                most_pages,
                persist=persist,
                wait_if_open=self.clients.parser_mode is not ServiceMode.HYBRID,
            )

    @staticmethod
    def may_fall_back(error: TvdbError, mode: ServiceMode) -> bool:
        """Whether this error causes a fallback in this mode of the service."""
        return mode is ServiceMode.HYBRID and isinstance(error, (UnavailableError, BreakerError))

    # --- health

    async def health(self, *, probe: bool = False) -> list[ServiceHealth]:
        """Report the health of each service, derived from its last calls; costs nothing.

        Args:
            probe: also send a free request to each paid service.

        Raises:
            StorageError: the database can't be used.
        """
        clients = self.clients
        paid: tuple[tuple[str, ServiceMode, PaidService | None], ...] = (
            ("parser", clients.parser_mode, clients.paid_parser),
            ("embedder", clients.embedder_mode, paid_embedder(clients.embedder)),
        )
        checked = []
        for role, mode, client in paid:
            if client is None:
                checked.append(ServiceHealth.free(role, mode.value))
                continue
            guard = self.services.guard
            if probe:
                # The outcome is recorded in the state of the service, as for any other call.
                with suppress(TvdbError):
                    await guard.ask(
                        FreeRequest(client.service, "probe", client.account),
                        client.probe,
                        wait_if_open=False,
                    )
            checked.append(await asyncio.to_thread(paid_health, guard, role, mode.value, client))
        return checked

    # --- closing

    async def disconnect(self) -> None:
        """Close the connections to paid services; call it in the event loop that opened them."""
        for client in self.clients.paid():
            await client.close()

    async def aclose(self) -> None:
        """Close the connections, and the parts of the run that were created here."""
        await self.disconnect()
        self.close()

    def close(self) -> None:
        """Close the parts of the run, if no connection to a paid service was opened."""
        self.services.close()

    async def __aenter__(self) -> ServiceRouter:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def __enter__(self) -> ServiceRouter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
