"""The embed stage: creates vectors for texts that have none, then publishes the documents.

What belongs here: which documents are complete, and the outcome of incomplete ones.
What does not: requests and their cost (`routing`, `spend_guard`), or statements
(`repositories.index_store`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from time import perf_counter

from tvdb_assets import error_codes as codes
from tvdb_assets.core.chunking import Chunker
from tvdb_assets.embedding.embedder_protocol import (
    AnyEmbedder,
    PaidEmbedder,
    Vectors,
    is_undiscovered,
    paid_embedder,
)
from tvdb_assets.embedding.embedding_result import TextToEmbed
from tvdb_assets.errors import EmbeddingError, ServiceError, TvdbError
from tvdb_assets.ingestion.batch_collection import BatchCollector
from tvdb_assets.ingestion.document_state import DocumentState
from tvdb_assets.models import Provenance, Stage
from tvdb_assets.redaction import display_path
from tvdb_assets.repositories.index_store import IndexStore, MissingText
from tvdb_assets.repositories.leases import ensure_claimed
from tvdb_assets.repositories.rows import ReadSnapshot, StoredChunkSet
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.spend_guard.guard import Transaction

FREE_TEXTS = 1_024
"""Texts that are embedded and stored together: 6 MB of vectors of 1,536 dimensions."""
PAID_TEXTS = 8_192
"""Texts that are claimed together: enough to keep many requests in flight."""
_CLAIMED_ELSEWHERE_SECONDS = 0.25


class EmbedStage:
    """Embeds the documents of one run, in the space of its embedder, and publishes them."""

    def __init__(
        self,
        index: IndexStore,
        router: ServiceRouter,
        chunker: Chunker,
        *,
        is_deferrable: bool = False,
    ) -> None:
        """Create the run's space and index if they are new.

        Args:
            index: stores vectors and publications.
            router: chooses the embedder.
            chunker: the chunker of all published chunks.
            is_deferrable: see `BatchCollector`.
        """
        self._batches = BatchCollector(router, is_deferrable=is_deferrable)
        self._index = index
        self._router = router
        self._chunker = chunker
        self._ids: tuple[int, int] | None = None
        """Ids of the space and the index of the run's embedder; None while the length of its
        vectors is not known."""
        if not is_undiscovered(router.clients.embedder):
            self._create_index()
        self._fallback_ids: tuple[int, int] | None = None
        """Ids of the space and the index of the fallback embedder."""
        self.embedded_texts = 0
        self.cached_texts = 0

    def _create_index(self) -> None:
        embedder = self._router.clients.embedder
        is_mock = embedder.produced_by.mode == "mock"
        space_id = self._index.space_id(embedder.space, is_mock=is_mock)
        self._ids = space_id, self._index.index_id(space_id, self._chunker)

    async def embed(self, batch: Sequence[DocumentState], claim: int) -> None:
        """Embed the texts of these documents that have no vector yet.

        A document that still lacks a vector fails, is deferred, or is degraded.

        Args:
            batch: documents with their chunks stored.
            claim: key of the claim of the batch; texts are claimed with it, so that none is paid
                for twice.
        """
        # The text of a fallback parser is not worth paying for: it will be replaced.
        degraded = [
            document for document in batch if document.is_active and document.is_parse_degraded
        ]
        real = [
            document for document in batch if document.is_active and not document.is_parse_degraded
        ]
        self._router.services.texts_at_risk.see(len(batch))
        error = await self._discover() if real else None
        if error is None and self._ids is not None:
            error = await self._embed_missing(
                self._router.clients.embedder, self._ids[0], real, claim
            )
        if error is not None:
            halted = real if self._ids is None else self._incomplete(real, self._ids[0])
            if self._router.may_fall_back(error, self._router.clients.embedder_mode):
                degraded += halted
            else:
                for document in halted:
                    document.fail(Stage.EMBEDDINGS, for_one(error))
        if degraded:
            fallback_embedder = self._router.clients.fallback_embedder
            if self._fallback_ids is None:
                space_id = self._index.space_id(fallback_embedder.space, is_fallback=True)
                self._fallback_ids = space_id, self._index.index_id(space_id, self._chunker)
            await self._embed_missing(fallback_embedder, self._fallback_ids[0], degraded, claim)
            for document in degraded:
                document.is_degraded = document.error is None

    async def _discover(self) -> ServiceError | None:
        """Create the run's index, if the length of its vectors was not known before."""
        try:
            await self._router.discover(self._router.clients.embedder)
        except ServiceError as error:
            return error
        if self._ids is None:
            await asyncio.to_thread(self._create_index)
        return None

    async def embed_for_index(
        self,
        embedder: AnyEmbedder,
        space_id: int,
        batch: Sequence[DocumentState],
        claim: int,
    ) -> None:
        """Embed texts in a space that is not the run's own, without a fallback.

        A document that fails or is deferred keeps its published version in that index.
        """
        documents = [document for document in batch if document.is_active]
        error = await self._embed_missing(embedder, space_id, documents, claim)
        if error is not None:
            for document in self._incomplete(documents, space_id):
                document.fail(Stage.EMBEDDINGS, for_one(error))

    def _incomplete(self, batch: Sequence[DocumentState], space_id: int) -> list[DocumentState]:
        """The documents without an error that lack a vector."""
        lacking = self._index.incomplete(space_id, [s.chunk_set_id for s in sets_of(batch)])
        return [
            document
            for document in batch
            if document.row.document_id in lacking and document.error is None
        ]

    async def _embed_missing(
        self,
        embedder: AnyEmbedder,
        space_id: int,
        documents: list[DocumentState],
        claim: int,
    ) -> ServiceError | None:
        """Embed each text without a vector in the space, and store each vector on arrival.

        Returns:
            The service error that prevented vectors; None if there was none.
        """
        sets = [chunk_set.chunk_set_id for chunk_set in sets_of(documents)]
        if not sets:
            return None
        paid = paid_embedder(embedder)
        claimant = claim if paid is not None else None
        check_claim = None if claimant is None else partial(ensure_claimed, holder=claimant)
        refused: dict[bytes, EmbeddingError] = {}
        embedded = 0
        batched = 0
        waits_for_batch = False
        halted: ServiceError | None = None
        started = perf_counter()
        while halted is None:
            limit = FREE_TEXTS if claimant is None else PAID_TEXTS
            request = None
            if paid is not None:
                request = await asyncio.to_thread(lambda: paid.request_fingerprint)
                # Their answers were paid for, by this or another process.
                refused |= await asyncio.to_thread(
                    self._index.refused_texts, space_id, request, sets
                )
            texts = await asyncio.to_thread(
                self._index.claim_missing, space_id, sets, claimant, list(refused), limit, request
            )
            if not texts:
                if claimant is None or not await asyncio.to_thread(
                    self._index.claim_missing, space_id, sets, None, list(refused), 1
                ):
                    break
                waits_for_batch = not await asyncio.to_thread(
                    self._index.is_embedded_elsewhere, space_id, sets, list(refused)
                )
                if waits_for_batch:
                    break
                # Other processes are embedding them right now.
                await asyncio.sleep(_CLAIMED_ELSEWHERE_SECONDS)
                continue
            if claimant is not None:
                taken = await self._batches.take(embedder, space_id, texts, claimant)
                batched += len(taken)
                texts = [text for text in texts if text.sha256 not in taken]
                if not texts:
                    continue
            writer = _VectorWriter(self._index, space_id, texts, paid)
            try:
                result = await self._router.embed_by(
                    embedder,
                    [
                        TextToEmbed(text.text, text.tokens, display_path(text.document))
                        for text in texts
                    ],
                    writer.persist,
                    check_claim,
                    persist_errors=writer.persist_errors,
                )
                refused.update({texts[i].sha256: error for i, error in result.errors.items()})
            except ServiceError as error:
                halted = error
            embedded += writer.stored
            if claimant is not None and (halted is not None or refused):
                await asyncio.to_thread(self._index.release, claimant)
        seconds = perf_counter() - started
        if refused:
            by_id = {document.row.document_id: document for document in documents}
            for document_id, text in self._index.documents_with_text(sets, list(refused)):
                by_id[document_id].fail(Stage.EMBEDDINGS, for_one(refused[text]))
        if waits_for_batch or batched:
            await asyncio.to_thread(
                self._defer_to_batches, documents, space_id, is_whole=halted is None
            )
        self._count(embedder, documents, embedded, len(refused) + batched, seconds)
        return halted

    def _defer_to_batches(
        self, documents: Sequence[DocumentState], space_id: int, *, is_whole: bool
    ) -> None:
        """Let the documents wait that have a text in a batch job.

        Args:
            documents: all documents whose texts were looked at.
            space_id: id of the vector space.
            is_whole: whether all that lack a vector wait for a job. One may have ended just now.
        """
        incomplete = self._incomplete(documents, space_id)
        reasons = self._batches.reasons(space_id, [s.chunk_set_id for s in sets_of(incomplete)])
        for document in incomplete:
            reason = reasons.get(document.row.document_id)
            if reason is None and is_whole:
                reason = codes.BATCH_ENDED.error()
            if reason is not None:
                document.fail(Stage.EMBEDDINGS, reason)

    async def submit_batches(self) -> None:
        """Submit the batch jobs of the run, at its end."""
        await self._batches.submit()

    def _count(
        self,
        embedder: AnyEmbedder,
        documents: list[DocumentState],
        embedded: int,
        refused: int,
        seconds: float,
    ) -> None:
        chunks = sum(chunk_set.chunk_count for chunk_set in sets_of(documents))
        self.embedded_texts += embedded
        self.cached_texts += max(0, chunks - embedded - refused)
        for document in documents:
            if document.chunk_set is not None:
                share = document.chunk_set.chunk_count / max(1, chunks)
                document.note(
                    Stage.EMBEDDINGS,
                    chunks=document.chunk_set.chunk_count,
                    tokens=document.chunk_set.token_count,
                    dimensions=embedder.space.dimensions,
                    vector_space=embedder.space.label,
                    mode=embedder.produced_by.mode,
                    is_degraded=embedder.produced_by.is_degraded or document.is_parse_degraded,
                    seconds=round(seconds * share, 4),
                )

    def publish(self, batch: Sequence[DocumentState], snapshot: ReadSnapshot) -> None:
        """Publish the documents that are complete, each in the space of its vectors."""
        ready = [document for document in batch if document.is_active]
        real = [document for document in ready if not document.is_degraded]
        changed: set[int] = set()
        if self._ids is not None:
            changed = self._index.publish(self._ids[1], sets_of(real), snapshot)
        degraded = [document for document in ready if document.is_degraded]
        if degraded and self._fallback_ids is not None:
            changed |= self._index.publish(
                self._fallback_ids[1], sets_of(degraded), snapshot, is_degraded=True
            )
        for document in ready:
            document.note(Stage.EMBEDDINGS, unchanged=document.row.document_id not in changed)

    def finish(self, *, switches: bool) -> None:
        """Switch search to the run's index if it is complete, and complete the index that it reads.

        Args:
            switches: whether to switch.
        """
        if switches and self._ids is not None:
            self._index.indexes.switch_if_complete(self._ids[1])
        self._index.complete_search_index()


class _VectorWriter:
    """Stores the vectors of one call as they arrive."""

    def __init__(
        self,
        index: IndexStore,
        space_id: int,
        texts: Sequence[MissingText],
        paid: PaidEmbedder | None,
    ) -> None:
        self._index = index
        self._paid = paid
        self._space_id = space_id
        self._texts = texts
        self._positions: set[int] = set()

    @property
    def stored(self) -> int:
        """Texts whose vectors are stored."""
        return len(self._positions)

    def persist(
        self,
        tx: Transaction | None,
        positions: Sequence[int],
        vectors: Vectors,
        produced_by: Provenance,
    ) -> None:
        texts = [(self._texts[i].sha256, self._texts[i].tokens) for i in positions]
        self._index.store_vectors(self._space_id, texts, vectors, produced_by, tx=tx)
        # The transaction may have to be repeated.
        self._positions.update(positions)

    def persist_errors(self, tx: Transaction, errors: Mapping[int, EmbeddingError]) -> None:
        assert self._paid is not None
        by_hash = {self._texts[i].sha256: error for i, error in errors.items()}
        # Of the request that was answered: the form that the server takes was learned before it.
        self._index.record_refused(tx, self._space_id, self._paid.request_fingerprint, by_hash)


def load_client(router: ServiceRouter) -> None:
    """Load the client of the paid embedder, so that the first request does not wait for it."""
    if router.clients.paid_embedder is not None:
        router.clients.paid_embedder.load()


def sets_of(document_states: Sequence[DocumentState]) -> list[StoredChunkSet]:
    """The chunk sets of the documents that have one."""
    return [document.chunk_set for document in document_states if document.chunk_set is not None]


def for_one(error: TvdbError, where: str = "") -> TvdbError:
    """Copy an error that many documents have, for one document.

    Args:
        error: the error.
        where: text to add before the message.
    """
    copy = type(error).restored(
        error.code, where + error.message, remedy=error.remedy, disposition=error.disposition
    )
    copy.__cause__ = error.__cause__ or error
    return copy
