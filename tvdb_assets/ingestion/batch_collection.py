"""Which texts of a run wait for a batch job, and the documents that have them.

What belongs here: the choice between a batch job and a request now. What does not: the jobs
(`embedding.batch_jobs`), or embedding at once (`embed_stage`).

A text that a batch job returned without a vector is put into another one, or is embedded at once
if jobs do not help. So a document never waits for jobs in a circle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tvdb_assets import error_codes as codes
from tvdb_assets.embedding.batch_service import BatchService
from tvdb_assets.embedding.embedder_protocol import AnyEmbedder, PaidEmbedder, paid_embedder
from tvdb_assets.embedding.embedding_result import is_unicode
from tvdb_assets.errors import TvdbError
from tvdb_assets.repositories.batch_texts import JobLimits, TextSize
from tvdb_assets.repositories.embedding_batches import MOST_MISSES
from tvdb_assets.repositories.index_store import MissingText
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import BatchMode, Settings
from tvdb_assets.spend_guard.prices import Price

_LINE_BYTES = 512
"""Of a line of a job's file, without its text."""


def batch_service(embedder: PaidEmbedder | None, settings: Settings) -> BatchService | None:
    """The service of batch jobs that texts of documents can wait for; None if there is none."""
    service = embedder.batches if embedder is not None else None
    if embedder is None or service is None or settings.batch is BatchMode.NEVER:
        return None
    if embedder.document_prefix:  # A job sends the texts as they are stored.
        return None
    return service if service.is_offered or settings.batch is BatchMode.ALWAYS else None


def document_price(embedder: PaidEmbedder, settings: Settings, *, is_deferrable: bool) -> Price:
    """Of a token of a document, by a batch job if the document will wait for one.

    Args:
        embedder: of the documents.
        settings: of the run.
        is_deferrable: see `BatchCollector`.
    """
    waits = is_deferrable or settings.batch is BatchMode.ALWAYS
    service = batch_service(embedder, settings) if waits else None
    return embedder.price if service is None else service.price


class BatchCollector:
    """Puts texts of one run into batch jobs."""

    def __init__(self, router: ServiceRouter, *, is_deferrable: bool) -> None:
        """Nothing is read yet.

        Args:
            router: of the run.
            is_deferrable: whether the documents of the run can wait: those of the nightly catch-up
                or of a backfill.
        """
        self._router = router
        self._is_deferrable = is_deferrable
        self.collected_texts = 0
        self._turn = asyncio.Lock()
        """Two batches at a time would begin a job each."""

    async def take(
        self, embedder: AnyEmbedder, space_id: int, texts: Sequence[MissingText], claimant: int
    ) -> set[bytes]:
        """Put those texts into a job that can wait for it; returns their hashes.

        Args:
            embedder: of the vector space.
            space_id: id of the vector space.
            texts: without a vector, claimed by ``claimant``.
            claimant: key of the claim, which ends for the texts that are taken.
        """
        paid, settings = paid_embedder(embedder), self._router.settings
        service = batch_service(paid, settings)
        if service is None:
            return set()
        is_auto = settings.batch is BatchMode.AUTO
        batches = self._router.services.batch_texts
        misses = await asyncio.to_thread(batches.misses, space_id, [t.sha256 for t in texts])
        sizes = [
            TextSize(text.sha256, text.tokens, len(text.text.encode()) + _LINE_BYTES)
            for text in texts
            # Those that come from a job can wait for another one.
            if (self._is_deferrable or not is_auto or text.sha256 in misses)
            and misses.get(text.sha256, 0) < MOST_MISSES
            and _is_sendable(text, service.max_tokens)
        ]
        limits = JobLimits(min(settings.batch_texts, service.max_texts), service.max_bytes)
        async with self._turn:
            await asyncio.to_thread(
                batches.collect,
                space_id,
                sizes,
                claimant,
                service=service.service,
                account=service.account,
                run_id=self._router.run_id,
                limits=limits,
            )
        self.collected_texts += len(sizes)
        return {size.sha256 for size in sizes}

    def reasons(self, space_id: int, chunk_set_ids: Sequence[int]) -> dict[int, TvdbError]:
        """Why documents of these chunk sets wait that have a text in a job, by document id."""
        waiting = self._router.services.batch_texts.waiting(space_id, chunk_set_ids)
        return {
            document_id: codes.BATCH_PENDING.error(
                job=job_id, service=service, since=f"{since:%Y-%m-%d %H:%M}"
            )
            for document_id, (job_id, since, service) in waiting.items()
        }

    async def submit(self) -> None:
        """Submit the jobs with the texts of this run, at its end."""
        if self.collected_texts:
            await self._router.batch_work.advance(self._router.run_id)


def _is_sendable(text: MissingText, most_tokens: int | None) -> bool:
    is_long = most_tokens is not None and text.tokens > most_tokens
    return bool(text.text) and is_unicode(text.text) and not is_long
