"""An ingestion in `real` mode in a separate process that kills itself at a named point.

What belongs here: documents, the ingestion, and the point of the kill. What does not: the checks
afterwards (`test_ingestion_kills`). The points of a paid call are those that the guard reports
to its observer; those of the ingestion are wrapped methods of the package.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import stamina

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.embedding.providers.openai import OpenAIEmbedder
from tvdb_assets.ingestion import IngestionRun, runner
from tvdb_assets.ingestion.embed_stage import EmbedStage
from tvdb_assets.ingestion.paid_parse_stage import PaidParseStage
from tvdb_assets.models import Stage
from tvdb_assets.parsing import paid_parsing
from tvdb_assets.parsing.paid_parsing import PaidParsing
from tvdb_assets.parsing.providers.llamaparse import LlamaParse
from tvdb_assets.repositories import leases
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.document_registry import DocumentRegistry
from tvdb_assets.repositories.document_store import DocumentStore
from tvdb_assets.repositories.index_store import IndexStore
from tvdb_assets.repositories.parse_jobs import ParseJobs
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import Settings, load_settings
from tvdb_assets.sources.source import Source
from tvdb_assets.spend_guard.guard import POINTS, PaidCall
from tvdb_assets.spend_guard.ledger import Reservation

CHUNK_TOKENS = 48
_ENDS_FLIGHT = ("committed", "voided", "loss_posted")

_BEFORE, _AFTER = "before", "after"
HOOKS: dict[str, tuple[type, str, str]] = {
    "chunks_stored": (DocumentStore, "store_chunk_sets", _AFTER),
    "texts_claimed": (IndexStore, "claim_missing", _AFTER),
    "vectors_written": (IndexStore, "store_vectors", _AFTER),  # in the transaction that posts
    "before_publish": (EmbedStage, "publish", _BEFORE),
    "within_publish": (IndexStore, "_drop_replaced", _AFTER),
    "published": (IndexStore, "publish", _AFTER),
    "before_record": (IngestionRun, "_record", _BEFORE),
    "before_finish": (EmbedStage, "finish", _BEFORE),
    "job_written": (ParseJobs, "add", _AFTER),  # in the transaction that notes the submission
    "before_poll": (LlamaParse, "fetch", _BEFORE),
    "before_text": (PaidParsing, "_settle", _BEFORE),
    "text_written": (PaidParseStage, "_store_parse", _AFTER),  # in the transaction that posts
    "text_stored": (PaidParsing, "_settle", _AFTER),
}
ALL_POINTS = (*POINTS, *HOOKS)


@dataclass(frozen=True)
class ProcessSettings:
    """The settings of the ingestion in one process."""

    url: str
    root: str
    server: str
    point: str = ""
    """The point at which the process kills itself; empty for none."""
    nth: int = 1
    """The number of the arrival at the point, from 1."""
    reported: str = ""
    """The file for the ids of the ledger entries in flight at the kill."""
    paths: tuple[str, ...] | None = None
    """None ingests every document."""
    batch_documents: int = 3
    inputs: int = 4
    """Maximum texts in a request; a small number gives many requests."""
    daily_usd: Decimal = Decimal("5.00")
    concurrency: int = 8
    lease_seconds: float = 1.0
    """How long its claims last when it was killed."""
    reservation_seconds: float | None = None
    """The lease of its reservations; None for that of the guard."""
    settings: dict[str, object] = field(default_factory=dict)


def settings_of(process_settings: ProcessSettings) -> Settings:
    return load_settings(
        service_mode="real",
        chunk_tokens=CHUNK_TOKENS,
        chunk_overlap_tokens=0,
        OPENAI_API_KEY="sk-of-the-test",
        OPENAI_BASE_URL=f"{process_settings.server}/v1",
        LLAMA_CLOUD_API_KEY="llx-of-the-test",
        LLAMA_CLOUD_BASE_URL=process_settings.server,
        daily_cost_limit=process_settings.daily_usd,
        hourly_rate_limit=1_000_000,
        paid_concurrency=process_settings.concurrency,
        **process_settings.settings,
    )


def register(database: Database, root: Path) -> None:
    """Register every file of a folder."""
    source = Source.open(str(root))
    files = [file for file in source.list() if not isinstance(file, Exception)]
    DocumentRegistry(database).register(source.root, files, "of the test")


def run_process(process_settings: ProcessSettings) -> None:
    """Ingest in this process, which may kill itself."""
    runner.BATCH_DOCUMENTS = process_settings.batch_documents
    OpenAIEmbedder.max_inputs = process_settings.inputs
    leases.LEASE_SECONDS = process_settings.lease_seconds
    leases.RENEWAL_SECONDS = process_settings.lease_seconds / 8
    paid_parsing._LIST_DELAY_SECONDS = 0.05
    killer = Killer(process_settings.point, process_settings.nth, process_settings.reported)
    settings = settings_of(process_settings)
    # Retries do not wait, in the test mode of the retry library.
    with (
        stamina.set_testing(True, attempts=20, cap=True),
        Database(process_settings.url) as database,
        ServiceRouter(
            settings,
            database=database,
            run_id=f"ingestion-{os.getpid()}-{uuid4()}",
            observer=killer,
        ) as router,
    ):
        router.services.__dict__["workers"] = Inline()
        if process_settings.reservation_seconds is not None:
            router.services.guard._lease = timedelta(seconds=process_settings.reservation_seconds)
        chunker = Chunker(settings.chunk_tokens, settings.chunk_overlap_tokens)
        pipeline_fingerprint = router.clients.pipeline_fingerprint(chunker)
        made = IngestionRun(
            store=DocumentStore(database, router.run_id, pipeline_fingerprint),
            index=IndexStore(database, router.run_id, pipeline_fingerprint),
            sources=Source.open,
            router=router,
            chunker=chunker,
            max_document_bytes=1 << 20,
        )
        known = DocumentRegistry(database).known(Source.open(process_settings.root).root)
        keys = [
            document.partition_key
            for path, document in known.items()
            if process_settings.paths is None or path in process_settings.paths
        ]
        for _ in made.run(keys, frozenset(Stage)):
            pass


class Killer:
    """Kills its process at the nth arrival at a point, and records the requests in flight."""

    def __init__(self, point: str = "", nth: int = 1, reported: str = "") -> None:
        """Wrap the method of the point, if it is in `HOOKS`; arguments as in `ProcessSettings`."""
        self._point = point
        self._reported = reported
        self.left = nth
        """Arrivals until it kills; 0 disarms it."""
        self._flying: set[str] = set()
        self._lock = threading.Lock()
        if point in HOOKS:
            self._hook(*HOOKS[point])

    def reached(self, point: str, call: PaidCall, reservation: Reservation | None) -> None:
        with self._lock:
            if reservation is not None:
                if point == "before_send":
                    self._flying.add(str(reservation.entry_id))
                if point == self._point:
                    self._arrive()
                if point in _ENDS_FLIGHT:
                    self._flying.discard(str(reservation.entry_id))
            elif point == self._point:
                self._arrive()

    def _hook(self, owner: type, name: str, when: str) -> None:
        method: Callable[..., Any] = getattr(owner, name)

        async def awaited(coroutine: Awaitable[Any]) -> Any:
            value = await coroutine
            if when == _AFTER:
                self._arrive_alone()
            return value

        def wrapped(*arguments: Any, **named: Any) -> Any:
            if when == _BEFORE:
                self._arrive_alone()
            value = method(*arguments, **named)
            if isinstance(value, Awaitable):
                return awaited(value)
            if when == _AFTER:
                self._arrive_alone()
            return value

        setattr(owner, name, wrapped)

    def _arrive_alone(self) -> None:
        with self._lock:
            self._arrive()

    def _arrive(self) -> None:
        self.left -= 1
        if self.left == 0:
            if self._reported:
                Path(self._reported).write_text("\n".join(self._flying))
            os.kill(os.getpid(), signal.SIGKILL)


class Inline:
    """Executes the tasks of worker processes immediately in this process."""

    observed_confinement = None
    """No process is started, so none is confined."""

    def submit(self, task: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(task(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        """Nothing was started."""
