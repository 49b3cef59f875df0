"""A batch of documents from stage to stage.

What belongs here: the order of the stages, the claim on a batch, and what is noted at its
end. What does not: each stage (`preparing`, `indexing`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import TypeAlias

from tvdb_assets.models import Stage
from tvdb_assets.pipeline.chunking import Chunker
from tvdb_assets.services.router import ServiceRouter
from tvdb_assets.storage.documents import DocumentStore, Failure
from tvdb_assets.storage.index import IndexStore
from tvdb_assets.storage.source import Source
from tvdb_assets.walk.indexing import Indexing
from tvdb_assets.walk.preparing import Preparing
from tvdb_assets.walk.traveller import Result, Traveller

BATCH_DOCUMENTS = 64
"""Documents stored in one go: a round trip's cost is spread, a crash repeats little."""
BATCH_BYTES = 16 << 20
"""Source bytes held at once; bounds memory whatever the number of documents."""

_Claimed: TypeAlias = tuple[list[Traveller], ExitStack]


class Walk:
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
    ) -> None:
        """Nothing is opened or started yet."""
        self._store = store
        self._index = index
        self._router = router
        self._preparing = Preparing(store, sources, router, chunker, max_document_bytes)
        self.embedded_texts = 0
        self.cached_texts = 0

    def run(
        self, partition_keys: Sequence[str], stages: frozenset[Stage] = frozenset(Stage)
    ) -> Iterator[list[Result]]:
        """Walk these documents; yields the results of each batch once it is stored.

        Raises:
            StorageError: the database is lost.
        """
        # One loop for all batches, so that connections to paid services are used again.
        with asyncio.Runner() as runner, ExitStack() as stack:
            stack.callback(lambda: runner.run(self._router.disconnect()))
            indexing = None
            if Stage.EMBEDDINGS in stages:
                holder = (
                    stack.enter_context(self._index.holder()) if self._router.pays_texts else None
                )
                indexing = Indexing(self._index, self._router, holder)
            # While one batch is stored and embedded, the workers parse and chunk the next.
            ahead: _Claimed | None = None
            for batch in self._batches(partition_keys):
                claim = stack.enter_context(ExitStack())
                claim.enter_context(self._store.claim([t.row.document_id for t in batch]))
                self._preparing.begin(batch, stages)
                if ahead is not None:
                    yield self._finish(ahead, stages, indexing, runner)
                ahead = (batch, claim)
            if ahead is not None:
                yield self._finish(ahead, stages, indexing, runner)
            if indexing is not None:
                indexing.finish()

    def _finish(
        self,
        claimed: _Claimed,
        stages: frozenset[Stage],
        indexing: Indexing | None,
        runner: asyncio.Runner,
    ) -> list[Result]:
        batch, claim = claimed
        with claim:
            runner.run(self._preparing.finish(batch, stages))
            if indexing is not None:
                runner.run(indexing.embed(batch))
                indexing.publish(batch)
                self.embedded_texts = indexing.embedded_texts
                self.cached_texts = indexing.cached_texts
            self._record(batch, stages)
        return [result for t in batch for result in t.results(stages)]

    def _batches(self, partition_keys: Sequence[str]) -> Iterator[list[Traveller]]:
        # All runs claim in the order of the ids, so that no two wait for each other. A document
        # that was forgotten since the run was planned has no row: there is nothing to do.
        rows = sorted(self._store.rows(partition_keys), key=lambda row: row.document_id)
        batch: list[Traveller] = []
        size = 0
        for row in rows:
            if batch and (len(batch) == BATCH_DOCUMENTS or size + row.size > BATCH_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(Traveller(row))
            size += row.size
        if batch:
            yield batch

    def _record(self, batch: Sequence[Traveller], stages: frozenset[Stage]) -> None:
        """Write how each document ended; what was published stands."""
        self._store.record_contents(
            {
                t.row.document_id: (t.source.size, t.source.etag, t.content_sha256)
                for t in batch
                if t.source is not None and t.content_sha256 is not None
            }
        )
        self._store.record_failures(
            [
                Failure(t.row.document_id, t.failed_at, t.error)
                for t in batch
                if t.error is not None and t.failed_at is not None
            ]
        )
        if Stage.EMBEDDINGS not in stages:
            last = max(stages, key=list(Stage).index)
            advanced = [t.row.document_id for t in batch if t.error is None]
            self._store.mark_advanced(advanced, last)
