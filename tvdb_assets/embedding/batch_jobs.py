"""The life of a batch job: submitted once, watched, and stored with its cost when it has ended.

What belongs here: the order of the steps of one job, and what follows from each report of its
service. What does not: its submission (`batch_submission`), a single request (`providers`),
statements (`repositories.embedding_batches`), money and limits (`spend_guard`), or which texts are
put into a job (`ingestion`).

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
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial

import numpy as np

from tvdb_assets import error_codes as codes
from tvdb_assets.core.vector_validation import check_vectors
from tvdb_assets.embedding.batch_billing import billed_tokens
from tvdb_assets.embedding.batch_parts import WINDOW_HOURS, BatchParts
from tvdb_assets.embedding.batch_service import BatchPhase, BatchReport, BatchResults
from tvdb_assets.embedding.batch_submission import BatchSubmission
from tvdb_assets.embedding.embedder_protocol import Vectors
from tvdb_assets.errors import EmbeddingError, TvdbError
from tvdb_assets.repositories.batch_rows import BatchJob
from tvdb_assets.repositories.embedding_batches import MOST_MISSES
from tvdb_assets.spend_guard.guard import Transaction
from tvdb_assets.spend_guard.ledger import Reservation

_QUEUE_WAIT = timedelta(minutes=10)
"""Until a job is submitted again that the queue of the account had no room for."""
_MOST_FAILURES = 5
"""Downloads in a row without all results, after which those that are there are taken."""
_MOST_UNKNOWN = 60
"""Reports in a row by which the service does not know the job, after which it counts as lost."""
_MOST_REFUSALS = 3
_LATE = timedelta(hours=WINDOW_HOURS)
_GIVEN_UP = timedelta(hours=50)
"""After this time, a job counts as lost. Its reservation has a lease of about the same length."""


class BatchJobs:
    """Advances jobs of one service."""

    def __init__(self, parts: BatchParts) -> None:
        """Nothing is sent yet."""
        self._parts = parts
        self._submission = BatchSubmission(parts)

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
                await self._submission.find(job)
            elif may_submit and (job.not_before is None or job.not_before <= job.now):
                await self._submission.submit(job)
        except TvdbError as error:
            await self._delay(job, error)

    async def _watch(self, job: BatchJob) -> None:
        batch_id = job.batch_id
        assert batch_id is not None and job.submitted_at is not None
        age = job.now - job.submitted_at
        limits = await asyncio.to_thread(lambda: self._parts.guard.ledger.limits)
        is_paused = bool(limits.paused & {"", self._parts.service.service})
        if not job.is_cancelled and (is_paused or age > _LATE):
            # What was done before is billed, and has results.
            job = replace(job, is_cancelled=await self._cancel(job))
        report = await self._parts.guard.ask(
            self._parts.free_request("poll"), partial(self._parts.service.report, batch_id)
        )
        self._parts.reached("reported")
        if report.phase is BatchPhase.INVALID:
            await self._repeat_or_end(job, report)
        elif report.phase is BatchPhase.ENDED:
            await self._submission.record_late(job)
            await self._store_results(job, report)
        elif age > _GIVEN_UP:
            await self._lose(job)
        else:
            changes = {"status": report.status, "completed": report.completed, "failures": 0}
            await asyncio.to_thread(self._parts.store.note, job, **changes)

    async def _cancel(self, job: BatchJob) -> bool:
        """Cancel a job; False if it has to be tried again."""
        assert job.batch_id is not None
        try:
            await self._parts.guard.ask(
                self._parts.free_request("cancel"),
                partial(self._parts.service.cancel, job.batch_id),
            )
        except TvdbError as error:
            # A job that has ended can't be cancelled. Otherwise the next call tries it again.
            if error.code != codes.BATCH_REFUSED.code:
                return False
        await asyncio.to_thread(self._parts.store.note, job, is_cancelled=True)
        return True

    async def _repeat_or_end(self, job: BatchJob, report: BatchReport) -> None:
        """The service has refused the job as a whole: nothing of it was done or billed."""
        if any(problem.is_queue_full for problem in report.problems):
            await self._queue_again(job)
            return
        texts = await asyncio.to_thread(self._parts.store.texts_of, job.job_id)
        lines = {problem.line for problem in report.problems if problem.line}
        # The lines are in the order of the file; a text that is gone since is at its end now.
        is_known = all(text.text is not None for text in texts) and lines
        returned = {
            text.sha256: MOST_MISSES if not is_known or number in lines else 0
            for number, text in enumerate(texts, 1)
        }
        await self._settle(job, "refused", 0, {}, returned)
        await self._discard(job.file_id, *report.result_files)

    async def _queue_again(self, job: BatchJob) -> None:
        assert job.entry_id is not None and job.reserved_usd is not None
        entry = Reservation(job.entry_id, job.reserved_usd)
        full = codes.BATCH_QUEUE_FULL.error(service=self._parts.service.service)

        def write(tx: Transaction) -> bool:
            if not self._parts.store.return_to_ready(
                tx,
                job,
                not_before=job.now + _QUEUE_WAIT,
                waits_for=full.code,
                waits_message=full.message,
            ):
                return False
            self._parts.guard.ledger.post(tx, entry, quantity=0, outcome=full.code, status=200)
            return True

        is_again = job.not_before is not None
        if (
            await asyncio.to_thread(self._parts.index.run, write)
            and is_again
            and await asyncio.to_thread(self._parts.store.is_only_job, job)
        ):
            # Perhaps the job alone has more tokens than the queue.
            texts = await asyncio.to_thread(self._parts.store.texts_of, job.job_id)
            later = [text.sha256 for text in texts[(len(texts) + 1) // 2 :]]
            await asyncio.to_thread(self._parts.store.split, job, later)
            await self._discard(job.file_id)

    async def _store_results(self, job: BatchJob, report: BatchReport) -> None:
        texts = await asyncio.to_thread(self._parts.store.texts_of, job.job_id)
        files = [
            await self._parts.guard.ask(
                self._parts.free_request("download"), partial(self._parts.service.download, file)
            )
            for file in report.result_files
        ]
        self._parts.reached("downloaded")
        known = {text.sha256 for text in texts}
        results = await asyncio.to_thread(self._parts.service.decode, files, known)
        is_short = results.is_cut or len(results.tokens) < (report.completed or 0)
        if is_short and job.failures < _MOST_FAILURES:
            await asyncio.to_thread(self._parts.store.note, job, failures=job.failures + 1)
            return
        tokens = billed_tokens(
            results,
            {text.sha256: text.tokens for text in texts},
            {text.sha256: text.most or text.tokens for text in texts},
            completed=report.completed,
            reported=report.billed_tokens,
            is_count_exact=self._parts.service.is_count_exact,
        )
        good, bad = await asyncio.to_thread(_checked, results)
        returned = {
            text.sha256: _misses(text.sha256, results, job)
            for text in texts
            if text.sha256 not in good and text.sha256 not in bad
        }
        await self._settle(job, report.status, tokens, good, returned, bad)
        await self._discard(job.file_id, *report.result_files)
        self._parts.reached("discarded")

    async def _discard(self, *files: str | None) -> None:
        """Delete files at the service, which would delete them later in any case."""
        for file in files:
            if file is not None:
                with suppress(TvdbError):
                    await self._parts.guard.ask(
                        self._parts.free_request("discard"),
                        partial(self._parts.service.discard, file),
                    )

    async def release(self, job: BatchJob) -> None:
        """End a job that is not submitted, whose texts are embedded at once from now on."""
        await asyncio.to_thread(self._parts.store.release, job, "released", 0)
        await self._discard(job.file_id)

    async def _lose(self, job: BatchJob) -> None:
        """Give a job up; what it may have cost is recorded."""
        texts = await asyncio.to_thread(self._parts.store.texts_of, job.job_id)
        await self._settle(job, codes.BATCH_LOST.code, None, {}, {t.sha256: 1 for t in texts})

    async def _settle(
        self,
        job: BatchJob,
        outcome: str,
        tokens: int | None,
        vectors: dict[bytes, Vectors],
        returned: dict[bytes, int],
        bad: Mapping[bytes, EmbeddingError] | None = None,
    ) -> None:
        """Store the vectors of a job, post its cost and record its end, in one transaction."""
        assert job.entry_id is not None and job.reserved_usd is not None
        entry = Reservation(job.entry_id, job.reserved_usd)
        is_lost = tokens is None
        request = await asyncio.to_thread(lambda: self._parts.service.request_fingerprint)

        def write(tx: Transaction) -> None:
            if not self._parts.store.lock_submitted(tx, job):
                return
            kept = self._parts.index.kept_texts(tx, list(vectors))
            if kept:
                counted = self._parts.store.token_counts(tx, job, kept)
                rows = np.stack([vectors[sha256] for sha256 in kept])
                self._parts.index.store_vectors(
                    job.space_id,
                    [(sha256, counted[sha256]) for sha256 in kept],
                    rows,
                    self._parts.produced_by,
                    tx=tx,
                )
            if bad:
                self._parts.index.record_refused(tx, job.space_id, request, bad)
            self._parts.guard.ledger.post(
                tx,
                entry,
                quantity=tokens,
                outcome=codes.LOST.code if is_lost else "answered",
                status=404 if is_lost else 200,
            )
            self._parts.store.finish(tx, job, outcome, [*vectors, *(bad or ())], returned)

        def is_committed(tx: Transaction) -> bool:
            return self._parts.store.is_done(tx, job)

        await self._parts.guard.settlement.commit(self._parts.service.service, write, is_committed)
        self._parts.reached("stored")
        paid = job.reserved_usd if tokens is None else self._parts.service.price.of(tokens)
        self._parts.guard.event_log.job_done(
            self._parts.service.service, self._parts.service.model, paid
        )

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
        await asyncio.to_thread(self._parts.store.note, job, **changes)
        if error.code == codes.BUDGET_EXHAUSTED.code:
            # It is divided by what fits then, for which it has to be uploaded again.
            await self._upload_again(job)
        if job.state == "ready" and error.code == codes.BATCH_REFUSED.code:
            current = await asyncio.to_thread(self._parts.store.reread, job.job_id)
            if current is not None and current.state == "submitting":
                await self._parts.submit_again(current)
            # A file that the service does not accept, or no longer has, is uploaded again.
            await self._upload_again(job)
            if failures >= _MOST_REFUSALS:
                await asyncio.to_thread(self._parts.store.release, job, error.code, MOST_MISSES)

    async def _upload_again(self, job: BatchJob) -> None:
        """Have the file of a job that is ready uploaded again, with other texts or as another."""
        current = await asyncio.to_thread(self._parts.store.reread, job.job_id)
        if current is not None and current.state == "ready":
            await asyncio.to_thread(self._parts.store.set_file, job, None)
            await self._discard(current.file_id)


def _checked(
    results: BatchResults,
) -> tuple[dict[bytes, Vectors], dict[bytes, EmbeddingError]]:
    """The vectors that may be stored, and the errors of texts that are done and have none."""
    names = list(results.vectors)
    bad: dict[bytes, EmbeddingError] = {
        name: codes.VECTOR_UNUSABLE.error(why="its line in the results of the job has none")
        for name in results.tokens.keys() - results.vectors.keys()
    }
    if not names:
        return {}, bad
    vectors = np.stack([results.vectors[name] for name in names])
    bad |= {names[row]: e for row, e in check_vectors(vectors, len(names), vectors.shape[1])}
    return {name: results.vectors[name] for name in names if name not in bad}, bad


def _misses(sha256: bytes, results: BatchResults, job: BatchJob) -> int:
    """What a text counts for that was not embedded: see `EmbeddingBatches.finish`."""
    if sha256 in results.refused:
        return MOST_MISSES
    return 0 if job.is_cancelled else 1
