"""A document through a paid parser: submitted once, awaited, paid when it is done.

What belongs here: a submitted job is polled again after a crash, and never submitted twice. What
does not: a single request (`providers`), money and limits (`spend_guard`).

A document whose submission got no answer may have a job all the same. Before it is submitted again,
by this process or another one, the job is looked for in the service's list. If the list can't be
read, the document waits, for `REUSE_JOBS_FOR` at most; its ledger entry counts as spent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from mimetypes import guess_extension
from typing import TypeAlias
from uuid import UUID

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import ParseError, StorageError
from tvdb_assets.models import ParsedDocument, Stage
from tvdb_assets.parsing.paid_parser import FinishedJob, PaidParser
from tvdb_assets.redaction import display_path, is_private
from tvdb_assets.repositories import locks
from tvdb_assets.repositories.leases import ensure_claimed
from tvdb_assets.repositories.parse_jobs import ParseJobs, UnansweredSubmission
from tvdb_assets.spend_guard.call_log import ServiceEvent
from tvdb_assets.spend_guard.guard import FreeRequest, Guard, PaidCall, ServiceResponse, Transaction
from tvdb_assets.spend_guard.ledger import Reservation
from tvdb_assets.spend_guard.paid_service import RequestPermit, ensure_declared

PersistText: TypeAlias = Callable[[Transaction, ParsedDocument], ParseError | None]
"""Stores a text in the transaction that posts its cost."""
_FIRST_POLL_SECONDS = 0.5
_LONGEST_POLL_SECONDS = 5.0
_LOCK_POLL_SECONDS = 0.25
_LIST_DELAY_SECONDS = 3.0
"""Until a job that is not in the list is looked for once more: the request may have arrived a
moment before the connection broke, and a list may be read from a replica."""
_MOST_LIST_PAGES = 1_000
"""100,000 jobs in a few minutes; a list that is longer has no end."""
_STAGE = Stage.PARSED_DOCUMENTS.value


@dataclass(frozen=True, slots=True)
class SubmittedJob:
    """A submission that is recorded."""

    job_id: str
    reservation: Reservation


class PaidParsing:
    """Parses documents by a paid parser."""

    def __init__(
        self, guard: Guard, parser: PaidParser, jobs: ParseJobs, *, deadline_seconds: float
    ) -> None:
        """Nothing is sent yet.

        Args:
            guard: reserves, sends and posts each request.
            parser: the paid service.
            jobs: the record of submissions.
            deadline_seconds: the longest wait for one job.

        Raises:
            ConfigurationError: the parser is no `PaidParser`, so that it would pass no guard.
        """
        ensure_declared(parser, PaidParser)
        self._guard = guard
        self._parser = parser
        self._jobs = jobs
        self._deadline = deadline_seconds

    async def parse(
        self,
        data: bytes,
        path: str,
        media_type: str,
        most_pages: int,
        *,
        persist: PersistText | None,
        wait_if_open: bool,
    ) -> ParsedDocument:
        """Submit, or find an earlier submission, and wait for the text.

        Args:
            data: the file.
            path: its name.
            media_type: as sniffed.
            most_pages: the number that is reserved, and the most that the service may parse.
            persist: stores the text in the transaction that posts its cost; returns why it is no
                usable one.
            wait_if_open: False halts at once where the breaker is open.

        Raises:
            ParseError: the service gave no usable text of it, or not in time.
            ServiceError: as of `Guard.call`.
        """
        digest = sha256(data).digest()
        unusable = await asyncio.to_thread(
            self._jobs.find_unusable, self._parser.service, digest, self._parser.fingerprint
        )
        if unusable is not None:
            raise unusable
        job = await self._find_submitted(digest, path) or await self._submit_once(
            data, path, media_type, most_pages, digest, wait_if_open
        )
        finished = await self._poll_until_done(job, path, media_type, wait_if_open)
        # A text that may be cut is paid for, but neither stored nor returned.
        is_guess = media_type != "application/pdf" and most_pages > 1
        pages = 0 if finished.parsed is None else len(finished.parsed.page_starts)
        if is_guess and pages >= most_pages:
            finished = replace(finished, parsed=None, error=_too_many_pages(most_pages))
        await self._settle(job, finished, persist)
        if finished.error is not None:
            raise finished.error
        assert finished.parsed is not None
        return finished.parsed

    async def _find_submitted(self, digest: bytes, path: str) -> SubmittedJob | None:
        parser = self._parser
        known = await asyncio.to_thread(self._jobs.find, parser.service, digest, parser.fingerprint)
        if known is None:
            return None
        job_id, entry_id, amount, run_id = known
        await self._guard.event_log.record(
            ServiceEvent.JOB_RESUMED,
            parser.service,
            f"Polls the job {job_id}, which the run {run_id} submitted and pays.",
            document=display_path(path),
            part=entry_id,
        )
        return SubmittedJob(job_id, Reservation(entry_id, amount))

    async def _submit_once(
        self,
        data: bytes,
        path: str,
        media_type: str,
        pages: int,
        digest: bytes,
        wait_if_open: bool,
    ) -> SubmittedJob:
        """Submit, unless another document or process is submitting the same bytes."""
        lock = self._jobs.submission_lock(digest, self._parser.fingerprint)
        try_lock = await asyncio.to_thread(lock.__enter__)
        try:
            while True:
                while not await asyncio.to_thread(try_lock):
                    await asyncio.sleep(_LOCK_POLL_SECONDS)
                # A process that lost its connection, and with it the lock, may be submitting.
                while any(sent.is_in_flight for sent in await self._unanswered(digest)):
                    await asyncio.sleep(_LOCK_POLL_SECONDS)
                looked_for: set[UUID] = set()
                job = await self._find_submitted(digest, path) or await self._find_unanswered(
                    digest, path, wait_if_open, looked_for
                )
                if job is not None:
                    return job
                try:
                    return await self._submit(
                        data, path, media_type, pages, digest, wait_if_open, looked_for
                    )
                except StorageError as error:
                    # This process lost the lock, or was stopped: another one may have submitted.
                    if error.code != codes.CLAIM_LOST.code:
                        raise
        finally:
            await asyncio.to_thread(lock.__exit__, None, None, None)

    async def _unanswered(self, digest: bytes) -> list[UnansweredSubmission]:
        parser = self._parser
        return await asyncio.to_thread(
            self._jobs.unanswered, parser.service, parser.account, digest, parser.fingerprint
        )

    async def _find_unanswered(
        self, digest: bytes, path: str, wait_if_open: bool, looked_for: set[UUID]
    ) -> SubmittedJob | None:
        """Find the job of an earlier submission in the list of the service.

        Returns:
            None if there is no such submission, or none that became a job; then the entries of
            all of them are in ``looked_for``.

        Raises:
            ServiceError: the list can't be read, so it is not known.
        """
        sent = await self._unanswered(digest)
        if not sent:
            return None
        job = await self._find_listed(sent, digest, path, wait_if_open)
        if job is None:
            await asyncio.sleep(_LIST_DELAY_SECONDS)
            job = await self._find_listed(sent, digest, path, wait_if_open)
        looked_for.update(one.entry_id for one in sent)
        return job

    async def _find_listed(
        self, sent: Sequence[UnansweredSubmission], digest: bytes, path: str, wait_if_open: bool
    ) -> SubmittedJob | None:
        parser = self._parser
        free_request = FreeRequest(
            parser.service,
            "list",
            parser.account,
            display_path(path),
            _STAGE,
            shows_health=False,
        )
        sent_after = min(one.sent_after for one in sent)
        sent_before = max(one.sent_before for one in sent)
        by_entry = {one.entry_id: one for one in sent}
        page: str | None = None
        for _ in range(_MOST_LIST_PAGES):
            listed = await self._guard.ask(
                free_request,
                partial(parser.list_jobs, sent_after, sent_before, page),
                wait_if_open=wait_if_open,
            )
            for entry_id in by_entry.keys() & listed.jobs.keys():
                job_id, one = listed.jobs[entry_id], by_entry[entry_id]
                reservation = Reservation(entry_id, one.reserved_usd)
                return await self._adopt(job_id, reservation, digest, path)
            page = listed.next_page
            if page is None:
                return None
        raise codes.JOB_LIST_UNUSABLE.error(
            service=parser.service, why=f"it has more than {_MOST_LIST_PAGES} pages"
        )

    async def _adopt(
        self, job_id: str, reservation: Reservation, digest: bytes, path: str
    ) -> SubmittedJob:
        """Record a job whose submission got no answer, as its answer would have been."""
        parser, ledger = self._parser, self._guard.ledger

        def write(tx: Transaction) -> None:
            self._jobs.add(
                tx, parser.service, job_id, reservation.entry_id, digest, parser.fingerprint
            )
            ledger.extend(tx, reservation, job_id, None)

        def is_committed(tx: Transaction) -> bool:
            entry = ledger.lock_entry(tx, reservation.entry_id)
            return entry is not None and entry[2] == job_id

        await self._guard.settlement.commit(parser.service, write, is_committed)
        await self._guard.event_log.record(
            ServiceEvent.JOB_RESUMED,
            parser.service,
            f"Polls the job {job_id}, which was found in the list of the service: the answer to "
            "its submission was lost.",
            document=display_path(path),
            part=reservation.entry_id,
        )
        return SubmittedJob(job_id, reservation)

    async def _submit(
        self,
        data: bytes,
        path: str,
        media_type: str,
        pages: int,
        digest: bytes,
        wait_if_open: bool,
        looked_for: set[UUID],
    ) -> SubmittedJob:
        parser = self._parser
        # The service takes the format from the name. A private name is replaced.
        name = f"document{guess_extension(media_type) or ''}" if is_private(path) else path
        submitted: list[SubmittedJob] = []
        file_id: str | None = None
        if parser.uploads_first:
            file_id = await self._guard.ask(
                FreeRequest(
                    parser.service,
                    "upload",
                    parser.account,
                    display_path(path),
                    _STAGE,
                    leads_to_usd=parser.price.of(pages),
                    shows_health=False,
                ),
                partial(parser.upload, data, name),
                wait_if_open=wait_if_open,
            )

        async def send(permit: RequestPermit) -> ServiceResponse[str]:
            if file_id is not None:
                return await parser.submit_uploaded(file_id, pages, permit)
            return await parser.submit(data, name, pages, permit)

        def persist(tx: Transaction, reservation: Reservation, job_id: str) -> None:
            # The reservation stays: the job is billed when it is done, whichever run awaits it.
            job = SubmittedJob(job_id, reservation)
            self._jobs.add(
                tx, parser.service, job_id, reservation.entry_id, digest, parser.fingerprint
            )
            submitted.append(job)

        holder = locks.new_claim_key()

        def write_intent(tx: Transaction, reservation: Reservation) -> None:
            self._jobs.add_submission(
                tx,
                parser.service,
                parser.account,
                reservation.entry_id,
                digest,
                parser.fingerprint,
                holder,
                looked_for,
            )

        async def recover() -> str | None:
            job = await self._find_unanswered(digest, path, wait_if_open, looked_for)
            if job is None:
                return None
            submitted.append(job)
            return job.job_id

        call = PaidCall(
            service=parser.service,
            operation="parse",
            model=parser.model,
            account=parser.account,
            price=parser.price,
            quantity=pages,
            inputs=1,
            documents=[display_path(path)],
            quantities=[pages],
            stage=_STAGE,
        )
        try:
            await self._guard.call(
                call,
                send,
                persist,
                wait_if_open=wait_if_open,
                check_claim=partial(ensure_claimed, holder=holder),
                write_intent=write_intent,
                recover=recover,
            )
        finally:
            await asyncio.to_thread(self._jobs.end_claim, holder)
        if not submitted:
            # Another process found the job in the list of the service, and recorded it, before this
            # one could.
            found = await self._find_submitted(digest, path)
            if found is None:
                raise codes.CLAIM_LOST.error()
            return found
        return submitted[-1]

    async def _poll_until_done(
        self, job: SubmittedJob, path: str, media_type: str, wait_if_open: bool
    ) -> FinishedJob:
        parser, loop = self._parser, asyncio.get_running_loop()
        deadline = loop.time() + self._deadline
        pause = _FIRST_POLL_SECONDS

        free_request = FreeRequest(
            parser.service, "poll", parser.account, display_path(path), _STAGE
        )

        async def send(permit: RequestPermit) -> ServiceResponse[FinishedJob | None]:
            return await parser.fetch(job.job_id, media_type, permit)

        while True:
            finished = await self._guard.ask(free_request, send, wait_if_open=wait_if_open)
            if finished is not None:
                return finished
            if loop.time() + pause > deadline:
                raise codes.PARSE_JOB_LATE.error(seconds=self._deadline)
            await asyncio.sleep(pause)
            pause = min(_LONGEST_POLL_SECONDS, pause * 1.5)

    async def _settle(
        self, job: SubmittedJob, finished: FinishedJob, persist: PersistText | None
    ) -> None:
        cost, service = finished.cost_usd, self._parser.service

        def write(tx: Transaction) -> None:
            unusable = finished.error if _is_cut(finished) else None
            if finished.parsed is not None and persist is not None:
                unusable = persist(tx, finished.parsed)
            # Where the service has not reported the cost yet, the bound is posted.
            outcome = (
                codes.LOST.code if finished.is_lost else "assumed" if cost is None else "answered"
            )
            status = 404 if finished.is_lost else 200
            self._guard.ledger.post(tx, job.reservation, cost=cost, outcome=outcome, status=status)
            is_done = finished.parsed is not None or unusable is not None
            state = "done" if is_done else "failed"
            self._jobs.close(tx, service, job.job_id, state, unusable)

        def is_committed(tx: Transaction) -> bool:
            self._guard.ledger.lock_entry(tx, job.reservation.entry_id)
            return self._jobs.is_closed(tx, service, job.job_id)

        await self._guard.settlement.commit(service, write, is_committed)
        paid = job.reservation.amount if cost is None else cost
        self._guard.event_log.job_done(service, self._parser.model, paid)


def _is_cut(finished: FinishedJob) -> bool:
    """Whether a part of a text was received, which is all that the service gives of it."""
    return finished.error is not None and finished.error.code == codes.PAGES_CUT.code


def _too_many_pages(most: int) -> ParseError:
    return codes.PAGE_LIMIT_REACHED.error(pages=most)
