"""The submission of a batch job: reserved first, made once, and found again if its answer is lost.

What belongs here: the steps until the service has the job. What does not: what follows
(`batch_jobs`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from tvdb_assets import error_codes as codes
from tvdb_assets.core.token_counting import count_tokens
from tvdb_assets.embedding.batch_parts import STAGE, WINDOW_HOURS, BatchParts
from tvdb_assets.embedding.batch_service import BatchReport, batch_metadata
from tvdb_assets.errors import TvdbError
from tvdb_assets.redaction import display_path
from tvdb_assets.repositories import locks
from tvdb_assets.repositories.batch_rows import BatchJob, BatchText
from tvdb_assets.repositories.leases import ensure_claimed
from tvdb_assets.repositories.released_submissions import released_submissions
from tvdb_assets.spend_guard.call_log import ServiceEvent
from tvdb_assets.spend_guard.guard import PaidCall, ServiceResponse, Transaction
from tvdb_assets.spend_guard.ledger import Reservation
from tvdb_assets.spend_guard.paid_service import RequestPermit
from tvdb_assets.spend_guard.token_ratio import TokenBound, TokenRatio

_LIST_DELAY = timedelta(seconds=60)
"""From the end of a request without an answer until the list of jobs certainly shows what became
of it: it may be read from a replica."""
_CLOCK_DIFFERENCE = timedelta(hours=1)
"""Between the service's clock and ours, at most."""
_LISTED_WINDOW = timedelta(hours=WINDOW_HOURS)
_MOST_LIST_PAGES = 200
"""20,000 jobs since the submission; a list that is longer has no end."""


class BatchSubmission:
    """Submits a job."""

    def __init__(self, parts: BatchParts) -> None:
        """Nothing is sent yet."""
        self._parts = parts

    async def submit(self, job: BatchJob) -> None:
        """Upload the file of a job that is ready, and submit it."""
        texts = await asyncio.to_thread(self._parts.store.texts_of, job.job_id)
        if job.file_id is None:
            texts = await self._sendable(job, texts)
            if not texts:
                await asyncio.to_thread(self._parts.store.release, job, "no_texts", 0)
                return
            texts = await asyncio.to_thread(self._bounded, texts)
            texts = await self._affordable(job, texts)
            bounds = {text.sha256: text.most or text.tokens for text in texts}
            await asyncio.to_thread(self._parts.store.set_bounds, job, bounds)
            data = await asyncio.to_thread(
                self._parts.service.encode, {text.sha256: text.text or "" for text in texts}
            )
            file_id = await self._parts.guard.ask(
                self._parts.free_request(
                    "upload", self._parts.service.price.of(sum(bounds.values()))
                ),
                partial(self._parts.service.upload, f"tvdb-{job.job_id}.jsonl", data),
            )
            self._parts.reached("uploaded")
            await asyncio.to_thread(self._parts.store.set_file, job, file_id)
            job = replace(job, file_id=file_id)
            self._parts.reached("file_recorded")
        await self._create(job, texts)

    async def _sendable(self, job: BatchJob, texts: Sequence[BatchText]) -> list[BatchText]:
        """The texts that a document still has, and that have no vector; the others are released."""
        known = await asyncio.to_thread(self._parts.store.vectors_known, job)
        gone = [text.sha256 for text in texts if text.text is None or text.sha256 in known]
        if gone:
            await asyncio.to_thread(self._parts.store.remove_texts, job, gone)
        left = set(gone)
        return [text for text in texts if text.sha256 not in left]

    def _bounded(self, texts: Sequence[BatchText]) -> list[BatchText]:
        """The texts with their tokens counted here, and the most that each is billed."""
        state, _ = self._parts.guard.states.read(self._parts.service.service)
        ratio = state.token_ratio(self._parts.service.account)
        return [_bounded(text, ratio, is_exact=self._parts.service.is_bill_exact) for text in texts]

    async def _affordable(self, job: BatchJob, texts: list[BatchText]) -> list[BatchText]:
        """As many texts as fit the budget now; the others become another job."""
        left = await asyncio.to_thread(self._left_usd)
        price, total, fitting = self._parts.service.price, 0, 0
        for text in texts:
            total += text.most or text.tokens
            if price.of(total) > left:
                break
            fitting += 1
        if fitting in (0, len(texts)):
            # If none fits, the guard says why.
            return texts
        later = [text.sha256 for text in texts[fitting:]]
        await asyncio.to_thread(self._parts.store.split, job, later)
        return texts[:fitting]

    def _left_usd(self) -> Decimal:
        limits = self._parts.guard.ledger.limits
        committed = self._parts.guard.ledger.committed(self._parts.service.service)
        left = limits.daily_usd - committed.day_usd
        own = limits.service_daily_usd.get(self._parts.service.service)
        return left if own is None else min(left, own - committed.service_day_usd)

    async def _create(self, job: BatchJob, texts: Sequence[BatchText]) -> None:
        service, ledger, submitter = (
            self._parts.service,
            self._parts.guard.ledger,
            locks.new_claim_key(),
        )
        units: Counter[str] = Counter()
        for text in texts:
            # The document may be gone since the file was uploaded.
            units[display_path(text.document) if text.document else ""] += text.tokens
        most = sum(text.most or text.tokens for text in texts)
        reserved: list[Reservation] = []

        def write_intent(tx: Transaction, reservation: Reservation) -> None:
            reserved.append(reservation)
            self._parts.store.begin_submission(
                tx,
                job,
                reservation.entry_id,
                submitter,
                service.standard_price.unit_usd,
                service.account,
            )

        async def send(permit: RequestPermit) -> ServiceResponse[str]:
            assert job.file_id is not None
            metadata = batch_metadata(job.job_id, reserved[-1].entry_id, job.run_id)
            submitted = await service.submit(job.file_id, metadata, permit)
            return replace(submitted, job_id=submitted.value)

        def persist(tx: Transaction, reservation: Reservation, batch_id: str) -> None:
            if not self._parts.store.record_submission(
                tx, job.job_id, reservation.entry_id, batch_id
            ):
                # This process was stopped for so long that another one has submitted the job.
                ledger.post(tx, reservation, outcome=codes.LOST.code, status=200)

        call = PaidCall(
            service=service.service,
            operation="embed_batch",
            model=service.model,
            account=service.account,
            price=service.price,
            quantity=most,
            inputs=len(texts),
            documents=list(units),
            quantities=list(units.values()),
            is_count_exact=service.is_count_exact,
            # A job is not counted by the limit of tokens per minute.
            likely_quantity=1,
            stage=STAGE,
        )
        try:
            await self._parts.guard.call(
                call,
                send,
                persist,
                check_claim=partial(ensure_claimed, holder=submitter),
                write_intent=write_intent,
            )
        finally:
            await asyncio.to_thread(self._parts.store.end_claim, submitter)

    async def find(self, job: BatchJob) -> None:
        """Find out whether a submission without an answer has become a job."""
        assert job.entry_id is not None and job.reserved_usd is not None
        if job.is_in_flight:
            return
        if job.entry_state == "voided":
            # It was refused, or never sent.
            await self._parts.submit_again(job)
            return
        found = await self._listed(job)
        self._parts.reached("looked_for")
        if found is not None:
            await self._adopt(job, found)
            return
        ended_at = job.entry_ended_at
        if ended_at is None or job.now < ended_at + _LIST_DELAY:
            return
        if job.listed_at is None:
            # Twice, as the list may be older than the request.
            await asyncio.to_thread(self._parts.store.note, job, listed_at=job.now)
            return
        if job.listed_at < job.now:
            if job.account == self._parts.service.account:
                entry = Reservation(job.entry_id, job.reserved_usd)
                await asyncio.to_thread(self._parts.guard.ledger.void, entry, outcome="not_billed")
            # The list of another account proves nothing: what it may have cost stays recorded.
            await self._parts.submit_again(job)

    async def record_late(self, job: BatchJob) -> None:
        """Record the cost of an earlier submission that became a job after it was given up.

        Args:
            job: which has ended, so that its list of jobs is read long after that.
        """
        released = await asyncio.to_thread(
            self._parts.index.run, partial(released_submissions, job=job)
        )
        if not released:
            return
        async for report in self._reports(job.submitted_at):
            if report.job_id != job.job_id or report.entry_id not in released:
                continue
            entry = Reservation(report.entry_id, released[report.entry_id])
            await asyncio.to_thread(
                self._parts.index.run,
                partial(self._parts.guard.ledger.post, reservation=entry, outcome=codes.LOST.code),
            )
            with suppress(TvdbError):
                # It is of no use, and costs less if it has not ended.
                await self._parts.guard.ask(
                    self._parts.free_request("cancel"),
                    partial(self._parts.service.cancel, report.batch_id),
                )

    async def _listed(self, job: BatchJob) -> BatchReport | None:
        async for report in self._reports(job.entry_ended_at):
            if report.job_id == job.job_id and report.entry_id == job.entry_id:
                return report
        return None

    async def _reports(self, since: datetime | None) -> AsyncIterator[BatchReport]:
        """The jobs in the list of the service that may have been submitted until then or later."""
        page: str | None = None
        for _ in range(_MOST_LIST_PAGES):
            listed = await self._parts.guard.ask(
                self._parts.free_request("list"), partial(self._parts.service.list_reports, page)
            )
            for report in listed.reports:
                yield report
            page = listed.next_page
            if page is None:
                return
            oldest = min(report.created_at for report in listed.reports)
            if since is not None and oldest < since - _LISTED_WINDOW - _CLOCK_DIFFERENCE:
                return
        raise codes.BATCH_LIST_UNUSABLE.error(
            service=self._parts.service.service, why=f"it has more than {_MOST_LIST_PAGES} pages"
        )

    async def _adopt(self, job: BatchJob, report: BatchReport) -> None:
        """Record a job whose submission got no answer, as its answer would have been."""
        assert job.entry_id is not None and job.reserved_usd is not None
        entry = Reservation(job.entry_id, job.reserved_usd)

        def write(tx: Transaction) -> None:
            if self._parts.store.record_submission(tx, job.job_id, entry.entry_id, report.batch_id):
                self._parts.guard.ledger.extend(tx, entry, report.batch_id, None)

        def is_committed(tx: Transaction) -> bool:
            return self._parts.store.is_submitted(tx, job.job_id, report.batch_id)

        await self._parts.guard.settlement.commit(self._parts.service.service, write, is_committed)
        await self._parts.guard.event_log.record(
            ServiceEvent.JOB_RESUMED,
            self._parts.service.service,
            f"Polls the batch job {report.batch_id}, which was found in the list of the service: "
            "the answer to its submission was lost.",
            part=job.entry_id,
        )


def _bounded(text: BatchText, ratio: TokenRatio, *, is_exact: bool) -> BatchText:
    content = text.text or ""
    tokens = max(text.tokens, count_tokens(content))
    is_known = is_exact or ratio.is_equal
    most = tokens if is_known else TokenBound.of(content, tokens).most
    return replace(text, tokens=tokens, most=most)
