"""The parts that a run composes: database, ledger, guard, workers, trace and concurrency.

What belongs here: creating each part at its first use, and closing it. What does not: the clients
(`service_clients`), and the choice of the client for each call (`service_router`).

A part exists from its first use until `RunServices.close`. A database or a worker pool that the
caller passed in belongs to the caller and stays open.
"""

from __future__ import annotations

import asyncio
from functools import cached_property

from tvdb_assets.correlation import current_run_id, new_run_id
from tvdb_assets.embedding.texts_at_risk import TextsAtRisk
from tvdb_assets.parsing.confinement import Confinement
from tvdb_assets.parsing.worker_pool import WorkerPool
from tvdb_assets.reporting.gauges import publish_gauges
from tvdb_assets.repositories.batch_texts import BatchTexts
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.embedding_batches import EmbeddingBatches
from tvdb_assets.repositories.parse_jobs import ParseJobs
from tvdb_assets.routing.paid_services import paid_services, spend_limits_of
from tvdb_assets.settings import Settings
from tvdb_assets.spend_guard.guard import CallObserver, Guard
from tvdb_assets.spend_guard.ledger import Clock, Ledger
from tvdb_assets.spend_guard.service_state_store import ServiceStates
from tvdb_assets.tracing import Trace, trace_of


class RunServices:
    """The parts of one run other than its clients. Each part is created at its first use."""

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database | None = None,
        workers: WorkerPool | None = None,
        run_id: str | None = None,
        clock: Clock | None = None,
        observer: CallObserver | None = None,
    ) -> None:
        """Nothing is opened or started yet.

        Args:
            settings: the limits, and the sizes of the parts.
            database: contains the ledger and the limits; None opens the one of the settings at
                its first use.
            workers: the processes that parse and chunk; None starts them at their first use.
            run_id: the id on every row and request; None uses the current id or a new one.
            clock: the time of budgets, limits and breakers; None uses the database's clock.
            observer: is notified of each point that a paid call reaches.
        """
        self._settings = settings
        self._given_database = database
        self._given_workers = workers
        self._clock = clock
        self._observer = observer
        self.run_id = run_id or current_run_id() or new_run_id()

    def for_run(self, run_id: str) -> RunServices:
        """The parts for another run: the same database, workers, clock and concurrency."""
        services = RunServices(
            self._settings,
            database=self.database,
            workers=self._given_workers,
            run_id=run_id,
            clock=self._clock,
            observer=self._observer,
        )
        services.__dict__["concurrency"] = self.concurrency
        services.__dict__["texts_at_risk"] = self.texts_at_risk
        return services

    def for_one_attempt(self, run_id: str, seconds: float) -> RunServices:
        """As `for_run`, but each call is sent once, and waits for a limit no longer than given."""
        services = self.for_run(run_id)
        services._settings = self._settings.model_copy(
            update={
                "paid_attempts": 1,
                "paid_max_wait_seconds": min(seconds, self._settings.paid_max_wait_seconds),
            }
        )
        return services

    @cached_property
    def batches(self) -> EmbeddingBatches:
        """The batch jobs of paid embedders."""
        return EmbeddingBatches(self.database, self._clock)

    @cached_property
    def batch_texts(self) -> BatchTexts:
        """The texts that are put into batch jobs."""
        return BatchTexts(self.database, self._clock)

    @cached_property
    def database(self) -> Database:
        """The database of the ledger and the limits.

        Raises:
            StorageError: the database can't be used, so no paid call is possible.
        """
        if self._given_database is not None:
            return self._given_database
        return Database.open(self._settings)

    @cached_property
    def workers(self) -> WorkerPool:
        """The processes that parse and chunk."""
        if self._given_workers is not None:
            return self._given_workers
        return WorkerPool.of(self._settings)

    def confinement(self) -> Confinement | None:
        """The protections of the workers that this run used; None if it used none."""
        return self.workers.observed_confinement if "workers" in self.__dict__ else None

    @cached_property
    def ledger(self) -> Ledger:
        """The cost ledger, with the limits of the settings."""
        return Ledger(self.database, spend_limits_of(self._settings), self._clock)

    @cached_property
    def states(self) -> ServiceStates:
        """The state of each paid service, shared by all processes."""
        return ServiceStates(self.database, self._clock)

    @cached_property
    def guard(self) -> Guard:
        """The spend guard that every paid call passes."""
        s = self._settings
        return Guard(
            self.database,
            self.ledger,
            self.states,
            run_id=self.run_id,
            attempts=s.paid_attempts,
            max_wait_seconds=s.paid_max_wait_seconds,
            request_seconds=s.paid_timeout_seconds,
            observer=self._observer,
            trace=self.trace,
        )

    @cached_property
    def jobs(self) -> ParseJobs:
        """The record of the parsing jobs that were submitted."""
        return ParseJobs(self.database, self.run_id, self._clock)

    @cached_property
    def trace(self) -> Trace:
        """The trace of this run; it does nothing unless ``OTEL_`` variables turn it on."""
        return trace_of(self.run_id)

    @cached_property
    def concurrency(self) -> asyncio.Semaphore:
        """Limits the number of paid requests in flight in this process."""
        return asyncio.Semaphore(self._settings.paid_concurrency)

    @cached_property
    def texts_at_risk(self) -> TextsAtRisk:
        """Limits the number of texts that are sent and not stored in this process."""
        return TextsAtRisk()

    def publish_gauges(self) -> None:
        """Set the metrics of budget, queue and breakers, if tracing is on."""
        if self.trace.is_on:
            publish_gauges(
                self.trace, self.database, self.ledger, self.states, paid_services(self._settings)
            )

    def close(self) -> None:
        """Close the parts that were created here; a given database or worker pool stays open."""
        created = self.__dict__
        if "trace" in created:
            self.trace.flush()
        if "workers" in created and self._given_workers is None:
            self.workers.close()
        if "database" in created and self._given_database is None:
            self.database.close()
