"""From chunks to search: vectors for the texts that have none, then publication.

What belongs here: which documents are complete, and what becomes of those that are not.
What does not: requests and their cost (`routing`, `spend_guard`), or statements
(`repositories.index_store`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.embedding.embedder_protocol import AnyEmbedder, Vectors, paid_embedder
from tvdb_assets.embedding.embedding_result import TextToEmbed
from tvdb_assets.errors import EmbeddingError, ServiceError, TvdbError
from tvdb_assets.ingestion.document_state import DocumentState
from tvdb_assets.models import Provenance, Stage
from tvdb_assets.redaction import display_path
from tvdb_assets.repositories.index_store import IndexStore, MissingText
from tvdb_assets.repositories.rows import ReadSnapshot, StoredChunkSet
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.spend_guard.guard import Transaction

FREE_TEXTS = 1_024
"""Texts embedded and stored in one go: 6 MB of vectors of 1,536 dimensions."""
PAID_TEXTS = 8_192
"""Texts claimed in one go: enough to keep many requests in flight."""
_MOST_WITHOUT_WORDS = 1_500
"""Documents; more than a run has by default."""
_CLAIMED_ELSEWHERE_SECONDS = 0.25


class EmbedStage:
    """Makes the vectors of one run, in the space of its embedder, and publishes documents."""

    def __init__(self, index: IndexStore, router: ServiceRouter, chunker: Chunker) -> None:
        """The run's space and index are made if they are new.

        Args:
            index: where vectors and publications are stored.
            router: chooses the embedder.
            chunker: of all chunks that are published.
        """
        self._index = index
        self._router = router
        self._chunker = chunker
        embedder = router.clients.embedder
        self._space_id = index.space_id(embedder.space, is_mock=embedder.produced_by.mode == "mock")
        self.index_id = index.index_id(self._space_id, chunker)
        self._fallback_ids: tuple[int, int] | None = None
        """Of the space and index of the fallback embedder."""
        self.embedded_texts = 0
        self.cached_texts = 0

    async def embed(self, batch: Sequence[DocumentState], claim: int) -> None:
        """Make what vectors these documents lack; who still lacks one fails, waits or degrades.

        Args:
            batch: documents with their chunks stored.
            claim: of the batch; texts are claimed under it, so that none is paid for twice.
        """
        # A text that a stand-in made is not worth paying for: it goes when the real one comes.
        degraded = [t for t in batch if t.is_active and t.is_parse_degraded]
        real = [t for t in batch if t.is_active and not t.is_parse_degraded]
        error = await self._make(self._router.clients.embedder, self._space_id, real, claim)
        if error is not None:
            halted = self._incomplete(real, self._space_id)
            if self._router.may_fall_back(error, self._router.clients.embedder_mode):
                degraded += halted
            else:
                for t in halted:
                    t.fail(Stage.EMBEDDINGS, for_one(error))
        if degraded:
            fallback_embedder = self._router.clients.fallback_embedder
            if self._fallback_ids is None:
                space_id = self._index.space_id(fallback_embedder.space, is_fallback=True)
                self._fallback_ids = space_id, self._index.index_id(space_id, self._chunker)
            await self._make(fallback_embedder, self._fallback_ids[0], degraded, claim)
            for t in degraded:
                t.is_degraded = t.error is None

    async def embed_for_index(
        self,
        embedder: AnyEmbedder,
        space_id: int,
        batch: Sequence[DocumentState],
        claim: int,
    ) -> None:
        """As `embed`, in another space than the run's, where nothing ever stands in.

        What was published there of a document that fails or waits stays.
        """
        walking = [t for t in batch if t.is_active]
        error = await self._make(embedder, space_id, walking, claim)
        if error is not None:
            for t in self._incomplete(walking, space_id):
                t.fail(Stage.EMBEDDINGS, for_one(error))

    def _incomplete(self, batch: Sequence[DocumentState], space_id: int) -> list[DocumentState]:
        """Who lacks a vector, for no fault of its own."""
        lacking = self._index.incomplete(space_id, [s.chunk_set_id for s in sets_of(batch)])
        return [t for t in batch if t.row.document_id in lacking and t.error is None]

    async def _make(
        self,
        embedder: AnyEmbedder,
        space_id: int,
        walking: list[DocumentState],
        claim: int,
    ) -> ServiceError | None:
        """Embed each text that the space does not know, and store it as it arrives.

        Returns:
            Why some texts have no vector, where it is no fault of theirs.
        """
        sets = [chunk_set.chunk_set_id for chunk_set in sets_of(walking)]
        if not sets:
            return None
        holder = claim if paid_embedder(embedder) is not None else None
        refused: dict[bytes, EmbeddingError] = {}
        embedded = 0
        halted: ServiceError | None = None
        started = perf_counter()
        while halted is None:
            limit = FREE_TEXTS if holder is None else PAID_TEXTS
            texts = await asyncio.to_thread(
                self._index.claim_missing, space_id, sets, holder, list(refused), limit
            )
            if not texts:
                if holder is None or not await asyncio.to_thread(
                    self._index.claim_missing, space_id, sets, None, list(refused), 1
                ):
                    break
                # Others are having them embedded right now.
                await asyncio.sleep(_CLAIMED_ELSEWHERE_SECONDS)
                continue
            load = _Load(self._index, space_id, texts)
            try:
                made = await self._router.embed_by(
                    embedder,
                    [TextToEmbed(t.text, t.tokens, display_path(t.document)) for t in texts],
                    load.persist,
                )
                refused.update({texts[i].sha256: error for i, error in made.errors.items()})
            except ServiceError as error:
                halted = error
            embedded += load.stored
            if holder is not None and (halted is not None or refused):
                await asyncio.to_thread(self._index.release, holder)
        seconds = perf_counter() - started
        if refused:
            by_id = {t.row.document_id: t for t in walking}
            for document_id, text in self._index.documents_with_text(sets, list(refused)):
                by_id[document_id].fail(Stage.EMBEDDINGS, for_one(refused[text]))
        self._count(embedder, walking, embedded, len(refused), seconds)
        return halted

    def _count(
        self,
        embedder: AnyEmbedder,
        walking: list[DocumentState],
        embedded: int,
        refused: int,
        seconds: float,
    ) -> None:
        chunks = sum(chunk_set.chunk_count for chunk_set in sets_of(walking))
        self.embedded_texts += embedded
        self.cached_texts += max(0, chunks - embedded - refused)
        for t in walking:
            if t.chunk_set is not None:
                share = t.chunk_set.chunk_count / max(1, chunks)
                t.note(
                    Stage.EMBEDDINGS,
                    chunks=t.chunk_set.chunk_count,
                    tokens=t.chunk_set.token_count,
                    dimensions=embedder.space.dimensions,
                    vector_space=embedder.space.label,
                    mode=embedder.produced_by.mode,
                    is_degraded=embedder.produced_by.is_degraded or t.is_parse_degraded,
                    seconds=round(seconds * share, 4),
                )

    def publish(self, batch: Sequence[DocumentState], seen: ReadSnapshot) -> None:
        """Show the documents that are complete, each in the space that its vectors are in."""
        ready = [t for t in batch if t.is_active]
        real = [t for t in ready if not t.is_degraded]
        changed = self._index.publish(self.index_id, sets_of(real), seen)
        degraded = [t for t in ready if t.is_degraded]
        if degraded and self._fallback_ids is not None:
            changed |= self._index.publish(
                self._fallback_ids[1], sets_of(degraded), seen, is_degraded=True
            )
        for t in ready:
            t.note(Stage.EMBEDDINGS, unchanged=t.row.document_id not in changed)

    def finish(self, *, switches: bool) -> None:
        """With ``switches``, let search read the run's index, if it lacks nothing."""
        if switches:
            self._index.indexes.switch_if_complete(self.index_id)
        # The first search after a run takes the words out of its texts, in a second or two;
        # what several runs have left would be too much for it.
        self._index.index_full_text(at_least=_MOST_WITHOUT_WORDS)


class _Load:
    """Stores the vectors of one load as they arrive."""

    def __init__(self, index: IndexStore, space_id: int, texts: Sequence[MissingText]) -> None:
        self._index = index
        self._space_id = space_id
        self._texts = texts
        self.stored = 0

    def persist(
        self,
        tx: Transaction | None,
        positions: Sequence[int],
        vectors: Vectors,
        produced_by: Provenance,
    ) -> None:
        texts = [(self._texts[i].sha256, self._texts[i].tokens) for i in positions]
        self._index.store_vectors(self._space_id, texts, vectors, produced_by, tx=tx)
        self.stored += len(texts)


def load_client(router: ServiceRouter) -> None:
    """Load what the first paid request needs, while documents are being parsed."""
    if router.clients.paid_embedder is not None:
        router.clients.paid_embedder.load()


def sets_of(document_states: Sequence[DocumentState]) -> list[StoredChunkSet]:
    """The chunk sets of those that have one."""
    return [t.chunk_set for t in document_states if t.chunk_set is not None]


def for_one(error: TvdbError, where: str = "") -> TvdbError:
    """A copy that can name one document, where many meet the same error."""
    copy = type(error).restored(
        error.code, where + error.message, remedy=error.remedy, disposition=error.disposition
    )
    copy.__cause__ = error.__cause__ or error
    return copy
