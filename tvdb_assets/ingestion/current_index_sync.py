"""The index that search reads, kept up to date while a run builds another index.

What belongs here: finding the current index, whether this run may and can add to it, and
publishing the documents of a batch in it. What does not: the run's own index (`embed_stage`), or
which index search reads (`repositories.index_catalog`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.embedding.embedder_protocol import AnyEmbedder
from tvdb_assets.errors import TvdbError
from tvdb_assets.ingestion.document_state import DocumentState
from tvdb_assets.ingestion.embed_stage import EmbedStage, for_one, sets_of
from tvdb_assets.ingestion.parse_stage import ParseStage
from tvdb_assets.models import Stage
from tvdb_assets.repositories.document_store import DocumentStore
from tvdb_assets.repositories.index_catalog import CurrentIndex, IndexCatalog
from tvdb_assets.repositories.index_store import IndexStore
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import ServiceMode
from tvdb_assets.sources.source import Source

_STAGES = frozenset({Stage.CHUNKS, Stage.EMBEDDINGS})


@dataclass(frozen=True, slots=True)
class CurrentIndexPipeline:
    """The chunker and the embedder of the index that search reads."""

    index: CurrentIndex
    chunker: Chunker
    embedder: AnyEmbedder


def current_index_pipeline(
    indexes: IndexCatalog, router: ServiceRouter, chunker: Chunker
) -> CurrentIndexPipeline | None:
    """The pipeline of the index that search reads, for a run with this router and chunker.

    Returns:
        None if it is the run's own index, or if the run can't add to it: the run has a mock, the
        embedder would cost money in a free mode, or another code version created the chunks.
    """
    current, clients = indexes.current(), router.clients
    if current is None or ServiceMode.MOCK in (clients.parser_mode, clients.embedder_mode):
        return None
    if current.space == clients.embedder.space and current.chunker == chunker.fingerprint:
        return None
    theirs, embedder = _chunker_of(current), clients.embedder_in(current.space)
    if theirs is None or embedder is None:
        return None
    return CurrentIndexPipeline(current, theirs, embedder)


class CurrentIndexSync:
    """Publishes a run's documents in the index that search reads, if that is not the run's own."""

    def __init__(
        self,
        store: DocumentStore,
        index: IndexStore,
        sources: Callable[[str], Source],
        router: ServiceRouter,
        chunker: Chunker,
        max_bytes: int,
    ) -> None:
        self._store = store
        self._index = index
        self._sources = sources
        self._router = router
        self._chunker = chunker
        self._max_bytes = max_bytes

    async def publish_to_current(
        self, batch: Sequence[DocumentState], embed_stage: EmbedStage, claim: int
    ) -> dict[int, TvdbError]:
        """Publish these documents in the index that search reads, with the pipeline of that index.

        Args:
            batch: documents whose texts are stored.
            embed_stage: the embed stage of the run's own index.
            claim: key of the claim of the batch.

        Returns:
            Errors of documents whose earlier version is still in that index, by document id.
        """
        # Looked up for each batch, because the index may be switched at any time.
        pipeline = await asyncio.to_thread(
            current_index_pipeline, self._index.indexes, self._router, self._chunker
        )
        if pipeline is None:
            return {}
        documents = [
            DocumentState(document.row, parsed_id=document.parsed_id)
            for document in batch
            # Texts of a fallback or of another mode's parser are excluded.
            if document.parsed_id is not None
            and self._router.clients.is_text_of_run(document.fingerprint)
        ]
        if not documents:
            return {}
        parse_stage = ParseStage(
            self._store, self._sources, self._router, pipeline.chunker, self._max_bytes
        )
        await asyncio.to_thread(parse_stage.begin, documents, _STAGES)
        await parse_stage.finish(documents, _STAGES)
        index = pipeline.index
        await embed_stage.embed_for_index(pipeline.embedder, index.space_id, documents, claim)
        ready = sets_of([document for document in documents if document.is_active])
        await asyncio.to_thread(self._index.publish, index.index_id, ready, None)
        return {
            document.row.document_id: for_one(document.error, "In the index that search reads: ")
            for document in documents
            if document.error is not None
        }


def _chunker_of(index: CurrentIndex) -> Chunker | None:
    """The chunker of the index; None if this version of the code would create other chunks."""
    if index.chunk_tokens is None or index.chunk_overlap_tokens is None:
        return None
    chunker = Chunker(index.chunk_tokens, index.chunk_overlap_tokens)
    return chunker if chunker.fingerprint == index.chunker else None
