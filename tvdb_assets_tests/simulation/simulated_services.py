"""Simulated paid services on a virtual clock, around the real ingestion, guard and database.

What belongs here: putting the parts together, and ingesting. What does not: what must hold
(`invariants`), or what goes wrong (`fault_scenario`).

Parsing runs within the process, because a real process takes real time. Everything else
between the files and the HTTP transport is what runs in production.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from decimal import Decimal
from functools import cached_property
from typing import Any

import psycopg
import pytest

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.correlation import part_of
from tvdb_assets.dagster.source_scanner import SourceScanner, TimeLimit
from tvdb_assets.embedding.fallback import FallbackEmbedder
from tvdb_assets.embedding.providers.local import LocalEmbedder
from tvdb_assets.errors import DocumentError, StorageError
from tvdb_assets.ingestion import IngestionRun, StageResult
from tvdb_assets.models import Stage
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.document_registry import DocumentRegistry
from tvdb_assets.repositories.document_store import DocumentStore
from tvdb_assets.repositories.index_store import IndexStore
from tvdb_assets.repositories.texts_without_vector import remove_of_documents
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import ServiceMode, Settings, load_settings
from tvdb_assets.sources.source import Source
from tvdb_assets.spend_guard.guard import CallObserver
from tvdb_assets_tests.paid_apis import PaidApis, PaidApisTransport
from tvdb_assets_tests.simulation.corpus import Corpus
from tvdb_assets_tests.simulation.cut_database import CutDatabase
from tvdb_assets_tests.simulation.fault_scenario import FaultScenario
from tvdb_assets_tests.simulation.virtual_time import Clock, loops
from tvdb_assets_tests.sources.broken_listing import listing_that_breaks_off

DIMENSIONS = 64
_CHUNKER = Chunker(96, 0)
_EMPTY = "; ".join(
    f"DELETE FROM tvdb.{table}"
    for table in ("parse_jobs", "cost_ledger", "budget_windows", "service_states")
    + ("text_claims", "documents", "embeddings", "indexes", "vector_spaces")
)
"""Dependent rows are deleted by cascade. At this size DELETE is faster than TRUNCATE."""


class Shared:
    """What all seeds of a process share: database, documents, weights, caches."""

    def __init__(self, database: Database, corpus: Corpus) -> None:
        self.database = database
        self.corpus = corpus
        self.source = Source.open(str(corpus.folder))
        self.files = {f.path: f for f in self.source.list() if not isinstance(f, Exception)}
        self.apis = PaidApis()
        self.fallback_embedder = FallbackEmbedder(LocalEmbedder())
        self.workers = _Inline()
        self.settings = load_settings(
            openai_api_key="sk-test",
            llama_cloud_api_key="llx-test",
            openai_base_url="http://paid.test/v1",
            llama_cloud_base_url="http://paid.test",
            embedding_dimensions=DIMENSIONS,
        )
        with psycopg.connect(database.url, autocommit=True) as connection:
            name = connection.info.dbname
            # Nothing here outlives the test, and each commit would wait for the disk.
            connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")


class SimulatedServices:
    """The services, database and clock of one seed."""

    def __init__(self, shared: Shared, scenario: FaultScenario) -> None:
        self.shared = shared
        self.database = CutDatabase(shared.database.url, scenario.cuts)
        """Its connections break as the scenario says, until `relax`."""
        self.scenario = scenario
        self.clock = Clock(scenario.start)
        self.apis = shared.apis
        self.apis.behaviour = scenario.behaviour
        self.apis.reset()
        self.observer: CallObserver | None = None
        self.ingestions = 0
        self.is_generous = False
        """The tight budget limits are lifted."""
        self.embedded_texts = 0
        self._loops = loops(self.clock, scenario.seed)
        self.is_interrupted = False
        """A broken connection has ended an ingestion before its time."""
        with shared.database.transaction() as tx:
            tx.execute(_EMPTY)
        files = [shared.files[path] for path in scenario.documents]
        self.keys = DocumentRegistry(shared.database).register(shared.source.root, files, "by hand")

    @cached_property
    def settings(self) -> Settings:
        """As the scenario says. `relax` clears the cached value."""
        w = self.scenario
        changes = {
            "service_mode": ServiceMode.HYBRID if w.is_hybrid else ServiceMode.REAL,
            "paid_concurrency": w.concurrency,
            "daily_cost_limit": Decimal(5) if self.is_generous else w.daily_usd,
            "hourly_rate_limit": 1_000 if self.is_generous else w.hourly_requests,
        }
        return self.shared.settings.model_copy(update=changes)

    def relax(self) -> None:
        """Lift the tight budget limits of the scenario."""
        self.is_generous = True
        self.database.is_cutting = False
        del self.settings

    def router(self) -> ServiceRouter:
        router = ServiceRouter(
            self.settings,
            database=self.database,
            run_id=f"run-{self.ingestions}",
            clock=self.clock.now,
            observer=self.observer,
            transport=PaidApisTransport(self.apis, self.clock.seconds),
        )
        router.services.__dict__["workers"] = self.shared.workers
        router.clients.__dict__["fallback_embedder"] = self.shared.fallback_embedder
        router.clients.paid_embedder.max_inputs = self.scenario.max_inputs
        return router

    def scan(self) -> None:
        """Look for what is gone, as the sensor does; the listing breaks off."""
        after = self.scenario.listed_before_break
        if after is None:
            return
        scanner = SourceScanner(self.database, self.settings, lambda *_: None)
        try:
            with listing_that_breaks_off(self.shared.corpus.folder, after):
                found = scanner.scan(self.shared.source, 1_000, TimeLimit(60))
        except psycopg.Error:
            assert self.scenario.cuts, "nothing was cut"
            return
        assert [part.code for part in found.unlisted] == ["unlisted"]
        assert (found.gone, found.deleted) == (0, 0)

    def ingest_or_break(self) -> list[StageResult] | None:
        """Ingest all documents once; None if a broken connection has ended it."""
        try:
            return self.ingest()
        except (psycopg.Error, StorageError):
            assert self.scenario.cuts, "nothing was cut"
            self.is_interrupted = True
            # Leases last for real time, which does not pass here.
            with self.shared.database.transaction() as tx:
                tx.execute("DELETE FROM tvdb.claim_leases")
            return None

    def ingest(self) -> list[StageResult]:
        """Ingest all documents once, in virtual time."""
        self.ingestions += 1
        router = self.router()
        pipeline_fingerprint = router.clients.pipeline_fingerprint(_CHUNKER)
        ingestion = IngestionRun(
            store=DocumentStore(self.database, router.run_id, pipeline_fingerprint),
            index=IndexStore(self.database, router.run_id, pipeline_fingerprint),
            sources=lambda root: self.shared.source,
            router=router,
            chunker=_CHUNKER,
            max_document_bytes=1 << 20,
            loop_factory=self._loops,
        )
        results = [result for batch in ingestion.run(self.keys) for result in batch]
        self.embedded_texts = ingestion.embedded_texts
        assert len(results) == len(self.keys) * len(Stage)
        return results

    def pay_again(self) -> int:
        """Have texts sent again that were answered without a usable vector; returns how many."""
        with self.shared.database.transaction() as tx:
            documents = [row[0] for row in tx.execute("SELECT document_id FROM tvdb.documents")]
            return remove_of_documents(tx, documents)

    def reconcile(self) -> None:
        """Once every lease has run out, ask the service what each open entry cost."""
        self.clock.advance(49 * 3_600)
        billed: dict[str | None, Decimal] = {}
        for charge in self.apis.charges:
            key = str(part_of(charge.client_request_id or ""))
            billed[key] = billed.get(key, Decimal(0)) + charge.dollars
        ledger = self.router().services.ledger
        ledger.reconcile(lambda entry: billed.get(str(entry.entry_id), Decimal(0)))

    def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        with self.shared.database.transaction() as tx:
            return tx.execute(query, arguments or None).fetchall()


@contextmanager
def seeded(monkeypatch: pytest.MonkeyPatch, scenario: FaultScenario) -> Iterator[None]:
    """Set what is no setting: the batch size, and the jitter of the waits between attempts.

    The jitter comes from the seed, not from the global generator.
    """
    with monkeypatch.context() as patch:
        patch.setattr("stamina._core.random", random.Random(scenario.seed))
        patch.setattr("tvdb_assets.ingestion.runner.BATCH_DOCUMENTS", scenario.batch_documents)
        yield


class _Inline:
    """Replaces the worker processes: runs the same functions at once, in this process.

    The result for a file is computed once, because it depends on the file alone.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[Any, ...], Any] = {}

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        is_of_file = isinstance(args[0], bytes)
        try:
            made = self._made.get((fn, args)) if is_of_file else None
            if made is None:
                made = fn(*args)
                if is_of_file:
                    self._made[fn, args] = made
            future.set_result(made)
        except DocumentError as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        pass
