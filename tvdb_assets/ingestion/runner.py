"""An ingestion run: takes batches of documents through all stages.

What belongs here: the order of the stages, the claim on a batch, and recording the outcomes of its
documents. What does not: the stages themselves (`parse_stage`, `embed_stage`), or the members of
containers (`containers`).
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from time import time_ns
from typing import Any

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.correlation import run_scope
from tvdb_assets.errors import TvdbError
from tvdb_assets.ingestion.containers import ContainerIngestion, ContainerScope
from tvdb_assets.ingestion.current_index_sync import CurrentIndexSync
from tvdb_assets.ingestion.document_state import DocumentState, StageResult
from tvdb_assets.ingestion.embed_stage import EmbedStage, load_client
from tvdb_assets.ingestion.ingestion_spans import IngestionSpans
from tvdb_assets.ingestion.parse_stage import ParseStage
from tvdb_assets.models import Stage
from tvdb_assets.redaction import display_path
from tvdb_assets.reporting.costs import DocumentCosts, cost_of_documents
from tvdb_assets.repositories.document_store import DocumentStore
from tvdb_assets.repositories.index_store import IndexStore
from tvdb_assets.repositories.rows import DocumentFailure, ReadSnapshot
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.sources.source import Source

BATCH_DOCUMENTS = 64
"""Documents in a batch: many enough to share round trips, few enough to repeat after a crash."""
BATCH_BYTES = 16 << 20
"""Source bytes of a batch; limits memory for any number of documents."""
_PAID_STAGES = {Stage.PARSED_DOCUMENTS: "parse", Stage.EMBEDDINGS: "embed"}
BATCHES = 6
"""Batches in progress at once: enough to keep processor, database and paid services busy."""


class IngestionRun:
    """Takes registered documents through some or all stages.

    Create one for each run; it keeps no resources after `run` returns.
    """

    def __init__(
        self,
        *,
        store: DocumentStore,
        index: IndexStore,
        sources: Callable[[str], Source],
        router: ServiceRouter,
        chunker: Chunker,
        max_document_bytes: int,
        switches: bool = False,
        is_deferrable: bool = False,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        """Nothing is opened or started yet.

        ``switches`` lets search read the run's index at the end, if it is complete.
        ``is_deferrable`` says that its documents can wait for a batch job, see `BatchCollector`.
        If ``loop_factory`` is None, asyncio's default loop is used.
        """
        self._store = store
        self._index = index
        self._router = router
        self._loop_factory = loop_factory
        self._chunker = chunker
        self._switches = switches
        self._is_deferrable = is_deferrable
        self._parse_stage = ParseStage(store, sources, router, chunker, max_document_bytes)
        self._current_index_sync = CurrentIndexSync(
            store, index, sources, router, chunker, max_document_bytes
        )
        self._containers = ContainerIngestion(store.members, router)
        self.embedded_texts = 0
        self.cached_texts = 0
        self._is_stopped = False
        self._spans = IngestionSpans(router.services.trace)

    def run(
        self, partition_keys: Sequence[str], stages: frozenset[Stage] = frozenset(Stage)
    ) -> Iterator[list[StageResult]]:
        """Ingest these documents; yields the results of each batch after it is stored.

        A few batches are in progress at once, each in its own stage: while one waits for the
        database or a paid service, the workers parse and chunk the next. The run continues in
        another thread while the caller handles results.

        Raises:
            StorageError: the database is lost; batches that are in progress are ended first.
        """
        finished: queue.SimpleQueue[list[StageResult] | None] = queue.SimpleQueue()
        with ThreadPoolExecutor(1, thread_name_prefix="tvdb-ingestion") as thread:
            running = thread.submit(self._run, self._ingest(partition_keys, stages, finished.put))
            running.add_done_callback(lambda _: finished.put(None))
            try:
                while (results := finished.get()) is not None:
                    yield results
            finally:
                self._is_stopped = True
            running.result()

    def _run(self, ingestion: Coroutine[Any, Any, None]) -> None:
        with (
            run_scope(self._store.run_id),
            asyncio.Runner(loop_factory=self._loop_factory) as runner,
        ):
            runner.run(ingestion)

    async def _ingest(
        self,
        partition_keys: Sequence[str],
        stages: frozenset[Stage],
        done: Callable[[list[StageResult]], None],
    ) -> None:
        embed_stage = None
        if Stage.EMBEDDINGS in stages:
            embed_stage = await asyncio.to_thread(
                partial(
                    EmbedStage,
                    self._index,
                    self._router,
                    self._chunker,
                    is_deferrable=self._is_deferrable,
                )
            )
        free_batches = asyncio.Semaphore(BATCHES)
        tasks: list[asyncio.Task[None]] = []
        if embed_stage is not None:
            tasks.append(asyncio.create_task(asyncio.to_thread(load_client, self._router)))
        try:
            batches = await asyncio.to_thread(self._batches, partition_keys)
            self._router.services.texts_at_risk.expect(sum(map(len, batches)))
            for batch in batches:
                await free_batches.acquire()
                # A task that failed ends the run; the others are not cancelled.
                if self._is_stopped or any(task.done() and task.exception() for task in tasks):
                    break
                claim = ExitStack()
                ids = [document.row.document_id for document in batch]
                # In id order, one batch at a time, so that two runs cause no deadlock.
                claim_key = await asyncio.to_thread(claim.enter_context, self._store.claim(ids))
                task = asyncio.create_task(
                    self._process_claimed(batch, stages, embed_stage, claim, claim_key, done)
                )
                task.add_done_callback(lambda _: free_batches.release())
                tasks.append(task)
            # The error of the first failed task is raised.
            for task in tasks:
                await task
            if embed_stage is not None:
                await embed_stage.submit_batches()
        finally:
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._router.disconnect()
            self._spans.finish()
        if embed_stage is not None:
            await asyncio.to_thread(embed_stage.finish, switches=self._switches)

    async def _process_claimed(
        self,
        batch: list[DocumentState],
        stages: frozenset[Stage],
        embed_stage: EmbedStage | None,
        claim: ExitStack,
        claim_key: int,
        done: Callable[[list[StageResult]], None],
    ) -> None:
        """Process one batch from bytes to publication, and release its claim."""
        try:
            began_at = await asyncio.to_thread(self._store.clock)
            # A document that was deleted before the claim no longer has a row.
            present = await asyncio.to_thread(
                self._store.still_registered, [document.row.document_id for document in batch]
            )
            batch = [document for document in batch if document.row.document_id in present]
            batch_context = _BatchContext(stages, embed_stage, claim_key, began_at, done)
            await self._process(batch, batch_context)
        finally:
            await asyncio.to_thread(claim.close)
        done([result for document in batch for result in document.results(stages)])

    async def _process(
        self,
        batch: list[DocumentState],
        batch_context: _BatchContext,
        scope: ContainerScope | None = None,
    ) -> None:
        """Process files, or members of one container, with all of their members."""
        stages, embed_stage = batch_context.stages, batch_context.embed_stage
        container = scope.container if scope is not None else None
        began = time_ns()
        await asyncio.to_thread(self._parse_stage.begin, batch, stages, container)
        await self._parse_stage.finish(batch, stages)
        prepared = time_ns()

        async def process_members(
            members: list[DocumentState], members_scope: ContainerScope
        ) -> None:
            await self._process(members, batch_context, members_scope)
            batch_context.done(
                [
                    result
                    for member in members
                    for result in member.results(stages)
                    if result.error is not None
                ]
            )

        for document in batch:
            if document.error is None and (
                document.container_media_type is not None or document.is_listed
            ):
                await self._containers.ingest(document, scope, stages, process_members)
                document.data = None
        snapshot = ReadSnapshot(
            batch_context.began_at,
            {
                document.row.document_id: (document.source, document.content_sha256)
                for document in batch
                if document.source
            },
        )
        if embed_stage is not None:
            # The index that search reads is updated first, because the budget may not cover both.
            stale = await self._current_index_sync.publish_to_current(
                batch, embed_stage, batch_context.claim
            )
            await embed_stage.embed(batch, batch_context.claim)
            await asyncio.to_thread(embed_stage.publish, batch, snapshot)
            _fail_stale_in_current_index(batch, stale)
            self.embedded_texts = embed_stage.embedded_texts
            self.cached_texts = embed_stage.cached_texts
        if self._router.clients.pays:
            await asyncio.to_thread(self._note_costs, batch)
        await asyncio.to_thread(self._record, batch, stages, snapshot)
        results = [result for document in batch for result in document.results(stages)]
        self._spans.batch(results, began, prepared, time_ns())
        if self._router.services.trace.is_on:
            await asyncio.to_thread(self._router.services.publish_gauges)

    def _batches(self, partition_keys: Sequence[str]) -> list[list[DocumentState]]:
        # A document that was deleted after the run was planned has no row, and is skipped.
        # All runs claim documents in the order of their ids.
        rows = sorted(self._store.rows(partition_keys), key=lambda row: row.document_id)
        batches: list[list[DocumentState]] = []
        size = 0
        for row in rows:
            if not batches or len(batches[-1]) == BATCH_DOCUMENTS or size + row.size > BATCH_BYTES:
                batches.append([])
                size = 0
            batches[-1].append(DocumentState(row))
            size += row.size
        return batches

    def _note_costs(self, batch: Sequence[DocumentState]) -> None:
        """Add each document's cost in this run to its metadata; Dagster plots the numbers."""
        names = [display_path(document.row.path) for document in batch]
        spent = cost_of_documents(self._router.services.database, self._store.run_id, names)
        for document, name in zip(batch, names, strict=True):
            for stage, operation in _PAID_STAGES.items():
                cost = spent.get((operation, name), DocumentCosts())
                document.note(
                    stage,
                    cost_usd=float(cost.usd),
                    paid_requests=cost.requests,
                    **{f"paid_{cost.unit}s": cost.units} if cost.unit else {},
                )

    def _record(
        self, batch: Sequence[DocumentState], stages: frozenset[Stage], snapshot: ReadSnapshot
    ) -> None:
        """Record the outcome of each document; published versions stay published."""
        last = max(stages, key=list(Stage).index)
        ended = [document for document in batch if document.error is None]
        if Stage.PARSED_DOCUMENTS in stages and last is Stage.EMBEDDINGS:
            kept = [
                document_id
                for document in ended
                if document.members is not None
                for document_id in document.members.kept
            ]
            self._store.members.delete_vanished(
                [document.row.document_id for document in ended], kept
            )
        for document in ended:
            if (
                document.members is not None
                and (verdict := document.members.verdict(document.row.path)) is not None
            ):
                document.fail(verdict[1], verdict[0])
                document.is_current_index_stale = document.members.is_current_index_stale
        failures = [
            DocumentFailure(
                *(
                    document.row.document_id,
                    document.failed_at,
                    document.error,
                    document.is_current_index_stale,
                ),
                limits=self._router.clients.limits_fingerprint if document.is_limited else "",
            )
            for document in batch
            if document.error is not None and document.failed_at is not None
        ]
        self._store.record_failures(failures, snapshot)
        if Stage.PARSED_DOCUMENTS in stages:
            opened = {
                document.row.document_id for document in batch if document.members is not None
            }
            self._store.members.record_stopped_containers(
                [
                    f
                    for f in failures
                    if f.stage is Stage.PARSED_DOCUMENTS and f.document_id not in opened
                ],
                snapshot,
            )
        if last is not Stage.EMBEDDINGS:
            advanced = [
                document.row.document_id
                for document in batch
                if document.error is None and document.parsed_id is not None
            ]
            self._store.mark_advanced(advanced, last, snapshot)
        for document in ended:
            if document.members is not None and document.error is None:
                document.is_degraded = document.is_degraded or document.members.is_degraded
                self._store.members.record_processed_container(
                    document.row.document_id,
                    last,
                    snapshot,
                    has_text=document.parsed_id is not None,
                )


def _fail_stale_in_current_index(
    batch: Sequence[DocumentState], errors: Mapping[int, TvdbError]
) -> None:
    """Mark documents as failed whose new version is not in the index that search reads.

    This applies even if they are published in the run's own index.

    Args:
        batch: the documents.
        errors: errors of the current index, by document id.
    """
    for document in batch:
        error = errors.get(document.row.document_id)
        # A degraded document is processed again anyway.
        if error is not None and document.error is None and not document.is_degraded:
            document.fail(Stage.EMBEDDINGS, error)
            document.is_current_index_stale = True


@dataclass(frozen=True, slots=True)
class _BatchContext:
    """The values that all documents and members of a batch share."""

    stages: frozenset[Stage]
    embed_stage: EmbedStage | None
    claim: int
    """Key of the claim of the batch."""
    began_at: datetime
    done: Callable[[list[StageResult]], None]
