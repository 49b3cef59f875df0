"""The life of a batch job: submitted once, watched, and stored with its cost when it has ended.

What belongs here: the order of the steps of one job, and what follows from each report of its
service. What does not: a single request (`providers`), statements
(`repositories.embedding_batches`), money and limits (`spend_guard`), or which texts are put into a
job (`ingestion`).

No process waits for a job. Each call of `BatchJobs.advance` takes a job as far as it gets now, and
ends. All steps may be repeated, by any process: what is known is in the database before the next
step begins.

========== ============================================ ========================================
state      meaning                                      after a crash, or a lost answer
========== ============================================ ========================================
ready      its texts are known, perhaps uploaded        is uploaded again, which is free
submitting its cost is reserved, it may be submitted    looked for in the list of the service,
                                                        before it is submitted again
submitted  the service has it                           polled again; read and stored again
done       vectors are stored and the cost is posted,
           in one transaction
========== ============================================ ========================================
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import TypeAlias

import numpy as np

from tvdb_assets import error_codes as codes
from tvdb_assets.core.token_counting import count_tokens
from tvdb_assets.core.vector_validation import check_vectors
from tvdb_assets.embedding.batch_billing import billed_tokens
from tvdb_assets.embedding.batch_service import (
    BatchPhase,
    BatchReport,
    BatchResults,
    BatchService,
    batch_metadata,
)
from tvdb_assets.embedding.embedder_protocol import Vectors
from tvdb_assets.errors import TvdbError
from tvdb_assets.models import Provenance, Stage
from tvdb_assets.redaction import display_path
from tvdb_assets.repositories import locks
from tvdb_assets.repositories.embedding_batches import (
    MOST_MISSES,
    BatchJob,
    BatchText,
    EmbeddingBatches,
)
from tvdb_assets.repositories.index_store import IndexStore
from tvdb_assets.repositories.leases import ensure_claimed
from tvdb_assets.spend_guard.call_log import ServiceEvent
from tvdb_assets.spend_guard.guard import FreeRequest, Guard, PaidCall, ServiceResponse, Transaction
from tvdb_assets.spend_guard.ledger import Reservation
from tvdb_assets.spend_guard.paid_service import RequestPermit
from tvdb_assets.spend_guard.token_ratio import TokenBound, TokenRatio

Reached: TypeAlias = Callable[[str], None]
"""Notified of each step; for tests that end a process there."""
STEPS = ("uploaded", "file_recorded", "looked_for", "reported", "downloaded", "stored", "discarded")
_STAGE = Stage.EMBEDDINGS.value
_LIST_DELAY = timedelta(seconds=60)
"""From the end of a request without an answer until the list of jobs certainly shows what became
of it: it may be read from a replica."""
_CLOCK_DIFFERENCE = timedelta(hours=1)
"""Between the service's clock and ours, at most."""
_MOST_LIST_PAGES = 200
"""20,000 jobs since the submission; a list that is longer has no end."""
_QUEUE_WAIT = timedelta(minutes=10)
"""Until a job is submitted again that the queue of the account had no room for."""
_MOST_FAILURES = 5
"""Downloads in a row without all results, after which those that are there are taken."""
_MOST_UNKNOWN = 60
"""Reports in a row by which the service does not know the job, after which it counts as lost."""
_MOST_REFUSALS = 3
_WINDOW = timedelta(hours=26)
"""After this time, a job is cancelled that should have ended after 24 hours."""
_GIVEN_UP = timedelta(hours=50)
"""After this time, a job counts as lost. Its reservation has a lease of about the same length."""


class BatchJobs:
    """Advances the jobs of one service, each with the id of the run that collected its texts."""

    def __init__(
        self,
        guard: Guard,
        service: BatchService,
        store: EmbeddingBatches,
        index: IndexStore,
        produced_by: Provenance,
        reached: Reached = lambda _: None,
    ) -> None:
        """Nothing is sent yet.

        Args:
            guard: reserves, sends and posts each request; it makes one attempt.
            service: the paid service.
            store: the jobs.
            index: stores their vectors.
            produced_by: recorded with each vector.
            reached: notified of each step.
        """
        self._guard = guard
        self._service = service
        self._store = store
        self._index = index
        self._produced_by = produced_by
        self._reached = reached

    async def advance(self, job: BatchJob, *, may_submit: bool) -> None:
        """Take a job as far as it gets now. What delays it is recorded with it.

        Args:
            job: as it was read last.
            may_submit: whether it may be submitted if it is not yet.
        """
        try:
            if job.state == "submitted":
                await self._watch(job)
            elif job.state == "submitting":
                await self._find(job)
            elif may_submit and (job.not_before is None or job.not_before <= job.now):
                await self._submit(job)
        except TvdbError as error:
            await self._delay(job, error)

    # --- until it is submitted

    async def _submit(self, job: BatchJob) -> None:
        texts = await asyncio.to_thread(self._store.texts_of, job.job_id)
        if job.file_id is None:
            texts = await self._sendable(job, texts)
            if not texts:
                await asyncio.to_thread(self._store.release, job, "no_texts", 0)
                return
            texts = await asyncio.to_thread(self._bounded, texts)
            texts = await self._affordable(job, texts)
            bounds = {text.sha256: text.most or text.tokens for text in texts}
            await asyncio.to_thread(self._store.set_bounds, job, bounds)
            data = await asyncio.to_thread(
                self._service.encode, {text.sha256: text.text or "" for text in texts}
            )
            file_id = await self._guard.ask(
                self._free("upload", self._service.price.of(sum(bounds.values()))),
                partial(self._service.upload, f"tvdb-{job.job_id}.jsonl", data),
            )
            self._reached("uploaded")
            await asyncio.to_thread(self._store.set_file, job, file_id)
            job = replace(job, file_id=file_id)
            self._reached("file_recorded")
        await self._create(job, texts)

    async def _sendable(self, job: BatchJob, texts: Sequence[BatchText]) -> list[BatchText]:
        """The texts that a document still has, and that have no vector; the others are released."""
        known = await asyncio.to_thread(self._store.vectors_known, job)
        gone = [text.sha256 for text in texts if text.text is None or text.sha256 in known]
        if gone:
            await asyncio.to_thread(self._store.remove_texts, job, gone)
        left = set(gone)
        return [text for text in texts if text.sha256 not in left]

    def _bounded(self, texts: Sequence[BatchText]) -> list[BatchText]:
        """The texts with their tokens counted here, and the most that each is billed."""
        state, _ = self._guard.states.read(self._service.service)
        ratio = state.token_ratio(self._service.account)
        return [_bounded(text, ratio, is_exact=self._service.is_bill_exact) for text in texts]

    async def _affordable(self, job: BatchJob, texts: list[BatchText]) -> list[BatchText]:
        """As many texts as fit the budget now; the others become a job of their own."""
        left = await asyncio.to_thread(self._left_usd)
        price, total, fitting = self._service.price, 0, 0
        for text in texts:
            total += text.most or text.tokens
            if price.of(total) > left:
                break
            fitting += 1
        if fitting in (0, len(texts)):
            # If none fits, the guard says why.
            return texts
        later = [text.sha256 for text in texts[fitting:]]
        await asyncio.to_thread(self._store.split, job, later)
        return texts[:fitting]

    def _left_usd(self) -> Decimal:
        limits = self._guard.ledger.limits
        committed = self._guard.ledger.committed(self._service.service)
        left = limits.daily_usd - committed.day_usd
        own = limits.service_daily_usd.get(self._service.service)
        return left if own is None else min(left, own - committed.service_day_usd)

    async def _create(self, job: BatchJob, texts: Sequence[BatchText]) -> None:
        service, ledger, submitter = self._service, self._guard.ledger, locks.new_claim_key()
        units: Counter[str] = Counter()
        for text in texts:
            # The document may be gone since the file was uploaded.
            units[display_path(text.document) if text.document else ""] += text.tokens
        most = sum(text.most or text.tokens for text in texts)
        reserved: list[Reservation] = []

        def write_intent(tx: Transaction, reservation: Reservation) -> None:
            reserved.append(reservation)
            self._store.begin_submission(
                tx, job, reservation.entry_id, submitter, service.standard_price.unit_usd
            )

        async def send(permit: RequestPermit) -> ServiceResponse[str]:
            assert job.file_id is not None
            metadata = batch_metadata(job.job_id, reserved[-1].entry_id, job.run_id)
            submitted = await service.submit(job.file_id, metadata, permit)
            return replace(submitted, job_id=submitted.value)

        def persist(tx: Transaction, reservation: Reservation, batch_id: str) -> None:
            if not self._store.record_submission(tx, job.job_id, reservation.entry_id, batch_id):
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
            stage=_STAGE,
        )
        try:
            await self._guard.call(
                call,
                send,
                persist,
                check_claim=partial(ensure_claimed, holder=submitter),
                write_intent=write_intent,
            )
        finally:
            await asyncio.to_thread(self._store.end_claim, submitter)

    # --- whose answer is lost

    async def _find(self, job: BatchJob) -> None:
        """Find out whether a submission without an answer has become a job."""
        assert job.entry_id is not None and job.reserved_usd is not None
        if job.is_in_flight:
            return
        if job.entry_state == "voided":
            # It was refused, or never sent.
            await self._again(job)
            return
        found = await self._listed(job)
        self._reached("looked_for")
        if found is not None:
            await self._adopt(job, found)
            return
        ended_at = job.entry_ended_at
        if ended_at is None or job.now < ended_at + _LIST_DELAY:
            return
        if job.listed_at is None:
            # Twice, as the list may be older than the request.
            await asyncio.to_thread(self._store.note, job, listed_at=job.now)
            return
        if job.listed_at < job.now:
            entry = Reservation(job.entry_id, job.reserved_usd)
            await asyncio.to_thread(self._guard.ledger.void, entry, outcome="not_billed")
            await self._again(job)

    async def _again(self, job: BatchJob) -> None:
        """Have the same file submitted again."""

        def write() -> None:
            self._index.run(lambda tx: self._store.return_to_ready(tx, job))

        await asyncio.to_thread(write)

    async def _listed(self, job: BatchJob) -> BatchReport | None:
        page: str | None = None
        since = job.entry_ended_at
        for _ in range(_MOST_LIST_PAGES):
            listed = await self._guard.ask(
                self._free("list"), partial(self._service.list_reports, page)
            )
            for report in listed.reports:
                if report.job_id == job.job_id and report.entry_id == job.entry_id:
                    return report
            page = listed.next_page
            if page is None:
                return None
            oldest = min(report.created_at for report in listed.reports)
            if since is not None and oldest < since - _WINDOW - _CLOCK_DIFFERENCE:
                return None
        raise codes.BATCH_LIST_UNUSABLE.error(
            service=self._service.service, why=f"it has more than {_MOST_LIST_PAGES} pages"
        )

    async def _adopt(self, job: BatchJob, report: BatchReport) -> None:
        """Record a job whose submission got no answer, as its answer would have been."""
        assert job.entry_id is not None and job.reserved_usd is not None
        entry = Reservation(job.entry_id, job.reserved_usd)

        def write(tx: Transaction) -> None:
            if self._store.record_submission(tx, job.job_id, entry.entry_id, report.batch_id):
                self._guard.ledger.extend(tx, entry, report.batch_id, None)

        def is_committed(tx: Transaction) -> bool:
            return self._store.is_submitted(tx, job.job_id, report.batch_id)

        await self._guard.settlement.commit(self._service.service, write, is_committed)
        await self._guard.event_log.record(
            ServiceEvent.JOB_RESUMED,
            self._service.service,
            f"Polls the batch job {report.batch_id}, which was found in the list of the service: "
            "the answer to its submission was lost.",
            part=job.entry_id,
        )

    # --- until it has ended

    async def _watch(self, job: BatchJob) -> None:
        assert job.batch_id is not None and job.submitted_at is not None
        age = job.now - job.submitted_at
        limits = await asyncio.to_thread(lambda: self._guard.ledger.limits)
        is_paused = bool(limits.paused & {"", self._service.service})
        if not job.is_cancelled and (is_paused or age > _WINDOW):
            # What was done before is billed, and has results.
            with suppress(TvdbError):
                await self._guard.ask(
                    self._free("cancel"), partial(self._service.cancel, job.batch_id)
                )
            await asyncio.to_thread(self._store.note, job, is_cancelled=True)
        report = await self._guard.ask(
            self._free("poll"), partial(self._service.report, job.batch_id)
        )
        self._reached("reported")
        if report.phase is BatchPhase.INVALID:
            await self._repeat_or_end(job, report)
        elif report.phase is BatchPhase.ENDED:
            await self._store_results(job, report)
        elif age > _GIVEN_UP:
            await self._lose(job)
        else:
            changes = {"status": report.status, "completed": report.completed, "failures": 0}
            await asyncio.to_thread(self._store.note, job, **changes)

    async def _repeat_or_end(self, job: BatchJob, report: BatchReport) -> None:
        """The service has refused the job as a whole: nothing of it was done or billed."""
        if any(problem.is_queue_full for problem in report.problems):
            await self._queue_again(job)
            return
        texts = await asyncio.to_thread(self._store.texts_of, job.job_id)
        lines = {problem.line for problem in report.problems if problem.line}
        # The lines are in the order of the file; a text that is gone since is at its end now.
        is_known = all(text.text is not None for text in texts) and lines
        returned = {
            text.sha256: MOST_MISSES if not is_known or number in lines else 0
            for number, text in enumerate(texts, 1)
        }
        await self._settle(job, "refused", 0, {}, returned)

    async def _queue_again(self, job: BatchJob) -> None:
        assert job.entry_id is not None and job.reserved_usd is not None
        entry = Reservation(job.entry_id, job.reserved_usd)
        full = codes.BATCH_QUEUE_FULL.error(service=self._service.service)

        def write(tx: Transaction) -> bool:
            if not self._store.return_to_ready(
                tx,
                job,
                not_before=job.now + _QUEUE_WAIT,
                waits_for=full.code,
                waits_message=full.message,
            ):
                return False
            self._guard.ledger.post(tx, entry, quantity=0, outcome=full.code, status=200)
            return True

        is_again = job.not_before is not None
        if (
            await asyncio.to_thread(self._index.run, write)
            and is_again
            and await asyncio.to_thread(self._store.is_only_job, job)
        ):
            # Perhaps the job alone has more tokens than the queue.
            texts = await asyncio.to_thread(self._store.texts_of, job.job_id)
            later = [text.sha256 for text in texts[(len(texts) + 1) // 2 :]]
            await asyncio.to_thread(self._store.split, job, later)

    async def _store_results(self, job: BatchJob, report: BatchReport) -> None:
        texts = await asyncio.to_thread(self._store.texts_of, job.job_id)
        files = [
            await self._guard.ask(self._free("download"), partial(self._service.download, file))
            for file in report.result_files
        ]
        self._reached("downloaded")
        known = {text.sha256 for text in texts}
        results = await asyncio.to_thread(self._service.decode, files, known)
        is_short = results.is_cut or len(results.tokens) < (report.completed or 0)
        if is_short and job.failures < _MOST_FAILURES:
            await asyncio.to_thread(self._store.note, job, failures=job.failures + 1)
            return
        tokens = billed_tokens(
            results,
            {text.sha256: text.tokens for text in texts},
            {text.sha256: text.most or text.tokens for text in texts},
            completed=report.completed,
            reported=report.billed_tokens,
            is_count_exact=self._service.is_count_exact,
        )
        good = await asyncio.to_thread(self._checked, results)
        returned = {
            text.sha256: _misses(text.sha256, results, job)
            for text in texts
            if text.sha256 not in good
        }
        await self._settle(job, report.status, tokens, good, returned)
        for file in (job.file_id, *report.result_files):
            if file is not None:
                # It would be deleted by the service in any case.
                with suppress(TvdbError):
                    await self._guard.ask(
                        self._free("discard"), partial(self._service.discard, file)
                    )
        self._reached("discarded")

    def _checked(self, results: BatchResults) -> dict[bytes, Vectors]:
        """The vectors that may be stored."""
        if not results.vectors:
            return {}
        names = list(results.vectors)
        vectors = np.stack([results.vectors[name] for name in names])
        bad = dict(check_vectors(vectors, len(names), vectors.shape[1]))
        return {name: vectors[row] for row, name in enumerate(names) if row not in bad}

    async def _lose(self, job: BatchJob) -> None:
        """Give a job up; what it may have cost is recorded."""
        texts = await asyncio.to_thread(self._store.texts_of, job.job_id)
        await self._settle(job, codes.BATCH_LOST.code, None, {}, {t.sha256: 1 for t in texts})

    async def _settle(
        self,
        job: BatchJob,
        outcome: str,
        tokens: int | None,
        vectors: dict[bytes, Vectors],
        returned: dict[bytes, int],
    ) -> None:
        """Store the vectors of a job, post its cost and record its end, in one transaction."""
        assert job.entry_id is not None and job.reserved_usd is not None
        entry = Reservation(job.entry_id, job.reserved_usd)
        is_lost = tokens is None

        def write(tx: Transaction) -> None:
            if not self._store.lock_submitted(tx, job):
                return
            kept = self._index.kept_texts(tx, list(vectors))
            if kept:
                counted = self._store.token_counts(tx, job, kept)
                rows = np.stack([vectors[sha256] for sha256 in kept])
                self._index.store_vectors(
                    job.space_id,
                    [(sha256, counted[sha256]) for sha256 in kept],
                    rows,
                    self._produced_by,
                    tx=tx,
                )
            self._guard.ledger.post(
                tx,
                entry,
                quantity=tokens,
                outcome=codes.LOST.code if is_lost else "answered",
                status=404 if is_lost else 200,
            )
            self._store.finish(tx, job, outcome, list(vectors), returned)

        def is_committed(tx: Transaction) -> bool:
            return self._store.is_done(tx, job)

        await self._guard.settlement.commit(self._service.service, write, is_committed)
        self._reached("stored")
        paid = job.reserved_usd if tokens is None else self._service.price.of(tokens)
        self._guard.event_log.job_done(self._service.service, self._service.model, paid)

    # --- what delays it

    async def _delay(self, job: BatchJob, error: TvdbError) -> None:
        """Record why a job does not get any further, and give it up if that is for good."""
        changes: dict[str, object] = {"waits_for": error.code, "waits_message": error.message}
        failures = job.failures + 1
        if error.code == codes.CLAIM_LOST.code:
            return
        if error.code == codes.BATCH_REFUSED.code:
            if job.state == "submitted" and failures >= _MOST_UNKNOWN:
                await self._lose(job)
                return
            changes["failures"] = failures
        elif error.code == codes.BATCH_QUEUE_FULL.code:
            changes["not_before"] = job.now + _QUEUE_WAIT
        await asyncio.to_thread(self._store.note, job, **changes)
        if job.state == "ready" and error.code == codes.BATCH_REFUSED.code:
            current = await asyncio.to_thread(self._store.reread, job.job_id)
            if current is not None and current.state == "submitting":
                await self._again(current)
            # A file that the service does not accept, or no longer has, is uploaded again.
            await asyncio.to_thread(self._store.set_file, job, None)
            if failures >= _MOST_REFUSALS:
                await asyncio.to_thread(self._store.release, job, error.code, MOST_MISSES)

    def _free(self, operation: str, leads_to_usd: Decimal | None = None) -> FreeRequest:
        return FreeRequest(
            self._service.service,
            operation,
            self._service.account,
            stage=_STAGE,
            leads_to_usd=leads_to_usd,
            shows_health=False,
        )


def _bounded(text: BatchText, ratio: TokenRatio, *, is_exact: bool) -> BatchText:
    content = text.text or ""
    tokens = max(text.tokens, count_tokens(content))
    is_known = is_exact or ratio.is_equal
    most = tokens if is_known else TokenBound.of(content, tokens).most
    return replace(text, tokens=tokens, most=most)


def _misses(sha256: bytes, results: BatchResults, job: BatchJob) -> int:
    """What a text counts for that has no vector: see `EmbeddingBatches.finish`."""
    if sha256 in results.refused or sha256 in results.tokens:
        return MOST_MISSES
    return 0 if job.is_cancelled else 1
