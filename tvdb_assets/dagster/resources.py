"""The resources of the assets: services by mode, and their database.

What belongs here: opening what one run needs, and closing it. What does not: how assets use it
(`document_assets`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, Self

import dagster as dg
from pydantic import Field, PrivateAttr

from tvdb_assets import error_codes as codes
from tvdb_assets.core.chunking import Chunker
from tvdb_assets.core.partition_keys import path_from_key
from tvdb_assets.dagster.run_telemetry import report_run
from tvdb_assets.error_boundaries import redacting_errors
from tvdb_assets.errors import ServiceError, SourceError
from tvdb_assets.ingestion import IngestionRun
from tvdb_assets.ingestion.cost_estimator import CostEstimator
from tvdb_assets.ingestion.cost_forecast import CostForecast, forecast_cost
from tvdb_assets.lifecycle import BudgetWindows, Reason
from tvdb_assets.models import SourceFile
from tvdb_assets.parsing.worker_pool import WorkerPool
from tvdb_assets.redaction import is_private
from tvdb_assets.reporting.budget_alerts import (
    Alert,
    budget_pace,
    deliver_alerts,
    record_thresholds,
    report_alerts,
)
from tvdb_assets.reporting.costs import CostReport, cost_report
from tvdb_assets.reporting.gauges import publish_gauges
from tvdb_assets.repositories.batch_texts import BatchTexts
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.document_registry import DocumentRegistry
from tvdb_assets.repositories.document_store import DocumentStore
from tvdb_assets.repositories.due_documents import DueDocument, DueDocuments
from tvdb_assets.repositories.index_store import IndexStore
from tvdb_assets.repositories.runs import Run, record_run
from tvdb_assets.routing.paid_services import paid_services, spend_limits_of
from tvdb_assets.routing.run_services import RunServices
from tvdb_assets.routing.service_health import ServiceHealth
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import ServiceMode, Settings, SwitchMode, load_settings
from tvdb_assets.sources.source import Source, source_root
from tvdb_assets.spend_guard.ledger import Ledger
from tvdb_assets.spend_guard.service_state_store import ServiceStates
from tvdb_assets.spend_guard.spend_limits import changes
from tvdb_assets.spend_guard.window_repair import repair_windows
from tvdb_assets.tracing import trace_of


class ServiceRouterResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The modes of the services, and the source; what is not set here comes from the settings.

    Set it for one run in the launchpad, or for all by ``TVDB_SERVICE_MODE``,
    ``TVDB_PARSER_MODE`` and ``TVDB_EMBEDDER_MODE``.
    """

    mode: ServiceMode | None = Field(None, description="Of all services.")
    parser_mode: ServiceMode | None = Field(None, description="Of parsing alone.")
    embedder_mode: ServiceMode | None = Field(None, description="Of embedding alone.")
    source: str | None = Field(
        default=None, description="Folder or bucket of sensors, schedules and jobs; TVDB_SOURCE."
    )
    _workers: WorkerPool | None = PrivateAttr(default=None)

    def with_workers(self, workers: WorkerPool | None) -> Self:
        """This resource, whose runs parse and chunk in workers that outlive them."""
        self._workers = workers
        return self

    def settings(self) -> Settings:
        """The settings of the environment, with the modes and the source of this resource."""
        given = {
            "service_mode": self.mode,
            "parser_mode": self.parser_mode,
            "embedder_mode": self.embedder_mode,
            "source": self.source,
        }
        return load_settings(**{name: value for name, value in given.items() if value is not None})

    def register_manual_partitions(self, partition_keys: Sequence[str]) -> None:
        """Register the documents of partitions that a person added to Dagster.

        Without a row, the run would skip them and succeed without a result. A key whose file does
        not exist is registered too: its document then fails with the reason.

        Raises:
            ConfigurationError: a setting is bad, or the source is not there.
            StorageError: the database can't be used.
        """
        settings = self.settings()
        with Database.open(settings) as database:
            source = Source.open(settings.source, settings.source_timeout_seconds)
            paths = [path_from_key(key) or key for key in partition_keys]
            if any(is_private(path) for path in paths):
                raise codes.PRIVATE_PARTITION.error()
            files = [_file(source, path) for path in paths]
            DocumentRegistry(database).register(source.root, files, run_id="")

    def unregistered(self, partition_keys: Sequence[str]) -> list[str]:
        """Those of ``partition_keys`` that no document has or had."""
        with Database.open(self.settings()) as database:
            return DocumentRegistry(database).unregistered(partition_keys)

    @contextmanager
    def mark_run_alive(self, run_id: str) -> Iterator[None]:
        """Signal to other processes that this run is active; see `DueDocuments.mark_run_alive`.

        Raises:
            ConfigurationError: a setting is bad.
            StorageError: the database can't be used.
        """
        with ExitStack() as stack:
            # The errors of the block are not of this method.
            with redacting_errors(run_id):
                database = stack.enter_context(Database.open(self.settings()))
                stack.enter_context(DueDocuments(database).mark_run_alive(run_id))
            yield

    @contextmanager
    def ingestion_run(self, run: Run, *, is_deferrable: bool = False) -> Iterator[IngestionRun]:
        """Open everything that a run needs to process documents; closes it at the end of the block.

        Args:
            run: the run.
            is_deferrable: whether its documents can wait for a batch job.

        Raises:
            ConfigurationError: a setting is bad, or the source is not there.
            StorageError: the database can't be used.
        """
        settings, run_id = self.settings(), run.run_id
        with (
            redacting_errors(run_id),
            Database.open(settings) as database,
            record_run(database, run),
            ServiceRouter(
                settings,
                services=RunServices(
                    settings, database=database, workers=self._workers, run_id=run_id
                ),
            ) as router,
            report_run(run, router),
        ):
            if router.clients.pays:
                # Reservations of processes that died are settled at the most they can have cost.
                ledger = router.services.ledger
                ledger.reconcile()
                repair_windows(database, ledger.now, run_id)
                # What batch jobs have done is published by this run, also without a daemon.
                asyncio.run(_advance_batches(router))
            chunker = Chunker(settings.chunk_tokens, settings.chunk_overlap_tokens)
            # If it can't be found out, the documents wait with the reason.
            with suppress(ServiceError):
                asyncio.run(_discover(router))
            pipeline_fingerprint = router.clients.pipeline_fingerprint(chunker)
            yield IngestionRun(
                store=DocumentStore(database, run_id, pipeline_fingerprint),
                index=IndexStore(database, run_id, pipeline_fingerprint),
                sources=lru_cache(
                    partial(Source.reopen, timeout_seconds=settings.source_timeout_seconds)
                ),
                router=router,
                chunker=chunker,
                max_document_bytes=settings.max_document_mib << 20,
                switches=settings.switch is SwitchMode.AUTO,
                is_deferrable=is_deferrable,
            )

    def forecast_cost(
        self, partition_keys: Sequence[str], *, is_deferrable: bool = False
    ) -> CostForecast | None:
        """The cost of documents if it exceeds the remaining budget, or None.

        Args:
            partition_keys: of the documents.
            is_deferrable: see `ingestion_run`.

        Raises:
            ConfigurationError: a setting is bad.
            StorageError: the database can't be used.
        """
        settings = self.settings()
        with (
            redacting_errors(),
            Database.open(settings) as database,
            ServiceRouter(settings, database=database) as router,
        ):
            if not router.clients.pays:
                return None
            chunker = Chunker(settings.chunk_tokens, settings.chunk_overlap_tokens)
            estimator = CostEstimator(
                store=DocumentStore(database, "forecast"),
                index=IndexStore(database, "forecast"),
                router=router,
                chunker=chunker,
                max_document_bytes=settings.max_document_mib << 20,
                is_deferrable=is_deferrable,
            )
            fingerprint, sources = (
                router.clients.pipeline_fingerprint(chunker),
                lru_cache(partial(Source.reopen, timeout_seconds=settings.source_timeout_seconds)),
            )
            return forecast_cost(router, estimator, partition_keys, fingerprint, sources)

    @contextmanager
    def budget_view(self) -> Iterator[BudgetView]:
        """The state of the budget, and the documents that wait for it.

        Raises:
            StorageError: the database can't be used.
        """
        settings = self.settings()
        with redacting_errors(), Database.open(settings) as database:
            if (trace := trace_of("")).is_on:
                ledger = Ledger(database, spend_limits_of(settings))
                publish_gauges(
                    trace, database, ledger, ServiceStates(database), paid_services(settings)
                )
            yield BudgetView(settings, database)

    def advance_batches(self) -> tuple[bool, list[dict[str, Any]]]:
        """Take each batch job of an embedder as far as it gets now.

        Returns:
            Whether another process does it right now, and the jobs that are not done, as of
            `BatchTexts.summary`.

        Raises:
            ConfigurationError: a setting is bad.
            StorageError: the database can't be used.
        """
        settings = self.settings()
        with redacting_errors(), Database.open(settings) as database:
            if not BatchTexts(database).is_needed():
                return False, []
            with ServiceRouter(settings, database=database) as router:
                is_done = asyncio.run(_advance_batches(router))
            return not is_done, BatchTexts(database).summary()

    async def health(self, run_id: str) -> list[ServiceHealth]:
        """The health of each service.

        Raises:
            StorageError: the database can't be used.
        """
        settings = self.settings()
        with redacting_errors(run_id), Database.open(settings) as database:
            async with ServiceRouter(settings, database=database, run_id=run_id) as router:
                return await router.health()


async def _discover(router: ServiceRouter) -> None:
    """Find out the length of the vectors of the run's embedder, which names its index."""
    try:
        await router.discover(router.clients.embedder)
    finally:
        await router.disconnect()


class BudgetView:
    """The state of the budget at one point in time, for sensors."""

    def __init__(self, settings: Settings, database: Database) -> None:
        """Reads the state of the budget."""
        self._settings = settings
        self._database = database
        self._registry = DocumentRegistry(database)
        self._ledger = Ledger(database, spend_limits_of(settings))
        limits = self._ledger.limits
        self.pace = budget_pace(database, self._ledger)
        self.limits = repr(limits)
        """All current limits as one string, to detect changes."""
        newest = changes(database, limit=1)
        self.changed_at = newest[0].changed_at if newest else self.pace.day

    def report_alerts(self, report: Callable[[Alert], None]) -> None:
        """Report each passed threshold that was not reported yet."""
        record_thresholds(self._database, self._ledger)
        report_alerts(self._database, self._ledger, report)

    def deliver_alerts(self) -> list[str]:
        """Post new alerts to the webhook of the settings; returns the failures."""
        url, secret = self._settings.alert_webhook_url, self._settings.alert_webhook_secret
        if url is None:
            return []
        key = secret.get_secret_value() if secret is not None else None
        return deliver_alerts(self._database, self._ledger, url.get_secret_value(), key)

    def due(
        self, changed: datetime, *, limit: int, excluding: Collection[str] = ()
    ) -> list[DueDocument]:
        """Deferred documents of the current source that can resume and have no requested run.

        Args:
            changed: when the current limits took effect.
            limit: maximum number of documents.
            excluding: partition keys of documents that are left out.
        """
        windows = BudgetWindows(self.pace.day, self.hour, changed, self.pace.now)
        # The current pipeline matters for other reasons only.
        return DueDocuments(self._database).find(
            "",
            windows,
            reasons=frozenset({Reason.DEFERRED}),
            source=source_root(self._settings.source),
            excluding=excluding,
            limit=limit,
        )

    @property
    def hour(self) -> datetime:
        """When the requests of the hour were renewed."""
        return self._ledger.requests_renewed_at(paid_services(self._settings))

    def report(self) -> CostReport:
        """The cost report."""
        return cost_report(self._database, self.pace.day)

    def waiting(self) -> int:
        """The number of deferred documents of the current source."""
        return self._registry.count_deferred(source=source_root(self._settings.source))


async def _advance_batches(router: ServiceRouter) -> bool:
    """Advance the batch jobs; False if another process does it right now."""
    if not await asyncio.to_thread(router.services.batch_texts.is_needed):
        return True
    try:
        return await router.batch_work.advance()
    finally:
        await router.disconnect()


def _file(source: Source, path: str) -> SourceFile:
    try:
        return source.stat(path)
    except SourceError as error:
        return SourceFile(path=path, size=0, etag=f"refused:{error.code}")
