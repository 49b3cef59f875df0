"""A router on the simulated paid APIs and a real ledger, and ingestions of a folder with it.

What belongs here: shared fixtures of tests of paid calls. What does not: checks. Router, guard,
ledger and clients are the real ones; only the paid APIs are simulated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import httpx2

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.embedding.providers.openai import OpenAIEmbedder
from tvdb_assets.ingestion import IngestionRun, StageResult
from tvdb_assets.ingestion.cost_estimator import CostEstimator, DocumentCost
from tvdb_assets.models import SourceFile, Stage
from tvdb_assets.parsing.worker_pool import WorkerPool
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.document_registry import DocumentRegistry
from tvdb_assets.repositories.document_store import DocumentStore
from tvdb_assets.repositories.index_store import IndexStore
from tvdb_assets.routing.run_services import RunServices
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import Settings, SwitchMode, load_settings
from tvdb_assets.sources.source import Source
from tvdb_assets.spend_guard.guard import CallObserver
from tvdb_assets.spend_guard.service_state import ServiceState, TokenUsage
from tvdb_assets.spend_guard.service_state_store import ServiceStates
from tvdb_assets.spend_guard.token_ratio import EQUAL_TOKENS
from tvdb_assets_tests.paid_apis import Behaviour, PaidApis, PaidApisTransport

if TYPE_CHECKING:
    from tvdb_assets.dagster.ingest import IngestPlan

T = TypeVar("T")
DEGRADED_TABLES = ("documents", "parsed_documents", "chunks", "embeddings")


class Clock:
    """The clock of budgets, limits and breakers, which only a test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def learn_token_counts(database: Database, settings: Settings) -> None:
    """Let the answers of earlier days have taught that OpenAI's server bills what is counted.

    Reservations are then exact. Those of an unknown server are bounds of what it may bill.
    """
    embedder = OpenAIEmbedder(settings)
    usage = TokenUsage(EQUAL_TOKENS, EQUAL_TOKENS, EQUAL_TOKENS)
    ServiceStates(database).change(
        embedder.service, lambda state, _: (state.learn(embedder.account, usage), None)
    )


@dataclass(frozen=True)
class FixedResponse:
    """A response that does not depend on the request."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class FixedResponses(httpx2.AsyncBaseTransport):
    """Returns or raises the given responses in order, and repeats the last one.

    An upload before a submission, and the list of jobs after it, are answered and not counted.
    """

    def __init__(self, *responses: FixedResponse | Exception) -> None:
        self.responses = list(responses)
        self.requests: list[httpx2.Request] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        if request.url.path == "/api/v1/beta/files":
            return httpx2.Response(200, content=b'{"id": "dfl-1"}', request=request)
        if (request.method, request.url.path) == ("GET", "/api/v2/parse"):
            return httpx2.Response(200, content=b'{"items": []}', request=request)
        self.requests.append(request)
        now = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        if isinstance(now, Exception):
            raise now
        return httpx2.Response(now.status, headers=now.headers, content=now.body, request=request)


class PaidServicesFixture:
    """Creates routers on one set of simulated APIs and one database."""

    def __init__(self, database: Database, workers: WorkerPool | None = None) -> None:
        self.database = database
        self.workers = workers
        self.apis = PaidApis(Behaviour())
        self.clock = Clock()
        self.transport: httpx2.AsyncBaseTransport = PaidApisTransport(self.apis)
        self.observer: CallObserver | None = None

    def settings(self, **given: object) -> Settings:
        return load_settings(
            **{
                "service_mode": "real",
                "OPENAI_API_KEY": "sk-test",
                "LLAMA_CLOUD_API_KEY": "llx-test",
                "hourly_rate_limit": 10_000,
                "parse_workers": 1,
                "chunk_tokens": 64,
                "chunk_overlap_tokens": 0,
                "paid_attempts": 3,
                "paid_max_wait_seconds": 1.0,
                **given,
            }
        )

    def router(self, run_id: str | None = None, **given: object) -> ServiceRouter:
        settings = self.settings(**given)
        services = RunServices(
            settings,
            database=self.database,
            workers=self.workers,
            run_id=run_id,
            clock=self.clock,
            observer=self.observer,
        )
        return ServiceRouter(settings, services=services, transport=self.transport)

    def use(self, use: Callable[[ServiceRouter], Coroutine[Any, Any, T]], **given: object) -> T:
        """Call ``use`` with a router of these settings, and return its result."""

        async def used() -> T:
            router = self.router(**given)
            try:
                return await use(router)
            finally:
                await router.disconnect()

        return asyncio.run(used())

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self.database.transaction() as tx:
            return tx.execute(query, values).fetchall()

    def ledger(self) -> list[tuple[str, str | None]]:
        """State and outcome of each attempt, in order."""
        return self.rows(
            "SELECT state, outcome FROM tvdb.cost_ledger ORDER BY reserved_at, attempt"
        )

    @property
    def spent(self) -> Decimal:
        """US dollars that today's budget counts as spent."""
        [(spent,)] = self.rows(
            "SELECT coalesce(sum(spent_usd), 0) FROM tvdb.budget_windows"
            " WHERE scope = '' AND period = 'day'"
        )
        assert isinstance(spent, Decimal)
        return spent

    def hourly(self, service: str) -> int:
        """The number of requests in this hour that the limit counts."""
        rows = self.rows(
            "SELECT requests FROM tvdb.budget_windows WHERE scope = %s AND period = 'hour'",
            service,
        )
        return int(rows[0][0]) if rows else 0

    def state(self, service: str) -> ServiceState:
        return ServiceStates(self.database, self.clock).read(service)[0]

    def request_count(self, *operations: str) -> int:
        """The number of requests of these operations at the simulated APIs."""
        return sum(request.operation in operations for request in self.apis.requests)


class DocumentFolder:
    """A folder of documents, ingested in a mode."""

    def __init__(self, paid: PaidServicesFixture, path: Path) -> None:
        self.paid = paid
        self.path = path
        self.registry = DocumentRegistry(paid.database)
        self.ingestions = 0

    def write(self, name: str, content: str | bytes) -> None:
        data = content.encode() if isinstance(content, str) else content
        (self.path / name).write_bytes(data)

    def plan(self, **given: object) -> IngestPlan:
        # Imported here, because Dagster takes seconds to load and most tests do not need it.
        from tvdb_assets.dagster import ingest

        source = Source.open(str(self.path))
        settings = self.paid.settings(**given)
        return ingest.plan(source, (), self.registry, settings, 1 << 20)

    def due(self, **given: object) -> list[str]:
        """Paths of the documents that an ingest would process."""
        plan = self.plan(**given)
        return sorted([file.path for file in plan.new] + [known.path for known in plan.stale])

    def ingest(
        self,
        names: Sequence[str] | None = None,
        stages: Collection[Stage] = tuple(Stage),
        *,
        is_deferrable: bool = False,
        **given: object,
    ) -> dict[str, StageResult]:
        """Ingest all due documents, or ``names``; return the last stage's results by name."""
        plan = self.plan(**given)
        self.registry.register(plan.source.root, plan.new, "of the test")
        due = {file.path for file in plan.new} | {known.path for known in plan.stale}
        keys = [
            known.partition_key
            for path, known in self.registry.known(plan.source.root).items()
            if path in (due if names is None else names)
        ]
        self.ingestions += 1
        settings = self.paid.settings(**given)
        run_id = f"run-{self.ingestions}"
        router = self.paid.router(run_id, **given)
        chunker = Chunker(settings.chunk_tokens, settings.chunk_overlap_tokens)
        pipeline_fingerprint = router.clients.pipeline_fingerprint(chunker)
        ingestion = IngestionRun(
            store=DocumentStore(self.paid.database, run_id, pipeline_fingerprint),
            index=IndexStore(self.paid.database, run_id, pipeline_fingerprint),
            sources=Source.reopen,
            router=router,
            chunker=chunker,
            max_document_bytes=1 << 20,
            switches=settings.switch is SwitchMode.AUTO,
            is_deferrable=is_deferrable,
        )
        results = [result for batch in ingestion.run(keys, frozenset(stages)) for result in batch]
        last = max(stages, key=list(Stage).index)
        if self.paid.workers is None:
            router.close()
        return {r.path: r for r in results if r.stage is last and not r.is_member}

    def estimate(self, **given: object) -> list[DocumentCost]:
        """The estimated cost of ingesting the folder."""
        router, settings = self.paid.router(**given), self.paid.settings(**given)
        estimating = CostEstimator(
            store=DocumentStore(self.paid.database, "run-0"),
            index=IndexStore(self.paid.database, "run-0"),
            router=router,
            chunker=Chunker(settings.chunk_tokens, settings.chunk_overlap_tokens),
            max_document_bytes=1 << 20,
        )
        source = Source.open(str(self.path))
        return list(
            estimating.run(source, [f.path for f in source.list() if isinstance(f, SourceFile)])
        )

    def codes(self, results: Mapping[str, StageResult]) -> dict[str, str]:
        return {name: r.error.code for name, r in results.items() if r.error is not None}

    def passages(self) -> dict[str, list[str]]:
        """The searchable passages of each document, in order."""
        passages: dict[str, list[str]] = {}
        for name, text in self.paid.rows(
            "SELECT document, text FROM tvdb.search_index ORDER BY document, ordinal"
        ):
            passages.setdefault(name, []).append(text)
        return passages

    def degraded_rows(self) -> dict[str, int]:
        """The number of degraded rows by table, where there are any."""
        counts = {
            table: self.paid.rows(f"SELECT count(*) FROM tvdb.{table} WHERE is_degraded")[0][0]
            for table in (*DEGRADED_TABLES, "search_index")
        }
        return {table: count for table, count in counts.items() if count}
