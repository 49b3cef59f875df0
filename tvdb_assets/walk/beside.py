"""The index that search reads, kept fresh while a run builds another one beside it.

What belongs here: which index that is, whether this run may and can add to it, and taking a
batch's documents through it. What does not: the run's own index (`indexing`), or when search
reads which (`storage.switching`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from tvdb_assets.errors import TvdbError
from tvdb_assets.models import Stage
from tvdb_assets.pipeline.chunking import Chunker
from tvdb_assets.services.router import ServiceRouter
from tvdb_assets.settings import ServiceMode
from tvdb_assets.storage.documents import DocumentStore
from tvdb_assets.storage.index import IndexStore
from tvdb_assets.storage.source import Source
from tvdb_assets.storage.switching import CurrentIndex
from tvdb_assets.walk.indexing import Indexing, for_one, sets_of
from tvdb_assets.walk.preparing import Preparing
from tvdb_assets.walk.traveller import Traveller

_STAGES = frozenset({Stage.CHUNKS, Stage.EMBEDDINGS})


class Beside:
    """Takes a run's documents through the index that search reads, if it is another one."""

    def __init__(
        self,
        store: DocumentStore,
        index: IndexStore,
        sources: Callable[[str], Source],
        router: ServiceRouter,
        max_bytes: int,
    ) -> None:
        self._store = store
        self._index = index
        self._sources = sources
        self._router = router
        self._max_bytes = max_bytes

    async def take_along(
        self, batch: Sequence[Traveller], indexing: Indexing, claim: int
    ) -> dict[int, TvdbError]:
        """Show the texts of these documents in the index that search reads, by its own recipe.

        Args:
            batch: documents whose texts are stored.
            indexing: of the run's own index.
            claim: of the batch.

        Returns:
            By document id: why search goes on showing what it showed of a document.
        """
        if ServiceMode.MOCK in (self._router.parser_mode, self._router.embedder_mode):
            return {}
        # Looked up for each batch, because a switch may come at any time.
        current = await asyncio.to_thread(self._index.indexes.current)
        if current is None or current.index_id == indexing.index_id:
            return {}
        chunker = _chunker_of(current)
        embedder = self._router.embedder_in(current.space)
        if chunker is None or embedder is None:
            return {}
        aside = [
            Traveller(t.row, parsed_id=t.parsed_id)
            for t in batch
            # Not what a stand-in, or another mode's parser, made of it.
            if t.parsed_id is not None and t.fingerprint == self._router.parser_fingerprint
        ]
        preparing = Preparing(self._store, self._sources, self._router, chunker, self._max_bytes)
        await asyncio.to_thread(preparing.begin, aside, _STAGES)
        await preparing.finish(aside, _STAGES)
        await indexing.embed_aside(embedder, current.space_id, aside, claim)
        ready = sets_of([t for t in aside if t.is_walking])
        await asyncio.to_thread(self._index.publish, current.index_id, ready, is_aside=True)
        return {
            t.row.document_id: for_one(t.error, "In the index that search reads: ")
            for t in aside
            if t.error is not None
        }


def _chunker_of(index: CurrentIndex) -> Chunker | None:
    """What cuts texts as the index has them; None if this version would cut them elsewhere."""
    if index.chunk_tokens is None or index.chunk_overlap_tokens is None:
        return None
    chunker = Chunker(index.chunk_tokens, index.chunk_overlap_tokens)
    return chunker if chunker.fingerprint == index.chunker else None
