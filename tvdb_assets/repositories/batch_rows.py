"""Batch jobs and their texts, as they are read from the database.

What belongs here: values. What does not: the statements that read them (`embedding_batches`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from tvdb_assets.models import VectorSpace


@dataclass(frozen=True, slots=True)
class BatchJob:
    """A job that is not done."""

    job_id: UUID
    service: str
    account: str
    space_id: int
    run_id: str
    holder: int
    state: str
    """``ready``, ``submitting`` or ``submitted``."""
    texts: int
    file_id: str | None
    entry_id: UUID | None
    batch_id: str | None
    listed_at: datetime | None
    status: str | None
    is_cancelled: bool
    failures: int
    not_before: datetime | None
    submitted_at: datetime | None
    provider: str
    model: str
    dimensions: int
    version: str
    reserved_usd: Decimal | None
    entry_state: str | None
    """Of the ledger entry."""
    entry_ended_at: datetime | None
    """When the request of the last submission had certainly ended."""
    is_in_flight: bool
    """A process still waits for the answer to the submission."""
    now: datetime
    """By the clock of the ledger."""

    @property
    def space(self) -> VectorSpace:
        """Of its vectors."""
        return VectorSpace(self.provider, self.model, self.dimensions, self.version)


@dataclass(frozen=True, slots=True)
class BatchText:
    """A text of a job, and the documents that have it."""

    sha256: bytes
    tokens: int
    most: int | None
    text: str | None
    """None if no document has it any more."""
    document: str | None
