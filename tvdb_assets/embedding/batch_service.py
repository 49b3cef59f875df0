"""The interface of services that embed many texts within a day, for a part of the price.

What belongs here: the requests of such a service, each of which passes the guard, and the values
that they return. What does not: a single service (`providers`), or the life of a job
(`batch_jobs`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from tvdb_assets.spend_guard.guard import ServiceResponse
from tvdb_assets.spend_guard.paid_service import PaidService, RequestPermit
from tvdb_assets.spend_guard.prices import Price


class BatchPhase(StrEnum):
    """What the state of a job at its service means."""

    RUNNING = "running"
    ENDED = "ended"
    """It has results, perhaps not of all texts. It was completed, expired or cancelled."""
    INVALID = "invalid"
    """It was refused as a whole, and nothing of it was done or billed."""


@dataclass(frozen=True, slots=True)
class BatchProblem:
    """Why a service refused a job as a whole."""

    is_queue_full: bool = False
    """The account has too many tokens in the queue; the same job may be accepted later."""
    line: int | None = None
    """1-based line of the file, if one is the reason."""


@dataclass(frozen=True, slots=True)
class BatchReport:
    """A job as its service reports it."""

    batch_id: str
    phase: BatchPhase
    status: str
    """The service's own word."""
    created_at: datetime
    job_id: UUID | None = None
    """Ours, from the metadata; None if this package did not submit it."""
    entry_id: UUID | None = None
    """Of the ledger, from the metadata."""
    completed: int | None = None
    """Texts that are done, and billed; None if it does not say."""
    billed_tokens: int | None = None
    """Of the whole job; None if it does not say."""
    result_files: tuple[str, ...] = ()
    """Ids of the files with vectors and with errors."""
    problems: tuple[BatchProblem, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchPage:
    """A page of the list of jobs, the newest first."""

    reports: Sequence[BatchReport]
    next_page: str | None = None


@dataclass(slots=True)
class BatchResults:
    """What the files of a job that has ended contain, by sha256 of the text."""

    vectors: dict[bytes, NDArray[np.float32]] = field(default_factory=dict)
    tokens: dict[bytes, int | None] = field(default_factory=dict)
    """Of each text that was done; None where its line does not say."""
    refused: set[bytes] = field(default_factory=set)
    """Not done, and not because of the time."""
    expired: set[bytes] = field(default_factory=set)
    """Not done in time, or cancelled."""
    is_cut: bool = False
    """A line is incomplete, so the file may be."""


class BatchService(PaidService):
    """Embeds the texts of a file within a day, in the vector space of an embedder.

    Only the submission of a job is paid: its price is that of a token.
    """

    _needs_permit: ClassVar[frozenset[str]] = frozenset(
        {"upload", "submit", "report", "list_reports", "cancel", "download", "discard"}
    )

    is_offered: bool
    """Whether the service is known to have batch jobs."""
    is_count_exact: bool
    is_bill_exact: bool
    """Both as of `PaidEmbedder`."""
    max_texts: int
    """Most texts in a job."""
    max_bytes: int
    """Most bytes of a file."""
    max_tokens: int | None
    """Most cl100k tokens that a text may have."""

    @property
    @abstractmethod
    def request_fingerprint(self) -> str:
        """As of `PaidEmbedder`."""

    @property
    @abstractmethod
    def standard_price(self) -> Price:
        """Of a token that is embedded at once."""

    @abstractmethod
    def encode(self, texts: Mapping[bytes, str]) -> bytes:
        """The file of a job: one line for each text, in their order."""

    @abstractmethod
    def decode(self, files: Sequence[bytes], known: Collection[bytes]) -> BatchResults:
        """Read the files of a job that has ended, in any order.

        Args:
            files: as downloaded.
            known: sha256 of the texts of the job; lines of others are ignored, as are further lines
                of the same text.
        """

    @final
    async def upload(self, name: str, data: bytes, permit: RequestPermit) -> ServiceResponse[str]:
        """Upload the file of a job, which is free; the response is its id.

        Raises:
            CallFailed: with its meaning, as of all requests here.
            ConfigurationError: the permit is not the guard's, or was used; as of all requests here.
        """
        return await self._upload(name, data, self._permitted(permit, is_paid=False))

    @final
    async def submit(
        self, file_id: str, metadata: Mapping[str, str], permit: RequestPermit
    ) -> ServiceResponse[str]:
        """Submit a job, which is paid for; the response is its id at the service.

        Args:
            file_id: of its file.
            metadata: that the service repeats in its reports: see `batch_metadata`.
            permit: of the guard, for this one request.
        """
        return await self._submit(file_id, metadata, self._permitted(permit, is_paid=True))

    @final
    async def report(self, batch_id: str, permit: RequestPermit) -> ServiceResponse[BatchReport]:
        """The state of a job, which is free."""
        return await self._report(batch_id, self._permitted(permit, is_paid=False))

    @final
    async def list_reports(
        self, page: str | None, permit: RequestPermit
    ) -> ServiceResponse[BatchPage]:
        """A page of the list of jobs, the newest first, which is free; None for the first page."""
        return await self._list_reports(page, self._permitted(permit, is_paid=False))

    @final
    async def cancel(self, batch_id: str, permit: RequestPermit) -> ServiceResponse[BatchReport]:
        """Cancel a job, which is free. What is done by then is billed, and has results."""
        return await self._cancel(batch_id, self._permitted(permit, is_paid=False))

    @final
    async def download(self, file_id: str, permit: RequestPermit) -> ServiceResponse[bytes]:
        """The content of a file, which is free."""
        return await self._download(file_id, self._permitted(permit, is_paid=False))

    @final
    async def discard(self, file_id: str, permit: RequestPermit) -> ServiceResponse[None]:
        """Delete a file at the service, which is free."""
        return await self._discard(file_id, self._permitted(permit, is_paid=False))

    @abstractmethod
    async def _upload(self, name: str, data: bytes, request_id: str) -> ServiceResponse[str]: ...

    @abstractmethod
    async def _submit(
        self, file_id: str, metadata: Mapping[str, str], request_id: str
    ) -> ServiceResponse[str]: ...

    @abstractmethod
    async def _report(self, batch_id: str, request_id: str) -> ServiceResponse[BatchReport]: ...

    @abstractmethod
    async def _list_reports(
        self, page: str | None, request_id: str
    ) -> ServiceResponse[BatchPage]: ...

    @abstractmethod
    async def _cancel(self, batch_id: str, request_id: str) -> ServiceResponse[BatchReport]: ...

    @abstractmethod
    async def _download(self, file_id: str, request_id: str) -> ServiceResponse[bytes]: ...

    @abstractmethod
    async def _discard(self, file_id: str, request_id: str) -> ServiceResponse[None]: ...


_JOB, _ENTRY, _RUN = "tvdb_job", "tvdb_entry", "tvdb_run"


def batch_metadata(job_id: UUID, entry_id: UUID, run_id: str) -> dict[str, str]:
    """What a job carries at its service, so that it is found if its answer is lost."""
    return {_JOB: str(job_id), _ENTRY: str(entry_id), _RUN: run_id[:512]}


def ids_in(metadata: object) -> tuple[UUID | None, UUID | None]:
    """Our ids of a job and of its ledger entry; None where there is none."""
    given = metadata if isinstance(metadata, Mapping) else {}
    return _uuid(given.get(_JOB)), _uuid(given.get(_ENTRY))


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
