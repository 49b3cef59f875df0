"""Advancing all batch jobs of a database, by one process at a time.

What belongs here: which jobs are advanced, with which client, and for how long. What does not: the
steps of one job (`embedding.batch_jobs`), or when they are advanced (`dagster`, `ingestion`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

from tvdb_assets import error_codes as codes
from tvdb_assets.embedding.batch_jobs import BatchJobs
from tvdb_assets.embedding.batch_parts import BatchParts, Reached
from tvdb_assets.repositories import locks
from tvdb_assets.repositories.batch_rows import BatchJob
from tvdb_assets.repositories.index_store import IndexStore
from tvdb_assets.routing.run_services import RunServices
from tvdb_assets.routing.service_clients import ServiceClients
from tvdb_assets.settings import BatchMode, Settings

ABANDONED_AFTER = timedelta(minutes=10)
"""A job that no text was put into for so long is submitted, whatever became of its run."""
SECONDS = 15.0
"""Time after which no step of a job is begun. Dagster ends a tick of a sensor after 60 seconds."""
_LIMIT_SECONDS = 5.0
"""Longest wait for a limit of the service; the next call continues."""


class BatchWork:
    """Advances the jobs of the database of a run's services."""

    def __init__(
        self,
        settings: Settings,
        services: RunServices,
        clients: ServiceClients,
        *,
        reached: Reached = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is read yet.

        Args:
            settings: whether jobs are submitted.
            services: the database and the limits.
            clients: the clients, which the caller closes.
            reached: notified of each step of a job.
            clock: of the time limit.
        """
        self._settings = settings
        self._services = services
        self._clients = clients
        self._reached = reached
        self._clock = clock

    async def advance(self, run_id: str | None = None, *, seconds: float = SECONDS) -> bool:
        """Take each job as far as it gets now.

        Args:
            run_id: only the jobs that this run collected, which has ended; None means all.
            seconds: after which no step is begun.

        Returns:
            False if another process is advancing them right now.
        """
        session = self._services.database.session()
        connection = await asyncio.to_thread(session.__enter__)
        try:
            if not await asyncio.to_thread(locks.try_acquire, connection, locks.BATCHES.key()):
                return False
            try:
                await self._advance(run_id, self._clock() + seconds)
            finally:
                await asyncio.to_thread(locks.release, connection, [locks.BATCHES.key()])
        finally:
            await asyncio.to_thread(session.__exit__, None, None, None)
        return True

    async def _advance(self, run_id: str | None, end: float) -> None:
        texts = self._services.batch_texts
        if run_id is not None:
            await asyncio.to_thread(texts.seal, run_id)
        else:
            await asyncio.to_thread(lambda: texts.seal(unchanged_for=ABANDONED_AFTER))
        for job in await asyncio.to_thread(self._services.batches.open_jobs):
            if self._clock() >= end:
                break
            if run_id in (None, job.run_id):
                await asyncio.to_thread(self._services.batches.touch, job)
                await self._advance_one(job)
        if run_id is None:
            await asyncio.to_thread(texts.end_waits)

    async def _advance_one(self, job: BatchJob) -> None:
        embedder = self._clients.batch_embedder_in(job.space)
        service = embedder.batches if embedder is not None else None
        if embedder is None or service is None:
            missing = codes.BATCH_KEY_MISSING.error(service=job.service, model=job.model)
            note = {"waits_for": missing.code, "waits_message": missing.message}
            await asyncio.to_thread(self._services.batches.note, job, **note)
            return
        services = self._services.for_one_attempt(job.run_id, _LIMIT_SECONDS)
        parts = BatchParts(
            services.guard,
            service,
            self._services.batches,
            IndexStore(self._services.database, job.run_id),
            embedder.produced_by,
            self._reached,
        )
        if job.state == "ready" and self._settings.batch is BatchMode.NEVER:
            # It was not paid for.
            await BatchJobs(parts).release(job)
        else:
            await BatchJobs(parts).advance(job, may_submit=self._clients.pays_for_embedding)
