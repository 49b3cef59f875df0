"""A batch of documents from stage to stage.

What belongs here: the order of the stages, the claim on a batch, and what is noted at its
end. What does not: each stage (`preparing`, `indexing`).
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
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
"""Documents stored in one go: a round trip's cost is spread, a crash repeats little."""
BATCH_BYTES = 16 << 20
"""Source bytes held at once; bounds memory whatever the number of documents."""
_PAID_STAGES = {Stage.PARSED_DOCUMENTS: "parse", Stage.EMBEDDINGS: "embed"}
BATCHES = 6
"""Under way at once: enough that processor, database and paid services all have work."""


class IngestionRun:
    """Takes registered documents through some or all stages.

    One for each run: it owns nothing that outlives the call of `run`.
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
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        """Nothing is opened or started yet.

        ``switches`` lets search read the walk's index at the end, if it is complete.
        ``loop_factory`` None is asyncio's own.
        """
        self._store = store
        self._index = index
        self._router = router
        self._loop_factory = loop_factory
        self._chunker = chunker
        self._switches = switches
        self._preparing = ParseStage(store, sources, router, chunker, max_document_bytes)
        self._beside = CurrentIndexSync(store, index, sources, router, chunker, max_document_bytes)
        self._inside = ContainerIngestion(store.members, router)
        self.embedded_texts = 0
        self.cached_texts = 0
        self._is_stopped = False
        self._spans = IngestionSpans(router.services.trace)

    def run(
        self, partition_keys: Sequence[str], stages: frozenset[Stage] = frozenset(Stage)
    ) -> Iterator[list[StageResult]]:
        """Walk these documents; yields the results of each batch once it is stored.

        A few batches are under way at once, each in its own stage: while one waits for the
        database or a paid service, the workers parse and chunk the next. The walk goes on in
        a thread of its own while the caller handles results.

        Raises:
            StorageError: the database is lost; batches that were under way are ended first.
        """
        finished: queue.SimpleQueue[list[StageResult] | None] = queue.SimpleQueue()
        with ThreadPoolExecutor(1, thread_name_prefix="tvdb-walk") as thread:
            walking = thread.submit(self._run, self._walk(partition_keys, stages, finished.put))
            walking.add_done_callback(lambda _: finished.put(None))
            try:
                while (results := finished.get()) is not None:
                    yield results
            finally:
                self._is_stopped = True
            walking.result()

    def _run(self, walk: Coroutine[Any, Any, None]) -> None:
        with (
            run_scope(self._store.run_id),
            asyncio.Runner(loop_factory=self._loop_factory) as runner,
        ):
            runner.run(walk)

    async def _walk(
        self,
        partition_keys: Sequence[str],
        stages: frozenset[Stage],
        done: Callable[[list[StageResult]], None],
    ) -> None:
        indexing = None
        if Stage.EMBEDDINGS in stages:
            indexing = await asyncio.to_thread(EmbedStage, self._index, self._router, self._chunker)
        places = asyncio.Semaphore(BATCHES)
        under_way: list[asyncio.Task[None]] = []
        if indexing is not None:
            under_way.append(asyncio.create_task(asyncio.to_thread(load_client, self._router)))
        try:
            for batch in await asyncio.to_thread(self._batches, partition_keys):
                await places.acquire()
                # One that failed ends the walk; those that are under way are not torn.
                if self._is_stopped or any(t.done() and t.exception() for t in under_way):
                    break
                claim = ExitStack()
                ids = [t.row.document_id for t in batch]
                # In order, and one after the other, so that no two walks wait for each other.
                name = await asyncio.to_thread(claim.enter_context, self._store.claim(ids))
                task = asyncio.create_task(
                    self._take_through(batch, stages, indexing, claim, name, done)
                )
                task.add_done_callback(lambda _: places.release())
                under_way.append(task)
            # Each error is raised, the first one first.
            for task in under_way:
                await task
        finally:
            await asyncio.gather(*under_way, return_exceptions=True)
            await self._router.disconnect()
            self._spans.finish()
        if indexing is not None:
            await asyncio.to_thread(indexing.finish, switches=self._switches)

    async def _take_through(
        self,
        batch: list[DocumentState],
        stages: frozenset[Stage],
        indexing: EmbedStage | None,
        claim: ExitStack,
        name: int,
        done: Callable[[list[StageResult]], None],
    ) -> None:
        """One batch from bytes to publication, under its claim."""
        try:
            began_at = await asyncio.to_thread(self._store.clock)
            # One that was forgotten before it was claimed has nothing to be stored under.
            left = await asyncio.to_thread(self._store.left_of, [t.row.document_id for t in batch])
            batch = [t for t in batch if t.row.document_id in left]
            batch_context = _BatchContext(stages, indexing, name, began_at, done)
            await self._through(batch, batch_context)
        finally:
            await asyncio.to_thread(claim.close)
        done([result for t in batch for result in t.results(stages)])

    async def _through(
        self,
        batch: list[DocumentState],
        batch_context: _BatchContext,
        inside: ContainerScope | None = None,
    ) -> None:
        """Files, or members of one container, and all that is inside of them."""
        stages, indexing = batch_context.stages, batch_context.indexing
        container = inside.container if inside is not None else None
        began = time_ns()
        await asyncio.to_thread(self._preparing.begin, batch, stages, container)
        await self._preparing.finish(batch, stages)
        prepared = time_ns()

        async def through(members: list[DocumentState], within: ContainerScope) -> None:
            await self._through(members, batch_context, within)
            batch_context.done(
                [r for m in members for r in m.results(stages) if r.error is not None]
            )

        for t in batch:
            if t.error is None and (t.holds is not None or t.is_listed):
                await self._inside.walk(t, inside, stages, through)
                t.data = None
        seen = ReadSnapshot(
            batch_context.began_at,
            {t.row.document_id: (t.source, t.content_sha256) for t in batch if t.source},
        )
        if indexing is not None:
            # What search reads comes first, also where money runs out.
            behind = await self._beside.publish_to_current(batch, indexing, batch_context.claim)
            await indexing.embed(batch, batch_context.claim)
            await asyncio.to_thread(indexing.publish, batch, seen)
            _fail_behind(batch, behind)
            self.embedded_texts = indexing.embedded_texts
            self.cached_texts = indexing.cached_texts
        if self._router.clients.pays:
            await asyncio.to_thread(self._note_costs, batch)
        await asyncio.to_thread(self._record, batch, stages, seen)
        results = [result for t in batch for result in t.results(stages)]
        self._spans.batch(results, began, prepared, time_ns())
        if self._router.services.trace.is_on:
            await asyncio.to_thread(self._router.services.publish_gauges)

    def _batches(self, partition_keys: Sequence[str]) -> list[list[DocumentState]]:
        # A document that was forgotten since the run was planned has no row: there is nothing
        # to do. All runs claim in the order of the ids.
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
        """What each document cost in this run: numbers that Dagster plots over time."""
        names = [display_path(t.row.path) for t in batch]
        spent = cost_of_documents(self._router.services.database, self._store.run_id, names)
        for t, name in zip(batch, names, strict=True):
            for stage, operation in _PAID_STAGES.items():
                cost = spent.get((operation, name), DocumentCosts())
                t.note(
                    stage,
                    cost_usd=float(cost.usd),
                    paid_requests=cost.requests,
                    **{f"paid_{cost.unit}s": cost.units} if cost.unit else {},
                )

    def _record(
        self, batch: Sequence[DocumentState], stages: frozenset[Stage], seen: ReadSnapshot
    ) -> None:
        """Write how each document ended; what was published stands."""
        last = max(stages, key=list(Stage).index)
        ended = [t for t in batch if t.error is None]
        if Stage.PARSED_DOCUMENTS in stages and last is Stage.EMBEDDINGS:
            kept = [i for t in ended if t.members is not None for i in t.members.kept]
            self._store.members.delete_vanished([t.row.document_id for t in ended], kept)
        for t in ended:
            if t.members is not None and (verdict := t.members.verdict(t.row.path)) is not None:
                t.fail(verdict[1], verdict[0])
                t.is_current_index_stale = t.members.is_current_index_stale
        failures = [
            DocumentFailure(
                *(t.row.document_id, t.failed_at, t.error, t.is_current_index_stale),
                limits=self._router.clients.limits_fingerprint if t.is_limited else "",
            )
            for t in batch
            if t.error is not None and t.failed_at is not None
        ]
        self._store.record_failures(failures, seen)
        if Stage.PARSED_DOCUMENTS in stages:
            opened = {t.row.document_id for t in batch if t.members is not None}
            self._store.members.container_stopped(
                [
                    f
                    for f in failures
                    if f.stage is Stage.PARSED_DOCUMENTS and f.document_id not in opened
                ],
                seen,
            )
        if last is not Stage.EMBEDDINGS:
            advanced = [
                t.row.document_id for t in batch if t.error is None and t.parsed_id is not None
            ]
            self._store.mark_advanced(advanced, last, seen)
        for t in ended:
            if t.members is not None and t.error is None:
                t.is_degraded = t.is_degraded or t.members.is_degraded
                self._store.members.container_ended(
                    t.row.document_id, last, seen, has_text=t.parsed_id is not None
                )


def _fail_behind(batch: Sequence[DocumentState], behind: Mapping[int, TvdbError]) -> None:
    """A document that search can't show in its new version is not done, wherever else it is."""
    for t in batch:
        error = behind.get(t.row.document_id)
        # What a stand-in made is made again anyway.
        if error is not None and t.error is None and not t.is_degraded:
            t.fail(Stage.EMBEDDINGS, error)
            t.is_current_index_stale = True


@dataclass(frozen=True, slots=True)
class _BatchContext:
    """What holds for a batch and all that is inside of it."""

    stages: frozenset[Stage]
    indexing: EmbedStage | None
    claim: int
    began_at: datetime
    done: Callable[[list[StageResult]], None]
