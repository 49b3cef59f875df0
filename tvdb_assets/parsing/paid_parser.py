"""The interface of parsers that cost money, which only the guard can call.

What belongs here: the interface, the end of a job, and what a provider declares. What does not:
any service (`providers`), the choice of one (`registry`), or the parsers on this machine
(`formats`), which cost nothing.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, TypeAlias, final
from uuid import UUID

import httpx2

from tvdb_assets.errors import ParseError
from tvdb_assets.models import ParsedDocument
from tvdb_assets.settings import Settings
from tvdb_assets.spend_guard.guard import ServiceResponse
from tvdb_assets.spend_guard.http_failures import bad_answer
from tvdb_assets.spend_guard.paid_service import PaidService, RequestPermit
from tvdb_assets.spend_guard.provider_registry import no_daily_limit

_JOB_ID = re.compile(r"[!-~]{1,200}")
"""Ids that can be stored in an index and be a part of an address."""
_UNUSABLE_ID = "the id of its job is too long, or contains other characters than those of ids"
Transport: TypeAlias = httpx2.AsyncBaseTransport | None
"""Under an HTTP client, for tests; None is the network."""


@dataclass(frozen=True, slots=True)
class FinishedJob:
    """A job that has ended: with a text, or with the reason why there is none."""

    parsed: ParsedDocument | None
    error: ParseError | None
    cost_usd: Decimal | None = None
    """US dollars that were billed; None until the service has recorded it."""
    is_lost: bool = False
    """The service does not know the job any more, or not with this key."""


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of a service's list of jobs."""

    jobs: Mapping[UUID, str]
    """Job ids, by the ledger entry of their submission; without those of others."""
    next_page: str | None = None
    """To be passed on for the next page; None if this is the last one."""


class PaidParser(PaidService):
    """Parses documents by jobs of a paid service: each is submitted once and then polled.

    Derive from it, implement `_submit`, `_fetch` and `_probe`, and declare a `ParsingProvider`. A
    service that uploads documents first has other methods, see `uploads_first`. The price is that
    of a page.
    """

    _needs_permit: ClassVar[frozenset[str]] = frozenset(
        {"upload", "submit", "submit_uploaded", "fetch", "list_jobs"}
    )
    uploads_first: ClassVar[bool] = False
    """Whether a document is uploaded by a free request, and then submitted by the id of its file.
    Then `_upload` and `_submit_uploaded` are implemented instead of `_submit`."""

    media_types: frozenset[str]
    """Which documents it is asked to parse; the others are parsed on this machine."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Changes whenever the same bytes may give another text. It is stored with each text, so
        that a change has all documents parsed, and paid for, again.
        """

    @final
    async def submit(
        self, data: bytes, path: str, pages: int, permit: RequestPermit
    ) -> ServiceResponse[str]:
        """Submit a document; the response is the job's id.

        Args:
            data: the file.
            path: its name.
            pages: most that may be parsed, and billed.
            permit: of the guard, for this one request.

        Raises:
            CallFailed: with its meaning for money, retry and the service's health.
            ConfigurationError: the permit is not the guard's, or was used.
        """
        name = self._permitted(permit, is_paid=True)
        return self._named(await self._submit(data, path, pages, name))

    @final
    async def upload(self, data: bytes, path: str, permit: RequestPermit) -> ServiceResponse[str]:
        """Upload a document, which is free; the response is the id of its file.

        Args:
            data: the file.
            path: its name.
            permit: of the guard, for this one request.

        Raises:
            CallFailed: with its meaning.
            ConfigurationError: the permit is not the guard's, or was used.
        """
        return await self._upload(data, path, self._permitted(permit, is_paid=False))

    @final
    async def submit_uploaded(
        self, file_id: str, pages: int, permit: RequestPermit
    ) -> ServiceResponse[str]:
        """Submit a document that was uploaded; otherwise as `submit`."""
        name = self._permitted(permit, is_paid=True)
        return self._named(await self._submit_uploaded(file_id, pages, name))

    @final
    async def fetch(
        self, job_id: str, media_type: str, permit: RequestPermit
    ) -> ServiceResponse[FinishedJob | None]:
        """Poll a job, which is free; the response is None while it is waiting or running.

        Raises:
            CallFailed: with its meaning; an unknown state is an answer that can't be used.
            ConfigurationError: the permit is not the guard's, or was used.
        """
        return await self._fetch(job_id, media_type, self._permitted(permit, is_paid=False))

    @final
    async def list_jobs(
        self, sent_after: datetime, sent_before: datetime, page: str | None, permit: RequestPermit
    ) -> ServiceResponse[JobPage]:
        """A page of the jobs that were created in this time, which is free.

        Args:
            sent_after: by the clock of the ledger.
            sent_before: by the clock of the ledger.
            page: None for the first one.
            permit: of the guard, for this one request.

        Raises:
            CallFailed: with its meaning; without a list, nobody knows what was submitted.
            ConfigurationError: the permit is not the guard's, or was used.
        """
        name = self._permitted(permit, is_paid=False)
        listed = await self._list_jobs(sent_after, sent_before, page, name)
        if not all(map(_JOB_ID.fullmatch, listed.value.jobs.values())):
            raise bad_answer(self.service, _UNUSABLE_ID, 200, listed.request_id)
        return listed

    def _named(self, submitted: ServiceResponse[str]) -> ServiceResponse[str]:
        if not _JOB_ID.fullmatch(submitted.value):
            raise bad_answer(self.service, _UNUSABLE_ID, 200, submitted.request_id)
        return submitted

    async def _list_jobs(
        self, sent_after: datetime, sent_before: datetime, page: str | None, request_id: str
    ) -> ServiceResponse[JobPage]:
        """Implement it if the service has a list that tells the entry of each submission.

        Without it, a submission whose answer was lost is submitted again.
        """
        return ServiceResponse(JobPage({}))

    async def _submit(
        self, data: bytes, path: str, pages: int, request_id: str
    ) -> ServiceResponse[str]:
        raise NotImplementedError

    async def _upload(self, data: bytes, path: str, request_id: str) -> ServiceResponse[str]:
        raise NotImplementedError

    async def _submit_uploaded(
        self, file_id: str, pages: int, request_id: str
    ) -> ServiceResponse[str]:
        raise NotImplementedError

    @abstractmethod
    async def _fetch(
        self, job_id: str, media_type: str, request_id: str
    ) -> ServiceResponse[FinishedJob | None]: ...


@dataclass(frozen=True, slots=True)
class ParsingProvider:
    """What a module in `providers` declares, once for each service that it speaks to."""

    name: str
    """In settings and in the ledger."""
    make: Callable[[Settings, Transport], PaidParser]
    """The parser of the settings; opens nothing.

    Raises:
        ConfigurationError: a key is missing, or a tier or its price is not known.
    """
    is_paid: bool = True
    is_preset: bool = False
    daily_limit: Callable[[Settings], Decimal | None] = no_daily_limit
