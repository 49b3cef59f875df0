"""What the steps of a batch job share.

What belongs here: the parts that each step uses. What does not: the steps (`batch_submission`,
`batch_jobs`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from tvdb_assets.embedding.batch_service import BatchService
from tvdb_assets.models import Provenance, Stage
from tvdb_assets.repositories.batch_rows import BatchJob
from tvdb_assets.repositories.embedding_batches import EmbeddingBatches
from tvdb_assets.repositories.index_store import IndexStore
from tvdb_assets.spend_guard.guard import FreeRequest, Guard

Reached: TypeAlias = Callable[[str], None]
"""Notified of each step; for tests that end a process there."""
STEPS = ("uploaded", "file_recorded", "looked_for", "reported", "downloaded", "stored", "discarded")
STAGE = Stage.EMBEDDINGS.value
WINDOW_HOURS = 26
"""After this time, a job is cancelled that should have ended after 24 hours."""


@dataclass(frozen=True, slots=True)
class BatchParts:
    """The parts of the steps of one job, whose requests have the id of the run that began it."""

    guard: Guard
    """Reserves, sends and posts each request; it makes one attempt."""
    service: BatchService
    store: EmbeddingBatches
    index: IndexStore
    """Stores the vectors."""
    produced_by: Provenance
    """Recorded with each vector."""
    reached: Reached = lambda _: None

    def free_request(self, operation: str, leads_to_usd: Decimal | None = None) -> FreeRequest:
        """A request that costs nothing; see `FreeRequest`."""
        return FreeRequest(
            self.service.service,
            operation,
            self.service.account,
            stage=STAGE,
            leads_to_usd=leads_to_usd,
            shows_health=False,
        )

    async def submit_again(self, job: BatchJob) -> None:
        """Have a job submitted again, of whose last submission nothing is billed."""
        await asyncio.to_thread(self.index.run, lambda tx: self.store.return_to_ready(tx, job))
